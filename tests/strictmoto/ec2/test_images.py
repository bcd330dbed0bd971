"""Public images are there from the beginning, and cost nothing until somebody reads them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from moto.ec2.models import amis, ec2_backends

from strictmoto.account import ACCOUNT_ID, Account
from strictmoto.ec2 import images
from strictmoto.faults import Fault
from tests.strictmoto.ec2.mirroring.network import refused

PUBLIC = "ami-12c6146b"
WINDOWS = "Windows_Server-2016-English-Full-Base-*"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The id of every image that the account makes."""
    ids: list[str] = []
    make: Any = amis.Ami.__init__

    def making(self: Any, backend: Any, ami_id: str, *given: Any, **named: Any) -> None:
        ids.append(ami_id)
        make(self, backend, ami_id, *given, **named)

    monkeypatch.setattr(amis.Ami, "__init__", making)
    return ids


def test_when_images_are_listed_then_the_public_ones_of_the_region_are_there(aws_account: Account) -> None:
    for region in ("eu-central-1", "us-east-1"):
        ec2 = aws_account.client("ec2", region=region)
        ids = [one["ImageId"] for one in ec2.describe_images(Owners=["amazon"])["Images"]]
        assert sorted(ids) == sorted(images._public(region))
        assert len(ids) > 1000


def test_when_one_image_is_read_then_only_that_one_is_made(aws_account: Account, made: list[str]) -> None:
    ec2 = aws_account.client("ec2")
    ec2.run_instances(ImageId=PUBLIC, MinCount=1, MaxCount=1)
    [found] = ec2.describe_images(ImageIds=[PUBLIC])["Images"]
    [same] = ec2.describe_images(Filters=[{"Name": "image-id", "Values": [PUBLIC]}])["Images"]
    assert (found["ImageId"], found["ImageOwnerAlias"], found["Public"]) == (PUBLIC, "amazon", True)
    assert same == found
    assert made == [PUBLIC]
    aws_account.reset()
    assert made == [PUBLIC], "an account that is emptied makes them all"


@pytest.mark.long
def test_when_an_image_is_read_then_its_snapshot_stays_the_same(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")

    def snapshot_of(image: dict[str, Any]) -> str:
        return str(image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])

    alone = snapshot_of(ec2.describe_images(ImageIds=[PUBLIC])["Images"][0])
    among = {one["ImageId"]: snapshot_of(one) for one in ec2.describe_images()["Images"]}
    assert among[PUBLIC] == alone
    listed = {one["SnapshotId"] for one in ec2.describe_snapshots()["Snapshots"]}
    assert listed == set(among.values())
    with refused("InvalidSnapshot.InUse"):
        ec2.delete_snapshot(SnapshotId=alone)


def test_when_own_snapshots_are_listed_or_one_is_read_then_no_public_image_is_made(
    aws_account: Account, made: list[str]
) -> None:
    ec2 = aws_account.client("ec2")
    volume = ec2.create_volume(AvailabilityZone="eu-central-1a", Size=8)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    for asked in ({"OwnerIds": ["self"]}, {"SnapshotIds": [snapshot]}):
        assert [one["SnapshotId"] for one in ec2.describe_snapshots(**asked)["Snapshots"]] == [snapshot]
    assert made == []
    assert ec2.describe_snapshots(OwnerIds=["self", "amazon"])["Snapshots"][1:]


@pytest.mark.long
def test_when_snapshots_are_listed_first_then_those_of_public_images_are_there(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    assert len(ec2.describe_snapshots()["Snapshots"]) == len(ec2.describe_images()["Images"])


@pytest.mark.parametrize(
    "given",
    [
        {"Filters": [{"Name": "name", "Values": [WINDOWS]}]},
        {"Filters": [{"Name": "image-id", "Values": ["ami-12c61*"]}]},
    ],
    ids=["name", "wildcard in an id"],
)
def test_when_images_are_searched_then_all_are(aws_account: Account, given: dict[str, Any]) -> None:
    assert aws_account.client("ec2").describe_images(**given)["Images"]


def test_when_an_image_is_named_then_other_filters_and_owners_count(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    by_id = {"Name": "image-id", "Values": [PUBLIC]}
    assert not ec2.describe_images(Owners=["self"], Filters=[by_id])["Images"]
    assert not ec2.describe_images(Filters=[by_id, {"Name": "state", "Values": ["pending"]}])["Images"]
    assert ec2.describe_images(Owners=["amazon"], ExecutableUsers=["all"], Filters=[by_id])["Images"]
    with refused("InvalidAMIID.NotFound"):
        ec2.describe_images(ImageIds=["ami-0123456789abcdef0"])


def test_when_a_thread_makes_an_image_then_it_is_there_for_others(
    aws_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[bool] = []
    make: Any = amis.Ami.__init__
    there = ec2_backends[ACCOUNT_ID]["eu-central-1"].amis

    def making(self: Any, *given: Any, **named: Any) -> None:
        asking = threading.Thread(target=lambda: found.append(PUBLIC in there))
        asking.start()
        asking.join()
        make(self, *given, **named)

    monkeypatch.setattr(amis.Ami, "__init__", making)
    before = len(there)
    aws_account.client("ec2").describe_images(ImageIds=[PUBLIC])
    assert found == [True]
    assert (PUBLIC in there, len(there)) == (True, before)


def test_fails_when_an_image_of_amazon_is_deregistered_or_shared(aws_account: Account) -> None:
    """Source: Amazon EC2 API Reference, "Error codes for the Amazon EC2 API" (AuthFailure)."""
    ec2 = aws_account.client("ec2")
    shared = {"Add": [{"UserId": "111122223333"}]}
    with refused("AuthFailure", f"Not authorized for image:{PUBLIC}"):
        ec2.deregister_image(ImageId=PUBLIC)
    with refused("AuthFailure", f"Not authorized for image:{PUBLIC}"):
        ec2.modify_image_attribute(ImageId=PUBLIC, LaunchPermission=shared)
    [image] = ec2.describe_images(ImageIds=[PUBLIC])["Images"]
    assert image["Public"]
    own = ec2.register_image(Name="own")["ImageId"]
    ec2.modify_image_attribute(ImageId=own, LaunchPermission=shared)
    ec2.deregister_image(ImageId=own)
    with refused("InvalidAMIID.NotFound"):
        ec2.deregister_image(ImageId="ami-0123456789abcdef0")


def test_when_threads_read_one_image_then_it_is_made_once(aws_account: Account, made: list[str]) -> None:
    ec2 = aws_account.client("ec2")
    readers = [threading.Thread(target=ec2.describe_images, kwargs={"ImageIds": [PUBLIC]}) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert made == [PUBLIC]


def test_when_an_image_is_tagged_then_it_is_found_by_its_tag(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    ec2.create_tags(Resources=[PUBLIC], Tags=[{"Key": "use", "Value": "sensor"}])
    tagged = ec2.describe_images(Filters=[{"Name": "tag:use", "Values": ["sensor"]}])["Images"]
    assert [one["ImageId"] for one in tagged] == [PUBLIC]


def test_when_the_last_creation_is_late_then_the_answer_is_of_before_and_images_are_still_made(
    aws_account: Account,
) -> None:
    ec2 = aws_account.client("ec2")
    aws_account.faults.add(Fault("DescribeVpcs", "late"))
    made = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]

    assert made not in [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]]
    assert made in [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]]
    assert len(ec2.describe_images(Owners=["amazon"])["Images"]) > 100
