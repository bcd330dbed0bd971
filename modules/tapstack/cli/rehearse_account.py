"""`tapstack rehearse account`: an AWS account on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from tapstack.rehearsal.account import Account
    from tapstack.rehearsal.company import Company


def rehearse_account(*, port: int, empty: bool, out: TextIO, err: TextIO) -> int:
    """Run an account until the user stops it; return 0, or 2 when it cannot start.

    Args:
        port: loopback port; 0 for a free one.
        empty: leave out the company.
        out: gets the endpoint and how to use it.
        err: gets what is wrong.
    """
    from tapstack.rehearsal.account import Account
    from tapstack.rehearsal.company import found_company

    stopped = threading.Event()
    account = Account(port=port)
    try:
        account.start()
    except OSError as error:
        print(
            f"port {port}: {os.strerror(error.errno or 0)}: choose another one with --port, or leave it out", file=err
        )
        return 2

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        company = None if empty else found_company(account)
        print(_introduction(account, company), file=out, flush=True)
        stopped.wait()
    finally:
        account.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    print("\nThe rehearsal account is gone.", file=out)
    return 0


def _introduction(account: Account, company: Company | None) -> str:
    lines = [f"An AWS account for rehearsals listens on {account.endpoint}. Ctrl-C ends it.", ""]
    lines += ["For boto3, the AWS CLI and Terraform:", ""]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in account.environment.items()]
    if company is not None:
        lines += ["", "It holds a small company:", ""]
        for name, vpc in (("shop", company.shop), ("office", company.office)):
            lines.append(f"  {name:<9} {vpc.id} {vpc.cidr}, private subnets {', '.join(vpc.private)}")
        lines += [
            f"  {name:<9} {instance} with {', '.join(company.interfaces[name])}"
            for name, instance in sorted(company.instances.items())
        ]
    return "\n".join(lines)
