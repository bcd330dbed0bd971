"""States of Step Functions, as the workflow has them: tasks that are retried and caught, and choices.

Written in JSONPath; see the Amazon States Language specification and "Wait for a callback with the task token" in the
AWS Step Functions Developer Guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

State = dict[str, Any]

STEP_SECONDS: Final = 150
"""How long a step may take; its function times out before."""

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


@dataclass(frozen=True, slots=True)
class Tasks:
    """Makes the states that invoke functions.

    Attributes:
        functions: ARNs by name, or tokens.
        partition: of the account, or a token.
        failing: the state after a failure.
    """

    functions: Mapping[str, str]
    partition: str
    failing: str

    def step(
        self, function: str, action: str, result: str, then: str, failing: str | None = None, **more: str
    ) -> State:
        """Return a state that has a function do something.

        Args:
            function: which.
            action: what it does.
            result: where its result goes in the state of the execution.
            then: the next state.
            failing: the state after a failure; `self.failing` by default.
            **more: what the function gets besides.
        """
        return {
            "Type": "Task",
            "Resource": self._invoke,
            "Parameters": self._payload(function, action, more),
            "ResultSelector": {"result.$": "$.Payload"},
            "ResultPath": f"$.{result}",
            "TimeoutSeconds": STEP_SECONDS,
            "Retry": _retries("States.Timeout"),
            "Catch": _caught(failing or self.failing),
            "Next": then,
        }

    def wait_for_token(self, action: str, seconds: str, late: str, then: str) -> State:
        """Return a state that waits for its task token, which the function `incident` records.

        Args:
            action: of that function.
            seconds: where the state of the execution says how long.
            late: the state after that time.
            then: the state once the token is returned.
        """
        timeout = {"ErrorEquals": ["States.Timeout"], "ResultPath": "$.resumed", "Next": late}
        return {
            "Type": "Task",
            "Resource": f"{self._invoke}.waitForTaskToken",
            "Parameters": self._payload("incident", action, {"token.$": "$$.Task.Token"}),
            "TimeoutSecondsPath": seconds,
            "ResultPath": "$.resumed",
            "Retry": _retries(),
            "Catch": [timeout, *_caught(self.failing)],
            "Next": then,
        }

    @property
    def _invoke(self) -> str:
        return f"arn:{self.partition}:states:::lambda:invoke"

    def _payload(self, function: str, action: str, more: Mapping[str, str]) -> State:
        return {
            "FunctionName": self.functions[function],
            "Payload": {"action": action, "incident_id.$": "$.incident_id", **more},
        }


def answered(variable: str, answers: Mapping[str, str], otherwise: str) -> State:
    """Return a choice.

    Args:
        variable: what it depends on.
        answers: the next state for each of its values.
        otherwise: that for all others.
    """
    return {
        "Type": "Choice",
        "Choices": [{"Variable": variable, "StringEquals": answer, "Next": then} for answer, then in answers.items()],
        "Default": otherwise,
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


def _caught(then: str) -> list[State]:
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": then}]
