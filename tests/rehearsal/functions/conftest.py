from pathlib import Path

import pytest

from strictmoto.account import Account
from tests.rehearsal.functions.functions import Lambda


@pytest.fixture
def functions(rehearsal_account: Account) -> Lambda:
    return Lambda(rehearsal_account)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A file that functions of this machine can write to, whatever becomes of their process."""
    return tmp_path / "notes"
