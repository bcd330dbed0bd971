"""Logs, findings and messages of the account, deployed with real Terraform: no plan changes what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from strictmoto.account import ACCOUNT_ID, Account
from strictmoto.testing.snapshot import differences, take_snapshot
from tapstack.domain.provider_versions import PROVIDER_VERSION
from tapstack.rehearsal.deployment import SiteDeployment
from tapstack.workspace.provider_mirror import link_mirror
from tests.terraform.conftest import Terraform

REGION = "eu-central-1"
LOGS_ARN = f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:*"
HERE = {"StringEquals": {"aws:SourceAccount": ACCOUNT_ID}}
DETECTOR = "arn:aws:guardduty:${var.region}:${var.account}:detector/${aws_guardduty_detector.this.id}"
BUCKET = "${aws_s3_bucket.landing.arn}"


def letting(service: str, actions: str | list[str], resource: str, **condition: Any) -> dict[str, Any]:
    condition = {key: {**HERE.get(key, {}), **condition.get(key, {})} for key in {**HERE, **condition}}
    principal = {"Service": f"{service}.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": resource}
    return {**statement, "Condition": condition}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def resources(vpc: str) -> dict[str, Any]:
    """What a landing of telemetry is made of, as its users write it."""
    landing = "${aws_s3_bucket.landing.id}"
    from_logs = {"ArnLike": {"aws:SourceArn": LOGS_ARN}}
    with_acl = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}
    from_detector = {"ArnLike": {"aws:SourceArn": DETECTOR}}
    from_bucket = {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::landing"}}
    delivery, files = "delivery.logs", f"{BUCKET}/flow/AWSLogs/aws-account-id={ACCOUNT_ID}/*"
    owner = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}, "Action": "kms:*"}
    encrypt = ["kms:GenerateDataKey*", "kms:Decrypt", "kms:Encrypt"]
    return {
        "aws_kms_key": {
            "this": {
                "deletion_window_in_days": 7,
                "policy": document(
                    {**owner, "Resource": "*"},
                    letting(delivery, encrypt, "*", **from_logs),
                    letting("guardduty", "kms:GenerateDataKey", "*", **from_detector),
                    letting("s3", encrypt, "*", **from_bucket),
                ),
            }
        },
        "aws_s3_bucket": {
            "landing": {"bucket": "landing", "force_destroy": True},
            "logs": {"bucket": "landing-logs", "force_destroy": True},
        },
        "aws_s3_bucket_server_side_encryption_configuration": {
            "landing": {
                "bucket": landing,
                "rule": {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": "${aws_kms_key.this.arn}",
                    },
                    "bucket_key_enabled": True,
                },
            }
        },
        "aws_s3_bucket_policy": {
            "landing": {
                "bucket": landing,
                "policy": document(
                    letting(delivery, "s3:PutObject", files, **from_logs, **with_acl),
                    letting(delivery, ["s3:GetBucketAcl", "s3:ListBucket"], BUCKET, **from_logs),
                    letting("guardduty", "s3:GetBucketLocation", BUCKET, **from_detector),
                    letting("guardduty", "s3:PutObject", f"{BUCKET}/guardduty/*", **from_detector),
                ),
            },
            "logs": {
                "bucket": "${aws_s3_bucket.logs.id}",
                "policy": document(
                    letting("logging.s3", "s3:PutObject", "${aws_s3_bucket.logs.arn}/*", **from_bucket),
                ),
            },
        },
        "aws_s3_bucket_logging": {
            "landing": {
                "bucket": landing,
                "target_bucket": "${aws_s3_bucket.logs.id}",
                "target_prefix": "landing/",
                "target_object_key_format": {"partitioned_prefix": {"partition_date_source": "EventTime"}},
                "depends_on": ["aws_s3_bucket_policy.logs"],
            }
        },
        "aws_flow_log": {
            "this": {
                "vpc_id": vpc,
                "traffic_type": "ALL",
                "log_destination_type": "s3",
                "log_destination": f"{BUCKET}/flow",
                "log_format": "$${version} $${vpc-id} $${pkt-srcaddr} $${flow-direction}",
                "max_aggregation_interval": 60,
                "destination_options": {
                    "file_format": "parquet",
                    "hive_compatible_partitions": True,
                    "per_hour_partition": True,
                },
                "depends_on": [
                    "aws_s3_bucket_policy.landing",
                    "aws_s3_bucket_server_side_encryption_configuration.landing",
                ],
            }
        },
        "aws_guardduty_detector": {"this": {"enable": True, "finding_publishing_frequency": "FIFTEEN_MINUTES"}},
        "aws_s3_object": {"guardduty": {"bucket": landing, "key": "guardduty/", "content": ""}},
        "aws_guardduty_publishing_destination": {
            "this": {
                "detector_id": "${aws_guardduty_detector.this.id}",
                "destination_arn": f"{BUCKET}/guardduty",
                "kms_key_arn": "${aws_kms_key.this.arn}",
                "depends_on": ["aws_s3_bucket_policy.landing", "aws_s3_object.guardduty"],
            }
        },
        "aws_sqs_queue": {
            "dead": {"name": "landing-dead"},
            "arrived": {
                "name": "landing-arrived",
                "kms_master_key_id": "${aws_kms_key.this.arn}",
                "redrive_policy": '{"deadLetterTargetArn": "${aws_sqs_queue.dead.arn}", "maxReceiveCount": 5}',
            },
        },
        "aws_sqs_queue_policy": {
            "arrived": {
                "queue_url": "${aws_sqs_queue.arrived.id}",
                "policy": document(
                    letting("s3", "sqs:SendMessage", "${aws_sqs_queue.arrived.arn}", **from_bucket),
                ),
            }
        },
        "aws_s3_bucket_notification": {
            "landing": {
                "bucket": landing,
                "eventbridge": True,
                "queue": [
                    {
                        "queue_arn": "${aws_sqs_queue.arrived.arn}",
                        "events": ["s3:ObjectCreated:*"],
                        "filter_prefix": f"{prefix}/",
                        "filter_suffix": ".gz",
                    }
                    for prefix in ("flow", "guardduty")
                ],
                "depends_on": ["aws_sqs_queue_policy.arrived"],
            }
        },
    }


# The provider waits half a minute for each queue; what the account answers to it is held by the tests of its services.
@pytest.mark.long
def test_when_a_landing_is_deployed_then_a_second_plan_is_empty_and_destroy_deletes_all(
    terraform: Terraform, aws_account: Account, tmp_path: Path
) -> None:
    [vpc] = aws_account.client("ec2").describe_vpcs()["Vpcs"]
    before = take_snapshot(aws_account, region=REGION)
    required = {"aws": {"source": "hashicorp/aws", "version": PROVIDER_VERSION}}
    stack = {
        "terraform": {"required_providers": required},
        "provider": {"aws": {"region": REGION}},
        "variable": {"region": {"default": REGION}, "account": {"default": ACCOUNT_ID}},
        "resource": resources(vpc["VpcId"]),
    }
    (tmp_path / "main.tf.json").write_text(json.dumps(stack), encoding="utf-8")
    link_mirror(terraform.mirror, tmp_path)
    landing = SiteDeployment(tmp_path, aws_account, lambda _: None)
    landing.apply()
    assert landing.changes() == {}
    # AWS added nothing to the policy: the flow logs found what they need.
    s3 = aws_account.client("s3")
    statements = json.loads(s3.get_bucket_policy(Bucket="landing")["Policy"])["Statement"]
    assert len(statements) == 4
    # GuardDuty has tried whether it may put.
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="landing")["Contents"]]
    assert keys == ["guardduty/", "guardduty/AWSLogs/"]
    landing.destroy()
    # A key is deleted days later.
    left = [one for one in differences(before, take_snapshot(aws_account, region=REGION)) if "kms" not in one]
    assert left == []
