"""Server access logs of buckets: what they say of each request, where they lie, and what keeps them out."""

from __future__ import annotations

import re
import time
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.iam.conftest import HERE, THERE, Enforcing, policy

REGION: Final = "eu-central-1"
FIELD: Final = re.compile(r'\[[^]]*\]|"[^"]*"|\S+')


class Logged:
    """A bucket whose requests are logged into another one."""

    def __init__(self, enforcing: Enforcing) -> None:
        self.enforcing, self.s3 = enforcing, enforcing.client("s3")
        for name in ("landing", "logs"):
            self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.let()
        self.log()

    def let(self, account: str = HERE, source: str = "arn:aws:s3:::landing", prefix: str = "landing/") -> None:
        letting = {
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::logs/{prefix}*",
            "Condition": {"ArnLike": {"aws:SourceArn": source}, "StringEquals": {"aws:SourceAccount": account}},
        }
        self.s3.put_bucket_policy(Bucket="logs", Policy=policy(letting))

    def log(self, **given: Any) -> None:
        enabled = {"TargetBucket": "logs", "TargetPrefix": "landing/", **given}
        self.s3.put_bucket_logging(Bucket="landing", BucketLoggingStatus={"LoggingEnabled": enabled})
        self.forget()

    def forget(self) -> None:
        for key in self.stored():
            self.s3.delete_object(Bucket="logs", Key=key)

    def stored(self) -> list[str]:
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket="logs").get("Contents", ())]

    def lines(self) -> list[list[str]]:
        """Return the fields of each log."""
        bodies = [self.s3.get_object(Bucket="logs", Key=key)["Body"].read().decode() for key in self.stored()]
        assert all(body.endswith("\n") and body.count("\n") == 1 for body in bodies)
        return [FIELD.findall(body) for body in bodies]


@pytest.fixture
def logged(enforcing: Enforcing) -> Logged:
    return Logged(enforcing)


def test_when_a_role_puts_an_object_then_a_log_says_who_what_and_how_it_ended(logged: Logged) -> None:
    writer = logged.enforcing.worker("s3", {"Action": "s3:PutObject"})
    answer = writer.put_object(Bucket="landing", Key='flow/a "b".gz', Body=b"x")
    [fields] = logged.lines()
    assert len(fields) == 26
    owner, bucket, moment, address, requester, request, operation, key, target, status, error, *_ = fields
    assert (owner, bucket, address, operation) == (HERE, "landing", "127.0.0.1", "REST.PUT.OBJECT")
    assert time.strptime(moment, "[%d/%b/%Y:%H:%M:%S +0000]")
    assert requester.startswith(f"arn:aws:sts::{HERE}:assumed-role/worker-0/")
    assert request == answer["ResponseMetadata"]["RequestId"]
    assert (key, target) == ("flow/a%20%22b%22.gz", '"PUT /landing/flow/a%20%22b%22.gz HTTP/1.1"')
    assert (status, error, fields[19], fields[21]) == ("200", "-", "SigV4", "AuthHeader")


def test_when_a_request_is_refused_then_it_is_logged_too(logged: Logged) -> None:
    reader = logged.enforcing.worker("s3", {"Action": "sqs:*"})
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.list_objects_v2(Bucket="landing", Prefix="unmatched/")
    [fields] = logged.lines()
    assert fields[6:11] == [
        "REST.GET.BUCKET",
        "-",
        '"GET /landing?list-type=2&prefix=unmatched%2F&encoding-type=url HTTP/1.1"',
        "403",
        "AccessDenied",
    ]


def test_when_a_client_names_itself_then_it_cannot_end_the_field(logged: Logged) -> None:
    # As it leaves: whatever botocore writes there before.
    logged.s3.meta.events.register_last("before-send.s3.HeadBucket", _rename)
    try:
        logged.s3.head_bucket(Bucket="landing")
    finally:
        logged.s3.meta.events.unregister("before-send.s3.HeadBucket", _rename)
    [fields] = logged.lines()
    assert fields[16] == '"a\\x22 b\\x5c"'


def _rename(request: Any, **_: Any) -> None:
    request.headers["User-Agent"] = 'a" b\\'


@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        (None, r"landing/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}"),
        ({"SimplePrefix": {}}, r"landing/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{16}"),
        (
            {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}},
            rf"landing/{HERE}/{REGION}/landing/\d{{4}}/\d\d/\d\d/\d{{4}}-\d\d-\d\d-00-00-00-[0-9A-F]{{16}}",
        ),
        (
            {"PartitionedPrefix": {"PartitionDateSource": "DeliveryTime"}},
            rf"landing/{HERE}/{REGION}/landing/\d{{4}}/\d\d/\d\d/\d{{4}}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9A-F]{{16}}",
        ),
    ],
)
def test_when_keys_are_to_have_folders_then_they_have_them(logged: Logged, given: Any, pattern: str) -> None:
    logged.log(**({"TargetObjectKeyFormat": given} if given else {}))
    logged.s3.head_bucket(Bucket="landing")
    [key] = logged.stored()
    assert re.fullmatch(pattern, key)


@pytest.mark.parametrize(
    "other",
    [{"account": THERE}, {"source": "arn:aws:s3:::other"}, {"prefix": "other/"}],
    ids=["account", "source", "prefix"],
)
def test_fails_when_the_policy_is_for_other_logs(logged: Logged, other: dict[str, str]) -> None:
    logged.let(**other)
    logged.s3.put_object(Bucket="landing", Key="one", Body=b"")
    assert logged.stored() == []
    logged.let()
    logged.s3.put_object(Bucket="landing", Key="one", Body=b"")
    assert len(logged.stored()) == 1


def test_fails_when_the_logs_would_be_encrypted_with_a_key_of_kms(logged: Logged) -> None:
    key = logged.enforcing.client("kms").create_key()["KeyMetadata"]["Arn"]
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules = [{"ApplyServerSideEncryptionByDefault": default}]
    logged.s3.put_bucket_encryption(Bucket="logs", ServerSideEncryptionConfiguration={"Rules": rules})
    logged.s3.put_object(Bucket="landing", Key="one", Body=b"")
    assert logged.stored() == []


def test_when_the_acl_of_the_logs_lets_them_in_then_no_policy_has_to(logged: Logged) -> None:
    logged.s3.delete_bucket_policy(Bucket="logs")
    rule = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    logged.s3.put_bucket_ownership_controls(Bucket="logs", OwnershipControls=rule)
    group = 'uri="http://acs.amazonaws.com/groups/s3/LogDelivery"'
    logged.s3.put_bucket_acl(Bucket="logs", GrantWrite=group, GrantReadACP=group)
    logged.s3.put_object(Bucket="landing", Key="one", Body=b"")
    assert len(logged.stored()) == 1


def test_when_iam_is_not_enforced_then_logs_need_no_policy(logged: Logged) -> None:
    logged.s3.delete_bucket_policy(Bucket="logs")
    logged.enforcing.account.enforces_iam = False
    logged.s3.put_object(Bucket="landing", Key="one", Body=b"")
    [fields] = logged.lines()
    assert fields[7] == "one"
