"""What IAM refuses of users, roles and the roles of services."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.strictmoto.iam.conftest import HERE, Enforcing, policy, refusal
from tests.strictmoto.test_call_rules import unchecked

TRUST: Final = policy({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
ALLOWED: Final = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
LINKED: Final = "AWSServiceRoleForAutoScaling"


@pytest.mark.parametrize(
    ("give", "take", "what"),
    [
        (
            lambda iam: iam.create_access_key(UserName="u")["AccessKey"]["AccessKeyId"],
            lambda iam, key: iam.delete_access_key(UserName="u", AccessKeyId=key),
            "delete access keys",
        ),
        (
            lambda iam: iam.create_login_profile(UserName="u", Password="long and 1 of many"),
            lambda iam, _: iam.delete_login_profile(UserName="u"),
            "delete login profile",
        ),
        (
            lambda iam: [iam.create_group(GroupName="g"), iam.add_user_to_group(GroupName="g", UserName="u")],
            lambda iam, _: iam.remove_user_from_group(GroupName="g", UserName="u"),
            "remove users from group",
        ),
    ],
)
def test_fails_when_a_user_is_deleted_that_has_something(enforcing: Enforcing, give: Any, take: Any, what: str) -> None:
    iam = enforcing.client("iam")
    iam.create_user(UserName="u")
    given = give(iam)
    said = refusal(lambda: iam.delete_user(UserName="u"))
    assert said == ("DeleteConflict", f"Cannot delete entity, must {what} first.")
    take(iam, given)
    iam.delete_user(UserName="u")


@pytest.mark.parametrize("seconds", [3599, 43_201])
def test_fails_when_sessions_of_a_role_cannot_last_so(enforcing: Enforcing, seconds: int) -> None:
    iam = unchecked(enforcing.account, "iam")
    made = {"RoleName": "r", "AssumeRolePolicyDocument": TRUST}
    assert refusal(lambda: iam.create_role(**made, MaxSessionDuration=seconds))[0] == "ValidationError"
    iam.create_role(**made, MaxSessionDuration=43_200)
    assert refusal(lambda: iam.update_role(RoleName="r", MaxSessionDuration=seconds))[0] == "ValidationError"


def test_fails_when_a_boundary_is_no_policy(enforcing: Enforcing) -> None:
    iam = enforcing.client("iam")
    absent = f"arn:aws:iam::{HERE}:policy/absent"
    made = {"RoleName": "r", "AssumeRolePolicyDocument": TRUST}
    missing = ("NoSuchEntity", f"Scope ARN: {absent} does not exist or is not attachable.")
    assert refusal(lambda: iam.create_role(**made, PermissionsBoundary=absent)) == missing
    iam.create_role(**made, PermissionsBoundary="arn:aws:iam::aws:policy/ReadOnlyAccess")
    assert refusal(lambda: iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=absent)) == missing


@pytest.mark.parametrize(
    "change",
    [
        lambda iam: iam.put_role_policy(RoleName=LINKED, PolicyName="p", PolicyDocument=ALLOWED),
        lambda iam: iam.attach_role_policy(RoleName=LINKED, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"),
        lambda iam: iam.update_assume_role_policy(RoleName=LINKED, PolicyDocument=TRUST),
        lambda iam: iam.update_role(RoleName=LINKED, MaxSessionDuration=7200),
        lambda iam: iam.delete_role(RoleName=LINKED),
    ],
)
def test_fails_when_the_role_of_a_service_is_changed(enforcing: Enforcing, change: Any) -> None:
    iam = enforcing.client("iam")
    iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    code, message = refusal(lambda: change(iam))
    assert (code, "this role is only modifiable by AWS" in message) == ("UnmodifiableEntity", True)
    iam.delete_service_linked_role(RoleName=LINKED)


def test_fails_when_no_service_is_named(enforcing: Enforcing) -> None:
    iam = enforcing.client("iam")
    assert refusal(lambda: iam.create_service_linked_role(AWSServiceName="autoscaling"))[0] == "InvalidInput"
