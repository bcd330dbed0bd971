"""Statements of policies: which request of whom each is about.

Source: IAM User Guide, "IAM JSON policy element reference".
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import unquote

from strictmoto.iam.conditions import holds
from strictmoto.iam.patterns import matches, pattern_matches
from strictmoto.requests.documents import read_json

Context = Mapping[str, tuple[str, ...]]
"""Values of condition keys. A key that is absent is not part of the request."""
Grade = Literal["session", "principal", "account", "anyone"]
"""How a policy of a resource names a caller: its session, its role or user, its account, or every principal."""
_ACCOUNT: Final = ":root"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, as policies of resources name them.

    Attributes:
        arn: of the role, the user or the root user; empty for a service.
        account: whose it is; empty for a service that acts for no account.
        session: ARN of the role's session.
        service: for example events.amazonaws.com, where a service calls as itself.
        provider: ARN of the identity provider whose token is shown.
    """

    arn: str = ""
    account: str = ""
    session: str = ""
    service: str = ""
    provider: str = ""

    @property
    def is_user(self) -> bool:
        """Whether it is an IAM user, and no federated one."""
        return ":user/" in self.arn and not self.session

    @property
    def shown(self) -> str:
        """The ARN that messages and GetCallerIdentity show."""
        return self.session or self.arn or self.service or self.provider


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


class Values:
    """The condition keys of a request for one of its resources, looked up when a condition compares them first."""

    __slots__ = ("_contexts", "_known")

    def __init__(self, request: Request, resource: Resource) -> None:
        """Read nothing yet."""
        self._contexts = (request.context, resource.context)
        self._known: dict[str, tuple[str, ...]] | None = None

    def __call__(self, key: str) -> tuple[str, ...] | None:
        """Return the values of a key in lower case: keys are not case-sensitive."""
        if self._known is None:
            self._known = {name.lower(): given for context in self._contexts for name, given in context.items()}
        return self._known.get(key)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a policy.

    Attributes:
        name: its Sid, or its place in the policy.
        allows: whether its effect is Allow.
        actions: patterns; those of NotAction where `but_actions`.
        resources: patterns; those of NotResource where `but_resources`.
        conditions: operator, key and values.
        principals: kind and name of whom a policy of a resource is about; those of NotPrincipal where
            `but_principals`. None in a policy of an identity.
        variables: whether `${...}` stands for a value.
    """

    name: str
    allows: bool
    actions: tuple[str, ...]
    but_actions: bool
    resources: tuple[str, ...]
    but_resources: bool
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]
    principals: tuple[tuple[str, str], ...] | None = None
    but_principals: bool = False
    variables: bool = False

    def names(self, action: str) -> bool:
        """Say whether the statement is about this action, on whatever resource and in whatever context."""
        return _named(self.actions, action.lower()) is not self.but_actions

    def is_about(self, action: str, arn: str, values: Values) -> bool:
        """Say whether the statement is about this action on this resource, in whatever context."""
        if not self.names(action):
            return False
        lookup = values if self.variables else None
        return any(pattern_matches(pattern, arn, lookup) for pattern in self.resources) is not self.but_resources

    def holds(self, values: Values, but: frozenset[str] = frozenset()) -> bool:
        """Say whether all conditions hold, but for those that compare these keys."""
        lookup = values if self.variables else None
        return all(
            holds(name, values(key.lower()), expected, lookup)
            for name, key, expected in self.conditions
            if key not in but
        )

    def covers(self, request: Request, resource: Resource, values: Values | None = None) -> bool:
        """Say whether the statement is about this action on this resource, in this context."""
        known = values or Values(request, resource)
        return self.is_about(request.action, resource.arn, known) and self.holds(known)

    def grades(self, caller: Caller) -> frozenset[Grade]:
        """Return how a statement of a resource's policy names a caller; nothing where it is about others."""
        found = frozenset(grade for kind, name in self.principals or () if (grade := _grade(kind, name, caller)))
        if self.but_principals:
            excepted = bool(found) if self.allows else _spared(found, caller)
            return frozenset() if excepted else frozenset({"anyone"})
        return found

    def resources_of(self, request: Request) -> list[str]:
        """Return the patterns that cover a resource of this request."""
        found: list[str] = []
        for resource in request.resources:
            values = Values(request, resource)
            if self.covers(request, resource, values):
                lookup = values if self.variables else None
                found += [one for one in self.resources if pattern_matches(one, resource.arn, lookup)]
        return found


def _grade(kind: str, name: str, caller: Caller) -> Grade | None:
    if name == "*" and kind in ("*", "AWS"):
        return "anyone"
    if kind == "Service":
        return "principal" if caller.service and name in (caller.service, "*") else None
    if kind == "Federated":
        return "principal" if caller.provider and name in (caller.provider, "*") else None
    if kind != "AWS" or not caller.account:
        return None
    if name == caller.account or (name.endswith(_ACCOUNT) and name.split(":")[4:5] == [caller.account]):
        return "account"
    if name and name == caller.session:
        return "session"
    return "principal" if name and name == caller.arn else None


def _spared(found: frozenset[Grade], caller: Caller) -> bool:
    """Return whether a statement that denies all but some does not deny a caller.

    The ARN of an account spares its root user only; of a session the role must be named, too.

    Source: IAM User Guide, "AWS JSON policy elements: NotPrincipal".
    """
    if "anyone" in found:
        return True
    if caller.session:
        return found >= {"principal", "session"}
    return "principal" in found or ("account" in found and caller.arn.endswith(_ACCOUNT))


@functools.lru_cache(16384)
def _named(patterns: tuple[str, ...], action: str) -> bool:
    return any(matches(pattern.lower(), action) for pattern in patterns)


def read_policy(document: Mapping[str, Any], name: str = "") -> list[Statement]:
    """Return the statements of a policy document.

    Args:
        document: the policy, parsed.
        name: put in front of the statements' names.
    """
    variables = document.get("Version") == "2012-10-17"
    return [
        _statement(item, f"{name}/{item.get('Sid') or position}".lstrip("/"), variables)
        for position, item in enumerate(as_list(document.get("Statement", [])), 1)
    ]


@functools.lru_cache(4096)
def read_text(text: str, name: str = "") -> tuple[Statement, ...]:
    """Return the statements of a policy as it is kept: JSON, in whatever way it was quoted; each is read once.

    One that is malformed says nothing: AWS keeps none, and what has one here must not become useless.
    """
    try:
        return tuple(read_policy(read_json(unquote(text) if text.lstrip()[:1] == "%" else text), name))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()


def _statement(item: Mapping[str, Any], name: str, variables: bool) -> Statement:
    conditions = tuple(
        (operator, key, _texts(values))
        for operator, keys in item.get("Condition", {}).items()
        for key, values in keys.items()
    )
    but = "NotPrincipal" in item
    given = item.get("NotPrincipal" if but else "Principal")
    return Statement(
        name=name,
        allows=item["Effect"] == "Allow",
        actions=_texts(item.get("Action", item.get("NotAction", ()))),
        but_actions="NotAction" in item,
        # The policies of some resources leave out what goes without saying.
        resources=_texts(item.get("Resource", item.get("NotResource", "*"))),
        but_resources="NotResource" in item,
        conditions=conditions,
        principals=None if given is None else tuple(_principals(given)),
        but_principals=but,
        variables=variables,
    )


def _principals(given: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(given, Mapping):
        # A star alone is every principal, services included; a star of a kind is every principal of that kind.
        yield from (("*" if name == "*" else "AWS", str(name)) for name in as_list(given))
        return
    for kind, names in given.items():
        yield from ((kind, str(name)) for name in as_list(names))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is allowed by the policies of an identity.

    Attributes:
        allowed: whether it is.
        by: the statements that allow it, one for each resource at least.
        alone: those of them that are the only one for a resource: without one, the request is refused.
        refused: ARNs of the resources that nothing allows it on, or that a statement denies it on.
    """

    allowed: bool
    by: tuple[Statement, ...]
    refused: tuple[str, ...]
    alone: tuple[Statement, ...] = ()


def judge(statements: Iterable[Statement], request: Request) -> Verdict:
    """Say whether a principal with these statements, and nothing else that decides, may make a request."""
    known = list(statements)
    by: list[Statement] = []
    alone: list[Statement] = []
    refused: list[str] = []
    for resource in request.resources:
        values = Values(request, resource)
        covering = [statement for statement in known if statement.covers(request, resource, values)]
        if not covering or not all(statement.allows for statement in covering):
            refused.append(resource.arn)
        elif len(covering) == 1:
            alone += covering
        by += [statement for statement in covering if statement.allows and statement not in by]
    return Verdict(not refused, tuple(by), tuple(refused), tuple(alone))


def as_list(value: Any) -> list[Any]:
    """Return a list of what may stand alone in a policy."""
    return list(value) if isinstance(value, list | tuple) else [value]


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in as_list(value))
