"""What IAM policies allow: the evaluation of a request against statements.

No permission boundaries, no organization's policies, no session policies: nothing here uses them.
Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tapstack.domain.globs import matches

Context = Mapping[str, tuple[str, ...]]
"""Values of condition keys. A key that is absent is not part of the request."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that an action is asked for, and the condition keys that only it has, for example its tags."""

    arn: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """An action on resources, all of which it must be allowed on.

    Attributes:
        action: for example ec2:CreateTrafficMirrorSession.
        resources: `*` alone where the action knows no resources.
        context: the condition keys of the whole request.
    """

    action: str
    resources: tuple[Resource, ...] = (Resource("*"),)
    context: Context = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a policy.

    Attributes:
        name: its Sid, or its place in the policy.
        allows: whether its effect is Allow.
        actions: patterns; those of NotAction where `but_actions`.
        resources: patterns; those of NotResource where `but_resources`.
        conditions: operator, key and values.
    """

    name: str
    allows: bool
    actions: tuple[str, ...]
    but_actions: bool
    resources: tuple[str, ...]
    but_resources: bool
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]

    def names(self, action: str) -> bool:
        """Say whether the statement is about this action, on whatever resource and in whatever context."""
        named = any(matches(pattern.lower(), action.lower()) for pattern in self.actions)
        return named is not self.but_actions

    def covers(self, request: Request, resource: Resource) -> bool:
        """Say whether the statement is about this action on this resource, in this context."""
        about_resource = any(matches(pattern, resource.arn) for pattern in self.resources)
        context = {**_lower(request.context), **_lower(resource.context)}
        return (
            self.names(request.action)
            and about_resource is not self.but_resources
            and all(_holds(operator, context.get(key.lower()), values) for operator, key, values in self.conditions)
        )

    def resources_of(self, request: Request) -> list[str]:
        """Return the patterns that cover a resource of this request."""
        covered = [resource.arn for resource in request.resources if self.covers(request, resource)]
        return [pattern for pattern in self.resources if any(matches(pattern, arn) for arn in covered)]


def read_policy(document: Mapping[str, Any], name: str = "") -> list[Statement]:
    """Return the statements of a policy document.

    Args:
        document: the policy, parsed.
        name: put in front of the statements' names.
    """
    statements = document.get("Statement", [])
    found = []
    for position, item in enumerate(as_list(statements), 1):
        conditions = tuple(
            (operator, key, _texts(values))
            for operator, keys in item.get("Condition", {}).items()
            for key, values in keys.items()
        )
        found.append(
            Statement(
                name=f"{name}/{item.get('Sid', position)}".lstrip("/"),
                allows=item["Effect"] == "Allow",
                actions=_texts(item.get("Action", item.get("NotAction", ()))),
                but_actions="NotAction" in item,
                # The policies of some resources leave out what goes without saying.
                resources=_texts(item.get("Resource", item.get("NotResource", "*"))),
                but_resources="NotResource" in item,
                conditions=conditions,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is allowed.

    Attributes:
        allowed: whether it is.
        by: the statements that allow it, one for each resource at least.
        refused: ARNs of the resources that nothing allows it on, or that a statement denies it on.
    """

    allowed: bool
    by: tuple[Statement, ...]
    refused: tuple[str, ...]


def judge(statements: Iterable[Statement], request: Request) -> Verdict:
    """Say whether a principal with these statements may make a request."""
    known = list(statements)
    by: list[Statement] = []
    refused: list[str] = []
    for resource in request.resources:
        covering = [statement for statement in known if statement.covers(request, resource)]
        if not covering or not all(statement.allows for statement in covering):
            refused.append(resource.arn)
        by += [statement for statement in covering if statement.allows and statement not in by]
    return Verdict(not refused, tuple(by), tuple(refused))


def _lower(context: Context) -> dict[str, tuple[str, ...]]:
    """Condition keys are not case-sensitive."""
    return {key.lower(): values for key, values in context.items()}


def as_list(value: Any) -> list[Any]:
    """Return a list of what may stand alone in a policy."""
    return list(value) if isinstance(value, list | tuple) else [value]


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in as_list(value))


def _plain(operator: str) -> str:
    return operator.rpartition(":")[2].removesuffix("IfExists")


def _holds(operator: str, actual: tuple[str, ...] | None, expected: tuple[str, ...]) -> bool:
    plain = _plain(operator)
    if plain == "Null":
        return any((actual is None) is (value == "true") for value in expected)
    quantifier = operator.rpartition(":")[0]
    if actual is None or not actual:
        # A negated comparison with what is not there holds, and so does ForAllValues of nothing.
        return operator.endswith("IfExists") or quantifier == "ForAllValues" or "Not" in plain
    if plain not in _OPERATORS:
        return False
    test, negated = _OPERATORS[plain]
    results = [any(test(value, pattern) for pattern in expected) is not negated for value in actual]
    return any(results) if quantifier == "ForAnyValue" else all(results)


def _arn_matches(value: str, expected: str) -> bool:
    # Each of the six parts is matched by itself; the last one holds whatever colons are left.
    values, patterns = value.split(":", 5), expected.split(":", 5)
    return len(values) == len(patterns) and all(map(matches, patterns, values))


def _number(test: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda value, expected: test(float(value), float(expected))


def _in_range(value: str, expected: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(expected)


_OPERATORS: Final[Mapping[str, tuple[Callable[[str, str], bool], bool]]] = {
    "StringEquals": (lambda value, expected: value == expected, False),
    "StringNotEquals": (lambda value, expected: value == expected, True),
    "StringEqualsIgnoreCase": (lambda value, expected: value.lower() == expected.lower(), False),
    "StringNotEqualsIgnoreCase": (lambda value, expected: value.lower() == expected.lower(), True),
    "StringLike": (lambda value, expected: matches(expected, value), False),
    "StringNotLike": (lambda value, expected: matches(expected, value), True),
    "ArnEquals": (_arn_matches, False),
    "ArnLike": (_arn_matches, False),
    "ArnNotLike": (_arn_matches, True),
    "Bool": (lambda value, expected: value.lower() == expected.lower(), False),
    "NumericEquals": (_number(lambda value, expected: value == expected), False),
    "NumericLessThanEquals": (_number(lambda value, expected: value <= expected), False),
    "NumericGreaterThanEquals": (_number(lambda value, expected: value >= expected), False),
    "IpAddress": (_in_range, False),
    "NotIpAddress": (_in_range, True),
}
"""Each operator's comparison with one expected value, and whether it holds when no value compares. A condition
with any other operator never holds."""
