"""`tapstack xdr`: try, send and follow alerts of other tools, and set what they are signed with."""

from __future__ import annotations

import argparse
import os
from typing import Any, NoReturn, TextIO

from tapstack.cli.arguments import file_name, given_file
from tapstack.cli.incident_api import ServiceError, UserError
from tapstack.cli.terminal import plain
from tapstack.cli.xdr_try import try_alert
from tapstack.domain.alert_mappings import PRESETS
from tapstack.domain.alerts import SECURITY_HUB
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_name
from tapstack.domain.proposals import URL_VARIABLE
from tapstack.domain.webhook_secrets import SECRET_VARIABLE
from tapstack.settings.load import FILE_VARIABLE
from tapstack.settings.problems import DeploymentError


def add_xdr_parser(commands: Any) -> None:
    """Add the command with its actions."""
    xdr = commands.add_parser(
        "xdr",
        help="try, send and follow alerts of other tools",
        description="Try, send and follow alerts of an XDR and of other tools.",
    )
    _refuse_secret(xdr)
    actions = xdr.add_subparsers(dest="xdr", required=True, metavar="ACTION")
    trial = actions.add_parser(
        "try",
        help="say what an alert of another tool is mapped to, and what the policy does about it",
        description="Say what an alert of another tool is mapped to, and what the policy of a deployment file does "
        "about it, and why. Makes no AWS calls.",
    )
    trial.add_argument(
        "file", type=given_file, metavar="FILE.json", help="the document, as the tool sends it; - for standard input"
    )
    presets = ", ".join(name for name in PRESETS if name != SECURITY_HUB)
    trial.add_argument(
        "--source",
        required=True,
        metavar="NAME",
        help=f"a source of the deployment file, {SECURITY_HUB}, or a preset: {presets}",
    )
    _add_deployment(trial, "site whose policy decides; by default the only one that can")
    trial.add_argument("--json", action="store_true", help="print JSON")
    _add_send(actions)
    _add_rotate(actions)
    shower = actions.add_parser(
        "status",
        help="show what arrived of telemetry and of alerts, when last, and what came of it",
        description="Show what arrived in the landing of a site, when last; what waits in its queues; and what came of "
        "the last alerts of other tools. Reads with the credentials of the site, and changes nothing.",
        allow_abbrev=False,
    )
    _add_deployment(shower, "the site; by default the only one with xdr or a response")
    shower.add_argument("--json", action="store_true", help="print JSON")


def _add_send(actions: Any) -> None:
    sender = actions.add_parser(
        "send",
        help="sign an alert, and send it as another tool would",
        description="Sign an alert as Standard Webhooks has it, and send it to the API as another tool would.",
        allow_abbrev=False,
    )
    sender.add_argument("file", type=given_file, metavar="FILE.json", help="the document; - for standard input")
    sender.add_argument("--source", required=True, metavar="NAME", help="a source of the deployment with webhook: true")
    sender.add_argument("--url", help=f"URL of the API (output api_endpoint); ${URL_VARIABLE} by default")
    sender.add_argument(
        "--secret-file",
        type=given_file,
        metavar="FILE",
        help=f"file with the secret of the source, - for standard input; ${SECRET_VARIABLE} by default",
    )
    sender.add_argument(
        "--id",
        metavar="ID",
        help="the same document sent again with the same id is the same delivery; a random one by default",
    )
    sender.add_argument("--json", action="store_true", help="print the API's response")
    _refuse_secret(sender)


def _add_rotate(actions: Any) -> None:
    rotator = actions.add_parser(
        "rotate-secret",
        help="set a new secret for the webhooks of a source",
        description="Set a new random secret that the webhooks of a source are signed with, and print it once. The one "
        "before is accepted for alerts.overlap_hours. Uses the credentials of the site.",
        allow_abbrev=False,
    )
    rotator.add_argument(
        "--source", required=True, metavar="NAME", help="a source of the deployment with webhook: true"
    )
    _add_deployment(rotator, "site of the source; by default the only one that has it")
    rotator.add_argument(
        "--output", type=given_file, metavar="FILE", help="write the secret into this new file, which only you may read"
    )
    rotator.add_argument(
        "--revoke", action="store_true", help="accept no earlier secret any more, such as one that was leaked"
    )
    _refuse_secret(rotator)


def _add_deployment(parser: argparse.ArgumentParser, site: str) -> None:
    parser.add_argument(
        "--deployment",
        type=file_name,
        metavar="FILE",
        help=f"the deployment file; ${FILE_VARIABLE} or deployment.yaml by default",
    )
    parser.add_argument("--site", help=site)


def _refuse_secret(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--secret", nargs="?", action=_RefuseSecret, help=argparse.SUPPRESS)


class _RefuseSecret(argparse.Action):
    """Refuses a secret on the command line; the message does not show it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        parser.error(
            "--secret is not taken: a command line shows in the list of processes and in the shell's history. "
            f"Give --secret-file FILE (- for input), or set ${SECRET_VARIABLE}"
        )


def run_xdr(chosen: argparse.Namespace, *, source: TextIO, out: TextIO, err: TextIO) -> int:
    """Run one of the actions.

    Args:
        chosen: the parsed arguments.
        source: standard input, read where `-` is given for a file.
        out: receives the result.
        err: receives progress and errors.

    Returns:
        0; 2 for an error that the user can fix; 1 where the API or AWS failed.
    """
    if chosen.xdr == "try":
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
    # Imported here: `try` needs neither AWS's client library nor the API.
    from tapstack.workspace.credentials import CredentialsError, UnreachableError

    try:
        return _act(chosen, source, out, err)
    except RuleViolation as violation:
        print(plain(violation), file=err)
    except (UserError, DeploymentError) as error:
        print(error, file=err)
    except CredentialsError as error:
        print(plain(error), file=err)
    except ModuleNotFoundError as error:
        print(f"no {error.name}: install tapstack with its extra response", file=err)
    except (ServiceError, UnreachableError) as error:
        print(plain(error), file=err)
        return 1
    return 2


def _act(chosen: argparse.Namespace, source: TextIO, out: TextIO, err: TextIO) -> int:
    from tapstack.cli import xdr_webhooks

    if chosen.xdr == "status":
        return xdr_webhooks.status(chosen.deployment, chosen.site, as_json=chosen.json, out=out, err=err)
    if chosen.xdr == "rotate-secret":
        return xdr_webhooks.rotate_secret(
            chosen.source,
            chosen.deployment,
            chosen.site,
            output=chosen.output,
            revoke=chosen.revoke,
            out=out,
            err=err,
        )
    given = chosen.url or os.environ.get(URL_VARIABLE)
    if not given:
        raise UserError(f"no address of an API: give --url, or set ${URL_VARIABLE}; it is the output api_endpoint")
    return xdr_webhooks.send(
        chosen.file,
        check_name(chosen.source),
        given,
        secret_file=chosen.secret_file,
        webhook_id=chosen.id,
        as_json=chosen.json,
        source=source,
        out=out,
        err=err,
    )
