"""Alerts besides GuardDuty's findings: rules for Security Hub, sources in the package, and permissions."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from strictmoto.events.patterns import matches
from tapstack import AlertMapping, AlertSettings, AlertSource, LandingBucket, PolicyRule
from tapstack.domain.alert_mappings import SOURCES_FILE, dump_sources, load_sources
from tapstack.response.package import build_package
from tests.synth.response.building import NAMES, Response
from tests.synth.template import assert_equal
from tests.unit.domain.alerts import sample
from tests.unit.refusals import refusal

KEY = "arn:aws:kms:eu-central-1:111122223333:key/a"
SOURCES = {
    "hunters": AlertSource("hunters"),
    "edr": AlertSource(mapping=AlertMapping("id", "id", "level", instance_id="instance")),
}


@pytest.fixture(scope="module")
def made() -> Response:
    """A response with all of it."""
    return Response(
        alerts=AlertSettings(security_hub=True, sources=SOURCES),
        landing=LandingBucket("security-lake", KEY),
        policy=[PolicyRule("edr", "capture", sources=("edr",), types=("beacon*",))],
    )


def test_when_security_hub_is_on_then_two_rules_bring_its_findings_and_may_leave_what_fails(made: Response) -> None:
    rules = {rule["name"]: rule for rule in made.all("aws_cloudwatch_event_rule")}
    assert set(rules) == {f"ir-a-response-{name}" for name in ("findings", "securityhub", "securityhub-v2")}
    targets = made.all("aws_cloudwatch_event_target")
    assert len(targets) == len(made.all("aws_lambda_permission")) - 2 == 3
    assert {target["arn"] for target in targets} == {targets[0]["arn"]}
    # Queues of alerts take nothing from rules.
    policies = [json.loads(queue["policy"])["Statement"] for queue in made.all("aws_sqs_queue_policy")]
    [statement] = [found[0] for found in policies if found[0]["Effect"] == "Allow"]
    allowed = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert {arn.rpartition("/")[2] for arn in allowed} == set(rules)


@pytest.mark.parametrize(
    ("preset", "rule", "changes"),
    [
        (
            "securityhub",
            "securityhub",
            [
                {"RecordState": "ARCHIVED"},
                {"Workflow": {"Status": "SUPPRESSED"}},
                {"AwsAccountId": "444455556666"},
                {"Region": "eu-west-1"},
                {"Types": ["Software and Configuration Checks/AWS Security Best Practices"]},
                {"Resources": [{"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::b"}]},
            ],
        ),
        (
            "securityhub_ocsf",
            "securityhub-v2",
            [
                {"class_uid": 2003},
                {"cloud": {"account": {"uid": "444455556666"}, "region": "eu-central-1"}},
                {"resources": [{"type": "AWS::S3::Bucket", "uid": "arn:aws:s3:::b"}]},
            ],
        ),
    ],
)
def test_when_a_finding_is_no_alert_about_an_instance_of_the_site_then_its_rule_leaves_it(
    made: Response, preset: str, rule: str, changes: list[dict[str, object]]
) -> None:
    [body] = [one for one in made.all("aws_cloudwatch_event_rule") if one["name"].endswith(f"-{rule}")]
    pattern = body["event_pattern"].replace("<caller_identity.account_id>", "111122223333")
    parsed = json.loads(pattern.replace("<region.id>", "eu-central-1"))
    assert matches(parsed, sample(preset))
    for change in changes:
        event = sample(preset)
        event["detail"]["findings"][0] |= change
        assert not matches(parsed, event), change


def test_when_there_are_sources_then_the_package_has_them_and_the_environment_has_not(made: Response) -> None:
    with zipfile.ZipFile(io.BytesIO(build_package(dump_sources(SOURCES)).content)) as archive:
        assert load_sources(archive.read(f"tapstack/{SOURCES_FILE}").decode()) == SOURCES
    assert build_package(dump_sources(SOURCES)).source_code_hash == made.function("findings")["source_code_hash"]
    assert build_package().digest != build_package(dump_sources(SOURCES)).digest
    assert "hunters" not in json.dumps(made.variables("findings"))


def test_when_there_is_a_landing_then_one_function_may_put_what_is_unmatched_there_and_nothing_else(
    made: Response,
) -> None:
    statements = made.statements("FindingsFunction")
    put, encrypt = statements["KeepUnmatchedAlerts"], statements["EncryptUnmatchedAlerts"]
    assert (put["Action"], put["Resource"]) == (
        "s3:PutObject",
        "arn:<partition.partition>:s3:::security-lake/unmatched/*",
    )
    assert (encrypt["Action"], encrypt["Resource"]) == ("kms:GenerateDataKey", KEY)
    assert_equal(encrypt["Condition"], {"StringEquals": {"kms:ViaService": "s3.<region.id>.<partition.dns_suffix>"}})
    assert made.variables("findings")["TAPSTACK_LANDING_BUCKET"] == "security-lake"
    for name in NAMES:
        if name != "findings":
            assert "TAPSTACK_LANDING_BUCKET" not in made.variables(name)
            assert "security-lake" not in json.dumps(made.statements(f"{name.capitalize()}Function"))


def test_when_no_source_names_interfaces_then_ec2_may_not_be_asked_for_them(
    made: Response, launching: Response
) -> None:
    asked = made.statements("FindingsFunction")["DescribeInstances"]["Action"]
    assert asked == ["ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces"]
    assert launching.statements("FindingsFunction")["DescribeInstances"]["Action"] == ["ec2:DescribeInstances"]
    assert "KeepUnmatchedAlerts" not in launching.statements("FindingsFunction")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"policy": [PolicyRule("a", "capture", sources=("huntres",))], "alerts": AlertSettings(sources=SOURCES)},
            "policy rule a: no alerts come by huntres: did you mean hunters? expected guardduty, hunters, edr",
        ),
        (
            {"policy": [PolicyRule("a", "capture", sources=("securityhub",))]},
            "policy rule a: no alerts come by securityhub: it needs alerts.security_hub; expected guardduty",
        ),
        ({"alerts": {"security_hub": True}}, "alerts must be AlertSettings(...), got {'security_hub': True}"),
    ],
)
def test_fails_when_alerts_and_policy_do_not_fit(arguments: dict[str, object], message: str) -> None:
    assert message in refusal(lambda: Response(**arguments))
