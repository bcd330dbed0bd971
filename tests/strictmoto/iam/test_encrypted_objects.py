"""Objects that a key of KMS encrypts: who puts, gets or copies one needs the key, by way of S3."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.strictmoto.iam.conftest import HERE, ROOT, THERE, Enforcing, policy, refusal

REGION: Final = "eu-central-1"
S3: Final = {"Action": "s3:*"}
OWNER: Final = {"Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
BY_S3: Final = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}


class Landing:
    """A bucket that a key encrypts by default, with an object."""

    def __init__(self, enforcing: Enforcing, *, bucket_key: bool = True) -> None:
        self.enforcing, self.kms = enforcing, enforcing.client("kms")
        self.s3 = enforcing.client("s3")
        self.key: str = self.kms.create_key(Policy=policy(OWNER))["KeyMetadata"]["Arn"]
        self.s3.create_bucket(Bucket="landing", CreateBucketConfiguration={"LocationConstraint": REGION})
        self.encrypt(KMSMasterKeyID=self.key, bucket_key=bucket_key)
        self.s3.put_object(Bucket="landing", Key="flow/one", Body=b"1")

    def encrypt(self, *, bucket_key: bool = True, **default: str) -> None:
        by_default = {"SSEAlgorithm": "aws:kms", **default}
        rule = {"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": bucket_key}
        self.s3.put_bucket_encryption(Bucket="landing", ServerSideEncryptionConfiguration={"Rules": [rule]})

    def worker(self, *actions: str, **more: Any) -> Any:
        """Return a client of a role that may do anything in S3, and these actions with the key."""
        using = [{"Action": list(actions), "Resource": self.key, **more}] if actions else []
        return self.enforcing.worker("s3", S3, *using)

    def refusal(self, call: Any, action: str, **given: Any) -> None:
        code, message = refusal(call, Bucket="landing", **given)
        assert code == "AccessDenied"
        assert f"is not authorized to perform: {action} on resource: {self.key}" in message


@pytest.fixture
def landing(enforcing: Enforcing) -> Landing:
    return Landing(enforcing)


def test_fails_when_a_reader_may_not_decrypt(landing: Landing) -> None:
    landing.refusal(landing.worker("kms:GenerateDataKey").get_object, "kms:Decrypt", Key="flow/one")
    assert landing.worker("kms:Decrypt").get_object(Bucket="landing", Key="flow/one")["Body"].read() == b"1"
    # What is not the object needs no key.
    assert landing.worker().head_object(Bucket="landing", Key="flow/one")["SSEKMSKeyId"] == landing.key
    assert landing.worker().list_objects_v2(Bucket="landing")["KeyCount"] == 1


def test_fails_when_a_writer_may_not_encrypt(landing: Landing) -> None:
    given = {"Key": "feeds/edr/one", "Body": b"1"}
    landing.refusal(landing.worker("kms:Decrypt").put_object, "kms:GenerateDataKey", **given)
    assert "Contents" not in landing.s3.list_objects_v2(Bucket="landing", Prefix="feeds/")
    landing.worker("kms:GenerateDataKey").put_object(Bucket="landing", **given)
    # S3's own keys need none.
    landing.worker().put_object(Bucket="landing", ServerSideEncryption="AES256", **given)
    assert landing.worker().get_object(Bucket="landing", Key="feeds/edr/one")["Body"].read() == b"1"


def test_when_a_request_names_a_key_then_that_one_is_asked(landing: Landing) -> None:
    other = landing.kms.create_key(Policy=policy(OWNER))["KeyMetadata"]["Arn"]
    able = landing.worker("kms:GenerateDataKey")
    given = {"Key": "two", "Body": b"2", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": other}
    code, message = refusal(able.put_object, Bucket="landing", **given)
    assert (code, other in message) == ("AccessDenied", True)


def test_when_the_bucket_uses_the_key_of_aws_then_nothing_more_is_needed(landing: Landing) -> None:
    landing.encrypt()
    worker = landing.worker()
    worker.put_object(Bucket="landing", Key="two", Body=b"2")
    assert worker.get_object(Bucket="landing", Key="two")["Body"].read() == b"2"


@pytest.mark.parametrize(
    ("condition", "may"),
    [
        (BY_S3, True),
        ({"StringLike": {"kms:ViaService": f"s3.{REGION}.amazonaws.com*"}}, True),
        ({"StringEquals": {"kms:ViaService": f"sqs.{REGION}.amazonaws.com"}}, False),
        ({"StringEquals": {"kms:CallerAccount": THERE}}, False),
        ({"ArnLike": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::landing"}}, True),
        ({"ArnLike": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::landing/flow/*"}}, False),
    ],
)
def test_when_the_key_is_allowed_under_a_condition_then_it_is_that_of_s3(
    landing: Landing, condition: dict[str, Any], may: bool
) -> None:
    reader = landing.worker("kms:Decrypt", Condition=condition)
    if may:
        assert reader.get_object(Bucket="landing", Key="flow/one")["Body"].read() == b"1"
    else:
        landing.refusal(reader.get_object, "kms:Decrypt", Key="flow/one")
    # By itself the role decrypts nothing that S3 has.
    own = landing.enforcing.worker("kms", {"Action": "kms:*", "Resource": landing.key, "Condition": BY_S3})
    assert refusal(own.generate_data_key, KeyId=landing.key, KeySpec="AES_256")[0] == "AccessDeniedException"


def test_when_the_bucket_has_no_key_of_its_own_then_the_context_is_the_object(enforcing: Enforcing) -> None:
    landing = Landing(enforcing, bucket_key=False)
    condition = {"ArnLike": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::landing/flow/*"}}
    reader = landing.worker("kms:Decrypt", Condition=condition)
    assert reader.get_object(Bucket="landing", Key="flow/one")["Body"].read() == b"1"


def test_when_an_object_is_copied_or_uploaded_in_parts_then_each_key_is_asked(landing: Landing) -> None:
    source = {"Key": "copy", "CopySource": {"Bucket": "landing", "Key": "flow/one"}}
    landing.refusal(landing.worker("kms:GenerateDataKey").copy_object, "kms:Decrypt", **source)
    landing.refusal(landing.worker("kms:Decrypt").copy_object, "kms:GenerateDataKey", **source)
    both = landing.worker("kms:GenerateDataKey", "kms:Decrypt")
    both.copy_object(Bucket="landing", **source)
    begun = both.create_multipart_upload(Bucket="landing", Key="parts")["UploadId"]
    part = {"Key": "parts", "UploadId": begun, "PartNumber": 1, "Body": b"1"}
    landing.refusal(landing.worker("kms:Decrypt").create_multipart_upload, "kms:GenerateDataKey", Key="parts")
    landing.refusal(landing.worker("kms:GenerateDataKey").upload_part, "kms:Decrypt", **part)
    both.upload_part(Bucket="landing", **part)


def test_when_the_key_is_of_another_account_then_its_policy_must_name_the_caller(landing: Landing) -> None:
    account = landing.enforcing.account
    account.enforces_iam = False
    theirs = account.client("kms", role_arn=f"arn:aws:iam::{THERE}:role/owner")
    owner = {"Principal": {"AWS": f"arn:aws:iam::{THERE}:root"}, "Action": "kms:*", "Resource": "*"}
    landing.key = theirs.create_key(Policy=policy(owner))["KeyMetadata"]["Arn"]
    account.enforces_iam = True
    landing.encrypt(KMSMasterKeyID=landing.key)
    able = landing.worker("kms:GenerateDataKey")
    landing.refusal(able.put_object, "kms:GenerateDataKey", Key="two", Body=b"2")
    account.enforces_iam = False
    letting = {"Principal": {"AWS": f"arn:aws:iam::{HERE}:root"}, "Action": "kms:GenerateDataKey", "Resource": "*"}
    name = landing.key.rpartition("/")[2]
    theirs.put_key_policy(KeyId=name, PolicyName="default", Policy=policy(owner, letting))
    account.enforces_iam = True
    able.put_object(Bucket="landing", Key="two", Body=b"2")
