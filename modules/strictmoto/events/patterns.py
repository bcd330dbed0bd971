"""Which events a pattern means.

Source: Amazon EventBridge User Guide, "Creating Amazon EventBridge event patterns" and "Comparison operators for
use in event patterns in Amazon EventBridge".
"""

from __future__ import annotations

import functools
import ipaddress
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from strictmoto.requests.documents import read_json

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# AWS: numbers between -5.0e9 and +5.0e9, inclusive.
_LARGEST_NUMBER: Final = 5.0e9
_TEXT_MATCHES: Final = ("prefix", "suffix", "equals-ignore-case", "wildcard")
_LONGEST: Final = 4096


class PatternError(ValueError):
    """A pattern that AWS refuses."""


def parse(text: str) -> dict[str, Any]:
    """Return a pattern that AWS accepts.

    Raises:
        PatternError: it does not; says why.
    """
    try:
        pattern = read_json(text)
    except ValueError:
        raise PatternError("Filter is not an object") from None
    if not isinstance(pattern, dict):
        raise PatternError("Filter is not an object")
    if not pattern:
        raise PatternError("Empty filter")
    if len(text) > _LONGEST:
        raise PatternError(f"Event pattern must have length less than or equal to {_LONGEST}")
    _check(pattern)
    return pattern


def matches(pattern: dict[str, Any], event: Any) -> bool:
    """Whether a pattern means an event, or a part of one."""
    return all(_field_matches(name, wanted, event) for name, wanted in pattern.items())


def _field_matches(name: str, wanted: Any, event: Any) -> bool:
    if name == "$or" and isinstance(wanted, list):
        return any(matches(choice, event) for choice in wanted)
    found = event.get(name) if isinstance(event, dict) else None
    present = isinstance(event, dict) and name in event
    if isinstance(wanted, dict):
        # All fields of one pattern must be met by one item of an array.
        parts = [item for item in _flat(found) if isinstance(item, dict)] if isinstance(found, list) else [found]
        return any(matches(wanted, part if isinstance(part, dict) else {}) for part in parts or [{}])
    leaves = list(_leaves(found)) if present else []
    return any(_any_matches(rule, leaves) for rule in wanted)


def _flat(value: Any) -> Iterator[Any]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def _leaves(value: Any) -> Iterator[Any]:
    return (item for item in _flat(value) if not isinstance(item, dict))


def _any_matches(rule: Any, leaves: list[Any]) -> bool:
    if isinstance(rule, dict) and "exists" in rule:
        return bool(leaves) is rule["exists"]
    return any(_leaf_matches(rule, leaf) for leaf in leaves)


def _leaf_matches(rule: Any, leaf: Any) -> bool:
    if not isinstance(rule, dict):
        return _same(rule, leaf)
    [(kind, wanted)] = rule.items()
    if kind == "anything-but":
        return not _excluded(wanted, leaf)
    if kind == "numeric":
        return _in_range(wanted, leaf)
    if kind == "cidr":
        return _in_network(wanted, leaf)
    return _text_matches(kind, wanted, leaf)


def _same(one: Any, other: Any) -> bool:
    # EventBridge compares how numbers are written: 300 is not 300.0; and true is not 1.
    return type(one) is type(other) and bool(one == other)


def _excluded(wanted: Any, leaf: Any) -> bool:
    if isinstance(wanted, dict):
        [(kind, value)] = wanted.items()
        return any(_text_matches(kind, each, leaf) for each in _flat(value))
    return any(_same(each, leaf) for each in _flat(wanted))


def _text_matches(kind: str, wanted: Any, leaf: Any) -> bool:
    if not isinstance(leaf, str):
        return False
    if isinstance(wanted, dict):
        wanted, leaf = wanted["equals-ignore-case"].casefold(), leaf.casefold()
    match kind:
        case "prefix":
            return bool(leaf.startswith(wanted))
        case "suffix":
            return bool(leaf.endswith(wanted))
        case "equals-ignore-case":
            return bool(leaf.casefold() == wanted.casefold())
    return _wildcard(wanted).fullmatch(leaf) is not None


@functools.lru_cache(1024)
def _wildcard(text: str) -> re.Pattern[str]:
    parts = re.findall(r"\\[*\\]|\*|[^*\\]+|\\", text)
    regex = "".join(".*" if part == "*" else re.escape(part[-1] if part[0] == "\\" else part) for part in parts)
    return re.compile(regex, re.DOTALL)


def _in_range(wanted: list[Any], leaf: Any) -> bool:
    if isinstance(leaf, bool) or not isinstance(leaf, int | float) or abs(leaf) > _LARGEST_NUMBER:
        return False
    return all(_COMPARISONS[sign](leaf, bound) for sign, bound in zip(wanted[::2], wanted[1::2], strict=True))


def _in_network(wanted: str, leaf: Any) -> bool:
    try:
        return ipaddress.ip_address(leaf) in ipaddress.ip_network(wanted, strict=False)
    except (ValueError, TypeError):
        return False


def _check(pattern: dict[str, Any]) -> None:
    for name, wanted in pattern.items():
        if name == "$or" and isinstance(wanted, list) and all(isinstance(choice, dict) for choice in wanted):
            if len(wanted) < 2:
                raise PatternError("There must have at least 2 Objects in $or relationship.")
            for choice in wanted:
                if not choice:
                    raise PatternError("Empty objects are not allowed")
                _check(choice)
        elif isinstance(wanted, dict):
            if not wanted:
                raise PatternError("Empty objects are not allowed")
            _check(wanted)
        elif isinstance(wanted, list):
            if not wanted:
                raise PatternError("Empty arrays are not allowed")
            for rule in wanted:
                _check_rule(rule)
        else:
            raise PatternError(f'"{name}" must be an object or an array')


def _check_rule(rule: Any) -> None:
    if isinstance(rule, list):
        raise PatternError("Arrays within arrays are not allowed")
    if not isinstance(rule, dict):
        return
    if len(rule) != 1:
        raise PatternError("Only one key allowed in match expression")
    [(kind, wanted)] = rule.items()
    if kind == "exists":
        if not isinstance(wanted, bool):
            raise PatternError("exists match pattern must be either true or false.")
    elif kind == "numeric":
        _check_numeric(wanted)
    elif kind == "cidr":
        _check_cidr(wanted)
    elif kind == "anything-but":
        _check_anything_but(wanted)
    elif kind in _TEXT_MATCHES:
        _check_text(kind, wanted)
    else:
        raise PatternError(f"Unrecognized match type {kind}")


def _check_text(kind: str, wanted: Any) -> None:
    if isinstance(wanted, dict) and kind in ("prefix", "suffix") and list(wanted) == ["equals-ignore-case"]:
        wanted = wanted["equals-ignore-case"]
    if not isinstance(wanted, str):
        raise PatternError(f"{kind} match pattern must be a string")
    if kind == "wildcard" and re.search(r"(?<!\\)\*\*", wanted):
        raise PatternError("Consecutive wildcard characters are not allowed")
    if kind == "wildcard" and re.search(r"(?<!\\)(\\\\)*\\(?![*\\])", wanted):
        raise PatternError("Invalid escape character in wildcard")


def _check_anything_but(wanted: Any) -> None:
    if isinstance(wanted, dict):
        if len(wanted) != 1 or next(iter(wanted)) not in _TEXT_MATCHES:
            raise PatternError("Unsupported anything-but pattern")
        [(kind, values)] = wanted.items()
        for value in values if isinstance(values, list) else [values]:
            _check_text(kind, value)
        values_given = values != []
    else:
        values_given = wanted != []
        kinds = {type(value) for value in (wanted if isinstance(wanted, list) else [wanted])}
        if not (kinds <= {str} or kinds <= {int, float}):
            raise PatternError("Inside anything but list, either all values are numbers or strings")
    if not values_given:
        raise PatternError("Empty arrays are not allowed")


def _check_numeric(wanted: Any) -> None:
    if not isinstance(wanted, list) or len(wanted) not in (2, 4):
        raise PatternError("Value of numeric must be an array of an operator and a number, or two of them")
    for sign, bound in zip(wanted[::2], wanted[1::2], strict=True):
        if sign not in _COMPARISONS:
            raise PatternError(f"Unrecognized numeric range operator: {sign}")
        if isinstance(bound, bool) or not isinstance(bound, int | float):
            raise PatternError(f"Value of {sign} must be numeric")
        if abs(bound) > _LARGEST_NUMBER:
            raise PatternError("Value must be between -5.0E9 and 5.0E9, inclusive")
    if len(wanted) == 4 and not (wanted[0].startswith(">") and wanted[2].startswith("<") and wanted[1] < wanted[3]):
        raise PatternError("Bottom must be less than top")


def _check_cidr(wanted: Any) -> None:
    try:
        ipaddress.ip_network(wanted, strict=False)
    except (ValueError, TypeError):
        raise PatternError(f"Malformed CIDR: {wanted}") from None
