"""The account without IAM, for tests that are about something else: a conftest imports both fixtures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from strictmoto.account import Account


@pytest.fixture(scope="module")
def enforces_iam() -> bool:
    """Whether IAM is enforced in a module's tests: a service is tried without policies that allow it."""
    return False


@pytest.fixture(autouse=True, scope="module")
def iam(aws_account_server: Account, enforces_iam: bool) -> Iterator[None]:
    """Have the account enforce IAM or not, as a module's tests want it."""
    aws_account_server.enforces_iam = enforces_iam
    yield
    aws_account_server.enforces_iam = True
