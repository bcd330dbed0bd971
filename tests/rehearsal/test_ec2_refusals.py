"""What EC2 refuses of instances, network interfaces and subnets: mirroring and containment meet it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


REFUSED: dict[str, tuple[Call, str]] = {
    "a device index that is taken": (lambda it: attach(it, it.interface, 0), "InvalidParameterValue"),
    "the primary interface detached": (
        lambda it: it.ec2.detach_network_interface(AttachmentId=it.primary),
        "OperationNotPermitted",
    ),
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


def test_when_nothing_is_wrong_then_it_is_attached(setting: Setting) -> None:
    attach(setting, setting.interface, 1)
    [found] = setting.ec2.describe_instances(InstanceIds=[setting.instance])["Reservations"][0]["Instances"]
    assert len(found["NetworkInterfaces"]) == 2
