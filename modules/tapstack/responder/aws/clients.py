"""Clients of AWS services: created when first used, shared by threads, with timeouts below those of the functions.

botocore alone is used, because importing boto3 takes half as long again and adds nothing
that is needed here. Sources: botocore's Config reference; AWS SDKs and Tools Reference
Guide, "Retry behavior".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import ConnectionError, HTTPClientError

from tapstack.responder.environment import environment

PARALLEL: Final = 8
"""Threads that call EC2 and the table at once."""
# At worst 4 attempts of 8 seconds and 7 seconds between them: well below the functions' timeout of
# two minutes. The API has its own, below the gateway's half minute.
_STEPS: Final = {"read_timeout": 8, "retries": {"mode": "standard", "total_max_attempts": 4}}
_QUICK: Final = {"read_timeout": 4, "retries": {"mode": "standard", "total_max_attempts": 3}}
# At worst 2 attempts of 4 seconds and 1 second between them, once in an invocation for each of two services, SNS and
# EventBridge: 18 of the API's 25 seconds. The second attempt is for throttling and lost connections.
_DELIVERING: Final = {
    "connect_timeout": 1,
    "read_timeout": 3,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}

_lock = threading.Lock()
_clients: dict[str, Any] = {}
_options: dict[str, Any] = dict(_STEPS)
_unanswered: dict[str, Exception] = {}


def client(service: str) -> Any:
    """Return the client of a service, such as `ec2`."""
    return _made(service, service, _options)


def client_without_retries(service: str) -> Any:
    """Return a client that does not retry: for calls that must not be repeated and accept no client token."""
    return _made(f"{service}, once", service, {**_options, "retries": {"total_max_attempts": 1}})


@contextmanager
def delivering(service: str) -> Iterator[Any]:
    """Yield the client of a service that takes deliveries: it waits briefly, because what fails is delivered later.

    A service that does not answer is called no more in this invocation, which needs its time to keep what fails.

    Raises:
        ConnectionError, HTTPClientError: it did not answer, now or before.
    """
    if (before := _unanswered.get(service)) is not None:
        raise before
    try:
        yield _made(f"{service}, delivering", service, _DELIVERING)
    except (ConnectionError, HTTPClientError) as error:
        _unanswered[service] = error
        raise


def call_unanswered_again() -> None:
    """Call services again that did not answer: an invocation begins."""
    _unanswered.clear()


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
        _clients.clear()


def reset() -> None:
    """Discard all clients, for another environment."""
    with _lock:
        _options.update(_STEPS)
        _clients.clear()
        _unanswered.clear()
