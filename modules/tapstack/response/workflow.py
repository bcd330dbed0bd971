"""The workflow of an incident, as a Step Functions definition.

The table holds the state. The workflow calls the steps with the incident's id, and with results
of earlier steps where they are needed. Steps are idempotent, so each is retried where Lambda
itself failed, and after transient errors (`TryAgain`). Any other error, or one that persists,
leads to `RecordFailure`, which records the resources that remain and how to delete them.

An execution ends, as failed, at 25,000 events, so each of its loops is bounded. At most it has

- 10,800 while it waits for an appliance: 9 events every `POLL_SECONDS`, for 5 hours (`appliance.ensure`);
- 5,360 while it captures: 20 for each of 268 waits (`incident.remaining`). Closing ends a wait, and so does a severity
  that rises while an interface waits for a place, which is three times at most. Nothing else does;
- 3,240 while an appliance is deleted: 9 every `DELETION_POLL_SECONDS`, for 6 hours (`appliance.retire`);

which leaves 5,600 for what is retried: three for each attempt. An execution that contains has 2,160 at most while it
waits for packets, 9 every 15 seconds for an hour, 3,240 while it waits for a release that overtook it, 9 every minute
for 6 hours (`restoration.restore_again`), and a few for an answer: each request has an execution of its own.

Source: AWS Step Functions Developer Guide, "Service quotas" (executions: maximum execution history size).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tapstack.response import containment_workflow
from tapstack.response.states import Tasks, answered

FUNCTIONS: Final = ("prepare", "appliance", "capture", "incident")
"""The functions that the workflow invokes."""

CONTAINMENT_FUNCTIONS: Final = ("containment", "release")
"""The further functions that it invokes where instances may be contained."""

POLL_SECONDS: Final = 15
"""Seconds between two checks of an appliance that is launched."""

DELETION_POLL_SECONDS: Final = 60
"""Likewise of one that is deleted, for which nothing waits: its snapshots may take hours."""

FAILED: Final = (
    "The incident's record says what is still in place and how to undo it: tapstack incident show, with the name of "
    "this execution."
)
_FAILING: Final = "DescribeFailure"


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
    tasks = Tasks(functions, partition, _FAILING)
    step = tasks.step
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
                    **({"restored_again": {"result": {"waited": 0}}} if contains else {}),
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
            "ApplianceReady": answered("$.appliance.result.status", {"ready": "StartCapture"}, "WaitForAppliance"),
            "WaitForAppliance": {"Type": "Wait", "Seconds": POLL_SECONDS, "Next": "EnsureAppliance"},
            "StartCapture": step("capture", "start", "capture", "Notify"),
            # Whatever fails there, it captures.
            "Notify": step("incident", "notify", "notified", "TimeLeft", "TimeLeft"),
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
            "WaitForCloseOrExpiry": tasks.wait_for_token("wait", "$.remaining.result.seconds", "TimeIsUp", "TimeLeft"),
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
            "ApplianceGone": answered("$.retired.result.status", {"gone": "Closed", "kept": "Closed"}, "WaitUntilGone"),
            "WaitUntilGone": {"Type": "Wait", "Seconds": DELETION_POLL_SECONDS, "Next": "DeleteAppliance"},
            "Closed": {"Type": "Succeed"},
            _FAILING: {
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
                containment_workflow.states(functions, partition=partition, wait_for_packets=wait_for_packets)
                if contains
                else {}
            ),
        },
    }
