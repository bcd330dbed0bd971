"""What EC2 refuses of instances, network interfaces and subnets: mirroring and containment meet it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tapstack.rehearsal.account import Account
from tests.rehearsal.mirroring.network import refused


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
def setting(rehearsal_account: Account) -> Setting:
    ec2 = rehearsal_account.client("ec2")
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


def create(setting: Setting, **given: Any) -> Any:
    return setting.ec2.create_network_interface(SubnetId=setting.subnet, **given)


def assign(setting: Setting, **given: Any) -> Any:
    return setting.ec2.assign_private_ip_addresses(NetworkInterfaceId=setting.interface, **given)


def modify(setting: Setting, **given: Any) -> Any:
    return setting.ec2.modify_instance_attribute(InstanceId=setting.instance, **given)


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
        lambda it: it.ec2.run_instances(
            ImageId="ami-12345678",
            MinCount=1,
            MaxCount=1,
            NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": it.subnet, "PrivateIpAddress": "10.20.1.9"}],
        ),
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
    "no instances": (lambda it: run(it, MinCount=0, MaxCount=0), "InvalidParameterValue"),
    "a count below zero": (lambda it: run(it, MinCount=1, MaxCount=-5), "InvalidParameterValue"),
    "more at least than at most": (lambda it: run(it, MinCount=3, MaxCount=1), "InvalidParameterValue"),
    "user data too long": (lambda it: run(it, UserData="x" * 16_385), "InvalidParameterValue"),
    "a subnet in use": (lambda it: it.ec2.delete_subnet(SubnetId=it.subnet), "DependencyViolation"),
}


@pytest.mark.parametrize(("call", "code"), REFUSED.values(), ids=REFUSED)
def test_fails_when_ec2_refuses_it(setting: Setting, call: Call, code: str) -> None:
    before = setting.ec2.describe_network_interfaces()["NetworkInterfaces"]
    with refused(code):
        call(setting)
    assert setting.ec2.describe_network_interfaces()["NetworkInterfaces"] == before


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
