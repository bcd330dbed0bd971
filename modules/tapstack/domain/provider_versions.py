"""Version constraints of the AWS provider.

Source: Terraform documentation, "Version constraints".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Final

from tapstack.domain.errors import RuleViolation

PROVIDER_VERSION: Final = ">= 5.100.0, < 7.0.0"
"""The provider versions that Tapstack is written for; tested at both ends."""

Version = tuple[int, ...]
_TERM: Final = re.compile(r"\s*(=|!=|>=|<=|>|<|~>)?\s*(\d+(?:\.\d+){0,2})\s*")
_COMPARE: Final[dict[str, Callable[[Version, Version], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def check_version_constraint(constraint: str) -> str:
    """Return `constraint` when Terraform can read it."""
    if not all(_TERM.fullmatch(term) for term in constraint.split(",")):
        raise RuleViolation(
            f"{constraint!r} is not a Terraform version constraint: expected the form {PROVIDER_VERSION!r}"
        )
    return constraint


def check_supported_versions(constraint: str) -> str:
    """Return `constraint` when a version that Tapstack supports can fulfil it."""
    check_version_constraint(constraint)
    both = supported(constraint)
    # Where any version fulfils a constraint, one does that a lower bound names, or one of the next behind it.
    numbers = [_parse(found) for found in re.findall(r"\d+(?:\.\d+)*", both)]
    behind = range(len(numbers) + 1)
    if not any(satisfies(f"{major}.{minor}.{patch + n}", both) for major, minor, patch in numbers for n in behind):
        raise RuleViolation(
            f"{constraint!r} allows no version of the AWS provider that Tapstack supports: expected one of "
            f"{PROVIDER_VERSION}"
        )
    return constraint


def supported(constraint: str) -> str:
    """Return the constraint that holds a version to `constraint` and to what Tapstack supports."""
    return constraint if constraint == PROVIDER_VERSION else f"{constraint}, {PROVIDER_VERSION}"


def satisfies(version: str, constraint: str) -> bool:
    """Return whether a released version, for example 5.100.0, fulfils a version constraint."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return False  # Terraform takes pre-releases only when they are named exactly.
    have = _parse(version)
    for term in constraint.split(","):
        match = _TERM.fullmatch(term)
        if match is None:
            raise RuleViolation(f"{constraint!r} is not a Terraform version constraint")
        sign, wanted = match.group(1) or "=", match.group(2)
        want = _parse(wanted)
        if sign == "~>":
            given = max(wanted.count(".") + 1, 2)  # Terraform reads "~> 5" as "~> 5.0"
            ceiling = (*want[: given - 2], want[given - 2] + 1)
            if not (want <= have and have < (*ceiling, 0, 0, 0)[:3]):
                return False
        elif not _COMPARE[sign](have, want):
            return False
    return True


def _parse(version: str) -> Version:
    numbers = [int(part) for part in version.split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))
