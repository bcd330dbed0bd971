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


@pytest.mark.parametrize("block", ["0.0.0.0/16", "127.0.0.0/16", "169.254.0.0/16", "224.0.0.0/16", "10.0.0.0/8"])
def test_fails_when_a_vpc_cannot_have_a_block(ec2: Any, vpc: str, block: str) -> None:
    """Source: Amazon VPC User Guide, "VPC CIDR blocks"."""
    with refused("InvalidVpc.Range", block):
        ec2.create_vpc(CidrBlock=block)
    with refused("InvalidVpc.Range", block):
        ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=block)


@pytest.mark.parametrize("block", ["10.0.0.1", "banana", "2001:db8::/32"])
def test_fails_when_the_block_of_a_vpc_is_none(ec2: Any, vpc: str, block: str) -> None:
    with refused("InvalidParameterValue", f"Value ({block}) for parameter cidrBlock is invalid."):
        ec2.create_vpc(CidrBlock=block)
    with refused("InvalidParameterValue", f"Value ({block}) for parameter cidrBlock is invalid."):
        ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=block)


@pytest.mark.parametrize(
    ("primary", "restricted", "permitted"),
    [
        ("10.20.0.0/16", ("172.16.0.0/16", "192.168.0.0/16", "198.19.0.0/16"), ("10.0.0.0/16", "100.64.0.0/16")),
        ("10.1.0.0/24", ("10.0.0.0/16", "10.0.9.0/24"), ("10.2.0.0/16", "10.1.9.0/24")),
        ("172.20.0.0/16", ("10.0.0.0/16", "192.168.0.0/24", "172.31.0.0/20", "198.19.0.0/16"), ("172.21.0.0/16",)),
        ("192.168.0.0/20", ("10.0.0.0/16", "172.16.0.0/16", "198.19.0.0/16"), ("192.168.64.0/20", "52.0.0.0/16")),
        ("198.19.0.0/20", ("10.0.0.0/16", "172.16.0.0/16", "192.168.0.0/16"), ("198.19.64.0/20", "100.64.0.0/16")),
        ("100.64.0.0/16", ("10.0.0.0/16", "172.16.0.0/16", "198.19.0.0/16"), ("100.65.0.0/16", "52.0.0.0/16")),
    ],
)
def test_when_a_block_is_associated_then_it_is_one_that_the_vpc_can_have_besides_its_own(
    ec2: Any, primary: str, restricted: tuple[str, ...], permitted: tuple[str, ...]
) -> None:
    """Source: Amazon VPC User Guide, "VPC CIDR blocks", IPv4 CIDR block association restrictions."""
    vpc = ec2.create_vpc(CidrBlock=primary)["Vpc"]["VpcId"]

    def blocks() -> list[str]:
        [found] = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
        return [one["CidrBlock"] for one in found["CidrBlockAssociationSet"]]

    for block in restricted:
        with refused("InvalidVpc.Range", f"The CIDR '{block}' is restricted."):
            ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=block)
    assert blocks() == [primary]
    for block in permitted:
        ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=block)
    for block in (primary, *permitted):
        with refused("InvalidVpc.Range", f"The CIDR '{block}' overlaps '{block}'"):
            ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=block)
    assert blocks() == [primary, *permitted]


def test_when_a_block_is_disassociated_then_it_can_be_associated_again(ec2: Any, vpc: str) -> None:
    made = ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.30.0.0/16")["CidrBlockAssociation"]
    ec2.disassociate_vpc_cidr_block(AssociationId=made["AssociationId"])
    ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.30.0.0/16")
