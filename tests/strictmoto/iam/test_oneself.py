"""A call of IAM that names no user is about the user who makes it, whatever key or device it names."""

from __future__ import annotations

from typing import Any, Final

import pytest

from strictmoto.identity.principals import Credentials
from tests.strictmoto.iam.conftest import HERE, Enforcing, policy, refusal

OWN: Final = {"Action": "iam:*", "Resource": "arn:aws:iam::*:user/${aws:username}"}


@pytest.fixture
def victim(enforcing: Enforcing) -> Credentials:
    """A user whose key another one knows the id of."""
    return enforcing.user("victim")


@pytest.fixture
def attacker(enforcing: Enforcing) -> Credentials:
    """A user who may do everything to itself."""
    return enforcing.user("attacker", OWN)


@pytest.mark.parametrize(("call", "more"), [("delete_access_key", {}), ("update_access_key", {"Status": "Inactive"})])
@pytest.mark.parametrize("by_root", [False, True])
def test_fails_when_the_key_of_another_user_is_named(
    enforcing: Enforcing, victim: Credentials, attacker: Credentials, call: str, more: dict[str, Any], by_root: bool
) -> None:
    iam = enforcing.client("iam") if by_root else enforcing.signed("iam", attacker)
    assert refusal(getattr(iam, call), AccessKeyId=victim.access_key_id, **more)[0] == "NoSuchEntity"
    [kept] = enforcing.client("iam").list_access_keys(UserName="victim")["AccessKeyMetadata"]
    assert kept["Status"] == "Active"


def test_fails_when_the_use_of_a_key_of_another_user_is_read(
    enforcing: Enforcing, victim: Credentials, attacker: Credentials
) -> None:
    iam = enforcing.signed("iam", attacker)
    message = refusal(iam.get_access_key_last_used, AccessKeyId=victim.access_key_id)[1]
    assert f"on resource: arn:aws:iam::{HERE}:user/victim" in message
    assert iam.get_access_key_last_used(AccessKeyId=attacker.access_key_id)["UserName"] == "attacker"


def test_when_no_user_is_named_then_it_is_about_the_caller(enforcing: Enforcing, attacker: Credentials) -> None:
    iam = enforcing.signed("iam", attacker)
    assert iam.get_user()["User"]["UserName"] == "attacker"
    made = iam.create_access_key()["AccessKey"]
    assert made["UserName"] == "attacker"
    iam.update_access_key(AccessKeyId=made["AccessKeyId"], Status="Inactive")
    assert {one["Status"] for one in iam.list_access_keys()["AccessKeyMetadata"]} == {"Active", "Inactive"}
    iam.delete_access_key(AccessKeyId=made["AccessKeyId"])
    assert iam.list_mfa_devices()["MFADevices"] == []
    assert iam.list_ssh_public_keys()["SSHPublicKeys"] == []
    assert iam.list_signing_certificates()["Certificates"] == []
    assert iam.create_login_profile(Password="long and 1 of many")["LoginProfile"]["UserName"] == "attacker"
    assert iam.get_login_profile()["LoginProfile"]["UserName"] == "attacker"
    wrong = refusal(iam.change_password, OldPassword="wrong", NewPassword="long and 2 of many")
    assert wrong == ("PasswordPolicyViolation", "The old password was incorrect.")
    iam.change_password(OldPassword="long and 1 of many", NewPassword="long and 2 of many")
    iam.delete_login_profile()
    assert refusal(iam.get_login_profile)[0] == "NoSuchEntity"


@pytest.mark.parametrize("call", ["get_user", "list_access_keys", "create_access_key", "list_mfa_devices"])
def test_fails_when_a_role_names_no_user(enforcing: Enforcing, call: str) -> None:
    iam = enforcing.worker("iam", {"Action": "iam:*"})
    said = refusal(getattr(iam, call))
    assert said == ("ValidationError", "Must specify userName when calling with non-User credentials")


def test_when_the_root_user_asks_who_it_is_then_it_has_no_name(enforcing: Enforcing) -> None:
    user = enforcing.client("iam").get_user()["User"]
    assert (user["Arn"], user["UserId"]) == (f"arn:aws:iam::{HERE}:root", HERE)
    assert "UserName" not in user


def test_when_a_user_has_a_boundary_then_nothing_beyond_it_is_allowed(enforcing: Enforcing) -> None:
    iam = enforcing.client("iam")
    document = policy({"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"})
    boundary = iam.create_policy(PolicyName="bound", PolicyDocument=document)["Policy"]["Arn"]
    own = enforcing.user("bounded", {"Action": "ec2:*"}, PermissionsBoundary=boundary)
    ec2 = enforcing.signed("ec2", own)
    assert ec2.describe_vpcs()["Vpcs"]
    message = refusal(ec2.describe_subnets)[1]
    assert message.endswith("because no permissions boundary allows the ec2:DescribeSubnets action")
    iam.delete_user_permissions_boundary(UserName="bounded")
    assert ec2.describe_subnets()["Subnets"]
    iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=boundary)
    assert refusal(ec2.describe_subnets)[0] == "UnauthorizedOperation"
    assert refusal(iam.delete_policy, PolicyArn=boundary)[0] == "DeleteConflict"
