"""Whether a request is allowed: what all policies that decide about it say together.

Sources: IAM User Guide, "Policy evaluation logic", "Determining whether a request is allowed or denied within an
account", "Cross-account policy evaluation logic" and "Troubleshoot access denied error messages"; AWS KMS Developer
Guide, "Key policies in AWS KMS".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from strictmoto.iam.keys import is_told
from strictmoto.iam.policies import Caller, Request, Resource, Statement, Values

IDENTITY: Final = "identity-based policy"
BOUNDARY: Final = "permissions boundary"
SESSION: Final = "session policy"
ORGANIZATION: Final = "service control policy"
RESOURCE: Final = "resource-based policy"


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies that go with a caller.

    Attributes:
        identity: of the role or user, with those of its groups; None for whoever may do anything.
        boundary: of its permissions boundary, if any.
        session: of the session, if any was given when the role was assumed.
        organization: of each level of the organization, from its root to the account.
    """

    identity: tuple[Statement, ...] | None = ()
    boundary: tuple[Statement, ...] | None = None
    session: tuple[Statement, ...] | None = None
    organization: tuple[tuple[Statement, ...], ...] = ()


FREE: Final = Policies(identity=None)
"""Of the root user."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands at a resource.

    Attributes:
        account: whose resource it is; empty for the caller's own.
        statements: of its policy.
        decides: whether nothing is allowed that its policy does not allow, as with KMS keys and roles.
    """

    account: str = ""
    statements: tuple[Statement, ...] = ()
    decides: bool = False


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is refused.

    Attributes:
        action: that was asked for.
        resource: the ARN that it is refused on.
        kind: of the policy that refuses it.
        explicit: whether a statement denies it, or none allows it.
        unknown: condition keys that the account does not know, and that decide.
    """

    action: str
    resource: str
    kind: str
    explicit: bool
    unknown: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Say it as AWS does."""
        article = "an" if self.kind == IDENTITY else "a"
        if self.explicit:
            return f"with an explicit deny in {article} {self.kind}"
        return f"because no {self.kind} allows the {self.action} action"


def decide(
    request: Request, caller: Caller, policies: Policies, guard_of: Callable[[str], Guard] = lambda _: Guard()
) -> Denial | None:
    """Return why a request is refused; None where it is allowed on all of its resources.

    Args:
        request: what is asked.
        caller: who asks.
        policies: that go with the caller.
        guard_of: returns what stands at a resource, by its ARN.
    """
    for resource in request.resources:
        if denial := _decide(request, resource, caller, policies, guard_of(resource.arn)):
            return denial
    return None


def _decide(request: Request, resource: Resource, caller: Caller, policies: Policies, guard: Guard) -> Denial | None:
    values = Values(request, resource)
    own = (
        (IDENTITY, policies.identity),
        (BOUNDARY, policies.boundary),
        (SESSION, policies.session),
        *((ORGANIZATION, level) for level in policies.organization),
    )

    def covering(statements: Iterable[Statement]) -> list[Statement]:
        return [statement for statement in statements if _covers(statement, request, resource, values)]

    def refused(kind: str, *, explicit: bool = False, by: Iterable[Statement] = ()) -> Denial:
        return Denial(request.action, resource.arn, kind, explicit, _unknown(by, request, resource, values))

    def denied(kind: str, found: Iterable[Statement]) -> Denial:
        by = [statement for statement in found if not statement.allows]
        # What denies whatever unknown keys have is the reason.
        certain = any(not _untold(statement, request, resource, values) for statement in by)
        return refused(kind, explicit=True, by=() if certain else by)

    allowed: dict[str, bool] = {}
    for kind, statements in own:
        if statements is None:
            continue
        found = covering(statements)
        if not all(statement.allows for statement in found):
            return denied(kind, found)
        allowed[kind] = bool(found) and allowed.get(kind, True)
    about = [(statement, grades) for statement in guard.statements if (grades := statement.grades(caller))]
    at_resource = set(covering(statement for statement, _ in about))
    if not all(statement.allows for statement in at_resource):
        return denied(RESOURCE, at_resource)
    granted = {grade for statement, grades in about if statement in at_resource for grade in grades}
    if not allowed.get(ORGANIZATION, True):
        return refused(ORGANIZATION)
    elsewhere = bool(guard.account) and guard.account != caller.account
    if not granted and (elsewhere or guard.decides):
        return refused(RESOURCE, by=(statement for statement, _ in about))
    limited = (BOUNDARY, SESSION)
    if not elsewhere:
        if granted & {"session", "anyone"} or ("principal" in granted and not caller.arn):
            return None
        if "principal" in granted:
            # A boundary and a session policy limit what a role is given by its ARN; a user is given it itself.
            limits = () if caller.is_user else limited
            return next((refused(kind) for kind in limits if not allowed.get(kind, True)), None)
    elif not caller.arn:
        return None
    for kind, statements in ((IDENTITY, policies.identity), (BOUNDARY, policies.boundary), (SESSION, policies.session)):
        if not allowed.get(kind, True):
            return refused(kind, by=statements or ())
    return None


def _covers(statement: Statement, request: Request, resource: Resource, values: Values) -> bool:
    """Return whether a statement counts; an unknown key never lets a request through."""
    if not statement.is_about(request.action, resource.arn, values):
        return False
    if not statement.conditions or not (untold := _untold(statement, request, resource, values)):
        return statement.holds(values)
    return not statement.allows and statement.holds(values, untold)


def _untold(statement: Statement, request: Request, resource: Resource, values: Values) -> frozenset[str]:
    return frozenset(
        key
        for _, key, _ in statement.conditions
        if values(key.lower()) is None and not is_told(key, request.action, resource.arn)
    )


def _unknown(statements: Iterable[Statement], request: Request, resource: Resource, values: Values) -> tuple[str, ...]:
    """Return the keys that the account does not know, of statements that would decide but for them."""
    found = [
        key
        for statement in statements
        if statement.is_about(request.action, resource.arn, values)
        for key in sorted(_untold(statement, request, resource, values))
    ]
    return tuple(dict.fromkeys(found))
