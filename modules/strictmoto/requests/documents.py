"""The documents that callers hand over inside of a call: JSON, which may be nested without end.

A reader that recurses ends somewhere: Python's with an error of its own, libyaml's composer with the whole process. So
levels are counted before anything goes through a document. AWS documents no such bound of its documents, but for
sizes; DEEPEST lies far beyond what a template, a policy, a pattern or a state machine is nested.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

DEEPEST: Final = 100
"""Levels of lists and objects in one document."""


class TooDeepError(ValueError):
    """A document that is nested more than DEEPEST levels deep."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__(f"nested more than {DEEPEST} levels deep")


def read_json(text: str | bytes) -> Any:
    """Return a document of JSON.

    Raises:
        TooDeepError: it is nested too deep.
        ValueError: it is no JSON.
    """
    try:
        document = json.loads(text)
    except RecursionError:
        raise TooDeepError from None
    opened = (text.count("{") + text.count("[")) if isinstance(text, str) else text.count(b"{") + text.count(b"[")
    # Nearly all have fewer brackets than levels are allowed.
    if opened > DEEPEST and _levels(document) > DEEPEST:
        raise TooDeepError
    return document


def _levels(document: Any) -> int:
    """Count the levels of a document without recursion."""
    levels, level = 0, _collections([document])
    while level:
        levels += 1
        level = [part for held in level for part in _collections(held.values() if isinstance(held, dict) else held)]
    return levels


def _collections(parts: Iterable[Any]) -> list[Any]:
    return [part for part in parts if isinstance(part, dict | list)]
