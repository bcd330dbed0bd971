"""The workflow is woken: by its task token while it waits, by a new execution when it has ended.

Source: AWS Step Functions API Reference, SendTaskSuccess and StartExecution.
"""

from __future__ import annotations

import json
from typing import Final, Literal

from botocore.exceptions import ClientError

from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of
from tapstack.responder.environment import environment
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident

_TOO_LATE: Final = frozenset({"TaskDoesNotExist", "TaskTimedOut", "InvalidToken"})


def wake(token: str, because: str) -> bool:
    """End the wait of an execution; tell whether it still waited.

    Args:
        token: of the task.
        because: what changed, for the execution's history.
    """
    try:
        client("stepfunctions").send_task_success(taskToken=token, output=json.dumps({"woken": because}))
    except ClientError as error:
        if code_of(error) in _TOO_LATE:
            return False
        raise
    return True


def start(incident_id: str, task: Literal["capture", "close"] = "capture", *, attempt: int = 0) -> str:
    """Start an execution of the workflow, or find that it was started; return its ARN.

    Args:
        incident_id: names the execution, so that there is one.
        task: from the beginning, or straight to the end.
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
    """Start an execution that closes an incident whose last one has ended; however often it is asked for, one."""
    ended = incident.get("failed_executions") or len(incident.get("execution_arns", ()))
    return start(incident["id"], "close", attempt=ended)


def is_running(execution_arn: str) -> bool:
    """Tell whether an execution still runs."""
    try:
        answer = client("stepfunctions").describe_execution(executionArn=execution_arn)
    except ClientError as error:
        if code_of(error) == "ExecutionDoesNotExist":
            return False
        raise
    return bool(answer["status"] == "RUNNING")
