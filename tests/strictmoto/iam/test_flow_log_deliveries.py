"""Whether a bucket takes flow logs: its policy, that of its key, and what AWS adds to the first."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from strictmoto.account import Account
from tests.strictmoto.iam.conftest import HERE, ROOT, THERE, Enforcing, policy

REGION: Final = "eu-central-1"
BUCKET: Final = "landing"
ARN: Final = f"arn:aws:s3:::{BUCKET}"
SERVICE: Final = {"Service": "delivery.logs.amazonaws.com"}
FOR_HERE: Final = {
    "StringEquals": {"aws:SourceAccount": [HERE]},
    "ArnLike": {"aws:SourceArn": [f"arn:aws:logs:{REGION}:{HERE}:*"]},
}
MAKING: Final = {"Action": ["ec2:CreateFlowLogs", "logs:CreateLogDelivery"]}
DENIED: Final = f"Access Denied for LogDestination: {BUCKET}. Please check LogDestination permission"
TLS_ONLY: Final = {
    "Sid": "TlsOnly",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": [ARN, f"{ARN}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def delivering(folder: str = f"flow/AWSLogs/{HERE}/*", condition: Any = None, acl: Any = None) -> list[dict[str, Any]]:
    """The two statements of the VPC User Guide."""
    condition = condition or FOR_HERE
    with_acl = {**condition["StringEquals"], "s3:x-amz-acl": acl or "bucket-owner-full-control"}
    common = {"Principal": SERVICE}
    return [
        {
            **common,
            "Action": "s3:PutObject",
            "Resource": f"{ARN}/{folder}",
            "Condition": {**condition, "StringEquals": with_acl},
        },
        {**common, "Action": ["s3:GetBucketAcl", "s3:ListBucket"], "Resource": ARN, "Condition": condition},
    ]


@pytest.fixture
def landing(enforcing: Enforcing) -> Any:
    """A bucket; the client may put its policy."""
    s3 = enforcing.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3


def create(ec2: Any, destination: str = f"{ARN}/flow", **given: Any) -> str:
    """Make flow logs; return why they were not made."""
    [vpc] = [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]]
    made = ec2.create_flow_logs(
        ResourceType="VPC",
        ResourceIds=[vpc],
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination=destination,
        **given,
    )
    if made["FlowLogIds"]:
        return ""
    [failed] = made["Unsuccessful"]
    assert (failed["ResourceId"], failed["Error"]["Code"]) == (vpc, "400")
    assert not ec2.describe_flow_logs()["FlowLogs"]
    return str(failed["Error"]["Message"])


def worker(enforcing: Enforcing, *actions: str) -> Any:
    more = [{"Action": list(actions)}] if actions else []
    return enforcing.worker("ec2", MAKING, {"Action": "ec2:Describe*"}, *more)


def test_when_the_policy_has_the_two_statements_then_it_stays_as_it_is(enforcing: Enforcing, landing: Any) -> None:
    given = policy(*delivering(), TLS_ONLY)
    landing.put_bucket_policy(Bucket=BUCKET, Policy=given)
    assert create(worker(enforcing, "s3:GetBucketPolicy", "s3:PutBucketPolicy")) == ""
    assert json.loads(landing.get_bucket_policy(Bucket=BUCKET)["Policy"]) == json.loads(given)


def test_when_files_have_hive_prefixes_then_the_policy_must_name_those(enforcing: Enforcing, landing: Any) -> None:
    options = {"FileFormat": "parquet", "HiveCompatiblePartitions": True, "PerHourPartition": True}
    landing.put_bucket_policy(Bucket=BUCKET, Policy=policy(*delivering()))
    assert create(worker(enforcing), DestinationOptions=options) == DENIED
    hive = delivering(f"flow/AWSLogs/aws-account-id={HERE}/*")
    landing.put_bucket_policy(Bucket=BUCKET, Policy=policy(*hive))
    assert create(worker(enforcing), DestinationOptions=options) == ""


@pytest.mark.parametrize(
    "statements",
    [
        [],
        delivering()[:1],
        delivering()[1:],
        delivering(f"AWSLogs/{HERE}/*"),
        delivering(f"flow/AWSLogs/{THERE}/*"),
        delivering(acl="private"),
        delivering(condition={"StringEquals": {"aws:SourceAccount": [THERE]}}),
        delivering(
            condition={
                "StringEquals": {"aws:SourceAccount": [HERE]},
                "ArnLike": {"aws:SourceArn": [f"arn:aws:logs:eu-west-1:{HERE}:*"]},
            }
        ),
        [*delivering(), {**TLS_ONLY, "Action": "s3:PutObject", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}],
    ],
    ids=[
        "no policy",
        "no GetBucketAcl",
        "no PutObject",
        "another folder",
        "the folder of another account",
        "another ACL",
        "another account",
        "another Region",
        "a denial",
    ],
)
def test_fails_when_the_policy_does_not_let_logs_be_delivered(
    enforcing: Enforcing, landing: Any, statements: list[dict[str, Any]]
) -> None:
    if statements:
        landing.put_bucket_policy(Bucket=BUCKET, Policy=policy(*statements))
    assert create(worker(enforcing)) == DENIED


@pytest.mark.parametrize("missing", ["s3:GetBucketPolicy", "s3:PutBucketPolicy"])
def test_fails_when_the_creator_may_not_read_and_put_the_policy(
    enforcing: Enforcing, landing: Any, missing: str
) -> None:
    [other] = {"s3:GetBucketPolicy", "s3:PutBucketPolicy"} - {missing}
    assert create(worker(enforcing, other)) == DENIED
    assert refused_policy(landing)


def refused_policy(s3: Any) -> bool:
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=BUCKET)
    return True


def test_when_the_creator_may_put_the_policy_then_aws_appends_its_statements(
    enforcing: Enforcing, landing: Any
) -> None:
    other = {**delivering("x")[0], "Sid": "AWSLogDeliveryWrite"}
    landing.put_bucket_policy(Bucket=BUCKET, Policy=policy(TLS_ONLY, other))
    enforcing.account.recorder.clear()
    assert create(worker(enforcing, "s3:GetBucketPolicy", "s3:PutBucketPolicy")) == ""
    found = json.loads(landing.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert [one.get("Sid") for one in found] == [
        "TlsOnly",
        "AWSLogDeliveryWrite",
        "AWSLogDeliveryWrite1",
        "AWSLogDeliveryAclCheck",
    ]
    write, check = ({key: one[key] for key in ("Action", "Resource", "Principal")} for one in found[2:])
    expected = [{key: one[key] for key in ("Action", "Resource", "Principal")} for one in delivering()]
    assert [write, check] == expected
    [put] = enforcing.account.recorder.records(service="s3", action="PutBucketPolicy")
    assert (put.invoked_by, put.principal.rpartition("/")[2]) == ("delivery.logs.amazonaws.com", "worker-0")
    # Another folder gets statements of its own, the same one does not.
    assert create(worker(enforcing, "s3:*"), f"{ARN}/other") == ""
    assert len(json.loads(landing.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]) == 6


def test_fails_when_the_bucket_is_of_another_account_that_does_not_let_it(aws_account: Account) -> None:
    aws_account.enforces_iam = True
    enforcing = Enforcing(aws_account)
    elsewhere = f"arn:aws:iam::{THERE}:role/owner"
    aws_account.enforces_iam = False
    theirs = aws_account.client("s3", role_arn=elsewhere)
    theirs.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    aws_account.enforces_iam = True
    able = worker(enforcing, "s3:*")
    assert create(able) == DENIED
    aws_account.enforces_iam = False
    theirs.put_bucket_policy(Bucket=BUCKET, Policy=policy(*delivering()))
    aws_account.enforces_iam = True
    assert create(able) == ""


def encrypt(s3: Any, **default: str) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", **default}, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})


def test_when_the_bucket_is_encrypted_then_the_policy_of_the_key_must_let_logs_be_delivered(
    enforcing: Enforcing, landing: Any
) -> None:
    landing.put_bucket_policy(Bucket=BUCKET, Policy=policy(*delivering()))
    kms = enforcing.client("kms")
    owner = {"Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
    use = {"Principal": SERVICE, "Action": ["kms:Encrypt", "kms:GenerateDataKey*"], "Resource": "*"}
    key = kms.create_key(Policy=policy(owner))["KeyMetadata"]
    encrypt(landing, KMSMasterKeyID=key["Arn"])
    assert create(worker(enforcing)) == DENIED
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy(owner, {**use, "Condition": FOR_HERE}))
    assert create(worker(enforcing)) == ""
    elsewhere = {"StringEquals": {"aws:SourceAccount": THERE}}
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=policy(owner, {**use, "Condition": elsewhere}))
    assert create_other(worker(enforcing)) == DENIED


def create_other(ec2: Any) -> str:
    """Flow logs of a subnet, where those of the VPC are there."""
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    made = ec2.create_flow_logs(
        ResourceType="Subnet",
        ResourceIds=[subnet],
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination=f"{ARN}/flow",
    )
    return str(made["Unsuccessful"][0]["Error"]["Message"]) if made["Unsuccessful"] else ""


@pytest.mark.parametrize("named", ["id", "AWS's own"])
def test_fails_when_the_bucket_does_not_name_its_key_by_arn(enforcing: Enforcing, landing: Any, named: str) -> None:
    landing.put_bucket_policy(Bucket=BUCKET, Policy=policy(*delivering()))
    key = enforcing.client("kms").create_key()["KeyMetadata"]["KeyId"]
    encrypt(landing, **({"KMSMasterKeyID": key} if named == "id" else {}))
    assert create(worker(enforcing)) == f"LogDestination {BUCKET} is undeliverable"


def test_when_a_stack_makes_flow_logs_then_its_permissions_count(enforcing: Enforcing, landing: Any) -> None:
    [vpc] = [one["VpcId"] for one in enforcing.client("ec2").describe_vpcs()["Vpcs"]]
    properties = {
        "ResourceType": "VPC",
        "ResourceId": vpc,
        "TrafficType": "ALL",
        "LogDestinationType": "s3",
        "LogDestination": f"{ARN}/flow",
        "DestinationOptions": {"FileFormat": "parquet", "HiveCompatiblePartitions": True, "PerHourPartition": False},
    }
    template = json.dumps({"Resources": {"Logs": {"Type": "AWS::EC2::FlowLog", "Properties": properties}}})
    stacks = {
        name: enforcing.worker("cloudformation", {"Action": ["cloudformation:*", "ec2:*", "logs:*", *more]})
        for name, more in (("without", ()), ("with", ("s3:GetBucketPolicy", "s3:PutBucketPolicy")))
    }
    found = enforcing.client("cloudformation")
    stacks["without"].create_stack(StackName="without", TemplateBody=template)
    assert found.describe_stacks(StackName="without")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"
    events = found.describe_stack_events(StackName="without")["StackEvents"]
    assert any(DENIED in one.get("ResourceStatusReason", "") for one in events)
    stacks["with"].create_stack(StackName="with", TemplateBody=template)
    assert found.describe_stacks(StackName="with")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    [made] = enforcing.client("ec2").describe_flow_logs()["FlowLogs"]
    assert made["DestinationOptions"] == properties["DestinationOptions"]
    [write] = [
        one
        for one in json.loads(landing.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
        if one["Action"] == "s3:PutObject"
    ]
    assert write["Resource"] == f"{ARN}/flow/AWSLogs/aws-account-id={HERE}/*"
