"""Executions of the workflow: of an incident's capture, and those that contain or release.

An execution of the capture waits with a task token. Executions that contain or release are numbered, one for each
request; they run beside the capture, and the incident does not list them.

Sources: AWS Step Functions API Reference, SendTaskSuccess; StartExecution: a name is used once, and the same name with
the same input while the execution runs is the same execution.
"""

from __future__ import annotations

import json
from typing import Final, Literal

from botocore.exceptions import ClientError

from tapstack.domain.outside_text import LONG, quoted, word
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of
from tapstack.responder.environment import environment
from tapstack.responder.errors import OURS
from tapstack.responder.store import incidents, requests
from tapstack.responder.store.incidents import Incident
from tapstack.responder.store.records import Task
from tapstack.responder.store.retry import retried

_TOO_LATE: Final = frozenset({"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"})


def end_wait(token: str, because: str) -> bool:
    """End the wait of an execution; return whether it was still waiting.

    Args:
        token: of the task.
        because: what changed, for the execution's history.
    """
    try:
        client("stepfunctions").send_task_success(taskToken=token, output=json.dumps({"because": because}))
    except ClientError as error:
        if code_of(error) in _TOO_LATE:
            return False
        raise
    return True


def start(incident_id: str, task: Literal["capture", "close"] = "capture", *, attempt: int = 0) -> str:
    """Start an execution of the workflow, or find that it was started; return its ARN.

    Args:
        incident_id: names the execution, so that there is one.
        task: `capture` for the whole workflow, `close` to only close.
        attempt: counts the executions that only close.
    """
    named = environment()
    name = incident_id if task == "capture" else f"{incident_id}-close-{attempt}"
    try:
        answer = client("stepfunctions").start_execution(
            stateMachineArn=named.state_machine_arn,
            name=name,
            input=json.dumps({"incident_id": incident_id, "task": task}),
        )
        arn = str(answer["executionArn"])
    except ClientError as error:
        if code_of(error) != "ExecutionAlreadyExists":
            raise
        arn = execution_arn(name)
    incidents.add_execution(incident_id, arn)
    return arn


def execution_arn(name: str) -> str:
    """Return the ARN of an execution of the workflow by its name."""
    return f"{environment().state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def start_closing(incident: Incident) -> str:
    """Start one execution that closes an incident whose last one has ended; idempotent."""
    ended = incident.failed_executions or len(incident.execution_arns)
    return start(incident.id, "close", attempt=ended)


def is_running(execution_arn: str) -> bool:
    """Return whether an execution still runs."""
    try:
        answer = client("stepfunctions").describe_execution(executionArn=execution_arn)
    except ClientError as error:
        if code_of(error) == "ExecutionDoesNotExist":
            return False
        raise
    return bool(answer["status"] == "RUNNING")


def ensure(incident: Incident, task: Task, **given: bool) -> None:
    """Ensure that an execution of a requested task proceeds: start it, or another one where it has ended.

    One that still waits for approval is continued where the containment is decided: whichever function decided may have
    been killed before it ended the wait.

    Args:
        incident: for which the task was requested.
        task: `contain` or `release`.
        **given: the flags of a release.

    Raises:
        TryAgain: others start it at the same time.
    """

    def attempt() -> bool | None:
        nonlocal incident
        if _start_numbered(incident, task, **given):
            return True
        incident = requests.request_execution(incident, task) or incidents.get(incident.id)
        return None

    if task == "contain":
        end_approval_wait(incident)
    retried(attempt, "others start the same execution")


def end_approval_wait(incident: Incident) -> None:
    """End the wait for approval of an execution where the containment is decided; idempotent."""
    if incident.containment_state == "containing" and incident.approval_token:
        end_wait(incident.approval_token, incident.requested_containment.decision or "requested")


def start_anew(incident: Incident, task: Task, **given: bool) -> bool:
    """Start another execution after one that has ended; return whether this call started it.

    Args:
        incident: for which the task was requested.
        task: `contain` or `release`.
        **given: the flags of a release.
    """
    counted = requests.request_execution(incident, task)
    return counted is not None and _start_numbered(counted, task, **given)


def is_under_way(incident: Incident, task: Task) -> bool:
    """Return whether the latest execution of a task runs."""
    return is_running(execution_arn(_name(incident, task)))


def _start_numbered(incident: Incident, task: Task, **given: bool) -> bool:
    """Start the latest execution of a task; return whether it runs: not where it has already ended."""
    try:
        client("stepfunctions").start_execution(
            stateMachineArn=environment().state_machine_arn,
            name=_name(incident, task),
            input=json.dumps({"incident_id": incident.id, "task": task, **given}),
        )
    except ClientError as error:
        if code_of(error) != "ExecutionAlreadyExists":
            raise
        return is_under_way(incident, task)
    return True


def _name(incident: Incident, task: Task) -> str:
    return f"{incident.id}-{task}-{incident.runs(task)}"


def failure(error: str, cause: str) -> str:
    """Return the error of a step in one line: what is not in our own words is quoted.

    Args:
        error: its name.
        cause: its message, as Step Functions passes it: as JSON where Lambda wrote it.
    """
    try:
        message = str(json.loads(cause)["errorMessage"])
    except (ValueError, TypeError, KeyError):
        message = cause
    return f"{word(error)}: {message if error in OURS else quoted(message, LONG)}"
