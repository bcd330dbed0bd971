"""stacks/xdr.py: what the telemetry of a site in the deployment file becomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stacks.synthesis import synthesize
from stacks.xdr import XdrStack
from tapstack.bindings import cdk
from tapstack.settings.load import parse_deployment
from tapstack.workspace import state
from tapstack.workspace.stacks import select, site_of
from tests.synth.ids import FILTER, TARGET, VPC

FILE = f"""
project: ir
sites:
  a:
    region: eu-central-1
    vpc_id: {VPC}
    xdr:
      landing: {{keep_days: 30, unmatched_days: 7, flow_log_accounts: ["444455556666"], deletion_protection: false}}
"""
WITH_READER = f"""{FILE.rstrip()}
      readers:
        lake: {{own: {{principals: ["arn:aws:iam::111122223333:role/lake"]}}, queue: true, prefixes: [flow]}}
"""
WITH_RESPONSE = f"""{WITH_READER.rstrip()}
      incidents: {{ocsf: true}}
    response:
      appliance: {{target: {TARGET}, filter: {FILTER}}}
      notify: {{topic_arns: ["arn:aws:sns:eu-central-1:111122223333:security"]}}
      log_retention_days: 30
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("xdr")
    assert synthesize(parse_deployment(FILE), directory, directory / "out") == []
    found = {file.parent.name: file for file in sorted(Path(directory).glob("out/stacks/*/cdk.tf.json"))}
    assert set(found) == {"a", "a-xdr"}
    return dict(json.loads(found["a-xdr"].read_text()))


def test_when_a_site_has_telemetry_then_it_is_a_stack_with_a_state_of_its_own(stack: dict[str, Any]) -> None:
    assert stack["terraform"]["backend"] == {"local": {"path": "../../../state/ir/a-xdr.tfstate"}}
    (provider,) = stack["provider"]["aws"]
    assert provider["default_tags"] == [{"tags": {"tapstack:deployment": "ir", "tapstack:site": "a"}}]


def test_when_telemetry_is_written_then_every_setting_arrives(stack: dict[str, Any]) -> None:
    assert {bucket["force_destroy"] for bucket in stack["resource"]["aws_s3_bucket"].values()} == {True}
    lifecycles = stack["resource"]["aws_s3_bucket_lifecycle_configuration"].values()
    rules = [rule for body in lifecycles for rule in body["rule"] if "expiration" in rule]
    assert {rule["expiration"][0]["days"] for rule in rules} == {30, 7}


def test_when_telemetry_is_deployed_then_its_outputs_are_what_an_operator_needs_next(stack: dict[str, Any]) -> None:
    assert set(stack["output"]) == {"landing_bucket", "landing_key_arn"}


def test_when_the_site_has_a_response_then_its_incidents_land_and_its_topics_are_notified(
    stack: dict[str, Any], tmp_path: Path
) -> None:
    assert "aws_lambda_function" not in stack["resource"]
    made = resources(WITH_RESPONSE, tmp_path)
    (function,) = made["aws_lambda_function"].values()
    assert function["environment"]["variables"]["TAPSTACK_TELEMETRY_OCSF"] == "true"
    (log,) = made["aws_cloudwatch_log_group"].values()
    assert log["retention_in_days"] == 30
    alarms = {alarm["alarm_name"]: alarm["alarm_actions"] for alarm in made["aws_cloudwatch_metric_alarm"].values()}
    assert set(alarms) == {
        "ir-a-xdr-incidents-errors",
        *(f"ir-a-xdr-{queue}-{what}" for queue in ("incidents", "reader-lake") for what in ("age", "dead-letters")),
    }
    for own, given in alarms.values():
        assert own.endswith(":ir-a-response-notices")
        assert given == "arn:aws:sns:eu-central-1:111122223333:security"


def test_when_the_site_has_no_response_then_alarms_of_readers_are_only_shown(tmp_path: Path) -> None:
    alarms = {
        each["alarm_name"]: each for each in resources(WITH_READER, tmp_path)["aws_cloudwatch_metric_alarm"].values()
    }
    assert set(alarms) == {"ir-a-xdr-reader-lake-age", "ir-a-xdr-reader-lake-dead-letters"}
    assert not [alarm for alarm in alarms.values() if "alarm_actions" in alarm]


def test_when_a_queue_has_a_consumer_then_an_alarm_says_how_long_messages_wait(tmp_path: Path) -> None:
    made = resources(WITH_RESPONSE, tmp_path)
    consumed = {name for name, queue in made["aws_sqs_queue"].items() if "redrive_policy" in queue}
    watched = {
        alarm["dimensions"]["QueueName"].split(".")[1]: alarm["threshold"]
        for alarm in made["aws_cloudwatch_metric_alarm"].values()
        if alarm["metric_name"] == "ApproximateAgeOfOldestMessage"
    }
    assert len(consumed) == 2
    assert set(watched) == consumed
    assert set(watched.values()) == {1800, 3600}


def resources(text: str, directory: Path) -> dict[str, Any]:
    """The resources of the site's telemetry, by type."""
    app = cdk.Testing.app()
    built = XdrStack(app, "a", deployment=parse_deployment(text), base=directory, outdir=directory / "out")
    return dict(json.loads(cdk.Testing.synth(built))["resource"])


def test_when_stacks_are_ordered_then_telemetry_comes_between_capture_and_response() -> None:
    response = f"{{appliance: {{target: {TARGET}, filter: {FILTER}}}}}"
    text = f"{FILE.rstrip()}\n    response: {response}\n"
    deployment = parse_deployment(text)
    names = ["a", "a-xdr", "a-response"]
    assert state.stack_names(deployment) == names
    assert [site_of(deployment, name) for name in names] == ["a", "a", "a"]
    assert list(select(deployment, ["*"], "deploy", file="f").stacks) == names
    assert list(select(deployment, ["*"], "destroy", file="f").stacks) == names[::-1]


def test_when_the_file_has_no_telemetry_any_more_then_its_state_is_named(tmp_path: Path) -> None:
    left = tmp_path / "state" / "ir" / "a-xdr.tfstate"
    left.parent.mkdir(parents=True)
    left.write_text(json.dumps({"resources": [{"mode": "managed"}]}))
    text = FILE.partition("    xdr:")[0] + "    targets: {x: {network_interface_id: eni-0a1b2c3d4e5f60718}}\n"

    (warning,) = state.state_warnings(parse_deployment(text), tmp_path, tmp_path / "out")

    assert "holds 1 resource of the telemetry of site a, which the deployment file no longer has" in warning
    assert 'put sites.a.xdr back and destroy it (make destroy ARGS="a-xdr")' in warning
