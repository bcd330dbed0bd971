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
        ("2001:DB8:1:0::/48", "2001:0db8:0001::/48", "2001:db8:1::/48"),
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


def test_when_an_ipv6_block_is_spelled_otherwise_then_it_is_the_same(ec2: Any, vpc: str) -> None:
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="0::0/0", GatewayId=gateway)
    ec2.delete_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0")
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert [route["DestinationCidrBlock"] for route in found["Routes"]] == ["10.20.0.0/16"]
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    ec2.create_network_acl_entry(
        NetworkAclId=acl, RuleNumber=7, Protocol="-1", RuleAction="deny", Egress=False, Ipv6CidrBlock="2001:0DB8::/32"
    )
    [found] = ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    assert [one["Ipv6CidrBlock"] for one in found["Entries"] if one["RuleNumber"] == 7] == ["2001:db8::/32"]


@pytest.mark.parametrize(("authorized", "revoked"), [("6", "tcp"), ("tcp", "6"), ("TCP", "6"), ("17", "udp")])
def test_when_an_ipv6_egress_rule_is_revoked_then_numbers_of_protocols_are_their_names(
    ec2: Any, vpc: str, authorized: str, revoked: str
) -> None:
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]

    def rule(protocol: str) -> Any:
        ranges = [{"CidrIpv6": "2001:db8::/32"}]
        return [{"IpProtocol": protocol, "FromPort": 443, "ToPort": 443, "Ipv6Ranges": ranges}]

    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=rule(authorized))
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=rule(revoked))
    [found] = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert [one["IpProtocol"] for one in found["IpPermissionsEgress"]] == ["-1"]


@pytest.mark.parametrize("protocol", ["tcp", "6"])
@pytest.mark.parametrize(("one", "two"), [("10.0.0.0/8", "10.1.0.0/16"), ("2001:db8::/32", "2001:db8:1::/48")])
def test_fails_when_a_modified_rule_is_the_same_as_another(
    ec2: Any, vpc: str, one: str, two: str, protocol: str
) -> None:
    """None of the request changes; a rule that is itself is no duplicate."""
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    listed, named, member = ("Ipv6Ranges", "CidrIpv6", "CidrIpv6") if ":" in one else ("IpRanges", "CidrIp", "CidrIpv4")
    ranges = {listed: [{named: block} for block in (one, two)]}
    made = ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, **ranges}]
    )["SecurityGroupRules"]
    [first, second] = [rule["SecurityGroupRuleId"] for rule in made]

    def modify(**blocks: str) -> None:
        rules = [
            {
                "SecurityGroupRuleId": {"first": first, "second": second}[name],
                "SecurityGroupRule": {"IpProtocol": protocol, "FromPort": 22, "ToPort": 22, member: block},
            }
            for name, block in blocks.items()
        ]
        ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=rules)

    def kept() -> dict[str, str]:
        found = ec2.describe_security_group_rules(SecurityGroupRuleIds=[first, second])["SecurityGroupRules"]
        return {rule["SecurityGroupRuleId"]: rule[member] for rule in found}

    with refused("InvalidPermission.Duplicate"):
        modify(second=one)
    with refused("InvalidPermission.Duplicate"):
        modify(first=two, second=two)
    assert kept() == {first: one, second: two}
    modify(first=one)
    modify(first=two, second=one)
    assert kept() == {first: two, second: one}
