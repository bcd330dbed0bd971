"""Stack policies: what an update may do to the resources of its stack.

Source: CloudFormation User Guide, "Prevent updates to stack resources"; API Reference, SetStackPolicy and UpdateStack.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from moto.cloudformation.exceptions import ValidationError

from strictmoto.requests.documents import read_json

MODIFY: Final = "Update:Modify"
REPLACE: Final = "Update:Replace"
DELETE: Final = "Update:Delete"
_ACTIONS: Final = ("Update:*", MODIFY, REPLACE, DELETE)
_LARGEST: Final = 16384

_governing: ContextVar[str | None] = ContextVar("governing", default=None)


@contextmanager
def governed_by(policy: str | None) -> Iterator[None]:
    """Let a policy govern the updates inside, whatever their stack's own is; "" allows everything."""
    token = _governing.set(policy)
    try:
        yield
    finally:
        _governing.reset(token)


def refusal(stack: Any, action: str, logical_id: str, resource_type: str) -> str | None:
    """Return why the stack's policy denies an update of one resource, in AWS's words; None where it does not."""
    during = _governing.get()
    text = stack.policy if during is None else during
    if not text:
        return None
    allowed = False
    for number, statement in enumerate(_statements(json.loads(text)), 1):
        if not _concerns(statement, action, logical_id, resource_type):
            continue
        if statement["Effect"] == "Deny":
            return (
                f"Action denied by stack policy: Statement [#{number}] does not allow [{action}] "
                f"for resource [LogicalResourceId/{logical_id}]"
            )
        allowed = True
    if allowed:
        return None
    return (
        f"Action denied by stack policy: no statement allows [{action}] for resource [LogicalResourceId/{logical_id}]"
    )


def check(text: str) -> None:
    """Refuse what is no stack policy.

    Raises:
        ValidationError: no JSON, too long, or a statement that says something else.
    """
    if len(text) > _LARGEST:
        raise ValidationError(message=f"Stack policy exceeds the maximum length of {_LARGEST}")
    try:
        policy = read_json(text)
        statements = _statements(policy)
    except (ValueError, KeyError, TypeError) as error:
        raise ValidationError(message=f"Error validating stack policy: Invalid stack policy: {error}") from None
    for statement in statements:
        actions = _listed(statement.get("Action", statement.get("NotAction", ())))
        problem = ""
        if statement.get("Effect") not in ("Allow", "Deny"):
            problem = f"Unknown effect {statement.get('Effect')}"
        elif not actions or any(action not in _ACTIONS for action in actions):
            problem = f"Unknown actions {actions}"
        elif statement.get("Principal") != "*":
            problem = "Principal must be *"
        elif not ({"Resource", "NotResource"} & set(statement)):
            problem = "A statement needs Resource or NotResource"
        if problem:
            raise ValidationError(message=f"Error validating stack policy: {problem}")


def _statements(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = policy["Statement"]
    return [found] if isinstance(found, dict) else [dict(statement) for statement in found]


def _concerns(statement: Mapping[str, Any], action: str, logical_id: str, resource_type: str) -> bool:
    if "Action" in statement:
        acts = _matches(action, statement["Action"])
    else:
        acts = not _matches(action, statement["NotAction"])
    resource = f"LogicalResourceId/{logical_id}"
    if "Resource" in statement:
        named = _matches(resource, statement["Resource"])
    else:
        named = not _matches(resource, statement["NotResource"])
    return acts and named and _conditions_hold(statement.get("Condition") or {}, resource_type)


def _conditions_hold(condition: Mapping[str, Any], resource_type: str) -> bool:
    """The one key is ResourceType, compared with StringEquals or StringLike."""
    for operator, compared in condition.items():
        wanted = _listed(compared.get("ResourceType", ()))
        if operator == "StringEquals" and resource_type not in wanted:
            return False
        if operator == "StringLike" and not _matches(resource_type, wanted):
            return False
    return True


def _matches(value: str, patterns: Any) -> bool:
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in _listed(patterns))


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
