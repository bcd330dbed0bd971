"""pytest fixtures: an account for a test.

Enable them with `pytest_plugins = ["strictmoto.testing.pytest_plugin"]` in the top conftest.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from strictmoto.account import Account
from strictmoto.faults import Faults


@pytest.fixture(scope="session")
def aws_account_server() -> Iterator[Account]:
    """One listening account for the whole run; starting one takes longer than emptying it."""
    with Account() as account:
        yield account


@pytest.fixture
def aws_account(aws_account_server: Account) -> Account:
    """An empty account: no resource, no recorded call, no fault."""
    aws_account_server.reset()
    return aws_account_server


@pytest.fixture
def aws_faults(aws_account: Account) -> Iterator[Faults]:
    """The faults of that account, none at first: `aws_faults.add(Fault("CreateStack", "throttled", call=2))`."""
    yield aws_account.faults
    aws_account.faults.clear()
