"""Client tokens: a creation that is sent again makes nothing more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused

# By the action: its parameters, others that differ, and how many there are then.
Given = dict[str, Any]
Creation = tuple[Callable[[Given], Given], Given, Callable[[Any], int]]
CREATIONS: dict[str, Creation] = {
    "run_instances": (
        lambda it: {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1, "SubnetId": it["subnet"]},
        {"InstanceType": "t3.small"},
        lambda ec2: sum(len(part["Instances"]) for part in ec2.describe_instances()["Reservations"]),
    ),
    "create_network_interface": (
        lambda it: {"SubnetId": it["subnet"]},
        {"Description": "other"},
        lambda ec2: len(ec2.describe_network_interfaces()["NetworkInterfaces"]),
    ),
    "create_volume": (
        lambda it: {"AvailabilityZone": "eu-central-1a", "Size": 1},
        {"Size": 2},
        lambda ec2: len(ec2.describe_volumes()["Volumes"]),
    ),
    "create_nat_gateway": (
        lambda it: {"SubnetId": it["subnet"], "AllocationId": it["allocation"]},
        {"ConnectivityType": "private"},
        lambda ec2: len(ec2.describe_nat_gateways()["NatGateways"]),
    ),
    "create_vpc_endpoint": (
        lambda it: {"VpcId": it["vpc"], "ServiceName": "com.amazonaws.eu-central-1.s3"},
        {"ServiceName": "com.amazonaws.eu-central-1.dynamodb"},
        lambda ec2: len(ec2.describe_vpc_endpoints()["VpcEndpoints"]),
    ),
    "create_launch_template": (
        lambda it: {"LaunchTemplateName": "web", "LaunchTemplateData": {"InstanceType": "m5.large"}},
        {"LaunchTemplateName": "other"},
        lambda ec2: len(ec2.describe_launch_templates()["LaunchTemplates"]),
    ),
    "create_route_table": (
        lambda it: {"VpcId": it["vpc"]},
        {"TagSpecifications": [{"ResourceType": "route-table", "Tags": [{"Key": "a", "Value": "b"}]}]},
        lambda ec2: len(ec2.describe_route_tables()["RouteTables"]),
    ),
    "create_network_acl": (
        lambda it: {"VpcId": it["vpc"]},
        {"TagSpecifications": [{"ResourceType": "network-acl", "Tags": [{"Key": "a", "Value": "b"}]}]},
        lambda ec2: len(ec2.describe_network_acls()["NetworkAcls"]),
    ),
    "create_egress_only_internet_gateway": (
        lambda it: {"VpcId": it["vpc"]},
        {"TagSpecifications": [{"ResourceType": "egress-only-internet-gateway", "Tags": [{"Key": "a", "Value": "b"}]}]},
        lambda ec2: len(ec2.describe_egress_only_internet_gateways()["EgressOnlyInternetGateways"]),
    ),
    "create_managed_prefix_list": (
        lambda it: {"PrefixListName": "sensors", "MaxEntries": 3, "AddressFamily": "IPv4"},
        {"MaxEntries": 4},
        lambda ec2: len(ec2.describe_managed_prefix_lists()["PrefixLists"]),
    ),
    "create_traffic_mirror_filter": (
        lambda it: {"Description": "all"},
        {"Description": "none"},
        lambda ec2: len(ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"]),
    ),
}


@pytest.fixture
def there(aws_account: Account) -> Given:
    """What creations need."""
    ec2 = aws_account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    return {"vpc": vpc, "subnet": subnet, "allocation": ec2.allocate_address(Domain="vpc")["AllocationId"]}


@pytest.mark.parametrize("action", CREATIONS)
def test_when_a_creation_is_sent_again_then_there_is_one_and_other_parameters_are_refused(
    aws_account: Account, there: Given, action: str
) -> None:
    given, other, count = CREATIONS[action]
    ec2 = aws_account.client("ec2")
    create = getattr(ec2, action)
    first = create(ClientToken="once", **given(there))
    made = count(ec2)
    again = create(ClientToken="once", **given(there))
    # The answer is that of the first request, with an id of its own.
    assert first.pop("ResponseMetadata")["RequestId"] != again.pop("ResponseMetadata")["RequestId"]
    assert first == again
    with refused("IdempotentParameterMismatch", "once"):
        create(ClientToken="once", **given(there) | other)
    assert count(ec2) == made
    with refused("DryRunOperation"):
        create(ClientToken="new", DryRun=True, **given(there))


def test_when_a_creation_fails_then_its_token_is_free(aws_account: Account, there: Given) -> None:
    ec2 = aws_account.client("ec2")
    with refused("InvalidSubnetID.NotFound"):
        ec2.create_network_interface(SubnetId="subnet-0123456789abcdef0", ClientToken="again")
    ec2.create_network_interface(SubnetId=there["subnet"], ClientToken="again")


def test_when_a_region_has_a_token_then_another_does_not(aws_account: Account) -> None:
    for region in ("eu-central-1", "us-east-1"):
        ec2 = aws_account.client("ec2", region=region)
        ec2.create_volume(AvailabilityZone=f"{region}a", Size=1, ClientToken="once")
        assert len(ec2.describe_volumes()["Volumes"]) == 1


def test_when_a_creation_is_sent_twice_at_once_then_there_is_one(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    ids: list[str] = []

    def create() -> None:
        ids.append(ec2.create_volume(AvailabilityZone="eu-central-1a", Size=1, ClientToken="once")["VolumeId"])

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert {volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]} == set(ids)
    assert len(set(ids)) == 1
