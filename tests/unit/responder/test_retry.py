"""The optimistic retry."""

from __future__ import annotations

import pytest

from tapstack.responder.errors import TryAgain
from tapstack.responder.store.retry import retried


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it paused, each time."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    return pauses


def test_when_others_are_faster_then_it_begins_again(slept: list[float]) -> None:
    answers = iter([None, None, False])
    assert retried(lambda: next(answers), "never", pause=(0.2, 0.2)) is False
    assert slept == [0, 0.2, 0.4]


def test_fails_when_others_are_faster_each_time(slept: list[float]) -> None:
    made: list[int] = []

    def attempt() -> None:
        made.append(len(made))

    with pytest.raises(TryAgain, match=r"^given up after 3$"):
        retried(attempt, lambda: f"given up after {len(made)}", tries=3)
    assert made == [0, 1, 2]
