"""Calls to this machine that no proxy sees, whatever proxy the environment names.

Proxies are named in HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, and left out for the hosts in NO_PROXY, each in upper or
lower case; programs differ in which case they read first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

_NAMES: Final = ("NO_PROXY", "no_proxy")
_HERE: Final = ("127.0.0.1", "localhost")
_EVERY_HOST: Final = "*"
"""Python's standard library understands it only where it stands alone."""


def without_proxy(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return NO_PROXY in both cases, with what they hold and this machine.

    Args:
        environment: the variables that are set.
    """
    held = [environment[name] for name in _NAMES if environment.get(name)]
    return {name: _with_this_machine(environment.get(name) or "".join(held[:1])) for name in _NAMES}


@contextmanager
def reached_without_proxy() -> Iterator[None]:
    """Let nothing in this process, and in those that it starts, use a proxy for calls to this machine."""
    before = {name: os.environ.get(name) for name in _NAMES}
    os.environ.update(without_proxy())
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _with_this_machine(held: str) -> str:
    hosts = [host.strip() for host in held.split(",") if host.strip()]
    if _EVERY_HOST in hosts:
        return _EVERY_HOST
    return ",".join([*hosts, *(host for host in _HERE if host not in hosts)])
