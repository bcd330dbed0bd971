"""Protect files with secrets from other users of the machine.

State has every output and attribute, among them the appliance's first password; so have plan files and Terraform's
copies. All of them are in two directories: that of the local state, and `stacks` of the synthesis. With mode 0700 these
also protect what Terraform writes into them later, with any umask.
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
"""For processes that write state: no other user can read their files."""
_OTHERS: Final = 0o077


class OutputError(Exception):
    """The synthesis cannot write into its output directory; the message says why."""


def keep_private(deployment: Deployment, base: Path, outdir: Path) -> list[str]:
    """Create the directories of state and plans; in existing ones, remove the permissions of other users.

    Args:
        deployment: the deployment.
        base: the deployment file's directory.
        outdir: the directory of the synthesis.

    Returns:
        Warnings about files that other users can read and whose mode this user may not change.

    Raises:
        DeploymentError: the directory of the local state cannot be created.
        OutputError: `outdir` cannot be created.
    """
    stacks = outdir / "stacks"
    refuse_unusable_output(outdir)
    _make(stacks)
    # The default directory, too: it keeps a copy of a state that was moved to S3.
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
    """Refuse a directory of the local state that cannot be used; nothing is created.

    Raises:
        DeploymentError: it, or a parent, is no directory, or may not be written.
    """
    if deployment.backend.local is None:
        return
    state = base / deployment.backend.local.directory / deployment.project
    if reason := obstacle(state):
        raise _unusable(deployment, state, reason)


def refuse_unusable_output(outdir: Path) -> None:
    """Refuse a directory of the synthesis that cannot be used; nothing is created.

    Raises:
        OutputError: it, or a parent, is no directory, or may not be written, or it has files of something else.
    """
    if reason := obstacle(outdir / "stacks"):
        raise OutputError(f"--output: {outdir} cannot hold what is synthesized ({reason}): expected a directory")
    if outdir.is_dir() and not _is_of_syntheses(outdir):
        raise OutputError(
            f"--output: {outdir} has files that are not of a synthesis: expected a new or empty directory, or one that "
            "was synthesized into"
        )


def _is_of_syntheses(outdir: Path) -> bool:
    """Return whether a directory is empty, has what cdktf writes, or only `stacks`, as a failed synthesis leaves it."""
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
        return None  # for example a lock file that was removed meanwhile
    except OSError as error:
        return f"{place} is open to other users of this machine, and cannot be closed: {error.strerror}"
    return None
