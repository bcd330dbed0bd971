"""What Lambda takes of a function, besides what its model says.

Sources: Lambda API Reference, CreateFunction, PutFunctionEventInvokeConfig and UpdateFunctionConfiguration; Lambda
Developer Guide, "Lambda quotas" (timeout, memory, environment variables) and "Defined runtime environment variables"
(reserved ones). The texts are those that Lambda sends; that of PutFunctionEventInvokeConfig is inferred.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal
from strictmoto.requests.calls import operation_named

_CHANGING: Final = frozenset({"CreateFunction", "UpdateFunctionConfiguration"})
_RESERVED: Final = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
# The model allows more to functions of capacity providers.
_MOST: Final = {"Timeout": 900, "MemorySize": 10240}
_ENVIRONMENT: Final = 4096
"""Bytes of all environment variables together."""
_INVOKED: Final = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
"""What there is to configure of asynchronous invocations."""
_INVALID: Final = "InvalidParameterValueException"
_UNCONFIGURED: Final = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided "
)


def refusals(action: str, requested: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield why Lambda refuses a call."""
    if action == "PutFunctionEventInvokeConfig" and all(requested.get(name) is None for name in _INVOKED):
        yield Refusal(_INVALID, "You must specify at least one of error handling or destination setting.")
    if action not in _CHANGING:
        return
    for name, most in _MOST.items():
        value = requested.get(name)
        if isinstance(value, int) and value > most and not requested.get("CapacityProviderConfig"):
            place = name[0].lower() + name[1:]
            yield Refusal(
                "ValidationException",
                f"1 validation error detected: Value '{value}' at '{place}' failed to satisfy constraint: "
                f"Member must have value less than or equal to {most}",
            )
    packed = action == "CreateFunction" and requested.get("PackageType", "Zip") == "Zip"
    if packed and not (requested.get("Runtime") and requested.get("Handler")):
        yield Refusal(
            _INVALID, "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    runtime = requested.get("Runtime")
    known = _runtimes()
    if runtime and runtime not in known:
        yield Refusal(
            _INVALID,
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(known)}] or be a valid ARN",
        )
    yield from _of_environment((requested.get("Environment") or {}).get("Variables") or {})


def _runtimes() -> list[str]:
    return list(operation_named("lambda", "CreateFunction").input_shape.members["Runtime"].enum)


def _of_environment(variables: Mapping[str, Any]) -> Iterator[Refusal]:
    if reserved := sorted(_RESERVED.intersection(variables)):
        yield Refusal(
            _INVALID,
            f"{_UNCONFIGURED}contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}",
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > _ENVIRONMENT:
        yield Refusal(_INVALID, f"{_UNCONFIGURED}exceeded the 4KB limit. String measured: {measured}")
