"""Names and paths of users, roles, groups, policies and instance profiles: an ARN is made of them."""

from __future__ import annotations

import json
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from strictmoto.iam.identities import identity_of_arn, is_root
from tests.strictmoto.iam.conftest import HERE, Enforcing, policy, refusal

pytestmark = pytest.mark.rehearsal

TRUST: Final = policy({"Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
MADE: Final[dict[str, dict[str, Any]]] = {
    "create_user": {"UserName": "made"},
    "create_role": {"RoleName": "made", "AssumeRolePolicyDocument": TRUST},
    "create_group": {"GroupName": "made"},
    "create_policy": {"PolicyName": "made", "PolicyDocument": policy({"Action": "ec2:DescribeVpcs"})},
    "create_instance_profile": {"InstanceProfileName": "made"},
}


@pytest.mark.parametrize("name", ["x:root", "a/b", "a b", "straße", "*", ""])
@pytest.mark.parametrize("operation", MADE)
def test_fails_where_a_name_has_what_no_name_has(enforcing: Enforcing, operation: str, name: str) -> None:
    given = MADE[operation]
    key = next(iter(given))

    code, message = refusal(getattr(unvalidated(enforcing), operation), **{**given, key: name})

    assert code == "ValidationError"
    assert f"at '{key[0].lower() + key[1:]}' failed to satisfy constraint" in message


@pytest.mark.parametrize("path", ["nope", "/nope", "nope/", "/a b/", "/" + 600 * "a" + "/"])
@pytest.mark.parametrize("operation", MADE)
def test_fails_where_a_path_is_none(enforcing: Enforcing, operation: str, path: str) -> None:
    code, _ = refusal(getattr(unvalidated(enforcing), operation), **MADE[operation], Path=path)

    assert code == "ValidationError"


@pytest.mark.parametrize("operation", MADE)
def test_takes_paths_that_are_some(enforcing: Enforcing, operation: str) -> None:
    made = getattr(enforcing.client("iam"), operation)(**MADE[operation], Path="/teams/network/")

    [found] = [value for name, value in made.items() if name != "ResponseMetadata"]
    assert found["Arn"].endswith("/teams/network/made")


@pytest.mark.parametrize("operation", [name for name in MADE if name != "create_policy"])
def test_fails_where_a_name_differs_by_its_case_only(enforcing: Enforcing, operation: str) -> None:
    iam, given = enforcing.client("iam"), MADE[operation]
    key = next(iter(given))
    getattr(iam, operation)(**given)

    code, message = refusal(getattr(iam, operation), **{**given, key: "Made"})

    assert code == "EntityAlreadyExists"
    assert "Made" in message


def test_takes_the_own_name_in_another_case_and_fails_with_that_of_another(enforcing: Enforcing) -> None:
    iam = enforcing.client("iam")
    for name in ("worker", "other"):
        iam.create_user(UserName=name)
        iam.create_group(GroupName=name)

    iam.update_user(UserName="worker", NewUserName="Worker")
    iam.update_group(GroupName="worker", NewGroupName="Worker")

    assert refusal(iam.update_user, UserName="Worker", NewUserName="OTHER")[0] == "EntityAlreadyExists"
    assert refusal(iam.update_group, GroupName="Worker", NewGroupName="OTHER")[0] == "EntityAlreadyExists"


def test_fails_where_another_name_is_none(enforcing: Enforcing) -> None:
    iam = enforcing.client("iam")
    iam.create_user(UserName="worker")
    iam.create_group(GroupName="workers")

    assert refusal(iam.update_user, UserName="worker", NewUserName="x:root")[0] == "ValidationError"
    assert refusal(iam.update_user, UserName="worker", NewPath="nope")[0] == "ValidationError"
    assert refusal(iam.update_group, GroupName="workers", NewGroupName="x:root")[0] == "ValidationError"


def test_fails_in_a_template_as_well(enforcing: Enforcing) -> None:
    resources = {"User": {"Type": "AWS::IAM::User", "Properties": {"UserName": "x:root"}}}
    stacks = enforcing.client("cloudformation")
    stacks.create_stack(
        StackName="names", TemplateBody=json.dumps({"Resources": resources}), Capabilities=["CAPABILITY_NAMED_IAM"]
    )

    assert enforcing.client("iam").list_users()["Users"] == []


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::{HERE}:user/x:root",
        f"arn:aws:iam::{HERE}:role/y:root",
        f"arn:aws:iam::{HERE}:usernopezz",
        f"arn:aws:iam::{HERE}:group/some",
        f"arn:aws:sts::{HERE}:federated-user/some",
        f"arn:aws:iam::{HERE}:root:root",
        f"arn:aws:iam::{HERE}:root/root",
    ],
)
def test_only_the_arn_of_root_is_root(enforcing: Enforcing, arn: str) -> None:
    # Somebody whose policies are None may do anything.
    assert not is_root(arn)
    assert identity_of_arn(arn).policies.identity is not None
    assert not identity_of_arn(arn).known


def test_root_is_known_by_its_arn(enforcing: Enforcing) -> None:
    assert is_root(f"arn:aws:iam::{HERE}:root")
    assert is_root(f"arn:aws-us-gov:iam::{HERE}:root")


def test_a_path_like_a_roles_makes_no_role_of_a_user(enforcing: Enforcing) -> None:
    iam = enforcing.client("iam")
    iam.create_user(UserName="worker", Path="/x:role/")
    iam.put_user_policy(UserName="worker", PolicyName="work", PolicyDocument=policy({"Action": "ec2:DescribeVpcs"}))
    keys = iam.create_access_key(UserName="worker")["AccessKey"]
    ec2 = boto3.client(
        "ec2",
        endpoint_url=enforcing.account.endpoint,
        region_name="eu-central-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
    )

    assert ec2.describe_vpcs()["Vpcs"]
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.describe_subnets()


def unvalidated(enforcing: Enforcing) -> Any:
    """Return a client that sends what botocore would refuse."""
    account = enforcing.account
    return boto3.client(
        "iam",
        endpoint_url=account.endpoint,
        region_name="eu-central-1",
        **account.credentials.as_arguments(),
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, proxies={}),
    )
