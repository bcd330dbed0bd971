"""Statements of the policy of a landing's bucket that grow with the settings, and how many of them one policy takes.

Sources: Amazon VPC User Guide, "Amazon S3 bucket permissions for flow logs"; Amazon S3 User Guide, "Bucket policies for
Amazon S3" (a policy has at most 20 KB).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
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


def feed_statement(bucket_arn: str, sid: str, producer: str, principals: Iterable[str]) -> dict[str, Any]:
    """Return what lets a producer put objects below its prefix, and nothing else."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": "s3:PutObject",
        "Resource": f"{bucket_arn}/{feed_prefix(producer)}*",
    }


def put_only_statement(bucket_arn: str, principals: Iterable[str]) -> dict[str, Any]:
    """Return what refuses reading and deleting to producers, whatever policies of their own account allow them.

    A reader reads with its own role, also where a producer assumes it.
    """
    return {
        "Sid": "DenyFeedsReading",
        "Effect": "Deny",
        "Principal": {"AWS": list(dict.fromkeys(principals))},
        "Action": ["s3:DeleteObject*", "s3:GetObject*", "s3:ListBucket", "s3:ListBucketVersions"],
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
    }


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
    put = [feed_statement(arn, f"AllowFeed{at}", *one) for at, one in enumerate(feeds.items(), 1)]
    refused = [put_only_statement(arn, (one for each in feeds.values() for one in each))] if feeds else []
    size = _TLS_BYTES + (_GUARDDUTY_BYTES if guardduty else 0) + _length([*flow, *put, *refused])
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
