"""Finds state that a changed deployment file no longer uses.

Terraform detects a changed backend only where an earlier `init` left its record. A clean
checkout has none, and would start with an empty state although another one has resources.
So this searches for state that the deployment file no longer names.
"""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

from tapstack.domain.counts import counted
from tapstack.settings.load import shown
from tapstack.settings.model import Deployment, LocalBackend, S3Backend
from tapstack.settings.problems import DeploymentError, Problem


def response_stack_name(site: str) -> str:
    """Return the name of the stack of a site's response, of its state and of its directory."""
    return f"{site}-response"


def stack_names(deployment: Deployment) -> list[str]:
    """Return the names of all stacks, in the order in which they can be deployed."""
    return [
        name
        for site, settings in deployment.sites.items()
        for name in (site, *([response_stack_name(site)] if settings.response else []))
    ]


def local_state_file(backend: LocalBackend, project: str, site: str, base: Path) -> Path:
    """Return the state file of a site; `base` is the deployment file's directory."""
    return base / backend.directory / project / f"{site}.tfstate"


def local_backend_path(backend: LocalBackend, project: str, site: str, base: Path, outdir: Path) -> str:
    """Return the path for the backend block, relative to where Terraform runs.

    Relative, so that neither the state nor Terraform's record of it depends on where the
    checkout lies.
    """
    file = local_state_file(backend, project, site, base)
    return Path(os.path.relpath(file.resolve(), (outdir / "stacks" / site).resolve())).as_posix()


def s3_state_key(backend: S3Backend, project: str, site: str) -> str:
    """Return the object key of a site's state."""
    return f"{backend.key_prefix}/{project}/{site}.tfstate"


def refuse_lost_state(deployment: Deployment, file: str, base: Path, outdir: Path) -> None:
    """Refuse to begin a new state in S3 while a local one holds resources.

    Where Terraform has its own record of the local state it asks for the migration itself,
    and this stays silent.

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
    """Return where a local state of a site may lie: the file no longer names its directory.

    Looked at are the default one and every directory beside the deployment file; one that lay
    elsewhere is known to Terraform's own record alone.
    """
    default = local_state_file(LocalBackend(), project, site, base)
    return [default, *(found for found in sorted(base.glob(f"*/{project}/{site}.tfstate")) if found != default)]


def state_warnings(deployment: Deployment, base: Path, outdir: Path) -> list[str]:
    """Return what a person should know about state before deploying: moves, and orphans."""
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
    """Say what a state belongs to whose stack is gone, and what to do."""
    for site in deployment.sites:
        if stack == response_stack_name(site):
            return (
                f"the response of site {site}, which the deployment file no longer has: put sites.{site}.response back "
                f'and destroy it (make destroy ARGS="{stack}")'
            )
    return (
        f"site {stack}, which the deployment file no longer has: put the site back and destroy it, or give the site "
        "its old name"
    )


def count_resources(state: Path) -> int:
    """Return how many resources a local state file manages; 0 where there is none."""
    try:
        content = json.loads(state.read_text(encoding="utf-8"))
        return sum(1 for resource in content.get("resources", []) if resource.get("mode") == "managed")
    except (OSError, ValueError, AttributeError, TypeError):
        return 0


def recorded_backend(outdir: Path, site: str) -> dict[str, Any] | None:
    """Return what Terraform's last `init` recorded of a site's backend: type and place."""
    record = outdir / "stacks" / site / ".terraform" / "terraform.tfstate"
    try:
        backend = json.loads(record.read_text(encoding="utf-8"))["backend"]
        return _place(str(backend["type"]), backend["config"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _planned_backend(deployment: Deployment, site: str, base: Path, outdir: Path) -> dict[str, Any]:
    local, s3 = deployment.backend.local, deployment.backend.s3
    if local is not None:
        return _place("local", {"path": local_backend_path(local, deployment.project, site, base, outdir)})
    assert s3 is not None
    return _place("s3", {"bucket": s3.bucket, "key": s3_state_key(s3, deployment.project, site), "region": s3.region})


def _place(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind} | {name: config.get(name) for name in ("path", "bucket", "key", "region")}


def _former_project(before: dict[str, Any], now: dict[str, Any]) -> str | None:
    """Return the project whose state it was, where that is another one; both backends have `PROJECT/SITE.tfstate`."""
    was, will_be = (PurePosixPath(place["key"] or place["path"] or "") for place in (before, now))
    other = was.name == will_be.name and was.parent.name not in ("", will_be.parent.name)
    return was.parent.name if other else None


def _described(place: dict[str, Any], outdir: Path, site: str) -> str:
    if place["type"] == "s3":
        return f"s3://{place['bucket']}/{place['key']}"
    if place["type"] == "local" and place["path"]:
        # Terraform runs elsewhere than the user, and the path is relative to there.
        return shown((outdir / "stacks" / site / place["path"]).resolve())
    return str(place["type"])
