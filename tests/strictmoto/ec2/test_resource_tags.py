"""Tags of EC2's resources cost the same however many others there ever were."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.tags import TagBackend

from strictmoto.account import ACCOUNT_ID, REGION, Account

TAGS = [{"Key": "Name", "Value": "one"}, {"Key": "stage", "Value": "*"}]


def test_when_it_is_described_then_its_tags_are_those_it_has(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    spec = [{"ResourceType": "vpc", "Tags": TAGS}]
    tagged = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=spec)["Vpc"]["VpcId"]
    plain = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[plain], Tags=[{"Key": "later", "Value": ""}])
    ec2.delete_tags(Resources=[plain], Tags=[{"Key": "later"}])
    found = {vpc["VpcId"]: vpc.get("Tags", []) for vpc in ec2.describe_vpcs(VpcIds=[tagged, plain])["Vpcs"]}
    assert found == {tagged: TAGS, plain: []}
    by_tag = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["one"]}])["Vpcs"]
    assert [vpc["VpcId"] for vpc in by_tag] == [tagged]


def test_when_no_tag_is_named_then_all_are_deleted_but_those_of_aws(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": TAGS}])["Vpc"]
    mirrored = ec2.create_traffic_mirror_filter(
        TagSpecifications=[{"ResourceType": "traffic-mirror-filter", "Tags": TAGS}]
    )["TrafficMirrorFilter"]
    ids = [vpc["VpcId"], mirrored["TrafficMirrorFilterId"]]
    ec2_backends[ACCOUNT_ID][REGION].tags[ids[0]]["aws:cloudformation:stack-name"] = "s"
    with pytest.raises(ClientError, match="DryRunOperation"):
        ec2.delete_tags(Resources=ids, DryRun=True)
    assert len(ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": ids}])["Tags"]) == 5
    ec2.delete_tags(Resources=ids)
    [left] = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": ids}])["Tags"]
    assert left["Key"] == "aws:cloudformation:stack-name"


def test_when_resources_are_described_then_the_tags_of_others_are_not_read(
    aws_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    ec2 = aws_account.client("ec2")
    spec = [{"ResourceType": "vpc", "Tags": TAGS}]
    ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=spec)

    def scan(*_: object, **__: object) -> None:
        pytest.fail("all tags of the account were searched")

    monkeypatch.setattr(TagBackend, "describe_tags", scan)
    assert ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["one"]}])["Vpcs"][0]["Tags"] == TAGS
