"""The command line: `tapstack check`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tapstack import __version__
from tapstack.cli.check import check
from tapstack.settings.load import FILE_VARIABLE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 when the user has something to mend."""
    parser = argparse.ArgumentParser(prog="tapstack", description="Packet capture on demand for AWS incident response.")
    parser.add_argument("--version", action="version", version=f"tapstack {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    checker = commands.add_parser(
        "check",
        help="say whether a deployment file is right, and what it deploys",
        description="Say whether a deployment file is right, and what it deploys. Touches nothing.",
    )
    checker.add_argument(
        "file",
        nargs="?",
        type=Path,
        help=f"the deployment file; ${FILE_VARIABLE}, the cdktf context value or deployment.yaml by default",
    )
    checker.add_argument(
        "--machine",
        action="store_true",
        help="also say whether this machine can deploy it: Terraform, and the AWS provider",
    )
    chosen = parser.parse_args(arguments)
    return check(chosen.file, machine=chosen.machine, out=sys.stdout, err=sys.stderr)
