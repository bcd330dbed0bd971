"""Deploy a deployment file into the account with real Terraform, and take it down again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tapstack.rehearsal.account import Account

_PLAN: Final = "rehearsal.plan"
_PROGRESS: Final = re.compile(r": (Creation|Modifications|Destruction) complete|^(Apply|Destroy) complete!|^No changes")


class DeploymentFailedError(Exception):
    """Terraform or the synthesis failed; the message holds what it printed."""


class SiteDeployment:
    """One site's Terraform, run against the rehearsal account.

    Args:
        directory: where the site's Terraform was synthesized.
        account: what it is deployed into.
        say: gets a line for every step that Terraform completes.
    """

    def __init__(self, directory: Path, account: Account, say: Callable[[str], None]) -> None:
        """Prepare; nothing runs yet."""
        self._directory = directory
        self._account = account
        self._say = say

    def apply(self) -> dict[str, Any]:
        """Initialize, apply, and return the outputs by name; a sensitive one is None."""
        self._run("init", "-input=false")
        self._run("apply", "-auto-approve", "-input=false")
        outputs = json.loads(self._run("output", "-json"))
        return {name: None if output["sensitive"] else output["value"] for name, output in outputs.items()}

    def changes(self) -> dict[str, list[str]]:
        """Return the actions that a plan would take, by address."""
        self._run("plan", "-input=false", f"-out={_PLAN}")
        plan = json.loads(self._run("show", "-json", _PLAN))
        actions = {change["address"]: change["change"]["actions"] for change in plan.get("resource_changes", ())}
        return {address: taken for address, taken in actions.items() if taken not in (["no-op"], ["read"])}

    def apply_planned(self) -> None:
        """Carry out what `changes` returned last."""
        self._run("apply", "-input=false", _PLAN)

    def addresses(self) -> list[str]:
        """Return the addresses of all that stands, data sources included."""
        return self._run("state", "list").splitlines()

    def destroy(self) -> None:
        """Take everything down."""
        self._run("destroy", "-auto-approve", "-input=false")

    def _run(self, *arguments: str) -> str:
        """Run Terraform, tell its progress, and return all that it prints."""
        binary = shutil.which("terraform") or "terraform"
        lines = []
        with subprocess.Popen(
            [binary, *arguments, "-no-color"],
            cwd=self._directory,
            env=environment_for(self._account),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if _PROGRESS.search(line):
                    self._say(line.rstrip())
        if process.returncode:
            raise DeploymentFailedError(f"terraform {' '.join(arguments)}:\n{''.join(lines)}")
        return "".join(lines)


def environment_for(account: Account) -> dict[str, str]:
    """Return this process's environment with the account in place of AWS, and no setting of Terraform."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    return {**kept, **account.environment, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}


def synthesize(project: Path, file: Path, outdir: Path, sites: Sequence[str]) -> dict[str, Path]:
    """Run the project's main.py on a deployment file; return the directory of each site's Terraform.

    Raises:
        DeploymentFailedError: it failed; the message is what it printed.
    """
    done = subprocess.run(
        [sys.executable, str(project / "main.py")],
        env={**os.environ, "TAPSTACK_DEPLOYMENT": str(file), "CDKTF_OUTDIR": str(outdir)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DeploymentFailedError(done.stderr)
    return {site: outdir / "stacks" / site for site in sites}
