"""Find state that a changed deployment file no longer uses.

Terraform detects a changed backend only by the record of an earlier `init`. A clean
checkout has none, and would begin with an empty state although another one holds resources.
So this searches for state that the deployment file no longer names.
"""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

from tapstack.domain.counts import counted
from tapstack.domain.names import response_stack_name, xdr_stack_name
from tapstack.settings.load import shown
from tapstack.settings.model import Deployment, LocalBackend, S3Backend
from tapstack.settings.problems import DeploymentError, Problem


def stack_names(deployment: Deployment) -> list[str]:
    """Return the names of all stacks, in the order in which they can be deployed."""
    return [
        name
        for site, settings in deployment.sites.items()
        for name in (
            site,
            *([xdr_stack_name(site)] if settings.xdr else []),
            *([response_stack_name(site)] if settings.response else []),
        )
    ]


def local_state_file(backend: LocalBackend, project: str, site: str, base: Path) -> Path:
    """Return the state file of a site; `base` is the deployment file's directory."""
    return base / backend.directory / project / f"{site}.tfstate"


def local_backend_path(backend: LocalBackend, project: str, site: str, base: Path, outdir: Path) -> str:
    """Return the path for the backend block, relative to where Terraform runs.

    Relative, so that neither the state nor Terraform's record of it depends on the path of the
    checkout.
    """
    file = local_state_file(backend, project, site, base)
    return Path(os.path.relpath(file.resolve(), (outdir / "stacks" / site).resolve())).as_posix()


def s3_state_key(backend: S3Backend, project: str, site: str) -> str:
    """Return the object key of a site's state."""
    return f"{backend.key_prefix}/{project}/{site}.tfstate"


def refuse_lost_state(deployment: Deployment, file: str, base: Path, outdir: Path) -> None:
    """Refuse to begin a new state in S3 while a local one holds resources.

    Nothing is refused where Terraform has a record of the local state: then Terraform asks for the
    migration.

    Raises:
        DeploymentError: names the files and the way to move them.
    """
    if deployment.backend.s3 is None:
        return
    full = []
    for site in stack_names(deployment):
        if recorded_backend(outdir, site) is None:
            full += [state for state in _local_states(deployment.project, site, base) if count_resources(state)]
    if full:
        directory = full[0].parents[1].name
        local = "{local: {}}" if directory == LocalBackend().directory else f"{{local: {{directory: {directory}}}}}"
        raise DeploymentError(
            file,
            [
                Problem(
                    ("backend", "s3"),
                    f"{', '.join(map(str, full))} still holds resources, and a new state in S3 would know nothing "
                    f"of them. Move it: put `backend: {local}` back, run `make diff ARGS=<site>` once, change to s3 "
                    'again and run `make deploy ARGS="<site> --migrate-state"`. If it was moved before, or those '
                    "resources are gone, delete the file: Terraform leaves it behind",
                )
            ],
        )


def _local_states(project: str, site: str, base: Path) -> list[Path]:
    """Return where a local state of a site may be, after the file stopped naming its directory.

    The default directory, and every directory beside the deployment file. A state elsewhere is
    found by Terraform's own record only.
    """
    default = local_state_file(LocalBackend(), project, site, base)
    return [default, *(found for found in sorted(base.glob(f"*/{project}/{site}.tfstate")) if found != default)]


def state_warnings(deployment: Deployment, base: Path, outdir: Path) -> list[str]:
    """Return warnings about state: that it would move, and that its site or response is no longer in the file."""
    warnings = []
    stacks = stack_names(deployment)
    for site in stacks:
        before, now = recorded_backend(outdir, site), _planned_backend(deployment, site, base, outdir)
        if before is not None and before != now:
            advice = (
                f'Terraform will stop and ask; `make deploy ARGS="{site} --migrate-state"` moves it (with '
                "--skip-provider-lock where the registry cannot be reached)"
                if (project := _former_project(before, now)) is None
                else f"Terraform will stop. Do not migrate: restore `project: {project}`, or name another directory "
                "for what is synthesized of this project with --output"
            )
            warnings.append(
                f"site {site}: its state was kept in {_described(before, outdir, site)} and is to be kept in "
                f"{_described(now, outdir, site)}. "
                f"{advice}"
            )
        left = local_state_file(LocalBackend(), deployment.project, site, base)
        if before == now and deployment.backend.s3 is not None and count_resources(left):
            warnings.append(
                f"{left} is left over from before the state moved to {_described(now, outdir, site)}: delete it"
            )
    if deployment.backend.local is not None:
        directory = base / deployment.backend.local.directory / deployment.project
        for state in sorted(directory.glob("*.tfstate")):
            count = count_resources(state)
            if count and state.stem not in stacks:
                warnings.append(f"{state} holds {counted(count, 'resource')} of {_orphan(deployment, state.stem)}")
    return warnings


def _orphan(deployment: Deployment, stack: str) -> str:
    """Return what a state belongs to whose stack is not in the file, and what to do about it."""
    for site in deployment.sites:
        if stack == response_stack_name(site):
            return _orphan_part("response", site, stack)
        if stack == xdr_stack_name(site):
            return _orphan_part("xdr", site, stack)
    return (
        f"site {stack}, which the deployment file no longer has: put the site back and destroy it, or give the site "
        "its old name"
    )


def _orphan_part(part: str, site: str, stack: str) -> str:
    what = {"response": "response", "xdr": "telemetry"}[part]
    return (
        f"the {what} of site {site}, which the deployment file no longer has: put sites.{site}.{part} back "
        f'and destroy it (make destroy ARGS="{stack}")'
    )


def count_resources(state: Path) -> int:
    """Return how many resources a local state file manages; 0 where there is none."""
    try:
        content = json.loads(state.read_text(encoding="utf-8"))
        return sum(1 for resource in content.get("resources", []) if resource.get("mode") == "managed")
    except (OSError, ValueError, AttributeError, TypeError):
        return 0


def recorded_backend(outdir: Path, site: str) -> dict[str, Any] | None:
    """Return what Terraform's last `init` recorded of a site's backend: type and location."""
    record = outdir / "stacks" / site / ".terraform" / "terraform.tfstate"
    try:
        backend = json.loads(record.read_text(encoding="utf-8"))["backend"]
        return _location(str(backend["type"]), backend["config"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _planned_backend(deployment: Deployment, site: str, base: Path, outdir: Path) -> dict[str, Any]:
    local, s3 = deployment.backend.local, deployment.backend.s3
    if local is not None:
        return _location("local", {"path": local_backend_path(local, deployment.project, site, base, outdir)})
    assert s3 is not None
    return _location(
        "s3", {"bucket": s3.bucket, "key": s3_state_key(s3, deployment.project, site), "region": s3.region}
    )


def _location(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind} | {name: config.get(name) for name in ("path", "bucket", "key", "region")}


def _former_project(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Return the project of the former state, where it is another one; both backends use `PROJECT/SITE.tfstate`."""
    was, will_be = (PurePosixPath(location["key"] or location["path"] or "") for location in (before, now))
    other = was.name == will_be.name and was.parent.name not in ("", will_be.parent.name)
    return was.parent.name if other else None


def _described(location: dict[str, Any], outdir: Path, site: str) -> str:
    if location["type"] == "s3":
        return f"s3://{location['bucket']}/{location['key']}"
    if location["type"] == "local" and location["path"]:
        # The path is relative to Terraform's working directory, not the user's.
        return shown((outdir / "stacks" / site / location["path"]).resolve())
    return str(location["type"])
