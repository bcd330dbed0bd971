"""What CI runs some of: cases of one test that take seconds each, and tests where hundreds go along the same roads."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def sampled(names: str | Sequence[str], cases: Iterable[Any], *, every: int, ids: Any = None) -> pytest.MarkDecorator:
    """Parametrize a test: the first case, and each further one of `every`, stays; the others are marked long.

    Args:
        names: of the parameters, as `pytest.mark.parametrize` takes them.
        cases: as `pytest.mark.parametrize` takes them.
        every: 2 or more.
        ids: as `pytest.mark.parametrize` takes them.
    """
    single = isinstance(names, str) and "," not in names
    given = [_as_set(case, single) for case in cases]
    return pytest.mark.parametrize(
        names,
        [
            one if number % every == 0 else pytest.param(*one.values, marks=[*one.marks, pytest.mark.long], id=one.id)
            for number, one in enumerate(given)
        ],
        ids=ids,
    )


def in_ci(nodeid: str) -> bool:
    """Return whether a test is in the half that CI runs: all cases of a test are, or none.

    Its name decides, so that the same tests run each time, and a further test changes nothing for those beside it.
    """
    return zlib.crc32(nodeid.partition("[")[0].encode()) % 2 == 0


def _as_set(case: Any, single: bool) -> Any:
    if hasattr(case, "marks"):
        return case
    return pytest.param(case) if single else pytest.param(*case)
