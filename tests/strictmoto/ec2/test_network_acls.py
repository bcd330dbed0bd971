"""Network ACLs: what AWS takes as entries and associations, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused


@dataclass
class Setting:
    """A VPC with a subnet and an ACL beside the default one, and an ACL of another VPC."""

    ec2: Any
    vpc: str
    subnet: str
    default: str
    association: str
    acl: str
    foreign: str


@pytest.fixture
def setting(aws_account: Account) -> Setting:
    ec2 = aws_account.client("ec2")
    vpc, other = (ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"] for block in ("10.20.0.0/16", "10.30.0.0/16"))
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.0.0/24")["Subnet"]["SubnetId"]
    [default] = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"]
    acl, foreign = (ec2.create_network_acl(VpcId=one)["NetworkAcl"]["NetworkAclId"] for one in (vpc, other))
    [association] = default["Associations"]
    it = Setting(ec2, vpc, subnet, default["NetworkAclId"], association["NetworkAclAssociationId"], acl, foreign)
    create(it, RuleNumber=10)
    return it


ENTRY = {"RuleNumber": 20, "Protocol": "-1", "RuleAction": "deny", "Egress": False, "CidrBlock": "10.0.0.0/8"}


def create(it: Setting, **given: Any) -> Any:
    entry = {name: value for name, value in {**ENTRY, **given}.items() if value is not None}
    return it.ec2.create_network_acl_entry(NetworkAclId=it.acl, **entry)


def replace(it: Setting, acl: str, association: str) -> Any:
    return it.ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)


Call = Callable[[Setting], Any]
REFUSED: dict[str, tuple[Call, str]] = {
    "a number that is taken": (lambda it: create(it, RuleNumber=10), "NetworkAclEntryAlreadyExists"),
    "a number above 32766": (lambda it: create(it, RuleNumber=32_767), "InvalidParameterValue"),
    "a number below 1": (lambda it: create(it, RuleNumber=0), "InvalidParameterValue"),
    "no CIDR block": (lambda it: create(it, CidrBlock=None), "MissingParameter"),
    "two CIDR blocks": (lambda it: create(it, Ipv6CidrBlock="::/0"), "InvalidParameterCombination"),
    "a block that is none": (lambda it: create(it, CidrBlock="everywhere"), "InvalidParameterValue"),
    "an IPv6 block in the place of IPv4": (lambda it: create(it, CidrBlock="::/0"), "InvalidParameterValue"),
    "another action": (lambda it: create(it, RuleAction="drop"), "InvalidParameterValue"),
    "another protocol": (lambda it: create(it, Protocol="256"), "InvalidParameterValue"),
    "TCP without ports": (lambda it: create(it, Protocol="6"), "MissingParameter"),
    "ports backwards": (
        lambda it: create(it, Protocol="17", PortRange={"From": 443, "To": 80}),
        "InvalidParameterValue",
    ),
    "ICMP without a type": (lambda it: create(it, Protocol="1"), "MissingParameter"),
    "an entry deleted that is not there": (
        lambda it: it.ec2.delete_network_acl_entry(NetworkAclId=it.acl, RuleNumber=11, Egress=False),
        "InvalidNetworkAclEntry.NotFound",
    ),
    "an entry deleted of the other direction": (
        lambda it: it.ec2.delete_network_acl_entry(NetworkAclId=it.acl, RuleNumber=10, Egress=True),
        "InvalidNetworkAclEntry.NotFound",
    ),
    "the last entry deleted": (
        lambda it: it.ec2.delete_network_acl_entry(NetworkAclId=it.acl, RuleNumber=32_767, Egress=False),
        "InvalidParameterValue",
    ),
    "an entry replaced that is not there": (
        lambda it: it.ec2.replace_network_acl_entry(NetworkAclId=it.acl, **ENTRY),
        "InvalidNetworkAclEntry.NotFound",
    ),
    "an entry replaced by one that cannot be": (
        lambda it: it.ec2.replace_network_acl_entry(NetworkAclId=it.acl, **ENTRY | {"RuleNumber": 10, "Protocol": "6"}),
        "MissingParameter",
    ),
    "the default one deleted": (
        lambda it: it.ec2.delete_network_acl(NetworkAclId=it.default),
        "InvalidParameterValue",
    ),
    "an association that is not there": (
        lambda it: replace(it, it.acl, "aclassoc-0123456789abcdef0"),
        "InvalidAssociationID.NotFound",
    ),
    "an unknown ACL associated": (
        lambda it: replace(it, "acl-0123456789abcdef0", it.association),
        "InvalidNetworkAclID.NotFound",
    ),
    "an ACL of another VPC associated": (
        lambda it: replace(it, it.foreign, it.association),
        "InvalidParameterValue",
    ),
}


@pytest.mark.parametrize(("call", "code"), REFUSED.values(), ids=REFUSED)
def test_fails_when_a_network_acl_cannot_be_so(setting: Setting, call: Call, code: str) -> None:
    before = setting.ec2.describe_network_acls()["NetworkAcls"]
    with refused(code):
        call(setting)
    assert setting.ec2.describe_network_acls()["NetworkAcls"] == before


def test_fails_when_a_direction_has_twenty_entries(setting: Setting) -> None:
    for number in range(1, 20):
        create(setting, RuleNumber=100 + number)
    with refused("NetworkAclEntryLimitExceeded"):
        create(setting, RuleNumber=500)
    create(setting, RuleNumber=500, Egress=True)


def test_when_an_acl_is_made_then_it_denies_everything_in_both_directions(setting: Setting) -> None:
    [acl] = setting.ec2.describe_network_acls(NetworkAclIds=[setting.foreign])["NetworkAcls"]
    entries = [(entry["RuleNumber"], entry["RuleAction"], entry["Egress"]) for entry in acl["Entries"]]
    assert sorted(entries) == [(32_767, "deny", False), (32_767, "deny", True)]


def test_when_an_entry_can_be_then_it_is_shown_with_the_number_of_its_protocol(setting: Setting) -> None:
    create(setting, Protocol="tcp", PortRange={"From": 22, "To": 22})
    create(setting, RuleNumber=30, Protocol="icmp", IcmpTypeCode={"Type": 8, "Code": -1})
    [acl] = setting.ec2.describe_network_acls(NetworkAclIds=[setting.acl])["NetworkAcls"]
    shown = {entry["RuleNumber"]: entry for entry in acl["Entries"] if not entry["Egress"]}
    assert (shown[20]["Protocol"], shown[20]["PortRange"]) == ("6", {"From": 22, "To": 22})
    assert (shown[30]["Protocol"], shown[30]["IcmpTypeCode"]) == ("1", {"Type": 8, "Code": -1})


def test_when_an_association_is_replaced_then_the_subnet_has_the_other_acl(setting: Setting) -> None:
    replace(setting, setting.acl, setting.association)
    with refused("DependencyViolation"):
        setting.ec2.delete_network_acl(NetworkAclId=setting.acl)
    [acl] = setting.ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [setting.subnet]}])[
        "NetworkAcls"
    ]
    assert acl["NetworkAclId"] == setting.acl
