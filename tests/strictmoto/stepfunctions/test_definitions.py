"""Which definitions strictmoto takes.

Source: Step Functions API Reference, ValidateStateMachineDefinition.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.stepfunctions.conftest import Workflows, machine, task

GOOD = machine(Pass={"Type": "Pass", "End": True})
BAD: dict[str, tuple[Any, str]] = {
    "no json": ("{", "INVALID_JSON_DESCRIPTION"),
    "no start": ({"States": GOOD["States"]}, "SCHEMA_VALIDATION_FAILED"),
    "start missing": ({**GOOD, "StartAt": "Other"}, "MISSING_TRANSITION_TARGET"),
    "next missing": (
        machine(A={"Type": "Pass", "Next": "B"}, C={"Type": "Succeed"}),
        "MISSING_TRANSITION_TARGET",
    ),
    "unreachable": (machine(A={"Type": "Pass", "End": True}, B={"Type": "Succeed"}), "MISSING_TRANSITION_TARGET"),
    "no end": (machine(A={"Type": "Pass", "Next": "A"}), "MISSING_END_STATE"),
    "neither next nor end": (machine(A={"Type": "Pass"}, B={"Type": "Succeed"}), "SCHEMA_VALIDATION_FAILED"),
    "unknown type": (machine(A={"Type": "Sleep", "End": True}), "SCHEMA_VALIDATION_FAILED"),
    "no resource": (machine(A={"Type": "Task", "End": True}), "SCHEMA_VALIDATION_FAILED"),
    "resource": (machine(A=task("nonsense")), "INVALID_RESOURCE"),
    "action": (machine(A=task("arn:aws:states:::aws-sdk:ec2:describeEverything")), "INVALID_RESOURCE"),
    "field": (
        machine(A=task("arn:aws:states:::aws-sdk:ec2:describeInstances", {"InstanceId": "i-1"})),
        "SCHEMA_VALIDATION_FAILED",
    ),
    "twice": (
        machine(A={"Type": "Parallel", "Branches": [machine(A={"Type": "Succeed"})], "End": True}),
        "DUPLICATE_STATE_NAME",
    ),
    "inner": (
        machine(A={"Type": "Map", "ItemProcessor": machine(B={"Type": "Pass", "Next": "C"}), "End": True}),
        "MISSING_TRANSITION_TARGET",
    ),
}


@pytest.mark.parametrize(("definition", "expected"), BAD.values(), ids=BAD)
def test_fails_when_a_definition_is_none(workflows: Workflows, definition: Any, expected: str) -> None:
    text = definition if isinstance(definition, str) else json.dumps(definition)
    found = workflows.states.validate_state_machine_definition(definition=text)
    assert found["result"] == "FAIL"
    assert expected in {each["code"] for each in found["diagnostics"]}
    with pytest.raises(ClientError, match=expected) as refused:
        workflows.states.create_state_machine(name="bad", definition=text, roleArn="arn:aws:iam::123456789012:role/r")
    assert refused.value.response["Error"]["Code"] == "InvalidDefinition"


def test_when_a_definition_is_good_then_validation_finds_nothing(workflows: Workflows) -> None:
    found = workflows.states.validate_state_machine_definition(definition=json.dumps(GOOD), type="STANDARD")
    assert (found["result"], found["diagnostics"], found["truncated"]) == ("OK", [], False)


def test_fails_when_a_definition_is_written_in_jsonata(workflows: Workflows) -> None:
    with pytest.raises(ClientError, match="JSONata is not supported here"):
        workflows.create({**GOOD, "QueryLanguage": "JSONata"})
