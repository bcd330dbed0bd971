"""How long an execution waits: wait states and retries, each as long as the account's waits say.

A wait takes the scale at its beginning; a later change is for later waits.

Source: Step Functions Developer Guide, "Wait workflow state" and "Handling errors in Step Functions workflows".
"""

from __future__ import annotations

import datetime
from typing import Any, Final

from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.common.retry.max_attempts_decl import MaxAttemptsOutcome
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import TimeoutSeconds
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.wait.wait_function import timestamp, wait_function

from strictmoto.running import running

_NO_TIMEOUT: Final = TimeoutSeconds.DEFAULT_TIMEOUT_SECONDS


def install() -> None:
    """Replace how moto waits."""
    function: Any = wait_function.WaitFunction
    function._wait_interval = _wait
    moment: Any = timestamp.Timestamp
    moment._from_timestamp_string = staticmethod(parse)
    moment._get_wait_seconds = _until
    retrier: Any = retrier_decl.RetrierDecl
    retrier._eval_body = _retry
    _wait_for_ever()


def parse(text: Any) -> datetime.datetime | None:
    """Return the moment that an RFC 3339 timestamp names; None where it is none."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None and "T" in text else None


def _wait(self: Any, env: Any, wait_seconds: float) -> None:
    env.program_state_event.wait(running().waits.of(wait_seconds))
    if not env.is_running():
        env.event_manager.add_event(context=env.event_history_context, event_type=HistoryEventType.WaitStateAborted)


def _until(self: Any, env: Any) -> float:
    self.string.eval(env=env)
    text = env.stack.pop()
    moment = parse(text)
    if moment is None:
        raise FailureEventException(self._create_failure_event(env, text))
    return (moment - datetime.datetime.now(datetime.UTC)).total_seconds()


def _retry(self: Any, env: Any) -> None:
    self.error_equals.eval(env)
    if not env.stack.pop():
        env.stack.append(RetrierOutcome.Skipped)
        return
    self.max_attempts.eval(env=env)
    if env.stack.pop() == MaxAttemptsOutcome.EXHAUSTED:
        env.stack.append(RetrierOutcome.Failed)
        return
    for part in (self.interval_seconds, self.backoff_rate, self.max_delay_seconds, self.jitter_strategy):
        part.eval(env=env)
    env.program_state_event.wait(running().waits.of(env.stack.pop()))
    env.stack.append(RetrierOutcome.Executed)


def _wait_for_ever() -> None:
    """A task with a heartbeat and without a timeout has none; moto's ends after a minute."""
    state: Any = execute_state.ExecutionState
    from_props = state.from_state_props

    def from_state_props(self: Any, state_props: Any) -> None:
        from_props(self, state_props)
        if getattr(self.timeout, "is_default", None):
            self.timeout = TimeoutSeconds(timeout_seconds=_NO_TIMEOUT, is_default=True)

    state.from_state_props = from_state_props
