"""Executions that contain or release: numbered, so that there is one for each time it was asked for.

They are no executions of the capture, which goes on beside them: the incident does not list them.

Source: AWS Step Functions API Reference, StartExecution: a name is used once, and the same name with the same input
while the execution runs is the same execution.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from botocore.exceptions import ClientError

from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of
from tapstack.responder.environment import environment
from tapstack.responder.errors import TryAgain
from tapstack.responder.outbound.waking import execution_arn, is_running
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident

Task = Literal["contain", "release"]
_TRIES: Final = 5


def ask(incident: Incident, task: Task, update: str = "", *, condition: str = "", **values: Any) -> Incident | None:
    """Change an incident and count that a task was asked for; None where others have asked for it since.

    Args:
        incident: as it was read.
        task: what is asked for.
        update: what else is set, as DynamoDB's update expression has it after `SET`.
        condition: what else must hold.
        **values: of both.
    """
    run = count(incident, task)
    same = f"{task}_runs = :run" if run else f"attribute_not_exists({task}_runs)"
    return incidents.change(
        incident["id"],
        f"SET {task}_runs = :next" + (f", {update}" if update else ""),
        condition=same + (f" AND {condition}" if condition else ""),
        next=run + 1,
        **({"run": run} if run else {}),
        **values,
    )


def ensure(incident: Incident, task: Task, **given: bool) -> None:
    """Start the execution that does what was asked for, unless it runs; one that has ended gets a successor.

    Args:
        incident: for which the task was asked for.
        task: what is done.
        **given: how it is to be released.

    Raises:
        TryAgain: others start it again and again.
    """
    for _ in range(_TRIES):
        if _start(incident, task, **given):
            return
        incident = ask(incident, task) or incidents.get(incident["id"])
    raise TryAgain("others start the same execution")


def start_anew(incident: Incident, task: Task, **given: bool) -> bool:
    """Start another execution in place of one that has ended; tell whether this call did.

    Args:
        incident: for which the task was asked for.
        task: what is done.
        **given: how it is to be released.
    """
    counted = ask(incident, task)
    return counted is not None and _start(counted, task, **given)


def is_under_way(incident: Incident, task: Task) -> bool:
    """Tell whether the latest execution of a task runs."""
    return is_running(execution_arn(_name(incident, task)))


def count(incident: Incident, task: Task) -> int:
    """Return how often a task was asked for."""
    return int(incident.get(f"{task}_runs", 0))


def _start(incident: Incident, task: Task, **given: bool) -> bool:
    """Start the latest execution of a task; tell whether it runs now, which it does not when it has ended."""
    try:
        client("stepfunctions").start_execution(
            stateMachineArn=environment().state_machine_arn,
            name=_name(incident, task),
            input=json.dumps({"incident_id": incident["id"], "task": task, **given}),
        )
    except ClientError as error:
        if code_of(error) != "ExecutionAlreadyExists":
            raise
        return is_under_way(incident, task)
    return True


def _name(incident: Incident, task: Task) -> str:
    return f"{incident['id']}-{task}-{count(incident, task)}"
