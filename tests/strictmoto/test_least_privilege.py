"""The proof of least privilege: what it finds, and what it knows of resources that no call names."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import REGION, Account
from strictmoto.testing.least_privilege import Proof, policies_of, prove
from strictmoto.testing.resource_conditions import attributes_now, tags_now
from tests.strictmoto.trusting import TRUST

ROLE: Final = "arn:aws:iam::123456789012:role/worker"
MACHINE: Final = "arn:aws:states:eu-central-1:123456789012:stateMachine:incidents"
OURS: Final = {"StringEquals": {"aws:ResourceTag/team": "blue"}}


class Worker:
    """A role, and what it does."""

    def __init__(self, account: Account) -> None:
        self.account = account
        account.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=TRUST)

    def may(self, *actions: str, resource: str | list[str] = "*", **more: Any) -> None:
        statement = {"Sid": "Work", "Effect": "Allow", "Action": list(actions), "Resource": resource, **more}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.account.client("iam").put_role_policy(RoleName="worker", PolicyName="work", PolicyDocument=policy)

    def client(self, service: str) -> Any:
        return self.account.client(service, role_arn=ROLE)

    def proof(self, tags: dict[str, dict[str, str]] | None = None) -> Proof:
        records = self.account.recorder.records()
        attributes = attributes_now(self.account, region=REGION)
        policies = policies_of(self.account, [ROLE])
        return prove(records, policies, tags or {}, attributes=attributes, state_machine=MACHINE)


@pytest.fixture
def worker(aws_account: Account) -> Worker:
    return Worker(aws_account)


def test_when_every_call_is_allowed_and_needed_then_nothing_is_found(worker: Worker) -> None:
    worker.may("ec2:DescribeVpcs")
    worker.client("ec2").describe_vpcs()
    assert worker.proof() == Proof((), (), 1)


def test_fails_when_a_call_is_not_allowed(worker: Worker) -> None:
    worker.may("ec2:DescribeVpcs")
    worker.client("ec2").describe_vpcs()
    for _ in range(2):
        worker.client("ec2").describe_subnets()
    # The same refusal is reported once.
    [refusal] = worker.proof().refusals
    assert str(refusal) == f"{ROLE} may not ec2:DescribeSubnets on * (called ec2:DescribeSubnets)"


def test_fails_when_something_is_allowed_that_nothing_needed(worker: Worker) -> None:
    worker.may("ec2:DescribeVpcs", "ec2:DescribeSubnets")
    worker.client("ec2").describe_vpcs()
    [surplus] = worker.proof().surplus
    assert str(surplus) == f"{ROLE} never needed ec2:DescribeSubnets, which work/Work allows"


def test_fails_when_two_statements_allow_the_same_call(worker: Worker) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": sid, "Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"} for sid in ("One", "Other")
        ],
    }
    worker.account.client("iam").put_role_policy(
        RoleName="worker", PolicyName="work", PolicyDocument=json.dumps(document)
    )
    worker.client("ec2").describe_vpcs()
    proof = worker.proof()
    assert (proof.refusals, proof.surplus) == ((), ())
    assert [found.statement.name for found in proof.redundant] == ["work/One", "work/Other"]


def test_fails_when_a_resource_is_named_that_nothing_needed(worker: Worker) -> None:
    group = worker.account.client("ec2").describe_security_groups()["SecurityGroups"][0]["GroupId"]
    named = [f"arn:aws:ec2:{REGION}:123456789012:security-group/{one}" for one in (group, "sg-0123456789abcdef0")]
    worker.may("ec2:CreateTags", resource=named)
    worker.client("ec2").create_tags(Resources=[group], Tags=[{"Key": "team", "Value": "blue"}])
    [surplus] = worker.proof().surplus
    assert str(surplus) == f"{ROLE} never needed ec2:CreateTags on {named[1]}, which work/Work allows"


def test_when_others_call_then_that_is_not_judged(worker: Worker) -> None:
    worker.account.client("ec2").describe_vpcs()
    assert worker.proof() == Proof((), (), 0)


def test_when_it_tagged_what_it_made_then_it_may_delete_by_tag_what_only_the_request_tagged(worker: Worker) -> None:
    worker.may("ec2:DeleteTrafficMirrorFilter", Condition=OURS)
    tagged = [{"ResourceType": "traffic-mirror-filter", "Tags": [{"Key": "team", "Value": "blue"}]}]
    ec2 = worker.account.client("ec2")
    made = ec2.create_traffic_mirror_filter(TagSpecifications=tagged)["TrafficMirrorFilter"]
    worker.client("ec2").delete_traffic_mirror_filter(TrafficMirrorFilterId=made["TrafficMirrorFilterId"])
    assert worker.proof() == Proof((), (), 1)


def test_fails_when_the_tag_was_taken_before(worker: Worker) -> None:
    worker.may("ec2:DeleteTrafficMirrorFilter", Condition=OURS)
    ec2 = worker.account.client("ec2")
    filter_id = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    ec2.create_tags(Resources=[filter_id], Tags=[{"Key": "team", "Value": "blue"}])
    ec2.delete_tags(Resources=[filter_id], Tags=[{"Key": "team"}])
    worker.client("ec2").delete_traffic_mirror_filter(TrafficMirrorFilterId=filter_id)
    assert len(worker.proof().refusals) == 1


def test_when_a_stack_tagged_what_it_created_then_the_account_has_the_tags(worker: Worker) -> None:
    worker.may("ec2:DeleteTrafficMirrorFilter", "cloudformation:DeleteStack", Condition=OURS)
    template = {"Resources": {"Filter": {"Type": "AWS::EC2::TrafficMirrorFilter", "Properties": {}}}}
    stacks = worker.account.client("cloudformation")
    stacks.create_stack(StackName="s", TemplateBody=json.dumps(template), Tags=[{"Key": "team", "Value": "blue"}])
    stack_id = stacks.describe_stacks()["Stacks"][0]["StackId"]
    tags = tags_now(worker.account, region=REGION)
    [made] = worker.account.client("ec2").describe_traffic_mirror_filters()["TrafficMirrorFilters"]
    worker.client("ec2").delete_traffic_mirror_filter(TrafficMirrorFilterId=made["TrafficMirrorFilterId"])
    worker.client("cloudformation").delete_stack(StackName=stack_id)
    [refusal] = worker.proof(tags).refusals
    # What CloudFormation reads with the worker's permissions, which has no tags.
    assert refusal.action == "ec2:DescribeTrafficMirrorFilters"
    # The calls of the stack count as well: it gives the tags to what it makes.
    assert worker.proof().refusals == (refusal,)


def test_when_a_task_token_is_used_then_its_state_machine_is_asked_about(worker: Worker) -> None:
    worker.may("states:SendTaskSuccess", resource=MACHINE)
    states = worker.client("stepfunctions")
    with pytest.raises(states.exceptions.ClientError):
        states.send_task_success(taskToken="AQ" + "a" * 160, output="{}")
    assert worker.proof() == Proof((), (), 1)


@pytest.mark.parametrize(("partition", "refused"), [("INCIDENT#1", 0), ("CAPTURE#1", 1)])
def test_when_a_policy_names_partitions_of_a_table_then_the_keys_of_requests_count(
    worker: Worker, partition: str, refused: int
) -> None:
    worker.account.client("dynamodb").create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    worker.may(
        "dynamodb:GetItem",
        resource="arn:aws:dynamodb:eu-central-1:123456789012:table/t",
        Condition={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["INCIDENT#*"]}},
    )
    worker.client("dynamodb").get_item(TableName="t", Key={"pk": {"S": partition}})
    assert len(worker.proof().refusals) == refused


@pytest.mark.parametrize("mine", [True, False])
def test_when_a_policy_names_a_vpc_then_what_lies_in_it_is_allowed_and_nothing_else(worker: Worker, mine: bool) -> None:
    ec2 = worker.account.client("ec2")
    vpcs = [ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"] for number in (1, 2)]
    subnet = ec2.create_subnet(VpcId=vpcs[0], CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpcs[0])["GroupId"]
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    scope = f"arn:aws:ec2:{REGION}:*:vpc/{vpcs[0] if mine else vpcs[1]}"
    worker.may("ec2:ModifyNetworkInterfaceAttribute", Condition={"ArnLikeIfExists": {"ec2:Vpc": scope}})
    worker.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[group])
    refused = [resource for refusal in worker.proof().refusals for resource in refusal.resources]
    assert [arn.rpartition("/")[2] for arn in refused] == ([] if mine else [interface, group])


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({"DisableApiTermination": {"Value": True}}, True),
        ({"DisableApiTermination": {"Value": False}}, False),
        ({"InstanceInitiatedShutdownBehavior": {"Value": "stop"}}, False),
        ({"Attribute": "userData", "Value": "IyEvYmluL3No"}, False),
    ],
    ids=["on", "off", "another", "by its name"],
)
def test_when_a_policy_names_an_attribute_then_what_the_request_sets_counts(
    worker: Worker, given: dict[str, Any], allowed: bool
) -> None:
    condition = {"ec2:Attribute/DisableApiTermination": "true"}
    worker.may("ec2:ModifyInstanceAttribute", Condition={"StringEquals": condition})
    with contextlib.suppress(ClientError):
        worker.client("ec2").modify_instance_attribute(InstanceId="i-0123456789abcdef0", **given)
    assert (worker.proof().refusals == ()) is allowed


@pytest.mark.parametrize(("attribute", "allowed"), [("disableApiTermination", True), ("userData", False)])
def test_when_a_policy_names_an_attribute_then_what_is_described_counts(
    worker: Worker, attribute: str, allowed: bool
) -> None:
    condition = {"ec2:Attribute": "disableApiTermination"}
    worker.may("ec2:DescribeInstanceAttribute", Condition={"StringEqualsIgnoreCaseIfExists": condition})
    with contextlib.suppress(ClientError):
        worker.client("ec2").describe_instance_attribute(InstanceId="i-0123456789abcdef0", Attribute=attribute)
    assert (worker.proof().refusals == ()) is allowed


def test_when_an_attribute_is_set_then_only_the_resource_that_has_it_is_asked_with_it(worker: Worker) -> None:
    """Of a security group that is put on, IAM hears nothing about attributes."""
    worker.may("ec2:ModifyNetworkInterfaceAttribute", Condition={"Null": {"ec2:Attribute/SourceDestCheck": "false"}})
    with contextlib.suppress(ClientError):
        worker.client("ec2").modify_network_interface_attribute(
            NetworkInterfaceId="eni-0123456789abcdef0", SourceDestCheck={"Value": False}
        )
    [refusal] = worker.proof().refusals
    assert refusal.resources == (f"arn:aws:ec2:{REGION}:123456789012:instance/*",)
