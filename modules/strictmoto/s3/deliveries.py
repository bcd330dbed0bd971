"""What services put into buckets by themselves: what the bucket's policy lets them, with a key whose policy lets them.

Sources: Amazon S3 User Guide, "Bucket policies" and "Using server-side encryption with AWS KMS keys (SSE-KMS)"
(kms:GenerateDataKey, the encryption context); the page of each service on the permissions of its deliveries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from strictmoto.iam.access import service_may
from strictmoto.iam.policies import Context
from strictmoto.kms.uses import service_may_use
from strictmoto.running import enforces_iam

_DATA_KEY: Final = ("kms:GenerateDataKey",)
_KMS: Final = "aws:kms"
_ENCRYPTION: Final = "s3:x-amz-server-side-encryption"


class NotDelivered(Exception):  # noqa: N818 - what it is, not that it is an error
    """A bucket or a key does not take what a service delivers; the message says why."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A service that writes into a bucket.

    Attributes:
        service: its principal, for example delivery.logs.amazonaws.com.
        source_arn: of what it writes for.
        bucket: its name.
        acl: canned ACL that it puts objects with; empty for none.
        key_arn: of the key that its requests name; empty where the bucket's default encryption decides.
        by_acl: whether an ACL of the bucket lets it put, so that no policy has to.
    """

    service: str
    source_arn: str
    bucket: str
    acl: str = ""
    key_arn: str = ""
    by_acl: bool = False

    def may(self, action: str) -> bool:
        """Return whether the bucket's policy allows an action on the bucket itself."""
        return not enforces_iam() or service_may(self.service, action, self._arn, self.source_arn)

    def check(self, key: str) -> None:
        """Check that an object could be put.

        Args:
            key: of the object.

        Raises:
            NotDelivered: the bucket is not there, its policy or that of the key does not allow it.
        """
        bucket = bucket_named(self.bucket)
        if bucket is None:
            raise NotDelivered(f"there is no bucket {self.bucket}")
        if not enforces_iam():
            return
        arn = f"{self._arn}/{key}"
        if not self.by_acl and not service_may(self.service, "s3:PutObject", arn, self.source_arn, self._keys):
            raise NotDelivered(f"the policy of the bucket does not let {self.service} put {arn}")
        encrypts, with_key = (True, self.key_arn) if self.key_arn else default_encryption(bucket)
        if not encrypts:
            return
        context = {"kms:EncryptionContext:aws:s3:arn": (self._arn if _has_bucket_key(bucket) else arn,)}
        if not service_may_use(self.service, _DATA_KEY, with_key, _place(bucket), self.source_arn, context):
            named = with_key or "the AWS managed key"
            raise NotDelivered(f"the policy of {named} does not let {self.service} encrypt with it")

    def put(self, key: str, body: bytes) -> None:
        """Put an object; what the bucket notifies of hears of it.

        Args:
            key: of the object.
            body: of the object.

        Raises:
            NotDelivered: the bucket is not there, its policy or that of the key does not allow it.
        """
        from moto.s3.models import s3_backends

        self.check(key)
        partition, account = s3_backends.bucket_accounts[self.bucket]
        s3_backends[account][partition].put_object(
            self.bucket, key, body, encryption=_KMS if self.key_arn else None, kms_key_id=self.key_arn or None
        )

    @property
    def _arn(self) -> str:
        return f"arn:{self.source_arn.split(':')[1]}:s3:::{self.bucket}"

    @property
    def _keys(self) -> Context:
        named = {_ENCRYPTION: (_KMS,), f"{_ENCRYPTION}-aws-kms-key-id": (self.key_arn,)} if self.key_arn else {}
        return {**named, **({"s3:x-amz-acl": (self.acl,)} if self.acl else {})}


def bucket_named(name: str) -> Any:
    """Return moto's bucket of any account; None where there is none."""
    from moto.s3.models import s3_backends

    owner = s3_backends.bucket_accounts.get(name)
    return s3_backends[owner[1]][owner[0]].buckets.get(name) if owner else None


def owner_of(name: str) -> str:
    """Return the account that a bucket belongs to; empty where there is no bucket."""
    from moto.s3.models import s3_backends

    return str((s3_backends.bucket_accounts.get(name) or ("", ""))[1])


def has_object(bucket: Any, key: str) -> bool:
    """Return whether moto's bucket has an object, whose latest version is no delete marker."""
    from moto.s3.models import s3_backends

    return s3_backends[bucket.account_id][bucket.partition].get_object(bucket.name, key) is not None


def default_encryption(bucket: Any) -> tuple[bool, str]:
    """Return whether a bucket encrypts with KMS by default, and the key as it names it: empty for AWS's own."""
    found = ((bucket.encryption or {}).get("Rule") or {}).get("ApplyServerSideEncryptionByDefault") or {}
    return str(found.get("SSEAlgorithm", "")).startswith(_KMS), str(found.get("KMSMasterKeyID") or "")


def _has_bucket_key(bucket: Any) -> bool:
    return str(((bucket.encryption or {}).get("Rule") or {}).get("BucketKeyEnabled", "")).lower() == "true"


def _place(bucket: Any) -> str:
    return f"arn:{bucket.partition}:kms:{bucket.region_name}:{bucket.account_id}:"
