"""The life of an execution: started once, running in threads of its own, ended once.

Source: Step Functions API Reference, StartExecution, StopExecution, DescribeExecution and DeleteStateMachine.
"""

from __future__ import annotations

import copy
import datetime
import threading
import time
from typing import Any, Final

from moto.stepfunctions.parser.api import CloudWatchEventsExecutionDataDetails, ExecutionStatus, HistoryEventType
from moto.stepfunctions.parser.asl.component.state import state
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.evaluation_details import AWSExecutionDetails
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext
from moto.stepfunctions.parser.asl.eval.program_state import ProgramError, ProgramTimedOut
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from strictmoto.running import running
from strictmoto.stepfunctions import attempts, publishing, sdk, tokens

# How long whoever stops an execution waits for its threads, in seconds.
_PATIENCE: Final = 3.0
_runs: set[Run] = set()
_lock = threading.Lock()


class Run:
    """An execution.

    Attributes:
        machine: the state machine, version or alias's version as it was when the execution started.
        machine_arn: of the state machine itself.
        version_arn: of the version that was started, if any.
        alias_arn: of the alias that was started, if any.
    """

    def __init__(
        self, machine: Any, name: str, text: str, value: Any, account_id: str, region: str, alias_arn: str | None
    ) -> None:
        """Prepare it; nothing runs yet."""
        self.machine = copy.copy(machine)
        self.machine_arn = getattr(machine, "source_arn", machine.arn)
        self.version_arn = machine.arn if hasattr(machine, "source_arn") else None
        self.alias_arn = alias_arn
        self.name = name
        self.execution_input = text
        self.input = value
        self.account_id = account_id
        self.region_name = region
        self.sm_type = machine.type
        kind = "execution" if self.sm_type == "STANDARD" else "express"
        self.exec_arn = f"{self.machine_arn.replace(':stateMachine:', f':{kind}:')}:{name}"
        self.execution_arn = self.exec_arn
        self.start_date = datetime.datetime.now(datetime.UTC)
        self.stop_date: datetime.datetime | None = None
        self.status = ExecutionStatus.RUNNING.value
        self.output: Any = None
        self.error: str | None = None
        self.cause: str | None = None
        self.env = self._environment()
        self._program = AmazonStateLanguageParser.parse(machine.definition)[0]
        self._ending = threading.Lock()
        self._thread: threading.Thread | None = None

    def _environment(self) -> Any:
        context = {
            "Execution": {
                "Id": self.exec_arn,
                "Input": self.input,
                "Name": self.name,
                "RoleArn": self.machine.roleArn,
                "StartTime": sdk.timestamp(self.start_date),
                "RedriveCount": 0,
            },
            "StateMachine": {"Id": self.machine_arn, "Name": self.machine.name},
        }
        # moto has types, but it takes what has the same methods.
        make: Any = Environment
        return make(
            aws_execution_details=AWSExecutionDetails(
                account=self.account_id, region=self.region_name, role_arn=self.machine.roleArn
            ),
            execution_type=self.sm_type,
            context=context,
            event_history_context=EventHistoryContext.of_program_start(),
            cloud_watch_logging_session=publishing.log_of(self.exec_arn, self.machine.loggingConfiguration),
            activity_store={},
        )

    def start(self) -> None:
        """Run it, in a thread."""
        self.env.event_manager.add_event(
            context=self.env.event_history_context,
            event_type=HistoryEventType.ExecutionStarted,
            event_details={
                "executionStartedEventDetails": {
                    "input": self.execution_input,
                    "inputDetails": {"truncated": False},
                    "roleArn": self.machine.roleArn,
                }
            },
            update_source_event_id=False,
        )
        with _lock:
            _register()
            _runs.add(self)
        publishing.publish(self)
        # Stopped, or dropped by a reset, since it was listed: then it never runs, and `join` has nothing to wait for.
        with self._ending:
            if self.stop_date is None:
                self._thread = threading.Thread(target=self._run, name=f"strictmoto-{self.name}", daemon=True)
                self._thread.start()
                return
        with _lock:
            _runs.discard(self)

    def _run(self) -> None:
        try:
            self._program.eval(self.env)
            ended = self.env.program_state()
            if isinstance(ended, ProgramError):
                failure = ended.error or {}
                self._end(ExecutionStatus.FAILED, failure.get("error"), failure.get("cause"))
            elif isinstance(ended, ProgramTimedOut):
                self._end(ExecutionStatus.TIMED_OUT)
            else:
                self._end(ExecutionStatus.SUCCEEDED)
        finally:
            with _lock:
                _runs.discard(self)

    def _end(self, status: Any, error: str | None = None, cause: str | None = None) -> bool:
        with self._ending:
            if self.stop_date is not None:
                return False
            if status == ExecutionStatus.SUCCEEDED:
                self.output = self.env.states.get_input()
            self.error, self.cause = error, cause
            self.status = status.value
            self.stop_date = datetime.datetime.now(datetime.UTC)
        publishing.publish(self)
        return True

    def stop(self, error: str | None = None, cause: str | None = None) -> None:
        """Abort it, wherever it is; one that ended stays as it is."""
        if not self._end(ExecutionStatus.ABORTED, error, cause):
            return
        self._halt(error, cause)
        self.join(_PATIENCE)

    def _halt(self, error: str | None = None, cause: str | None = None) -> None:
        self.env.set_stop(stop_date=self.stop_date, error=error, cause=cause)

    def join(self, seconds: float) -> None:
        """Wait for its thread, at most that long."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def drop(self) -> None:
        """End it without an event, because the account forgets everything."""
        with self._ending:
            self.stop_date = self.stop_date or datetime.datetime.now(datetime.UTC)
        self._halt()

    @property
    def history(self) -> list[dict[str, Any]]:
        """What happened so far, as GetExecutionHistory has it."""
        events: list[dict[str, Any]] = self.env.event_manager.get_event_history()
        return events

    @property
    def input_details(self) -> Any:
        """That the input is shown whole."""
        return CloudWatchEventsExecutionDataDetails(included=True)


def running_of(machine_arn: str) -> list[Run]:
    """Return the executions of a state machine that run."""
    with _lock:
        return [run for run in _runs if run.machine_arn == machine_arn and run.stop_date is None]


def abort_at_transitions(is_deleting: Any) -> None:
    """Abort executions of state machines that are being deleted when they enter another state."""
    cls: Any = state.CommonStateField
    enter = cls._eval_body

    def entered(self: Any, env: Any) -> None:
        context = env.states.context_object.context_object_data
        if is_deleting(context["StateMachine"]["Id"]):
            with _lock:
                found = [run for run in _runs if run.exec_arn == context["Execution"]["Id"]]
            for run in found:
                run._end(ExecutionStatus.ABORTED)
                run._halt()
            return
        enter(self, env)

    cls._eval_body = entered


def _register() -> None:
    account = running()
    if _forget not in account.at_reset:
        account.at_reset.append(_forget)
        # What is called last: calls that tasks wait for end with the functions that serve them.
        account.at_reset.insert(0, attempts.join_all)


def _forget() -> None:
    with _lock:
        runs = list(_runs)
    for run in runs:
        run.drop()
    tokens.forget()
    deadline = time.monotonic() + _PATIENCE
    for run in runs:
        run.join(max(0.0, deadline - time.monotonic()))
    with _lock:
        _runs.clear()
