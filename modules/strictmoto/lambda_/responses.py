"""The API's Invoke, and moto's own ways into a function: all lead to the function's code.

Source: Lambda API Reference, "Invoke".
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from moto.awslambda import models, responses

from strictmoto.lambda_.background import enqueue
from strictmoto.lambda_.errors import Refused
from strictmoto.lambda_.invoking import invoke

# moto has types, but none for what is replaced at run time.
LambdaFunction: Any = models.LambdaFunction
LambdaBackend: Any = models.LambdaBackend
LambdaResponse: Any = responses.LambdaResponse

_Response = tuple[int, dict[str, Any], str | bytes]


def install() -> None:
    """Replace what asks Docker."""
    LambdaResponse.invoke = _invoke
    LambdaResponse.invoke_async = _invoke_async
    LambdaResponse._enrich_response = staticmethod(_keeping_request_id(LambdaResponse._enrich_response))
    LambdaBackend.invoke = _invoke_backend
    LambdaFunction.invoke = _invoke_function


def _keeping_request_id(original: Any) -> Any:
    """The request id of an invocation is the one that its function and its log know; moto makes up another."""

    def enrich(headers: dict[str, Any], body: Any) -> tuple[dict[str, Any], Any]:
        known = headers.get("x-amzn-requestid")
        headers, body = original(headers, body)
        return {**headers, **({"x-amzn-requestid": known} if known else {})}, body

    return enrich


def _refused(refusal: Refused) -> _Response:
    headers = {"x-amzn-errortype": refusal.code, "content-type": "application/json", "status": refusal.status}
    return refusal.status, headers, refusal.body


def _as_bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _arn_of(function: Any, asked_for: str, qualifier: str | None) -> str:
    """Return the ARN that the function is invoked by: with the qualifier that was asked for, if any."""
    name, _, in_name = asked_for.partition(":function:")[2].partition(":") if "arn:" in asked_for else ("", "", "")
    if not name and ":" in asked_for:
        in_name = asked_for.partition(":")[2]
    plain = ":".join(function.function_arn.split(":")[:7])
    wanted = in_name or qualifier
    return f"{plain}:{wanted}" if wanted else plain


def _invoke(self: Any) -> _Response:
    asked_for = unquote(self.path.rsplit("/", 2)[-2])
    # moto reads "qualifier", which no client sends.
    qualifier = parse_qs(self.parsed_url.query).get("Qualifier", [None])[0]
    headers: dict[str, Any] = {}
    function = self.backend.get_function(asked_for, qualifier)
    try:
        payload = _answer(
            function, _as_bytes(self.body), _arn_of(function, asked_for, qualifier), self.headers, headers
        )
    except Refused as refusal:
        return _refused(refusal)
    return headers["status"], headers, payload


def _invoke_async(self: Any) -> _Response:
    function_name = unquote(self.path.rstrip("/").rsplit("/", 2)[-2])
    function = self.backend.get_function(function_name, None)
    try:
        enqueue(function, _as_bytes(self.body), function.function_arn)
    except Refused as refusal:
        return _refused(refusal)
    return 202, {"status": 202}, json.dumps({"Status": 202})


@functools.wraps(models.LambdaBackend.invoke)
def _invoke_backend(
    self: Any, function_name: str, qualifier: str | None, body: Any, headers: Any, response_headers: Any
) -> bytes:
    function = self.get_function(function_name, qualifier)
    arn = _arn_of(function, function_name, qualifier)
    return _answer(function, _as_bytes(body), arn, headers, response_headers)


@functools.wraps(models.LambdaFunction.invoke)
def _invoke_function(self: Any, body: Any, request_headers: Any, response_headers: Any) -> bytes:
    return _answer(self, _as_bytes(body), self.function_arn, request_headers, response_headers)


def _answer(function: Any, payload: bytes, arn: str, headers: Mapping[str, str], answered: dict[str, Any]) -> bytes:
    """Invoke in the way that the headers ask for, and fill in those of the answer."""
    asked = {name.lower(): value for name, value in headers.items()}
    kind = asked.get("x-amz-invocation-type", "RequestResponse")
    if kind == "DryRun":
        answered["status"] = 204
        return b""
    if kind == "Event":
        answered["x-amzn-requestid"] = enqueue(function, payload, arn)
        answered["status"] = 202
        return b""
    context = asked.get("x-amz-client-context")
    answer = invoke(function, payload, arn, client_context=json.loads(base64.b64decode(context)) if context else None)
    answered["x-amz-executed-version"] = answer.version
    answered["x-amzn-requestid"] = answer.request_id
    answered["content-type"] = "application/json"
    answered["status"] = 200
    if answer.error:
        answered["x-amz-function-error"] = answer.error
    if asked.get("x-amz-log-type") == "Tail":
        answered["x-amz-log-result"] = base64.b64encode(answer.log.encode()[-4096:]).decode()
    return answer.payload
