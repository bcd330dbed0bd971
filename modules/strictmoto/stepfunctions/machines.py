"""The life of a state machine: its revisions and versions, what it starts, its end.

Source: Step Functions API Reference, CreateStateMachine, UpdateStateMachine, DeleteStateMachine, StartExecution,
PublishStateMachineVersion.
"""

from __future__ import annotations

import random
import threading
import uuid
from typing import Any, Final

from moto.core.exceptions import AWSError
from moto.stepfunctions.exceptions import (
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidExecutionInput,
    StateMachineDoesNotExist,
    ValidationException,
)

from strictmoto.identity.principals import CannotAssumeError, check_trust
from strictmoto.requests.documents import read_json
from strictmoto.stepfunctions import definitions, executions, publishing, roles
from strictmoto.stepfunctions.executions import Run

LARGEST_INPUT: Final = 262_144
CANNOT_ASSUME: Final = (
    "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the "
    "provided role."
)
_lock = threading.RLock()
_deleting: set[str] = set()


def is_deleting(arn: str) -> bool:
    """Whether the state machine is being deleted."""
    return arn in _deleting


def check_definition(definition: str | None) -> None:
    """Refuse a definition as CreateStateMachine does.

    Raises:
        AWSError: InvalidDefinition.
    """
    faults = definitions.check(definition or "")
    if faults:
        listed = ", ".join(f"{fault.code}: {fault.message} at {fault.location or '/'}" for fault in faults)
        raise AWSError(f"Invalid State Machine Definition: '{listed}'", "InvalidDefinition")


def find(backend: Any, arn: str) -> Any:
    """Return a state machine or version.

    Raises:
        StateMachineDoesNotExist: there is none, or its deletion is complete.
    """
    machine = backend.describe_state_machine(arn)
    source = getattr(machine, "source_arn", machine.arn)
    with _lock:
        if source in _deleting and not executions.running_of(source):
            _deleting.discard(source)
            backend.state_machines[:] = [kept for kept in backend.state_machines if kept.arn != source]
            raise StateMachineDoesNotExist(f"State Machine Does Not Exist: '{arn}'")
    return machine


def create(backend: Any, **properties: Any) -> Any:
    """Create a state machine, or return the one that is the same.

    Raises:
        AWSError: StateMachineAlreadyExists, StateMachineDeleting, InvalidDefinition, InvalidLoggingConfiguration or
            AccessDeniedException.
    """
    check_definition(properties["definition"])
    arn = f"arn:{backend.partition}:states:{backend.region_name}:{backend.account_id}:stateMachine:{properties['name']}"
    with _lock:
        try:
            existing = find(backend, arn)
        except StateMachineDoesNotExist:
            logging = properties["loggingConfiguration"]
            publishing.check_form(logging)
            _check_role(backend, properties["roleArn"], properties["definition"], logging)
            publishing.check_group(logging)
            return super_create(backend, properties)
        if is_deleting(arn):
            raise AWSError(f"State Machine is being deleted: '{arn}'", "StateMachineDeleting")
        same = (existing.definition, existing.type) == (properties["definition"], properties["sm_type"] or "STANDARD")
        if not same:
            raise AWSError(f"State Machine Already Exists: '{arn}'", "StateMachineAlreadyExists")
        return existing


def _check_role(backend: Any, role_arn: str, definition: str, logging: Any) -> None:
    roles.check_role(role_arn, definition, logging, account_id=backend.account_id, region=backend.region_name)


def super_create(backend: Any, properties: dict[str, Any]) -> Any:
    """Create a state machine that does not exist."""
    from moto.stepfunctions.models import StepFunctionBackend

    machine = StepFunctionBackend.create_state_machine(backend, **properties)
    machine.loggingConfiguration = {"includeExecutionData": False, **machine.loggingConfiguration}
    return machine


def update(backend: Any, arn: str, **changes: Any) -> Any:
    """Change a state machine for executions that start from now on.

    Raises:
        AWSError: InvalidDefinition, InvalidLoggingConfiguration, MissingRequiredParameter, StateMachineDeleting or
            AccessDeniedException.
    """
    from moto.stepfunctions.models import StepFunctionBackend

    given = {name: value for name, value in changes.items() if value is not None}
    if not set(given) - {"publish", "version_description"}:
        raise AWSError("At least one of definition and role must be specified", "MissingRequiredParameter")
    if "definition" in given:
        check_definition(given["definition"])
    machine = find(backend, arn)
    if is_deleting(arn):
        raise AWSError(f"State Machine is being deleted: '{arn}'", "StateMachineDeleting")
    if "logging_configuration" in given:
        given["logging_configuration"] = {"includeExecutionData": False, **given["logging_configuration"]}
        publishing.check_form(given["logging_configuration"])
    _check_role(
        backend,
        given.get("role_arn", machine.roleArn),
        given.get("definition", machine.definition),
        given.get("logging_configuration", machine.loggingConfiguration),
    )
    publishing.check_group(given.get("logging_configuration"))
    StepFunctionBackend.update_state_machine(backend, arn, **given)
    machine.revision_id = str(uuid.uuid4())
    return machine


def delete(backend: Any, arn: str) -> None:
    """Delete a state machine: at once where nothing runs, else when its executions ended."""
    backend._validate_machine_arn(arn)
    with _lock:
        if any(machine.arn == arn for machine in backend.state_machines):
            _deleting.add(arn)
    try:
        find(backend, arn)
    except StateMachineDoesNotExist:
        return


def forget_deletions() -> None:
    """Forget what is being deleted, because the account forgets everything."""
    _deleting.clear()


def start(backend: Any, arn: str, name: str | None, text: str | None) -> Run:
    """Start an execution, or return the one that runs under that name with that input.

    Raises:
        AWSError: InvalidName, InvalidExecutionInput, ExecutionAlreadyExists, StateMachineDeleting, ...
    """
    if name is not None:
        if not name:
            raise AWSError("Invalid Name: ''", "InvalidName")
        backend._validate_name(name)
    text = "{}" if text is None else text
    if len(text.encode()) > LARGEST_INPUT:
        raise ValidationException(
            "1 validation error detected: Value at 'input' failed to satisfy constraint: "
            f"Member must have length less than or equal to {LARGEST_INPUT}"
        )
    try:
        value = read_json(text)
    except ValueError as error:
        raise InvalidExecutionInput(f"Invalid State Machine Execution Input: '{error}'") from error
    machine, alias_arn = _machine_of(backend, arn)
    source = getattr(machine, "source_arn", machine.arn)
    if is_deleting(source):
        raise AWSError(f"State Machine is being deleted: '{source}'", "StateMachineDeleting")
    try:
        check_trust(machine.roleArn, "states.amazonaws.com", source)
    except CannotAssumeError as error:
        raise AWSError(CANNOT_ASSUME, "AccessDeniedException") from error
    with _lock:
        run = Run(machine, name or str(uuid.uuid4()), text, value, backend.account_id, backend.region_name, alias_arn)
        existing = runs(backend).get(run.exec_arn)
        if existing is not None:
            if existing.stop_date is None and existing.input == value:
                return existing
            raise ExecutionAlreadyExists(f"Execution Already Exists: '{run.exec_arn}'")
        runs(backend)[run.exec_arn] = run
    run.start()
    return run


def _machine_of(backend: Any, arn: str) -> tuple[Any, str | None]:
    last = arn.rpartition(":")[2]
    if arn.count(":") == 7 and not last.isnumeric():
        alias = backend.describe_state_machine_alias(arn)
        routes = alias.routing_configuration
        [chosen] = random.choices(routes, [route["weight"] for route in routes])
        return find(backend, chosen["stateMachineVersionArn"]), alias.arn
    return find(backend, arn), None


def runs(backend: Any) -> dict[str, Run]:
    """Return the executions of an account and Region by ARN, also those of deleted state machines."""
    found: dict[str, Run] = backend.__dict__.setdefault("strict_runs", {})
    return found


def run_of(backend: Any, arn: str) -> Run:
    """Return an execution.

    Raises:
        ExecutionDoesNotExist: there is none.
    """
    backend._validate_execution_arn(arn)
    try:
        return runs(backend)[arn]
    except KeyError:
        raise ExecutionDoesNotExist(f"Execution Does Not Exist: '{arn}'") from None
