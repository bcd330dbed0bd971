"""The optimistic retry: read, write on condition of what was read, and begin again where others wrote first."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from tapstack.responder.errors import TryAgain

T = TypeVar("T")
TRIES: Final = 5


def retried(
    attempt: Callable[[], T | None],
    otherwise: str | Callable[[], str],
    *,
    tries: int = TRIES,
    pause: tuple[float, float] = (0, 0),
) -> T:
    """Repeat an attempt until it returns a result, and return that.

    Args:
        attempt: reads and writes; returns None where others wrote first.
        otherwise: the message of the error after the last try.
        tries: how many there are.
        pause: seconds between the first two, at least and at most; twice as long after the second, and so on.

    Raises:
        TryAgain: others wrote first each time.
    """
    for turn in range(tries):
        time.sleep(turn * random.uniform(*pause))
        if (done := attempt()) is not None:
            return done
    raise TryAgain(otherwise if isinstance(otherwise, str) else otherwise())
