"""Policies that are malformed are refused when they are set, with the error of the service.

The policies of users, groups, roles and those that are managed are checked by moto; here are all others.

Sources: the errors of each action in its service's API Reference (PutBucketPolicy, SetQueueAttributes,
SetTopicAttributes, CreateKey, PutResourcePolicy, PutPermission, AssumeRole, CreateRole and their like).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal
from strictmoto.iam.grammar import Kind, MalformedPolicyError, check_policy
from strictmoto.requests.calls import Call
from strictmoto.requests.structures import requested_by

Find = Callable[[Mapping[str, Any]], Iterator[Any]]


def _member(*names: str) -> Find:
    def find(requested: Mapping[str, Any]) -> Iterator[Any]:
        yield from (requested[name] for name in names if name in requested)

    return find


def _attribute(requested: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the attribute `Policy`, alone or among others; none where it is taken away."""
    if requested.get("AttributeName") == "Policy":
        yield requested.get("AttributeValue") or None
    yield (requested.get("Attributes") or {}).get("Policy") or None


_IAM: Final = "MalformedPolicyDocument"
_RULES: Final[Mapping[tuple[str, str], tuple[str, Kind, Find]]] = {
    ("s3", "PutBucketPolicy"): ("MalformedPolicy", "resource", _member("Policy")),
    ("sqs", "CreateQueue"): ("InvalidAttributeValue", "resource", _attribute),
    ("sqs", "SetQueueAttributes"): ("InvalidAttributeValue", "resource", _attribute),
    ("sns", "CreateTopic"): ("InvalidParameter", "resource", _attribute),
    ("sns", "SetTopicAttributes"): ("InvalidParameter", "resource", _attribute),
    ("kms", "CreateKey"): ("MalformedPolicyDocumentException", "resource", _member("Policy")),
    ("kms", "PutKeyPolicy"): ("MalformedPolicyDocumentException", "resource", _member("Policy")),
    ("secretsmanager", "PutResourcePolicy"): (
        "MalformedPolicyDocumentException",
        "resource",
        _member("ResourcePolicy"),
    ),
    ("events", "PutPermission"): ("ValidationException", "resource", _member("Policy")),
    ("organizations", "CreatePolicy"): ("MalformedPolicyDocumentException", "identity", _member("Content")),
    ("organizations", "UpdatePolicy"): ("MalformedPolicyDocumentException", "identity", _member("Content")),
    ("iam", "CreateRole"): (_IAM, "trust", _member("AssumeRolePolicyDocument")),
    ("iam", "UpdateAssumeRolePolicy"): (_IAM, "trust", _member("PolicyDocument")),
    **{
        ("sts", action): (_IAM, "identity", _member("Policy"))
        for action in ("AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "GetFederationToken")
    },
}
_SERVICE_CONTROL: Final = "SERVICE_CONTROL_POLICY"
_MESSAGES: Final = {"sns": "Invalid parameter: Policy Error: {}", "sqs": "Invalid value for the parameter Policy: {}"}


def refusal_of_policies(call: Call) -> Refusal | None:
    """Return how a service refuses a policy that a call sets; None where it takes it."""
    rule = _RULES.get((call.service, call.action))
    if rule is None:
        return None
    code, kind, find = rule
    requested = requested_by(call)
    if call.service == "organizations" and requested.get("Type", _SERVICE_CONTROL) != _SERVICE_CONTROL:
        return None
    for given in find(requested):
        if given is None:
            continue
        try:
            check_policy(given if isinstance(given, str) else json.dumps(given), kind)
        except MalformedPolicyError as error:
            return Refusal(code, _MESSAGES.get(call.service, "{}").format(error))
    return None
