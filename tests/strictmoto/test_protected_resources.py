"""What other services keep: load balancers, keys, locked objects, and versions of functions."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused


@pytest.fixture
def network(aws_account: Account) -> tuple[str, str]:
    """A VPC and a subnet."""
    ec2 = aws_account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return vpc, ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]


def balancer(aws_account: Account, subnet: str, name: str = "capture", kind: str = "network") -> str:
    made = aws_account.client("elbv2").create_load_balancer(Name=name, Type=kind, Subnets=[subnet])
    return str(made["LoadBalancers"][0]["LoadBalancerArn"])


def test_fails_when_a_protected_load_balancer_is_deleted(aws_account: Account, network: tuple[str, str]) -> None:
    elbv2, arn = aws_account.client("elbv2"), balancer(aws_account, network[1])
    for value in ("true", "false"):
        attribute = {"Key": "deletion_protection.enabled", "Value": value}
        elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[attribute])
        if value == "true":
            with refused("OperationNotPermitted", "deletion protection is enabled"):
                elbv2.delete_load_balancer(LoadBalancerArn=arn)
            assert elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
    elbv2.delete_load_balancer(LoadBalancerArn=arn)
    # One that is gone is deleted again.
    elbv2.delete_load_balancer(LoadBalancerArn=arn)


def test_fails_when_a_load_balancer_of_an_endpoint_service_is_deleted(
    aws_account: Account, network: tuple[str, str]
) -> None:
    ec2, elbv2 = aws_account.client("ec2"), aws_account.client("elbv2")
    arn = balancer(aws_account, network[1])
    made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[arn])["ServiceConfiguration"]
    with refused("ResourceInUse", "associated with another service"):
        elbv2.delete_load_balancer(LoadBalancerArn=arn)
    ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[made["ServiceId"]])
    elbv2.delete_load_balancer(LoadBalancerArn=arn)


def test_fails_when_a_name_or_a_port_of_a_load_balancer_is_taken(
    aws_account: Account, network: tuple[str, str]
) -> None:
    elbv2, arn = aws_account.client("elbv2"), balancer(aws_account, network[1])
    with refused("DuplicateLoadBalancerName"):
        balancer(aws_account, network[1], kind="gateway")
    for name in ("internal-a", "-a", "a-", "a_b", "a" * 33):
        with refused("ValidationError", name):
            balancer(aws_account, network[1], name)
    group = elbv2.create_target_group(Name="sensors", Protocol="UDP", Port=4789, VpcId=network[0])["TargetGroups"][0]
    listener = {
        "LoadBalancerArn": arn,
        "Protocol": "UDP",
        "Port": 4789,
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    }
    elbv2.create_listener(**listener)
    with refused("DuplicateListener"):
        elbv2.create_listener(**listener)
    elbv2.create_listener(**listener | {"Port": 4790})


def test_fails_when_a_key_is_disabled_or_to_be_deleted(aws_account: Account) -> None:
    kms = aws_account.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/store", TargetKeyId=key)
    secret = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    uses: list[Any] = [
        lambda: kms.encrypt(KeyId="alias/store", Plaintext=b"x"),
        lambda: kms.decrypt(CiphertextBlob=secret),
        lambda: kms.generate_data_key(KeyId=key, KeySpec="AES_256"),
        lambda: kms.re_encrypt(CiphertextBlob=secret, DestinationKeyId=key),
        lambda: kms.enable_key_rotation(KeyId=key),
    ]
    with refused("KMSInvalidStateException", "is not pending deletion"):
        kms.cancel_key_deletion(KeyId=key)
    kms.disable_key(KeyId=key)
    for use in uses:
        with refused("DisabledException", f"key/{key} is disabled."):
            use()
    kms.enable_key(KeyId=key)
    for use in uses:
        use()
    with refused("ValidationException", "between 7 and 30"):
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=6)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    for use in (*uses, lambda: kms.enable_key(KeyId=key), lambda: kms.schedule_key_deletion(KeyId=key)):
        with refused("KMSInvalidStateException", f"key/{key} is pending deletion."):
            use()
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"


@pytest.fixture
def bucket(aws_account: Account) -> Any:
    s3 = aws_account.client("s3")
    where = {"LocationConstraint": "eu-central-1"}
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
    return s3


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_fails_when_a_lock_of_an_object_is_to_be_weaker(bucket: Any, mode: str) -> None:
    year = datetime.now().year
    put = bucket.put_object(
        Bucket="evidence", Key="a", Body=b"x", ObjectLockMode=mode, ObjectLockRetainUntilDate=datetime(year + 3, 1, 1)
    )
    place = {"Bucket": "evidence", "Key": "a", "VersionId": put["VersionId"]}
    shorter = {"Mode": mode, "RetainUntilDate": datetime(year + 2, 1, 1)}
    with refused("AccessDenied"):
        bucket.put_object_retention(**place, Retention=shorter)
    bucket.put_object_retention(**place, Retention={"Mode": mode, "RetainUntilDate": datetime(year + 4, 1, 1)})
    if mode == "GOVERNANCE":
        bucket.put_object_retention(**place, Retention=shorter, BypassGovernanceRetention=True)
        return
    for retention in (shorter, {"Mode": "GOVERNANCE", "RetainUntilDate": datetime(year + 5, 1, 1)}):
        with refused("AccessDenied"):
            bucket.put_object_retention(**place, Retention=retention, BypassGovernanceRetention=True)
    with refused("AccessDenied"):
        bucket.delete_object(**place, BypassGovernanceRetention=True)


def test_fails_when_versions_of_a_bucket_with_locks_are_to_end(bucket: Any) -> None:
    with refused("InvalidBucketState"):
        bucket.put_bucket_versioning(Bucket="evidence", VersioningConfiguration={"Status": "Suspended"})


def test_fails_when_an_upload_that_is_not_there_is_completed(bucket: Any) -> None:
    parts = {"Parts": [{"ETag": "x", "PartNumber": 1}]}
    with refused("NoSuchUpload"):
        bucket.complete_multipart_upload(Bucket="evidence", Key="a", UploadId="none", MultipartUpload=parts)


@pytest.fixture
def functions(aws_account: Account) -> Any:
    """The client of Lambda, and a function `f` with a version that the alias `live` leads to."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = aws_account.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("m.py", "def h(event, context):\n    return event\n")
    client = aws_account.client("lambda")
    client.create_function(
        FunctionName="f",
        Role=role["Arn"],
        Runtime="python3.11",
        Handler="m.h",
        Code={"ZipFile": code.getvalue()},
        Publish=True,
    )
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    return client


def test_fails_when_a_version_of_a_function_is_needed(functions: Any) -> None:
    with refused("InvalidParameterValueException", "$LATEST version cannot be deleted"):
        functions.delete_function(FunctionName="f", Qualifier="$LATEST")
    with refused("ResourceConflictException", "[live]"):
        functions.delete_function(FunctionName="f", Qualifier="1")
    arn = functions.get_function(FunctionName="f")["Configuration"]["FunctionArn"]
    with refused("ResourceConflictException", "[live]"):
        functions.delete_function(FunctionName=f"{arn}:1")
    functions.delete_alias(FunctionName="f", Name="live")
    functions.delete_function(FunctionName="f", Qualifier="1")
    functions.delete_function(FunctionName="f")


def test_fails_when_more_concurrency_is_reserved_than_a_region_has(functions: Any) -> None:
    with refused("InvalidParameterValueException", "minimum value of [100]"):
        functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=901)
    for count in (900, 900):
        functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=count)


def test_fails_when_a_statement_cannot_be_read(aws_account: Account) -> None:
    dynamodb = aws_account.client("dynamodb")
    dynamodb.create_table(
        TableName="captures",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="captures", Item={"k": {"S": "a"}})
    with refused("ValidationException"):
        dynamodb.execute_statement(Statement="SELECT * FROM \"captures\" WHERE begins_with(k, 'a')")


@pytest.mark.parametrize("named", ["alias/none", "arn:aws:kms:eu-central-1:123456789012:alias/none"])
def test_fails_when_a_key_is_named_by_an_alias_that_is_not_there(aws_account: Account, named: str) -> None:
    kms = aws_account.client("kms")
    calls: list[Callable[[], Any]] = [
        lambda: kms.encrypt(KeyId=named, Plaintext=b"x"),
        lambda: kms.describe_key(KeyId=named),
        lambda: kms.enable_key(KeyId=named),
        lambda: kms.list_grants(KeyId=named),
        lambda: kms.generate_data_key(KeyId=named, KeySpec="AES_256"),
    ]
    for call in calls:
        with refused("NotFoundException", "alias/none"):
            call()
