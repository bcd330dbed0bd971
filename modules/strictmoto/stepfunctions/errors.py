"""What errors are called, and which of them a Retry or Catch sees.

Source: Step Functions Developer Guide, "Handling errors in Step Functions workflows" and "Learning to use AWS
service SDK integrations".
"""

from __future__ import annotations

import functools
import json
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name import custom_error_name, error_equals_decl
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.choice import state_choice
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils, state_task_lambda
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service,
    state_task_service_aws_sdk,
    state_task_service_dynamodb,
    state_task_service_events,
    state_task_service_lambda,
    state_task_service_sns,
    state_task_service_sqs,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.eval.callback.callback import HeartbeatTimeoutError
from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError

from strictmoto.stepfunctions import sdk

_TERMINAL: Final = ("States.Runtime", "States.DataLimitExceeded")
# What begins the error names of optimised integrations, and what the whole service's exception is called.
_OPTIMISED: Final = {
    "lambda": ("Lambda", "AWSLambdaException", "AWSLambda"),
    "dynamodb": ("DynamoDB", "AmazonDynamoDBException", "AmazonDynamoDBv2"),
    "sqs": ("SQS", "AmazonSQSException", "AmazonSQS"),
    "sns": ("SNS", "AmazonSNSException", "AmazonSNS"),
    "events": ("EventBridge", "AmazonEventBridgeException", "AmazonEventBridge"),
}


class _HeartbeatTimeout(ErrorName):
    """States.Timeout by name, which States.HeartbeatTimeout in a Catch means, too."""

    def __init__(self) -> None:
        super().__init__(error_name="States.Timeout")


def install() -> None:
    """Replace moto's names."""
    custom: Any = custom_error_name.CustomErrorName
    # A branch, an iteration or a function may well fail with a name that begins with "States.".
    custom.__init__ = ErrorName.__init__
    equals: Any = error_equals_decl.ErrorEqualsDecl
    equals._eval_body = _matches
    _name_sdk()
    _name_no_choice()
    for module, name in (
        (state_task_service_lambda, "StateTaskServiceLambda"),
        (state_task_service_dynamodb, "StateTaskServiceDynamoDB"),
        (state_task_service_sqs, "StateTaskServiceSqs"),
        (state_task_service_sns, "StateTaskServiceSns"),
        (state_task_service_events, "StateTaskServiceEvents"),
        (state_task_service_aws_sdk, "StateTaskServiceAwsSdk"),
        (state_task_lambda, "StateTaskLambda"),
    ):
        cls = getattr(module, name)
        cls._from_error = _translated(cls._from_error)


def _matches(self: Any, env: Any) -> None:
    error = env.stack.pop()
    name = error.error_name if error is not None else None
    listed = {known.error_name for known in self.error_names}
    wildcard = name not in _TERMINAL and ("States.ALL" in listed or ("States.TaskFailed" in listed and not _late(name)))
    named = name in listed and name != "States.Runtime"
    heartbeat = isinstance(error, _HeartbeatTimeout) and "States.HeartbeatTimeout" in listed
    env.stack.append(wildcard or named or heartbeat)


def _name_no_choice() -> None:
    cls: Any = state_choice.StateChoice
    choose = cls._eval_state

    @functools.wraps(choose)
    def chosen(self: Any, env: Any) -> None:
        try:
            choose(self, env)
        except RuntimeError as error:
            name = StatesErrorName(typ=StatesErrorNameType.StatesNoChoiceMatched)
            details: Any = {
                "executionFailedEventDetails": {
                    "error": name.error_name,
                    "cause": f"An error occurred while executing the state '{self.name}'. Failed to transition "
                    "out of the state. The state does not point to a next state.",
                }
            }
            event = FailureEvent(
                env=env, error_name=name, event_type=HistoryEventType.ExecutionFailed, event_details=details
            )
            raise FailureEventException(failure_event=event) from error

    cls._eval_state = chosen


def _late(name: str | None) -> bool:
    return name == "States.Timeout"


def _name_sdk() -> None:
    cls: Any = state_task_service_aws_sdk.StateTaskServiceAwsSdk
    cls._normalise_service_error_name = staticmethod(sdk.error_prefix)


def _translated(from_error: Any) -> Any:
    @functools.wraps(from_error)
    def translated(self: Any, env: Any, ex: Exception) -> Any:
        if isinstance(ex, FailureEventException):
            return ex.failure_event
        if isinstance(ex, TimeoutError):
            event = _timed_out(self, env)
            return _with_name(env, event, _HeartbeatTimeout()) if isinstance(ex, HeartbeatTimeoutError) else event
        named = _named(self, ex)
        if named is not None:
            return _failed(self, env, *named)
        if isinstance(ex, NoSuchJsonPathError):
            return ExecutionState._from_error(self, env=env, ex=ex)
        return from_error(self, env=env, ex=ex)

    return translated


def _timed_out(task: Any, env: Any) -> Any:
    cls = StateTask if isinstance(task, state_task_lambda.StateTaskLambda) else state_task_service.StateTaskService
    return cls._get_timed_out_failure_event(task, env)


def _with_name(env: Any, event: Any, name: ErrorName) -> FailureEvent:
    return FailureEvent(env=env, error_name=name, event_type=event.event_type, event_details=event.event_details)


def _named(task: Any, error: Exception) -> tuple[str, str] | None:
    """Return the name and the cause of an error; None where moto's are right."""
    legacy = isinstance(task, state_task_lambda.StateTaskLambda)
    service = "lambda" if legacy else task.resource.service_name
    if isinstance(error, lambda_eval_utils.LambdaFunctionErrorException):
        return function_error(error.payload)
    if isinstance(error, BotoCoreError | HTTPClientError):
        prefix = sdk.error_prefix(task.resource.api_name) if service == "aws-sdk" else _OPTIMISED[service][0]
        return f"{prefix}.SdkClientException", f"Unable to execute HTTP request: {error}"
    if isinstance(error, ClientError) and service in _OPTIMISED:
        return _service_error(service, error)
    return None


def function_error(payload: str) -> tuple[str, str]:
    """Return the name and the cause of the failure in a function's answer."""
    try:
        name = json.loads(payload)["errorType"]
    except (ValueError, TypeError, KeyError):
        name = None
    if name:
        return str(name), payload
    cause = "The cause could not be determined because Lambda did not return an error type. Returned payload: "
    return "Lambda.Unknown", cause + payload


def _service_error(service: str, error: ClientError) -> tuple[str, str]:
    prefix, general, long_name = _OPTIMISED[service]
    reported, answer = error.response["Error"], error.response["ResponseMetadata"]
    # botocore has a class of its own for what the service's model knows.
    kind = type(error).__name__
    name = general if kind == "ClientError" else kind
    name = name if name.endswith("Exception") else f"{name}Exception"
    details = (
        f"Service: {long_name}; Status Code: {answer['HTTPStatusCode']}; Error Code: {reported['Code']}; "
        f"Request ID: {answer.get('RequestId', '')}; Proxy: null"
    )
    return f"{prefix}.{name}", f"{reported['Message']} ({details})"


def _failed(task: Any, env: Any, name: str, cause: str) -> FailureEvent:
    if isinstance(task, state_task_lambda.StateTaskLambda):
        kind = HistoryEventType.LambdaFunctionFailed
        details: Any = {"lambdaFunctionFailedEventDetails": {"error": name, "cause": cause}}
    else:
        kind = HistoryEventType.TaskFailed
        failed = TaskFailedEventDetails(
            error=name, cause=cause, resource=task._get_sfn_resource(), resourceType=task._get_sfn_resource_type()
        )
        details = {"taskFailedEventDetails": failed}
    return FailureEvent(
        env=env, error_name=custom_error_name.CustomErrorName(name), event_type=kind, event_details=details
    )
