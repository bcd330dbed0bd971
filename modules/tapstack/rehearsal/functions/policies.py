"""Whose policies allow what: of a role or user of the account, and of a resource.

Source: IAM User Guide, "Policy evaluation logic".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from moto.iam.models import iam_backends

from tapstack.rehearsal.iam.policies import Request, Resource, as_list, judge, read_policy

Statement = Mapping[str, Any]


def decide(
    statements: Iterable[Statement], action: str, resource: str, context: Mapping[str, str] | None = None
) -> bool:
    """Return whether statements allow an action on a resource: one allows it, and none denies it.

    Args:
        statements: of a policy.
        action: for example execute-api:Invoke.
        resource: an ARN.
        context: the request's condition keys.
    """
    known = read_policy({"Statement": list(statements)})
    keys = {key: (value,) for key, value in (context or {}).items()}
    return judge(known, Request(action, (Resource(resource),), keys)).allowed


def allowed(principal_arn: str, action: str, resource: str, context: Mapping[str, str] | None = None) -> bool:
    """Return whether a principal's own policies allow an action on a resource.

    The root user may do anything, and so may a role or user that IAM does not know: nothing is
    known of its policies.

    Args:
        principal_arn: of a role or a user of IAM.
        action: for example execute-api:Invoke.
        resource: an ARN.
        context: the request's condition keys, in lower case.
    """
    statements = _statements(principal_arn)
    return statements is None or decide(statements, action, resource, context)


def _statements(principal_arn: str) -> list[Statement] | None:
    parts = principal_arn.split(":", 5)
    kind, _, path = parts[5].partition("/")
    name = path.rpartition("/")[2]
    backend: Any = iam_backends[parts[4]][parts[1]]
    holders: list[Any] = []
    if kind == "role":
        holders = [role for role in backend.get_roles() if role.name == name]
    elif kind == "user" and name in backend.users:
        holders = [backend.users[name], *backend.get_groups_for_user(name)]
    if not holders:
        return None
    documents = [document for holder in holders for document in holder.policies.values()]
    documents += [
        version.document
        for holder in holders
        for policy in holder.managed_policies.values()
        for version in policy.versions
        if version.is_default
    ]
    return [
        statement
        for document in documents
        for statement in as_list((json.loads(document) if isinstance(document, str) else document)["Statement"])
    ]
