"""Statements of the policy of a landing's bucket that grow with the settings, and how many of them one policy takes.

Sources: Amazon VPC User Guide, "Amazon S3 bucket permissions for flow logs"; Amazon S3 User Guide, "Bucket policies for
Amazon S3" (a policy has at most 20 KB).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.regions import partition_of
from tapstack.domain.telemetry import FLOW, feed_prefix

POLICY_BYTES: Final = 20_480
_TLS_BYTES: Final = 200
"""The statement that refuses plain HTTP has more; the smallest that it can be."""
_GUARDDUTY_BYTES: Final = 600
"""Likewise, the two statements of GuardDuty."""
_SHORTEST_REGION: Final = "eu-west-1"


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


def check_policy_size(
    bucket: str,
    accounts: Sequence[str],
    feeds: Mapping[str, Sequence[str]],
    *,
    region: str = _SHORTEST_REGION,
    guardduty: bool = False,
) -> None:
    """Refuse what no policy of a bucket can hold.

    Args:
        bucket: its name.
        accounts: whose flow logs are delivered.
        feeds: the principals of each.
        region: of the site; where it is not known, one with a short name.
        guardduty: whether GuardDuty exports into it.

    Raises:
        RuleViolation: the policy would have more than 20,480 bytes.
    """
    found = partition_of(region)
    partition = found.name if found is not None else "aws"
    arn = f"arn:{partition}:s3:::{bucket}"
    flow = flow_log_statements(arn, partition, region, accounts) if accounts else []
    size = _TLS_BYTES + (_GUARDDUTY_BYTES if guardduty else 0) + _length([*flow, *feed_statements(arn, feeds)])
    if size <= POLICY_BYTES:
        return
    said = (
        f"the policy of the bucket {bucket} would have {size:,} bytes for {len(accounts)} accounts with flow logs and "
        f"{sum(map(len, feeds.values()))} principals of feeds, and Amazon S3 takes at most {POLICY_BYTES:,}: expected "
    )
    each = _length(flow) // len(accounts) if accounts else 0
    fewer = math.ceil((size - POLICY_BYTES) / each) if each else 0
    if 0 < fewer < len(accounts):
        raise RuleViolation(f"{said}{fewer} accounts fewer in flow_log_accounts, or fewer principals of feeds")
    raise RuleViolation(f"{said}fewer principals of feeds, such as one role for several producers")


def _length(statements: Sequence[Mapping[str, Any]]) -> int:
    return len(json.dumps(statements, separators=(",", ":")))
