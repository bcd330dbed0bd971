"""Documents of IAM: policies, and trust policies of roles that a service assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tapstack.capture.place import Place

Statement = dict[str, Any]


def document(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a policy of these statements."""
    return {"Version": "2012-10-17", "Statement": [dict(statement) for statement in statements]}


def secure_transport(resource: str | list[str], action: str | list[str]) -> Statement:
    """Return a statement that denies requests by plain HTTP, for the policy of a bucket, a topic or a queue.

    Args:
        resource: its ARN; of a bucket also that of its objects.
        action: all actions of its service that such a policy takes.
    """
    return {
        "Sid": "DenyInsecureTransport",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def trusting(service: str, place: Place | None = None, *, for_arn: str | None = None) -> dict[str, Any]:
    """Return the trust policy of a role that a service assumes, on behalf of the account where given.

    Args:
        service: which.
        place: of the account.
        for_arn: pattern of the resources for which it may. To be given where it is not documented that the service
            says for which account and resource it assumes a role: what it does not say is then no reason to refuse it.
    """
    statement: Statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
    }
    if place is not None:
        of_account = {"aws:SourceAccount": place.account}
        if for_arn is None:
            statement["Condition"] = {"StringEquals": of_account}
        else:
            statement["Condition"] = {
                "StringEqualsIfExists": of_account,
                "ArnLikeIfExists": {"aws:SourceArn": for_arn},
            }
    return document([statement])
