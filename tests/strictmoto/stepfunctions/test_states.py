"""What states do in strictmoto.

Source: Step Functions Developer Guide, "Discovering workflow states to use in Step Functions" and "Handling errors".
"""

from __future__ import annotations

import datetime
import json
from types import SimpleNamespace
from typing import Any

import pytest

from strictmoto.stepfunctions import waits
from tests.strictmoto.stepfunctions.conftest import ROLE, Workflows, machine, task

NO_TABLE = {"TableName": "absent", "Key": {"id": {"S": "1"}}}
GET_ITEM = "arn:aws:states:::dynamodb:getItem"


def wait_then_end(**wait: Any) -> dict[str, Any]:
    return machine(Wait={"Type": "Wait", **wait, "End": True})


@pytest.mark.parametrize("wait", [{"Seconds": 40}, {"SecondsPath": "$.seconds"}, {"TimestampPath": "$.moment"}])
def test_when_a_state_waits_then_the_wait_is_multiplied_by_the_scale(
    workflows: Workflows, waited: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch, wait: Any
) -> None:
    class Noon(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(2026, 1, 1, 12, tzinfo=tz)

    monkeypatch.setattr(waits, "datetime", SimpleNamespace(datetime=Noon, UTC=datetime.UTC))
    ended = workflows.run(wait_then_end(**wait), {"seconds": 40, "moment": "2026-01-01T12:00:40Z"})
    assert ended["status"] == "SUCCEEDED"
    assert waited == [(40, 0.4)]


def test_when_a_timestamp_has_an_offset_or_lies_in_the_past_then_it_is_understood(workflows: Workflows) -> None:
    assert workflows.run(wait_then_end(Timestamp="2020-01-01T10:00:00+02:00"))["status"] == "SUCCEEDED"


def test_when_a_task_fails_then_it_is_tried_again_as_often_as_its_retry_says(workflows: Workflows) -> None:
    retry = [{"ErrorEquals": ["DynamoDB.ResourceNotFoundException"], "IntervalSeconds": 5, "MaxAttempts": 2}]
    ended = workflows.run(machine(Get=task(GET_ITEM, NO_TABLE, Retry=retry)))
    assert (ended["status"], ended["error"]) == ("FAILED", "DynamoDB.ResourceNotFoundException")
    assert len(workflows.account.recorder.records(service="dynamodb")) == 3
    assert (ended["stopDate"] - ended["startDate"]).total_seconds() > 0.14


def test_when_an_error_is_caught_then_the_result_path_gets_error_and_cause(workflows: Workflows) -> None:
    catch = [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.failure", "Next": "Done"}]
    output = workflows.output(
        machine(Get=task(GET_ITEM, NO_TABLE, Catch=catch), Done={"Type": "Succeed"}), {"incident": 7}
    )
    assert output["incident"] == 7
    assert output["failure"]["Error"] == "DynamoDB.ResourceNotFoundException"
    assert "Service: AmazonDynamoDBv2; Status Code: 400" in output["failure"]["Cause"]


def test_fails_when_a_runtime_error_meets_a_catch_of_all(workflows: Workflows) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Done"}]
    get = task(GET_ITEM, {"TableName.$": "$.absent", "Key": {}}, Catch=catch)
    ended = workflows.run(machine(Get=get, Done={"Type": "Succeed"}))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


def test_when_branches_run_then_their_outputs_are_a_list_in_order(workflows: Workflows) -> None:
    slow = machine(A={"Type": "Wait", "Seconds": 5, "Next": "B"}, B={"Type": "Pass", "Result": 1, "End": True})
    fast = machine(C={"Type": "Pass", "Result": 2, "End": True})
    assert workflows.output(machine(Both={"Type": "Parallel", "Branches": [slow, fast], "End": True})) == [1, 2]


def test_when_a_branch_fails_with_a_reserved_name_then_it_is_caught_and_the_others_end(workflows: Workflows) -> None:
    fails = machine(Fail={"Type": "Fail", "Error": "States.Timeout", "Cause": "late"})
    waits = machine(Wait={"Type": "Wait", "Seconds": 99999, "End": True})
    both = {
        "Type": "Parallel",
        "Branches": [fails, waits],
        "Catch": [
            {"ErrorEquals": ["States.TaskFailed"], "Next": "Wrong"},
            {"ErrorEquals": ["States.Timeout"], "Next": "Right"},
        ],
        "Next": "Wrong",
    }
    output = workflows.output(machine(Both=both, Wrong={"Type": "Fail"}, Right={"Type": "Succeed"}))
    assert output == {"Error": "States.Timeout", "Cause": "late"}


def each(**state: Any) -> dict[str, Any]:
    return {"Type": "Map", "ItemProcessor": machine(Item=state), "End": True}


def test_when_a_map_runs_then_its_iterations_know_their_index_and_keep_their_order(workflows: Workflows) -> None:
    item = {"Type": "Wait", "Seconds": 1, "End": True}
    state = {**each(**item), "ItemsPath": "$.items", "MaxConcurrency": 3}
    state["ItemSelector"] = {"index.$": "$$.Map.Item.Index", "value.$": "$$.Map.Item.Value"}
    output = workflows.output(machine(Each=state), {"items": ["a", "b", "c", "d"]})
    assert output == [{"index": n, "value": value} for n, value in enumerate("abcd")]


def test_when_a_map_has_a_concurrency_then_no_more_iterations_run_at_once(workflows: Workflows) -> None:
    ended = workflows.run(
        machine(Each={**each(Type="Wait", Seconds=10, End=True), "MaxConcurrency": 2}), list(range(6))
    )
    assert ended["status"] == "SUCCEEDED"
    assert 0.3 <= (ended["stopDate"] - ended["startDate"]).total_seconds() < 3


def test_when_a_map_has_a_thousand_items_then_it_runs_one_after_the_other(workflows: Workflows) -> None:
    state = {**each(Type="Pass", End=True), "MaxConcurrency": 1}
    execution = workflows.start(workflows.create(machine(Each=state)), list(range(1100)))
    ended = workflows.end(execution, 30)
    assert json.loads(ended["output"]) == list(range(1100))


def test_fails_when_an_iteration_of_a_map_fails(workflows: Workflows) -> None:
    ended = workflows.run(machine(Each=each(Type="Fail", Error="Broken", Cause="it is")), [1, 2])
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "Broken", "it is")


def test_when_states_ask_for_the_context_then_they_get_it(workflows: Workflows) -> None:
    wanted = {
        "id.$": "$$.Execution.Id",
        "name.$": "$$.Execution.Name",
        "input.$": "$$.Execution.Input",
        "started.$": "$$.Execution.StartTime",
        "role.$": "$$.Execution.RoleArn",
        "state.$": "$$.State.Name",
        "entered.$": "$$.State.EnteredTime",
        "machine.$": "$$.StateMachine.Name",
    }
    arn = workflows.create(machine(Show={"Type": "Pass", "Parameters": wanted, "End": True}))
    execution = workflows.start(arn, {"a": 1}, name="first")
    output = json.loads(workflows.end(execution)["output"])
    assert output | {"started": 0, "entered": 0} == {
        "id": execution,
        "name": "first",
        "input": {"a": 1},
        "started": 0,
        "role": ROLE,
        "state": "Show",
        "entered": 0,
        "machine": "workflow",
    }
    assert output["started"].endswith("Z")
    assert output["entered"].endswith("Z")


def test_when_states_compute_then_intrinsic_functions_do(workflows: Workflows) -> None:
    computed = {
        "text.$": "States.Format('{} of {}', $.a, $.b)",
        "sum.$": "States.MathAdd($.a, $.b)",
        "list.$": "States.Array($.a, $.b)",
        "length.$": "States.ArrayLength(States.Array(1, 2, 3))",
        "json.$": "States.StringToJson('{\"x\": 1}')",
        "merged.$": "States.JsonMerge($.c, $.d, false)",
    }
    state = {"Type": "Pass", "Parameters": computed, "End": True}
    assert workflows.output(machine(Show=state), {"a": 1, "b": 2, "c": {"x": 1}, "d": {"y": 2}}) == {
        "text": "1 of 2",
        "sum": 3,
        "list": [1, 2],
        "length": 3,
        "json": {"x": 1},
        "merged": {"x": 1, "y": 2},
    }


def test_when_a_choice_finds_no_rule_then_the_execution_fails(workflows: Workflows) -> None:
    rules = [{"Variable": "$.n", "NumericGreaterThan": 5, "Next": "Done"}]
    definition = machine(Ask={"Type": "Choice", "Choices": rules}, Done={"Type": "Succeed"})
    arn = workflows.create(definition)
    assert workflows.end(workflows.start(arn, {"n": 6}))["status"] == "SUCCEEDED"
    assert workflows.end(workflows.start(arn, {"n": 5}))["error"] == "States.NoChoiceMatched"


def test_when_a_state_fails_by_path_then_error_and_cause_come_from_the_input(workflows: Workflows) -> None:
    ended = workflows.run(machine(Fail={"Type": "Fail", "ErrorPath": "$.e", "CausePath": "$.c"}), {"e": "E", "c": "C"})
    assert (ended["error"], ended["cause"]) == ("E", "C")


def test_fails_when_the_machine_runs_longer_than_its_timeout(workflows: Workflows) -> None:
    ended = workflows.run({**wait_then_end(Seconds=99_999), "TimeoutSeconds": 30})
    assert ended["status"] == "TIMED_OUT"
    assert workflows.types(ended["executionArn"])[-1] == "ExecutionTimedOut"


FOUND: dict[str, tuple[str, Any]] = {
    "an index": ("$.d[0]", {"id": "a", "n": 1}),
    "a member behind an index": ("$.d[0].id", "a"),
    "an index behind an index": ("$.deep[1][0].id", "c"),
    "the last one": ("$.d[-1].id", "b"),
    "a list": ("$.one", [{"id": "x"}]),
    "a wildcard that finds one": ("$.one[*].id", ["x"]),
    "a wildcard that finds two": ("$.d[*].id", ["a", "b"]),
    "a wildcard that finds none": ("$.d[*].absent", []),
    "an index behind a wildcard": ("$.deep[*][0].id", ["b", "c"]),
    "all members": ("$.map.*", [1]),
    "a slice of one": ("$.d[0:1]", [{"id": "a", "n": 1}]),
    "a descent to one": ("$.one..id", ["x"]),
    "a filter that finds one": ("$.d[?(@.n == 2)].id", ["b"]),
    "a filter that finds none": ("$.d[?(@.n == 3)].id", []),
}


@pytest.mark.parametrize(("path", "expected"), FOUND.values(), ids=FOUND)
def test_when_a_path_is_definite_then_it_gives_the_value_and_else_a_list(
    workflows: Workflows, path: str, expected: Any
) -> None:
    """As Jayway's JsonPath, which the guide names."""
    given = {
        "d": [{"id": "a", "n": 1}, {"id": "b", "n": 2}],
        "deep": [[{"id": "b"}], [{"id": "c"}]],
        "one": [{"id": "x"}],
        "map": {"a": 1},
    }
    read = {"Type": "Pass", "InputPath": path, "ResultPath": "$.read", "Next": "Give"}
    give = {"Type": "Pass", "Parameters": {"read.$": "$.read", "found.$": path}, "End": True}
    assert workflows.output(machine(Read=read, Give=give), given) == {"read": expected, "found": expected}


@pytest.mark.parametrize("path", ["$.d[5].id", "$.d[0].absent", "$.absent[*].id", "$.absent[?(@.n == 1)]"])
def test_fails_when_what_a_path_must_meet_is_not_there(workflows: Workflows, path: str) -> None:
    ended = workflows.run(machine(Pass={"Type": "Pass", "InputPath": path, "End": True}), {"d": [{"id": "a"}]})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")


def test_when_a_choice_compares_a_member_behind_an_index_then_it_meets_the_value(workflows: Workflows) -> None:
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.d[0].VpcId", "StringEquals": "vpc-1", "Next": "Yes"}],
        "Default": "No",
    }
    yes, no = ({"Type": "Pass", "Result": text, "End": True} for text in ("yes", "no"))
    assert workflows.output(machine(Choose=choice, Yes=yes, No=no), {"d": [{"VpcId": "vpc-1"}]}) == "yes"
