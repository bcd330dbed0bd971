"""Calls of other services: to the account itself, over HTTP, as the state machine's role.

Source: Step Functions Developer Guide, "Integrating services with Step Functions".
"""

from __future__ import annotations

import datetime
import functools
import sys
from typing import Any, Final

from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.state import state
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service,
    state_task_service_aws_sdk,
    state_task_service_callback,
    state_task_service_lambda,
    state_task_service_sfn,
)
from moto.stepfunctions.parser.asl.parse import asl_parser

from strictmoto.identity import role_clients
from strictmoto.stepfunctions import sdk

_SESSION: Final = "StepFunctions"
_SYNC_POLL: Final = 0.1


def install() -> None:
    """Replace moto's calls."""
    importers = [module for name, module in sys.modules.items() if name.startswith("moto.stepfunctions.parser.")]
    for module in importers:
        if hasattr(module, "boto_client_for"):
            module.boto_client_for = client_for  # type: ignore[attr-defined]
    aws_sdk: Any = state_task_service_aws_sdk.StateTaskServiceAwsSdk
    aws_sdk._eval_service_task = _call
    state_task_service_lambda._SUPPORTED_API_PARAM_BINDINGS["invoke"].add("InvocationType")
    callback: Any = state_task_service_callback
    callback._DELAY_SECONDS_SYNC_CONDITION_CHECK = _SYNC_POLL
    _write_fields()
    _make_json()
    _parse_once()


def client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    """Return a client that calls as the role of a task; whether it can be assumed was asked at the start."""
    return role_clients.client(service, region, state_credentials.role_arn, _SESSION)


def _call(
    self: Any, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
) -> None:
    operation = sdk.operation(self.resource.api_name, self.resource.api_action)
    if operation is None:
        raise RuntimeError(f"{self.resource.resource_arn} is no service integration")
    client = client_for(resource_runtime_part.region, sdk.botocore_name(self.resource.api_name), state_credentials)
    answer = client._make_api_call(operation.name, sdk.as_request(normalised_parameters, operation.input_shape))
    env.stack.append(sdk.as_result(answer, operation.output_shape))


def _write_fields() -> None:
    """Step Functions' own API is written in camelCase; moto takes and gives it so in workflows, too."""
    cls: Any = state_task_service_sfn.StateTaskServiceSfn
    parameters, response = cls._normalise_parameters, cls._normalise_response

    @functools.wraps(parameters)
    def as_request(self: Any, given: dict[str, Any], *arguments: Any, **options: Any) -> None:
        parameters(self, given, *arguments, **options)
        written = sdk.as_request(dict(given), _shape(self, "input_shape", **options))
        given.clear()
        given.update(written)

    @functools.wraps(response)
    def as_result(self: Any, response: dict[str, Any], **options: Any) -> None:
        written = sdk.as_result(dict(response), _shape(self, "output_shape", **options))
        response.clear()
        response.update(written)

    cls._normalise_parameters, cls._normalise_response = as_request, as_result


def _shape(task: Any, which: str, service_action_name: str | None = None, **_: Any) -> Any:
    first, *rest = (service_action_name or task.resource.api_action).split("_")
    return getattr(sdk.operation("sfn", first + "".join(map(str.capitalize, rest))), which)


def _make_json() -> None:
    """Answers of services and the context object hold dates; a later state expects JSON."""
    service: Any = state_task_service.StateTaskService
    after = service._after_eval_execution

    @functools.wraps(after)
    def after_execution(self: Any, env: Any, *arguments: Any, **options: Any) -> None:
        env.stack[-1] = sdk.jsonable(env.stack[-1])
        after(self, env, *arguments, **options)

    service._after_eval_execution = after_execution
    entered: Any = state
    data = entered.StateData

    def state_data(**members: Any) -> Any:
        members["EnteredTime"] = sdk.timestamp(datetime.datetime.now(datetime.UTC))
        return data(**members)

    entered.StateData = state_data


def _parse_once() -> None:
    """Parsing takes far longer than running; what is parsed is never changed by a run."""
    result: Any = result_path
    result.parse = functools.lru_cache(4096)(result.parse)
    parser: Any = asl_parser.AmazonStateLanguageParser
    parse = parser.parse
    cached = functools.lru_cache(256)(parse)

    def parsed(definition: str) -> Any:
        # A distributed Map keeps what it does in what was parsed.
        return parse(definition) if "DISTRIBUTED" in definition else cached(definition)

    parser.parse = staticmethod(parsed)
