"""`tapstack synth`, `diff`, `deploy`, `destroy`: what can be said beforehand is said, then the cdktf CLI takes over.

Only the synthesis needs no CLI: `main.py` does all of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from tapstack.cli.arguments import count, directory, outputs_file
from tapstack.cli.check import read, say, try_access, warn_of_state
from tapstack.cli.terminal import plain
from tapstack.kernel.node import node_binary
from tapstack.settings.load import deployment_path, shown
from tapstack.settings.model import Deployment
from tapstack.settings.problems import DeploymentError
from tapstack.workspace import credentials, machine, protections
from tapstack.workspace.privacy import PRIVATE_UMASK, OutputError, keep_private
from tapstack.workspace.provider_mirror import UnusableMirrorError, find_mirror
from tapstack.workspace.stacks import Command, Selection, SelectionError, select

SKIP_VARIABLE: Final = "TAPSTACK_SKIP_AWS_CHECKS"
COMMANDS: Final = ("synth", "diff", "deploy", "destroy")
_CDKTF: Final = Path("node_modules", ".bin", "cdktf")
_SET_UP: Final = Path("scripts", "set_up.py")
INTERRUPTS: Final = Path(__file__).with_name("interrupts.cjs")
_PARALLELISM: Final = "--parallelism"
_TYPES: Final = {"N": count, "FILE": outputs_file, "DIRECTORY": directory}
_IGNORE_MISSING: Final = "--ignore-missing-stack-dependencies"

# Options of the cdktf CLI that are passed on: what they take, what they do, and the commands that know them.
_PASSED_ON: Final[Mapping[str, tuple[str | None, str, Sequence[str]]]] = {
    "--auto-approve": (None, "do not ask before anything is changed", ("deploy", "destroy")),
    "--refresh-only": (None, "update the state from the resources that exist, change nothing else", ("diff", "deploy")),
    "--migrate-state": (None, "move the state to the backend that the file names now", ("diff", "deploy", "destroy")),
    "--skip-synth": (None, "use the Terraform that was synthesized before", ("diff", "deploy", "destroy")),
    "--skip-provider-lock": (None, "do not ask the registry for checksums", ("diff", "deploy", "destroy")),
    "--no-color": (None, "no colours, even on a terminal", ("diff", "deploy", "destroy")),
    _IGNORE_MISSING: (None, "changes nothing: given to the cdktf CLI where it is needed", ("deploy",)),
    _PARALLELISM: ("N", "how many stacks to work on at once", ("deploy", "destroy")),
    "--terraform-parallelism": ("N", "how many calls Terraform makes at once", ("diff", "deploy", "destroy")),
    "--outputs-file": ("FILE", "write the outputs into a file", ("deploy",)),
    "--outputs-file-include-sensitive-outputs": (None, "with sensitive outputs", ("deploy",)),
    "--output": ("DIRECTORY", "where the Terraform is written; cdktf.out by default", COMMANDS),
}
_HELP: Final = {
    "synth": "write the Terraform",
    "diff": "show what a deploy would change",
    "deploy": "deploy stacks",
    "destroy": "destroy stacks",
}


def add_operate_parsers(commands: Any) -> None:
    """Add the commands to those of the command line."""
    for name in COMMANDS:
        parser: argparse.ArgumentParser = commands.add_parser(
            name,
            help=_HELP[name],
            description=f"{_HELP[name][0].upper()}{_HELP[name][1:]}. Runs in the directory of the project.",
            allow_abbrev=False,
        )
        if name == "synth":
            parser.add_argument("--hcl", action="store_true", help="write HCL in place of JSON")
        else:
            parser.add_argument("stacks", nargs="*", metavar="STACK", help="names, or patterns with * and ?")
            parser.add_argument(
                "--skip-aws-checks",
                action="store_true",
                help=f"skip the checks of credentials and protections; ${SKIP_VARIABLE}=1 does the same",
            )
            # What make gives: it knows the stacks' names no sooner than this does.
            parser.add_argument("--set-up", action="store_true", help=argparse.SUPPRESS)
        for option, (value, what, takers) in _PASSED_ON.items():
            if name in takers and value is None:
                parser.add_argument(option, action="store_true", help=what)
            elif name in takers and value is not None:
                parser.add_argument(option, metavar=value, type=_TYPES[value], help=what)


Execute = Callable[[str, list[str], dict[str, str]], Any]
"""Replaces this process: program, arguments with the program first, environment."""


class RefusedError(Exception):
    """Something comes first; the message says what."""


def run_operate(
    chosen: argparse.Namespace, *, source: TextIO, out: TextIO, err: TextIO, execute: Execute = os.execve
) -> int:
    """Check, and hand over; return 2 when there is something to fix first.

    Args:
        chosen: what the user gave.
        source: input, where an approval would come from.
        out: gets what is deployed, and with what.
        err: gets warnings, and what is wrong.
        execute: takes over.
    """
    command = chosen.command
    project = Path.cwd()
    terminal = source.isatty() and out.isatty() and _interactive(os.environ)
    try:
        if not all((project / name).is_file() for name in ("main.py", "cdktf.json")):
            raise RefusedError(
                f"{project} has no main.py and cdktf.json: run this in the directory of Tapstack's project"
            )
        outdir = Path(chosen.output or project / "cdktf.out")
        path = deployment_path(project)
        deployment = read(path, outdir)
        selection, mirrored = None, False
        if command != "synth":
            selection = select(deployment, chosen.stacks, command, file=shown(path))
            _refuse_to_wait(chosen, selection, terminal)
            if not chosen.set_up and not (project / _CDKTF).exists():
                raise RefusedError(f"the cdktf CLI is not installed ({_CDKTF}): run make {command}, which installs it")
        say(path, deployment, out=out)
        open_to_others = keep_private(deployment, path.parent, outdir)
        if selection is not None:  # a synthesis warns of the state itself
            warn_of_state(path, deployment, outdir, err=err)
            print(machine.describe(deployment.provider, path.parent), file=out, flush=True)
            provider = deployment.provider
            mirrored = find_mirror(provider.mirror, provider.constraint, path.parent) is not None
            if not chosen.skip_aws_checks and os.environ.get(SKIP_VARIABLE, "") in ("", "0"):
                _ask_aws(command, deployment, selection.stacks, shown(path), out=out, err=err)
        for warning in open_to_others:
            print(f"warning: {warning}", file=err)
        if selection is not None and chosen.set_up:
            _install_cli(project)
    except (
        DeploymentError,
        UnusableMirrorError,
        machine.MachineError,
        SelectionError,
        credentials.CredentialsError,
        OutputError,
        RefusedError,
    ) as error:
        print(error, file=err)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=err)
        return 2
    colour = terminal and not os.environ.get("NO_COLOR")
    environment = _environment(terminal=terminal, colour=colour)
    if selection is None:
        # The CLI would only start this; its log colours what it passes on, and calls each line an error.
        arguments = [sys.executable, str(project / "main.py")]
        environment["CDKTF_OUTDIR"] = str(outdir)
        if chosen.hcl:
            environment["SYNTH_HCL_OUTPUT"] = "true"
    else:
        passed = _arguments(chosen, selection, colour=colour, mirrored=mirrored)
        arguments = [*_node(), str(project / _CDKTF), command, *passed]
    out.flush()
    err.flush()
    os.umask(PRIVATE_UMASK)
    execute(arguments[0], arguments, environment)
    return 0


def _install_cli(project: Path) -> None:
    """Install the cdktf CLI as it is locked, where it is not; this takes longer than all that is checked before."""
    done = subprocess.run([sys.executable, str(project / _SET_UP), "cdktf"], check=False)
    if done.returncode:
        raise RefusedError("the cdktf CLI is not installed: the reason is above")


def _refuse_to_wait(chosen: argparse.Namespace, selection: Selection, terminal: bool) -> None:
    if chosen.command == "diff" or chosen.auto_approve or terminal:
        return
    command = f"{' '.join(selection.stacks)} --auto-approve"
    raise RefusedError(
        f"{chosen.command} asks before it changes anything, and there is no terminal to ask on: add --auto-approve "
        f'(make {chosen.command} ARGS="{command}")'
    )


def _ask_aws(
    command: Command, deployment: Deployment, stacks: Sequence[str], file: str, *, out: TextIO, err: TextIO
) -> None:
    """Try the credentials, and look for what stands in the way of a destroy or a deploy."""
    access = try_access(deployment, stacks, out=out, err=err)
    destroys = command == "destroy"
    find = protections.find_protections if destroys else protections.find_dependents
    found = find(deployment, stacks, access, file)
    for warning in found.warnings:
        print(f"warning: {plain(warning)}", file=err)
    if found.protections and command == "diff":
        print("\n".join(["warning: a deploy would be refused:", *map(plain, found.protections)]), file=err, flush=True)
    elif found.protections:
        raise RefusedError(
            "\n".join(
                [f"nothing was {'destroyed' if destroys else 'deployed'}. First:", *map(plain, found.protections)]
            )
        )


def _arguments(chosen: argparse.Namespace, selection: Selection, *, colour: bool, mirrored: bool) -> list[str]:
    """Return the arguments of the cdktf CLI behind its command."""
    arguments = list(selection.stacks)
    passed: dict[str, Any] = {option: getattr(chosen, _attribute(option), None) for option in _PASSED_ON}
    if selection.needed and chosen.command == "deploy":
        # What they need stands already, or the plan says what does not. Without it the CLI forgets about all order.
        passed[_IGNORE_MISSING] = True
        if selection.ordered:
            passed[_PARALLELISM] = "1"
    if mirrored:
        # The CLI would ask the registry for checksums of other systems; a mirror is used where it cannot be reached.
        passed["--skip-provider-lock"] = True
    if not colour:
        passed["--no-color"] = True
    for option, value in passed.items():
        if value:
            arguments += [option] if value is True else [option, value]
    return arguments


def _node() -> list[str]:
    """Return how the CLI's script is started where the locked Node is there: in that one, which hears Ctrl-C.

    The `node` of the environment is a Python script that starts it, and fails on Ctrl-C with a traceback.
    """
    node = node_binary()
    return [] if node is None else [node, "--require", str(INTERRUPTS)]


def _attribute(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _environment(*, terminal: bool, colour: bool) -> dict[str, str]:
    """Return the environment of the cdktf CLI, and of Terraform below it."""
    environment = {
        **os.environ,
        # The CLI takes the first `node`, which must be the one beside this Python.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        # Neither of them calls home.
        "CHECKPOINT_DISABLE": "1",
        "DISABLE_VERSION_CHECK": "1",
    }
    if not terminal:
        environment["CI"] = "true"  # no spinner, which is a line each tenth of a second
    if not colour:
        environment["NO_COLOR"] = "1"
        environment.pop("FORCE_COLOR", None)
    return environment


def _interactive(environment: Mapping[str, str]) -> bool:
    """Tell whether there is a terminal on which the CLI's question can be drawn and answered."""
    return environment.get("CI", "").lower() in ("", "0", "false") and environment.get("TERM") != "dumb"
