"""`tapstack xdr`: what another tool's alerts come to."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, TextIO

from tapstack.cli.xdr_try import try_alert
from tapstack.settings.load import FILE_VARIABLE


def add_xdr_parser(commands: Any) -> None:
    """Add the command with its actions."""
    xdr = commands.add_parser(
        "xdr", help="try alerts of other tools", description="Try alerts of an XDR and of other tools."
    )
    actions = xdr.add_subparsers(dest="xdr", required=True, metavar="ACTION")
    trial = actions.add_parser(
        "try",
        help="say what an alert of another tool is mapped to, and what the policy does about it",
        description="Say what an alert of another tool is mapped to, and what the policy of a deployment file does "
        "about it, and why. Makes no AWS calls.",
    )
    trial.add_argument("file", metavar="FILE.json", help="the document, as the tool sends it; - for standard input")
    trial.add_argument(
        "--source",
        required=True,
        metavar="NAME",
        help="a source of the deployment file, securityhub, or a preset: generic, guardduty, hunters, securityhub_ocsf",
    )
    trial.add_argument(
        "--deployment",
        type=Path,
        metavar="FILE",
        help=f"the deployment file; ${FILE_VARIABLE} or deployment.yaml by default",
    )
    trial.add_argument("--site", help="site whose policy decides; by default the only one that can")
    trial.add_argument("--json", action="store_true", help="print JSON")


def run_xdr(chosen: argparse.Namespace, *, source: TextIO, out: TextIO, err: TextIO) -> int:
    """Run one of the actions.

    Args:
        chosen: the parsed arguments.
        source: standard input, read where `-` is given for a file.
        out: receives the result.
        err: receives errors.

    Returns:
        0; 2 for an error that the user can fix.
    """
    return try_alert(
        chosen.file,
        chosen.source,
        chosen.deployment,
        chosen.site,
        as_json=chosen.json,
        source=source,
        out=out,
        err=err,
    )
