"""Snapshots are pending first, and are complete when their time is over."""

from __future__ import annotations

import time
from typing import Any

import pytest

from strictmoto.account import Account
from strictmoto.ec2 import snapshots
from tests.strictmoto.ec2.mirroring.network import refused

Waited = list[tuple[float, float]]


@pytest.fixture
def ec2(aws_account: Account) -> Any:
    return aws_account.client("ec2")


@pytest.fixture
def volume(ec2: Any) -> str:
    return str(ec2.create_volume(AvailabilityZone="eu-central-1a", Size=8)["VolumeId"])


def described(ec2: Any, snapshot: str) -> dict[str, Any]:
    [found] = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    return dict(found)


def until_complete(ec2: Any, snapshot: str) -> None:
    deadline = time.monotonic() + 10
    while described(ec2, snapshot)["State"] != "completed":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_when_a_snapshot_is_taken_then_it_is_pending_for_as_long_as_the_waits_say(
    aws_account: Account, ec2: Any, volume: str, waited: Waited
) -> None:
    aws_account.waits.scale = 0.05
    made = ec2.create_snapshot(VolumeId=volume)
    assert made["State"] == "pending"
    assert waited == [(snapshots.PENDING_SECONDS, snapshots.PENDING_SECONDS * 0.05)]
    first = described(ec2, made["SnapshotId"])
    assert first["State"] == "pending"
    assert 0 <= int(first["Progress"].removesuffix("%")) < 100
    [pending] = ec2.describe_snapshots(Filters=[{"Name": "status", "Values": ["pending"]}])["Snapshots"]
    assert pending["SnapshotId"] == made["SnapshotId"]
    until_complete(ec2, made["SnapshotId"])
    assert described(ec2, made["SnapshotId"])["Progress"] == "100%"
    own = {"OwnerIds": ["self"], "Filters": [{"Name": "status", "Values": ["pending"]}]}
    assert ec2.describe_snapshots(**own)["Snapshots"] == []


def test_when_snapshots_of_all_volumes_of_an_instance_are_taken_then_each_is_pending(ec2: Any) -> None:
    launched = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    made = ec2.create_snapshots(InstanceSpecification={"InstanceId": launched})["Snapshots"]
    assert [one["State"] for one in made] == ["pending"]
    # It may be deleted meanwhile.
    ec2.delete_snapshot(SnapshotId=made[0]["SnapshotId"])


def test_when_it_is_complete_then_a_volume_and_a_copy_are_made_of_it_and_not_before(
    aws_account: Account, ec2: Any, volume: str
) -> None:
    made = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    zone = {"AvailabilityZone": "eu-central-1a"}
    with refused("IncorrectState"):
        ec2.create_volume(SnapshotId=made, **zone)
    with refused("IncorrectState"):
        ec2.copy_snapshot(SourceSnapshotId=made, SourceRegion="eu-central-1")
    assert len(ec2.describe_volumes()["Volumes"]) == 1
    aws_account.waits.scale = 0.01
    other = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    until_complete(ec2, other)
    assert ec2.create_volume(SnapshotId=other, **zone)["SnapshotId"] == other
    copied = ec2.copy_snapshot(SourceSnapshotId=other, SourceRegion="eu-central-1")["SnapshotId"]
    until_complete(ec2, copied)


def test_when_an_image_is_made_then_its_snapshots_are_complete_as_it_is_available_at_once(ec2: Any) -> None:
    launched = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    image = ec2.create_image(InstanceId=launched, Name="golden")["ImageId"]
    [found] = ec2.describe_images(ImageIds=[image])["Images"]
    assert found["State"] == "available"
    own = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert {one["State"] for one in own} == {"completed"}


def test_fails_when_the_snapshot_of_a_volume_or_a_copy_does_not_exist(ec2: Any) -> None:
    with refused("InvalidSnapshot.NotFound"):
        ec2.create_volume(SnapshotId="snap-0123456789abcdef0", AvailabilityZone="eu-central-1a")
    with refused("InvalidSnapshot.NotFound"):
        ec2.copy_snapshot(SourceSnapshotId="snap-0123456789abcdef0", SourceRegion="eu-central-1")


def test_when_owners_are_asked_for_then_those_of_awss_images_are_amazons(ec2: Any, volume: str) -> None:
    made = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    own, of_account, of_amazon = (
        [one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=[owner])["Snapshots"]]
        for owner in ("self", "123456789012", "amazon")
    )
    assert own == of_account == [made]
    assert of_amazon
    assert made not in of_amazon
    everything = {one["SnapshotId"] for one in ec2.describe_snapshots()["Snapshots"]}
    assert everything >= {made, *of_amazon}
