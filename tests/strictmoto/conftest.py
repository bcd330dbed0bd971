"""The account for tests of its services, and its waits."""

from __future__ import annotations

import pytest

from strictmoto.running import Waits
from tests.iam_off import enforces_iam as enforces_iam
from tests.iam_off import iam as iam


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Every wait that the account begins: its seconds on AWS, and here. What a test cannot hold by a clock."""
    begun: list[tuple[float, float]] = []
    scaled = Waits.of

    def of(self: Waits, seconds: float) -> float:
        lasts = scaled(self, seconds)
        begun.append((seconds, lasts))
        return lasts

    monkeypatch.setattr(Waits, "of", of)
    return begun
