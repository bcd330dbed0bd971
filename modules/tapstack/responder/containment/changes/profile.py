"""A role that is denied every call of one instance; other instances with the same role are not affected.

Revoking sessions would not help: the instance metadata service issues new credentials. Exfiltrated credentials are
denied as well, because they name the instance that they were issued for.

The restriction is recognized by its content. Any other policy of the same name is neither overwritten nor deleted.

Source: IAM User Guide, "AWS global condition context keys" (ec2:SourceInstanceARN); IAM API Reference, PutRolePolicy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from tapstack.domain.containment import ALLOWED, DENIED, OTHER_POLICY, PriorState, Value
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of
from tapstack.responder.containment.changes.gone import NotManaged, gone_when

_NO_SUCH: Final = "NoSuchEntity"


def read(instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
    """Return whether each role is denied the calls of the instance. A role may outlive the instance."""
    states: dict[str, Value] = {}
    for one in prior_states:
        try:
            client("iam").get_role(RoleName=one.key)
        except ClientError as error:
            if code_of(error) != _NO_SUCH:
                raise
            continue
        states[one.key] = restriction_of(one.key, one.detail["instance_arn"])
    return states


def change(instance_id: str, prior: PriorState, to: Value) -> None:
    """Deny the role all calls of the instance.

    Raises:
        NotManaged: the role has another policy of that name.
    """
    arn = prior.detail["instance_arn"]
    with gone_when(_NO_SUCH):
        _check_free(prior.key, arn)
        client("iam").put_role_policy(
            RoleName=prior.key, PolicyName=policy_name(instance_id), PolicyDocument=json.dumps(_document(arn))
        )


def restore(instance_id: str, prior: PriorState, to: Value) -> None:
    """Remove the denial.

    Raises:
        NotManaged: the role has another policy of that name, which stays, whatever was decided about it.
    """
    with gone_when(_NO_SUCH):
        _check_free(prior.key, prior.detail["instance_arn"])
        client("iam").delete_role_policy(RoleName=prior.key, PolicyName=policy_name(instance_id))


def policy_name(instance_id: str) -> str:
    """Return the name of the role's inline policy for an instance."""
    return f"tapstack-containment-{instance_id}"


def restriction_of(role: str, instance_arn: str) -> Value:
    """Return whether a role is denied the calls of an instance, or has another policy of that name."""
    try:
        answer = client("iam").get_role_policy(RoleName=role, PolicyName=policy_name(_id_in(instance_arn)))
    except ClientError as error:
        if code_of(error) == _NO_SUCH:
            return ALLOWED
        raise
    found = answer["PolicyDocument"]
    written = json.loads(found) if isinstance(found, str) else found
    return DENIED if written == _document(instance_arn) else OTHER_POLICY


def _document(instance_arn: str) -> dict[str, Any]:
    statement = {
        "Sid": "TapstackContainment",
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"ArnEquals": {"ec2:SourceInstanceARN": instance_arn}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _check_free(role: str, instance_arn: str) -> None:
    if restriction_of(role, instance_arn) == OTHER_POLICY:
        raise NotManaged(
            f"the role {role} has a policy {policy_name(_id_in(instance_arn))} that containment did not write: "
            "it is left as it is"
        )


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


def _id_in(instance_arn: str) -> str:
    return instance_arn.rpartition("/")[2]
