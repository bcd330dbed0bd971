"""The AWS provider on machines that cannot reach the Terraform registry.

Terraform searches a few directories for providers ("implied local mirror directories");
one of them is `terraform.d/plugins` in its working directory. A mirror that is configured
or found is linked there, so that `terraform` and `cdktf` use it without a CLI
configuration. Terraform takes the providers in such a directory from nowhere else, and
fails on a wrong version, so only mirrors with a supported version are linked.

Source: Terraform documentation, "CLI configuration file", provider installation.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapstack.domain.provider_versions import PROVIDER_VERSION, satisfies

PROVIDER: Final = Path("registry.terraform.io") / "hashicorp" / "aws"
MIRROR_VARIABLE: Final = "TAPSTACK_PROVIDER_MIRROR"
NO_MIRROR: Final = "none"


@dataclass(frozen=True, slots=True)
class ProviderMirror:
    """A directory in Terraform's mirror layout that has a fitting AWS provider.

    Attributes:
        directory: the directory with `registry.terraform.io` in it.
        versions: the fitting versions, the newest first.
        given: whether it was named; otherwise it was found.
    """

    directory: Path
    versions: tuple[str, ...]
    given: bool


class UnusableMirrorError(Exception):
    """A mirror directory was named that has no fitting provider."""


def find_mirror(
    setting: str | None, constraint: str, base: Path, environment: Mapping[str, str] = os.environ
) -> ProviderMirror | None:
    """Return the mirror to use: the one named by the setting, by the environment, or found.

    Args:
        setting: `provider.mirror` of the deployment file: a directory, relative to `base`,
            or `none`.
        constraint: the versions that fit.
        base: directory of the deployment file.
        environment: `$TAPSTACK_PROVIDER_MIRROR` names a directory, or `none`.

    Raises:
        UnusableMirrorError: the directory that was named has no fitting provider.
    """
    named = setting or environment.get(MIRROR_VARIABLE)
    if named == NO_MIRROR:
        return None
    if named:
        directory = base / os.path.expanduser(named)
        origin = "provider.mirror" if setting else f"${MIRROR_VARIABLE}"
        if directory.resolve() in _plugin_caches(environment):
            raise UnusableMirrorError(
                f"{origin}: {directory} is Terraform's plugin cache, and cannot be a mirror as well: Terraform would "
                "install from it into itself. Leave the setting out; what is cached is used where it fits the lock file"
            )
        versions = _fitting(directory, constraint)
        if versions:
            return ProviderMirror(directory.resolve(), versions, given=True)
        there = ", ".join(versions_of(directory)) or "none"
        raise UnusableMirrorError(
            f"{origin}: {directory} has no AWS provider {constraint} for {_target()} (found: {there}). Expected "
            f"{PROVIDER}/<version>/{_target()}/ in it; `terraform providers mirror {named}` fills such a directory "
            "on a machine that reaches the registry"
        )
    for directory in usual_places(environment):
        if directory.resolve() in _plugin_caches(environment):
            continue
        if versions := _fitting(directory, constraint):
            return ProviderMirror(directory.resolve(), versions, given=False)
    return None


def unfitting_mirrors(
    setting: str | None, constraint: str, base: Path, environment: Mapping[str, str] = os.environ
) -> list[str]:
    """Return a sentence for each mirror with AWS providers, where there are some and none has a fitting version.

    The arguments are those of `find_mirror`.

    Raises:
        UnusableMirrorError: Terraform would use no other source, because the mirror was named, or is an implied one.
    """
    named = setting or environment.get(MIRROR_VARIABLE)
    if named == NO_MIRROR:
        return []
    caches = _plugin_caches(environment)
    places = [base / os.path.expanduser(named)] if named else list(usual_places(environment))
    there = {place: versions_of(place) for place in places if place.resolve() not in caches}
    if any(satisfies(version, constraint) for versions in there.values() for version in versions):
        return []
    sentences = {
        place: f"the provider mirror {place} has AWS provider {', '.join(versions)} for {_target()}, expected "
        f"{constraint}; `terraform providers mirror {place}` adds one on a machine that reaches the registry"
        for place, versions in there.items()
        if versions
    }
    alone = places if named else list(_implied_places(environment))
    if stopping := [sentence for place, sentence in sentences.items() if place in alone]:
        raise UnusableMirrorError("\n".join(stopping))
    return list(sentences.values())


def usual_places(environment: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """Yield the directories that are searched for a mirror, in order.

    Terraform's own implied mirror directories first, then every mirror directly below
    /opt, /srv or /usr/local/share. Plugin caches are not among them: see `_plugin_caches`.
    """
    yield from _implied_places(environment)
    for root in ("/opt", "/srv", "/usr/local/share"):
        for provider in sorted(Path(root).glob(f"*/{PROVIDER.as_posix()}")):
            yield provider.parents[len(PROVIDER.parts) - 1]


def _implied_places(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield Terraform's implied mirror directories; Terraform asks no registry for a provider that one of them has."""
    home = Path(environment.get("HOME") or Path.home())
    yield home / ".terraform.d" / "plugins"
    data = environment.get("XDG_DATA_HOME") or str(home / ".local" / "share")
    shared = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for root in [data, *shared.split(":")]:
        if root:
            yield Path(root) / "terraform" / "plugins"


def _plugin_caches(environment: Mapping[str, str]) -> set[Path]:
    """Return Terraform's plugin caches: the configured one, and that of the cdktf CLI.

    A cache has the layout of a mirror. Used as one, it would be source and destination of the same
    installation, which Terraform refuses.
    """
    home = Path(environment.get("HOME") or Path.home())
    given = environment.get("TF_PLUGIN_CACHE_DIR")
    return {cache.resolve() for cache in (home / ".terraform.d" / "plugin-cache", *([Path(given)] if given else []))}


def link_mirror(mirror: ProviderMirror | None, stack_directory: Path, constraint: str = PROVIDER_VERSION) -> None:
    """Link a mirror into `stack_directory`, where Terraform finds it; without a mirror, remove the link.

    Where there is no lock file, one with the mirror's newest version is created. Without it
    the cdktf CLI runs `terraform providers lock`, which needs the registry even where a mirror
    is used. Terraform adds the checksums when it installs the provider.
    """
    link = stack_directory / "terraform.d" / "plugins"
    if link.is_symlink():
        link.unlink()
    if mirror is not None and not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(mirror.directory, target_is_directory=True)
    lock = stack_directory / ".terraform.lock.hcl"
    if mirror is not None and not lock.exists():
        lock.write_text(
            f'provider "{PROVIDER.as_posix()}" {{\n'
            f'  version     = "{mirror.versions[0]}"\n'
            f'  constraints = "{constraint}"\n'
            "}\n",
            encoding="utf-8",
        )


def _fitting(directory: Path, constraint: str) -> tuple[str, ...]:
    return tuple(version for version in versions_of(directory) if satisfies(version, constraint))


def versions_of(directory: Path) -> list[str]:
    """Return the versions that a mirror has for this machine, unpacked or as archives, the newest first."""
    provider = directory / PROVIDER
    unpacked = {path.parent.parent.name for path in provider.glob(f"*/{_target()}/terraform-provider-aws*")}
    ending = f"_{_target()}.zip"
    packed = {
        path.name.removeprefix("terraform-provider-aws_").removesuffix(ending)
        for path in provider.glob(f"terraform-provider-aws_*{ending}")
    }
    return sorted(
        unpacked | packed, key=lambda version: [int(part) for part in re.findall(r"\d+", version)], reverse=True
    )


def _target() -> str:
    """Return this machine's operating system and processor as Terraform names them."""
    machine = platform.machine().lower()
    names = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386"}
    return f"{platform.system().lower()}_{names.get(machine, machine)}"
