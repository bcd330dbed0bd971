"""Condition operators: what a policy compares the values of a request with.

Sources: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context
keys".
"""

from __future__ import annotations

import datetime
import ipaddress
import operator
from collections.abc import Callable, Mapping
from typing import Final

from strictmoto.iam.patterns import Lookup, filled, pattern_matches

Compare = Callable[[str, str, Lookup | None], bool]
"""Compares a value of the request with one of the policy."""


def holds(name: str, actual: tuple[str, ...] | None, expected: tuple[str, ...], variables: Lookup | None) -> bool:
    """Return whether a condition holds.

    A key that the request does not have: a negated comparison holds, IfExists holds, ForAllValues holds, all else
    does not.

    Args:
        name: of the operator, for example ForAnyValue:StringLikeIfExists.
        actual: values of the key in the request; None, or none, where it has no such key.
        expected: values in the policy, of which one is enough.
        variables: what `${...}` stands for.
    """
    quantifier, _, plain = name.rpartition(":")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    if plain == "Null":
        return any((not actual) is (value == "true") for value in expected)
    if plain not in _OPERATORS:
        return False
    test, negated = _OPERATORS[plain]
    if not actual:
        if if_exists or quantifier == "ForAllValues":
            return True
        return negated and quantifier != "ForAnyValue"
    results = [any(test(value, one, variables) for one in expected) is not negated for value in actual]
    return any(results) if quantifier == "ForAnyValue" else all(results)


def is_operator(name: str) -> bool:
    """Return whether there is such an operator, with what may stand before and behind it."""
    quantifier, _, plain = name.rpartition(":")
    if quantifier not in ("", "ForAllValues", "ForAnyValue"):
        return False
    # The operator Null takes no IfExists.
    return plain == "Null" or plain.removesuffix("IfExists") in _OPERATORS


def _string(test: Callable[[str, str], bool]) -> Compare:
    def compare(value: str, expected: str, variables: Lookup | None) -> bool:
        text = filled(expected, variables)
        return text is not None and test(value, text)

    return compare


def _arn(value: str, expected: str, variables: Lookup | None) -> bool:
    # Each of the six parts is matched by itself; the last one holds whatever colons are left.
    values, patterns = value.split(":", 5), _split(expected)
    return len(values) == len(patterns) and all(
        pattern_matches(pattern, part, variables) for pattern, part in zip(patterns, values, strict=True)
    )


def _split(arn: str) -> list[str]:
    """Split an ARN at its first five colons, but for those in variables such as ${aws:username}."""
    parts, depth = [""], 0
    for position, letter in enumerate(arn):
        if letter == "{" and arn[position - 1 : position] == "$":
            depth += 1
        elif letter == "}" and depth:
            depth -= 1
        if letter == ":" and not depth and len(parts) < 6:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _number(test: Callable[[float, float], bool]) -> Compare:
    def compare(value: float | str, expected: float | str, _: Lookup | None) -> bool:
        try:
            return test(float(value), float(expected))
        except ValueError:
            return False

    return compare


def _date(test: Callable[[float, float], bool]) -> Compare:
    def compare(value: str, expected: str, _: Lookup | None) -> bool:
        try:
            return test(_moment(value), _moment(expected))
        except ValueError:
            return False

    return compare


def _moment(text: str) -> float:
    """Return seconds since 1970 of a date of ISO 8601, or of what is such a number already."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _in_range(value: str, expected: str, _: Lookup | None) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(expected, strict=False)
    except ValueError:
        return False


def _ignoring_case(value: str, expected: str) -> bool:
    return value.lower() == expected.lower()


_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
_OPERATORS: Final[Mapping[str, tuple[Compare, bool]]] = {
    "StringEquals": (_string(operator.eq), False),
    "StringNotEquals": (_string(operator.eq), True),
    "StringEqualsIgnoreCase": (_string(_ignoring_case), False),
    "StringNotEqualsIgnoreCase": (_string(_ignoring_case), True),
    "StringLike": (lambda value, expected, variables: pattern_matches(expected, value, variables), False),
    "StringNotLike": (lambda value, expected, variables: pattern_matches(expected, value, variables), True),
    "ArnEquals": (_arn, False),
    "ArnLike": (_arn, False),
    "ArnNotEquals": (_arn, True),
    "ArnNotLike": (_arn, True),
    "BinaryEquals": (_string(operator.eq), False),
    "Bool": (_string(_ignoring_case), False),
    "IpAddress": (_in_range, False),
    "NotIpAddress": (_in_range, True),
    **{f"Numeric{name}": (_number(test), False) for name, test in _COMPARISONS.items()},
    "NumericNotEquals": (_number(operator.eq), True),
    **{f"Date{name}": (_date(test), False) for name, test in _COMPARISONS.items()},
    "DateNotEquals": (_date(operator.eq), True),
}
"""Each operator's comparison, and whether it holds when no value compares. IAM takes no policy with another one."""
