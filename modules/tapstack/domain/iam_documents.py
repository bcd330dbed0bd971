"""Documents of IAM, and the statement that every policy of a bucket, a topic or a queue has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Statement = dict[str, Any]


def document(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a policy of these statements."""
    return {"Version": "2012-10-17", "Statement": [dict(statement) for statement in statements]}


def size_of(statements: Sequence[Mapping[str, Any]]) -> int:
    """Return how many characters a policy of these statements has as it is deployed: without white space."""
    return len(json.dumps(document(statements), separators=(",", ":")))


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
