"""What the deploying roles may do: every call of a deployment is allowed, and nothing is that none needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from scripts import deploying_policies as deploying
from strictmoto.account import Account
from tests.terraform.conftest import Terraform

pytestmark = pytest.mark.long

POLICIES = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in sorted(deploying.FOLDER.glob("*.json"))}


@pytest.fixture(scope="module")
def recording(terraform: Terraform, aws_account_server: Account) -> Iterator[deploying.Recording]:
    """A deployment of the example, from nothing to nothing, by roles without policies."""
    assert terraform
    aws_account_server.reset()
    aws_account_server.enforces_iam = False
    yield deploying.record(aws_account_server, lambda _: None)
    aws_account_server.enforces_iam = True


def test_when_the_example_is_planned_applied_updated_and_destroyed_then_every_call_is_allowed(
    recording: deploying.Recording,
) -> None:
    assert {phase for phase, _, _ in recording.calls} == {"apply", "plan", "update", "destroy"}
    assert deploying.refusals(recording, POLICIES) == []


def test_when_the_example_has_been_deployed_then_every_change_that_is_allowed_was_needed(
    recording: deploying.Recording,
) -> None:
    assert deploying.surplus(recording, POLICIES) == []


def test_when_the_example_is_planned_then_no_role_that_applies_is_assumed(recording: deploying.Recording) -> None:
    callers = {call.principal for phase, _, call in recording.calls if phase == "plan"}
    assert callers == {f"arn:aws:iam::{account}:role/tapstack-plan" for account in ("123456789012", "444455556666")}


@pytest.mark.parametrize(
    ("policy", "action"),
    [
        ("plan.json", "ec2:DescribeVpcs"),
        ("plan-xdr.json", "guardduty:DescribePublishingDestination"),
        ("apply-capture.json", "ec2:CreateTrafficMirrorSession"),
        ("apply-response.json", "lambda:CreateFunction"),
        ("apply-response.json", "secretsmanager:CreateSecret"),
        ("apply-xdr.json", "guardduty:CreatePublishingDestination"),
        ("apply-xdr.json", "s3:PutLifecycleConfiguration"),
        ("apply-xdr-access.json", "ec2:CreateFlowLogs"),
        ("apply-xdr-access.json", "iam:CreateOpenIDConnectProvider"),
        ("apply-appliance.json", "ec2:RunInstances"),
        ("apply-appliance.json", "ec2:DeleteTrafficMirrorFilterRule"),
    ],
)
def test_fails_when_a_policy_lacks_an_action(recording: deploying.Recording, policy: str, action: str) -> None:
    assert any(action in found for found in deploying.refusals(recording, _changed(policy, remove=action)))


def test_fails_when_the_appliance_is_not_made_by_way_of_the_named_service(recording: deploying.Recording) -> None:
    text = json.dumps(POLICIES["apply-appliance.json"]).replace("cloudformation.amazonaws.com", "athena.amazonaws.com")
    refused = deploying.refusals(recording, {**POLICIES, "apply-appliance.json": json.loads(text)})
    assert any("ec2:RunInstances" in found for found in refused)


def test_fails_when_a_policy_allows_another_change(recording: deploying.Recording) -> None:
    wider = _changed("apply-capture.json", add="ec2:DeleteVpc")
    assert deploying.surplus(recording, wider) == ["apply-capture.json allows ec2:DeleteVpc on *, which no call needed"]


def test_fails_when_a_condition_is_for_another_deployment(recording: deploying.Recording) -> None:
    text = json.dumps(POLICIES["apply-capture.json"]).replace(f'/{deploying.OWNED}": "tapstack"', '/none": "other"')
    refused = deploying.refusals(recording, {**POLICIES, "apply-capture.json": json.loads(text)})
    assert any("ec2:DeleteSecurityGroup" in found for found in refused)


def _changed(policy: str, *, remove: str = "", add: str = "") -> Mapping[str, Any]:
    document = json.loads(json.dumps(POLICIES[policy]))
    for statement in document["Statement"]:
        actions = statement["Action"]
        statement["Action"] = [one for one in ([actions] if isinstance(actions, str) else actions) if one != remove]
    if add:
        document["Statement"].append({"Effect": "Allow", "Action": add, "Resource": "*"})
    return {**POLICIES, policy: document}
