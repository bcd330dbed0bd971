"""stacks/response.py: what a site's response in the deployment file becomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stacks.synthesis import synthesize
from tapstack.settings.load import parse_deployment
from tapstack.workspace import state
from tests.synth.ids import FILTER, NLB, SUBNET, TARGET, TEMPLATE_URL, VPC, eni
from tests.synth.template import assert_equal

LAUNCH = f'{{template_url: "{TEMPLATE_URL}", subnet_id: {SUBNET}, remote_access_cidr: 10.0.0.0/8, max_hours: 8}}'


def deployment(response: str, more: str = "") -> str:
    return f"""
project: ir
tags: {{owner: soc}}
sites:
  a:
    region: eu-central-1
    vpc_id: {VPC}
    {more}
    response: {response}
"""


def written(tmp_path: Path, text: str) -> dict[str, Any]:
    """The Terraform of every stack of a deployment file."""
    assert synthesize(parse_deployment(text), tmp_path, tmp_path / "out") == []
    return {
        file.parent.name: json.loads(file.read_text()) for file in sorted(tmp_path.glob("out/stacks/*/cdk.tf.json"))
    }


def settings(stack: dict[str, Any]) -> dict[str, Any]:
    function = next(iter(stack["resource"]["aws_lambda_function"].values()))
    found: dict[str, Any] = json.loads(function["environment"]["variables"]["TAPSTACK_SETTINGS"])
    return found


def dependencies(directory: Path) -> dict[str, list[str]]:
    """Which stacks the cdktf CLI wants before each."""
    manifest = json.loads((directory / "out" / "manifest.json").read_text())
    return {name: stack["dependencies"] for name, stack in manifest["stacks"].items()}


@pytest.fixture(scope="module")
def launching(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    directory = tmp_path_factory.mktemp("launching")
    response = f"""
      appliance: {{launch: {LAUNCH}}}
      authorization: {{jwt: {{issuer: "https://login.example.com/t", audience: [tapstack]}}}}
      capture: {{minutes: 30, max_minutes: 120}}
      policy: [{{name: c2, severity: {{at_least: 7.0}}, action: capture}}]
      notify: {{emails: [soc@example.com], topic_arns: ["arn:aws:sns:eu-central-1:111122223333:soc"]}}
      retention_days: 30
      log_retention_days: 30
      deletion_protection: false
"""
    return directory, written(directory, deployment(response))


def test_when_a_site_has_a_response_then_it_is_a_stack_with_a_state_of_its_own(
    launching: tuple[Path, dict[str, Any]],
) -> None:
    _, stacks = launching
    assert set(stacks) == {"a", "a-response"}
    assert stacks["a-response"]["terraform"]["backend"] == {"local": {"path": "../../../state/ir/a-response.tfstate"}}
    (provider,) = stacks["a-response"]["provider"]["aws"]
    assert provider["default_tags"] == [{"tags": {"tapstack:deployment": "ir", "tapstack:site": "a", "owner": "soc"}}]


def test_when_a_response_is_written_then_every_setting_arrives(launching: tuple[Path, dict[str, Any]]) -> None:
    stack = launching[1]["a-response"]
    resources = stack["resource"]
    assert settings(stack)["capture"]["minutes"] == 30
    assert settings(stack)["capture"]["max_minutes"] == 120
    assert settings(stack)["retention_days"] == 30
    assert settings(stack)["appliance"]["launch"]["stack_name"] == "ir-a-epb"
    (table,) = resources["aws_dynamodb_table"].values()
    assert table["deletion_protection_enabled"] is False
    assert {group["retention_in_days"] for group in resources["aws_cloudwatch_log_group"].values()} == {30}
    assert {route["authorization_type"] for route in resources["aws_apigatewayv2_route"].values()} == {"JWT"}
    assert len(resources["aws_sns_topic_subscription"]) == 1
    thresholds = {alarm["threshold"] for alarm in resources["aws_cloudwatch_metric_alarm"].values()}
    assert thresholds == {0, 8}


def test_when_a_response_is_deployed_then_its_outputs_are_what_an_operator_needs_next(
    launching: tuple[Path, dict[str, Any]],
) -> None:
    outputs = launching[1]["a-response"]["output"]
    assert set(outputs) == {
        "api_endpoint",
        "state_machine_arn",
        "table_name",
        "topic_arn",
        "dashboard_url",
        "appliance_stack_name",
    }


def test_when_a_response_is_synthesized_then_its_package_lies_beside_it(
    launching: tuple[Path, dict[str, Any]],
) -> None:
    directory, stacks = launching
    files = {f["filename"] for f in stacks["a-response"]["resource"]["aws_lambda_function"].values()}
    (file,) = files
    assert (directory / "out" / "stacks" / "a-response" / file).is_file()
    assert not (directory / "out" / "stacks" / "a" / "assets").exists()


def test_when_an_appliance_is_launched_then_the_response_is_deployed_without_the_capture(
    launching: tuple[Path, dict[str, Any]],
) -> None:
    assert dependencies(launching[0]) == {"a": [], "a-response": []}


def test_when_target_and_filter_are_the_sites_own_then_they_are_looked_up_by_name_and_tags(tmp_path: Path) -> None:
    more = f"targets: {{sensor: {{network_interface_id: {eni(1)}}}}}\n    filters: {{all: {{preset: everything}}}}"
    stack = written(tmp_path, deployment("{appliance: {target: sensor, filter: all}}", more))["a-response"]
    lookups = stack["data"]["aws_resourcegroupstaggingapi_resources"]
    assert_equal(
        lookups["target-sensor"]["tag_filter"],
        [
            {"key": "Name", "values": ["sensor"]},
            {"key": "tapstack:deployment", "values": ["ir"]},
            {"key": "tapstack:site", "values": ["a"]},
        ],
    )
    assert lookups["target-sensor"]["resource_type_filters"] == ["ec2:traffic-mirror-target"]
    assert lookups["filter-all"]["resource_type_filters"] == ["ec2:traffic-mirror-filter"]
    assert "Deploy the stack a first." in lookups["target-sensor"]["lifecycle"]["postcondition"][0]["error_message"]
    existing = settings(stack)["appliance"]["existing"]
    assert existing["target_id"].startswith("${local.")
    assert (existing["target_interface_id"], existing["max_sources"]) == (eni(1), 10)
    assert "aws_cloudformation_stack" not in stack["data"]
    assert "appliance_stack_name" not in stack["output"]
    assert dependencies(tmp_path) == {"a": [], "a-response": ["a"]}


ALERTS = "alerts: {security_hub: true, sources: {soc: {preset: generic}}}"


@pytest.mark.thorough
def test_when_alerts_come_in_then_the_landing_that_the_site_makes_is_looked_up_and_deployed_before(
    tmp_path: Path,
) -> None:
    stack = written(tmp_path, deployment(f"{{appliance: {{launch: {LAUNCH}}}, {ALERTS}}}", "xdr: {}"))["a-response"]
    assert stack["data"]["aws_kms_alias"]["landing-key"]["name"] == "alias/ir-a-xdr-key"
    bucket = "ir-a-xdr-${data.aws_caller_identity.account.account_id}"
    assert variables(stack, "findings")["TAPSTACK_LANDING_BUCKET"] == bucket
    policies = [json.loads(body["policy"]) for body in stack["resource"]["aws_iam_role_policy"].values()]
    put = [one for policy in policies for one in policy["Statement"] if one.get("Action") == "s3:PutObject"]
    assert [one["Resource"].rpartition(":::")[2] for one in put] == [f"{bucket}/unmatched/*"]
    assert dependencies(tmp_path)["a-response"] == ["a-xdr"]


def test_when_alerts_come_in_and_the_landing_exists_then_nothing_is_looked_up(tmp_path: Path) -> None:
    xdr = "xdr: {landing: {bucket: security-lake}}"
    stack = written(tmp_path, deployment(f"{{appliance: {{launch: {LAUNCH}}}, {ALERTS}}}", xdr))["a-response"]
    assert "aws_kms_alias" not in stack["data"]
    assert variables(stack, "findings")["TAPSTACK_LANDING_BUCKET"] == "security-lake"
    assert dependencies(tmp_path)["a-response"] == []


def variables(stack: dict[str, Any], name: str) -> dict[str, str]:
    [found] = [one for one in stack["resource"]["aws_lambda_function"].values() if f".{name}." in one["handler"]]
    values: dict[str, str] = found["environment"]["variables"]
    return values


def test_when_containment_is_written_then_every_setting_arrives(tmp_path: Path) -> None:
    containment = """
      modes: [approval, now]
      approval: {minutes: 5, default: contain}
      protect: {tags: {role: "domain-*"}, instance_ids: [i-0123456789abcdef0]}
      vpc_ids: [vpc-0b1b2c3d4e5f60718]
      per_hour: 3
      wait_for_packets: {at_most_seconds: 900}
      two_step: {enabled: true, seconds: 30}
      tcp_established_seconds: 60
      auto_scaling: {decrement_desired_capacity: true}
      load_balancers: {deregister: false}
      termination_protection: false
      stop_on_shutdown: false
      keep_volumes: false
      snapshots: true
      instance_profile: restrict"""
    inner = containment.replace("\n      ", "\n        ")
    response = f"\n      appliance: {{target: {TARGET}, filter: {FILTER}}}\n      containment:{inner}\n"
    stack = written(tmp_path, deployment(response))["a-response"]
    said = settings(stack)["containment"]
    groups = said.pop("groups")
    assert set(groups) == {VPC, "vpc-0b1b2c3d4e5f60718"}
    assert all(set(pair) == {"quarantine", "untrack"} for pair in groups.values())
    # The groups name them.
    assert said.pop("vpc_ids") == []
    assert_equal(
        said,
        {
            "modes": ["approval", "now"],
            "approval": {"minutes": 5, "default": "contain", "other_person": True, "source_identity_roles": []},
            "protect": {"tags": {"role": "domain-*"}, "instance_ids": ["i-0123456789abcdef0"]},
            "per_hour": 3,
            "wait_for_packets": {"at_most_seconds": 900},
            "two_step": {"enabled": True, "seconds": 30},
            "tcp_established_seconds": 60,
            "auto_scaling": {"standby": True, "decrement_desired_capacity": True},
            "load_balancers": {"deregister": False},
            "termination_protection": False,
            "stop_on_shutdown": False,
            "keep_volumes": False,
            "snapshots": True,
            "instance_profile": "restrict",
        },
    )


def test_when_ids_are_written_then_nothing_is_looked_up(tmp_path: Path) -> None:
    stack = written(tmp_path, deployment(f"{{appliance: {{target: {TARGET}, filter: {FILTER}}}}}"))["a-response"]
    assert set(stack["data"]) == {"aws_caller_identity", "aws_partition", "aws_region"}
    existing = settings(stack)["appliance"]["existing"]
    assert (existing["target_id"], existing["filter_id"]) == (TARGET, FILTER)
    assert "max_sources" not in existing
    assert dependencies(tmp_path) == {"a": [], "a-response": []}


def test_when_a_load_balancer_receives_then_sources_are_not_limited(tmp_path: Path) -> None:
    more = f'targets: {{many: {{network_load_balancer_arn: "{NLB}"}}}}'
    stack = written(tmp_path, deployment(f"{{appliance: {{target: many, filter: {FILTER}}}}}", more))["a-response"]
    assert "max_sources" not in settings(stack)["appliance"]["existing"]


BALANCED = f"subnet_ids: [{SUBNET}, subnet-0f23456789abcdef0]"
BASICS = f'packet_basics: {{template_url: "{TEMPLATE_URL}", subnet_id: {SUBNET}, remote_access_cidr: 10.0.0.0/8'


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("behind", "appliances"),
    [
        ("instance_ids: [i-0123abcd, i-0123abce]", ["i-0123abcd", "i-0123abce"]),
        ("ip_addresses: [10.0.1.5]", ["10.0.1.5"]),
    ],
)
def test_when_the_site_makes_the_load_balancer_then_the_response_gets_the_appliances_behind_it(
    tmp_path: Path, behind: str, appliances: list[str]
) -> None:
    more = f"targets: {{many: {{load_balancer: {{{BALANCED}, {behind}}}}}}}"
    stack = written(tmp_path, deployment(f"{{appliance: {{target: many, filter: {FILTER}}}}}", more))["a-response"]
    assert settings(stack)["appliance"]["existing"]["target_appliances"] == appliances


@pytest.mark.parametrize(
    ("given", "appliance"),
    [("}", "${data.aws_instance."), (", instance_id: i-0123abcd}", "i-0123abcd")],
)
def test_when_the_site_s_own_appliance_is_behind_the_load_balancer_then_the_response_gets_it(
    tmp_path: Path, given: str, appliance: str
) -> None:
    more = f"{BASICS}{given}\n    targets: {{many: {{load_balancer: {{{BALANCED}}}}}}}"
    stack = written(tmp_path, deployment(f"{{appliance: {{target: many, filter: {FILTER}}}}}", more))["a-response"]
    (found,) = settings(stack)["appliance"]["existing"]["target_appliances"]
    assert found.startswith(appliance)


def test_when_a_type_is_accepted_for_a_target_then_incidents_may_use_all_of_its_sources(tmp_path: Path) -> None:
    sensor = f"network_interface_id: {eni(1)}, instance_type: m9.24xlarge, accept_instance_type: true"
    more = f"targets: {{sensor: {{{sensor}}}}}"
    stack = written(tmp_path, deployment(f"{{appliance: {{target: sensor, filter: {FILTER}}}}}", more))["a-response"]
    assert settings(stack)["appliance"]["existing"]["max_sources"] == 100


def test_when_packet_basics_exists_then_it_is_found_by_the_name_of_its_stack(tmp_path: Path) -> None:
    more = f'packet_basics: {{template_url: "{TEMPLATE_URL}", subnet_id: {SUBNET}, remote_access_cidr: 10.0.0.0/8}}'
    stack = written(tmp_path, deployment("{}", more))["a-response"]
    (found,) = stack["data"]["aws_cloudformation_stack"].values()
    assert found["name"] == "ir-a-packet-basics"
    existing = settings(stack)["appliance"]["existing"]
    assert existing["max_sources"] == 10
    assert existing["portal_url"].startswith("${local.")
    assert existing["target_interface_id"].startswith("${data.aws_instance.")
    # Found, not read from the other state, which would hand over the portal's password.
    assert "terraform_remote_state" not in stack["data"]
    assert dependencies(tmp_path) == {"a": [], "a-response": ["a"]}


def test_when_packet_basics_ids_are_written_then_they_serve(tmp_path: Path) -> None:
    more = (
        f'packet_basics: {{template_url: "{TEMPLATE_URL}", subnet_id: {SUBNET}, remote_access_cidr: 10.0.0.0/8, '
        f"target_id: {TARGET}, filter_id: {FILTER}, network_interface_id: {eni(7)}}}"
    )
    existing = settings(written(tmp_path, deployment("{}", more))["a-response"])["appliance"]["existing"]
    assert (existing["target_id"], existing["filter_id"], existing["target_interface_id"]) == (TARGET, FILTER, eni(7))


def test_when_a_site_has_a_response_then_its_state_belongs_to_a_stack() -> None:
    parsed = parse_deployment(deployment(f"{{appliance: {{launch: {LAUNCH}}}}}"))
    assert state.stack_names(parsed) == ["a", "a-response"]
