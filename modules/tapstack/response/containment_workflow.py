"""The further states of the workflow where instances may be contained: two tasks, each an execution of its own.

`contain` reads the decision, waits for approval while it is pending, and contains the instance; `release` restores its
prior state. Neither affects the capture, which runs in the incident's own execution: containing never waits for an
appliance, and neither the failure nor the end of a capture changes a containment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tapstack.response.states import State, Tasks, answered

TASKS: Final[tuple[State, ...]] = (
    {"Variable": "$.task", "StringEquals": "contain", "Next": "Decide"},
    {"Variable": "$.task", "StringEquals": "release", "Next": "Release"},
)
"""The first states of these tasks."""

FAILED: Final = (
    "The incident's record says what is changed already; tapstack incident release, with the id that begins the name "
    "of this execution, restores the prior state."
)
_FAILING: Final = "DescribeContainmentFailure"


def states(functions: Mapping[str, str], *, partition: str, wait_for_packets: bool) -> dict[str, State]:
    """Return the states of both tasks.

    Args:
        functions: ARN of each function by name, or a token.
        partition: of the account, or a token.
        wait_for_packets: whether a containment waits for packets; otherwise no function is invoked for that.
    """
    tasks = Tasks(functions, partition, _FAILING)
    step = tasks.step
    contain = "PacketsSeen" if wait_for_packets else "Contain"
    return {
        "Decide": step("incident", "decide", "decided", "Decided", **{"waited_until.$": "$.waited_until"}),
        "Decided": answered(
            "$.decided.result.status", {"contain": contain, "leave": "ContainmentLeft"}, "WaitForApproval"
        ),
        # Without an answer the deployment's default applies.
        "WaitForApproval": tasks.wait_for_token("approval", "$.decided.result.seconds", "ApprovalTimeIsUp", "Decide"),
        "ApprovalTimeIsUp": {
            "Type": "Pass",
            "InputPath": "$.decided.result.until",
            "ResultPath": "$.waited_until",
            "Next": "Decide",
        },
        **(_packets(tasks) if wait_for_packets else {}),
        "Contain": step("containment", "contain", "contained", "IsContained"),
        "IsContained": answered(
            "$.contained.result.status",
            {"contained": "NotifyContainment", "overtaken": "RestoreAgain"},
            "WaitBetweenSteps",
        ),
        # EC2 has no conditional calls: calls of an overtaken containment may take effect after the release.
        "RestoreAgain": step(
            "release",
            "restore_again",
            "restored_again",
            "IsRestoredAgain",
            **{"waited.$": "$.restored_again.result.waited"},
        ),
        "IsRestoredAgain": answered(
            "$.restored_again.result.status", {"wait": "WaitForRelease"}, otherwise="ContainmentDone"
        ),
        "WaitForRelease": {
            "Type": "Wait",
            "SecondsPath": "$.restored_again.result.seconds",
            "Next": "RestoreAgain",
        },
        "WaitBetweenSteps": {"Type": "Wait", "SecondsPath": "$.contained.result.seconds", "Next": "Contain"},
        "NotifyContainment": step("incident", "notify_containment", "notified", "ContainmentDone"),
        "Release": step(
            "release",
            "release",
            "released",
            "NotifyRelease",
            # The flags are in the input of the execution only.
            **{f"{name}.$": f"$$.Execution.Input.{name}" for name in ("overwrite", "keep", "all")},
        ),
        "NotifyRelease": step(
            "incident",
            "notify_containment",
            "notified",
            "ContainmentDone",
            **{"outcome.$": "$.released.result.status"},
        ),
        "ContainmentDone": {"Type": "Succeed"},
        "ContainmentLeft": {"Type": "Succeed"},
        _FAILING: {
            "Type": "Pass",
            "Parameters": {"as_caught.$": "States.JsonMerge($.no_failure, $.error, false)"},
            "ResultPath": "$.failure",
            "Next": "RecordContainmentFailure",
        },
        "RecordContainmentFailure": step(
            "incident",
            "fail_containment",
            "recorded",
            "ContainmentFailed",
            "ContainmentFailed",
            **{"error.$": "$.failure.as_caught.Error", "cause.$": "$.failure.as_caught.Cause"},
        ),
        "ContainmentFailed": {"Type": "Fail", "Error": "ContainmentFailed", "Cause": FAILED},
    }


def _packets(tasks: Tasks) -> dict[str, State]:
    """Return the states that wait for packets; whatever fails there, the instance is contained."""
    waited = {"waited.$": "$.packets.result.waited"}
    return {
        "PacketsSeen": tasks.step("incident", "packets", "packets", "PacketsJudged", "Contain", **waited),
        "PacketsJudged": answered(
            "$.packets.result.status", {"contain": "Contain", "wait": "WaitForPackets"}, "Decide"
        ),
        "WaitForPackets": {"Type": "Wait", "SecondsPath": "$.packets.result.seconds", "Next": "PacketsSeen"},
    }
