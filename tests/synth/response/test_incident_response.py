"""The response of a site as Terraform: its resources, its settings, what is encrypted, kept and limited."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tapstack import (
    Authorization,
    CaptureSettings,
    ContainmentSettings,
    ExistingAppliance,
    IncidentResponse,
    LaunchedAppliance,
    PolicyRule,
)
from tapstack.bindings import cdk
from tapstack.capture.expressions import Expressions
from tapstack.domain.appliance_settings import DeployedLaunch
from tapstack.domain.errors import RuleViolation
from tapstack.domain.globs import matches
from tapstack.domain.names import Prefix, name_within, pattern_within
from tapstack.domain.operations import Right, gateway_routes
from tapstack.response import workflow
from tests.synth.ids import FILTER, SUBNET, TARGET, TEMPLATE_URL, VPC
from tests.synth.response.building import NAMES, Response, existing, launched
from tests.synth.template import Template, assert_equal, new_stack, rendering_hcl, synthesize
from tests.unit.refusals import refusal

KEY = "<kms_key.arn>"
EXPRESSION = '${data.aws_cloudformation_stack.epb.outputs["PacketBasicsUserAccess"]}'


def test_when_built_then_it_has_what_a_response_needs(launching: Response) -> None:
    counts = {type_: len(found) for type_, found in launching.terraform["resource"].items()}
    assert_equal(
        counts,
        {
            "aws_apigatewayv2_api": 1,
            "aws_apigatewayv2_integration": 1,
            "aws_apigatewayv2_route": 6,
            "aws_apigatewayv2_stage": 1,
            "aws_cloudwatch_dashboard": 1,
            "aws_cloudwatch_event_rule": 1,
            "aws_cloudwatch_event_target": 1,
            "aws_cloudwatch_log_group": 9,
            "aws_cloudwatch_metric_alarm": 11,
            "aws_dynamodb_table": 1,
            "aws_iam_role": 10,
            "aws_iam_role_policy": 10,
            "aws_kms_alias": 1,
            "aws_kms_key": 1,
            "aws_lambda_function": 7,
            "aws_lambda_permission": 2,
            "aws_scheduler_schedule": 1,
            "aws_sfn_state_machine": 1,
            "aws_sns_topic": 1,
            "aws_sns_topic_policy": 1,
            "aws_sns_topic_subscription": 1,
            "aws_sqs_queue": 1,
            "aws_sqs_queue_policy": 1,
        },
    )


@pytest.mark.parametrize(
    ("type_", "argument"),
    [
        ("aws_cloudwatch_log_group", "kms_key_id"),
        ("aws_lambda_function", "kms_key_arn"),
        ("aws_scheduler_schedule", "kms_key_arn"),
        ("aws_sns_topic", "kms_master_key_id"),
        ("aws_sqs_queue", "kms_master_key_id"),
    ],
)
def test_when_something_is_kept_then_the_key_encrypts_it(launching: Response, type_: str, argument: str) -> None:
    assert {resource[argument] for resource in launching.all(type_)} == {KEY}


def test_when_there_is_a_table_then_it_is_encrypted_restorable_and_protected(launching: Response) -> None:
    table = launching.one("aws_dynamodb_table")
    assert table["server_side_encryption"] == {"enabled": True, "kms_key_arn": KEY}
    assert table["point_in_time_recovery"] == {"enabled": True}
    assert table["deletion_protection_enabled"] is True
    assert table["ttl"] == {"attribute_name": "ttl", "enabled": True}
    assert table["billing_mode"] == "PAY_PER_REQUEST"
    assert (table["hash_key"], table["range_key"]) == ("pk", "sk")
    assert table["global_secondary_index"] == [
        {"name": "by-state", "hash_key": "listing", "range_key": "opened_at", "projection_type": "ALL"}
    ]


def test_when_protection_is_off_then_the_table_can_be_deleted() -> None:
    table = Response(deletion_protection=False).one("aws_dynamodb_table")
    assert table["deletion_protection_enabled"] is False


@pytest.mark.parametrize("name", NAMES)
def test_when_there_is_a_function_then_it_is_traced_logged_and_small(launching: Response, name: str) -> None:
    function = launching.function(name)
    assert function["function_name"] == f"ir-a-response-{name}"
    assert function["handler"] == f"tapstack.responder.handlers.{name}.handler"
    assert (function["runtime"], function["architectures"]) == ("python3.13", ["arm64"])
    assert function["tracing_config"] == {"mode": "Active"}
    assert function["logging_config"] == {"log_format": "Text", "log_group": "<cloudwatch_log_group.name>"}
    assert function["timeout"] <= {"api": 25, "sweeper": 300}.get(name, 120)
    assert function["filename"].startswith("assets/")
    assert ("dead_letter_config" in function) == (name in ("findings", "sweeper"))
    environment = json.dumps(function["environment"]["variables"])
    assert len(environment) < 4096, "AWS Lambda Developer Guide, quotas"


def test_when_an_appliance_is_launched_then_the_settings_of_the_functions_say_how(launching: Response) -> None:
    variables = launching.variables("capture")
    settings = launching.settings("capture")
    assert {name: variables[name] for name in ("TAPSTACK_DEPLOYMENT", "TAPSTACK_SITE", "TAPSTACK_EVENT_BUS")} == {
        "TAPSTACK_DEPLOYMENT": "ir",
        "TAPSTACK_SITE": "a",
        "TAPSTACK_EVENT_BUS": "default",
    }
    role = settings["appliance"]["launch"].pop("role_arn")
    assert role.endswith(":role/<iam_role_policy.role>")
    assert_equal(
        settings,
        {
            "account_id": "<caller_identity.account_id>",
            "region": "<region.id>",
            "vpc_id": VPC,
            "capture": {
                "minutes": 60,
                "reserved_sources": 2,
                "incidents_per_finding": 10,
                "max_minutes": 1440,
                "accept_unsupported_instance_types": False,
            },
            "appliance": {
                "launch": {
                    "stack_name": "ir-a-epb",
                    "template_url": TEMPLATE_URL,
                    "parameters": {
                        "VPCID": VPC,
                        "MgmtTrafficMirrorSubnetID": SUBNET,
                        "RemoteAccessCIDR": "10.20.0.0/16",
                        "PublicEIP": "false",
                    },
                    "capabilities": [],
                    "timeout_minutes": 30,
                    "retire_after_minutes": 30,
                    "snapshots": {"keep_days": 90},
                }
            },
            "retention_days": 365,
        },
    )


def test_when_settings_are_written_then_the_functions_can_read_them(
    launching: Response, with_existing: Response
) -> None:
    from tapstack.responder.environment import read_environment

    first = read_environment(launching.variables("findings"))
    assert isinstance(first.appliance, DeployedLaunch)
    assert (first.vpc_id, first.capture.minutes, first.policy) == (VPC, 60, "[]")
    assert first.state_machine_arn.endswith(":stateMachine:ir-a-response-incidents")
    second = read_environment(with_existing.variables("capture"))
    assert second.appliance == ExistingAppliance(TARGET, FILTER, "https://10.0.0.5", None, 10)


def test_when_there_is_a_policy_then_only_the_function_that_applies_it_has_it() -> None:
    from tapstack.domain.policy import load

    rules = [PolicyRule(name="c2", action="capture", at_least=7.0, tags={"env": "prod*"})]
    made = Response(policy=rules)
    assert load(made.variables("findings")["TAPSTACK_POLICY"]) == tuple(rules)
    assert all("TAPSTACK_POLICY" not in made.variables(name) for name in NAMES if name != "findings")


def test_when_there_is_an_api_then_every_route_asks_who_calls(launching: Response) -> None:
    routes = launching.all("aws_apigatewayv2_route")
    assert {route["route_key"] for route in routes} == set(gateway_routes(contains=False))
    assert {route["authorization_type"] for route in routes} == {"AWS_IAM"}
    assert "cors_configuration" not in launching.one("aws_apigatewayv2_api")
    integration = launching.one("aws_apigatewayv2_integration")
    assert integration["payload_format_version"] == "2.0"
    assert launching.function("api")["timeout"] * 1000 < integration["timeout_milliseconds"] <= 30_000


@pytest.mark.parametrize("name", NAMES)
def test_when_there_is_an_api_then_functions_know_its_address_and_it_needs_none_of_them(
    launching: Response, name: str
) -> None:
    assert launching.variables(name)["TAPSTACK_API_URL"] == "<apigatewayv2_api.api_endpoint>"
    # Terraform refuses a cycle.
    assert "<" not in json.dumps(launching.one("aws_apigatewayv2_api"))


@pytest.mark.thorough
def test_when_tokens_are_asked_for_then_every_route_asks_for_one_with_the_scope() -> None:
    made = Response(
        authorization=Authorization.jwt("https://login.example.com/t", audience=["tapstack"], scopes=["respond"])
    )
    routes = made.all("aws_apigatewayv2_route")
    assert {route["authorization_type"] for route in routes} == {"JWT"}
    assert {route["authorizer_id"] for route in routes} == {"<apigatewayv2_authorizer.id>"}
    assert [route["authorization_scopes"] for route in routes] == [["respond"]] * len(gateway_routes(contains=False))
    own: dict[Right, list[str]] = {"contain_now": ["now"], "decide": ["approve", "lead"], "override": ["lead"]}
    divided = Response(
        authorization=Authorization.jwt(
            "https://login.example.com/t", audience=["tapstack"], scopes=["respond"], scopes_of=own
        ),
        containment=ContainmentSettings(modes=["approval", "now"]),
    )
    found = {
        route["route_key"]: route["authorization_scopes"]
        for route in divided.all("aws_apigatewayv2_route")
        if route["authorization_scopes"] != ["respond"]
    }
    assert found == {
        "POST /incidents/contain-now": ["now"],
        "POST /incidents/{id}/contain-now": ["now"],
        "POST /incidents/{id}/approve": ["approve", "lead"],
        "POST /incidents/{id}/reject": ["approve", "lead"],
        "POST /incidents/{id}/override": ["lead"],
        "POST /incidents/{id}/contain-protected": ["lead"],
        "$default": ["respond", "now", "approve", "lead"],
    }
    # The function asks for the other right of a request that opens and contains.
    assert json.loads(divided.variables("api")["TAPSTACK_SETTINGS"])["open_scopes"] == ["respond"]
    assert made.one("aws_apigatewayv2_authorizer")["jwt_configuration"] == {
        "issuer": "https://login.example.com/t",
        "audience": ["tapstack"],
    }


def test_when_the_api_is_called_then_it_is_throttled_and_logged_without_what_was_said(launching: Response) -> None:
    stage = launching.one("aws_apigatewayv2_stage")
    assert (stage["name"], stage["auto_deploy"]) == ("$default", True)
    assert stage["default_route_settings"]["throttling_rate_limit"] == 20
    assert stage["default_route_settings"]["throttling_burst_limit"] == 100
    logged = stage["access_log_settings"]["format"]
    assert "body" not in logged.lower()
    assert "$context.status" in logged


def test_when_the_gateway_invokes_then_it_is_this_api(launching: Response) -> None:
    sources = {
        permission["principal"]: permission["source_arn"] for permission in launching.all("aws_lambda_permission")
    }
    assert sources == {
        "apigateway.amazonaws.com": "<apigatewayv2_api.execution_arn>/*/*",
        "events.amazonaws.com": "<cloudwatch_event_rule.arn>",
    }


def test_when_the_workflow_is_made_then_it_is_the_one_that_is_tested(launching: Response) -> None:
    machine = launching.one("aws_sfn_state_machine")
    found = json.loads(machine["definition"])
    functions = dict.fromkeys(workflow.FUNCTIONS, "<lambda_function.arn>")
    assert_equal(found, workflow.definition(functions, partition="<partition.partition>"))
    assert machine["type"] == "STANDARD"
    assert machine["tracing_configuration"] == {"enabled": True}
    assert machine["logging_configuration"] == {
        "level": "ALL",
        "include_execution_data": False,
        "log_destination": "<cloudwatch_log_group.arn>:*",
    }
    # Its functions know it by the name that it gets.
    arn = launching.variables("api")["TAPSTACK_STATE_MACHINE_ARN"]
    assert arn.rpartition(":")[2] == machine["name"]


def test_when_guardduty_finds_something_then_the_policy_is_asked_whatever_it_is(launching: Response) -> None:
    rule = launching.one("aws_cloudwatch_event_rule")
    assert json.loads(rule["event_pattern"]) == {
        "source": ["aws.guardduty"],
        "detail-type": ["GuardDuty Finding"],
        # An administrator account of GuardDuty gets the findings of its members.
        "detail": {"accountId": ["<caller_identity.account_id>"], "region": ["<region.id>"]},
    }
    target = launching.one("aws_cloudwatch_event_target")
    assert target["dead_letter_config"] == {"arn": "<sqs_queue.arn>"}
    assert target["retry_policy"]["maximum_event_age_in_seconds"] == 86400
    statement, _ = json.loads(launching.one("aws_sqs_queue_policy")["policy"])["Statement"]
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(f":rule/{rule['name']}")


def test_when_the_response_is_deployed_then_a_schedule_starts_the_sweeper(launching: Response) -> None:
    schedule = launching.one("aws_scheduler_schedule")
    assert schedule["schedule_expression"] == "rate(15 minutes)"
    assert schedule["target"]["dead_letter_config"] == {"arn": "<sqs_queue.arn>"}


def test_when_something_fails_then_an_alarm_notifies_the_topic(launching: Response) -> None:
    alarms = {
        alarm["alarm_name"].removeprefix("ir-a-response-"): alarm
        for alarm in launching.all("aws_cloudwatch_metric_alarm")
    }
    assert set(alarms) == {
        "failed-executions",
        "timedout-executions",
        "aborted-executions",
        "dead-letters",
        "function-errors",
        "function-throttles",
        "api-faults",
        "notifications-undelivered",
        "skipped-in",
        "skipped-out",
        "appliance-hours",
    }
    assert {tuple(alarm["alarm_actions"]) for alarm in alarms.values()} == {("<sns_topic.arn>",)}
    told_of_the_end = {name for name, alarm in alarms.items() if alarm.get("ok_actions")}
    assert set(alarms) - told_of_the_end == {"failed-executions", "timedout-executions", "aborted-executions"}
    assert {alarm["treat_missing_data"] for alarm in alarms.values()} == {"notBreaching"}
    assert alarms["appliance-hours"]["threshold"] == 12
    (query,) = alarms["skipped-in"]["metric_query"]
    assert query["expression"] == 'SELECT MAX(NetworkSkipMirrorIn) FROM SCHEMA("AWS/EC2", InstanceId)'
    watched = [query for query in alarms["function-errors"]["metric_query"] if "metric" in query]
    assert len(watched) == len(NAMES)


def test_when_an_appliance_exists_then_no_alarm_counts_its_hours(with_existing: Response) -> None:
    names = [alarm["alarm_name"] for alarm in with_existing.all("aws_cloudwatch_metric_alarm")]
    assert len(names) == 10
    assert "ir-a-response-appliance-hours" not in names


def test_when_alarms_publish_then_the_topic_and_its_key_allow_it(launching: Response) -> None:
    statement, _ = json.loads(launching.one("aws_sns_topic_policy")["policy"])["Statement"]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    key = {s["Sid"]: s for s in json.loads(launching.one("aws_kms_key")["policy"])["Statement"]}
    assert "cloudwatch.amazonaws.com" in key["AllowAlarmsAndEvents"]["Principal"]["Service"]
    assert launching.one("aws_kms_key")["enable_key_rotation"] is True


def test_when_topics_exist_then_alarms_and_functions_know_them_too() -> None:
    topic = "arn:aws:sns:eu-central-1:111122223333:soc"
    made = Response(topic_arns=[topic])
    assert made.variables("incident")["TAPSTACK_TOPIC_ARN"] == f"<sns_topic.arn>,{topic}"
    assert made.statements("IncidentFunction")["PublishNotifications"]["Resource"] == ["<sns_topic.arn>", topic]
    assert made.all("aws_cloudwatch_metric_alarm")[0]["alarm_actions"] == ["<sns_topic.arn>", topic]


def test_when_there_is_a_dashboard_then_it_shows_what_is_watched(launching: Response) -> None:
    body = json.loads(launching.one("aws_cloudwatch_dashboard")["dashboard_body"])
    assert len(body["widgets"]) == 10
    assert {widget["properties"]["region"] for widget in body["widgets"]} == {"<region.id>"}


def test_when_the_dashboard_is_linked_then_the_link_follows_the_partition() -> None:
    stack = new_stack()
    made = IncidentResponse(stack, "response", deployment="ir", site="a", vpc_id=VPC, appliance=launched())
    cdk.TerraformOutput(stack, "url", value=made.dashboard_url)
    url = json.loads(str(cdk.Testing.synth(stack)))["output"]["url"]["value"]
    assert re.fullmatch(
        r"https://\$\{data\.aws_region\.\w+\.id\}\.\$\{lookup\(\{.*\}, data\.aws_partition\.\w+\.partition, "
        r'"console\.aws\.amazon\.com"\)\}/cloudwatch/home\?region=.*',
        url,
    )
    for partition, host in (
        ("aws-cn", "console.amazonaws.cn"),
        ("aws-eusc", "console.amazonaws-eusc.eu"),
        ("aws-us-gov", "console.amazonaws-us-gov.com"),
    ):
        assert f'"{partition}" = "{host}"' in url


def test_when_tags_are_given_then_everything_that_can_has_them() -> None:
    made = Response(tags={"owner": "soc"})
    without = {
        "aws_apigatewayv2_integration",
        "aws_apigatewayv2_route",
        "aws_cloudwatch_dashboard",
        "aws_cloudwatch_event_target",
        "aws_iam_role_policy",
        "aws_kms_alias",
        "aws_lambda_permission",
        "aws_scheduler_schedule",
        "aws_sns_topic_policy",
        "aws_sqs_queue_policy",
    }
    for type_, resources in made.terraform["resource"].items():
        tagged = [resource.get("tags") for resource in resources.values()]
        # The tags of ownership are not overwritten.
        ours = {"owner": "soc", "tapstack:deployment": "ir", "tapstack:site": "a"}
        assert all(tags == (None if type_ in without else ours) for tags in tagged), type_


@pytest.mark.thorough
def test_when_written_as_hcl_then_json_inside_survives() -> None:
    with rendering_hcl():
        template = synthesize(
            lambda stack: add_response(stack, appliance=ExistingAppliance(TARGET, FILTER, portal_url=EXPRESSION))
        )
    assert isinstance(template, Template)
    (local,) = template.locals
    policy = template.resource("aws_iam_role_policy", next(iter(template.names("aws_iam_role_policy"))))["policy"]
    assert json.loads(str(policy).replace('\\"', '"'))["Version"] == "2012-10-17"
    function = next(iter(template.resources["aws_lambda_function"].values()))
    settings = json.loads(function["environment"][0]["variables"]["TAPSTACK_SETTINGS"].replace('\\"', '"'))
    assert settings["appliance"]["existing"]["portal_url"] == f"${{local.{local}}}"


def add_response(stack: cdk.TerraformStack, **arguments: Any) -> object:
    return IncidentResponse(stack, "response", deployment="ir", site="a", vpc_id=VPC, **arguments)


def test_when_an_expression_holds_quotes_then_it_gets_a_name_once() -> None:
    stack = new_stack()
    expressions = Expressions(stack)
    safe = expressions.safe({"url": EXPRESSION, "again": [EXPRESSION], "plain": "${aws_x.y.id}", "text": 'a "b"'})
    assert safe["url"] == safe["again"][0] != EXPRESSION
    assert (safe["plain"], safe["text"]) == ("${aws_x.y.id}", 'a "b"')
    assert json.loads(cdk.Testing.synth(stack))["locals"] == {"url": EXPRESSION}


def test_when_names_are_long_then_they_are_cut_and_stay_apart() -> None:
    first, second = (name_within(Prefix("a", f"{'a' * 70}{end}", "response"), "api") for end in "bc")
    assert len(first) == len(second) == 64
    assert first != second
    assert first.endswith("-response-api")
    assert name_within(Prefix("a", "short", "xdr"), "api") == "a-short-xdr-api"
    made = Response(deployment="d" * 40, site="s" * 40)
    names = {function["function_name"] for function in made.all("aws_lambda_function")}
    assert len(names) == len(NAMES)
    assert {role["name"] for role in made.all("aws_iam_role")} >= names
    assert all(len(role["name"]) <= 64 for role in made.all("aws_iam_role"))


@pytest.mark.thorough
@pytest.mark.parametrize("length", [5, 17, 18, 19, 30, 40])
def test_when_roles_are_named_then_one_pattern_fits_all_of_them_and_no_others(length: int) -> None:
    containment = ContainmentSettings(modes=("now",), instance_profile="restrict")
    made = Response(deployment="d" * length, site="s" * length, containment=containment)
    prefix = Prefix("d" * length, "s" * length, "response")
    pattern = pattern_within(prefix, "incidents-workflow")
    names = [role["name"] for role in made.all("aws_iam_role")]
    assert len(names) == len(NAMES) + 5
    assert [name for name in names if not matches(pattern, name)] == []
    assert not matches(pattern, f"e{prefix}-api")
    for function in ("Containment", "Release"):
        denied = made.statements(f"{function}Function")["DenyOwnRoles"]
        assert (denied["Effect"], denied["Resource"].rpartition("/")[2]) == ("Deny", pattern)


def test_fails_when_a_name_is_a_token() -> None:
    assert refusal(lambda: name_within(Prefix("ir", "${x}", "xdr"), "api")) == (
        "the name '${x}' is a token: names of resources must be known at synthesis"
    )


@pytest.mark.thorough
def test_when_responders_come_from_everywhere_then_a_warning_says_so() -> None:
    template = synthesize(
        lambda stack: add_response(
            stack,
            appliance=LaunchedAppliance(template_url=TEMPLATE_URL, subnet_id=SUBNET, remote_access_cidr="10.0.0.0/7"),
        )
    )
    assert any("reaches far" in warning for warning in template.warnings)


@pytest.mark.thorough
def test_when_packets_are_cut_inside_their_headers_then_a_warning_says_so() -> None:
    template = synthesize(
        lambda stack: add_response(stack, appliance=existing(), capture=CaptureSettings(packet_length=20))
    )
    assert any("packet length 20 cuts headers" in warning for warning in template.warnings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vpc_id": "vpc-1"}, "response: 'vpc-1' is not the id of a VPC"),
        ({"site": "A"}, "response: 'A' is not a usable name"),
        ({"retention_days": 0}, "response: retention_days must be a whole number from 1 to 3653, got 0"),
        ({"retention_days": True}, "response: retention_days must be a whole number, got True"),
        ({"log_retention_days": 91}, "response: log_retention_days must be 1, 3, 5, 7, 14, 30, 60, 90, "),
        ({"emails": ["nobody"]}, "response/Notices: 'nobody' is no email address"),
        ({"topic_arns": ["arn:aws:sqs:x"]}, "response/Notices: 'arn:aws:sqs:x' is not the ARN of an SNS topic"),
        (
            {"policy": [PolicyRule(name="c", action="contain_now")]},
            "response: policy rule c: contain_now needs containment, which is not configured here",
        ),
        (
            {"policy": [PolicyRule(name="a", action="notify"), PolicyRule(name="b", action="capture")]},
            "response: rule b is never asked: a before it matches every alert",
        ),
    ],
)
def test_fails_when_an_argument_is_wrong_and_says_where(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        Response(**arguments)
    assert str(caught.value).removeprefix("site/").startswith(message)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: existing().__class__("tmt-1", FILTER), "'tmt-1' is not the id of a traffic mirror target"),
        (lambda: existing(target_interface_id="eni"), "'eni' is not the id of a network interface"),
        (lambda: launched(retire_after_minutes=1441), "retire_after_minutes must be a whole number from 0 to 1440"),
        (lambda: launched(max_hours=0), "max_hours must be a whole number from 1 to 720, got 0"),
        (lambda: launched(public_ip=True), "an Elastic IP puts the appliance's portal on the internet"),
        (lambda: launched(parameters={"VPCID": VPC}), "VPCID cannot be given as an extra parameter"),
        (lambda: launched(extra_statements=[{}]), "extra_statements[0] has no Effect: expected Allow or Deny"),
        (lambda: launched(stack_name="1"), "'1' is not a CloudFormation stack name"),
        (lambda: CaptureSettings(minutes=90, max_minutes=60), "minutes must be at most max_minutes, 60, got 90"),
        (lambda: CaptureSettings(packet_length=0), "packet length"),
        (lambda: CaptureSettings(virtual_network_id=0), "virtual network id"),
        (lambda: Authorization.jwt("http://x", audience=["a"]), "'http://x' is no issuer of tokens"),
        (lambda: Authorization.jwt("https://x.example", audience=[]), "audience is empty"),
    ],
)
def test_fails_when_a_part_is_wrong(make: Any, message: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        make()
    assert str(caught.value).removeprefix("site/").startswith(message)
