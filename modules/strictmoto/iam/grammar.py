"""Whether a text is a policy: the grammar of policies, which each service checks when one is set.

Source: IAM User Guide, "Grammar of the IAM JSON policy language" and "IAM JSON policy element reference".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Literal

from strictmoto.iam.conditions import is_operator
from strictmoto.requests.documents import read_json

Kind = Literal["identity", "resource", "trust"]
"""What a policy is attached to; a trust policy names no resources."""
_VERSIONS: Final = ("2008-10-17", "2012-10-17")
_ELEMENTS: Final = frozenset({"Version", "Id", "Statement"})
_OF_STATEMENTS: Final = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_ACTION: Final = re.compile(r"\*|(?:\*|[\w-]+):[\w*?-]+", re.ASCII)
_SID: Final = re.compile(r"[0-9A-Za-z]*")
"""Of the policies that IAM keeps; those of resources may have spaces."""
_PRINCIPALS: Final = frozenset({"AWS", "CanonicalUser", "Federated", "Service"})


class MalformedPolicyError(Exception):
    """A text is no policy; the message says why."""


def check_policy(text: str, kind: Kind) -> None:
    """Refuse what is no policy.

    Args:
        text: of the policy.
        kind: what it is for.

    Raises:
        MalformedPolicyError: it is none.
    """
    try:
        document = read_json(text)
    except (ValueError, TypeError):
        raise MalformedPolicyError("Policies must be valid JSON and the first byte must be '{'") from None
    if not isinstance(document, dict):
        raise MalformedPolicyError("Policies must be valid JSON and the first byte must be '{'")
    _refuse_unless(set(document) <= _ELEMENTS, "Unknown field")
    _refuse_unless(document.get("Version", _VERSIONS[0]) in _VERSIONS, "The policy must contain a valid version string")
    _refuse_unless("Statement" in document, "Missing required field Statement")
    statements = document["Statement"]
    listed = statements if isinstance(statements, list) else [statements]
    _refuse_unless(bool(listed), "Policy document must contain at least one statement")
    for statement in listed:
        _refuse_unless(isinstance(statement, dict), "Statements must be objects")
        _check_statement(statement, kind)


def _check_statement(statement: dict[str, Any], kind: Kind) -> None:
    _refuse_unless(set(statement) <= _OF_STATEMENTS, "Unknown field")
    _refuse_unless("Effect" in statement, "Missing required field Effect")
    _refuse_unless(statement["Effect"] in ("Allow", "Deny"), f"Invalid effect: {statement['Effect']}")
    sid = statement.get("Sid", "")
    _refuse_unless(isinstance(sid, str), "Sid must be a string")
    _refuse_unless(
        kind == "resource" or _SID.fullmatch(sid) is not None,
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
        "[0-9A-Za-z]*",
    )
    actions = _one_of(statement, "Action", "NotAction")
    for action in _texts(statement[actions], actions):
        _refuse_unless(_ACTION.fullmatch(action) is not None, f"Policy has invalid action: {action}")
        _refuse_unless(
            kind != "trust" or action.lower().startswith("sts:"),
            "AssumeRole policy may only specify STS AssumeRole actions.",
        )
    if kind == "identity":
        _refuse_unless(
            not {"Principal", "NotPrincipal"} & set(statement), "Policy document should not specify a principal."
        )
    else:
        _check_principal(statement[_one_of(statement, "Principal", "NotPrincipal")])
    if kind == "trust":
        _refuse_unless(not {"Resource", "NotResource"} & set(statement), "Has prohibited field Resource")
    else:
        resources = _one_of(statement, "Resource", "NotResource")
        for resource in _texts(statement[resources], resources):
            _refuse_unless(
                resource == "*" or resource.count(":") >= 5 or "*" in resource,
                f"Policy has invalid resource: {resource}",
            )
    _check_condition(statement.get("Condition", {}))


def _one_of(statement: dict[str, Any], *names: str) -> str:
    """Return the one of two elements that a statement has."""
    given = [name for name in names if name in statement]
    _refuse_unless(bool(given), f"Missing required field {names[0]}")
    _refuse_unless(len(given) == 1, f"{names[0]} and {names[1]} cannot be used together")
    return given[0]


def _check_principal(principal: Any) -> None:
    if principal == "*":
        return
    _refuse_unless(isinstance(principal, dict) and bool(principal), "Invalid principal in policy")
    for kind, names in principal.items():
        _refuse_unless(kind in _PRINCIPALS, "Invalid principal in policy")
        for name in _texts(names, "Principal"):
            # A star stands for every principal, and for no part of an ARN.
            right = bool(name) and (name == "*" or not set("*?") & set(name))
            _refuse_unless(right, f'Invalid principal in policy: "{kind}":"{name}"')


def _check_condition(condition: Any) -> None:
    _refuse_unless(isinstance(condition, dict), "Condition must be an object")
    for operator, keys in condition.items():
        _refuse_unless(is_operator(operator), f"Invalid Condition type : {operator}")
        _refuse_unless(isinstance(keys, dict) and bool(keys), "Condition must hold keys")
        for values in keys.values():
            given = values if isinstance(values, list) else [values]
            _refuse_unless(all(isinstance(one, str | int | float) for one in given), "Invalid values of a condition")


def _texts(value: Any, name: str) -> Iterable[str]:
    given = value if isinstance(value, list) else [value]
    _refuse_unless(bool(given) and all(isinstance(one, str) for one in given), f"{name} must be a string or a list")
    return given


def _refuse_unless(right: bool, why: str) -> None:
    if not right:
        raise MalformedPolicyError(why)
