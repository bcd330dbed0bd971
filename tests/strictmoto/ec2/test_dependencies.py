"""What AWS keeps because it is protected, or because others depend on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused


@dataclass
class Setting:
    """A VPC with a subnet, an instance in it at a public address, a gateway, and a route table of each kind."""

    ec2: Any
    vpc: str
    subnet: str
    instance: str
    allocation: str
    gateway: str
    main: str
    table: str
    default: str


@pytest.fixture
def setting(aws_account: Account) -> Setting:
    ec2 = aws_account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.0.0/24", AvailabilityZone="eu-central-1a")["Subnet"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    [main] = ec2.describe_route_tables(Filters=of_vpc)["RouteTables"]
    [default] = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet["SubnetId"])
    instance = launch(ec2, subnet["SubnetId"])
    allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=allocation, InstanceId=instance)
    return Setting(
        ec2,
        vpc,
        subnet["SubnetId"],
        instance,
        allocation,
        gateway,
        main["RouteTableId"],
        table,
        default["GroupId"],
    )


def launch(ec2: Any, subnet: str) -> str:
    launched = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet)
    return str(launched["Instances"][0]["InstanceId"])


def empty_vpc(it: Setting) -> str:
    return str(it.ec2.create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"])


def vpc_with(it: Setting, fill: Callable[[str], Any]) -> Any:
    """Delete a VPC that something is in."""
    vpc = empty_vpc(it)
    fill(vpc)
    return it.ec2.delete_vpc(VpcId=vpc)


def second_table(it: Setting) -> str:
    return str(it.ec2.create_route_table(VpcId=it.vpc)["RouteTable"]["RouteTableId"])


def foreign_table(it: Setting) -> str:
    return str(it.ec2.create_route_table(VpcId=empty_vpc(it))["RouteTable"]["RouteTableId"])


def free_gateway(it: Setting) -> str:
    return str(it.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"])


def attached_gateway(it: Setting, vpc: str) -> Any:
    return it.ec2.attach_internet_gateway(InternetGatewayId=free_gateway(it), VpcId=vpc)


Call = Callable[[Setting], Any]
REFUSED: dict[str, tuple[Call, str]] = {
    "the default security group": (
        lambda it: it.ec2.delete_security_group(GroupId=it.default),
        "CannotDelete",
    ),
    "the main route table": (lambda it: it.ec2.delete_route_table(RouteTableId=it.main), "DependencyViolation"),
    "a route table of a subnet": (lambda it: it.ec2.delete_route_table(RouteTableId=it.table), "DependencyViolation"),
    "the local route": (
        lambda it: it.ec2.delete_route(RouteTableId=it.table, DestinationCidrBlock="10.20.0.0/16"),
        "InvalidParameterValue",
    ),
    "a subnet with a second route table": (
        lambda it: it.ec2.associate_route_table(RouteTableId=second_table(it), SubnetId=it.subnet),
        "Resource.AlreadyAssociated",
    ),
    "a subnet with a route table of another VPC": (
        lambda it: it.ec2.associate_route_table(RouteTableId=foreign_table(it), SubnetId=it.subnet),
        "InvalidParameterValue",
    ),
    "a route to a gateway that is not attached": (
        lambda it: it.ec2.create_route(
            RouteTableId=it.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=free_gateway(it)
        ),
        "InvalidParameterValue",
    ),
    "a gateway that public addresses need": (
        lambda it: it.ec2.detach_internet_gateway(InternetGatewayId=it.gateway, VpcId=it.vpc),
        "DependencyViolation",
    ),
    "a gateway that is attached": (
        lambda it: it.ec2.delete_internet_gateway(InternetGatewayId=it.gateway),
        "DependencyViolation",
    ),
    "an address in use": (lambda it: it.ec2.release_address(AllocationId=it.allocation), "InvalidIPAddress.InUse"),
    "a VPC with subnets": (lambda it: it.ec2.delete_vpc(VpcId=it.vpc), "DependencyViolation"),
    "a VPC with an internet gateway": (
        lambda it: vpc_with(it, lambda vpc: attached_gateway(it, vpc)),
        "DependencyViolation",
    ),
    "a VPC with a VPN gateway": (
        lambda it: vpc_with(
            it,
            lambda vpc: it.ec2.attach_vpn_gateway(
                VpnGatewayId=it.ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"], VpcId=vpc
            ),
        ),
        "DependencyViolation",
    ),
    "an internet gateway detached that is not attached": (
        lambda it: it.ec2.detach_internet_gateway(InternetGatewayId=free_gateway(it), VpcId=it.vpc),
        "Gateway.NotAttached",
    ),
    "a VPC with an egress-only gateway": (
        lambda it: vpc_with(it, lambda vpc: it.ec2.create_egress_only_internet_gateway(VpcId=vpc)),
        "DependencyViolation",
    ),
    "a VPC with a security group": (
        lambda it: vpc_with(
            it, lambda vpc: it.ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)
        ),
        "DependencyViolation",
    ),
    "a VPC with a network ACL": (
        lambda it: vpc_with(it, lambda vpc: it.ec2.create_network_acl(VpcId=vpc)),
        "DependencyViolation",
    ),
    "a VPC with a route table": (
        lambda it: vpc_with(it, lambda vpc: it.ec2.create_route_table(VpcId=vpc)),
        "DependencyViolation",
    ),
    "a VPC with an endpoint": (
        lambda it: vpc_with(
            it,
            lambda vpc: it.ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.eu-central-1.s3"),
        ),
        "DependencyViolation",
    ),
}


@pytest.mark.parametrize(("call", "code"), REFUSED.values(), ids=REFUSED)
def test_fails_when_others_depend_on_it(setting: Setting, call: Call, code: str) -> None:
    with refused(code):
        call(setting)
    [table] = setting.ec2.describe_route_tables(RouteTableIds=[setting.table])["RouteTables"]
    assert [route["DestinationCidrBlock"] for route in table["Routes"]] == ["10.20.0.0/16"]
    assert setting.ec2.describe_addresses(AllocationIds=[setting.allocation])["Addresses"][0]["AssociationId"]


def test_fails_when_a_security_group_is_deleted_that_a_rule_names(setting: Setting) -> None:
    named, naming = (
        setting.ec2.create_security_group(GroupName=name, Description=name, VpcId=setting.vpc)["GroupId"]
        for name in ("named", "naming")
    )
    rule = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": named}]}]
    for direction in ("ingress", "egress"):
        getattr(setting.ec2, f"authorize_security_group_{direction}")(GroupId=naming, IpPermissions=rule)
        with refused("DependencyViolation", named):
            setting.ec2.delete_security_group(GroupId=named)
        getattr(setting.ec2, f"revoke_security_group_{direction}")(GroupId=naming, IpPermissions=rule)
    # Its own rules name it, too, which keeps no group.
    setting.ec2.authorize_security_group_ingress(GroupId=named, IpPermissions=rule)
    setting.ec2.delete_security_group(GroupId=named)


def test_when_nothing_needs_them_any_more_then_all_of_a_vpc_is_deleted(setting: Setting) -> None:
    ec2 = setting.ec2
    nat_address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=setting.subnet, AllocationId=nat_address)["NatGateway"]["NatGatewayId"]
    with refused("InvalidIPAddress.InUse"):
        ec2.release_address(AllocationId=nat_address)
    ec2.delete_nat_gateway(NatGatewayId=nat)
    ec2.release_address(AllocationId=nat_address)
    [address] = ec2.describe_addresses(AllocationIds=[setting.allocation])["Addresses"]
    ec2.disassociate_address(AssociationId=address["AssociationId"])
    ec2.release_address(AllocationId=setting.allocation)
    ec2.terminate_instances(InstanceIds=[setting.instance])
    ec2.detach_internet_gateway(InternetGatewayId=setting.gateway, VpcId=setting.vpc)
    [table] = ec2.describe_route_tables(RouteTableIds=[setting.table])["RouteTables"]
    ec2.disassociate_route_table(AssociationId=table["Associations"][0]["RouteTableAssociationId"])
    ec2.delete_route_table(RouteTableId=setting.table)
    ec2.delete_subnet(SubnetId=setting.subnet)
    ec2.delete_vpc(VpcId=setting.vpc)
    of_vpc = [{"Name": "vpc-id", "Values": [setting.vpc]}]
    assert not ec2.describe_network_acls(Filters=of_vpc)["NetworkAcls"]
    assert not ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]


def states(it: Setting, *instances: str) -> list[str]:
    found = it.ec2.describe_instances(InstanceIds=list(instances))["Reservations"]
    by_id = {one["InstanceId"]: one["State"]["Name"] for part in found for one in part["Instances"]}
    return [by_id[instance] for instance in instances]


@pytest.mark.parametrize("attribute", ["DisableApiTermination", "DisableApiStop"])
def test_fails_when_an_instance_is_protected_and_then_its_zone_is_spared(setting: Setting, attribute: str) -> None:
    far_subnet = setting.ec2.create_subnet(
        VpcId=setting.vpc, CidrBlock="10.20.1.0/24", AvailabilityZone="eu-central-1b"
    )["Subnet"]["SubnetId"]
    near, far = launch(setting.ec2, setting.subnet), launch(setting.ec2, far_subnet)
    setting.ec2.modify_instance_attribute(InstanceId=setting.instance, **{attribute: {"Value": True}})
    with refused("OperationNotPermitted", f"may not be terminated. Modify its 'd{attribute[1:]}'"):
        setting.ec2.terminate_instances(InstanceIds=[near, setting.instance, far])
    assert states(setting, near, setting.instance, far) == ["running", "running", "terminated"]


def test_fails_when_an_instance_is_protected_from_stop_and_then_none_is_stopped(setting: Setting) -> None:
    other = launch(setting.ec2, setting.subnet)
    setting.ec2.modify_instance_attribute(InstanceId=setting.instance, DisableApiStop={"Value": True})
    with refused("OperationNotPermitted", "may not be stopped. Modify its 'disableApiStop'"):
        setting.ec2.stop_instances(InstanceIds=[other, setting.instance])
    assert states(setting, other, setting.instance) == ["running", "running"]
