"""The command line: `tapstack check`, `simulate`, `deploy` and its siblings, `incident`, `xdr` and `rehearse`."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BY_SIGINT = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0; 2 for an error that the user can fix; 1 for any other error; 128 plus the number of the signal that ended the
    command.
    """
    try:
        # Imported here, because importing takes a while, and Ctrl-C may be pressed meanwhile.
        from tapstack.cli.supervision import interruptible
        from tapstack.workspace.output import handling_output_errors

        with interruptible():
            return handling_output_errors(lambda: _main(arguments))
    except KeyboardInterrupt as interrupted:
        _end_with(str(interrupted) or "interrupted")
        return getattr(interrupted, "code", _BY_SIGINT)


def _end_with(line: str) -> None:
    """Print the last line to standard error; the terminal may be closed already."""
    from tapstack.workspace.output import discard_the_rest

    # A terminal has shown ^C: begin a new line.
    line_break = "\n" if sys.stderr is not None and sys.stderr.isatty() else ""
    for stream, text in ((sys.stdout, ""), (sys.stderr, f"{line_break}{line}\n")):
        if stream is None:
            continue
        try:
            print(text, end="", file=stream, flush=True)
        except OSError:
            discard_the_rest(stream)


def _main(arguments: Sequence[str] | None) -> int:
    from tapstack import __version__
    from tapstack.cli.arguments import Parser, file_name, unrecognized
    from tapstack.cli.check import check
    from tapstack.cli.incident import add_incident_parser, refuse_token, run_incident
    from tapstack.cli.operate import COMMANDS, add_operate_parsers, run_operate
    from tapstack.cli.rehearse_account import rehearse_account
    from tapstack.cli.rehearse_deploy import rehearse_deploy
    from tapstack.cli.rehearse_incident import add_rehearse_incident_parser, run_rehearse_incident
    from tapstack.cli.simulate import add_simulate_parser, run_simulate
    from tapstack.cli.supervision import supervised
    from tapstack.cli.xdr import add_xdr_parser, run_xdr
    from tapstack.settings.load import FILE_VARIABLE
    from tapstack.workspace.output import standard_output

    try:
        os.getcwd()
    except OSError as error:
        print(f"the working directory: {error.strerror}; change to one that exists", file=sys.stderr)
        return 2
    parser = Parser(prog="tapstack", description="Packet capture on demand for AWS incident response.")
    parser.add_argument("--version", action="version", version=f"tapstack {__version__}")
    refuse_token(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    checker = commands.add_parser(
        "check",
        help="validate a deployment file, and show what it deploys",
        description="Validate a deployment file, and show what it deploys. Changes nothing.",
    )
    checker.add_argument(
        "file",
        nargs="?",
        type=file_name,
        help=f"the deployment file; ${FILE_VARIABLE}, the cdktf context value or deployment.yaml by default",
    )
    checker.add_argument(
        "--machine",
        action="store_true",
        help="also check whether this machine can deploy it: Terraform, and the AWS provider",
    )
    checker.add_argument(
        "--aws",
        action="store_true",
        help="also check the AWS credentials of every site, and whether the bucket of the state can be reached",
    )
    add_simulate_parser(commands)
    add_operate_parsers(commands)
    add_incident_parser(commands)
    add_xdr_parser(commands)
    rehearser = commands.add_parser(
        "rehearse",
        help="rehearse a deployment or an incident in an AWS account on this machine",
        description="Rehearse a deployment or an incident in an AWS account on this machine.",
    )
    rehearsals = rehearser.add_subparsers(dest="rehearsal", required=True, metavar="REHEARSAL")
    account = rehearsals.add_parser(
        "account",
        help="run the account until Ctrl-C",
        description="Run an AWS account on this machine until Ctrl-C. Makes no calls to AWS.",
    )
    account.add_argument("--port", type=_port, default=0, help="loopback port; a free one by default")
    account.add_argument("--empty", action="store_true", help="without the sample VPCs and instances")
    deployer = rehearsals.add_parser(
        "deploy",
        help="deploy a file into the account with Terraform, and destroy it again",
        description="Deploy a deployment file into an AWS account on this machine with real Terraform, plan again, "
        "change a source, a rule and a target, destroy, and compare the account with what it was. "
        "Makes no calls to AWS.",
    )
    deployer.add_argument(
        "file",
        nargs="?",
        type=file_name,
        help=f"the deployment file; ${FILE_VARIABLE} or deployment.yaml by default",
    )
    add_rehearse_incident_parser(rehearsals)
    for rehearsal in rehearsals.choices.values():
        rehearsal.add_argument("--no-iam", dest="iam", action="store_false", help="do not enforce IAM")
    chosen, unknown = parser.parse_known_args(arguments)
    if unknown:
        command = commands.choices[chosen.command]
        command.error(unrecognized(parser, chosen, unknown))
    # None where it is closed: then there is nothing to read.
    source = sys.stdin if sys.stdin is not None else io.StringIO()
    out = standard_output()
    if chosen.command == "check":
        return check(chosen.file, machine=chosen.machine, aws=chosen.aws, out=out, err=sys.stderr)
    if chosen.command == "simulate":
        return run_simulate(chosen, out=out, err=sys.stderr)
    if chosen.command in COMMANDS:
        return run_operate(chosen, source=source, out=out, err=sys.stderr)
    if chosen.command == "incident":
        return run_incident(chosen, source=source, out=out, err=sys.stderr)
    if chosen.command == "xdr":
        return run_xdr(chosen, source=source, out=out, err=sys.stderr)
    if chosen.rehearsal == "incident":
        return run_rehearse_incident(chosen, out=out, err=sys.stderr)
    if chosen.rehearsal == "deploy":
        return supervised(
            lambda scratch: rehearse_deploy(
                chosen.file, enforce_iam=chosen.iam, scratch=scratch, out=out, err=sys.stderr
            )
        )
    return rehearse_account(
        port=chosen.port, empty=chosen.empty, enforce_iam=chosen.iam, out=sys.stdout, err=sys.stderr
    )


def _port(text: str) -> int:
    from argparse import ArgumentTypeError

    if text.isdigit() and 0 <= int(text) <= 65535:
        return int(text)
    raise ArgumentTypeError(f"expected a port from 0 to 65535, got {text!r}")
