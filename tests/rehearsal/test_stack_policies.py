"""Stack policies, and which updates replace a resource: what an update may do to what a stack made."""

import base64
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tapstack.domain.packet_basics import stack_policy
from tapstack.rehearsal.packet_basics import template_body
from tests.strictmoto.cloudformation.conftest import Account

KEPT = json.dumps(stack_policy(deletion_protection=True))
OPEN = json.dumps(stack_policy(deletion_protection=False))
IMAGE = "ami-bfec395773470d7a3"
OTHER_IMAGE = template_body().replace(IMAGE, "ami-12c6146b")


def given(account: Account, **changed: str) -> list[dict[str, str]]:
    parameters = {
        "VPCID": account.vpc,
        "MgmtTrafficMirrorSubnetID": account.subnet,
        "RemoteAccessCIDR": "10.9.0.0/16",
    } | changed
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]


def create(account: Account, **more: Any) -> str:
    account.stacks.create_stack(
        StackName="tap", TemplateBody=template_body(), Parameters=given(account), Tags=tags("one"), **more
    )
    return appliance(account)


def update(account: Account, body: str | None = None, **more: Any) -> str:
    template = {"TemplateBody": body} if body else {"UsePreviousTemplate": True}
    account.stacks.update_stack(StackName="tap", **{"Parameters": given(account), **template, **more})
    return str(account.stack()["StackStatus"])


def moved(account: Account) -> list[dict[str, str]]:
    """The parameters of an appliance in another subnet."""
    other = account.ec2.create_subnet(VpcId=account.vpc, CidrBlock="10.0.2.0/24")["Subnet"]["SubnetId"]
    return given(account, MgmtTrafficMirrorSubnetID=other)


def tags(value: str) -> list[dict[str, str]]:
    return [{"Key": "team", "Value": value}]


def appliance(account: Account) -> str:
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    (found,) = account.ec2.describe_instances(Filters=running)["Reservations"]
    return str(found["Instances"][0]["InstanceId"])


def refusals(account: Account) -> list[str]:
    return [f"{name}: {reason}" for name, _, reason in account.events("tap") if "stack policy" in reason]


def test_fails_when_an_update_would_replace_the_instance_and_the_stack_goes_back(account: Account) -> None:
    before = create(account, StackPolicyBody=KEPT)
    assert update(account, OTHER_IMAGE, ClientRequestToken="change-1") == "UPDATE_ROLLBACK_COMPLETE"
    assert refusals(account) == [
        "Appliance: Action denied by stack policy: Statement [#2] does not allow [Update:Replace] for resource "
        "[LogicalResourceId/Appliance]"
    ]
    assert appliance(account) == before
    # The token of the call is on its events, by which clients find the reason.
    events = account.stacks.describe_stack_events(StackName="tap")["StackEvents"]
    assert {event.get("ClientRequestToken") for event in events if event["ResourceStatus"] == "UPDATE_FAILED"} == {
        "change-1"
    }


def test_fails_when_an_update_would_replace_the_interface_or_delete_the_target(account: Account) -> None:
    create(account, StackPolicyBody=KEPT)
    assert update(account, Parameters=moved(account)) == "UPDATE_ROLLBACK_COMPLETE"
    without_target = template_body().replace("HasSource: !Not", "Never: !Equals [a, b]\n  HasSource: !Not")
    without_target = without_target.replace(
        "Type: AWS::EC2::TrafficMirrorTarget\n", "Type: AWS::EC2::TrafficMirrorTarget\n    Condition: Never\n"
    )
    assert update(account, without_target) == "UPDATE_ROLLBACK_COMPLETE"
    assert [line.partition(" [#")[0] for line in refusals(account)] == [
        "Interface: Action denied by stack policy: Statement",
        "Target: Action denied by stack policy: Statement",
    ]
    assert account.ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"] != []


@pytest.mark.parametrize(
    "change", ["a range", "a tag", "user data", "a tag of the instance"], ids=lambda text: text.replace(" ", "-")
)
def test_when_an_update_changes_in_place_then_the_instance_stays(account: Account, change: str) -> None:
    before = create(account, StackPolicyBody=KEPT)
    body = template_body()
    if change == "a range":
        assert update(account, Parameters=given(account, RemoteAccessCIDR="10.8.0.0/16")) == "UPDATE_COMPLETE"
    elif change == "a tag":
        assert update(account, Tags=tags("two")) == "UPDATE_COMPLETE"
    elif change == "user data":
        data = base64.b64encode(b"#!/bin/sh").decode()
        body = body.replace("InstanceType: m5.xlarge", f"InstanceType: m5.xlarge\n      UserData: {data}")
        assert update(account, body) == "UPDATE_COMPLETE"
    else:
        body = body.replace(
            "          Value: !Ref AWS::StackName\n\n  PublicAddress:", "          Value: x\n\n  PublicAddress:"
        )
        assert update(account, body) == "UPDATE_COMPLETE"
    assert appliance(account) == before
    found = account.ec2.describe_instances(InstanceIds=[before])["Reservations"][0]["Instances"][0]
    has = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert (has["team"], has["Name"]) == (
        "two" if change == "a tag" else "one",
        "x" if change == "a tag of the instance" else "tap",
    )


def test_when_the_policy_was_lifted_before_then_the_instance_is_replaced(account: Account) -> None:
    before = create(account, StackPolicyBody=KEPT)
    elsewhere = moved(account)
    # The policy that an update brings governs those that follow.
    assert update(account, Parameters=elsewhere, StackPolicyBody=OPEN) == "UPDATE_ROLLBACK_COMPLETE"
    assert update(account, Tags=tags("two"), StackPolicyBody=OPEN) == "UPDATE_COMPLETE"
    assert account.stacks.get_stack_policy(StackName="tap")["StackPolicyBody"] == OPEN
    assert update(account, Parameters=elsewhere) == "UPDATE_COMPLETE"
    assert appliance(account) != before


def test_when_a_policy_is_given_for_one_update_then_it_governs_that_one_only(account: Account) -> None:
    before = create(account)
    account.stacks.set_stack_policy(StackName="tap", StackPolicyBody=KEPT)
    assert update(account, Parameters=moved(account), StackPolicyDuringUpdateBody=OPEN) == "UPDATE_COMPLETE"
    assert appliance(account) != before
    assert update(account) == "UPDATE_ROLLBACK_COMPLETE"


def test_fails_when_an_update_changes_nothing_but_the_policy(account: Account) -> None:
    create(account)
    with pytest.raises(ClientError, match="No updates are to be performed."):
        update(account, Tags=tags("one"), StackPolicyBody=OPEN)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("x", "Invalid stack policy"),
        ({"Effect": "Perhaps", "Action": "Update:*", "Principal": "*", "Resource": "*"}, "Unknown effect Perhaps"),
        ({"Effect": "Deny", "Action": "Update:Nothing", "Principal": "*", "Resource": "*"}, "Unknown actions"),
        ({"Effect": "Deny", "Action": "Update:*", "Principal": "ann", "Resource": "*"}, "Principal must be"),
        ({"Effect": "Deny", "Action": "Update:*", "Principal": "*"}, "needs Resource or NotResource"),
    ],
)
def test_fails_when_a_policy_cannot_be_read(account: Account, statement: Any, said: str) -> None:
    create(account)
    text = statement if isinstance(statement, str) else json.dumps({"Statement": statement})
    with pytest.raises(ClientError, match=said):
        account.stacks.set_stack_policy(StackName="tap", StackPolicyBody=text)


def test_when_a_policy_names_what_it_does_not_mean_then_the_rest_is_meant(account: Account) -> None:
    before = create(account)
    everything = {
        "Effect": "Allow",
        "NotAction": "Update:Delete",
        "Principal": "*",
        "NotResource": "LogicalResourceId/App*",
    }
    account.stacks.set_stack_policy(StackName="tap", StackPolicyBody=json.dumps({"Statement": [everything]}))
    assert update(account, Parameters=given(account, RemoteAccessCIDR="10.8.0.0/16")) == "UPDATE_COMPLETE"
    assert update(account, OTHER_IMAGE) == "UPDATE_ROLLBACK_COMPLETE"
    assert refusals(account) == [
        "Appliance: Action denied by stack policy: no statement allows [Update:Replace] for resource "
        "[LogicalResourceId/Appliance]"
    ]
    assert appliance(account) == before


@pytest.mark.parametrize("body", ["{}", "no JSON"])
def test_fails_when_a_stack_is_not_there_before_its_policy_is_read(account: Account, body: str) -> None:
    with pytest.raises(ClientError, match="Stack: tap does not exist"):
        account.stacks.set_stack_policy(StackName="tap", StackPolicyBody=body)


@pytest.mark.parametrize("url", ["https://s3.amazonaws.com/none/none.json", "https://example.com/policy.json", "..."])
def test_fails_when_there_is_no_policy_at_the_url(account: Account, url: str) -> None:
    create(account)
    with pytest.raises(ClientError, match="S3 error: Access Denied") as refused:
        account.stacks.set_stack_policy(StackName="tap", StackPolicyURL=url)
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert "StackPolicyBody" not in account.stacks.get_stack_policy(StackName="tap")
