"""External ids, with which another company's account assumes a role: another customer of that company who guesses one
can have it read this customer's telemetry.

Sources: IAM User Guide, "Access to AWS accounts owned by third parties" (the confused deputy problem; the id is to be
unique to each customer); AWS STS API Reference, AssumeRole, ExternalId (2 to 1224 characters).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.tokens import is_token

PATTERN: Final = r"[A-Za-z0-9_+=,.@:/-]+"
LENGTH: Final = (2, 1224)
RANDOM: Final = 16
"""Letters and digits of which no name and no series explains one: 62 ** 16 is 2 ** 95."""
DIFFERENT: Final = 8
_PIECE: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_LONGEST_PIECE: Final = 4
"""How long runs of letters and of digits are on average, at most: 2 where an id was drawn, 6 where it is of words."""
_VOWELS: Final = "aeiouyAEIOUY"
_WORD: Final = re.compile(rf"(?=.*[{_VOWELS}])(?!.*[^{_VOWELS}]{{4}})(?:[A-Za-z]{{3,}}|[A-Z][a-z])")
"""A run of letters that can be spoken. Of 1000 drawn ids of 16 letters of both cases and digits, one has no others."""
_SWITCH: Final = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_LONG: Final = 20
"""From here on longer runs are taken, which ids of one case, or of letters alone, have by chance."""
_LONGEST_PIECE_OF_LONG: Final = 5
_SWITCHES_OF_LONG: Final = 3
"""How often letters and digits follow each other, at least: once where a year or a number ends words."""
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{28,}", re.IGNORECASE)
"""A UUID or 32 hexadecimal digits, of which one is left out where four neighbours are a series by chance."""
_WORDS: Final = (
    *("account", "amazon", "aws", "changeme", "cortex", "crowdstrike", "customer", "default", "elastic", "example"),
    *("external", "falcon", "hunters", "ingestion", "integration", "paloalto", "password", "prod", "reader", "role"),
    "123e4567-e89b-12d3-a456-426614174000",
    *("secret", "sentinel", "siem", "splunk", "tapstack", "telemetry", "tenant", "test", "trust", "xdr", "xsiam"),
)
_KEYBOARD: Final = (
    *("qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "qsdfghjklm", "zxcvbnm", "yxcvbnm", "wxcvbn"),
    *("1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm"),
)
_LONGEST_SERIES: Final = 4
_YEAR, _DAY, _BETWEEN = r"(?:19|20)\d\d", r"(?:0[1-9]|[12]\d|3[01])", r"[-_./:,]?"
_MONTH: Final = "(?:0[1-9]|1[0-2]|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)"
_DATE: Final = re.compile(
    "|".join(map(_BETWEEN.join, ((_YEAR, _MONTH, _DAY), (_DAY, _MONTH, _YEAR), (_MONTH, _DAY, _YEAR)))),
    re.IGNORECASE,
)
"""A whole date: four digits such as 2026 alone are in many drawn ids."""
_SERIES: Final = frozenset(
    each[begin : begin + _LONGEST_SERIES]
    for series in ("0123456789" * 2, "abcdef" * 2, "abcdefghijklmnopqrstuvwxyz", *_KEYBOARD)
    for each in (series, series[::-1])
    for begin in range(len(each) - _LONGEST_SERIES + 1)
)


PUBLISHED: Final = frozenset({"7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7"})
"""External ids of our examples and documentation, which everyone knows."""
DOCUMENTATION_ACCOUNTS: Final = frozenset(
    {"111122223333", "123456789012", "444455556666", "555555555555", "777788889999", "999999999999"}
)
"""Accounts of AWS's documentation, which are no customer's and no vendor's."""


def check_unpublished(value: str, accounts: Collection[str]) -> None:
    """Refuse an external id of our documentation, unless every account is one of AWS's documentation, as in examples.

    Args:
        value: the external id.
        accounts: ids of the accounts that assume the role, and of those that the role can be in.

    Raises:
        RuleViolation: others know it.
    """
    if value.lower() in PUBLISHED and not (accounts and DOCUMENTATION_ACCOUNTS.issuperset(accounts)):
        raise RuleViolation(
            f"{value!r} is published in the documentation of Tapstack, so that others know it: expected one of your "
            "own, such as uuidgen prints, or the one that the vendor shows you"
        )


def check_external_id(value: str, names: Iterable[str] = ()) -> str:
    """Return `value` when it is not plainly easy to guess as an external id; a token passes.

    Nearly all that is drawn at random is taken. Not all that can be guessed is refused: a text does not show how it was
    made.

    Args:
        value: 2 to 1224 letters, digits and signs of _+=,.@:/-, of which 16 letters and digits, of 8 different ones,
            are random.
        names: known ones that explain parts of it, such as the account's id.

    Raises:
        RuleViolation: not the form of one, too short, or easy to guess.
    """
    if is_token(value):
        return value
    low, high = LENGTH
    if not (low <= len(value) <= high and re.fullmatch(PATTERN, value)):
        raise RuleViolation(
            f"{value!r} is not an external id: expected {low} to {high} letters, digits and signs of _+=,.@:/-"
        )
    left = re.sub(r"[^A-Za-z0-9]", "", _without_series(_without_words(_DATE.sub(" ", value), names)))
    if len(left) < RANDOM or len(set(left.lower())) < DIFFERENT or not _is_drawn(left):
        why = "short" if len(value) < RANDOM else "easy to guess"
        raise RuleViolation(
            f"{value!r} is too {why} for an external id: expected a UUID, such as uuidgen prints, or {RANDOM} or more "
            f"random letters and digits, mixed, {DIFFERENT} of them different; words, names, dates and rows of keys "
            "do not count"
        )
    return value


def _is_drawn(text: str) -> bool:
    """Return whether letters and digits are mixed as in what is drawn at random, and not as in words and numbers."""
    if _HEXADECIMAL.fullmatch(text):
        return True
    found = _PIECE.findall(text)
    # In drawn ids of one case only digits end a run of letters: in up to three of 100 every run can be spoken.
    is_of_one_case = text.islower() or text.isupper()
    if not is_of_one_case and all(piece.isdigit() or _WORD.fullmatch(piece) for piece in found):
        return False
    pieces = len(found)
    if len(text) <= _LONGEST_PIECE * pieces:
        return True
    is_mixed = len(text) <= _LONGEST_PIECE_OF_LONG * pieces or len(_SWITCH.findall(text)) >= _SWITCHES_OF_LONG
    return len(text) >= _LONG and is_mixed


def _without_words(value: str, names: Iterable[str]) -> str:
    known = sorted({*_WORDS, *(name.lower() for name in names if len(name) > 1)}, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, known)), " ", value, flags=re.IGNORECASE)


def _without_series(value: str) -> str:
    """Leave out runs of one character, of neighbours such as 4567 and dcba, of keys, and of two that alternate."""
    lower, kept = value.lower(), list(value)
    for every in (1, 2):
        for begin in range(len(value)):
            window = [lower[begin + offset : begin + every * _LONGEST_SERIES : every] for offset in range(every)]
            if all(map(_is_series, window)):
                kept[begin : begin + every * _LONGEST_SERIES] = " " * every * _LONGEST_SERIES
    return "".join(kept)


def _is_series(text: str) -> bool:
    return text in _SERIES or (len(text) == _LONGEST_SERIES and len(set(text)) == 1)
