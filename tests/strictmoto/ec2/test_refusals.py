"""What EC2 refuses of instances, network interfaces and subnets."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from strictmoto.account import Account
from strictmoto.testing.checkpoint import made_once
from tests.strictmoto.ec2.mirroring.network import refused


@dataclass
class Setting:
    """Two subnets in two zones, an instance in the first, and a free interface in each."""

    ec2: Any
    subnet: str
    far_subnet: str
    instance: str
    address: str
    primary: str
    interface: str
    far_interface: str


@pytest.fixture
def setting(aws_account: Account) -> Setting:
    return replace(made_once(aws_account, make_setting), ec2=aws_account.client("ec2"))


def make_setting(account: Account) -> Setting:
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.20.{number}.0/24", AvailabilityZone=f"eu-central-1{zone}")["Subnet"]
        for number, zone in enumerate("ab")
    ]
    near, far = (subnet["SubnetId"] for subnet in subnets)
    launched = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=near)["Instances"][0]
    interfaces = [
        ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
        for subnet in (near, far)
    ]
    attachment = launched["NetworkInterfaces"][0]["Attachment"]["AttachmentId"]
    return Setting(ec2, near, far, launched["InstanceId"], launched["PrivateIpAddress"], attachment, *interfaces)


Call = Callable[[Setting], Any]


def attach(setting: Setting, interface: str, index: int) -> Any:
    return setting.ec2.attach_network_interface(
        NetworkInterfaceId=interface, InstanceId=setting.instance, DeviceIndex=index
    )


def run(setting: Setting, **given: Any) -> Any:
    return setting.ec2.run_instances(
        **{"ImageId": "ami-12345678", "SubnetId": setting.subnet, "MinCount": 1, "MaxCount": 1, **given}
    )


def launch(setting: Setting, *interfaces: dict[str, Any], **given: Any) -> Any:
    """An instance with these interfaces, at the indexes 0, 1, ..., where they have none."""
    placed = [{"DeviceIndex": index, **interface} for index, interface in enumerate(interfaces)]
    return setting.ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, NetworkInterfaces=placed, **given)


def divide(setting: Setting, block: str, **given: Any) -> Any:
    [subnet] = setting.ec2.describe_subnets(SubnetIds=[setting.subnet])["Subnets"]
    return setting.ec2.create_subnet(VpcId=subnet["VpcId"], CidrBlock=block, **given)


def create(setting: Setting, **given: Any) -> Any:
    return setting.ec2.create_network_interface(SubnetId=setting.subnet, **given)


def assign(setting: Setting, **given: Any) -> Any:
    return setting.ec2.assign_private_ip_addresses(NetworkInterfaceId=setting.interface, **given)


def modify(setting: Setting, **given: Any) -> Any:
    return setting.ec2.modify_instance_attribute(InstanceId=setting.instance, **given)


def change(setting: Setting, **given: Any) -> Any:
    return setting.ec2.modify_network_interface_attribute(NetworkInterfaceId=setting.interface, **given)


def change_subnet(setting: Setting, **given: Any) -> Any:
    return setting.ec2.modify_subnet_attribute(SubnetId=setting.subnet, **given)


def change_vpc(setting: Setting, **given: Any) -> Any:
    [subnet] = setting.ec2.describe_subnets(SubnetIds=[setting.subnet])["Subnets"]
    return setting.ec2.modify_vpc_attribute(VpcId=subnet["VpcId"], **given)


REFUSED: dict[str, tuple[Call, str]] = {
    "a device index that is taken": (lambda it: attach(it, it.interface, 0), "InvalidParameterValue"),
    "an interface of another zone": (lambda it: attach(it, it.far_interface, 1), "InvalidParameterCombination"),
    "the primary interface detached": (
        lambda it: it.ec2.detach_network_interface(AttachmentId=it.primary),
        "OperationNotPermitted",
    ),
    "no address": (lambda it: create(it, PrivateIpAddress="10.20.0.300"), "InvalidParameterValue"),
    "an address outside": (lambda it: create(it, PrivateIpAddress="10.20.1.9"), "InvalidParameterValue"),
    "one of AWS's first addresses": (lambda it: create(it, PrivateIpAddress="10.20.0.3"), "InvalidParameterValue"),
    "AWS's last address": (lambda it: create(it, PrivateIpAddress="10.20.0.255"), "InvalidParameterValue"),
    "an address in use": (lambda it: create(it, PrivateIpAddress=it.address), "InvalidIPAddress.InUse"),
    "one of some addresses in use": (
        lambda it: create(it, PrivateIpAddresses=[{"PrivateIpAddress": it.address, "Primary": True}]),
        "InvalidIPAddress.InUse",
    ),
    "an assigned address in use": (lambda it: assign(it, PrivateIpAddresses=[it.address]), "InvalidIPAddress.InUse"),
    "a primary address reassigned": (
        lambda it: assign(it, PrivateIpAddresses=[it.address], AllowReassignment=True),
        "InvalidIPAddress.InUse",
    ),
    "an assigned address outside": (lambda it: assign(it, PrivateIpAddresses=["10.20.1.9"]), "InvalidParameterValue"),
    "an instance at an address in use": (lambda it: run(it, PrivateIpAddress=it.address), "InvalidIPAddress.InUse"),
    "an instance at an address outside": (lambda it: run(it, PrivateIpAddress="10.20.1.9"), "InvalidParameterValue"),
    "an instance whose interface is outside": (
        lambda it: launch(it, {"SubnetId": it.subnet, "PrivateIpAddress": "10.20.1.9"}),
        "InvalidParameterValue",
    ),
    "a type changed while running": (
        lambda it: modify(it, InstanceType={"Value": "m5.large"}),
        "IncorrectInstanceState",
    ),
    "user data changed while running": (lambda it: modify(it, UserData={"Value": b"x"}), "IncorrectInstanceState"),
    "user data changed while running, by the other form": (
        lambda it: modify(it, Attribute="userData", Value="eA=="),
        "IncorrectInstanceState",
    ),
    "two attributes": (
        lambda it: modify(it, DisableApiTermination={"Value": False}, SourceDestCheck={"Value": False}),
        "InvalidParameterCombination",
    ),
    "an attribute and groups": (
        lambda it: modify(it, SourceDestCheck={"Value": False}, Groups=["sg-12345678"]),
        "InvalidParameterCombination",
    ),
    "no attribute": (lambda it: modify(it), "InvalidParameterCombination"),
    "no attribute of an interface": (lambda it: change(it, Groups=[]), "InvalidParameterCombination"),
    "an attribute of an interface that the account does not keep": (
        lambda it: change(it, EnablePrimaryIpv6=True),
        "Unsupported",
    ),
    "no attribute of a subnet": (lambda it: change_subnet(it), "InvalidParameterCombination"),
    "two attributes of a subnet": (
        lambda it: change_subnet(it, MapPublicIpOnLaunch={"Value": True}, EnableDns64={"Value": False}),
        "InvalidParameterCombination",
    ),
    "no attribute of a VPC": (lambda it: change_vpc(it), "InvalidParameterCombination"),
    "two attributes of a VPC": (
        lambda it: change_vpc(it, EnableDnsSupport={"Value": True}, EnableDnsHostnames={"Value": False}),
        "InvalidParameterCombination",
    ),
    "no instances": (lambda it: run(it, MinCount=0, MaxCount=0), "InvalidParameterValue"),
    "a count below zero": (lambda it: run(it, MinCount=1, MaxCount=-5), "InvalidParameterValue"),
    "more at least than at most": (lambda it: run(it, MinCount=3, MaxCount=1), "InvalidParameterValue"),
    "user data too long": (lambda it: run(it, UserData="x" * 16_385), "InvalidParameterValue"),
    "no image": (
        lambda it: it.ec2.run_instances(MinCount=1, MaxCount=1, SubnetId=it.subnet),
        "MissingParameter",
    ),
    "an unknown type": (lambda it: run(it, InstanceType="m5.huge"), "InvalidParameterValue"),
    "an unknown key": (lambda it: run(it, KeyName="missing"), "InvalidKeyPair.NotFound"),
    "another zone than the subnet's": (
        lambda it: run(it, Placement={"AvailabilityZone": "eu-central-1b"}),
        "InvalidParameterValue",
    ),
    "interfaces of two zones": (
        lambda it: launch(it, {"SubnetId": it.subnet}, {"NetworkInterfaceId": it.far_interface}),
        "InvalidParameterValue",
    ),
    "no interface at index 0": (
        lambda it: launch(it, {"SubnetId": it.subnet, "DeviceIndex": 1}),
        "InvalidParameterValue",
    ),
    "an index twice": (
        lambda it: launch(it, {"SubnetId": it.subnet}, {"SubnetId": it.subnet, "DeviceIndex": 0}),
        "InvalidParameterValue",
    ),
    "groups beside interfaces": (
        lambda it: launch(it, {"SubnetId": it.subnet}, SecurityGroupIds=["sg-12345678"]),
        "InvalidParameterCombination",
    ),
    "an address beside interfaces": (
        lambda it: launch(it, {"SubnetId": it.subnet}, PrivateIpAddress="10.20.0.9"),
        "InvalidParameterCombination",
    ),
    "a template with user data too long": (
        lambda it: it.ec2.create_launch_template(
            LaunchTemplateName="web", LaunchTemplateData={"UserData": base64.b64encode(b"x" * 16_385).decode()}
        ),
        "InvalidUserData.Malformed",
    ),
    "a subnet that is too small": (lambda it: divide(it, "10.20.9.0/29"), "InvalidSubnet.Range"),
    "a subnet outside of the VPC": (lambda it: divide(it, "10.21.0.0/24"), "InvalidSubnet.Range"),
    "a subnet over another": (lambda it: divide(it, "10.20.0.128/25"), "InvalidSubnet.Conflict"),
    "a subnet in a zone of another Region": (
        lambda it: divide(it, "10.20.9.0/24", AvailabilityZone="eu-west-1a"),
        "InvalidParameterValue",
    ),
    "a token of a page that there is not": (
        lambda it: it.ec2.describe_instances(NextToken="x"),
        "InvalidNextToken",
    ),
    "a subnet in use": (lambda it: it.ec2.delete_subnet(SubnetId=it.subnet), "DependencyViolation"),
}


def held(setting: Setting) -> list[Any]:
    """What the calls would change."""
    ec2 = setting.ec2
    return [
        ec2.describe_network_interfaces()["NetworkInterfaces"],
        ec2.describe_instances()["Reservations"],
        ec2.describe_subnets()["Subnets"],
        ec2.describe_launch_templates()["LaunchTemplates"],
    ]


@pytest.mark.parametrize(("call", "code"), REFUSED.values(), ids=REFUSED)
def test_fails_when_ec2_refuses_it(setting: Setting, call: Call, code: str) -> None:
    before = held(setting)
    with refused(code):
        call(setting)
    assert held(setting) == before


def permission(protocol: str, first: int | None = None, last: int | None = None) -> dict[str, Any]:
    ports = {name: port for name, port in (("FromPort", first), ("ToPort", last)) if port is not None}
    return {"IpProtocol": protocol, **ports, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}


RULES: dict[str, tuple[dict[str, Any], str]] = {
    "a port above 65535": (permission("tcp", 22, 70_000), "TCP/UDP (to) port (70000) out of range"),
    "a port below 0": (permission("udp", -1, 22), "TCP/UDP (from) port (-1) out of range"),
    "ports backwards": (permission("tcp", 443, 80), "443:80"),
    "no ports": (permission("tcp"), "Must specify both from and to ports with TCP/UDP."),
    "one port, and the protocol as a number": (permission("17", 53), "Must specify both"),
    "an ICMP code that there is not": (permission("icmp", 8, 65_535), "ICMP code (65535) out of range"),
    "a code of all ICMP types": (permission("icmp", -1, 0), "ICMP code (0)"),
    "no ICMP type": (permission("icmp"), "Must specify both"),
    "an unknown protocol": (permission("gopher", 70, 70), "Invalid value 'gopher' for IP protocol"),
    "a protocol above 255": (permission("256"), "Invalid value '256' for IP protocol"),
}


@pytest.fixture
def group(setting: Setting) -> str:
    """A security group in the VPC of the setting."""
    [subnet] = setting.ec2.describe_subnets(SubnetIds=[setting.subnet])["Subnets"]
    made = setting.ec2.create_security_group(GroupName="web", Description="web", VpcId=subnet["VpcId"])
    return str(made["GroupId"])


@pytest.mark.parametrize("direction", ["ingress", "egress"])
@pytest.mark.parametrize(("rule", "message"), RULES.values(), ids=RULES)
def test_fails_when_a_rule_cannot_be(
    setting: Setting, group: str, direction: str, rule: dict[str, Any], message: str
) -> None:
    [before] = setting.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    authorize = getattr(setting.ec2, f"authorize_security_group_{direction}")
    with refused("InvalidParameterValue", message):
        authorize(GroupId=group, IpPermissions=[permission("tcp", 22, 22), rule])
    assert setting.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"] == [before]


def test_fails_when_a_rule_is_to_become_one_that_cannot_be(setting: Setting, group: str) -> None:
    made = setting.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission("tcp", 22, 22)])
    changed = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 70_000, "CidrIpv4": "10.0.0.0/8"}
    rule_id = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    with refused("InvalidParameterValue", "70000"):
        setting.ec2.modify_security_group_rules(
            GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": changed}]
        )
    [found] = setting.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
    assert found["ToPort"] == 22


TYPES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "CidrIpv4": ({"IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, {"CidrIpv4": "10.9.0.0/16"}),
    "CidrIpv6": ({"Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}]}, {"CidrIpv6": "2001:db8:9::/48"}),
    "PrefixListId": (
        {"PrefixListIds": [{"PrefixListId": "pl-0123456789abcdef1"}]},
        {"PrefixListId": "pl-0123456789abcdef2"},
    ),
    "ReferencedGroupId": ({"UserIdGroupPairs": [{"GroupId": "web"}]}, {"ReferencedGroupId": "other"}),
}
"""By the parameter of its type: what a rule is authorized with, and what it is modified to. Names stand for groups."""


def groups_of(setting: Setting, group: str) -> dict[str, str]:
    """The id of each group by its name, with one that is new."""
    [found] = setting.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    other = setting.ec2.create_security_group(GroupName="other", Description="other", VpcId=found["VpcId"])
    return {"web": group, "other": other["GroupId"]}


@pytest.mark.parametrize("kind", TYPES)
def test_when_a_rule_is_modified_then_it_stays_of_its_type(setting: Setting, group: str, kind: str) -> None:
    """Source: Amazon EC2 API Reference, SecurityGroupRuleRequest."""
    ids = groups_of(setting, group)
    given = {
        name: [{key: ids.get(value, value) for key, value in one.items()} for one in listed]
        for name, listed in TYPES[kind][0].items()
    }
    ports = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    [made] = setting.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**ports, **given}])[
        "SecurityGroupRules"
    ]
    rule_id = made["SecurityGroupRuleId"]

    def become(**what: str) -> dict[str, Any]:
        rule = {**ports, **{name: ids.get(value, value) for name, value in what.items()}}
        rules = [{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": rule}]
        setting.ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=rules)
        [found] = setting.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
        return dict(found)

    for other, (_, changed) in TYPES.items():
        if other != kind:
            message = f"You may not specify {other} for an existing {kind} rule."
            with refused("InvalidParameterValue", message):
                become(**changed)
    [now] = setting.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
    assert now == made
    found = become(**TYPES[kind][1])
    shown = {**found, "ReferencedGroupId": found.get("ReferencedGroupInfo", {}).get("GroupId")}
    assert shown[kind] == ids.get(TYPES[kind][1][kind], TYPES[kind][1][kind])


def test_fails_when_a_rule_is_to_become_one_of_an_unknown_group(setting: Setting, group: str) -> None:
    [made] = setting.ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}]
    )["SecurityGroupRules"]
    rule = {"IpProtocol": "-1", "FromPort": -1, "ToPort": -1, "ReferencedGroupId": "sg-0123456789abcdef0"}
    with refused("InvalidGroup.NotFound", "sg-0123456789abcdef0"):
        setting.ec2.modify_security_group_rules(
            GroupId=group,
            SecurityGroupRules=[{"SecurityGroupRuleId": made["SecurityGroupRuleId"], "SecurityGroupRule": rule}],
        )


@pytest.mark.parametrize(
    ("version", "block"),
    [
        (4, "banana"),
        (4, "10.0.0.1"),
        (4, "10.0.0.0/99"),
        (4, "2001:db8::/32"),
        (6, "10.0.0.0/8"),
        (6, "2001:db8::1"),
        (6, "2001:db8::/129"),
    ],
)
def test_fails_when_the_block_of_a_rule_is_none(setting: Setting, group: str, version: int, block: str) -> None:
    ports = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    listed, member, kind = ("IpRanges", "CidrIp", "CidrIpv4") if version == 4 else ("Ipv6Ranges", *["CidrIpv6"] * 2)
    [made] = setting.ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{**ports, listed: TYPES[kind][0][listed]}]
    )["SecurityGroupRules"]
    for direction in ("ingress", "egress"):
        with refused("InvalidParameterValue", f"CIDR block {block} is malformed"):
            getattr(setting.ec2, f"authorize_security_group_{direction}")(
                GroupId=group, IpPermissions=[{**ports, listed: [{member: block}]}]
            )
    rules = [{"SecurityGroupRuleId": made["SecurityGroupRuleId"], "SecurityGroupRule": {**ports, kind: block}}]
    with refused("InvalidParameterValue", f"CIDR block {block} is malformed"):
        setting.ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=rules)


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_fails_when_nothing_is_authorized(setting: Setting, group: str, direction: str) -> None:
    with refused("MissingParameter", "ipPermissions"):
        getattr(setting.ec2, f"authorize_security_group_{direction}")(GroupId=group, IpPermissions=[])


def test_fails_when_one_of_some_rules_exists_and_then_none_is_made(setting: Setting, group: str) -> None:
    setting.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission("tcp", 22, 22)])
    with refused("InvalidPermission.Duplicate"):
        setting.ec2.authorize_security_group_ingress(
            GroupId=group, IpPermissions=[permission("tcp", 80, 80), permission("tcp", 22, 22)]
        )
    [found] = setting.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert [rule["FromPort"] for rule in found["IpPermissions"]] == [22]


def test_when_rules_can_be_then_the_answer_has_all_of_them(setting: Setting, group: str) -> None:
    wanted = [
        permission("tcp", 0, 65_535),
        permission("UDP", 53, 53),
        permission("icmp", -1, -1),
        permission("icmpv6"),
        permission("50"),
        permission("-1"),
    ]
    made = setting.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=wanted)["SecurityGroupRules"]
    assert len({rule["SecurityGroupRuleId"] for rule in made}) == len(wanted)
    setting.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=wanted)
    assert not setting.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    alone = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "CidrIp": "10.0.0.0/8"}
    made = setting.ec2.authorize_security_group_ingress(GroupId=group, **alone)["SecurityGroupRules"]
    assert [rule["FromPort"] for rule in made] == [8080]


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_fails_when_a_rule_is_revoked_twice_by_its_id(setting: Setting, group: str, direction: str) -> None:
    authorize, revoke = (getattr(setting.ec2, f"{verb}_security_group_{direction}") for verb in ("authorize", "revoke"))
    [made] = authorize(GroupId=group, IpPermissions=[permission("tcp", 22, 22)])["SecurityGroupRules"]
    revoke(GroupId=group, SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])
    with refused("InvalidSecurityGroupRuleId.NotFound", made["SecurityGroupRuleId"]):
        revoke(GroupId=group, SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])


@pytest.mark.parametrize("peer", ["CIDR block", "group", "prefix list"])
def test_when_a_rule_has_a_description_then_the_rule_is_described_with_it(
    setting: Setting, group: str, peer: str
) -> None:
    if peer == "CIDR block":
        named = {"IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "first"}]}
    elif peer == "group":
        named = {"UserIdGroupPairs": [{"GroupId": group, "Description": "first"}]}
    else:
        made = setting.ec2.create_managed_prefix_list(PrefixListName="a", MaxEntries=1, AddressFamily="IPv4")
        listed = made["PrefixList"]["PrefixListId"]
        named = {"PrefixListIds": [{"PrefixListId": listed, "Description": "first"}]}
    ports = {"IpProtocol": "udp", "FromPort": 4789, "ToPort": 4789}
    [answered] = setting.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{**ports, **named}])[
        "SecurityGroupRules"
    ]
    assert answered["Description"] == "first"
    rule_id = answered["SecurityGroupRuleId"]
    [found] = setting.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
    assert found["Description"] == "first"
    if peer == "group":
        changed = {**ports, "ReferencedGroupId": group, "Description": "second"}
        setting.ec2.modify_security_group_rules(
            GroupId=group, SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": changed}]
        )
        [found] = setting.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
        assert found["Description"] == "second"
        [whole] = setting.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        [pair] = whole["IpPermissions"][0]["UserIdGroupPairs"]
        assert pair["Description"] == "second"


ABSENT = {
    "acl": "InvalidNetworkAclID.NotFound",
    "ami": "InvalidAMIID.NotFound",
    "dopt": "InvalidDhcpOptionID.NotFound",
    "eigw": "InvalidGatewayID.NotFound",
    "eipalloc": "InvalidAllocationID.NotFound",
    "eni": "InvalidNetworkInterfaceID.NotFound",
    "fl": "InvalidFlowLogId.NotFound",
    "i": "InvalidInstanceID.NotFound",
    "igw": "InvalidInternetGatewayID.NotFound",
    "key": "InvalidKeyPair.NotFound",
    "lt": "InvalidLaunchTemplateId.NotFound",
    "nat": "NatGatewayNotFound",
    "pl": "InvalidPrefixListID.NotFound",
    "rtb": "InvalidRouteTableID.NotFound",
    "sg": "InvalidGroup.NotFound",
    "sgr": "InvalidSecurityGroupRuleId.NotFound",
    "sir": "InvalidSpotInstanceRequestID.NotFound",
    "snap": "InvalidSnapshot.NotFound",
    "subnet": "InvalidSubnetID.NotFound",
    "tgw": "InvalidTransitGatewayID.NotFound",
    "tms": "InvalidTrafficMirrorSessionId.NotFound",
    "vol": "InvalidVolume.NotFound",
    "vpc": "InvalidVpcID.NotFound",
    "vpce": "InvalidVpcEndpointId.NotFound",
    "vpce-svc": "InvalidVpcEndpointServiceId.NotFound",
}


@pytest.mark.parametrize(("prefix", "code"), ABSENT.items())
def test_fails_when_what_is_tagged_is_not_there(aws_account: Account, prefix: str, code: str) -> None:
    ec2 = aws_account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    tags = {"Resources": [vpc, f"{prefix}-0123456789abcdef0"], "Tags": [{"Key": "a", "Value": "b"}]}
    with refused(code):
        ec2.create_tags(**tags)
    assert not ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0].get("Tags")
    ec2.create_tags(Resources=[vpc], Tags=tags["Tags"])
    with refused(code):
        ec2.delete_tags(**tags)
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"] == tags["Tags"]


def test_when_something_is_there_then_it_is_tagged_and_untagged(setting: Setting, group: str) -> None:
    ec2 = setting.ec2
    rule = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission("-1")])
    pair = ec2.create_key_pair(KeyName="operators")
    template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"InstanceType": "m5.large"})
    volume = ec2.create_volume(Size=1, AvailabilityZone="eu-central-1a")["VolumeId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    [acl, *_] = ec2.describe_network_acls()["NetworkAcls"]
    there = [
        setting.instance,
        setting.interface,
        setting.subnet,
        group,
        rule["SecurityGroupRules"][0]["SecurityGroupRuleId"],
        pair["KeyPairId"],
        template["LaunchTemplate"]["LaunchTemplateId"],
        volume,
        ec2.create_snapshot(VolumeId=volume)["SnapshotId"],
        address,
        acl["NetworkAclId"],
        ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
        ec2.create_nat_gateway(SubnetId=setting.subnet, AllocationId=address)["NatGateway"]["NatGatewayId"],
    ]
    ec2.create_tags(Resources=there, Tags=[{"Key": "a", "Value": "b"}])
    found = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["a"]}])["Tags"]
    assert {tag["ResourceId"] for tag in found} == set(there)
    ec2.delete_tags(Resources=there, Tags=[{"Key": "a"}])
    assert not ec2.describe_tags(Filters=[{"Name": "key", "Values": ["a"]}])["Tags"]


@pytest.mark.parametrize("verb", ["start", "stop", "reboot"])
def test_fails_when_a_terminated_instance_is_to_change_its_state(setting: Setting, verb: str) -> None:
    other = run(setting)["Instances"][0]["InstanceId"]
    setting.ec2.terminate_instances(InstanceIds=[setting.instance])
    with refused("IncorrectInstanceState"):
        getattr(setting.ec2, f"{verb}_instances")(InstanceIds=[other, setting.instance])
    found = setting.ec2.describe_instances(InstanceIds=[other, setting.instance])["Reservations"]
    assert sorted(one["Instances"][0]["State"]["Name"] for one in found) == ["running", "terminated"]


def test_fails_when_a_terminated_instance_is_to_get_an_interface(setting: Setting) -> None:
    setting.ec2.terminate_instances(InstanceIds=[setting.instance])
    with refused("IncorrectInstanceState"):
        attach(setting, setting.interface, 1)


def test_fails_when_user_data_of_a_stopped_instance_is_to_be_too_long(setting: Setting) -> None:
    setting.ec2.stop_instances(InstanceIds=[setting.instance])
    with refused("InvalidParameterValue", "16384"):
        modify(setting, UserData={"Value": b"x" * 16_385})


def test_fails_when_a_type_is_to_become_an_unknown_one(setting: Setting) -> None:
    setting.ec2.stop_instances(InstanceIds=[setting.instance])
    with refused("InvalidInstanceAttributeValue", "m5.huge"):
        modify(setting, InstanceType={"Value": "m5.huge"})


def test_fails_when_an_image_was_deregistered(setting: Setting) -> None:
    image = setting.ec2.create_image(InstanceId=setting.instance, Name="golden")["ImageId"]
    run(setting, ImageId=image)
    setting.ec2.deregister_image(ImageId=image)
    with refused("InvalidAMIID.Unavailable"):
        run(setting, ImageId=image)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"InstanceType": "m5.huge"}, "InvalidParameterValue"),
        ({"KeyName": "missing"}, "InvalidKeyPair.NotFound"),
    ],
)
def test_fails_when_a_template_names_what_there_is_not(setting: Setting, data: dict[str, str], code: str) -> None:
    setting.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"ImageId": "ami-12345678", **data})
    with refused(code):
        run(setting, LaunchTemplate={"LaunchTemplateName": "web"})


@pytest.mark.parametrize("placement", [{"AvailabilityZone": ""}, {"AvailabilityZone": "", "Tenancy": "default"}])
def test_when_a_zone_is_empty_then_it_is_that_of_the_subnet(setting: Setting, placement: dict[str, str]) -> None:
    [launched] = run(setting, Placement=placement)["Instances"]
    assert launched["Placement"]["AvailabilityZone"] == "eu-central-1a"


def test_when_more_instances_are_asked_for_at_most_then_they_are_launched(setting: Setting) -> None:
    setting.ec2.create_key_pair(KeyName="operators")
    launched = run(setting, MinCount=1, MaxCount=3, KeyName="operators")["Instances"]
    assert len({instance["PrivateIpAddress"] for instance in launched}) == 3


def test_fails_when_a_subnet_has_room_for_some_instances_only_and_then_none_is_launched(small: Setting) -> None:
    before = held(small)
    with refused("InsufficientFreeAddressesInSubnet"):
        run(small, MinCount=12, MaxCount=12)
    assert held(small) == before
    assert len(run(small, MinCount=1, MaxCount=12)["Instances"]) == 11


def test_when_nothing_is_wrong_then_it_is_done(setting: Setting) -> None:
    ec2 = setting.ec2
    attach(setting, setting.interface, 1)
    made = create(setting, PrivateIpAddress="10.20.0.77")["NetworkInterface"]
    assert made["PrivateIpAddress"] == "10.20.0.77"
    ec2.stop_instances(InstanceIds=[setting.instance])
    modify(setting, InstanceType={"Value": "m5.large"})
    modify(setting, UserData={"Value": b"x"})
    ec2.start_instances(InstanceIds=[setting.instance])
    modify(setting, SourceDestCheck={"Value": False})
    run(setting, UserData="x" * 16_384, PrivateIpAddress="10.20.0.78")
    [found] = ec2.describe_instances(InstanceIds=[setting.instance])["Reservations"][0]["Instances"]
    assert (found["InstanceType"], len(found["NetworkInterfaces"])) == ("m5.large", 2)
    data = ec2.describe_instance_attribute(InstanceId=setting.instance, Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(data) == b"x"
    ec2.delete_network_interface(NetworkInterfaceId=setting.far_interface)
    ec2.delete_subnet(SubnetId=setting.far_subnet)


def addresses_of(setting: Setting, *interfaces: str) -> list[str]:
    found = setting.ec2.describe_network_interfaces(NetworkInterfaceIds=list(interfaces))["NetworkInterfaces"]
    return [item["PrivateIpAddress"] for interface in found for item in interface["PrivateIpAddresses"]]


@pytest.fixture
def small(setting: Setting) -> Setting:
    """The setting with a subnet of eleven addresses instead of the first."""
    [first] = setting.ec2.describe_subnets(SubnetIds=[setting.subnet])["Subnets"]
    made = setting.ec2.create_subnet(VpcId=first["VpcId"], CidrBlock="10.20.9.0/28")["Subnet"]["SubnetId"]
    return replace(setting, subnet=made)


def test_when_addresses_are_given_then_each_once_and_none_of_those_of_aws(small: Setting) -> None:
    create(small, PrivateIpAddress="10.20.9.5")
    create(small, SecondaryPrivateIpAddressCount=2)
    run(small)
    for _ in range(6):
        create(small)
    interfaces = small.ec2.describe_network_interfaces(Filters=[{"Name": "subnet-id", "Values": [small.subnet]}])
    given = addresses_of(small, *(one["NetworkInterfaceId"] for one in interfaces["NetworkInterfaces"]))
    assert sorted(given) == sorted(f"10.20.9.{number}" for number in range(4, 15))
    with refused("InsufficientFreeAddressesInSubnet"):
        create(small)
    with refused("InsufficientFreeAddressesInSubnet"):
        run(small)


def test_when_an_address_is_given_back_then_another_interface_may_have_it(setting: Setting) -> None:
    made = create(setting, PrivateIpAddress="10.20.0.77")["NetworkInterface"]["NetworkInterfaceId"]
    setting.ec2.delete_network_interface(NetworkInterfaceId=made)
    assign(setting, PrivateIpAddresses=["10.20.0.77"])
    setting.ec2.unassign_private_ip_addresses(NetworkInterfaceId=setting.interface, PrivateIpAddresses=["10.20.0.77"])
    first = run(setting, PrivateIpAddress="10.20.0.77")["Instances"][0]["InstanceId"]
    setting.ec2.terminate_instances(InstanceIds=[first])
    assert run(setting, PrivateIpAddress="10.20.0.77")["Instances"][0]["PrivateIpAddress"] == "10.20.0.77"


def test_when_addresses_are_assigned_then_the_answer_has_those_only(setting: Setting) -> None:
    own = addresses_of(setting, setting.interface)
    counted = assign(setting, SecondaryPrivateIpAddressCount=2)["AssignedPrivateIpAddresses"]
    named = assign(setting, PrivateIpAddresses=["10.20.0.77"])["AssignedPrivateIpAddresses"]
    assert named == [{"PrivateIpAddress": "10.20.0.77"}]
    found = [item["PrivateIpAddress"] for item in (*counted, *named)]
    assert len(found) == 3
    assert addresses_of(setting, setting.interface) == [*own, *found]


def test_fails_when_addresses_are_assigned_by_name_and_by_count(setting: Setting) -> None:
    own = addresses_of(setting, setting.interface)
    with refused("InvalidParameterCombination"):
        assign(setting, PrivateIpAddresses=["10.20.0.77"], SecondaryPrivateIpAddressCount=1)
    assert addresses_of(setting, setting.interface) == own


def test_fails_when_the_primary_address_or_an_absent_one_is_unassigned(setting: Setting) -> None:
    own = addresses_of(setting, setting.interface)
    assign(setting, PrivateIpAddresses=["10.20.0.77"])
    for address in (own[0], "10.20.0.99"):
        with refused("InvalidParameterValue"):
            setting.ec2.unassign_private_ip_addresses(
                NetworkInterfaceId=setting.interface, PrivateIpAddresses=["10.20.0.77", address]
            )
    assert addresses_of(setting, setting.interface) == [*own, "10.20.0.77"]


def test_when_reassignment_is_allowed_then_a_secondary_address_moves(setting: Setting) -> None:
    other = create(setting)["NetworkInterface"]["NetworkInterfaceId"]
    setting.ec2.assign_private_ip_addresses(NetworkInterfaceId=other, PrivateIpAddresses=["10.20.0.77"])
    assign(setting, PrivateIpAddresses=["10.20.0.77"], AllowReassignment=True)
    assert "10.20.0.77" in addresses_of(setting, setting.interface)
    assert "10.20.0.77" not in addresses_of(setting, other)


def test_when_a_nat_gateway_is_deleted_then_its_subnet_can_be(small: Setting) -> None:
    gateway = small.ec2.create_nat_gateway(SubnetId=small.subnet, ConnectivityType="private")["NatGateway"]
    assert gateway["NatGatewayAddresses"][0]["PrivateIp"].startswith("10.20.9.")
    with refused("DependencyViolation"):
        small.ec2.delete_subnet(SubnetId=small.subnet)
    small.ec2.delete_nat_gateway(NatGatewayId=gateway["NatGatewayId"])
    small.ec2.delete_subnet(SubnetId=small.subnet)


def tags_for(kind: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": "tapped"}]}]


TAGGING: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "RunInstances": (
        "security-group",
        {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1},
        ("instance", "volume", "network-interface", "spot-instances-request"),
    ),
    "CreateVolume": ("instance", {"AvailabilityZone": "eu-central-1a", "Size": 1}, ("volume",)),
    "CreateVpc": ("subnet", {"CidrBlock": "10.50.0.0/16"}, ("vpc",)),
    "CreateSecurityGroup": ("vpc", {"GroupName": "new", "Description": "new"}, ("security-group",)),
    "CreateInternetGateway": ("vpc", {}, ("internet-gateway",)),
    "CreateKeyPair": ("instance", {"KeyName": "new"}, ("key-pair",)),
    "CreateLaunchTemplate": (
        "instance",
        {"LaunchTemplateName": "new", "LaunchTemplateData": {"EbsOptimized": False}},
        ("launch-template",),
    ),
    "AllocateAddress": ("instance", {}, ("elastic-ip",)),
}
"""By action: a kind of resource that it does not make, its other parameters, and the kinds that it tags."""


@pytest.mark.parametrize("action", TAGGING)
def test_fails_when_tags_are_for_a_kind_that_the_call_does_not_make(setting: Setting, action: str) -> None:
    """Source: Amazon EC2 API Reference, TagSpecification of each action."""
    other, given, kinds = TAGGING[action]
    for wrong in (other, "dhcp-options", "snapshot"):
        message = f"'{wrong}' is not a valid taggable resource type for this operation."
        with refused("InvalidParameterValue", message):
            setting.ec2._make_api_call(action, {**given, "TagSpecifications": [*tags_for(kinds[0]), *tags_for(wrong)]})
    with refused("InvalidParameter"):
        divide(setting, "10.20.9.0/24", TagSpecifications=tags_for("vpc"))
    every = [specification for kind in kinds for specification in tags_for(kind)]
    setting.ec2._make_api_call(action, {**given, "TagSpecifications": every})


def primary(*addresses: str) -> list[dict[str, Any]]:
    return [{"PrivateIpAddress": address, "Primary": True} for address in addresses]


TOGETHER: dict[str, dict[str, Any]] = {
    "two primary addresses": {"PrivateIpAddresses": primary("10.20.0.70", "10.20.0.71")},
    "a primary address besides the one": {
        "PrivateIpAddress": "10.20.0.70",
        "PrivateIpAddresses": primary("10.20.0.71"),
    },
    "addresses and a count": {"PrivateIpAddresses": primary("10.20.0.70"), "SecondaryPrivateIpAddressCount": 1},
}


@pytest.mark.parametrize("given", TOGETHER.values(), ids=TOGETHER)
def test_fails_when_the_addresses_of_a_new_interface_cannot_be_together(
    setting: Setting, given: dict[str, Any]
) -> None:
    """Source: Amazon EC2 API Reference, CreateNetworkInterface."""
    before = held(setting)
    with refused("InvalidParameterCombination"):
        create(setting, **given)
    assert held(setting) == before


@pytest.mark.parametrize(
    ("given", "code"),
    [({}, "MissingParameter"), ({"Ipv4PrefixCount": 1}, "Unsupported")],
)
def test_fails_when_no_address_is_assigned(setting: Setting, given: dict[str, Any], code: str) -> None:
    """Source: Amazon EC2 API Reference, AssignPrivateIpAddresses."""
    own = addresses_of(setting, setting.interface)
    with refused(code):
        assign(setting, **given)
    assert addresses_of(setting, setting.interface) == own


def test_fails_when_an_interface_is_attached_below_the_first_index(setting: Setting) -> None:
    with refused("InvalidParameterValue", "(-1)"):
        setting.ec2.attach_network_interface(
            NetworkInterfaceId=setting.interface, InstanceId=setting.instance, DeviceIndex=-1
        )
    [found] = setting.ec2.describe_network_interfaces(NetworkInterfaceIds=[setting.interface])["NetworkInterfaces"]
    assert found["Status"] == "available"
