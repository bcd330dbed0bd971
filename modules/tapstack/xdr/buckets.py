"""S3 buckets as all of this package are: private, of one owner, versioned, reached by TLS only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, aws, json_text, rendered
from tapstack.capture.place import Place
from tapstack.capture.scaffold import suppress_checkov
from tapstack.domain.iam_documents import Statement, document
from tapstack.domain.landing_policies import tls_statement
from tapstack.response.key import ResponseKey

NONCURRENT_DAYS: Final = 30
"""How long an object is kept that was overwritten or deleted."""
_UPLOAD_DAYS: Final = 7
_COPY: Final = "What lands here is a copy of what its source keeps; whoever needs it in another Region reads it there."
_KEYS: Final = "Amazon S3 does not deliver access logs into a bucket whose default encryption is with a KMS key."
_QUIET: Final = "Nothing is notified of access logs."


class Bucket(AwsConstruct):
    """A private bucket: ACLs are off, public access is blocked, versions are kept for 30 days, plain HTTP is refused.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of the bucket.
        place: where it is deployed to.
        key: encrypts what is put; Amazon S3's own key by default.
        keep_days: how many days objects are kept, by the prefix of their keys; others are kept for ever.
        force_destroy: whether a destroy deletes the objects.
        tags: on the bucket.

    See "Blocking public access", "Controlling ownership of objects" and "Managing the lifecycle of objects" in the
    Amazon S3 User Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        place: Place,
        keep_days: Mapping[str, int],
        key: ResponseKey | None = None,
        force_destroy: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the bucket and all that configures it, except its access logs."""
        super().__init__(scope, id_)
        self._arn = f"arn:{place.partition}:s3:::{name}"
        self.resource: Any = aws.S3Bucket(
            self,
            "Resource",
            bucket=name,
            force_destroy=force_destroy,
            tags=dict(tags) if tags else None,
            # A destroy that cannot delete the bucket, because it holds objects, leaves the key that they need.
            depends_on=[key.resource] if key is not None else None,
        )
        self._name = str(self.resource.bucket)
        aws.S3BucketOwnershipControls(
            self,
            "Ownership",
            bucket=self._name,
            rule=aws.S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
        )
        blocked = dict.fromkeys(
            ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"), True
        )
        public = aws.S3BucketPublicAccessBlock(self, "PublicAccess", bucket=self._name, **blocked)
        versioning = aws.S3BucketVersioningA(
            self,
            "Versioning",
            bucket=self._name,
            versioning_configuration=aws.S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        self._add_encryption(key)
        self._add_lifecycle(keep_days, versioning)
        self._statements = {"DenyInsecureTransport": tls_statement(self._arn)}
        # S3 refuses changes of two of these at the same time.
        self.policy: Any = aws.S3BucketPolicy(
            self, "Policy", bucket=self._name, policy=self._document(), depends_on=[public]
        )

    @property
    def name(self) -> str:
        """Its name, as a token."""
        return self._name

    @property
    def arn(self) -> str:
        """Its ARN; a text that refers to no resource, so that policies that the bucket needs can name it."""
        return self._arn

    def allow(self, *statements: Statement) -> None:
        """Add statements to its policy, in place of those of the same Sid: a bucket has one policy."""
        self._statements |= {each["Sid"]: each for each in statements}
        self.policy.policy = rendered(self._document())

    def log_access_to(self, bucket: str, needed: Sequence[Any] = ()) -> None:
        """Have its access logs delivered into another bucket, once what is needed is there."""
        aws.S3BucketLoggingA(
            self, "AccessLogs", bucket=self._name, target_bucket=bucket, target_prefix="", depends_on=list(needed)
        )

    def _document(self) -> str:
        return json_text(document(list(self._statements.values())))

    def _add_encryption(self, key: ResponseKey | None) -> None:
        by_default = aws.S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
            sse_algorithm="aws:kms" if key else "AES256", kms_master_key_id=key.arn if key else None
        )
        aws.S3BucketServerSideEncryptionConfigurationA(
            self,
            "Encryption",
            bucket=self._name,
            rule=[
                aws.S3BucketServerSideEncryptionConfigurationRuleA(
                    apply_server_side_encryption_by_default=by_default, bucket_key_enabled=True if key else None
                )
            ],
        )

    def _add_lifecycle(self, keep_days: Mapping[str, int], versioning: Any) -> None:
        rules = [_clean(), *(_expire(prefix, days) for prefix, days in keep_days.items())]
        # What is about versions needs them first.
        aws.S3BucketLifecycleConfiguration(self, "Lifecycle", bucket=self._name, rule=rules, depends_on=[versioning])


def access_log_bucket(
    scope: Construct,
    id_: str,
    *,
    name: str,
    place: Place,
    source_arn: str,
    keep_days: int,
    force_destroy: bool,
    tags: Mapping[str, str] | None,
) -> Bucket:
    """Return a new bucket that Amazon S3 may deliver the access logs of another one into.

    See "Enabling Amazon S3 server access logging" in the Amazon S3 User Guide.
    """
    bucket = Bucket(
        scope, id_, name=name, place=place, keep_days={"": keep_days}, force_destroy=force_destroy, tags=tags
    )
    bucket.allow(
        {
            "Sid": "AllowAccessLogs",
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"{bucket.arn}/*",
            "Condition": {
                "ArnLike": {"aws:SourceArn": source_arn},
                "StringEquals": {"aws:SourceAccount": place.account},
            },
        }
    )
    reasons = {"CKV_AWS_144": _COPY, "CKV_AWS_145": _KEYS, "CKV2_AWS_62": _QUIET}
    suppress_checkov(bucket.resource, reasons)
    return bucket


def suppress_of_landing(bucket: Bucket, *, notifies: bool) -> None:
    """Say why the bucket of a landing is as it is, where checkov asks."""
    reasons = {"CKV_AWS_144": _COPY}
    if not notifies:
        reasons["CKV2_AWS_62"] = "No reader of this landing has a queue: each lists the bucket, or asks S3 itself."
    suppress_checkov(bucket.resource, reasons)


def _expire(prefix: str, days: int) -> Any:
    return aws.S3BucketLifecycleConfigurationRule(
        id=prefix.strip("/").replace("/", "-") or "all",
        status="Enabled",
        filter=[aws.S3BucketLifecycleConfigurationRuleFilter(prefix=prefix)],
        expiration=[aws.S3BucketLifecycleConfigurationRuleExpiration(days=days)],
    )


def _clean() -> Any:
    """Return the rule that deletes what was replaced or deleted, and uploads that were not completed."""
    return aws.S3BucketLifecycleConfigurationRule(
        id="versions",
        status="Enabled",
        filter=[aws.S3BucketLifecycleConfigurationRuleFilter(prefix="")],
        noncurrent_version_expiration=[
            aws.S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=NONCURRENT_DAYS)
        ],
        abort_incomplete_multipart_upload=[
            aws.S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(days_after_initiation=_UPLOAD_DAYS)
        ],
    )
