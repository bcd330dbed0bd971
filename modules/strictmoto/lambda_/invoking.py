"""An invocation from request to answer.

Source: Lambda API Reference, "Invoke"; Lambda Developer Guide, "Lambda quotas".
"""

from __future__ import annotations

import json
import secrets
import time
import uuid
from dataclasses import dataclass
from typing import Any, Final

from moto.awslambda.utils import get_backend

from strictmoto.lambda_.environments import Invocation
from strictmoto.lambda_.errors import SYNCHRONOUS_LIMIT, check_payload
from strictmoto.lambda_.service import Service, reserved_concurrency, service
from strictmoto.lambda_.versions import Version, version_of

_RESPONSE_LIMIT: Final = SYNCHRONOUS_LIMIT + 100


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered.

    Attributes:
        payload: what it returned, or the error.
        error: Unhandled, where it is an error; empty otherwise.
        version: which one ran.
        log: the last 4 KB of what was logged.
        request_id: of AWS.
    """

    payload: bytes
    error: str
    version: str
    log: str
    request_id: str


def find(function_arn: str) -> Any:
    """Return moto's function.

    Args:
        function_arn: with or without a version or an alias.

    Raises:
        moto.awslambda.exceptions.UnknownFunctionException: there is none.
    """
    parts = function_arn.split(":")
    return get_backend(parts[4], parts[3]).get_function(function_arn)


def unqualified(function_arn: str) -> str:
    """Return an ARN without version or alias."""
    return ":".join(function_arn.split(":")[:7])


def invoke_arn(function_arn: str, payload: bytes) -> Answer:
    """Invoke a function and wait; see `strictmoto.lambda_.invoke`."""
    return invoke(find(function_arn), payload, function_arn)


def invoke(
    function: Any,
    payload: bytes,
    arn: str,
    *,
    client_context: dict[str, Any] | None = None,
    request_id: str = "",
    within: Service | None = None,
) -> Answer:
    """Invoke a function and wait for what it answers.

    Args:
        function: moto's.
        payload: JSON.
        arn: the function as it was asked for.
        client_context: what the caller added.
        request_id: that of an earlier attempt at the same event; a new one by default.
        within: the service that an attempt in the background belongs to.

    Raises:
        Refused: Lambda does not invoke it.
    """
    check_payload(payload, SYNCHRONOUS_LIMIT)
    version = version_of(function)
    invocation = Invocation(request_id or str(uuid.uuid4()), arn, payload, client_context, _trace_id())
    lambda_service = within or service()
    with lambda_service.concurrency(version, reserved_concurrency(version)):
        outcome = lambda_service.run(version, lambda: (function.code_bytes, _layers(version)), invocation)
    answer, error = outcome.payload, "Unhandled" if outcome.error else ""
    if len(answer) > _RESPONSE_LIMIT:
        message = f"Response payload size exceeded maximum allowed payload size ({_RESPONSE_LIMIT} bytes)."
        answer = json.dumps({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}).encode()
        error = "Unhandled"
    return Answer(answer, error, version.version, outcome.log, invocation.request_id)


def _layers(version: Version) -> list[bytes]:
    found = []
    for arn in version.layers:
        parts = arn.split(":")
        layer = get_backend(parts[4], parts[3]).layers_versions_by_arn(arn)
        if layer is not None:
            found.append(layer.code_bytes)
    return found


def _trace_id() -> str:
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled=0"
