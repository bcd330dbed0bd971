"""What IAM accepts as a statement of a role's policy.

Source: IAM User Guide, "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.suggestions import did_you_mean
from tapstack.domain.tokens import is_token

_EFFECTS: Final = ("Allow", "Deny")
_PAIRS: Final = (("Action", "NotAction"), ("Resource", "NotResource"))
_KEYS: Final = ("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
_SID: Final = re.compile(r"[A-Za-z0-9]+")


def check_statements(name: str, statements: Sequence[Mapping[str, Any]]) -> None:
    """Refuse statements that IAM would not take in a role's policy; tokens in them pass.

    Args:
        name: what messages call the list.
        statements: as JSON has them.

    Raises:
        RuleViolation: no JSON object, a key that such a statement does not have, or one that is missing or wrong.
    """
    for position, statement in enumerate(statements):
        where = f"{name}[{position}]"
        if not isinstance(statement, Mapping):
            raise RuleViolation(f"{where} must be a mapping, as a JSON object of IAM, got {statement!r}")
        for problem in _problems(statement):
            raise RuleViolation(f"{where} {problem}")


def _problems(statement: Mapping[str, Any]) -> list[str]:
    problems = []
    for key in statement:
        if key in ("Principal", "NotPrincipal"):
            problems.append(f"has {key}, which the policy of a role does not take: leave it out")
        elif key not in _KEYS:
            problems.append(f"has an unknown key {key!r}: {did_you_mean(str(key), _KEYS)}expected {', '.join(_KEYS)}")
    if "Effect" not in statement:
        problems.append("has no Effect: expected Allow or Deny")
    elif statement["Effect"] not in _EFFECTS and not _is_text_token(statement["Effect"]):
        problems.append(f"has Effect {statement['Effect']!r}: expected Allow or Deny")
    for pair in _PAIRS:
        given = [key for key in pair if key in statement]
        if len(given) != 1:
            both = f"both {pair[0]} and {pair[1]}" if given else f"neither {pair[0]} nor {pair[1]}"
            problems.append(f"has {both}: expected one of them")
        elif not _is_texts(statement[given[0]]):
            problems.append(f"has a wrong {given[0]}: expected a text, or a list of texts")
    sid = statement.get("Sid", "Sid")
    if not _is_text_token(sid) and not (isinstance(sid, str) and _SID.fullmatch(sid)):
        problems.append(f"has Sid {sid!r}: expected letters and digits")
    if not _is_condition(statement.get("Condition", {})):
        problems.append(
            "has a wrong Condition: expected the form {'StringEquals': {'aws:ResourceTag/team': 'security'}}"
        )
    return problems


def _is_condition(condition: Any) -> bool:
    return isinstance(condition, Mapping) and all(
        isinstance(operator, str)
        and isinstance(keys, Mapping)
        and all(isinstance(key, str) and _is_values(value) for key, value in keys.items())
        for operator, keys in condition.items()
    )


def _is_values(value: Any) -> bool:
    return all(isinstance(each, str | int | float) for each in (value if isinstance(value, list | tuple) else [value]))


def _is_texts(value: Any) -> bool:
    texts = value if isinstance(value, list | tuple) else [value]
    return bool(texts) and all(isinstance(text, str) and text for text in texts)


def _is_text_token(value: Any) -> bool:
    return isinstance(value, str) and is_token(value)
