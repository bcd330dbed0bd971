"""A stack that was made with a role gains nothing that the role may not give, whoever updates it."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.strictmoto.iam.conftest import Enforcing, policy

BOUNDARY: Final = "arn:aws:iam::123456789012:policy/boundary"
TRUST: Final = json.loads(policy({"Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}))
DOCUMENTED: Final = {"PolicyDocument": json.loads(policy({"Action": "ec2:DescribeTags"}))}
ROLE: Final = "arn:aws:iam::123456789012:role"


@pytest.fixture
def service_role(enforcing: Enforcing) -> str:
    """A role that makes roles named after the stack `tap`, within the boundary, and passes them to EC2."""
    return enforcing.role(
        "stacks",
        {
            "Action": ["iam:CreateRole", "iam:DeleteRole*", "iam:PutRolePolicy"],
            "Resource": f"{ROLE}/tap-R*",
            "Condition": {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}},
        },
        {
            "Action": ["iam:*InstanceProfile", "iam:PassRole"],
            "Resource": [f"{ROLE}/tap-R*", "arn:aws:iam::123456789012:instance-profile/tap-P*"],
        },
        {"Action": ["ec2:*", "iam:Get*", "iam:List*"]},
        trust={"Service": "cloudformation.amazonaws.com"},
    )


@pytest.fixture
def account(enforcing: Enforcing) -> Enforcing:
    """An account with a policy for boundaries."""
    enforcing.client("iam").create_policy(PolicyName="boundary", PolicyDocument=policy({"Action": "*"}))
    return enforcing


def role(**properties: Any) -> dict[str, Any]:
    inline = {"PolicyName": "p", **DOCUMENTED}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": TRUST, "Policies": [inline], **properties},
    }


def made(account: Enforcing, resources: dict[str, Any], service_role: str | None, **given: Any) -> str:
    """Make a stack of a template, and return its status."""
    body = json.dumps({"Resources": resources})
    more = {"RoleARN": service_role} if service_role else {}
    account.client("cloudformation").create_stack(
        StackName="tap", TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"], **more, **given
    )
    return status(account)


def status(account: Enforcing) -> str:
    return str(account.client("cloudformation").describe_stacks(StackName="tap")["Stacks"][0]["StackStatus"])


def refusals(account: Enforcing) -> list[str]:
    """Oldest first."""
    events = account.client("cloudformation").describe_stack_events(StackName="tap")["StackEvents"]
    return [e["ResourceStatusReason"] for e in reversed(events) if e["ResourceStatus"].endswith("_FAILED")]


def test_when_a_role_has_the_boundary_then_it_is_made(account: Enforcing, service_role: str) -> None:
    profile = {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "Role"}]}}
    resources = {"Role": role(PermissionsBoundary=BOUNDARY), "Profile": profile}
    assert made(account, resources, service_role) == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    ("properties", "action"),
    [
        ({}, "iam:CreateRole"),
        ({"PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}, "iam:CreateRole"),
        ({"PermissionsBoundary": BOUNDARY, "RoleName": "admin"}, "iam:CreateRole"),
        (
            {"PermissionsBoundary": BOUNDARY, "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]},
            "iam:AttachRolePolicy",
        ),
    ],
    ids=["none", "another", "another name", "a managed policy"],
)
def test_fails_when_a_role_would_be_more(
    account: Enforcing, service_role: str, properties: dict[str, Any], action: str
) -> None:
    assert made(account, {"Role": role(**properties)}, service_role) == "ROLLBACK_COMPLETE"
    assert f"assumed-role/stacks/AWSCloudFormation is not authorized to perform: {action}" in refusals(account)[0]


@pytest.mark.parametrize(
    "resource",
    [
        {"Type": "AWS::IAM::User", "Properties": {}},
        {"Type": "AWS::IAM::ManagedPolicy", "Properties": DOCUMENTED},
        {
            "Type": "AWS::IAM::Policy",
            "Properties": {**DOCUMENTED, "PolicyName": "p", "Roles": ["stacks"]},
        },
        {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": ["stacks"]}},
    ],
    ids=lambda resource: resource["Type"],
)
def test_fails_when_it_makes_or_changes_anything_else_of_iam(
    account: Enforcing, service_role: str, resource: dict[str, Any]
) -> None:
    assert made(account, {"Profile": resource}, service_role) == "ROLLBACK_COMPLETE"


def test_fails_when_others_update_the_stack_to_borrow_a_role(account: Enforcing, service_role: str) -> None:
    """Whoever may update it needs no right to pass a role: the stack's own right counts."""
    iam = account.client("iam")
    iam.create_role(RoleName="admin", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.create_instance_profile(InstanceProfileName="admin")
    iam.add_role_to_instance_profile(InstanceProfileName="admin", RoleName="admin")
    good = {"Filter": {"Type": "AWS::EC2::TrafficMirrorFilter", "Properties": {}}}
    assert made(account, good, service_role) == "CREATE_COMPLETE"
    borrowing = {"Type": "AWS::EC2::Instance", "Properties": {"ImageId": "ami-12345678", "IamInstanceProfile": "admin"}}
    account.client("cloudformation").update_stack(
        StackName="tap", TemplateBody=json.dumps({"Resources": {**good, "Borrower": borrowing}})
    )
    assert status(account) == "UPDATE_ROLLBACK_COMPLETE"
    assert f"is not authorized to perform: iam:PassRole on resource: {ROLE}/admin" in refusals(account)[0]
    assert not account.client("ec2").describe_instances()["Reservations"]
