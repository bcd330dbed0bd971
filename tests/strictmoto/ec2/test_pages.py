"""Pages of EC2's Describe actions.

Source: Amazon EC2 API Reference, the Describe actions (MaxResults, NextToken) and "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

import base64
from typing import Any

import boto3
import pytest
from botocore.config import Config

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused

pytestmark = pytest.mark.long

WAYS = {
    "DescribeFlowLogs": None,
    "DescribeImages": None,
    "DescribeInstances": (5, 1000),
    "DescribeInstanceTypes": (5, 100),
    "DescribeInternetGateways": (5, 1000),
    "DescribeLaunchTemplates": (1, 200),
    "DescribeNatGateways": (5, 1000),
    "DescribeNetworkAcls": (5, 1000),
    "DescribeNetworkInterfaces": (5, 1000),
    "DescribeRouteTables": (5, 100),
    "DescribeSecurityGroupRules": (5, 1000),
    "DescribeSecurityGroups": (5, 1000),
    "DescribeSnapshots": None,
    "DescribeSubnets": (5, 1000),
    "DescribeTags": (5, 1000),
    "DescribeVolumes": None,
    "DescribeVpcEndpoints": None,
    "DescribeVpcPeeringConnections": (5, 1000),
    "DescribeVpcs": (5, 1000),
}
"""The sizes of a page that an action documents, if any."""


@pytest.fixture
def ec2(aws_account: Account) -> Any:
    """A client that checks nothing by itself."""
    return boto3.client(
        "ec2",
        endpoint_url=aws_account.endpoint,
        region_name="eu-central-1",
        config=Config(parameter_validation=False),
        **aws_account.credentials.as_arguments(),
    )


def call(ec2: Any, action: str, **given: Any) -> Any:
    return ec2._make_api_call(action, given)


@pytest.mark.parametrize("action", WAYS)
def test_fails_when_no_answer_gave_the_token(ec2: Any, action: str) -> None:
    with refused("InvalidNextToken", "The token 'garbage' is invalid."):
        call(ec2, action, NextToken="garbage")


@pytest.mark.parametrize(("action", "sizes"), [(action, sizes) for action, sizes in WAYS.items() if sizes])
def test_fails_when_no_page_has_that_size(ec2: Any, action: str, sizes: tuple[int, int]) -> None:
    least, most = sizes
    for size, expected in ((least - 1, f"greater than {least}"), (most + 1, f"less than {most}")):
        message = f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value {expected}."
        with refused("InvalidParameterValue", message):
            call(ec2, action, MaxResults=size)
    for size in sizes:
        call(ec2, action, MaxResults=size)


def test_when_there_are_more_than_a_page_has_then_the_token_of_one_leads_to_the_next(ec2: Any) -> None:
    for number in range(12):
        ec2.create_security_group(GroupName=f"group-{number}", Description="one of many")
    everything = [group["GroupId"] for group in ec2.describe_security_groups()["SecurityGroups"]]
    first = ec2.describe_security_groups(MaxResults=5)
    second = ec2.describe_security_groups(MaxResults=5, NextToken=first["NextToken"])
    last = ec2.describe_security_groups(NextToken=second["NextToken"])
    assert [len(page["SecurityGroups"]) for page in (first, second)] == [5, 5]
    assert "NextToken" not in last
    found = [group["GroupId"] for page in (first, second, last) for group in page["SecurityGroups"]]
    assert found == everything
    with refused("InvalidNextToken"):
        ec2.describe_subnets(NextToken=first["NextToken"])


def test_when_instances_are_paged_then_every_one_is_on_a_page(ec2: Any) -> None:
    for _ in range(7):
        ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)
    pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))
    assert [len(page["Reservations"]) for page in pages] == [5, 2]
    found = {one["InstanceId"] for page in pages for part in page["Reservations"] for one in part["Instances"]}
    assert len(found) == 7


def test_when_no_page_is_asked_for_then_the_answer_has_all(ec2: Any) -> None:
    """moto answers with fifteen launch templates."""
    for number in range(17):
        ec2.create_launch_template(LaunchTemplateName=f"template-{number}", LaunchTemplateData={"EbsOptimized": False})
    answer = ec2.describe_launch_templates()
    assert (len(answer["LaunchTemplates"]), answer.get("NextToken")) == (17, None)


def test_when_an_action_describes_two_kinds_of_items_then_it_is_refused_as_before(ec2: Any) -> None:
    """moto does not have it; what holds its items is not guessed."""
    with refused("InvalidAction"):
        call(ec2, "DescribeApplicationStatus", MaxResults=5)


@pytest.mark.parametrize(
    ("action", "ids", "shown"),
    [
        ("DescribeInstances", "InstanceIds", "instancesSet"),
        ("DescribeInstanceStatus", "InstanceIds", "instancesSet"),
        ("DescribeHosts", "HostIds", "HostIds"),
        ("DescribeNetworkInterfaces", "NetworkInterfaceIds", "NetworkInterfaceIds"),
        ("DescribeVolumes", "VolumeIds", "VolumeIds"),
    ],
)
def test_fails_when_ids_and_a_size_are_asked_for(ec2: Any, action: str, ids: str, shown: str) -> None:
    prefix = {"InstanceIds": "i", "HostIds": "h", "NetworkInterfaceIds": "eni", "VolumeIds": "vol"}[ids]
    message = f"The parameter {shown} cannot be used with the parameter maxResults"
    with refused("InvalidParameterCombination", message):
        call(ec2, action, MaxResults=5, **{ids: [f"{prefix}-0123456789abcdef0"]})


def test_when_an_action_takes_ids_with_a_size_then_it_has_pages_of_them(ec2: Any) -> None:
    subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]]
    assert len(call(ec2, "DescribeSubnets", MaxResults=5, SubnetIds=subnets[:1])["Subnets"]) == 1


@pytest.mark.parametrize("forged", ["DescribeSecurityGroups:5", "DescribeSecurityGroups:-2", "5", "after:5", ""])
def test_fails_when_a_token_is_made_up(ec2: Any, forged: str) -> None:
    for signature in (b"", bytes(32)):
        token = base64.urlsafe_b64encode(signature + forged.encode()).decode() or "="
        for action in ("DescribeSecurityGroups", "DescribeTrafficMirrorFilters"):
            with refused("InvalidNextToken"):
                call(ec2, action, NextToken=token)


def test_fails_when_a_token_is_used_with_other_parameters(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    for number in range(7):
        ec2.create_security_group(GroupName=f"group-{number}", Description="one of many", VpcId=vpc)
        ec2.create_traffic_mirror_filter(Description="one of many")
    for action, name, value in (
        ("DescribeSecurityGroups", "vpc-id", vpc),
        ("DescribeTrafficMirrorFilters", "description", "one of many"),
    ):
        filtered = {"Filters": [{"Name": name, "Values": [value]}]}
        token = call(ec2, action, MaxResults=5, **filtered)["NextToken"]
        for others in ({}, {"Filters": [{"Name": name, "Values": ["*"]}]}):
            with refused("InvalidNextToken"):
                call(ec2, action, NextToken=token, **others)
        assert call(ec2, action, MaxResults=6, NextToken=token, **filtered)
