"""Cases of one test, of which CI runs some: what takes seconds for each of many like cases."""

from __future__ import annotations

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


def _as_set(case: Any, single: bool) -> Any:
    if hasattr(case, "marks"):
        return case
    return pytest.param(case) if single else pytest.param(*case)
