"""A pytest plugin: moto's own tests, in its server mode, against stock moto or the rehearsal account.

Loaded by `scripts.moto_tests` only. `$TAPSTACK_MOTO_TESTS` says against which.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from moto.core.models import MockAWS, ServerModeMockAWS

_servers: list[Any] = []


def pytest_configure(config: pytest.Config) -> None:
    """Start the server, and have moto's decorators use it."""
    if os.environ["TAPSTACK_MOTO_TESTS"] == "stock":
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        _servers.append(server)
        host, port = server.get_host_and_port()
        os.environ["TEST_SERVER_MODE_ENDPOINT"] = f"http://{host}:{port}"
        return
    from strictmoto.account import Account

    # These tests use roles that do not exist; that is not their subject.
    account = Account(enforce_iam=False)
    account.start()
    _servers.append(account)
    os.environ["TEST_SERVER_MODE_ENDPOINT"] = account.endpoint

    def reset(self: ServerModeMockAWS) -> None:
        del self
        account.reset()
        account.waits.scale = 0.001

    # Not over HTTP: moto's own API is shut in the account.
    ServerModeMockAWS.reset = reset  # type: ignore[method-assign]
    ordinary = MockAWS.__init__

    def with_credentials(self: Any, *args: Any, **keywords: Any) -> None:
        ordinary(self, *args, **keywords)
        self._fake_creds = account.credentials.as_environment()

    MockAWS.__init__ = with_credentials  # type: ignore[method-assign]
    config.pluginmanager.register(_Fresh(account))


class _Fresh:
    """Empties the account before each test: some of moto's make what they need without its decorators."""

    def __init__(self, account: Any) -> None:
        self.account = account

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Empty it."""
        self.account.reset()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server."""
    del config
    for server in _servers:
        server.stop()
