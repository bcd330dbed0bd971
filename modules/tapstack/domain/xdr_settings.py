"""The settings of a site's telemetry for an XDR, each with its default and its range.

The deployment file validates into them, the constructs take them.

Sources: Amazon S3 User Guide, "Managing the lifecycle of objects", "Enabling Amazon S3 server access logging".
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from tapstack.domain.arguments import check_fields, check_range
from tapstack.domain.buckets import check_bucket_name
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.tokens import is_token

KEEP_DAYS: Final = (1, 3653)
FLOW_LOG_ACCOUNTS: Final = 100


@dataclass(frozen=True, slots=True)
class LandingSettings:
    """The bucket that telemetry lands in.

    Attributes:
        bucket: Name of an existing bucket in the site's Region; by default one is made. Its policy, lifecycle and
            notifications stay with its owner.
        bucket_key_arn: ARN of the KMS key that encrypts the existing bucket, where it has one of its own.
        keep_days: How many days telemetry is kept, 1 to 3653.
        unmatched_days: How many days alerts are kept that no mapping took, 1 to `keep_days`.
        access_log_bucket: Name of an existing bucket in the site's Region that gets the access logs of the new one,
            and lets Amazon S3 put them; by default one is made.
        flow_log_accounts: Other accounts, at most 100, whose flow logs of the Region are delivered into the new bucket.
        deletion_protection: Refuse to delete the new buckets while they hold objects; deploy `false` before a destroy,
            which then deletes all telemetry.

    Raises:
        RuleViolation: a value out of its range or form, or one that has no effect on an existing bucket.
    """

    bucket: str | None = None
    bucket_key_arn: str | None = None
    keep_days: int = 400
    unmatched_days: int = 90
    access_log_bucket: str | None = None
    flow_log_accounts: tuple[str, ...] = ()
    deletion_protection: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)
        for bucket in (self.bucket, self.access_log_bucket):
            if bucket is not None:
                check_bucket_name(bucket)
        check_range("keep_days", self.keep_days, KEEP_DAYS)
        check_range("unmatched_days", self.unmatched_days, KEEP_DAYS)
        if self.bucket is None:
            self._check_new()
        else:
            self._check_existing()
        if len(self.flow_log_accounts) > FLOW_LOG_ACCOUNTS:
            raise RuleViolation(
                f"flow_log_accounts has {len(self.flow_log_accounts)} accounts: expected at most {FLOW_LOG_ACCOUNTS}"
            )
        for account in self.flow_log_accounts:
            check_identifier("account", account)

    def _check_new(self) -> None:
        if self.bucket_key_arn is not None:
            raise RuleViolation("bucket_key_arn goes with bucket: a new bucket has a key of its own")
        if self.unmatched_days > self.keep_days:
            raise RuleViolation(
                f"unmatched_days must be at most keep_days, {self.keep_days}, got {self.unmatched_days}: what is older "
                "is deleted with the rest"
            )

    def _check_existing(self) -> None:
        given = [
            each.name
            for each in fields(self)
            if each.name not in ("bucket", "bucket_key_arn") and getattr(self, each.name) != each.default
        ]
        if given:
            raise RuleViolation(f"{', '.join(given)} has no effect with bucket: leave it out")
        if self.bucket_key_arn is not None:
            check_identifier("kms key", self.bucket_key_arn)
            if not is_token(self.bucket_key_arn) and ":alias/" in self.bucket_key_arn:
                raise RuleViolation(
                    f"bucket_key_arn {self.bucket_key_arn!r} is that of an alias, which IAM policies do not take for "
                    "its key: expected arn:...:key/..."
                )
