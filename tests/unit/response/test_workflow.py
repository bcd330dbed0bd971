"""The workflow as data: every way through it leads to an end, and every failure to the end that says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tapstack.response import states, workflow

ARNS = {
    name: f"arn:aws:lambda:eu-central-1:111122223333:function:{name}"
    for name in (*workflow.FUNCTIONS, *workflow.CONTAINMENT_FUNCTIONS)
}
DEFINITION = workflow.definition(ARNS)
WITHOUT = workflow.definition({name: ARNS[name] for name in workflow.FUNCTIONS})
STATES: dict[str, dict[str, Any]] = DEFINITION["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
ENDS = {name for name, state in STATES.items() if state["Type"] in ("Succeed", "Fail")}
CATCHES = {"RecordFailure": "Failed", "RecordContainmentFailure": "ContainmentFailed", "Notify": "TimeLeft"}
"""Where these go on that do not end as a failure."""
WAITS = {"WaitForCloseOrExpiry", "WaitForApproval"}


def followers(state: dict[str, Any]) -> Iterator[str]:
    yield from (state[key] for key in ("Next", "Default") if key in state)
    yield from (part["Next"] for key in ("Choices", "Catch") for part in state.get(key, ()))


def reached_from(start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        if (name := todo.pop()) not in seen:
            seen.add(name)
            todo += followers(STATES[name])
    return seen


def test_when_the_workflow_starts_then_every_state_can_be_reached_and_no_other_is_named() -> None:
    assert reached_from(DEFINITION["StartAt"]) == set(STATES)


@pytest.mark.parametrize("name", sorted(STATES))
def test_when_in_a_state_then_an_end_can_be_reached(name: str) -> None:
    assert reached_from(name) & ENDS


def test_when_a_state_has_no_follower_then_it_is_an_end() -> None:
    assert {name for name, state in STATES.items() if not list(followers(state))} == ENDS
    assert {"Closed", "Failed", "ContainmentDone", "ContainmentLeft", "ContainmentFailed"} == ENDS


@pytest.mark.parametrize("name", sorted(TASKS))
def test_when_a_task_fails_then_it_is_retried_and_then_caught(name: str) -> None:
    task = TASKS[name]
    retried = [error for retry in task["Retry"] for error in retry["ErrorEquals"]]
    assert {"TryAgain", "Lambda.TooManyRequestsException", "Lambda.ServiceException"} <= set(retried)
    assert len(retried) == len(set(retried)), "the first retrier that matches is the one that counts"
    for retry in task["Retry"]:
        assert retry["JitterStrategy"] == "FULL"
        assert retry["MaxAttempts"] > 0
    assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"]
    contains = name in reached_from("Decide") | reached_from("Release")
    describes = "DescribeContainmentFailure" if contains else "DescribeFailure"
    assert task["Catch"][-1]["Next"] == CATCHES.get(name, describes)


@pytest.mark.parametrize("name", sorted(set(TASKS) - WAITS))
def test_when_a_step_hangs_then_it_ends_after_its_function_does(name: str) -> None:
    from tapstack.response.function_table import STEP_SECONDS

    assert TASKS[name]["TimeoutSeconds"] == states.STEP_SECONDS > STEP_SECONDS


def test_when_steps_run_then_they_get_the_id_of_the_incident_and_nothing_that_an_alert_said() -> None:
    asked = {name: dict(task["Parameters"]["Payload"]) for name, task in TASKS.items()}
    assert {payload.pop("incident_id.$") for payload in asked.values()} == {"$.incident_id"}
    assert {name: payload.pop("action") for name, payload in asked.items()} == {
        "Prepare": "prepare",
        "EnsureAppliance": "ensure",
        "StartCapture": "start",
        "Notify": "notify",
        "TimeLeft": "remaining",
        "MoveExpiry": "extend",
        "WaitForCloseOrExpiry": "wait",
        "StopCapture": "stop",
        "CloseIncident": "close",
        "ReleaseAppliance": "release",
        "DeleteAppliance": "retire",
        "RecordFailure": "fail",
        "Decide": "decide",
        "WaitForApproval": "approval",
        "Contain": "contain",
        "RestoreAgain": "restore_again",
        "NotifyContainment": "notify_containment",
        "Release": "release",
        "NotifyRelease": "notify_containment",
        "RecordContainmentFailure": "fail_containment",
    }
    assert {name: payload for name, payload in asked.items() if payload} == {
        "TimeLeft": {"waited_until.$": "$.waited_until"},
        "WaitForCloseOrExpiry": {"token.$": "$$.Task.Token"},
        "RecordFailure": {"error.$": "$.failure.as_caught.Error", "cause.$": "$.failure.as_caught.Cause"},
        "Decide": {"waited_until.$": "$.waited_until"},
        "WaitForApproval": {"token.$": "$$.Task.Token"},
        "RestoreAgain": {"waited.$": "$.restored_again.result.waited"},
        "Release": {f"{name}.$": f"$$.Execution.Input.{name}" for name in ("overwrite", "keep", "all")},
        "NotifyRelease": {"outcome.$": "$.released.result.status"},
        "RecordContainmentFailure": {
            "error.$": "$.failure.as_caught.Error",
            "cause.$": "$.failure.as_caught.Cause",
        },
    }


def test_when_steps_are_named_then_the_functions_know_them() -> None:
    from tapstack.responder.handlers import appliance, capture, containment, incident, prepare, release

    handlers = {"appliance": appliance, "capture": capture, "incident": incident, "prepare": prepare}
    handlers |= {"containment": containment, "release": release}
    for task in TASKS.values():
        function = task["Parameters"]["FunctionName"].rpartition(":")[2]
        steps = handlers[function].handler.__closure__
        assert steps is not None
        known = next(cell.cell_contents for cell in steps if isinstance(cell.cell_contents, dict))
        assert task["Parameters"]["Payload"]["action"] in known


def test_when_it_waits_for_a_decision_then_a_timeout_is_no_failure() -> None:
    wait = STATES["WaitForCloseOrExpiry"]
    assert wait["Resource"] == "arn:aws:states:::lambda:invoke.waitForTaskToken"
    assert wait["TimeoutSecondsPath"] == "$.remaining.result.seconds"
    assert wait["Catch"][0] == {"ErrorEquals": ["States.Timeout"], "ResultPath": "$.resumed", "Next": "TimeIsUp"}
    assert not any("States.Timeout" in retry["ErrorEquals"] for retry in wait["Retry"])
    # The step gets back the time that it said to wait for.
    assert (STATES["TimeIsUp"]["InputPath"], STATES["TimeIsUp"]["ResultPath"]) == (
        "$.remaining.result.until",
        "$.waited_until",
    )


def test_when_an_error_has_no_cause_then_it_is_recorded_all_the_same() -> None:
    defaults = STATES["Begin"]["Parameters"]["no_failure"]
    assert set(defaults) == {"Error", "Cause"}
    assert STATES["DescribeFailure"]["Parameters"] == {"as_caught.$": "States.JsonMerge($.no_failure, $.error, false)"}
    assert STATES["DescribeFailure"]["Next"] == "RecordFailure"


def test_when_only_closing_is_asked_for_then_nothing_is_captured() -> None:
    choice = STATES["CaptureOrClose"]["Choices"][0]
    assert choice == {"Variable": "$.task", "StringEquals": "close", "Next": "StopCapture"}
    assert not reached_from("StopCapture") & {"Prepare", "EnsureAppliance", "StartCapture", "WaitForCloseOrExpiry"}


def test_when_the_appliance_is_awaited_then_no_function_waits() -> None:
    for waiting, seconds, check in (
        ("WaitForAppliance", workflow.POLL_SECONDS, "EnsureAppliance"),
        ("WaitUntilGone", workflow.DELETION_POLL_SECONDS, "DeleteAppliance"),
    ):
        assert STATES[waiting] == {"Type": "Wait", "Seconds": seconds, "Next": check}


def test_when_capture_has_started_then_it_is_published_before_the_wait() -> None:
    assert STATES["StartCapture"]["Next"] == "Notify"
    assert STATES["Notify"]["Next"] == "TimeLeft"


def test_when_it_is_written_down_then_it_fits_and_belongs_to_its_partition() -> None:
    text = json.dumps(workflow.definition(ARNS, partition="aws-us-gov"))
    assert "arn:aws-us-gov:states:::lambda:invoke" in text
    assert '"arn:aws:states' not in text
    assert len(text) < 1024 * 1024, "AWS Step Functions Developer Guide, quotas"


def test_when_instances_cannot_be_contained_then_the_workflow_has_nothing_of_it() -> None:
    of_containment = (reached_from("Decide") | reached_from("Release")) - {"Begin"}
    assert not of_containment & set(WITHOUT["States"])
    begin, differ = WITHOUT["States"]["Begin"]["Parameters"], {"Begin", "CaptureOrClose"}
    assert {**begin, "restored_again": {"result": {"waited": 0}}} == STATES["Begin"]["Parameters"]
    assert {name: state for name, state in STATES.items() if name not in of_containment | differ} == {
        name: state for name, state in WITHOUT["States"].items() if name not in differ
    }
    assert [choice["StringEquals"] for choice in WITHOUT["States"]["CaptureOrClose"]["Choices"]] == ["close"]


def test_when_contained_or_released_then_the_capture_is_not_touched() -> None:
    ways = {choice["StringEquals"]: choice["Next"] for choice in STATES["CaptureOrClose"]["Choices"]}
    assert ways == {"close": "StopCapture", "contain": "Decide", "release": "Release"}
    of_containment = reached_from("Decide") | reached_from("Release")
    functions = {
        STATES[name]["Parameters"]["FunctionName"].rpartition(":")[2]
        for name in of_containment
        if STATES[name]["Type"] == "Task"
    }
    assert functions == {"incident", "containment", "release"}
    assert not of_containment & (reached_from("Prepare") | reached_from("StopCapture"))


def test_when_the_deadline_passes_then_the_deployments_default_applies() -> None:
    wait = STATES["WaitForApproval"]
    assert wait["Resource"] == "arn:aws:states:::lambda:invoke.waitForTaskToken"
    assert wait["TimeoutSecondsPath"] == "$.decided.result.seconds"
    assert wait["Catch"][0] == {
        "ErrorEquals": ["States.Timeout"],
        "ResultPath": "$.resumed",
        "Next": "ApprovalTimeIsUp",
    }
    late = STATES["ApprovalTimeIsUp"]
    assert (late["InputPath"], late["ResultPath"], late["Next"]) == (
        "$.decided.result.until",
        "$.waited_until",
        "Decide",
    )
    assert STATES["Decided"]["Default"] == "WaitForApproval"


def test_when_a_containment_was_overtaken_then_what_it_changed_late_is_restored() -> None:
    choices = {choice["StringEquals"]: choice["Next"] for choice in STATES["IsContained"]["Choices"]}
    assert choices == {"contained": "NotifyContainment", "overtaken": "RestoreAgain"}
    assert STATES["RestoreAgain"]["Parameters"]["FunctionName"] == STATES["Release"]["Parameters"]["FunctionName"]
    assert STATES["RestoreAgain"]["Next"] == "IsRestoredAgain"
    [waits] = STATES["IsRestoredAgain"]["Choices"]
    assert (waits["StringEquals"], waits["Next"]) == ("wait", "WaitForRelease")
    assert STATES["WaitForRelease"]["SecondsPath"] == "$.restored_again.result.seconds"
    assert STATES["WaitForRelease"]["Next"] == "RestoreAgain"
    assert STATES["IsRestoredAgain"]["Default"] == "ContainmentDone"


def test_when_isolation_has_two_steps_then_no_function_waits_between_them() -> None:
    assert STATES["IsContained"]["Default"] == "WaitBetweenSteps"
    assert STATES["WaitBetweenSteps"] == {
        "Type": "Wait",
        "SecondsPath": "$.contained.result.seconds",
        "Next": "Contain",
    }


def test_when_a_containment_waits_for_packets_then_every_failure_there_leads_to_containing() -> None:
    waits = workflow.definition(ARNS, wait_for_packets=True)["States"]
    assert set(waits) - set(STATES) == {"PacketsSeen", "PacketsJudged", "WaitForPackets"}
    seen = waits["PacketsSeen"]
    assert [caught["Next"] for caught in seen["Catch"]] == ["Contain"]
    assert seen["Parameters"]["Payload"]["waited.$"] == "$.packets.result.waited"
    assert waits["Begin"]["Parameters"]["packets"] == {"result": {"waited": 0}}
    judged = {one["StringEquals"]: one["Next"] for one in waits["PacketsJudged"]["Choices"]}
    assert (judged, waits["PacketsJudged"]["Default"]) == ({"contain": "Contain", "wait": "WaitForPackets"}, "Decide")
    decided = {one["StringEquals"]: one["Next"] for one in waits["Decided"]["Choices"]}
    assert decided["contain"] == "PacketsSeen"
