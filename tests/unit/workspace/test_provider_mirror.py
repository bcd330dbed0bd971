import os
import platform
from collections.abc import Mapping
from pathlib import Path

import pytest

from tapstack.workspace import provider_mirror
from tapstack.workspace.provider_mirror import (
    ProviderMirror,
    UnusableMirrorError,
    find_mirror,
    link_mirror,
    usual_places,
)

PROVIDER = "registry.terraform.io/hashicorp/aws"
TARGET = "linux_amd64"
# A version that no mirror of this machine has, so that only those made here are found.
VERSION = "99.1.0"
CONSTRAINT = "~> 99.0"


@pytest.fixture(autouse=True)
def on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.fixture
def home(tmp_path: Path) -> Mapping[str, str]:
    """The environment of a user without configuration or cache."""
    return {"HOME": str(tmp_path / "home"), "XDG_DATA_DIRS": str(tmp_path / "share")}


def unpacked(directory: Path, version: str = VERSION, target: str = TARGET) -> Path:
    file = directory / PROVIDER / version / target / f"terraform-provider-aws_v{version}_x5"
    file.parent.mkdir(parents=True)
    file.touch()
    return directory


def packed(directory: Path, version: str = VERSION, target: str = TARGET) -> Path:
    file = directory / PROVIDER / f"terraform-provider-aws_{version}_{target}.zip"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return directory


class TestNamed:
    @pytest.mark.parametrize("make", [unpacked, packed])
    def test_when_a_directory_is_named_in_the_file_then_it_is_used(
        self, tmp_path: Path, home: Mapping[str, str], make: object
    ) -> None:
        assert callable(make)
        make(tmp_path / "mirror")
        assert find_mirror("mirror", CONSTRAINT, tmp_path, home) == ProviderMirror(
            tmp_path / "mirror", (VERSION,), given=True
        )

    def test_when_a_directory_is_named_in_the_environment_then_it_is_used(
        self, tmp_path: Path, home: Mapping[str, str]
    ) -> None:
        unpacked(tmp_path / "mirror")
        environment = {**home, "TAPSTACK_PROVIDER_MIRROR": str(tmp_path / "mirror")}
        assert find_mirror(None, CONSTRAINT, tmp_path / "elsewhere", environment) == ProviderMirror(
            tmp_path / "mirror", (VERSION,), given=True
        )

    def test_when_the_file_and_the_environment_name_one_then_the_file_wins(
        self, tmp_path: Path, home: Mapping[str, str]
    ) -> None:
        unpacked(tmp_path / "mirror")
        environment = {**home, "TAPSTACK_PROVIDER_MIRROR": str(tmp_path / "none-here")}
        found = find_mirror("mirror", CONSTRAINT, tmp_path, environment)
        assert found is not None
        assert found.directory == tmp_path / "mirror"

    def test_when_a_mirror_has_many_versions_then_those_that_fit_are_returned_newest_first(
        self, tmp_path: Path, home: Mapping[str, str]
    ) -> None:
        for version in ("99.9.0", "99.10.0", "98.0.0", "100.0.0", "99.11.0-beta1"):
            unpacked(tmp_path, version)
        packed(tmp_path, "99.2.0")
        packed(tmp_path, "99.9.0")
        unpacked(tmp_path, "99.20.0", "darwin_arm64")
        packed(tmp_path, "99.21.0", "linux_arm64")
        found = find_mirror(str(tmp_path), CONSTRAINT, tmp_path, home)
        assert found is not None
        assert found.versions == ("99.10.0", "99.9.0", "99.2.0")

    @pytest.mark.parametrize("setting", [True, False])
    def test_when_none_is_named_then_none_is_searched_for(
        self, tmp_path: Path, home: Mapping[str, str], setting: bool
    ) -> None:
        unpacked(tmp_path / "home" / ".terraform.d" / "plugins")
        environment = home if setting else {**home, "TAPSTACK_PROVIDER_MIRROR": "none"}
        assert find_mirror("none" if setting else None, CONSTRAINT, tmp_path, environment) is None

    def test_fails_when_the_directory_named_in_the_file_has_no_fitting_provider(
        self, tmp_path: Path, home: Mapping[str, str]
    ) -> None:
        unpacked(tmp_path / "mirror", "98.0.0")
        packed(tmp_path / "mirror", "97.0.0")
        with pytest.raises(UnusableMirrorError) as caught:
            find_mirror("mirror", CONSTRAINT, tmp_path, home)
        assert str(caught.value) == (
            f"provider.mirror: {tmp_path}/mirror has no AWS provider ~> 99.0 for linux_amd64 (found: 98.0.0, 97.0.0). "
            f"Expected {PROVIDER}/<version>/linux_amd64/ in it; `terraform providers mirror mirror` fills such a "
            "directory on a machine that reaches the registry"
        )

    def test_fails_when_the_directory_named_in_the_environment_is_not_there(
        self, tmp_path: Path, home: Mapping[str, str]
    ) -> None:
        environment = {**home, "TAPSTACK_PROVIDER_MIRROR": "nowhere"}
        with pytest.raises(UnusableMirrorError) as caught:
            find_mirror(None, CONSTRAINT, tmp_path, environment)
        assert str(caught.value).startswith(
            f"$TAPSTACK_PROVIDER_MIRROR: {tmp_path}/nowhere has no AWS provider ~> 99.0 for linux_amd64 (found: none). "
        )

    @pytest.mark.parametrize("cache", ["home/.terraform.d/plugin-cache", "named"])
    def test_fails_when_the_directory_is_terraforms_plugin_cache(
        self, tmp_path: Path, home: Mapping[str, str], cache: str
    ) -> None:
        unpacked(tmp_path / cache)
        environment = {**home, "TF_PLUGIN_CACHE_DIR": str(tmp_path / "named")}
        with pytest.raises(UnusableMirrorError) as caught:
            find_mirror(cache, CONSTRAINT, tmp_path, environment)
        assert str(caught.value) == (
            f"provider.mirror: {tmp_path}/{cache} is Terraform's plugin cache, and cannot be a mirror as well: "
            "Terraform would install from it into itself. Leave the setting out; what is cached is used where it fits "
            "the lock file"
        )


class TestFound:
    def test_when_nothing_is_named_then_the_usual_places_are_searched_in_order(self, tmp_path: Path) -> None:
        environment = {
            "HOME": str(tmp_path / "home"),
            "XDG_DATA_HOME": str(tmp_path / "data"),
            "XDG_DATA_DIRS": f"{tmp_path / 'share'}:{tmp_path / 'more'}",
        }
        expected = [
            tmp_path / "home" / ".terraform.d" / "plugins",
            tmp_path / "data" / "terraform" / "plugins",
            tmp_path / "share" / "terraform" / "plugins",
            tmp_path / "more" / "terraform" / "plugins",
        ]
        assert list(usual_places(environment))[:4] == expected
        for place in reversed(expected):
            unpacked(place)
            assert find_mirror(None, CONSTRAINT, tmp_path, environment) == ProviderMirror(
                place, (VERSION,), given=False
            )

    def test_when_the_environment_says_little_then_the_places_are_the_customary_ones(self, tmp_path: Path) -> None:
        assert [str(place) for place in usual_places({"HOME": "/home/me"})][:4] == [
            "/home/me/.terraform.d/plugins",
            "/home/me/.local/share/terraform/plugins",
            "/usr/local/share/terraform/plugins",
            "/usr/share/terraform/plugins",
        ]

    def test_when_a_place_has_other_versions_only_then_the_search_goes_on(
        self, tmp_path: Path, home: Mapping[str, str]
    ) -> None:
        unpacked(tmp_path / "home" / ".terraform.d" / "plugins", "98.0.0")
        unpacked(tmp_path / "share" / "terraform" / "plugins")
        found = find_mirror(None, CONSTRAINT, tmp_path, home)
        assert found is not None
        assert found.directory == tmp_path / "share" / "terraform" / "plugins"

    def test_when_a_place_is_terraforms_plugin_cache_then_the_search_goes_on(
        self, tmp_path: Path, home: Mapping[str, str]
    ) -> None:
        cache = unpacked(tmp_path / "home" / ".terraform.d" / "plugins")
        assert find_mirror(None, CONSTRAINT, tmp_path, {**home, "TF_PLUGIN_CACHE_DIR": str(cache)}) is None
        assert find_mirror(None, CONSTRAINT, tmp_path, home) is not None

    def test_when_no_place_has_a_fitting_provider_then_there_is_no_mirror(
        self, tmp_path: Path, home: Mapping[str, str]
    ) -> None:
        assert find_mirror(None, CONSTRAINT, tmp_path, home) is None


@pytest.mark.parametrize(
    ("system", "machine", "target"),
    [
        ("Linux", "x86_64", "linux_amd64"),
        ("Linux", "aarch64", "linux_arm64"),
        ("Linux", "i686", "linux_386"),
        ("Darwin", "arm64", "darwin_arm64"),
        ("Windows", "AMD64", "windows_amd64"),
    ],
)
def test_when_a_machine_is_named_then_it_is_in_terraforms_words(
    system: str, machine: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    unpacked(tmp_path, target=target)
    assert provider_mirror.find_mirror(str(tmp_path), CONSTRAINT, tmp_path, {}) is not None


class TestLink:
    def mirror(self, directory: Path) -> ProviderMirror:
        return ProviderMirror(directory, (VERSION,), given=True)

    def test_when_there_is_a_mirror_then_it_is_linked_where_terraform_looks(self, tmp_path: Path) -> None:
        link_mirror(self.mirror(tmp_path / "one"), tmp_path / "stack")
        assert os.readlink(tmp_path / "stack" / "terraform.d" / "plugins") == str(tmp_path / "one")

    def test_when_the_mirror_changes_then_the_link_does(self, tmp_path: Path) -> None:
        for name in ("one", "two", "two"):
            link_mirror(self.mirror(tmp_path / name), tmp_path / "stack")
        assert os.readlink(tmp_path / "stack" / "terraform.d" / "plugins") == str(tmp_path / "two")

    def test_when_there_is_no_mirror_any_more_then_the_link_is_removed(self, tmp_path: Path) -> None:
        link_mirror(self.mirror(tmp_path / "gone"), tmp_path / "stack")
        link_mirror(None, tmp_path / "stack")
        assert not os.path.lexists(tmp_path / "stack" / "terraform.d" / "plugins")

    def test_when_there_is_no_lock_file_then_one_is_written_with_the_newest_version(self, tmp_path: Path) -> None:
        mirror = ProviderMirror(tmp_path / "one", ("99.2.0", "99.1.0"), given=True)
        link_mirror(mirror, tmp_path / "stack", CONSTRAINT)
        assert (tmp_path / "stack" / ".terraform.lock.hcl").read_text() == (
            'provider "registry.terraform.io/hashicorp/aws" {\n  version     = "99.2.0"\n  constraints = "~> 99.0"\n}\n'
        )

    def test_when_there_is_a_lock_file_then_it_is_left_alone(self, tmp_path: Path) -> None:
        lock = tmp_path / "stack" / ".terraform.lock.hcl"
        lock.parent.mkdir()
        lock.write_text("# mine")
        link_mirror(self.mirror(tmp_path / "one"), tmp_path / "stack")
        assert lock.read_text() == "# mine"

    def test_when_there_never_was_a_mirror_then_nothing_is_made(self, tmp_path: Path) -> None:
        link_mirror(None, tmp_path / "stack")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("gone", [True, False])
    def test_when_a_real_directory_is_in_the_way_then_it_is_left_alone(self, tmp_path: Path, gone: bool) -> None:
        own = unpacked(tmp_path / "stack" / "terraform.d" / "plugins")
        link_mirror(None if gone else self.mirror(tmp_path / "one"), tmp_path / "stack")
        assert not own.is_symlink()
        assert (own / PROVIDER / VERSION).is_dir()
