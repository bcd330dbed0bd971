"""IPv6 addresses of network interfaces: which can be assigned, and what the answers say."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import Account


class Network:
    """A VPC with a subnet that has an IPv6 block, and one that has none."""

    def __init__(self, account: Account) -> None:
        self.ec2 = account.client("ec2")
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
        self.prefix = vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"].removesuffix("::/56")
        self.subnet = self._subnet(vpc["VpcId"], "10.0.1.0/24", Ipv6CidrBlock=f"{self.prefix}::/64")
        self.plain = self._subnet(vpc["VpcId"], "10.0.2.0/24")

    def _subnet(self, vpc: str, block: str, **given: str) -> str:
        return str(self.ec2.create_subnet(VpcId=vpc, CidrBlock=block, **given)["Subnet"]["SubnetId"])

    def address(self, ending: str) -> str:
        """An address as EC2 writes it, or as the ending says where it begins with a zero."""
        written = str(ipaddress.IPv6Address(f"{self.prefix}::{ending}"))
        return f"{self.prefix}::{ending}" if ending.startswith("0:") else written

    def interface(self, **given: Any) -> str:
        made = self.ec2.create_network_interface(**{"SubnetId": self.subnet, **given})
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def addresses(self, interface: str) -> list[str]:
        [found] = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
        return [one["Ipv6Address"] for one in found["Ipv6Addresses"]]

    def launch(self, **given: Any) -> list[str]:
        """The addresses of an instance."""
        [made] = self.ec2.run_instances(
            ImageId="ami-12345678", InstanceType="m5.large", MinCount=1, MaxCount=1, **given
        )["Instances"]
        return self.addresses(made["NetworkInterfaces"][0]["NetworkInterfaceId"])


@pytest.fixture
def network(aws_account: Account) -> Network:
    return Network(aws_account)


def refused(call: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**given)
    return str(error.value.response["Error"]["Code"])


def test_when_addresses_are_assigned_then_the_answer_has_the_new_ones_alone(network: Network) -> None:
    interface = network.interface()
    assign = network.ec2.assign_ipv6_addresses
    chosen = assign(NetworkInterfaceId=interface, Ipv6AddressCount=2)["AssignedIpv6Addresses"]
    assert len(set(chosen)) == 2
    assert all(ipaddress.IPv6Address(address) in ipaddress.IPv6Network(f"{network.prefix}::/64") for address in chosen)
    asked = [network.address("0:10")]
    assert assign(NetworkInterfaceId=interface, Ipv6Addresses=asked)["AssignedIpv6Addresses"] == [network.address("10")]
    assert network.addresses(interface) == [*chosen, network.address("10")]
    gone = network.ec2.unassign_ipv6_addresses(NetworkInterfaceId=interface, Ipv6Addresses=[network.address("0:10")])
    assert gone["UnassignedIpv6Addresses"] == [network.address("10")]
    assert network.addresses(interface) == chosen
    # It is free again.
    assign(NetworkInterfaceId=network.interface(), Ipv6Addresses=asked)


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "MissingParameter"),
    "both": ({"Ipv6Addresses": ["{}10"], "Ipv6AddressCount": 1}, "InvalidParameterCombination"),
    "none at all": ({"Ipv6AddressCount": 0}, "InvalidParameterValue"),
    "less than none": ({"Ipv6AddressCount": -1}, "InvalidParameterValue"),
    "a text": ({"Ipv6Addresses": ["x"]}, "InvalidParameterValue"),
    "IPv4": ({"Ipv6Addresses": ["10.0.1.7"]}, "InvalidParameterValue"),
    "of another network": ({"Ipv6Addresses": ["2001:db8::10"]}, "InvalidParameterValue"),
    "the first of the subnet": ({"Ipv6Addresses": ["{}"]}, "InvalidParameterValue"),
    "the fourth of the subnet": ({"Ipv6Addresses": ["{}3"]}, "InvalidParameterValue"),
    "the last of the subnet": ({"Ipv6Addresses": ["{}ffff:ffff:ffff:ffff"]}, "InvalidParameterValue"),
    "one twice": ({"Ipv6Addresses": ["{}10", "{}0:10"]}, "InvalidParameterValue"),
    "of another interface": ({"Ipv6Addresses": ["{}aa"]}, "InvalidIPAddress.InUse"),
    "prefixes": ({"Ipv6PrefixCount": 1}, "Unsupported"),
}


@pytest.mark.parametrize(("given", "code"), CASES.values(), ids=CASES)
def test_fails_when_an_address_cannot_be_had(network: Network, given: dict[str, Any], code: str) -> None:
    network.interface(Ipv6Addresses=[{"Ipv6Address": network.address("aa")}])
    interface = network.interface()
    asked = dict(given)
    if "Ipv6Addresses" in asked:
        # All of the last block of the subnet is one field less.
        start = {True: f"{network.prefix}:", False: f"{network.prefix}::"}
        asked["Ipv6Addresses"] = [one.format(start[one.count(":") == 3]) for one in asked["Ipv6Addresses"]]
    assert refused(network.ec2.assign_ipv6_addresses, NetworkInterfaceId=interface, **asked) == code
    assert network.addresses(interface) == []
    if code not in ("MissingParameter",) and asked.get("Ipv6AddressCount") != 0:
        if "Ipv6Addresses" in asked:
            asked["Ipv6Addresses"] = [{"Ipv6Address": one} for one in asked["Ipv6Addresses"]]
        assert refused(network.interface, **asked) == code
        if "Ipv6PrefixCount" not in asked:
            # A launch without interfaces takes none.
            assert refused(network.launch, SubnetId=network.subnet, **asked) == code
        nic = {"DeviceIndex": 0, "SubnetId": network.subnet, **asked}
        assert refused(network.launch, NetworkInterfaces=[nic]) == code
    assert len(network.ec2.describe_network_interfaces()["NetworkInterfaces"]) == 2


@pytest.mark.parametrize("given", [{"Ipv6AddressCount": 1}, {"Ipv6Addresses": ["2001:db8::10"]}])
def test_fails_when_the_subnet_has_no_ipv6_block(network: Network, given: dict[str, Any]) -> None:
    interface = network.interface(SubnetId=network.plain)
    assert refused(network.ec2.assign_ipv6_addresses, NetworkInterfaceId=interface, **given) == "InvalidParameterValue"


def test_fails_when_what_is_taken_away_is_not_assigned(network: Network) -> None:
    unassign = network.ec2.unassign_ipv6_addresses
    interface = network.interface(Ipv6Addresses=[{"Ipv6Address": network.address("aa")}])
    both = [network.address("aa"), network.address("ab")]
    assert refused(unassign, NetworkInterfaceId=interface, Ipv6Addresses=both) == "InvalidParameterValue"
    assert refused(unassign, NetworkInterfaceId=interface, Ipv6Addresses=["x"]) == "InvalidParameterValue"
    assert refused(unassign, NetworkInterfaceId=interface) == "MissingParameter"
    assert refused(unassign, NetworkInterfaceId=interface, Ipv6Prefixes=["2001:db8::/80"]) == "Unsupported"
    gone = "eni-0123456789abcdef0"
    assert refused(unassign, NetworkInterfaceId=gone, Ipv6Addresses=both) == "InvalidNetworkInterfaceID.NotFound"
    assert network.addresses(interface) == [network.address("aa")]


def test_when_an_instance_is_launched_with_addresses_then_it_has_them(network: Network) -> None:
    wanted = [{"Ipv6Address": network.address("0:aa")}]
    assert network.launch(SubnetId=network.subnet, Ipv6Addresses=wanted) == [network.address("aa")]
    assert len(network.launch(SubnetId=network.subnet, Ipv6AddressCount=2)) == 2
    counted = {"DeviceIndex": 0, "SubnetId": network.subnet, "Ipv6AddressCount": 3}
    assert len(network.launch(NetworkInterfaces=[counted])) == 3
    named = {"DeviceIndex": 0, "SubnetId": network.subnet, "Ipv6Addresses": [{"Ipv6Address": network.address("ab")}]}
    assert network.launch(NetworkInterfaces=[named]) == [network.address("ab")]
