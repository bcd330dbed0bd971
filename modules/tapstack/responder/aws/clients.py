"""Clients of AWS services: created when first used, shared by threads, with timeouts below those of the functions.

botocore alone is used, because importing boto3 takes half as long again and adds nothing
that is needed here. Sources: botocore's Config reference; AWS SDKs and Tools Reference
Guide, "Retry behavior".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import ConnectionError, HTTPClientError

from tapstack.responder.environment import environment
from tapstack.responder.errors import TryAgain

PARALLEL: Final = 8
"""Threads that call EC2 and the table at once."""
# At worst 4 attempts of 8 seconds and 7 seconds between them: well below the functions' timeout of
# two minutes. The API has its own, below the gateway's half minute.
_STEPS: Final = {"read_timeout": 8, "retries": {"mode": "standard", "total_max_attempts": 4}}
_QUICK: Final = {"read_timeout": 4, "retries": {"mode": "standard", "total_max_attempts": 3}}
# At worst 2 attempts of 4 seconds and 1 second between them. The second attempt is for throttling and lost connections.
_DELIVERING: Final = {
    "connect_timeout": 1,
    "read_timeout": 3,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}

DELIVERING_SECONDS: Final = 60
"""After how long an invocation delivers no more, where services answer slowly: what is left is delivered later."""
_QUICK_DELIVERING_SECONDS: Final = 10
"""Likewise behind the API: with the last call 19 of its 25 seconds."""

_lock = threading.Lock()
_clients: dict[str, Any] = {}
_options: dict[str, Any] = dict(_STEPS)
_unanswered: dict[str, Exception] = {}


@dataclass(slots=True)
class _Deliveries:
    """How long deliveries took in this invocation, and how long they may."""

    spent: float = 0.0
    most: float = DELIVERING_SECONDS


_deliveries = _Deliveries()


def client(service: str) -> Any:
    """Return the client of a service, such as `ec2`."""
    return _made(service, service, _options)


def client_without_retries(service: str) -> Any:
    """Return a client that does not retry: for calls that must not be repeated and accept no client token."""
    return _made(f"{service}, once", service, {**_options, "retries": {"total_max_attempts": 1}})


@contextmanager
def delivering(service: str) -> Iterator[Any]:
    """Yield the client of a service that takes deliveries: it waits briefly, because what fails is delivered later.

    A service that does not answer is called no more in this invocation, and none is where their answers took long in
    all: it needs its time to keep what fails.

    Raises:
        ConnectionError, HTTPClientError: it did not answer, now or before.
        TryAgain: there is no time left.
    """
    if (before := _unanswered.get(service)) is not None:
        raise before
    if _deliveries.spent >= _deliveries.most:
        raise TryAgain(f"{service} was not called: deliveries took {_deliveries.spent:.0f} s already")
    began = time.monotonic()
    try:
        yield _made(f"{service}, delivering", service, _DELIVERING)
    except (ConnectionError, HTTPClientError) as error:
        _unanswered[service] = error
        raise
    finally:
        _deliveries.spent += time.monotonic() - began


def deliver_anew() -> None:
    """Deliver for as long as an invocation may, whatever deliveries took before."""
    _deliveries.spent = 0.0


def call_unanswered_again() -> None:
    """Call services again that did not answer: an invocation begins."""
    _unanswered.clear()
    deliver_anew()


def _made(name: str, service: str, options: dict[str, Any]) -> Any:
    # Creating clients is not safe in threads, using them is.
    with _lock:
        if name not in _clients:
            config = Config(**{"connect_timeout": 3, "max_pool_connections": 2 * PARALLEL, **options})
            _clients[name] = botocore.session.get_session().create_client(
                service, region_name=environment().home.region or None, config=config
            )
        return _clients[name]


def use_short_timeouts() -> None:
    """Use shorter timeouts, for the function behind the API."""
    with _lock:
        _options.update(_QUICK)
        _deliveries.most = _QUICK_DELIVERING_SECONDS
        _clients.clear()


def reset() -> None:
    """Discard all clients, for another environment."""
    with _lock:
        _options.update(_STEPS)
        _deliveries.most = DELIVERING_SECONDS
        _clients.clear()
    call_unanswered_again()
