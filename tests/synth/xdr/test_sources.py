"""What AWS delivers into a landing: flow logs, and findings of GuardDuty."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tapstack import (
    FeedSettings,
    FlowLogSettings,
    GuardDutyExport,
    LandingSettings,
    RuleViolation,
    TelemetryLanding,
    VpcFlowLogs,
)
from tapstack.domain.landing_policies import POLICY_BYTES, check_policy_size
from tapstack.domain.regions import ENABLED_BY_DEFAULT
from tapstack.domain.telemetry import landing_bucket_name
from tests.sampling import sampled
from tests.synth.ids import SUBNET, VPC, eni
from tests.synth.template import assert_equal, new_stack
from tests.synth.xdr.building import ACCOUNT, KEY, PARTITION, REGION, address, bucket_policy, key_policy, landed, short
from tests.unit.refusals import refusal

DETECTOR = "12abc34d567e8fa901bc2d34e56789f0"


def logged(flows: FlowLogSettings, **arguments: Any) -> Any:
    return landed(lambda stack, landing: VpcFlowLogs(stack, "flow", landing=landing, settings=flows), **arguments)


def test_when_flows_are_logged_then_they_are_delivered_below_flow_after_the_policy_allows_it() -> None:
    found = logged(FlowLogSettings(vpc_ids=(VPC,), subnet_ids=(SUBNET,), network_interface_ids=(eni(1),)))

    logs = found.resources["aws_flow_log"]
    common = {
        "traffic_type": "ALL",
        "log_destination_type": "s3",
        "log_destination": "arn:<partition>:s3:::<s3_bucket.bucket>/flow/",
        "max_aggregation_interval": 600,
        # Written out: the provider reads what is left out as "as it is", and never goes back to AWS's default.
        "log_format": (
            "$${version} $${account-id} $${interface-id} $${srcaddr} $${dstaddr} $${srcport} $${dstport} $${protocol} "
            "$${packets} $${bytes} $${start} $${end} $${action} $${log-status}"
        ),
        "destination_options": [{"file_format": "plain-text"}],
        "tags": {"tapstack:deployment": "ir", "tapstack:site": "a"},
        "depends_on": [address(found, "aws_s3_bucket_policy", "landing_Bucket_")],
    }
    assert_equal(
        [{**short(body), "depends_on": body["depends_on"]} for body in logs.values()],
        [{**common, "vpc_id": VPC}, {**common, "subnet_id": SUBNET}, {**common, "eni_id": eni(1)}],
    )


def test_when_flows_are_logged_then_the_statements_are_those_of_aws() -> None:
    found = logged(
        FlowLogSettings(vpc_ids=(VPC,)), settings=LandingSettings(flow_log_accounts=("444455556666", "777788889999"))
    )

    accounts = ["444455556666", "777788889999", "<account>"]
    arns = [f"arn:<partition>:logs:<region>:{account}:*" for account in accounts]
    policy = bucket_policy(found)
    # Amazon VPC User Guide, "Amazon S3 bucket permissions for flow logs".
    assert_equal(
        [policy["AWSLogDeliveryWrite"], policy["AWSLogDeliveryAclCheck"]],
        [
            {
                "Sid": "AWSLogDeliveryWrite",
                "Effect": "Allow",
                "Principal": {"Service": "delivery.logs.amazonaws.com"},
                "Action": "s3:PutObject",
                "Resource": [f"<bucket>/flow/AWSLogs/{account}/*" for account in accounts],
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": accounts, "s3:x-amz-acl": "bucket-owner-full-control"},
                    "ArnLike": {"aws:SourceArn": arns},
                },
            },
            {
                "Sid": "AWSLogDeliveryAclCheck",
                "Effect": "Allow",
                "Principal": {"Service": "delivery.logs.amazonaws.com"},
                "Action": ["s3:GetBucketAcl", "s3:ListBucket"],
                "Resource": "<bucket>",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": accounts},
                    "ArnLike": {"aws:SourceArn": arns},
                },
            },
        ],
    )
    # Amazon VPC User Guide, "Required key policy for use with SSE-KMS".
    assert_equal(
        key_policy(found)["AllowLogDelivery"],
        {
            "Sid": "AllowLogDelivery",
            "Effect": "Allow",
            "Principal": {"Service": "delivery.logs.amazonaws.com"},
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": accounts}, "ArnLike": {"aws:SourceArn": arns}},
        },
    )


def test_when_another_format_is_asked_for_then_it_begins_with_the_fields_of_version_2() -> None:
    settings = FlowLogSettings(
        vpc_ids=(VPC,), record_format="extended", file_format="parquet", traffic="REJECT", aggregation_seconds=60
    )
    log = logged(settings).resource("aws_flow_log")

    fields = re.findall(r"\$\$\{([a-z-]+)\}", log["log_format"])
    assert fields[:14] == [
        "version",
        "account-id",
        "interface-id",
        "srcaddr",
        "dstaddr",
        "srcport",
        "dstport",
        "protocol",
        "packets",
        "bytes",
        "start",
        "end",
        "action",
        "log-status",
    ]
    assert {"instance-id", "vpc-id", "pkt-srcaddr", "flow-direction"} <= set(fields[14:])
    assert log["destination_options"] == [{"file_format": "parquet"}]
    assert (log["traffic_type"], log["max_aggregation_interval"]) == ("REJECT", 60)


def test_when_ids_are_tokens_then_each_is_logged() -> None:
    found = logged(FlowLogSettings(vpc_ids=("${x.a}", "${x.b}")))
    assert [body["vpc_id"] for body in found.resources["aws_flow_log"].values()] == ["${x.a}", "${x.b}"]


def test_when_the_bucket_exists_then_its_policy_stays_its_owner_s() -> None:
    found = logged(FlowLogSettings(vpc_ids=(VPC,)), settings=LandingSettings(bucket="lake"))
    log = found.resource("aws_flow_log")
    assert short(log["log_destination"]) == "arn:<partition>:s3:::lake/flow/"
    assert "depends_on" not in log
    assert "aws_s3_bucket_policy" not in found.resources


def test_when_guardduty_exports_then_only_this_detector_may_and_is_allowed_to_first() -> None:
    found = landed(lambda stack, landing: GuardDutyExport(stack, "gd", landing=landing, detector_id=DETECTOR))

    destination = found.resource("aws_guardduty_publishing_destination")
    assert short(destination["destination_arn"]) == "arn:<partition>:s3:::<s3_bucket.bucket>/guardduty"
    assert short(destination["kms_key_arn"]) == "<kms_key.arn>"
    policy_of_bucket = address(found, "aws_s3_bucket_policy", "landing_Bucket_")
    assert destination["depends_on"] == [address(found, "aws_s3_object"), policy_of_bucket]
    folder = found.resource("aws_s3_object")
    assert (folder["key"], folder["content"], short(folder["kms_key_id"])) == ("guardduty/", "", "<kms_key.arn>")
    assert folder["override_provider"] == [{"default_tags": [{"tags": {}}]}]
    assert "aws_guardduty_detector" not in found.resources
    where = {
        "StringEquals": {
            "aws:SourceAccount": "<account>",
            "aws:SourceArn": f"arn:<partition>:guardduty:<region>:<account>:detector/{DETECTOR}",
        }
    }
    (name,) = found.locals
    common = {"Effect": "Allow", "Principal": {"Service": f"${{local.{name}}}"}, "Condition": where}
    # Amazon GuardDuty User Guide, "Exporting findings": step 2 and step 3.
    policy = bucket_policy(found)
    assert_equal(
        [policy["AllowGuardDutyLocation"], policy["AllowGuardDutyPut"], key_policy(found)["AllowGuardDuty"]],
        [
            {**common, "Sid": "AllowGuardDutyLocation", "Action": "s3:GetBucketLocation", "Resource": "<bucket>"},
            {**common, "Sid": "AllowGuardDutyPut", "Action": "s3:PutObject", "Resource": "<bucket>/guardduty/*"},
            {**common, "Sid": "AllowGuardDuty", "Action": "kms:GenerateDataKey", "Resource": "*"},
        ],
    )


def test_when_guardduty_exports_then_as_the_principal_that_it_has_in_the_region() -> None:
    found = landed(lambda stack, landing: GuardDutyExport(stack, "gd", landing=landing, detector_id=DETECTOR))
    (expression,) = found.locals.values()
    expected = "guardduty.amazonaws.com"
    default = ", ".join(f'"{region}" = "{expected}"' for region in ENABLED_BY_DEFAULT)
    region, partition = REGION[2:-1], PARTITION[2:-1]
    of_aws = f'lookup({{{default}}}, {region}, format("guardduty.%s.amazonaws.com", {region}))'
    assert expression == f'${{lookup({{"aws" = {of_aws}}}, {partition}, "{expected}")}}'


def test_when_guardduty_exports_into_an_existing_bucket_then_with_its_key() -> None:
    found = landed(
        lambda stack, landing: GuardDutyExport(stack, "gd", landing=landing, detector_id=DETECTOR),
        settings=LandingSettings(bucket="lake", bucket_key_arn=KEY),
    )
    assert found.resource("aws_guardduty_publishing_destination")["kms_key_arn"] == KEY
    assert "AllowGuardDuty" not in key_policy(found)


def test_when_all_deliver_then_the_bucket_has_one_policy_with_all_statements() -> None:
    def build(stack: Any, landing: TelemetryLanding) -> None:
        VpcFlowLogs(stack, "flow", landing=landing, settings=FlowLogSettings(vpc_ids=(VPC,)))
        VpcFlowLogs(stack, "more", landing=landing, settings=FlowLogSettings(subnet_ids=(SUBNET,)))
        GuardDutyExport(stack, "gd", landing=landing, detector_id=DETECTOR)

    assert list(bucket_policy(landed(build))) == [
        "DenyInsecureTransport",
        "AWSLogDeliveryWrite",
        "AWSLogDeliveryAclCheck",
        "AllowGuardDutyLocation",
        "AllowGuardDutyPut",
    ]


def test_fails_when_nothing_is_to_be_logged() -> None:
    stack = new_stack()
    landing = TelemetryLanding(stack, "landing", deployment="ir", site="a")
    with pytest.raises(RuleViolation, match=r"^site/flow: expected one or more of vpc_ids, subnet_ids, network_inter"):
        VpcFlowLogs(stack, "flow", landing=landing, settings=FlowLogSettings())
    with pytest.raises(RuleViolation, match=r"^site/flow: landing must be a TelemetryLanding, got 'x'$"):
        VpcFlowLogs(stack, "flow", landing="x", settings=FlowLogSettings())  # type: ignore[arg-type]
    with pytest.raises(RuleViolation, match=r"^site/gd: 'd' is not the id of a GuardDuty detector"):
        GuardDutyExport(stack, "gd", landing=landing, detector_id="d")
    existing = TelemetryLanding(stack, "b", deployment="ir", site="b", settings=LandingSettings(bucket="lake"))
    with pytest.raises(RuleViolation, match=r"^site/gd: GuardDuty exports with a KMS key: expected bucket_key_arn"):
        GuardDutyExport(stack, "gd", landing=existing, detector_id=DETECTOR)


@sampled(("accounts", "feeds"), [(97, 0), (93, 1), (95, 2)], every=3)
@pytest.mark.thorough
def test_when_the_size_of_the_policy_is_checked_then_it_is_that_of_the_policy_that_is_deployed(
    accounts: int, feeds: int
) -> None:
    named = [f"{number:012}" for number in range(accounts)]
    principals = {f"edr-{number}": ("arn:aws:iam::111122223333:role/edr-collector",) for number in range(feeds)}
    bucket = landing_bucket_name("tapstack", "production", "111122223333")

    def deployed(flow_log_accounts: list[str]) -> int:
        """The bytes of the policy once its tokens are known."""

        def build(stack: Any, landing: TelemetryLanding) -> None:
            VpcFlowLogs(stack, "flow", landing=landing, settings=FlowLogSettings(vpc_ids=(VPC,)))
            GuardDutyExport(stack, "export", landing=landing, detector_id=DETECTOR)

        found = landed(
            build,
            deployment="tapstack",
            site="production",
            settings=LandingSettings(flow_log_accounts=tuple(flow_log_accounts)),
            feeds={name: FeedSettings(given) for name, given in principals.items()},
        )
        (policy,) = [
            body["policy"]
            for name, body in found.resources["aws_s3_bucket_policy"].items()
            if name.startswith("landing_Bucket_")
        ]
        for token, value in ((ACCOUNT, "111122223333"), (PARTITION, "aws"), (REGION, "eu-central-1")):
            policy = policy.replace(token, value)
        policy = re.sub(r"\$\{local\.export_Service_\w+\}", "guardduty.amazonaws.com", policy)
        text = policy.replace('\\"', '"')
        assert "${" not in text
        return len(json.dumps(json.loads(text), separators=(",", ":")))

    def check(flow_log_accounts: list[str]) -> None:
        given = [*flow_log_accounts, "111122223333"]
        check_policy_size(bucket, given, principals, region="eu-central-1", detector_id=DETECTOR)

    said = refusal(lambda: check(named))
    assert f"would have {deployed(named):,} bytes" in said
    fewer = int(re.findall(r"expected (\d+) accounts? fewer", said)[0])
    check(named[fewer:])
    assert deployed(named[fewer:]) <= POLICY_BYTES < deployed(named[fewer - 1 :])
