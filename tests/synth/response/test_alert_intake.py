"""Alerts of other tools as Terraform: their queue, their secrets, the function that takes them and its routes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tapstack import AlertSettings, AlertSource, Authorization, LandingBucket
from tapstack.domain.operations import gateway_routes
from tapstack.domain.webhook_secrets import alert_function_name
from tests.synth.response.building import Response, existing
from tests.synth.template import assert_equal
from tests.unit.refusals import refusal

KEY = "<kms_key.arn>"
SOURCES = {"hunters": AlertSource("hunters", webhook=True), "soar": AlertSource("generic")}
WEBHOOK, ALERT = "POST /webhooks/{source}", "POST /alerts/{source}"


def with_alerts(**more: Any) -> Response:
    """Return a response that takes alerts."""
    given: dict[str, Any] = {"appliance": existing(), "landing": LandingBucket("xdr", "arn:aws:kms:a:b:key/c"), **more}
    return Response(**{"alerts": AlertSettings(sources=SOURCES), **given})


@pytest.fixture(scope="module")
def made() -> Response:
    return with_alerts()


def queue(made: Response, name: str) -> dict[str, Any]:
    [found] = [one for one in made.all("aws_sqs_queue") if one["name"] == f"ir-a-response-{name}"]
    return dict(found)


def routes(made: Response) -> dict[str, dict[str, Any]]:
    return {route["route_key"]: route for route in made.all("aws_apigatewayv2_route")}


def test_when_alerts_come_in_then_they_wait_in_an_encrypted_queue_and_those_that_fail_in_another(
    made: Response,
) -> None:
    waiting, failed = queue(made, "alerts"), queue(made, "alerts-dead-letters")
    for one in (waiting, failed):
        assert (one["kms_master_key_id"], one["message_retention_seconds"]) == (KEY, 14 * 24 * 3600)
    redrive = json.loads(waiting["redrive_policy"])
    assert redrive == {"deadLetterTargetArn": "<sqs_queue.arn>", "maxReceiveCount": 24}
    # What fails for a moment must be decided about soon, and no second function may take it while one has it.
    timeout = made.function("findings")["timeout"]
    assert timeout < waiting["visibility_timeout_seconds"] <= 150
    assert waiting["visibility_timeout_seconds"] * redrive["maxReceiveCount"] >= 3600


def test_when_there_are_queues_then_they_refuse_plain_http_and_no_service_may_send_to_that_of_alerts(
    made: Response,
) -> None:
    # That of alerts has its policy from the beginning.
    own = json.loads(queue(made, "alerts")["policy"])["Statement"]
    policies = [own, *(json.loads(policy["policy"])["Statement"] for policy in made.all("aws_sqs_queue_policy"))]
    assert sorted(len(statements) for statements in policies) == [1, 1, 2]
    assert own[0]["Resource"] == (
        "arn:<partition.partition>:sqs:<region.id>:<caller_identity.account_id>:ir-a-response-alerts"
    )
    for statements in policies:
        assert (statements[-1]["Effect"], statements[-1]["Condition"]) == (
            "Deny",
            {"Bool": {"aws:SecureTransport": "false"}},
        )


def test_when_alerts_wait_then_the_function_for_findings_gets_them_and_says_which_failed(made: Response) -> None:
    mapping = made.one("aws_lambda_event_source_mapping")
    assert (mapping["batch_size"], mapping["function_response_types"]) == (1, ["ReportBatchItemFailures"])
    assert mapping["scaling_config"] == {"maximum_concurrency": 5}
    assert "FindingsFunction" in str(json.loads(made.text)["resource"]["aws_lambda_event_source_mapping"])
    assert made.statements("FindingsFunction")["ReceiveAlerts"]["Action"] == [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ]


def test_when_a_deploy_asks_which_secrets_there_are_then_they_are_where_it_reads_them(made: Response) -> None:
    """`tapstack deploy` warns of those that it would delete (tapstack.workspace.protections)."""
    name = alert_function_name("ir", "a")
    assert made.function("alerts")["function_name"] == name
    assert name in [role["name"] for role in made.all("aws_iam_role")]
    read = made.statements("AlertsFunction")["ReadSecrets"]
    assert (read["Action"], read["Resource"]) == ("secretsmanager:GetSecretValue", ["<secretsmanager_secret.arn>"])
    policies = json.loads(made.text)["resource"]["aws_iam_role_policy"]
    assert [one["name"] for key, one in policies.items() if "AlertsFunction" in key] == ["responder"]


def test_when_a_source_has_webhooks_then_it_has_a_secret_and_its_value_is_not_in_the_state(made: Response) -> None:
    secret = made.one("aws_secretsmanager_secret")
    assert (secret["name"], secret["kms_key_id"]) == ("ir-a-response/webhooks/hunters", KEY)
    assert secret["recovery_window_in_days"] == 0
    assert made.all("aws_secretsmanager_secret_version") == []
    assert secret["tags"] == {"tapstack:deployment": "ir", "tapstack:site": "a"}


def test_when_the_function_takes_alerts_then_it_may_keep_them_read_its_secrets_and_nothing_else(made: Response) -> None:
    statements = made.statements("AlertsFunction")
    assert_equal(
        {sid: (found["Action"], found["Resource"]) for sid, found in statements.items()},
        {
            "WriteLogs": (["logs:CreateLogStream", "logs:PutLogEvents"], "<cloudwatch_log_group.arn>:*"),
            "WriteTraces": (["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*"),
            "UseKey": (["kms:Decrypt", "kms:GenerateDataKey"], KEY),
            "KeepAlerts": ("sqs:SendMessage", "<sqs_queue.arn>"),
            "ReadSecrets": ("secretsmanager:GetSecretValue", ["<secretsmanager_secret.arn>"]),
        },
    )
    function = made.function("alerts")
    assert (function["timeout"], function["handler"]) == (25, "tapstack.responder.handlers.alerts.handler")
    variables = function["environment"]["variables"]
    assert variables["TAPSTACK_ALERT_QUEUE_URL"] == "<sqs_queue.url>"
    assert variables["TAPSTACK_OVERLAP_HOURS"] == "24"
    assert "TAPSTACK_POLICY" not in variables


def test_when_a_source_has_webhooks_then_its_route_alone_is_open(made: Response) -> None:
    found = routes(made)
    assert set(found) == {*gateway_routes(contains=False), WEBHOOK, ALERT}
    assert {key for key, route in found.items() if route["authorization_type"] == "NONE"} == {WEBHOOK}
    targets = {
        key: route["target"] for key, route in json.loads(made.text)["resource"]["aws_apigatewayv2_route"].items()
    }
    assert len(set(targets.values())) == 2
    alert_targets = {target for key, target in targets.items() if "alerts" in key or "webhooks" in key}
    assert len(alert_targets) == 1
    assert "AlertIntegration" in alert_targets.pop()


def test_when_there_are_routes_for_alerts_then_each_is_throttled_by_itself_after_it_exists(made: Response) -> None:
    [stage] = json.loads(made.text)["resource"]["aws_apigatewayv2_stage"].values()
    # By reference: the gateway refuses settings of a route that does not exist yet.
    keys = sorted(one["route_key"] for one in stage["route_settings"])
    assert [key.split("_")[-3] for key in keys] == ["post-alerts-source", "post-webhooks-source"], keys
    for one in stage["route_settings"]:
        assert (one["throttling_rate_limit"], one["throttling_burst_limit"]) == (50, 200)
    assert stage["default_route_settings"]["throttling_rate_limit"] == 20


def test_when_no_source_has_webhooks_then_no_route_is_open_and_there_is_no_secret() -> None:
    made = with_alerts(alerts=AlertSettings(sources={"soar": AlertSource("generic")}))
    assert WEBHOOK not in routes(made)
    assert made.all("aws_secretsmanager_secret") == []
    assert "ReadSecrets" not in made.statements("AlertsFunction")
    assert {route["authorization_type"] for route in routes(made).values()} == {"AWS_IAM"}


def test_when_callers_show_tokens_then_sending_alerts_has_scopes_of_its_own() -> None:
    callers = Authorization.jwt(
        "https://login.example.com", audience=["tapstack"], scopes=["respond"], scopes_of={"alert": ["alerts.send"]}
    )
    found = routes(with_alerts(authorization=callers))
    assert (found[ALERT]["authorization_type"], found[ALERT]["authorization_scopes"]) == ("JWT", ["alerts.send"])
    assert found[WEBHOOK]["authorization_type"] == "NONE"
    assert "authorization_scopes" not in found[WEBHOOK]
    assert "alerts.send" in found["$default"]["authorization_scopes"]


def test_when_alerts_come_in_then_those_that_failed_raise_an_alarm_and_are_charted(made: Response) -> None:
    alarms = {alarm["alarm_name"]: alarm for alarm in made.all("aws_cloudwatch_metric_alarm")}
    alarm = alarms["ir-a-response-alert-dead-letters"]
    assert alarm["dimensions"] == {"QueueName": "<sqs_queue.name>"}
    waiting = alarms["ir-a-response-alert-age"]
    assert (waiting["metric_name"], waiting["threshold"]) == ("ApproximateAgeOfOldestMessage", 600)
    # What fails is hidden meanwhile: with the third time the age no longer counts it, and errors of the function do.
    errors, hidden = alarms["ir-a-response-function-errors"], queue(made, "alerts")["visibility_timeout_seconds"]
    assert errors["datapoints_to_alarm"] == 1
    assert 60 * errors["evaluation_periods"] > hidden + made.function("findings")["timeout"]
    for metric in ("AlertsKept", "AlertsUnmatched", "WebhooksRefused", "WebhooksUnknown"):
        assert metric in made.one("aws_cloudwatch_dashboard")["dashboard_body"]


def test_when_webhooks_of_a_source_are_refused_then_an_alarm_notifies_once_in_an_hour(made: Response) -> None:
    alarms = {alarm["alarm_name"]: alarm for alarm in made.all("aws_cloudwatch_metric_alarm")}
    alarm = alarms["ir-a-response-webhooks-refused"]
    assert (alarm["metric_name"], alarm["threshold"], alarm["statistic"]) == ("WebhooksRefused", 0, "Sum")
    assert alarm["dimensions"] == {"service": "tapstack", "deployment": "ir", "site": "a"}
    assert (alarm["period"] * alarm["evaluation_periods"], alarm["datapoints_to_alarm"]) == (3600, 1)
    assert "ok_actions" not in alarm
    unsigned = with_alerts(alerts=AlertSettings(sources={"soar": AlertSource("generic")}))
    assert alarm["alarm_name"] not in {one["alarm_name"] for one in unsigned.all("aws_cloudwatch_metric_alarm")}


def test_when_none_come_in_then_nothing_of_it_is_deployed(launching: Response) -> None:
    for type_ in ("aws_lambda_event_source_mapping", "aws_secretsmanager_secret"):
        assert launching.all(type_) == []
    assert not set(routes(launching)) & {WEBHOOK, ALERT}
    assert "route_settings" not in launching.one("aws_apigatewayv2_stage")
    assert [one["name"] for one in launching.all("aws_sqs_queue")] == ["ir-a-response-dead-letters"]
    handlers = {one["handler"] for one in launching.all("aws_lambda_function")}
    assert "tapstack.responder.handlers.alerts.handler" not in handlers


@pytest.mark.parametrize("hours", [-1, 169])
def test_fails_when_the_overlap_is_out_of_range(hours: int) -> None:
    said = refusal(lambda: AlertSettings(sources=SOURCES, overlap_hours=hours))
    assert said == f"overlap_hours must be a whole number from 0 to 168, got {hours}"
