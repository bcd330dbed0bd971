"""The workflow of an incident, as a Step Functions definition.

The table holds the state. The workflow calls the steps with the incident's id, and with results
of earlier steps where they are needed. Steps are idempotent, so each is retried where Lambda
itself failed, and after transient errors (`TryAgain`). Any other error, or one that persists,
leads to `RecordFailure`, which records the resources that remain and how to delete them.

Written in JSONPath; see the Amazon States Language specification and "Wait for a callback with
the task token" in the AWS Step Functions Developer Guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tapstack.response import containment_workflow

State = dict[str, Any]

FUNCTIONS: Final = ("prepare", "appliance", "capture", "incident")
"""The functions that the workflow invokes."""

CONTAINMENT_FUNCTIONS: Final = ("containment", "release")
"""The further functions that it invokes where instances may be contained."""

POLL_SECONDS: Final = 15
"""Seconds between two checks of an appliance."""

STEP_SECONDS: Final = 150
"""How long a step may take; its function times out before."""

FAILED: Final = (
    "The incident's record says what is still in place and how to undo it: tapstack incident show, with the name of "
    "this execution."
)

TRY_AGAIN: Final = "TryAgain"

_LAMBDA_FAULTS: Final = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
]
_THROTTLED: Final = ["Lambda.TooManyRequestsException", TRY_AGAIN]


def definition(
    functions: Mapping[str, str], *, partition: str = "aws", wait_for_packets: bool = False
) -> dict[str, Any]:
    """Return the definition in the Amazon States Language.

    Args:
        functions: ARN of each of `FUNCTIONS` by name, or a token; with `CONTAINMENT_FUNCTIONS` among them
            the workflow contains and releases as well.
        partition: of the account, or a token.
        wait_for_packets: whether a containment waits until packets are seen.
    """
    invoke = f"arn:{partition}:states:::lambda:invoke"

    def step(
        function: str, action: str, result: str, then: str, failing: str = "DescribeFailure", **more: str
    ) -> State:
        return {
            "Type": "Task",
            "Resource": invoke,
            "Parameters": _payload(functions[function], action, more),
            "ResultSelector": {"result.$": "$.Payload"},
            "ResultPath": f"$.{result}",
            "TimeoutSeconds": STEP_SECONDS,
            "Retry": _retries("States.Timeout"),
            "Catch": _caught(failing),
            "Next": then,
        }

    def wait_for_token(action: str, seconds: str, late: str, then: str, failing: str = "DescribeFailure") -> State:
        return {
            "Type": "Task",
            "Resource": f"{invoke}.waitForTaskToken",
            "Parameters": _payload(functions["incident"], action, {"token.$": "$$.Task.Token"}),
            "TimeoutSecondsPath": seconds,
            "ResultPath": "$.resumed",
            "Retry": _retries(),
            "Catch": [{"ErrorEquals": ["States.Timeout"], "ResultPath": "$.resumed", "Next": late}, *_caught(failing)],
            "Next": then,
        }

    contains = set(CONTAINMENT_FUNCTIONS) <= set(functions)
    return {
        "Comment": "Tapstack: one incident, from the alert until all that it created is deleted.",
        "StartAt": "Begin",
        "States": {
            "Begin": {
                "Type": "Pass",
                # What later steps read must exist from the start: JSONPath has no defaults.
                "Parameters": {
                    "incident_id.$": "$.incident_id",
                    "task.$": "$.task",
                    "waited_until": None,
                    **({"packets": {"result": {"waited": 0}}} if wait_for_packets else {}),
                    "no_failure": {"Error": "States.TaskFailed", "Cause": ""},
                },
                "Next": "CaptureOrClose",
            },
            "CaptureOrClose": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.task", "StringEquals": "close", "Next": "StopCapture"},
                    *(containment_workflow.TASKS if contains else ()),
                ],
                "Default": "Prepare",
            },
            "Prepare": step("prepare", "prepare", "prepare", "EnsureAppliance"),
            "EnsureAppliance": step("appliance", "ensure", "appliance", "ApplianceReady"),
            "ApplianceReady": _answered("$.appliance.result.status", {"ready": "StartCapture"}, "WaitForAppliance"),
            "WaitForAppliance": {"Type": "Wait", "Seconds": POLL_SECONDS, "Next": "EnsureAppliance"},
            "StartCapture": step("capture", "start", "capture", "Notify"),
            "Notify": step("incident", "notify", "notified", "TimeLeft"),
            "TimeLeft": step(
                "incident", "remaining", "remaining", "WaitOrClose", **{"waited_until.$": "$.waited_until"}
            ),
            "WaitOrClose": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.remaining.result.status", "StringEquals": "close", "Next": "StopCapture"},
                    {"Variable": "$.resumed", "IsPresent": True, "Next": "MoveExpiry"},
                ],
                "Default": "WaitForCloseOrExpiry",
            },
            "MoveExpiry": step("capture", "extend", "extended", "WaitForCloseOrExpiry"),
            # The timeout is the ordinary end of a capture, not a failure.
            "WaitForCloseOrExpiry": wait_for_token("wait", "$.remaining.result.seconds", "TimeIsUp", "TimeLeft"),
            "TimeIsUp": {
                "Type": "Pass",
                "InputPath": "$.remaining.result.until",
                "ResultPath": "$.waited_until",
                "Next": "TimeLeft",
            },
            "StopCapture": step("capture", "stop", "stopped", "CloseIncident"),
            "CloseIncident": step("incident", "close", "closed", "ReleaseAppliance"),
            "ReleaseAppliance": step("appliance", "release", "released", "RetireAppliance"),
            "RetireAppliance": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.released.result.retire", "BooleanEquals": True, "Next": "KeepApplianceForAWhile"}
                ],
                "Default": "Closed",
            },
            "KeepApplianceForAWhile": {
                "Type": "Wait",
                "SecondsPath": "$.released.result.after_seconds",
                "Next": "DeleteAppliance",
            },
            "DeleteAppliance": step("appliance", "retire", "retired", "ApplianceGone"),
            "ApplianceGone": _answered(
                "$.retired.result.status", {"gone": "Closed", "kept": "Closed"}, "WaitUntilGone"
            ),
            "WaitUntilGone": {"Type": "Wait", "Seconds": POLL_SECONDS, "Next": "DeleteAppliance"},
            "Closed": {"Type": "Succeed"},
            "DescribeFailure": {
                "Type": "Pass",
                # Not every error has a cause: a timeout, for example, has none.
                "Parameters": {"as_caught.$": "States.JsonMerge($.no_failure, $.error, false)"},
                "ResultPath": "$.failure",
                "Next": "RecordFailure",
            },
            "RecordFailure": step(
                "incident",
                "fail",
                "recorded",
                "Failed",
                "Failed",
                **{"error.$": "$.failure.as_caught.Error", "cause.$": "$.failure.as_caught.Cause"},
            ),
            "Failed": {"Type": "Fail", "Error": "IncidentFailed", "Cause": FAILED},
            **(
                containment_workflow.states(step, _answered, wait_for_token, wait_for_packets=wait_for_packets)
                if contains
                else {}
            ),
        },
    }


def _payload(function: str, action: str, more: Mapping[str, str]) -> State:
    return {
        "FunctionName": function,
        "Payload": {"action": action, "incident_id.$": "$.incident_id", **more},
    }


def _retries(*more: str) -> list[State]:
    """Retry faults of Lambda, and steps that end with a transient error."""
    return [
        _retry([*_LAMBDA_FAULTS, *more], attempts=4, most=30),
        # Jitter keeps the retries of many incidents in a throttled account apart.
        _retry(_THROTTLED, attempts=10, most=60),
    ]


def _retry(errors: list[str], *, attempts: int, most: int) -> State:
    return {
        "ErrorEquals": errors,
        "IntervalSeconds": 1,
        "MaxAttempts": attempts,
        "BackoffRate": 2,
        "MaxDelaySeconds": most,
        "JitterStrategy": "FULL",
    }


def _caught(then: str = "DescribeFailure") -> list[State]:
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": then}]


def _answered(variable: str, answers: Mapping[str, str], otherwise: str) -> State:
    return {
        "Type": "Choice",
        "Choices": [{"Variable": variable, "StringEquals": answer, "Next": then} for answer, then in answers.items()],
        "Default": otherwise,
    }
