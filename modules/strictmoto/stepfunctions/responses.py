"""The Step Functions API.

Source: Step Functions API Reference.
"""

from __future__ import annotations

import functools
import zlib
from typing import Any, Final

from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions import models
from moto.stepfunctions.exceptions import InvalidArn, ResourceNotFound, ValidationException
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackOutcomeFailure, CallbackOutcomeSuccess
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str
from moto.stepfunctions.responses import StepFunctionResponse

from strictmoto.requests.documents import read_json
from strictmoto.stepfunctions import definitions, executions, machines, tokens

_MOST: Final = 1000
_COLONS_OF_ALIASES: Final = 7
_STATUSES: Final = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE")
_DATA: Final = ("input", "output", "parameters")


def install() -> None:
    """Replace moto's answers."""
    response: Any = StepFunctionResponse
    for answer in (
        create_state_machine,
        update_state_machine,
        delete_state_machine,
        delete_state_machine_version,
        describe_state_machine,
        describe_state_machine_for_execution,
        publish_state_machine_version,
        list_state_machine_versions,
        validate_state_machine_definition,
        start_execution,
        stop_execution,
        describe_execution,
        list_executions,
        get_execution_history,
        send_task_success,
        send_task_failure,
        send_task_heartbeat,
    ):
        setattr(response, answer.__name__, answer)
    for name in ("describe_map_run", "update_map_run"):
        setattr(response, name, _of_a_map_run(getattr(response, name)))
    for name in ("describe_state_machine_alias", "update_state_machine_alias", "delete_state_machine_alias"):
        setattr(response, name, _of_an_alias(getattr(response, name)))
    executions.abort_at_transitions(machines.is_deleting)
    _forget_with_moto()


def _of_an_alias(answer: Any) -> Any:
    """Refuse what is no ARN of an alias, which moto fails at."""

    @functools.wraps(answer)
    def answering(self: Any) -> Any:
        arn = self._get_param("stateMachineAliasArn")
        if arn.count(":") != _COLONS_OF_ALIASES:
            raise InvalidArn(f"Invalid State Machine Alias Arn: '{arn}'")
        return answer(self)

    return answering


def _of_a_map_run(answer: Any) -> Any:
    """Refuse map runs that are not there: moto fails at its own refusal."""

    @functools.wraps(answer)
    def answering(self: Any) -> Any:
        try:
            return answer(self)
        except TypeError:
            raise ResourceNotFound(self._get_param("mapRunArn")) from None

    return answering


def _forget_with_moto() -> None:
    """moto empties a backend by making it anew."""
    backend: Any = models.StepFunctionBackend
    initialize = backend.__init__

    @functools.wraps(initialize)
    def anew(self: Any, *arguments: Any, **options: Any) -> None:
        initialize(self, *arguments, **options)
        machines.forget_deletions()

    backend.__init__ = anew


def create_state_machine(self: Any) -> ActionResult:
    """CreateStateMachine."""
    _check_version(self)
    machine = machines.create(
        self.stepfunction_backend,
        name=self._get_param("name"),
        definition=self._get_param("definition"),
        roleArn=self._get_param("roleArn"),
        tags=self._get_param("tags"),
        publish=self._get_param("publish"),
        loggingConfiguration=self._get_param("loggingConfiguration"),
        tracingConfiguration=self._get_param("tracingConfiguration"),
        encryptionConfiguration=self._get_param("encryptionConfiguration"),
        version_description=self._get_param("versionDescription"),
        sm_type=self._get_param("type"),
    )
    answer = {"creationDate": machine.creation_date, "stateMachineArn": machine.arn}
    if machine.latest_version:
        answer["stateMachineVersionArn"] = machine.latest_version.arn
    return ActionResult(answer)


def _check_version(response: Any) -> None:
    if response._get_param("versionDescription") and not response._get_param("publish"):
        raise ValidationException("Version description can only be set when publish is true")


def update_state_machine(self: Any) -> ActionResult:
    """UpdateStateMachine."""
    _check_version(self)
    publish = self._get_param("publish")
    machine = machines.update(
        self.stepfunction_backend,
        self._get_param("stateMachineArn"),
        definition=self._get_param("definition"),
        role_arn=self._get_param("roleArn"),
        tracing_configuration=self._get_param("tracingConfiguration"),
        encryption_configuration=self._get_param("encryptionConfiguration"),
        logging_configuration=self._get_param("loggingConfiguration"),
        publish=publish,
        version_description=self._get_param("versionDescription"),
    )
    answer = {"updateDate": machine.update_date, "revisionId": machine.revision_id}
    if publish:
        answer["stateMachineVersionArn"] = machine.latest_version.arn
    return ActionResult(answer)


def delete_state_machine(self: Any) -> ActionResult:
    """DeleteStateMachine."""
    machines.delete(self.stepfunction_backend, self._get_param("stateMachineArn"))
    return EmptyResult()


def publish_state_machine_version(self: Any) -> ActionResult:
    """PublishStateMachineVersion."""
    machine = machines.find(self.stepfunction_backend, self._get_param("stateMachineArn"))
    machine.publish(self._get_param("description"))
    version = machine.latest_version
    return ActionResult({"creationDate": version.creation_date, "stateMachineVersionArn": version.arn})


def delete_state_machine_version(self: Any) -> ActionResult:
    """DeleteStateMachineVersion."""
    arn, _, number = self._get_param("stateMachineVersionArn").rpartition(":")
    machine = machines.find(self.stepfunction_backend, arn)
    machine.versions.pop(int(number) if number.isnumeric() else 0, None)
    return EmptyResult()


def list_state_machine_versions(self: Any) -> ActionResult:
    """ListStateMachineVersions, newest first."""
    machine = machines.find(self.stepfunction_backend, self._get_param("stateMachineArn"))
    versions = sorted(machine.versions.values(), key=lambda version: -version.version)
    shown, token = _page(self, versions, machine.arn)
    listed = [{"stateMachineVersionArn": each.arn, "creationDate": each.creation_date} for each in shown]
    return _with_token({"stateMachineVersions": listed}, token)


def describe_state_machine(self: Any) -> ActionResult:
    """DescribeStateMachine."""
    machine = machines.find(self.stepfunction_backend, self._get_param("stateMachineArn"))
    answer = {
        "creationDate": machine.creation_date,
        "stateMachineArn": machine.arn,
        "definition": machine.definition,
        "name": machine.name,
        "roleArn": machine.roleArn,
        "status": "DELETING" if machines.is_deleting(machine.arn) else "ACTIVE",
        "type": machine.type,
        "encryptionConfiguration": machine.encryptionConfiguration,
        "tracingConfiguration": machine.tracingConfiguration,
        "loggingConfiguration": machine.loggingConfiguration,
    }
    return ActionResult(_given(answer, description=machine.description, revisionId=_revision(machine)))


def _revision(machine: Any) -> str | None:
    return getattr(machine, "revision_id", None)


def _given(answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**answer, **{name: value for name, value in more.items() if value is not None}}


def describe_state_machine_for_execution(self: Any) -> ActionResult:
    """DescribeStateMachineForExecution: as it was when the execution started."""
    run = machines.run_of(self.stepfunction_backend, self._get_param("executionArn"))
    machine = run.machine
    answer = {
        "stateMachineArn": run.machine_arn,
        "name": machine.name,
        "definition": machine.definition,
        "roleArn": machine.roleArn,
        "updateDate": machine.update_date,
        "encryptionConfiguration": machine.encryptionConfiguration,
        "tracingConfiguration": machine.tracingConfiguration,
        "loggingConfiguration": machine.loggingConfiguration,
    }
    return ActionResult(_given(answer, revisionId=_revision(machine)))


def validate_state_machine_definition(self: Any) -> ActionResult:
    """ValidateStateMachineDefinition."""
    faults = definitions.check(self._get_param("definition") or "")
    severity = self._get_param("severity") or "ERROR"
    most = self._get_int_param("maxResults") or 100
    shown = [fault.as_dict() for fault in faults if severity == "WARNING" or fault.severity == "ERROR"]
    failed = any(fault.severity == "ERROR" for fault in faults)
    return ActionResult(
        {"result": "FAIL" if failed else "OK", "diagnostics": shown[:most], "truncated": len(shown) > most}
    )


def start_execution(self: Any) -> ActionResult:
    """StartExecution."""
    arn, name, text = (self._get_param(key) for key in ("stateMachineArn", "name", "input"))
    run = machines.start(self.stepfunction_backend, arn, name, text)
    return ActionResult({"executionArn": run.exec_arn, "startDate": run.start_date})


def stop_execution(self: Any) -> ActionResult:
    """StopExecution."""
    run = machines.run_of(self.stepfunction_backend, self._get_param("executionArn"))
    run.stop(self._get_param("error"), self._get_param("cause"))
    return ActionResult({"stopDate": run.stop_date})


def describe_execution(self: Any) -> ActionResult:
    """DescribeExecution."""
    run = machines.run_of(self.stepfunction_backend, self._get_param("executionArn"))
    answer = {**_listed(run), "input": run.execution_input, "inputDetails": {"included": True}}
    if run.status == "SUCCEEDED":
        answer["output"] = to_json_str(run.output, separators=(",", ":"))
        answer["outputDetails"] = {"included": True}
    redrivable = {} if run.status == "RUNNING" else {"redriveStatus": "NOT_REDRIVABLE"}
    return ActionResult(_given(answer, error=run.error, cause=run.cause, **redrivable))


def _listed(run: Any) -> dict[str, Any]:
    answer = {
        "executionArn": run.exec_arn,
        "name": run.name,
        "startDate": run.start_date,
        "stateMachineArn": run.machine_arn,
        "status": run.status,
        "redriveCount": 0,
    }
    return _given(
        answer, stopDate=run.stop_date, stateMachineVersionArn=run.version_arn, stateMachineAliasArn=run.alias_arn
    )


def list_executions(self: Any) -> ActionResult:
    """ListExecutions, newest first."""
    backend, arn, status = (
        self.stepfunction_backend,
        self._get_param("stateMachineArn"),
        self._get_param("statusFilter"),
    )
    if status and status not in _STATUSES:
        raise ValidationException(
            f"1 validation error detected: Value '{status}' at 'statusFilter' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(_STATUSES)}]"
        )
    if arn is None:
        # No execution here is one of a map run.
        raise ResourceNotFound(self._get_param("mapRunArn"))
    machines._machine_of(backend, arn)
    found = [
        run
        for run in machines.runs(backend).values()
        if arn in (run.machine_arn, run.version_arn, run.alias_arn) and status in (None, "", run.status)
    ]
    shown, token = _page(self, sorted(found, key=lambda run: run.start_date, reverse=True), arn, status)
    return _with_token({"executions": [_listed(run) for run in shown]}, token)


def _page(response: Any, items: list[Any], *asked: Any) -> tuple[list[Any], str | None]:
    """Return the items of a page, and the token of the next, which is good for what was asked here only."""
    most = response._get_int_param("maxResults") or 100
    if not 0 < most <= _MOST:
        raise ValidationException(f"maxResults must be between 0 and {_MOST}")
    token = response._get_param("nextToken")
    place, _, about = (token or "0").partition("-")
    same = f"{zlib.crc32(repr(asked).encode()):x}"
    if token is not None and not (place.isnumeric() and about):
        raise AWSError(f"Invalid Token: '{token}'", "InvalidToken")
    if token is not None and about != same:
        raise AWSError("Invalid Token: 'Input inconsistent with page token'", "InvalidToken")
    begin = int(place)
    end = begin + most
    return items[begin:end], f"{end}-{same}" if end < len(items) else None


def _with_token(answer: dict[str, Any], token: str | None) -> ActionResult:
    return ActionResult(_given(answer, nextToken=token))


def get_execution_history(self: Any) -> ActionResult:
    """GetExecutionHistory."""
    run = machines.run_of(self.stepfunction_backend, self._get_param("executionArn"))
    events = run.history
    reverse = bool(self._get_param("reverseOrder"))
    if reverse:
        events.reverse()
    shown, token = _page(self, events, run.exec_arn, reverse)
    if self._get_param("includeExecutionData") is False:
        for event in shown:
            _hide_data(event)
    return _with_token({"events": shown}, token)


def _hide_data(event: dict[str, Any]) -> None:
    for details in event.values():
        if isinstance(details, dict):
            for name in _DATA:
                details.pop(name, None)
                details.pop(f"{name}Details", None)


def send_task_success(self: Any) -> ActionResult:
    """SendTaskSuccess."""
    output = self._get_param("output")
    token = tokens.find(self._get_param("taskToken"))
    try:
        read_json(output)
    except (TypeError, ValueError) as error:
        raise AWSError(f"Invalid Output: '{error}'", "InvalidOutput") from error
    token.answer(CallbackOutcomeSuccess(callback_id=token.value, output=output))
    return EmptyResult()


def send_task_failure(self: Any) -> ActionResult:
    """SendTaskFailure."""
    token = tokens.find(self._get_param("taskToken"))
    error, cause = self._get_param("error"), self._get_param("cause")
    token.answer(CallbackOutcomeFailure(callback_id=token.value, error=error, cause=cause))
    return EmptyResult()


def send_task_heartbeat(self: Any) -> ActionResult:
    """SendTaskHeartbeat."""
    tokens.find(self._get_param("taskToken")).beat()
    return EmptyResult()
