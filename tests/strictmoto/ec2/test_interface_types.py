"""Types of network interfaces, trunks and branches, and what Spot Instances cannot have."""

from __future__ import annotations

from typing import Any

import pytest

from strictmoto.account import Account
from strictmoto.company import IMAGE
from tests.strictmoto.ec2.mirroring.network import Network, refused


@pytest.fixture
def network(aws_account: Account) -> Network:
    return Network(aws_account.client("ec2"), aws_account.client("elbv2"), "123456789012")


def create(network: Network, kind: str, **given: Any) -> str:
    made = network.ec2.create_network_interface(SubnetId=network.subnet, InterfaceType=kind, **given)
    assert made["NetworkInterface"]["InterfaceType"] == kind
    return str(made["NetworkInterface"]["NetworkInterfaceId"])


@pytest.mark.parametrize("kind", ["interface", "efa", "efa-only", "branch", "trunk"])
def test_when_an_interface_has_a_type_then_it_is_described_with_it(network: Network, kind: str) -> None:
    """CreateNetworkInterface, InterfaceType."""
    interface = create(network, kind)
    filters = [{"Name": "interface-type", "Values": [kind]}]
    found = network.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    assert [one["NetworkInterfaceId"] for one in found] == [interface]
    if kind != "interface":
        with refused("NetworkInterfaceNotSupported", kind):
            network.session(interface, network.target())
        with refused("NetworkInterfaceNotSupported", kind):
            network.target(interface)


def test_fails_when_an_interface_is_of_a_type_that_only_aws_creates(network: Network) -> None:
    """Only AWS's services make interfaces of other types."""
    for kind in ("nat_gateway", "network_load_balancer", "Interface"):
        with refused("InvalidParameterValue", kind):
            network.ec2.create_network_interface(SubnetId=network.subnet, InterfaceType=kind)
    with refused("InvalidParameterCombination", "EFA-only"):
        create(network, "efa-only", PrivateIpAddress="10.0.0.9")


def test_when_an_instance_is_launched_then_its_interface_has_the_type_asked_for(network: Network) -> None:
    """RunInstances takes interface, efa and efa-only."""
    given: Any = {"ImageId": IMAGE, "InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1}

    def asked(kind: str) -> Any:
        return [{"DeviceIndex": 0, "SubnetId": network.subnet, "InterfaceType": kind}]

    [instance] = network.ec2.run_instances(**given, NetworkInterfaces=asked("efa"))["Instances"]
    assert instance["NetworkInterfaces"][0]["InterfaceType"] == "efa"
    with refused("InvalidParameterValue", "trunk"):
        network.ec2.run_instances(**given, NetworkInterfaces=asked("trunk"))


def test_when_a_branch_is_associated_then_it_is_described_until_it_is_no_longer(network: Network) -> None:
    """AssociateTrunkInterface, DescribeTrunkInterfaceAssociations, DisassociateTrunkInterface."""
    trunk, branch, other = create(network, "trunk"), network.interface(), network.interface()
    made = network.ec2.associate_trunk_interface(
        TrunkInterfaceId=trunk, BranchInterfaceId=branch, VlanId=7, ClientToken="once"
    )
    association = made["InterfaceAssociation"]
    assert made["ClientToken"] == "once"
    assert association == {
        "AssociationId": association["AssociationId"],
        "BranchInterfaceId": branch,
        "TrunkInterfaceId": trunk,
        "InterfaceProtocol": "VLAN",
        "VlanId": 7,
        "Tags": [],
    }
    gre = network.ec2.associate_trunk_interface(TrunkInterfaceId=trunk, BranchInterfaceId=other, GreKey=7)
    described = network.ec2.describe_trunk_interface_associations()["InterfaceAssociations"]
    assert described == [association, gre["InterfaceAssociation"]]
    [filtered] = network.ec2.describe_trunk_interface_associations(
        Filters=[{"Name": "interface-protocol", "Values": ["GRE"]}]
    )["InterfaceAssociations"]
    assert filtered["BranchInterfaceId"] == other
    [shown] = network.ec2.describe_network_interfaces(NetworkInterfaceIds=[branch])["NetworkInterfaces"]
    assert (shown["InterfaceType"], shown["Status"]) == ("branch", "in-use")
    with refused("NetworkInterfaceNotSupported", "branch"):
        network.session(branch, network.target())
    for interface in (trunk, branch):
        with refused("InvalidParameterValue", "currently in use"):
            network.ec2.delete_network_interface(NetworkInterfaceId=interface)
    for one in described:
        network.ec2.disassociate_trunk_interface(AssociationId=one["AssociationId"])
    assert network.ec2.describe_trunk_interface_associations()["InterfaceAssociations"] == []
    network.ec2.delete_network_interface(NetworkInterfaceId=branch)


def test_fails_when_what_is_associated_is_no_trunk_or_no_branch(network: Network) -> None:
    """All codes inferred."""
    ec2, trunk, branch = network.ec2, create(network, "trunk"), network.interface()
    with refused("InvalidParameterValue", "not a trunk"):
        ec2.associate_trunk_interface(TrunkInterfaceId=network.interface(), BranchInterfaceId=branch, VlanId=1)
    with refused("InvalidParameterValue", "cannot be a branch"):
        ec2.associate_trunk_interface(TrunkInterfaceId=trunk, BranchInterfaceId=create(network, "efa"), VlanId=1)
    with refused("MissingParameter"):
        ec2.associate_trunk_interface(TrunkInterfaceId=trunk, BranchInterfaceId=branch)
    with refused("InvalidParameterCombination"):
        ec2.associate_trunk_interface(TrunkInterfaceId=trunk, BranchInterfaceId=branch, VlanId=1, GreKey=1)
    with refused("InvalidParameterValue", "4095"):
        ec2.associate_trunk_interface(TrunkInterfaceId=trunk, BranchInterfaceId=branch, VlanId=4095)
    ec2.associate_trunk_interface(TrunkInterfaceId=trunk, BranchInterfaceId=branch, VlanId=1)
    with refused("Resource.AlreadyAssociated", trunk):
        ec2.associate_trunk_interface(TrunkInterfaceId=trunk, BranchInterfaceId=branch, VlanId=2)
    with refused("InvalidParameterValue", "VLAN 1 already"):
        ec2.associate_trunk_interface(TrunkInterfaceId=trunk, BranchInterfaceId=network.interface(), VlanId=1)
    with refused("InvalidAssociationID.NotFound"):
        ec2.disassociate_trunk_interface(AssociationId="trunk-assoc-0123456789abcdef0")


@pytest.mark.parametrize("protection", ["DisableApiTermination", "DisableApiStop"])
def test_fails_when_a_spot_instance_is_to_be_protected(network: Network, protection: str) -> None:
    """UnsupportedOperation, both to protect it and not to: Terraform's AWS provider expects that."""
    given: Any = {"ImageId": IMAGE, "InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1}
    spot: Any = {"InstanceMarketOptions": {"MarketType": "spot"}}
    instance = network.ec2.run_instances(**given, **spot)["Instances"][0]["InstanceId"]
    for value in (True, False):
        with refused("UnsupportedOperation", "not supported for spot instances"):
            network.ec2.modify_instance_attribute(InstanceId=instance, **{protection: {"Value": value}})
    with refused("UnsupportedOperation", "not supported for spot instances"):
        network.ec2.run_instances(**given, **spot, **{protection: True})
    ordinary = network.ec2.run_instances(**given, **{protection: True})["Instances"][0]["InstanceId"]
    network.ec2.modify_instance_attribute(InstanceId=ordinary, **{protection: {"Value": False}})
