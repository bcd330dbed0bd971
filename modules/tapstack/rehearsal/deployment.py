"""Deploy a deployment file into the account with real Terraform, and destroy it again."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from strictmoto.account import Account
from strictmoto.identity.principals import Credentials
from tapstack.rehearsal.progress import Activity
from tapstack.settings.load import FILE_VARIABLE

_PLAN: Final = "rehearsal.plan"
_AT_A_TIME: Final = "-parallelism=30"
"""Nearly all of the time is waiting, and functions that wait for each other would occupy Terraform's ten workers."""
_COMPLETE: Final = re.compile(r": (Creation|Modifications|Destruction) complete|^(Apply|Destroy) complete!|^No changes")
_BEGUN: Final = re.compile(r"^(\S.*): (Creating|Modifying|Destroying)\.\.\.")
_DONE: Final = re.compile(r"^(\S.*): (?:Creation|Modifications|Destruction) complete")
_PLANNED: Final = re.compile(r"^Plan: (\d+) to add, (\d+) to change, (\d+) to destroy")
_OF_THE_USER: Final = "TF_CLI_CONFIG_FILE"
"""It names where Terraform gets providers from, as in a deployment."""
_initializing: Final = threading.Lock()


class DeploymentFailedError(Exception):
    """Terraform or the synthesis failed; the message holds what it printed."""


def _ignore(_: str) -> None:
    """Report nothing."""


class SiteDeployment:
    """One site's Terraform, run against the rehearsal account.

    Args:
        directory: where the site's Terraform was synthesized.
        account: what it is deployed into.
        report: called with a line for every step that Terraform completes.
        show_activity: called with what Terraform is doing.
        credentials: that Terraform has; by default those of the account's root user, who can assume no role.
    """

    def __init__(
        self,
        directory: Path,
        account: Account,
        report: Callable[[str], None],
        show_activity: Activity = _ignore,
        *,
        credentials: Credentials | None = None,
    ) -> None:
        """Prepare; nothing runs yet."""
        self._directory = directory
        self._account = account
        self._report = report
        self._show_activity = show_activity
        self._credentials = credentials

    def apply(self, ready: Callable[[], None] = lambda: None) -> dict[str, Any]:
        """Initialize, apply, and return the outputs by name; a sensitive one is None.

        Args:
            ready: is called in between: Terraform looks up nothing before it returns.
        """
        with _provider_cache(self._directory) as cache:
            self._run("init", "-input=false", variables=cache)
        ready()
        self._run("apply", "-auto-approve", "-input=false", _AT_A_TIME)
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
        self._run("apply", "-input=false", _AT_A_TIME, _PLAN)

    def addresses(self) -> list[str]:
        """Return the addresses of everything in the state, data sources included."""
        return self._run("state", "list").splitlines()

    def destroy(self) -> None:
        """Destroy everything."""
        self._run("destroy", "-auto-approve", "-input=false", _AT_A_TIME)

    def _run(self, *arguments: str, variables: dict[str, str] | None = None) -> str:
        """Run Terraform, report its progress, and return all that it prints."""
        lines: list[str] = []
        # Apart from what may be JSON: Terraform warns there.
        with tempfile.TemporaryFile("w+") as errors:
            code = self._watch(arguments, variables or {}, lines, errors)
            errors.seek(0)
            said = errors.read()
        if code:
            raise DeploymentFailedError(f"terraform {' '.join(arguments)}:\n{''.join(lines)}{said}")
        return "".join(lines)

    def _watch(self, arguments: Sequence[str], variables: dict[str, str], lines: list[str], errors: IO[str]) -> int:
        binary = shutil.which("terraform") or "terraform"
        watched = _Watched(self._directory.name, arguments[0], self._show_activity)
        with subprocess.Popen(
            [binary, *arguments, "-no-color"],
            cwd=self._directory,
            env={**self._environment(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                watched.read(line)
                if _COMPLETE.search(line):
                    self._report(line.rstrip())
        return process.returncode

    def _environment(self) -> dict[str, str]:
        """Return the variables that Terraform has: the account's, with its own credentials."""
        own = self._credentials.as_environment() if self._credentials else {}
        return {**environment_for(self._account), **own}


class _Watched:
    """Follows what a Terraform command is doing, from its output."""

    _AT_FIRST: Final = {
        "init": "installing the AWS provider",
        "apply": "planning",
        "destroy": "reading the state",
        "output": "reading the outputs",
        "show": "reading the plan",
    }

    def __init__(self, stack: str, command: str, show_activity: Activity) -> None:
        self._stack = stack
        self._show_activity = show_activity
        self._all = self._done = 0
        self._begun: dict[str, str] = {}
        show_activity(f"{stack}: {self._AT_FIRST.get(command, 'planning')}")

    def read(self, line: str) -> None:
        """Read a line of the command's output."""
        if planned := _PLANNED.match(line):
            self._all = sum(map(int, planned.groups()))
        elif begun := _BEGUN.match(line):
            self._begun[begun[1]] = begun[2].lower()
        elif done := _DONE.match(line):
            self._done += 1
            self._begun.pop(done[1], None)
        else:
            return
        if self._begun:
            address, what = next(iter(self._begun.items()))
            further = f" and {len(self._begun) - 1} more" if len(self._begun) > 1 else ""
            self._show_activity(f"{self._stack}: {self._done} of {self._all} done, {what} {address}{further}")


def environment_for(account: Account) -> dict[str, str]:
    """Return this process's environment with the account in place of AWS, and no setting for a deployment."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == _OF_THE_USER or not name.startswith(("AWS_", "TF_"))
    }
    return {**kept, **account.environment, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}


@contextmanager
def _provider_cache(directory: Path) -> Iterator[dict[str, str]]:
    """Yield the variables with which Terraform fetches the provider once, for other stacks and rehearsals too.

    A mirror needs no cache. Terraform's cache is for one `init` at a time, so this waits for others.
    """
    if (directory / "terraform.d" / "plugins").exists():
        yield {}
        return
    # Where the cdktf CLI keeps it as well.
    home = Path(os.environ.get("HOME") or Path.home())
    cache = Path(os.environ.get("TF_PLUGIN_CACHE_DIR") or home / ".terraform.d" / "plugin-cache")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        held = os.open(cache, os.O_RDONLY)
    except OSError:
        yield {}
        return
    try:
        with _initializing:
            fcntl.flock(held, fcntl.LOCK_EX)
            # Without a lock file that names the provider: the stack exists for minutes only.
            yield {"TF_PLUGIN_CACHE_DIR": str(cache), "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "true"}
    finally:
        os.close(held)


def synthesize(project: Path, file: Path, outdir: Path, sites: Sequence[str]) -> dict[str, Path]:
    """Run the project's main.py on a deployment file; return the directory of each site's Terraform.

    Raises:
        DeploymentFailedError: it failed; the message is what it printed.
    """
    done = subprocess.run(
        [sys.executable, str(project / "main.py")],
        env={**os.environ, FILE_VARIABLE: str(file), "CDKTF_OUTDIR": str(outdir)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DeploymentFailedError(done.stderr)
    return {site: outdir / "stacks" / site for site in sites}
