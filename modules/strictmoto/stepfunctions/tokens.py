"""Task tokens: one an attempt, used once, closed with its task.

Source: Step Functions Developer Guide, "Discover service integration patterns", "Wait for a Callback with Task
Token"; API Reference, SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from typing import Any, Final

from moto.core.exceptions import AWSError
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_callback
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.eval import states
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackOutcomeTimedOut, HeartbeatTimedOut

from strictmoto.running import running

_FORM: Final = re.compile(r"AQ[\w-]{100,}")


class TaskToken:
    """A token that was given out.

    Attributes:
        value: what the worker of the task sees.
        machine_arn: of the state machine that gave it out.
    """

    def __init__(self, machine_arn: str) -> None:
        """Make one that cannot be guessed."""
        self.value = "AQ" + secrets.token_urlsafe(120)
        self.machine_arn = machine_arn
        self._changed = threading.Condition()
        self._outcome: Any = None
        self._open = True
        self._last_beat = time.monotonic()

    def answer(self, outcome: Any) -> None:
        """Take the task's outcome.

        Raises:
            AWSError: TaskTimedOut, where it has one already or its task ended.
        """
        with self._changed:
            self._check()
            self._outcome, self._open = outcome, False
            self._changed.notify_all()

    def beat(self) -> None:
        """Note that the task is alive.

        Raises:
            AWSError: TaskTimedOut, where the task ended.
        """
        with self._changed:
            self._check()
            self._last_beat = time.monotonic()
            self._changed.notify_all()

    def close(self) -> None:
        """Take no outcome any more."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def wait(self, seconds: float, heartbeat: float | None) -> Any:
        """Wait for the outcome; return how it timed out otherwise, None where the token was closed.

        Args:
            seconds: how long to wait.
            heartbeat: how long to wait for each sign of life.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            self._last_beat = time.monotonic()
            while self._open:
                now = time.monotonic()
                dead = None if heartbeat is None else self._last_beat + heartbeat
                if now >= deadline:
                    self._open = False
                    return CallbackOutcomeTimedOut(callback_id=self.value)
                if dead is not None and now >= dead:
                    self._open = False
                    return HeartbeatTimedOut()
                # A year at once is more than a lock can wait on every system.
                self._changed.wait(min(deadline if dead is None else min(dead, deadline), now + 86400) - now)
            return self._outcome

    def _check(self) -> None:
        if not self._open:
            raise AWSError("Task Timed Out: 'Provided task does not exist anymore'", "TaskTimedOut")


_tokens: dict[str, TaskToken] = {}


def find(value: str) -> TaskToken:
    """Return a token that was given out.

    Raises:
        AWSError: InvalidToken, where it is none; TaskDoesNotExist, where the account knows it no more.
    """
    if value in _tokens:
        return _tokens[value]
    if _FORM.fullmatch(value or ""):
        raise AWSError("Task does not exist", "TaskDoesNotExist")
    raise AWSError("Invalid Token: 'Invalid token'", "InvalidToken")


def machine_of(value: str) -> str | None:
    """Return the ARN of the state machine that gave out a token; None for one that is not known."""
    token = _tokens.get(value)
    return token.machine_arn if token is not None else None


def forget() -> None:
    """Close and forget all tokens."""
    for token in list(_tokens.values()):
        token.close()
    _tokens.clear()


def close_token_of(env: Any) -> None:
    """Close the token of the attempt that runs there, if any."""
    task = env.states.context_object.context_object_data.get("Task")
    if task and task["Token"] in _tokens:
        _tokens[task["Token"]].close()


def install() -> None:
    """Replace moto's tokens."""
    callback: Any = state_task_service_callback.StateTaskServiceCallback
    context: Any = states.ContextObject
    context.update_task_token = _new
    # moto makes one token for all attempts of a state: a retry would end with the last attempt's outcome.
    callback._eval_body = StateTask._eval_body
    callback._eval_execution = _attempt
    callback._eval_wait_for_task_token = _wait


def _new(self: Any) -> str:
    token = TaskToken(str(self.context_object_data["StateMachine"]["Id"]))
    _tokens[token.value] = token
    self.context_object_data["Task"] = {"Token": token.value}
    return token.value


def _attempt(self: Any, env: Any) -> None:
    needed = (
        self.resource.condition is not None
        and ResourceCondition.WaitForTaskToken in self._supported_integration_patterns
    )
    if self.resource.condition is not None:
        self._assert_integration_pattern_is_supported()
    if needed:
        env.callback_pool_manager.add(env.states.context_object.update_task_token())
    try:
        StateTaskService._eval_execution(self, env)
    finally:
        close_token_of(env)


def _wait(self: Any, env: Any, timeout_seconds: int, callback_endpoint: Any, heartbeat_endpoint: Any) -> Any:
    waits = running().waits
    heartbeat = None if heartbeat_endpoint is None else waits.of(heartbeat_endpoint._heartbeat_seconds)
    outcome = find(callback_endpoint.callback_id).wait(waits.of(timeout_seconds), heartbeat)
    return CallbackOutcomeTimedOut(callback_id=callback_endpoint.callback_id) if outcome is None else outcome
