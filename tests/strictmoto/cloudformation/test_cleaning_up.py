"""Updates that take resources away, deletions that leave some, and stack sets, of which nothing is made."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import Account as WholeAccount
from tests.strictmoto.cloudformation.conftest import Account

QUEUE: dict[str, Any] = {"Type": "AWS::SQS::Queue"}
NETWORK: dict[str, Any] = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.1.0.0/16"}}
BROKEN: dict[str, Any] = {
    "Type": "AWS::EC2::Subnet",
    "Properties": {"VpcId": "vpc-12345678", "CidrBlock": "10.9.0.0/24"},
}


def create(account: Account, **resources: Any) -> None:
    account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps({"Resources": resources}))
    assert account.stack()["StackStatus"] == "CREATE_COMPLETE"


def update(account: Account, **resources: Any) -> str:
    account.stacks.update_stack(StackName="tap", TemplateBody=json.dumps({"Resources": resources}))
    return str(account.stack()["StackStatus"])


def names(account: Account) -> dict[str, str]:
    found = account.stacks.describe_stack_resources(StackName="tap")["StackResources"]
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}


def test_fails_when_a_policy_denies_a_deletion_and_the_stack_goes_back(account: Account) -> None:
    create(account, A=QUEUE, B=QUEUE)
    before = names(account)
    denied = {"Effect": "Deny", "Principal": "*", "Action": "Update:Delete", "Resource": "LogicalResourceId/A"}
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "Update:*", "Resource": "*"}
    account.stacks.set_stack_policy(StackName="tap", StackPolicyBody=json.dumps({"Statement": [denied, allowed]}))
    assert update(account, B=QUEUE) == "UPDATE_ROLLBACK_COMPLETE"
    assert names(account) == before
    # It can be updated again.
    slow = {**QUEUE, "Properties": {"DelaySeconds": 1}}
    assert update(account, A=QUEUE, B=slow) == "UPDATE_COMPLETE"
    assert names(account) == before


def test_fails_when_an_update_that_takes_a_resource_away_fails_and_the_resource_stays(account: Account) -> None:
    create(account, A=QUEUE, B=QUEUE)
    before = names(account)
    assert update(account, B=QUEUE, C=BROKEN) == "UPDATE_ROLLBACK_COMPLETE"
    assert names(account) == before
    assert update(account, B=QUEUE) == "UPDATE_COMPLETE"
    assert set(names(account)) == {"B"}


def test_when_what_is_left_over_cannot_be_deleted_then_the_update_is_complete(account: Account) -> None:
    create(account, A=NETWORK, B=QUEUE)
    vpc = names(account)["A"]
    account.ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")
    assert update(account, B=QUEUE) == "UPDATE_COMPLETE"
    assert account.stack()["StackStatusReason"] == "Update successful. One or more resources could not be deleted."
    statuses = [event[:2] for event in account.events("tap")]
    assert statuses[-4:] == [
        ("tap", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        ("A", "DELETE_IN_PROGRESS"),
        ("A", "DELETE_FAILED"),
        ("tap", "UPDATE_COMPLETE"),
    ]
    assert "has dependencies and cannot be deleted" in account.events("tap")[-2][2]
    assert set(names(account)) == {"B"}
    assert account.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]


def test_when_what_was_replaced_cannot_be_deleted_then_the_update_is_complete(account: Account) -> None:
    create(account, A=NETWORK)
    account.ec2.create_subnet(VpcId=names(account)["A"], CidrBlock="10.1.0.0/24")
    other = {**NETWORK, "Properties": {"CidrBlock": "10.2.0.0/16"}}
    assert update(account, A=other) == "UPDATE_COMPLETE"
    made = names(account)["A"]
    assert account.ec2.describe_vpcs(VpcIds=[made])["Vpcs"][0]["CidrBlock"] == "10.2.0.0/16"
    # The new one is known as it is: the same template changes nothing of it.
    assert update(account, A=other, B=QUEUE) == "UPDATE_COMPLETE"
    assert names(account)["A"] == made


@pytest.fixture
def stuck(account: Account) -> Account:
    """A stack that could not be deleted: a VPC of it has a subnet that is not the stack's."""
    create(account, A=NETWORK, B=QUEUE)
    account.ec2.create_subnet(VpcId=names(account)["A"], CidrBlock="10.1.0.0/24")
    return account


@pytest.mark.parametrize("given", [{"RetainResources": ["A"]}, {"DeletionMode": "FORCE_DELETE_STACK"}])
def test_fails_when_resources_of_a_stack_in_order_are_to_stay(stuck: Account, given: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="not in DELETE_FAILED state") as error:
        stuck.stacks.delete_stack(StackName="tap", **given)
    assert error.value.response["Error"]["Code"] == "ValidationError"
    assert stuck.stack()["StackStatus"] == "CREATE_COMPLETE"
    stuck.stacks.delete_stack(StackName="tap")
    assert stuck.stack()["StackStatus"] == "DELETE_FAILED"
    vpc = names(stuck)["A"]
    with pytest.raises(ClientError, match="not in DELETE_FAILED"):
        stuck.stacks.delete_stack(StackName="tap", RetainResources=["B"])
    stuck.stacks.delete_stack(StackName="tap", **given)
    with pytest.raises(ClientError, match="does not exist"):
        stuck.stack()
    assert stuck.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]


def test_fails_when_a_stack_in_review_is_updated(account: Account) -> None:
    body = json.dumps({"Resources": {"A": QUEUE}})
    account.stacks.create_change_set(StackName="tap", ChangeSetName="a", ChangeSetType="CREATE", TemplateBody=body)
    with pytest.raises(ClientError, match="REVIEW_IN_PROGRESS state and can not be updated"):
        account.stacks.update_stack(StackName="tap", TemplateBody=body)


@pytest.mark.parametrize("action", ["create_stack_set", "list_stack_sets"])
def test_fails_when_a_stack_set_is_asked_for(aws_account: WholeAccount, action: str) -> None:
    given = {"StackSetName": "all", "TemplateBody": json.dumps({"Resources": {"A": QUEUE}})}
    with pytest.raises(ClientError, match="strictmoto has no cloudformation:") as error:
        getattr(aws_account.client("cloudformation"), action)(**given if action[0] == "c" else {})
    assert error.value.response["Error"]["Code"] == "InvalidAction"
