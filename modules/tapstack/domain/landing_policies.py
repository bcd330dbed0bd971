"""Statements of the policy of a landing's bucket, and how many of them one policy takes.

Sources: Amazon VPC User Guide, "Amazon S3 bucket permissions for flow logs"; Amazon S3 User Guide, "Bucket policies for
Amazon S3" (a policy has at most 20 KB); Amazon GuardDuty User Guide, "Exporting findings" (with
its principal in "a manually enabled Region").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tapstack.domain.counts import counted
from tapstack.domain.errors import RuleViolation
from tapstack.domain.iam_documents import secure_transport, size_of
from tapstack.domain.regions import is_opt_in, partition_of
from tapstack.domain.telemetry import FLOW, GUARDDUTY, feed_prefix

POLICY_BYTES: Final = 20_480
_ACCOUNT: Final = "111122223333"
"""The id of an account has as many digits as any other."""
_SHORTEST_REGION: Final = "eu-west-1"
GUARDDUTY_SERVICE: Final = "guardduty.amazonaws.com"
"""The principal of GuardDuty in each Region that is no opt-in Region."""


def flow_log_conditions(partition: str, region: str, accounts: Sequence[str]) -> dict[str, Any]:
    """Return the condition that AWS delivers flow logs of these accounts."""
    arns = [f"arn:{partition}:logs:{region}:{each}:*" for each in accounts]
    return {"StringEquals": {"aws:SourceAccount": list(accounts)}, "ArnLike": {"aws:SourceArn": arns}}


def flow_log_statements(bucket_arn: str, partition: str, region: str, accounts: Sequence[str]) -> list[dict[str, Any]]:
    """Return what lets AWS deliver the flow logs of accounts, as AWS's page has it."""
    service = {"Service": "delivery.logs.amazonaws.com"}
    condition = flow_log_conditions(partition, region, accounts)
    owner = {**condition["StringEquals"], "s3:x-amz-acl": "bucket-owner-full-control"}
    return [
        {
            "Sid": "AWSLogDeliveryWrite",
            "Effect": "Allow",
            "Principal": service,
            "Action": "s3:PutObject",
            "Resource": [f"{bucket_arn}/{FLOW}AWSLogs/{each}/*" for each in accounts],
            "Condition": {"StringEquals": owner, "ArnLike": condition["ArnLike"]},
        },
        {
            "Sid": "AWSLogDeliveryAclCheck",
            "Effect": "Allow",
            "Principal": service,
            "Action": ["s3:GetBucketAcl", "s3:ListBucket"],
            "Resource": bucket_arn,
            "Condition": condition,
        },
    ]


def feed_sid(number: int) -> str:
    """Return the Sid of what lets the producer of this number put: names differ in hyphens too, which no Sid takes."""
    return f"AllowFeed{number}"


def feed_statements(bucket_arn: str, feeds: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return what lets each producer put objects below its prefix, and nothing else.

    Policies of the bucket's account could allow its roles and users more: putting elsewhere, such as an event that no
    incident has, reading and deleting are denied. A reader reads with its own role, also where a producer assumes it.

    Args:
        bucket_arn: of the bucket.
        feeds: the principals of each producer.
    """
    own: dict[str, list[str]] = {}
    for producer, principals in feeds.items():
        for principal in dict.fromkeys(principals):
            own.setdefault(principal, []).append(f"{bucket_arn}/{feed_prefix(producer)}*")
    if not own:
        return []
    alike: dict[tuple[str, ...], list[str]] = {}
    for principal, objects in own.items():
        alike.setdefault(tuple(objects), []).append(principal)
    return [
        *(
            {
                "Sid": feed_sid(number),
                "Effect": "Allow",
                "Principal": {"AWS": list(principals)},
                "Action": "s3:PutObject",
                "Resource": f"{bucket_arn}/{feed_prefix(producer)}*",
            }
            for number, (producer, principals) in enumerate(feeds.items(), 1)
        ),
        {
            "Sid": "DenyFeedsReading",
            "Effect": "Deny",
            "Principal": {"AWS": list(own)},
            "Action": ["s3:DeleteObject*", "s3:GetObject*", "s3:ListBucket", "s3:ListBucketVersions"],
            "Resource": [bucket_arn, f"{bucket_arn}/*"],
        },
        *(
            {
                "Sid": f"DenyFeedPutElsewhere{number}",
                "Effect": "Deny",
                "Principal": {"AWS": principals},
                "Action": "s3:PutObject*",
                "NotResource": list(objects),
            }
            for number, (objects, principals) in enumerate(alike.items(), 1)
        ),
    ]


def guardduty_service(region: str) -> str:
    """Return the principal of GuardDuty in an opt-in Region."""
    return f"guardduty.{region}.amazonaws.com"


def guardduty_statements(bucket_arn: str, account: str, detector_arn: str, service: str) -> list[dict[str, Any]]:
    """Return what lets GuardDuty export the findings of a detector of the bucket's account.

    Args:
        bucket_arn: of the bucket.
        account: of bucket and detector.
        detector_arn: of the detector.
        service: the principal of GuardDuty in the detector's Region.
    """
    return [
        guardduty_statement(sid, action, resource, account, detector_arn, service)
        for sid, action, resource in (
            ("AllowGuardDutyLocation", "s3:GetBucketLocation", bucket_arn),
            ("AllowGuardDutyPut", "s3:PutObject", f"{bucket_arn}/{GUARDDUTY}*"),
        )
    ]


def guardduty_statement(
    sid: str, action: str, resource: str, account: str, detector_arn: str, service: str
) -> dict[str, Any]:
    """Return a statement that lets GuardDuty do something for a detector, in the policy of a bucket or a key."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": resource,
        "Condition": {"StringEquals": {"aws:SourceAccount": account, "aws:SourceArn": detector_arn}},
    }


def tls_statement(bucket_arn: str) -> dict[str, Any]:
    """Return what refuses plain HTTP to a bucket and its objects."""
    return secure_transport([bucket_arn, f"{bucket_arn}/*"], "s3:*")


def check_policy_size(
    bucket: str,
    accounts: Sequence[str],
    feeds: Mapping[str, Sequence[str]],
    *,
    region: str = _SHORTEST_REGION,
    detector_id: str | None = None,
) -> None:
    """Refuse what no policy of a bucket can hold.

    Args:
        bucket: its name.
        accounts: whose flow logs are delivered.
        feeds: the principals of each.
        region: of the site; where it is not known, one with a short name.
        detector_id: of the detector whose findings GuardDuty exports into it; none by default.

    Raises:
        RuleViolation: the policy would have more than 20,480 bytes.
    """
    found = partition_of(region)
    partition = found.name if found is not None else "aws"
    arn = f"arn:{partition}:s3:::{bucket}"
    others = [tls_statement(arn), *feed_statements(arn, feeds)]
    if detector_id is not None:
        detector = f"arn:{partition}:guardduty:{region}:{_ACCOUNT}:detector/{detector_id}"
        service = guardduty_service(region) if is_opt_in(region) else GUARDDUTY_SERVICE
        others += guardduty_statements(arn, _ACCOUNT, detector, service)

    def size(named: Sequence[str]) -> int:
        flow = flow_log_statements(arn, partition, region, named) if named else []
        return size_of([*flow, *others])

    if size(accounts) <= POLICY_BYTES:
        return
    said = (
        f"the policy of the bucket {bucket} would have {size(accounts):,} bytes for {len(accounts)} accounts with flow "
        f"logs and {sum(map(len, feeds.values()))} principals of feeds, and Amazon S3 takes at most "
        f"{POLICY_BYTES:,}: expected "
    )
    enough = (fewer for fewer in range(1, len(accounts)) if size(accounts[fewer:]) <= POLICY_BYTES)
    if (fewer := next(enough, None)) is not None:
        raise RuleViolation(
            f"{said}{counted(fewer, 'account')} fewer in flow_log_accounts, or fewer principals of feeds"
        )
    raise RuleViolation(f"{said}fewer principals of feeds, such as one role for several producers")
