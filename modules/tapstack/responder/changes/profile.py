"""A role that is denied everything one instance asks for with it; other instances with the same role are not touched.

Revoking sessions would not help: the instance metadata service hands out new credentials. Credentials that were
carried away are denied as well, because they say which instance they were made for.

Source: IAM User Guide, "AWS global condition context keys" (ec2:SourceInstanceARN); IAM API Reference, PutRolePolicy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from tapstack.domain.containment import ALLOWED, DENIED, Original, Value
from tapstack.responder.aws_errors import code_of
from tapstack.responder.changes.gone import gone_when
from tapstack.responder.clients import client

_NO_SUCH: Final = "NoSuchEntity"


def look(instance: dict[str, Any] | None, originals: Sequence[Original]) -> dict[str, Value]:
    """Return whether each role is denied what the instance asks for. The role outlives the instance."""
    states: dict[str, Value] = {}
    for one in originals:
        try:
            client("iam").get_role(RoleName=one.key)
        except ClientError as error:
            if code_of(error) != _NO_SUCH:
                raise
            continue
        states[one.key] = DENIED if is_restricted(one.key, _instance_of(one)) else ALLOWED
    return states


def change(instance_id: str, original: Original, to: Value) -> None:
    """Deny it."""
    arn = original.detail["instance_arn"]
    statement = {
        "Sid": "TapstackContainment",
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"ArnEquals": {"ec2:SourceInstanceARN": arn}},
    }
    with gone_when(_NO_SUCH):
        client("iam").put_role_policy(
            RoleName=original.key,
            PolicyName=policy_name(instance_id),
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )


def restore(instance_id: str, original: Original, to: Value) -> None:
    """Deny it no longer."""
    with gone_when(_NO_SUCH):
        client("iam").delete_role_policy(RoleName=original.key, PolicyName=policy_name(instance_id))


def policy_name(instance_id: str) -> str:
    """Return the name of the role's inline policy for an instance."""
    return f"tapstack-containment-{instance_id}"


def is_restricted(role: str, instance_id: str) -> bool:
    """Tell whether a role is denied what an instance asks for."""
    try:
        client("iam").get_role_policy(RoleName=role, PolicyName=policy_name(instance_id))
    except ClientError as error:
        if code_of(error) == _NO_SUCH:
            return False
        raise
    return True


def role_of(instance: dict[str, Any]) -> str | None:
    """Return the name of the role of an instance's profile, if it has one."""
    arn = instance.get("IamInstanceProfile", {}).get("Arn")
    if arn is None:
        return None
    try:
        answer = client("iam").get_instance_profile(InstanceProfileName=arn.rpartition("/")[2])
    except ClientError as error:
        if code_of(error) == _NO_SUCH:
            return None
        raise
    roles = answer["InstanceProfile"]["Roles"]
    return str(roles[0]["RoleName"]) if roles else None


def _instance_of(original: Original) -> str:
    return str(original.detail["instance_arn"]).rpartition("/")[2]
