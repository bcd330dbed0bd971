"""Volumes that AWS attaches, detaches and makes, and those that it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused


@dataclass
class Setting:
    """An instance with its root volume and another, and a free volume in its zone and in another one."""

    ec2: Any
    instance: str
    other: str
    ended: str
    root: str
    attached: str
    free: str
    far: str
    snapshot: str


@pytest.fixture
def setting(aws_account: Account) -> Setting:
    ec2 = aws_account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.0.0/24", AvailabilityZone="eu-central-1a")["Subnet"]
    launched = ec2.run_instances(ImageId="ami-12345678", MinCount=3, MaxCount=3, SubnetId=subnet["SubnetId"])
    instance, other, ended = (one["InstanceId"] for one in launched["Instances"])
    ec2.terminate_instances(InstanceIds=[ended])
    attached, free, far = (
        ec2.create_volume(AvailabilityZone=f"eu-central-1{zone}", Size=10)["VolumeId"] for zone in "aab"
    )
    ec2.attach_volume(VolumeId=attached, InstanceId=instance, Device="/dev/sdf")
    # Complete before the next call.
    aws_account.waits.scale = 1e-6
    snapshot = ec2.create_snapshot(VolumeId=free)["SnapshotId"]
    [root] = [name for name in devices(ec2, instance) if name != attached]
    return Setting(ec2, instance, other, ended, root, attached, free, far, snapshot)


def devices(ec2: Any, instance: str) -> list[str]:
    """The volumes of an instance."""
    [found] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    return [mapping["Ebs"]["VolumeId"] for mapping in found["BlockDeviceMappings"]]


def attach(it: Setting, volume: str, instance: str, device: str = "/dev/sdg") -> Any:
    return it.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=device)


def create(it: Setting, **given: Any) -> Any:
    return it.ec2.create_volume(**{"AvailabilityZone": "eu-central-1a", **given})


Call = Callable[[Setting], Any]
REFUSED: dict[str, tuple[Call, str]] = {
    "attached twice": (lambda it: attach(it, it.attached, it.other), "VolumeInUse"),
    "attached twice to its instance": (lambda it: attach(it, it.attached, it.instance), "VolumeInUse"),
    "attached in another zone": (lambda it: attach(it, it.far, it.instance), "InvalidVolume.ZoneMismatch"),
    "attached at a device in use": (
        lambda it: attach(it, it.free, it.instance, "/dev/sdf"),
        "InvalidParameterValue",
    ),
    "attached to a terminated instance": (lambda it: attach(it, it.free, it.ended), "IncorrectState"),
    "detached and not attached": (lambda it: it.ec2.detach_volume(VolumeId=it.free), "IncorrectState"),
    "detached from another instance": (
        lambda it: it.ec2.detach_volume(VolumeId=it.attached, InstanceId=it.other),
        "InvalidAttachment.NotFound",
    ),
    "detached from another device": (
        lambda it: it.ec2.detach_volume(VolumeId=it.attached, Device="/dev/sdz"),
        "InvalidAttachment.NotFound",
    ),
    "detached from an unknown instance": (
        lambda it: it.ec2.detach_volume(VolumeId=it.attached, InstanceId="i-0123456789abcdef0"),
        "InvalidInstanceID.NotFound",
    ),
    "the root of a running instance detached": (
        lambda it: it.ec2.detach_volume(VolumeId=it.root),
        "OperationNotPermitted",
    ),
    "deleted while attached": (lambda it: it.ec2.delete_volume(VolumeId=it.attached), "VolumeInUse"),
    "in an unknown zone": (lambda it: create(it, Size=1, AvailabilityZone="eu-central-1z"), "InvalidZone.NotFound"),
    "of an unknown type": (lambda it: create(it, Size=1, VolumeType="gp9"), "UnknownVolumeType"),
    "too large for its type": (lambda it: create(it, Size=16_385), "InvalidParameterValue"),
    "too small for its type": (lambda it: create(it, Size=124, VolumeType="st1"), "InvalidParameterValue"),
    "smaller than its snapshot": (lambda it: create(it, Size=9, SnapshotId=it.snapshot), "InvalidParameterValue"),
    "made smaller": (lambda it: it.ec2.modify_volume(VolumeId=it.free, Size=9), "InvalidParameterValue"),
}


def held(it: Setting) -> list[Any]:
    return [it.ec2.describe_volumes()["Volumes"], devices(it.ec2, it.instance), devices(it.ec2, it.other)]


@pytest.mark.parametrize(("call", "code"), REFUSED.values(), ids=REFUSED)
def test_fails_when_a_volume_cannot_be_so(setting: Setting, call: Call, code: str) -> None:
    before = held(setting)
    with refused(code):
        call(setting)
    assert held(setting) == before


def test_when_only_the_volume_is_named_then_it_is_detached(setting: Setting) -> None:
    answer = setting.ec2.detach_volume(VolumeId=setting.attached)
    assert (answer["InstanceId"], answer["Device"]) == (setting.instance, "/dev/sdf")
    assert devices(setting.ec2, setting.instance) == [setting.root]
    setting.ec2.delete_volume(VolumeId=setting.attached)


def test_when_its_instance_is_stopped_then_a_root_volume_is_detached(setting: Setting) -> None:
    setting.ec2.stop_instances(InstanceIds=[setting.instance])
    setting.ec2.detach_volume(VolumeId=setting.root, InstanceId=setting.instance)
    assert devices(setting.ec2, setting.instance) == [setting.attached]


def test_when_a_volume_can_attach_to_many_then_it_does(setting: Setting) -> None:
    shared = create(setting, Size=4, VolumeType="io2", Iops=100, MultiAttachEnabled=True)["VolumeId"]
    attach(setting, shared, setting.instance)
    attach(setting, shared, setting.other)
    assert shared in devices(setting.ec2, setting.other)
