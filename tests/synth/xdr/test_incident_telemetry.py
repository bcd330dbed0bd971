"""Events of incidents, from the bus to the bucket."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tapstack import IncidentTelemetry, IncidentTelemetrySettings, LandingSettings, RuleViolation, TelemetryLanding
from tapstack.domain.retention import LOGS_KEPT_DAYS
from tests.synth.template import Template, assert_equal, new_stack, rendering_hcl

TOPIC = "arn:aws:sns:eu-central-1:111122223333:notices"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/a"


def telemetry(landing: LandingSettings | None = None, **given: Any) -> Template:
    stack = new_stack()
    with rendering_hcl():
        made = TelemetryLanding(stack, "landing", deployment="ir", site="a", settings=landing)
        IncidentTelemetry(stack, "incidents", landing=made, **given)
    return Template(stack)


@pytest.fixture(scope="module")
def made() -> Template:
    return telemetry(topic_arns=[TOPIC])


def named(template: Template, type_: str, part: str) -> dict[str, Any]:
    """The resource of a type whose address has a part of the construct's path."""
    (found,) = [body for name, body in template.resources[type_].items() if name.startswith(f"incidents_{part}_")]
    return dict(found)


def document(text: str) -> Any:
    return json.loads(plain(text.replace('\\"', '"').replace("\\\\", "\\")))


def plain(text: str) -> str:
    """Tokens read as the last words of what they stand for."""
    return re.sub(r"\$\{(?:data\.)?aws_(\w+?)\.(\w+?)_[0-9A-F]{8}\.(\w+)\}", r"<\2.\3>", text)


def statements(template: Template) -> dict[str, dict[str, Any]]:
    policy = document(named(template, "aws_iam_role_policy", "Function_Policy")["policy"])
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def test_when_an_incident_emits_an_event_then_the_rule_takes_it_of_this_site_alone(made: Template) -> None:
    rule = made.resource("aws_cloudwatch_event_rule")
    assert rule["name"] == "ir-a-xdr-incidents"
    assert_equal(
        document(rule["event_pattern"]),
        {
            "source": ["tapstack"],
            "detail-type": ["Tapstack Incident Telemetry"],
            "detail": {"deployment": ["ir"], "site": ["a"]},
        },
    )
    target = made.resource("aws_cloudwatch_event_target")
    assert plain(target["arn"]) == "<incidents_Queue.arn>"
    assert plain(target["dead_letter_config"][0]["arn"]) == "<incidents_DeadLetters.arn>"
    assert target["retry_policy"] == [{"maximum_event_age_in_seconds": 86400, "maximum_retry_attempts": 185}]


def test_when_events_wait_then_encrypted_and_what_fails_ends_among_the_dead_letters(made: Template) -> None:
    queue = named(made, "aws_sqs_queue", "Queue")
    assert plain(queue["kms_master_key_id"]) == "<landing_Key.arn>"
    assert queue["message_retention_seconds"] == 14 * 24 * 3600
    redrive = document(queue["redrive_policy"])
    assert redrive == {"deadLetterTargetArn": "<incidents_DeadLetters.arn>", "maxReceiveCount": 40}
    function = made.resource("aws_lambda_function")
    # No second function takes it meanwhile; what fails is soon tried again, for an hour.
    assert function["timeout"] < queue["visibility_timeout_seconds"] <= 90
    assert queue["visibility_timeout_seconds"] * redrive["maxReceiveCount"] >= 3600
    policies = {name: document(body["policy"]) for name, body in made.resources["aws_sqs_queue_policy"].items()}
    assert len(policies) == 2
    for policy in policies.values():
        by_sid = {one["Sid"]: one for one in policy["Statement"]}
        (allowed,) = [one for one in by_sid.values() if one["Effect"] == "Allow"]
        assert (allowed["Action"], allowed["Principal"]) == ("sqs:SendMessage", {"Service": "events.amazonaws.com"})
        assert allowed["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(":rule/ir-a-xdr-incidents")
        assert by_sid["DenyInsecureTransport"]["Effect"] == "Deny"


def test_when_the_function_gets_events_then_each_succeeds_or_fails_by_itself(made: Template) -> None:
    mapping = made.resource("aws_lambda_event_source_mapping")
    assert plain(mapping["event_source_arn"]) == "<incidents_Queue.arn>"
    assert plain(mapping["function_name"]) == "<incidents_Function.function_name>"
    assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
    assert mapping["scaling_config"] == [{"maximum_concurrency": 10}]
    function = made.resource("aws_lambda_function")
    assert (function["function_name"], function["handler"]) == (
        "ir-a-xdr-telemetry",
        "tapstack.responder.handlers.telemetry.handler",
    )
    (environment,) = function["environment"]
    assert plain(environment["variables"]["TAPSTACK_TELEMETRY_BUCKET"]) == "<landing_Bucket.bucket>"
    assert environment["variables"]["TAPSTACK_TELEMETRY_OCSF"] == "false"


def test_when_the_function_may_do_something_then_it_is_receiving_and_putting_and_nothing_else(made: Template) -> None:
    granted = statements(made)
    assert set(granted) == {"WriteLogs", "WriteTraces", "UseKey", "ReceiveEvents", "PutEvents"}
    assert granted["ReceiveEvents"]["Resource"] == "<incidents_Queue.arn>"
    assert granted["PutEvents"]["Action"] == "s3:PutObject"
    (put,) = granted["PutEvents"]["Resource"]
    assert put.endswith("/incidents/v1/*")
    assert granted["UseKey"]["Resource"] == "<landing_Key.arn>"
    for statement in granted.values():
        assert "*" not in "".join(
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )


def test_when_the_function_has_a_role_then_lambda_alone_assumes_it(made: Template) -> None:
    role = made.resource("aws_iam_role")
    assert role["name"] == "ir-a-xdr-telemetry"
    assert_equal(
        document(role["assume_role_policy"]),
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        },
    )
    assert plain(made.resource("aws_iam_role_policy")["role"]) == "<incidents_Function_Role.name>"
    assert plain(made.resource("aws_lambda_function")["role"]).endswith("<incidents_Function_Policy.role>")


def test_when_the_function_logs_then_into_a_group_of_its_own_encrypted_and_for_a_time(made: Template) -> None:
    logs = made.resource("aws_cloudwatch_log_group")
    assert (logs["name"], logs["retention_in_days"]) == ("/aws/lambda/ir-a-xdr-telemetry", LOGS_KEPT_DAYS)
    assert plain(logs["kms_key_id"]) == "<landing_Key.arn>"
    (logging,) = made.resource("aws_lambda_function")["logging_config"]
    assert plain(logging["log_group"]) == "<incidents_Function_Logs.name>"
    assert_equal(
        statements(made)["WriteLogs"],
        {
            "Sid": "WriteLogs",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": "<incidents_Function_Logs.arn>:*",
        },
    )
    kept = telemetry(log_retention_days=30).resource("aws_cloudwatch_log_group")
    assert kept["retention_in_days"] == 30


def test_when_ocsf_is_chosen_then_the_function_writes_it_and_may(made: Template) -> None:
    ocsf = telemetry(settings=IncidentTelemetrySettings(ocsf=True))
    (environment,) = ocsf.resource("aws_lambda_function")["environment"]
    assert environment["variables"]["TAPSTACK_TELEMETRY_OCSF"] == "true"
    assert [one.rpartition("xdr-")[2].partition("/")[2] for one in statements(ocsf)["PutEvents"]["Resource"]] == [
        "incidents/v1/*",
        "incidents-ocsf/*",
    ]


@pytest.mark.parametrize(("key", "more"), [(KEY, {"UseKeyOfBucket"}), (None, set())])
def test_when_the_bucket_exists_then_the_function_uses_the_key_of_that_by_way_of_s3(
    key: str | None, more: set[str], made: Template
) -> None:
    granted = statements(telemetry(LandingSettings(bucket="lake", bucket_key_arn=key)))
    assert set(granted) - set(statements(made)) == more
    assert [one.partition(":s3:::")[2] for one in granted["PutEvents"]["Resource"]] == ["lake/incidents/v1/*"]
    if more:
        used = granted["UseKeyOfBucket"]
        assert (used["Action"], used["Resource"]) == ("kms:GenerateDataKey", KEY)
        assert used["Condition"] == {
            "StringEquals": {"kms:ViaService": "s3.<landing_Region.id>.<landing_Partition.dns_suffix>"}
        }


def test_when_events_cannot_be_written_or_wait_then_alarms_notify(made: Template) -> None:
    alarms = made.resources["aws_cloudwatch_metric_alarm"].values()
    assert all(alarm["alarm_actions"] == alarm["ok_actions"] == [TOPIC] for alarm in alarms)
    assert {
        alarm["metric_name"]: (alarm["namespace"], {key: plain(name) for key, name in alarm["dimensions"].items()})
        for alarm in alarms
    } == {
        "ApproximateNumberOfMessagesVisible": ("AWS/SQS", {"QueueName": "<incidents_DeadLetters.name>"}),
        "ApproximateAgeOfOldestMessage": ("AWS/SQS", {"QueueName": "<incidents_Queue.name>"}),
        "Errors": ("AWS/Lambda", {"FunctionName": "<incidents_Function.function_name>"}),
    }
    unheard = telemetry().resources["aws_cloudwatch_metric_alarm"].values()
    assert not any("alarm_actions" in alarm for alarm in unheard)


def test_when_an_event_fails_every_time_then_the_alarm_on_errors_begins_once_and_lasts(made: Template) -> None:
    # The age of the queue is that of messages that were received less than three times.
    [errors] = [one for one in made.resources["aws_cloudwatch_metric_alarm"].values() if one["metric_name"] == "Errors"]
    hidden = named(made, "aws_sqs_queue", "Queue")["visibility_timeout_seconds"]
    assert (errors["threshold"], errors["statistic"], errors["datapoints_to_alarm"]) == (0, "Sum", 1)
    assert errors["period"] * errors["evaluation_periods"] > hidden + made.resource("aws_lambda_function")["timeout"]


def test_fails_when_a_topic_is_none() -> None:
    with pytest.raises(RuleViolation, match="'mail' is not the ARN of an SNS topic"):
        telemetry(topic_arns=["mail"])
