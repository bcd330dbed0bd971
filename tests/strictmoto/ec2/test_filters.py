"""Filters of EC2's Describe actions: all that AWS documents, wildcards, pages, and those that AWS does not have."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import botocore
import pytest

from strictmoto.account import Account
from strictmoto.company import IMAGE, Company, found_company
from strictmoto.ec2.filter_names import documented, items_of, path_of
from tests.strictmoto.ec2.mirroring.network import refused

pytestmark = pytest.mark.long

ACTIONS = (
    "DescribeAvailabilityZones",
    "DescribeFlowLogs",
    "DescribeImages",
    "DescribeInstanceStatus",
    "DescribeInstances",
    "DescribeInternetGateways",
    "DescribeKeyPairs",
    "DescribeLaunchTemplateVersions",
    "DescribeLaunchTemplates",
    "DescribeNatGateways",
    "DescribeNetworkAcls",
    "DescribeNetworkInterfaces",
    "DescribeRegions",
    "DescribeRouteTables",
    "DescribeSecurityGroups",
    "DescribeSnapshots",
    "DescribeSubnets",
    "DescribeTrafficMirrorFilterRules",
    "DescribeTrafficMirrorFilters",
    "DescribeTrafficMirrorSessions",
    "DescribeTrafficMirrorTargets",
    "DescribeVolumes",
    "DescribeVpcEndpointServiceConfigurations",
    "DescribeVpcEndpoints",
    "DescribeVpcs",
)


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("instance-type", ["m5.*"], {"m5.large"}),
        ("instance-type", ["m5.xlarge", "t?.*micro"], {"t3.micro"}),
        ("instance-type", ["m5.*large", "t3.micro"], {"m5.large", "t3.micro"}),
        ("network-interface.network-interface-id", ["{t3.micro}"], {"t3.micro"}),
        ("network-interface.network-interface-id", ["{t3.micro}", "{m5.large}"], {"m5.large", "t3.micro"}),
        ("network-interface.network-interface-id", ["eni-0123456789abcdef0"], set()),
        ("network-interface.mac-address", ["??:*"], {"m5.large", "t3.micro"}),
        ("network-interface.mac-address", ["nothing"], set()),
        ("instance-state-code", ["16"], {"m5.large", "t3.micro"}),
        ("network-interface.attachment.delete-on-termination", ["true"], {"m5.large", "t3.micro"}),
    ],
)
def test_when_instances_are_filtered_then_as_aws_does(
    aws_account: Account, name: str, values: list[str], found: set[str]
) -> None:
    ec2 = aws_account.client("ec2")
    interfaces = {}
    for kind in ("m5.large", "t3.micro"):
        made: Any = ec2.run_instances(ImageId=IMAGE, InstanceType=kind, MinCount=1, MaxCount=1)["Instances"][0]
        interfaces[f"{{{kind}}}"] = made["NetworkInterfaces"][0]["NetworkInterfaceId"]
    asked = [{"Name": name, "Values": [interfaces.get(value, value) for value in values]}]
    answer = ec2.describe_instances(Filters=asked)["Reservations"]
    assert {instance["InstanceType"] for part in answer for instance in part["Instances"]} == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a[1]*", {"a[1]*", "a[1]b"}),
        ("a[1]\\*", {"a[1]*"}),
        ("a[1]?", {"a[1]*", "a[1]b"}),
        ("CORP\\\\a", {"CORP\\a"}),
        ("CORP\\a", {"CORPa"}),
        ("CORP*", {"CORP\\a", "CORPa"}),
        ("a1*", set()),
    ],
)
def test_when_a_value_has_brackets_or_a_backslash_then_brackets_are_plain_and_a_backslash_lifts_wildcards(
    aws_account: Account, value: str, found: set[str]
) -> None:
    ec2 = aws_account.client("ec2")
    for owner in ("a[1]*", "a[1]b", "CORP\\a", "CORPa"):
        made: Any = ec2.run_instances(ImageId=IMAGE, InstanceType="m5.large", MinCount=1, MaxCount=1)["Instances"][0]
        tags = [{"Key": "owner", "Value": owner}]
        ids = [made["InstanceId"], made["NetworkInterfaces"][0]["NetworkInterfaceId"]]
        ec2.create_tags(Resources=ids, Tags=tags)
    asked = [{"Name": "tag:owner", "Values": [value]}]

    instances = [one for part in ec2.describe_instances(Filters=asked)["Reservations"] for one in part["Instances"]]
    interfaces = ec2.describe_network_interfaces(Filters=asked)["NetworkInterfaces"]

    for described in ([one["Tags"] for one in instances], [one["TagSet"] for one in interfaces]):
        assert {tag["Value"] for tags in described for tag in tags if tag["Key"] == "owner"} == found


def furnish(account: Account) -> tuple[Company, dict[str, Any]]:
    """Make one of all that is described, and return what narrows an action down to it."""
    company, ec2 = found_company(account), account.client("ec2")
    volume = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
    account.waits.scale = 0.01
    snapshot = ec2.create_snapshot(VolumeId=volume, Description="evidence")["SnapshotId"]
    # Its progress changes from one call to the next while it is pending.
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})
    ec2.create_key_pair(KeyName="operators")
    made = ec2.create_traffic_mirror_filter(Description="all")["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    ec2.create_traffic_mirror_filter_rule(
        TrafficMirrorFilterId=made,
        TrafficDirection="ingress",
        RuleNumber=1,
        RuleAction="accept",
        SourceCidrBlock="10.0.0.0/8",
        DestinationCidrBlock="10.0.0.0/8",
        Protocol=6,
        Description="tcp",
    )
    target = ec2.create_traffic_mirror_target(NetworkInterfaceId=company.interfaces["database"][1], Description="t")
    ec2.create_traffic_mirror_session(
        NetworkInterfaceId=company.interfaces["web-1"][0],
        TrafficMirrorTargetId=target["TrafficMirrorTarget"]["TrafficMirrorTargetId"],
        TrafficMirrorFilterId=made,
        SessionNumber=1,
        PacketLength=99,
        Description="s",
    )
    subnet = company.shop.private[0]
    balancer = account.client("elbv2").create_load_balancer(Name="inspection", Type="gateway", Subnets=[subnet])
    arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
    service = ec2.create_vpc_endpoint_service_configuration(GatewayLoadBalancerArns=[arn])["ServiceConfiguration"]
    ec2.create_vpc_endpoint(
        VpcId=company.shop.id,
        ServiceName=service["ServiceName"],
        SubnetIds=[subnet],
        VpcEndpointType="GatewayLoadBalancer",
    )
    ec2.create_flow_logs(
        ResourceIds=[company.shop.id],
        ResourceType="VPC",
        TrafficType="ALL",
        LogGroupName="flows",
        DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flows",
    )
    return company, {
        "DescribeImages": {"ImageIds": [IMAGE]},
        "DescribeLaunchTemplateVersions": {"Versions": ["$Latest"]},
        "DescribeSnapshots": {"SnapshotIds": [snapshot]},
    }


def values_in(item: Any, path: tuple[str, ...]) -> Iterator[str]:
    """The texts that stand in an answer at a path."""
    if isinstance(item, list):
        for one in item:
            yield from values_in(one, path)
    elif path:
        yield from values_in(item[path[0]], path[1:]) if path[0] in item else ()
    else:
        yield (
            item.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            if isinstance(item, datetime)
            else str(item).lower()
            if isinstance(item, bool)
            else str(item)
        )


def items_in(answer: Any, path: tuple[str, ...]) -> list[Any]:
    if len(path) == 1:
        return list(answer[path[0]])
    return [{**outer, **inner} for outer in answer[path[0]] for inner in outer[path[1]]]


def test_when_a_filter_is_documented_then_it_finds_what_has_the_value_and_nothing_else(
    aws_account: Account,
) -> None:
    """Of every Describe action that the account has, each filter whose value an answer shows."""
    _, narrowed = furnish(aws_account)
    ec2 = aws_account.client("ec2")
    wrong, tried = [], 0
    for action in ACTIONS:
        describe = getattr(ec2, botocore.xform_name(action))
        rest = narrowed.get(action, {})
        parameter = "Filter" if action == "DescribeFlowLogs" else "Filters"
        (path, _), unfiltered = items_of(action), describe(**rest)
        items = items_in(unfiltered, path)
        assert items, action
        for name, meant in documented(action).items():
            compared = path_of(action, meant)
            shown = [set(values_in(item, compared)) for item in items] if compared else []
            value = next((text for texts in shown for text in sorted(texts)), None)
            if value is None:
                continue
            found, nothing = (
                len(items_in(describe(**{parameter: [{"Name": name, "Values": [text]}]}, **rest), path))
                for text in (value, "no-such-value")
            )
            tried += 1
            if (found, nothing) != (sum(value in texts for texts in shown), 0):
                wrong.append((action, name, value, found, nothing))
    assert wrong == []
    assert tried > 200


@pytest.mark.parametrize(
    "action", [*ACTIONS, "DescribeAddresses", "DescribeInstanceTypes", "DescribeVpcEndpointServices"]
)
def test_fails_when_aws_has_no_such_filter(aws_account: Account, action: str) -> None:
    """InvalidParameterValue, whether there is something to filter or not."""
    ec2 = aws_account.client("ec2")
    parameter = "Filter" if action == "DescribeFlowLogs" else "Filters"
    with refused("InvalidParameterValue", "The filter 'colour' is invalid"):
        getattr(ec2, botocore.xform_name(action))(**{parameter: [{"Name": "colour", "Values": ["red"]}]})


def test_fails_when_only_this_account_has_no_such_filter(aws_account: Account) -> None:
    """What is said is that the filter is missing, not the action."""
    name = "instance-type-specification.supported-instance-type"
    with refused("Unsupported", f"has no filter '{name}' of DescribeImages"):
        aws_account.client("ec2").describe_images(Filters=[{"Name": name, "Values": ["m5.large"]}])


def test_when_an_instance_does_not_show_what_is_filtered_then_its_interfaces_do(aws_account: Account) -> None:
    """Tags, addresses and what else DescribeNetworkInterfaces answers of an interface."""
    ec2 = aws_account.client("ec2")
    tagged, plain = (
        ec2.run_instances(ImageId=IMAGE, InstanceType="m5.large", MinCount=1, MaxCount=1)["Instances"][0]
        for _ in range(2)
    )
    interface = tagged["NetworkInterfaces"][0]["NetworkInterfaceId"]
    ec2.create_tags(Resources=[interface], Tags=[{"Key": "zone", "Value": "perimeter"}])
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    association = ec2.associate_address(AllocationId=address, NetworkInterfaceId=interface)["AssociationId"]
    both = {tagged["InstanceId"], plain["InstanceId"]}
    for name, value, found in (
        ("tag-key", "zone", {tagged["InstanceId"]}),
        ("tag-value", "peri*", {tagged["InstanceId"]}),
        ("tag-value", "zone", set()),
        ("association.allocation-id", address, {tagged["InstanceId"]}),
        ("addresses.association.association-id", association, {tagged["InstanceId"]}),
        ("requester-managed", "false", both),
        ("requester-managed", "true", set()),
        ("outpost-arn", "*", set()),
    ):
        given = [{"Name": f"network-interface.{name}", "Values": [value]}]
        answer = ec2.describe_instances(Filters=given)["Reservations"]
        assert {one["InstanceId"] for part in answer for one in part["Instances"]} == found, name


def test_when_an_interface_has_several_addresses_then_each_of_them_finds_it(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]
    found = [
        ec2.create_network_interface(SubnetId=subnet["SubnetId"], SecondaryPrivateIpAddressCount=1)["NetworkInterface"]
        for _ in range(2)
    ]
    for interface in found:
        for address in interface["PrivateIpAddresses"]:
            given = [{"Name": "addresses.private-ip-address", "Values": [address["PrivateIpAddress"]]}]
            [one] = ec2.describe_network_interfaces(Filters=given)["NetworkInterfaces"]
            assert one["NetworkInterfaceId"] == interface["NetworkInterfaceId"]
        assert len(interface["PrivateIpAddresses"]) == 2


def test_when_filters_go_together_then_all_of_them_count(aws_account: Account) -> None:
    """Values of one filter are alternatives, filters are not; tags count in both ways of filtering."""
    company, ec2 = found_company(aws_account), aws_account.client("ec2")
    hypervisor = {"Name": "hypervisor", "Values": ["xen", "ovm"]}

    def found(*filters: Any) -> set[str]:
        answer = ec2.describe_instances(Filters=[hypervisor, *filters])["Reservations"]
        return {instance["InstanceId"] for part in answer for instance in part["Instances"]}

    names = {"Name": "tag:Name", "Values": ["data*", "desk?op"]}
    assert found(names) == {company.instances["database"], company.instances["desktop"]}
    assert found(names, {"Name": "vpc-id", "Values": [company.office.id]}) == {company.instances["desktop"]}
    assert found({"Name": "tag-key", "Values": ["no-such-key"]}) == set()


def test_when_what_is_filtered_is_paged_then_every_page_is_full_but_the_last(aws_account: Account) -> None:
    """MaxResults counts what passes the filters."""
    company, ec2 = found_company(aws_account), aws_account.client("ec2")
    given: dict[str, Any] = {"Filters": [{"Name": "attachment.status", "Values": ["attached"]}], "MaxResults": 5}
    pages: list[set[str]] = []
    token = None
    while token is not None or not pages:
        answer = ec2.describe_network_interfaces(**given, **({"NextToken": token} if token else {}))
        pages.append({one["NetworkInterfaceId"] for one in answer["NetworkInterfaces"]})
        token = answer.get("NextToken")
    assert [len(page) for page in pages] == [5, len(set().union(*pages)) - 5]
    assert {one for ids in company.interfaces.values() for one in ids} <= set().union(*pages)
    with refused("InvalidNextToken"):
        ec2.describe_network_interfaces(**given, NextToken="nonsense")
