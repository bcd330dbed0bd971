"""Resources of an account are put back as they were, as often as wanted."""

from __future__ import annotations

from typing import Any

import pytest

from strictmoto.account import REGION, Account
from strictmoto.company import Company, found_company
from strictmoto.faults import Fault
from strictmoto.testing.checkpoint import made_once, restore, take_checkpoint
from strictmoto.testing.snapshot import differences, take_snapshot


def _change(ec2: Any, company: Company) -> None:
    ec2.create_vpc(CidrBlock="10.9.0.0/16")
    ec2.terminate_instances(InstanceIds=[company.instances["database"]])
    group = company.security_groups["backup"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=company.interfaces["web-1"][0], Groups=[group])


def test_when_it_is_restored_then_all_is_as_it_was_each_time(aws_account: Account) -> None:
    company = found_company(aws_account)
    before = take_snapshot(aws_account, region=REGION)
    checkpoint = take_checkpoint()
    for _ in range(2):
        _change(aws_account.client("ec2"), company)
        assert len(differences(before, take_snapshot(aws_account, region=REGION))) > 3
        restore(aws_account, checkpoint)
        assert differences(before, take_snapshot(aws_account, region=REGION)) == []


def test_when_it_is_restored_then_nothing_but_resources_comes_back(aws_account: Account) -> None:
    s3 = aws_account.client("s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    checkpoint = take_checkpoint()
    s3.put_object(Bucket="kept", Key="key", Body=b"content")
    aws_account.faults.add(Fault("ListBuckets", "throttled"))
    restore(aws_account, checkpoint)
    assert aws_account.recorder.records() == []
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["kept"]
    assert "Contents" not in s3.list_objects_v2(Bucket="kept")


def test_fails_when_a_bucket_has_objects(aws_account: Account) -> None:
    s3 = aws_account.client("s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="kept", Key="key", Body=b"content")
    with pytest.raises(ValueError, match="a bucket has objects"):
        take_checkpoint()


def test_when_it_is_made_once_then_later_tests_find_the_same(aws_account: Account) -> None:
    calls: list[Account] = []

    def make(account: Account) -> str:
        calls.append(account)
        return str(account.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"])

    ec2 = aws_account.client("ec2")
    first = made_once(aws_account, make)
    ec2.delete_vpc(VpcId=first)
    assert made_once(aws_account, make) == first
    assert len(calls) == 1
    assert ec2.describe_vpcs(VpcIds=[first])["Vpcs"]


def test_when_what_services_share_is_changed_after_a_restore_then_each_sees_it(aws_account: Account) -> None:
    company = found_company(aws_account)
    restore(aws_account, take_checkpoint())
    scaling, ec2 = aws_account.client("autoscaling"), aws_account.client("ec2")
    scaling.terminate_instance_in_auto_scaling_group(
        InstanceId=company.instances["web-1"], ShouldDecrementDesiredCapacity=False
    )
    [found] = ec2.describe_instances(InstanceIds=[company.instances["web-1"]])["Reservations"][0]["Instances"]
    assert found["State"]["Name"] in ("shutting-down", "terminated")
