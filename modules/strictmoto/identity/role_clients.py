"""boto3 clients with which the account's services call the account itself, as the role they were given.

What they do is recorded like any other call, under the role's name.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import boto3
from botocore.config import Config

from strictmoto.identity.principals import assume
from strictmoto.running import Running, running

# A synchronous function may answer after 15 minutes.
_LONGEST_ANSWER: Final = 910
_lock = threading.RLock()
_clients: dict[tuple[str, str, str, str], Any] = {}
_registered: list[Running] = []


def client(
    service: str, region: str, role_arn: str, session_name: str, *, caller: str = "", source_arn: str = ""
) -> Any:
    """Return a client of the account that calls as the role; no call is tried twice.

    Args:
        service: boto3's name of it.
        region: where to call.
        role_arn: whose credentials to use.
        session_name: how the calling service names its session.
        caller: the service that assumes the role, for example events.amazonaws.com; empty where it was asked before.
        source_arn: of what it is assumed for, where that service names it.

    Raises:
        CannotAssumeError: it cannot be assumed, where IAM is enforced.
        RuntimeError: no account runs.
    """
    account = running()
    key = (service, region, role_arn, session_name)
    # One at a time: boto3's default session is not made for several threads.
    with _lock:
        if account not in _registered:
            _registered[:] = [account]
            _clients.clear()
        if not _clients:
            account.at_reset.append(forget)
        if key not in _clients:
            _clients[key] = boto3.client(
                service,
                region_name=region,
                endpoint_url=account.endpoint,
                config=Config(
                    parameter_validation=False,
                    retries={"total_max_attempts": 1},
                    proxies={},
                    connect_timeout=10,
                    read_timeout=_LONGEST_ANSWER,
                    max_pool_connections=64,
                ),
                **assume(role_arn, session_name, region, service=caller, source_arn=source_arn).as_arguments(),
            )
        return _clients[key]


def forget() -> None:
    """Drop all clients, because the account forgets their credentials."""
    with _lock:
        for made in _clients.values():
            made.close()
        _clients.clear()
