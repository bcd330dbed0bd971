"""`tapstack synth`, `diff`, `deploy`, `destroy`: check what can be checked, then run the cdktf CLI.

`synth` runs `main.py` and needs no cdktf CLI.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO, get_args

from tapstack.cli.arguments import count, directory, outputs_file
from tapstack.cli.check import print_summary, read, try_access, warn_of_state
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
_BY_CDKTF: Final[tuple[Command, ...]] = get_args(Command)
COMMANDS: Final = ("synth", *_BY_CDKTF)
_CDKTF: Final = Path("node_modules", ".bin", "cdktf")
_SET_UP: Final = Path("scripts", "set_up.py")
INTERRUPTS: Final = Path(__file__).with_name("interrupts.cjs")
_PARALLELISM: Final = "--parallelism"
_TYPES: Final = {"N": count, "FILE": outputs_file, "DIRECTORY": directory}
_IGNORE_MISSING: Final = "--ignore-missing-stack-dependencies"

# Options of the cdktf CLI that are passed on: their value, their description, and the commands that take them.
_PASSED_ON: Final[Mapping[str, tuple[str | None, str, Sequence[str]]]] = {
    "--auto-approve": (None, "do not ask before anything is changed", ("deploy", "destroy")),
    "--refresh-only": (None, "update the state from the resources that exist, change nothing else", ("diff", "deploy")),
    "--migrate-state": (None, "move the state to the backend that the file names now", _BY_CDKTF),
    "--skip-synth": (None, "use the Terraform that was synthesized before", _BY_CDKTF),
    "--skip-provider-lock": (None, "do not ask the registry for checksums", _BY_CDKTF),
    "--no-color": (None, "no colors, even on a terminal", _BY_CDKTF),
    _IGNORE_MISSING: (None, "has no effect: passed to the cdktf CLI where it is needed", ("deploy",)),
    _PARALLELISM: ("N", "how many stacks to work on at once", ("deploy", "destroy")),
    "--terraform-parallelism": ("N", "how many calls Terraform makes at once", _BY_CDKTF),
    "--outputs-file": ("FILE", "write the outputs into a file", ("deploy",)),
    "--outputs-file-include-sensitive-outputs": (None, "write sensitive outputs, too", ("deploy",)),
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
            # Given by make, so that the cdktf CLI is installed after the stacks' names are checked, not before.
            parser.add_argument("--set-up", action="store_true", help=argparse.SUPPRESS)
        for option, (value, what, takers) in _PASSED_ON.items():
            if name in takers and value is None:
                parser.add_argument(option, action="store_true", help=what)
            elif name in takers and value is not None:
                parser.add_argument(option, metavar=value, type=_TYPES[value], help=what)


Execute = Callable[[str, list[str], dict[str, str]], Any]
"""Replaces this process: program, arguments with the program first, environment."""


class RefusedError(Exception):
    """The command was refused; the message says what to do first."""


def run_operate(
    chosen: argparse.Namespace, *, source: TextIO, out: TextIO, err: TextIO, execute: Execute = os.execve
) -> int:
    """Check, and then replace this process by the cdktf CLI; return 2 for an error that the user can fix.

    Args:
        chosen: the parsed arguments.
        source: standard input; the cdktf CLI asks for approval only where it is a terminal.
        out: receives what is deployed, and the versions of Terraform and the provider.
        err: receives warnings and errors.
        execute: replaces this process.
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
        print_summary(path, deployment, out=out)
        still_open = keep_private(deployment, path.parent, outdir)
        if selection is not None:  # `main.py` prints the warnings about the state for `synth`
            warn_of_state(path, deployment, outdir, err=err)
            print(machine.describe(deployment.provider, path.parent), file=out, flush=True)
            provider = deployment.provider
            mirrored = find_mirror(provider.mirror, provider.constraint, path.parent) is not None
            if not chosen.skip_aws_checks and os.environ.get(SKIP_VARIABLE, "") in ("", "0"):
                _ask_aws(command, deployment, selection.stacks, shown(path), shown(outdir), out=out, err=err)
        for warning in still_open:
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
        # The CLI would only start `main.py`, and show each line of it as an error.
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
    """Install the locked cdktf CLI if it is missing: last, because this takes longer than all checks."""
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
    command: Command, deployment: Deployment, stacks: Sequence[str], file: str, outdir: str, *, out: TextIO, err: TextIO
) -> None:
    """Try the credentials, and find what would make a destroy or a deploy fail, or lose something."""
    access = try_access(deployment, stacks, out=out, err=err)
    destroys = command == "destroy"
    if destroys:
        found = protections.find_protections(deployment, stacks, access, file)
    else:
        found = protections.find_dependents(deployment, stacks, access, file, outdir)
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
        # The stacks that they need exist already, or the plan says what is missing. Without this option the CLI
        # deploys in no order.
        passed[_IGNORE_MISSING] = True
        if selection.ordered:
            passed[_PARALLELISM] = "1"
    if mirrored:
        # The CLI would ask the registry for checksums of other systems, and mirrors are used where it is out of reach.
        passed["--skip-provider-lock"] = True
    if not colour:
        passed["--no-color"] = True
    for option, value in passed.items():
        if value:
            arguments += [option] if value is True else [option, value]
    return arguments


def _node() -> list[str]:
    """Return the command that starts the CLI's script in the locked Node; nothing where that is not installed.

    The `node` of the environment is a Python script that starts Node, and ends on Ctrl-C with a traceback.
    """
    node = node_binary()
    return [] if node is None else [node, "--require", str(INTERRUPTS)]


def _attribute(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _environment(*, terminal: bool, colour: bool) -> dict[str, str]:
    """Return the environment of the cdktf CLI, and of Terraform below it."""
    environment = {
        **os.environ,
        # The CLI runs the first `node` on the PATH: it must be the one beside this Python.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        # Neither checks for newer versions.
        "CHECKPOINT_DISABLE": "1",
        "DISABLE_VERSION_CHECK": "1",
    }
    if not terminal:
        environment["CI"] = "true"  # no spinner, which would print ten lines a second
    if not colour:
        environment["NO_COLOR"] = "1"
        environment.pop("FORCE_COLOR", None)
    return environment


def _interactive(environment: Mapping[str, str]) -> bool:
    """Return whether the terminal can show the CLI's question and take an answer."""
    return environment.get("CI", "").lower() in ("", "0", "false") and environment.get("TERM") != "dumb"
