"""Keep what holds secrets from other users of the machine.

State holds every output and attribute, the appliance's first password among them; so do plan files and the copies
that Terraform makes. All of it lies in two places: the directory of the local state, and `stacks` of the synthesis.
A closed directory protects what Terraform writes into it later, whatever its umask.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Final

from tapstack.settings.model import Deployment, LocalBackend
from tapstack.settings.problems import DeploymentError
from tapstack.workspace.writable import obstacle

PRIVATE_UMASK: Final = 0o077
"""For processes that write state: their files are their user's own."""
_OTHERS: Final = 0o077


class OutputError(Exception):
    """What is synthesized cannot be written where it should; the message says why."""


def keep_private(deployment: Deployment, base: Path, outdir: Path) -> list[str]:
    """Make the places of state and plans, and take from others what they may do with those that are there.

    Args:
        deployment: what is deployed.
        base: the deployment file's directory.
        outdir: that of the synthesis.

    Returns:
        Warnings: what others can read and this user may not change.

    Raises:
        DeploymentError: the directory of the local state cannot be made.
        OutputError: `outdir` cannot be.
    """
    stacks = outdir / "stacks"
    refuse_unusable_output(outdir)
    _make(stacks)
    # The default one, too: a state that moved to S3 leaves its copy there.
    states = {base / LocalBackend().directory / deployment.project}
    if deployment.backend.local is not None:
        state = base / deployment.backend.local.directory / deployment.project
        states.add(state)
        refuse_unusable_state(deployment, base)
        try:
            _make(state)
        except OSError as error:
            raise _unusable(deployment, state, str(error.strerror)) from None
    warnings = []
    for directory in (stacks, *sorted(states)):
        if directory.is_dir():
            files = [file for file in sorted(directory.iterdir()) if file.is_file()]
            warnings += [problem for place in (directory, *files) if (problem := _close(place)) is not None]
    return warnings


def refuse_unusable_state(deployment: Deployment, base: Path) -> None:
    """Refuse a directory of the local state that cannot be one; nothing is made.

    Raises:
        DeploymentError: it, or one above it, is something else, or may not be written.
    """
    if deployment.backend.local is None:
        return
    state = base / deployment.backend.local.directory / deployment.project
    if reason := obstacle(state):
        raise _unusable(deployment, state, reason)


def refuse_unusable_output(outdir: Path) -> None:
    """Refuse a directory of the synthesis that cannot be one; nothing is made.

    Raises:
        OutputError: it, or one above it, is something else, or may not be written, or it has other files.
    """
    if reason := obstacle(outdir / "stacks"):
        raise OutputError(f"--output: {outdir} cannot hold what is synthesized ({reason}): expected a directory")
    if outdir.is_dir() and not _is_of_syntheses(outdir):
        raise OutputError(
            f"--output: {outdir} has files that are not of a synthesis: expected a new or empty directory, or one that "
            "was synthesized into"
        )


def _is_of_syntheses(outdir: Path) -> bool:
    """Tell whether a directory has nothing yet, or what cdktf writes; a synthesis that failed leaves `stacks` alone."""
    if {file.name for file in outdir.iterdir()} <= {"stacks"}:
        return True
    try:
        manifest = json.loads((outdir / "manifest.json").read_text(encoding="utf-8"))
        return bool(manifest.keys() >= {"stacks", "version"})
    except (OSError, ValueError, AttributeError):
        return False


def _unusable(deployment: Deployment, state: Path, reason: str) -> DeploymentError:
    return deployment.refusal(
        ("backend", "local", "directory"), f"the state cannot be kept in {state} ({reason}): expected a directory"
    )


def _make(directory: Path) -> None:
    missing = [place for place in (directory, *directory.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)


def _close(place: Path) -> str | None:
    try:
        mode = stat.S_IMODE(place.stat().st_mode)
        if mode & _OTHERS:
            place.chmod(mode & ~_OTHERS)
    except FileNotFoundError:
        return None  # a lock file, for example, gone meanwhile
    except OSError as error:
        return f"{place} is open to other users of this machine, and cannot be closed: {error.strerror}"
    return None
