"""The patterns of IAM policies: `*` for any text, `?` for any one character, `${...}` for a value of the request.

Source: IAM User Guide, "IAM JSON policy elements: Resource" and "IAM policy elements: Variables and tags". Variables
exist in policies of version 2012-10-17 only; what one stands for is plain text, whatever it holds.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Final

Lookup = Callable[[str], tuple[str, ...] | None]
"""Returns the values of a condition key in lower case; None for a key that the request does not have."""

_PLACE: Final = re.compile(r"\$\{([^}]*)\}")
_SPECIAL: Final = frozenset("*?$")
_WILD: Final = re.compile(r"\*+|\?")


def matches(pattern: str, text: str) -> bool:
    """Return whether the whole text fits a pattern without variables."""
    return pattern == text or _regex((pattern,)).fullmatch(text) is not None


def pattern_matches(pattern: str, text: str, lookup: Lookup | None) -> bool:
    """Return whether the whole text fits a pattern; one whose variable has no value fits nothing.

    Args:
        pattern: of a policy.
        text: of the request.
        lookup: what variables stand for; None where the policy has none.
    """
    if lookup is None or "${" not in pattern:
        return matches(pattern, text)
    parts = _filled(pattern, lookup)
    return parts is not None and _regex(parts).fullmatch(text) is not None


def filled(text: str, lookup: Lookup | None) -> str | None:
    """Return a text without wildcards with the values of its variables; None where one has none."""
    if lookup is None or "${" not in text:
        return text
    parts = _filled(text, lookup)
    return None if parts is None else "".join(parts)


def _filled(pattern: str, lookup: Lookup) -> tuple[str, ...] | None:
    """Return a pattern in parts: every second one is plain text, a value."""
    parts = list(_PLACE.split(pattern))
    for position in range(1, len(parts), 2):
        value = _value(parts[position], lookup)
        if value is None:
            return None
        parts[position] = value
    return tuple(parts)


def _value(variable: str, lookup: Lookup) -> str | None:
    if variable in _SPECIAL:
        return variable
    key, comma, default = variable.partition(",")
    found = lookup(key.strip().lower())
    # A key with several values is no variable.
    if found is not None and len(found) == 1:
        return found[0]
    return default.strip().strip("'") if comma else None


@functools.lru_cache(4096)
def _regex(parts: tuple[str, ...]) -> re.Pattern[str]:
    """Return the expression of a pattern; it takes time that grows with the lengths only."""
    pieces = [""]
    for position, part in enumerate(parts):
        if position % 2:
            pieces[-1] += re.escape(part)
            continue
        begin = 0
        for wild in _WILD.finditer(part):
            pieces[-1] += re.escape(part[begin : wild.start()])
            begin = wild.end()
            if wild[0] == "?":
                pieces[-1] += "."
            else:
                pieces.append("")
        pieces[-1] += re.escape(part[begin:])
    first, *rest = pieces
    if not rest:
        return re.compile(first, re.DOTALL)
    # What a star takes first is right for all that follows: nothing has to be tried again.
    inner = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return re.compile(f"{first}{inner}.*{rest[-1]}", re.DOTALL)
