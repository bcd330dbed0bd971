"""pytest fixtures: a rehearsal account for a test.

Enable them with `pytest_plugins = ["strictmoto.testing.pytest_plugin"]` in the top conftest.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from strictmoto.account import Account
from strictmoto.faults import Faults


@pytest.fixture(scope="session")
def rehearsal_account_server() -> Iterator[Account]:
    """One listening account for the whole run; starting one takes longer than emptying it."""
    with Account() as account:
        yield account


@pytest.fixture
def rehearsal_account(rehearsal_account_server: Account) -> Account:
    """An empty account: no resource, no recorded call, no fault."""
    rehearsal_account_server.reset()
    return rehearsal_account_server


@pytest.fixture
def rehearsal_faults(rehearsal_account: Account) -> Iterator[Faults]:
    """The faults of that account, none at first: `rehearsal_faults.add(Fault("CreateStack", "throttled", call=2))`."""
    yield rehearsal_account.faults
    rehearsal_account.faults.clear()
