"""The proof of least privilege, both ways: every call was allowed, and everything that is allowed was needed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from strictmoto.account import Account
from strictmoto.iam import requests
from strictmoto.iam.authorizations import Authorization
from strictmoto.iam.policies import Request, Statement, judge, read_policy
from strictmoto.recorder import Record
from strictmoto.testing.resource_conditions import Attributes, Tags, last_part


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that the role's policies do not allow: `action` on the resources that nothing covers."""

    role: str
    call: str
    action: str
    resources: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.role} may not {self.action} on {', '.join(self.resources)} (called {self.call})"


@dataclass(frozen=True, slots=True)
class Surplus:
    """An action that a statement allows and no call needed: at all, or on one of the resources that it names."""

    role: str
    statement: str
    action: str
    resource: str = ""

    def __str__(self) -> str:
        """Say it in a line."""
        where = f" on {self.resource}" if self.resource else ""
        return f"{self.role} never needed {self.action}{where}, which {self.statement} allows"


@dataclass(frozen=True, slots=True)
class Redundant:
    """A statement without which every recorded call is still allowed."""

    role: str
    statement: Statement

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.role} needs no {self.statement.name}: others allow every call that it allows"


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found; all is empty where the privileges are the least.

    Attributes:
        refusals: calls that are not allowed.
        surplus: actions that nothing needed.
        judged: how many authorizations were held against the policies.
        redundant: statements without which no recorded call is refused.
    """

    refusals: tuple[Refusal, ...]
    surplus: tuple[Surplus, ...]
    judged: int
    redundant: tuple[Redundant, ...] = ()


def prove(
    records: Iterable[Record],
    roles: Mapping[str, list[Statement]],
    tags: Tags,
    *,
    attributes: Attributes | None = None,
    state_machine: str = "*",
) -> Proof:
    """Hold recorded calls against the policies of the roles that made them.

    Args:
        records: in their order; calls of other principals have the tags of what they made.
        roles: the statements of each role, by its ARN.
        tags: of what was there before the first call, or was made by a service, as stacks do.
        attributes: of what was there at some time, as conditions compare them.
        state_machine: ARN of the state machine whose task tokens were used: IAM asks about it, and only
            Step Functions knows from a token which it is.
    """
    known = {name: dict(found) for name, found in tags.items()}
    fixed = {name: dict(found) for name, found in (attributes or {}).items()}
    needed: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    refusals: list[Refusal] = []
    alone: set[tuple[str, str]] = set()
    judged = 0
    for record in records:
        if record.principal in roles:
            for authorization in record.authorizations:
                judged += 1
                request = request_of(record, authorization, known, fixed, state_machine)
                verdict = judge(roles[record.principal], request)
                alone |= {(record.principal, statement.name) for statement in verdict.alone}
                for statement in verdict.by:
                    of = (record.principal, statement.name, authorization.action.lower())
                    needed[of] |= set(statement.resources_of(request))
                if not verdict.allowed:
                    call = f"{record.call.service}:{record.call.action}"
                    refusals.append(Refusal(record.principal, call, authorization.action, verdict.refused))
        _remember(record, known, fixed)
    surplus = [
        Surplus(role, statement.name, action, resource)
        for role, statements in roles.items()
        for statement in statements
        if statement.allows
        for action in statement.actions
        for resource in _not_needed(statement, needed.get((role, statement.name, action.lower())))
    ]
    redundant = [
        Redundant(role, statement)
        for role, statements in roles.items()
        for statement in statements
        if statement.allows and (role, statement.name) not in alone
    ]
    return Proof(tuple(dict.fromkeys(refusals)), tuple(surplus), judged, tuple(redundant))


def _not_needed(statement: Statement, needed: Collection[str] | None) -> list[str]:
    """Return those resources of a statement that no call needed; an empty one where none needed the action at all."""
    if needed is None:
        return [""]
    return [resource for resource in statement.resources if resource not in needed and not statement.but_resources]


def policies_of(account: Account, role_arns: Iterable[str]) -> dict[str, list[Statement]]:
    """Return the statements of roles, inline and attached, as they stand in the account."""
    iam = account.client("iam")
    return {arn: list(_statements(iam, arn.rpartition("/")[2])) for arn in role_arns}


def _statements(iam: Any, role: str) -> Iterator[Statement]:
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=role):
        for name in page["PolicyNames"]:
            yield from read_policy(
                _document(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]), name
            )
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
        for policy in page["AttachedPolicies"]:
            version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
            found = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)["PolicyVersion"]
            yield from read_policy(_document(found["Document"]), policy["PolicyName"])


def _document(document: Any) -> Mapping[str, Any]:
    return json.loads(unquote(document)) if isinstance(document, str) else document  # type: ignore[no-any-return]


def request_of(
    record: Record, authorization: Authorization, tags: Tags, attributes: Attributes, state_machine: str
) -> Request:
    """Return what IAM is asked for one authorization of a recorded call; the arguments are as `prove` has them."""

    def facts_of(arn: str) -> dict[str, tuple[str, ...]]:
        # What is there already has its own tags and attributes.
        name = last_part(arn)
        own = {f"aws:ResourceTag/{key}": value for key, value in tags.get(name, {}).items()}
        return {key: (value,) for key, value in {**own, **attributes.get(name, {})}.items()}

    resources = (state_machine,) if authorization.action.startswith("states:SendTask") else ()
    return requests.request_of(record.call, record.requested, authorization, facts_of, resources=resources)


def _remember(record: Record, known: dict[str, dict[str, str]], fixed: dict[str, dict[str, str]]) -> None:
    """Note the tags that a call gave or took, and the boundary of a role."""
    if record.call.action == "CreateRole" and record.status < 400:
        boundary = str(record.requested.get("PermissionsBoundary") or "")
        fixed.setdefault(str(record.requested["RoleName"]), {})["iam:PermissionsBoundary"] = boundary
    if record.status >= 400 or record.call.service not in ("ec2", "cloudformation"):
        return
    requested = record.requested
    if record.call.action == "CreateTags":
        for name in requested.get("Resources", ()):
            known.setdefault(name, {}).update(record.request_tags)
    elif record.call.action == "DeleteTags":
        for name in requested.get("Resources", ()):
            for tag in requested.get("Tags", ()):
                known.get(name, {}).pop(tag["Key"], None)
    elif record.request_tags:
        for name in record.created:
            known.setdefault(last_part(name), {}).update(record.request_tags)
