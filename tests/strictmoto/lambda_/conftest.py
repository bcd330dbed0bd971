from pathlib import Path

import pytest

from strictmoto.account import Account
from tests.strictmoto.lambda_.functions import Lambda


@pytest.fixture
def functions(aws_account: Account) -> Lambda:
    return Lambda(aws_account)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A file that functions of this machine can write to, whatever becomes of their process."""
    return tmp_path / "notes"
