"""CIDR blocks in their canonical form.

Source: Amazon EC2 API Reference, CreateVpc, CreateSubnet, CreateRoute, CreateNetworkAclEntry, IpRange and Ipv6Range.
"""

from __future__ import annotations

from typing import Any

import pytest

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused


@pytest.fixture
def ec2(aws_account: Account) -> Any:
    return aws_account.client("ec2")


@pytest.fixture
def vpc(ec2: Any) -> str:
    return str(ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"])


def test_when_a_network_has_bits_behind_its_prefix_then_they_are_cleared(ec2: Any) -> None:
    made = ec2.create_vpc(CidrBlock="100.68.0.18/18")["Vpc"]
    assert made["CidrBlock"] == "100.68.0.0/18"
    assert made["CidrBlockAssociationSet"][0]["CidrBlock"] == "100.68.0.0/18"
    assert ec2.create_subnet(VpcId=made["VpcId"], CidrBlock="100.68.1.7/24")["Subnet"]["CidrBlock"] == "100.68.1.0/24"
    with refused("InvalidSubnet.Conflict"):
        ec2.create_subnet(VpcId=made["VpcId"], CidrBlock="100.68.1.9/24")


def test_when_routes_and_acl_entries_have_such_bits_then_they_are_cleared(ec2: Any, vpc: str) -> None:
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="192.0.2.9/24", GatewayId=gateway)
    ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="2001:db8::9/64", GatewayId=gateway)
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert {"192.0.2.0/24", "2001:db8::/64"} <= {
        route.get("DestinationCidrBlock", route.get("DestinationIpv6CidrBlock")) for route in found["Routes"]
    }
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="192.0.2.1/24")
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    ec2.create_network_acl_entry(
        NetworkAclId=acl, RuleNumber=7, Protocol="-1", RuleAction="deny", Egress=False, CidrBlock="198.51.100.9/25"
    )
    [found] = ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    assert [entry["CidrBlock"] for entry in found["Entries"] if entry["RuleNumber"] == 7] == ["198.51.100.0/25"]


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_when_a_rule_has_such_bits_then_it_is_the_same_as_one_without(ec2: Any, vpc: str, direction: str) -> None:
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    authorize, revoke = (getattr(ec2, f"{verb}_security_group_{direction}") for verb in ("authorize", "revoke"))

    def rule(block: str) -> dict[str, Any]:
        ranges = {"Ipv6Ranges": [{"CidrIpv6": block}]} if ":" in block else {"IpRanges": [{"CidrIp": block}]}
        return {"GroupId": group, "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **ranges}]}

    for given, same, kept in (
        ("100.68.0.18/18", "100.68.0.0/18", "100.68.0.0/18"),
        ("2001:db8::18/64", "2001:db8::/64", "2001:db8::/64"),
    ):
        [made] = authorize(**rule(given))["SecurityGroupRules"]
        assert made.get("CidrIpv4", made.get("CidrIpv6")) == kept
        for again in (given, same):
            with refused("InvalidPermission.Duplicate"):
                authorize(**rule(again))
        revoke(**rule(given))
        authorize(**rule(same))


def test_when_a_rule_is_modified_then_such_bits_are_cleared(ec2: Any, vpc: str) -> None:
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    [made] = ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="10.20.3.4/32"
    )["SecurityGroupRules"]
    assert made["CidrIpv4"] == "10.20.3.4/32"
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "10.20.3.4/24"}
    ec2.modify_security_group_rules(
        GroupId=group,
        SecurityGroupRules=[{"SecurityGroupRuleId": made["SecurityGroupRuleId"], "SecurityGroupRule": rule}],
    )
    [found] = ec2.describe_security_group_rules(SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])[
        "SecurityGroupRules"
    ]
    assert found["CidrIpv4"] == "10.20.3.0/24"
