"""What the workflow has besides where instances may be contained: two tasks that are executions of their own.

`contain` asks what was decided, waits for approval where it was not, and contains the instance; `release` restores
its prior state. Neither touches the capture, which runs in the incident's own execution: to contain now never waits for
an appliance, and a capture that fails, or ends, leaves a containment as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

State = dict[str, Any]

TASKS: Final[tuple[State, ...]] = (
    {"Variable": "$.task", "StringEquals": "contain", "Next": "Decide"},
    {"Variable": "$.task", "StringEquals": "release", "Next": "Release"},
)
"""Where the executions of their own begin."""

FAILED: Final = (
    "The incident's record says what is changed already; tapstack incident release, with the id that begins the name "
    "of this execution, puts it back."
)
_FAILING: Final = "DescribeContainmentFailure"


def states(
    step: Callable[..., State], answered: Callable[..., State], wait_for_token: Callable[..., State]
) -> dict[str, State]:
    """Return the states of both tasks.

    Args:
        step: makes a state that invokes a function, from function, action, result, what comes then, what on failure.
        answered: makes a choice, from a variable, what its answers lead to, and what any other does.
        wait_for_token: makes a state that waits to be woken, from action, seconds, what comes when time is up, and what
            when woken or failing.
    """
    return {
        "Decide": step("incident", "decide", "decided", "Decided", _FAILING, **{"waited_until.$": "$.waited_until"}),
        "Decided": answered(
            "$.decided.result.status", {"contain": "Contain", "leave": "ContainmentLeft"}, "WaitForApproval"
        ),
        # Without an answer the deployment's default applies.
        "WaitForApproval": wait_for_token(
            "approval", "$.decided.result.seconds", "ApprovalTimeIsUp", "Decide", _FAILING
        ),
        "ApprovalTimeIsUp": {
            "Type": "Pass",
            "InputPath": "$.decided.result.until",
            "ResultPath": "$.waited_until",
            "Next": "Decide",
        },
        "Contain": step("containment", "contain", "contained", "IsContained", _FAILING),
        "IsContained": answered(
            "$.contained.result.status",
            {"contained": "NotifyContainment", "overtaken": "RestoreAgain"},
            "WaitBetweenSteps",
        ),
        # EC2 knows no condition: what was under way when the instance was released has arrived after that.
        "RestoreAgain": step("release", "restore_again", "restored_again", "ContainmentDone", _FAILING),
        "WaitBetweenSteps": {"Type": "Wait", "SecondsPath": "$.contained.result.seconds", "Next": "Contain"},
        "NotifyContainment": step("incident", "notify_containment", "notified", "ContainmentDone", _FAILING),
        "Release": step(
            "release",
            "release",
            "released",
            "NotifyRelease",
            _FAILING,
            # How, only the execution's own input says.
            **{f"{name}.$": f"$$.Execution.Input.{name}" for name in ("overwrite", "keep", "all")},
        ),
        "NotifyRelease": step(
            "incident",
            "notify_containment",
            "notified",
            "ContainmentDone",
            _FAILING,
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
