"""What a path finds: the value itself where it can lead to one only, and else a list of all that it leads to.

moto gives a list for a path behind an index, the value itself where a wildcard finds one, and an error where a filter
finds none.

Sources: Step Functions Developer Guide, "Using JSONPath paths"; Amazon States Language, "Paths" and "Reference Paths".
Paths are evaluated as Jayway's JsonPath does, which the guide names: a path with a wildcard, a slice, a filter or a
descent is indefinite and gives a list, an empty one too, but what it has before those must be there.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from moto.stepfunctions.parser.asl.utils import json_path

# Of the parser that moto uses, whose classes are not the same in all its versions.
_INDEFINITE: Final = frozenset({"Descendants", "Filter", "Slice", "Wildcard"})


@dataclass(frozen=True, slots=True)
class _Found:
    """The one match that moto's reader is given; it takes the value of such a match as it is."""

    value: Any
    path: None = None
    context: None = None


class _Path:
    """A path that was parsed; it finds one value, or none."""

    def __init__(self, parsed: Any) -> None:
        self._parsed = parsed
        indefinite = list(_indefinite_parts(parsed))
        self._before = _left_of(indefinite[0]) if indefinite else None
        self._definite = not indefinite

    def find(self, data: Any) -> list[_Found]:
        """Return what the path leads to, as one match; nothing where it leads nowhere."""
        if self._definite:
            return [_Found(match.value) for match in self._parsed.find(data)[:1]]
        if self._before is not None and not self._before.find(data):
            return []
        return [_Found([match.value for match in self._parsed.find(data)])]


def _indefinite_parts(parsed: Any) -> Iterator[Any]:
    """Yield the parts of a path that may lead to several values, the first one first: each with what is before it."""
    if _kind_of(parsed) == "Child":
        yield from _indefinite_parts(parsed.left)
        if _is_indefinite(parsed.right):
            yield parsed
    elif _is_indefinite(parsed):
        yield parsed


def _is_indefinite(part: Any) -> bool:
    kind = _kind_of(part)
    if kind == "Fields":
        return len(part.fields) != 1 or part.fields[0] == "*"
    if kind == "Index":
        return len(getattr(part, "indices", (0,))) != 1
    return kind in _INDEFINITE


def _kind_of(part: Any) -> str:
    return type(part).__name__


def _left_of(part: Any) -> Any:
    return part.left if _kind_of(part) in ("Child", "Descendants") else None


def install() -> None:
    """Make moto's reader of paths find so. Parsing takes far longer than finding; what is parsed is never changed."""
    paths: Any = json_path
    parse = paths.parse
    paths.parse = functools.lru_cache(4096)(lambda path: _Path(parse(path)))
    # What leads nowhere is an error now, whatever the path looks like.
    paths._contains_slice_or_wildcard_array = lambda path: False
