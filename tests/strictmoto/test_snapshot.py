"""The comparison of an account with what it was: whatever is added, taken or changed is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from strictmoto.account import REGION, Account
from strictmoto.testing.snapshot import differences, take_snapshot
from tests.strictmoto.trusting import TRUST

Client = Callable[[str], Any]


MAKE: dict[str, Callable[[Client], object]] = {
    "ec2 Vpcs": lambda client: client("ec2").create_vpc(CidrBlock="10.9.0.0/16"),
    "ec2 TrafficMirrorFilters": lambda client: client("ec2").create_traffic_mirror_filter(),
    "sns Topics": lambda client: client("sns").create_topic(Name="one"),
    "sqs QueueUrls": lambda client: client("sqs").create_queue(QueueName="one"),
    "iam Roles": lambda client: client("iam").create_role(RoleName="one", AssumeRolePolicyDocument=TRUST),
    "logs logGroups": lambda client: client("logs").create_log_group(logGroupName="one"),
    "kms Keys": lambda client: client("kms").create_key(),
    "secretsmanager SecretList": lambda client: client("secretsmanager").create_secret(Name="one"),
    "dynamodb TableNames": lambda client: client("dynamodb").create_table(
        TableName="one",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    ),
}


def test_when_something_is_made_then_it_is_left_over(aws_account: Account) -> None:
    before = take_snapshot(aws_account, region=REGION)
    for make in MAKE.values():
        make(aws_account.client)
    found = differences(before, take_snapshot(aws_account, region=REGION))
    for kind in MAKE:
        assert any(line.startswith(f"left over: {kind} ") for line in found), (kind, found)


def test_when_something_is_changed_or_gone_then_that_is_reported(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    gone = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    changed = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    before = take_snapshot(aws_account, region=REGION)
    ec2.delete_traffic_mirror_filter(TrafficMirrorFilterId=gone)
    ec2.create_tags(Resources=[changed], Tags=[{"Key": "a", "Value": "b"}])
    assert differences(before, take_snapshot(aws_account, region=REGION)) == [
        f"gone: ec2 TrafficMirrorFilters {gone}",
        f"changed: ec2 TrafficMirrorFilters {changed}",
    ]


def test_when_a_secret_gets_a_value_or_waits_for_its_deletion_then_it_is_the_same_or_gone(aws_account: Account) -> None:
    secrets = aws_account.client("secretsmanager")
    secrets.create_secret(Name="one")
    before = take_snapshot(aws_account, region=REGION, services=["secretsmanager"])
    secrets.put_secret_value(SecretId="one", SecretString="value")
    assert differences(before, take_snapshot(aws_account, region=REGION, services=["secretsmanager"])) == []
    secrets.delete_secret(SecretId="one", RecoveryWindowInDays=7)
    [gone] = differences(before, take_snapshot(aws_account, region=REGION, services=["secretsmanager"]))
    assert gone.startswith("gone: secretsmanager SecretList arn:aws:secretsmanager:")


def test_when_there_is_more_than_a_page_then_all_of_it_is_compared(aws_account: Account) -> None:
    logs = aws_account.client("logs")
    for number in range(60):
        logs.create_log_group(logGroupName=f"group-{number:02}")
    found = take_snapshot(aws_account, region=REGION)
    assert sum(name.startswith("logs logGroups") for name in found) == 60


def test_when_a_key_waits_for_its_deletion_then_it_is_gone(aws_account: Account) -> None:
    keys = aws_account.client("kms")
    before = take_snapshot(aws_account, region=REGION)
    key = keys.create_key()["KeyMetadata"]["KeyId"]
    keys.schedule_key_deletion(KeyId=key)
    assert differences(before, take_snapshot(aws_account, region=REGION)) == []


def test_when_a_kind_is_left_out_then_only_the_others_are_compared(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    volume = ec2.create_volume(AvailabilityZone="eu-central-1a", Size=8)["VolumeId"]
    ec2.create_snapshot(VolumeId=volume)
    kinds = {name.split(" ")[1] for name in take_snapshot(aws_account, region=REGION, services=["ec2"])}
    found = take_snapshot(aws_account, region=REGION, services=["ec2"], without=["Snapshots"])
    assert kinds - {name.split(" ")[1] for name in found} == {"Snapshots"}
