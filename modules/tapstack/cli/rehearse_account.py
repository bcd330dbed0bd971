"""`tapstack rehearse account`: an AWS account on this machine, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import shlex
import threading
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from tapstack.cli.supervision import handled_by
from tapstack.rehearsal.progress import Progress

if TYPE_CHECKING:
    from strictmoto.account import Account
    from strictmoto.company import Company


def rehearse_account(*, port: int, empty: bool, enforce_iam: bool, out: TextIO, err: TextIO) -> int:
    """Run an account until the user stops it; return 0, or 2 when it cannot start.

    Args:
        port: loopback port; 0 for a free one.
        empty: without the sample company.
        enforce_iam: refuse what IAM does not allow.
        out: receives the endpoint and how to use it.
        err: receives errors, and progress where the start takes long.
    """
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    # Before the slow imports, so that Ctrl-C during them ends the command in the same way.
    with handled_by(stop):
        try:
            return _run(port, empty, enforce_iam, stopped, out, err)
        except ModuleNotFoundError as error:
            print(missing(error), file=err)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            print(f"port {port}: {reason}: choose another one with --port, or leave it out", file=err)
    return 2


def missing(error: ModuleNotFoundError) -> str:
    """Return the message about a package that the rehearsal account needs."""
    return f"no {error.name}: the rehearsal account needs it; install tapstack with its extra rehearsal"


def _run(port: int, empty: bool, enforce_iam: bool, stopped: threading.Event, out: TextIO, err: TextIO) -> int:
    with contextlib.ExitStack() as until_stopped:
        with Progress(lambda line: print(line, file=err, flush=True)) as progress, progress.doing("starting"):
            from strictmoto.account import Account
            from strictmoto.company import found_company
            from tapstack.rehearsal.packet_basics import publish_template

            account = until_stopped.enter_context(Account(port=port, enforce_iam=enforce_iam))
            company = None if empty else found_company(account)
            template_url = None if empty else publish_template(account.client("s3", region="us-east-1"))
        # The terminal may be closed.
        with contextlib.suppress(OSError):
            print(_introduction(account, company, template_url), file=out, flush=True)
        stopped.wait()
    with contextlib.suppress(OSError):
        print("\nThe rehearsal account has stopped.", file=out, flush=True)
    return 0


def _introduction(account: Account, company: Company | None, template_url: str | None) -> str:
    from strictmoto.account import ACCOUNT_ID

    lines = [f"An AWS account for rehearsals listens on {account.endpoint}. Ctrl-C ends it."]
    lines += [f"Its account id is {ACCOUNT_ID}: allowed_account_ids has it, or is left out.", ""]
    lines += ["For boto3, the AWS CLI and Terraform:", ""]
    # A session token of others would be sent with these keys, and Terraform prefers a profile to them.
    lines += ["unset AWS_SESSION_TOKEN AWS_PROFILE"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in account.environment.items()]
    if company is not None:
        lines += ["", "It holds a small company:", ""]
        for name, vpc in (("shop", company.shop), ("office", company.office)):
            lines.append(f"  {name:<9} {vpc.id} {vpc.cidr}, private subnets {', '.join(vpc.private)}")
        lines += [
            f"  {name:<9} {instance} with {', '.join(company.interfaces[name])}"
            for name, instance in sorted(company.instances.items())
        ]
    if template_url is not None:
        lines += ["", "A stand-in for ExtraHop Packet Basics, as the template_url of a deployment file:", ""]
        lines += [f"  {template_url}"]
    return "\n".join(lines)
