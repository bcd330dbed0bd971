"""What a request to the account is: service, action, parameters, who asks."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import botocore.exceptions
from moto.core.utils import get_service_model

from tapstack.rehearsal.rest_parameters import read_parameters

# The name a request is signed for, where botocore calls the service otherwise.
_BOTOCORE_NAMES: Final = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
    "email": "ses",
}
_RPC: Final = re.compile(r"/service/\w+/operation/(\w+)")
_HYPHEN: Final = "__"
"""Stands for a hyphen in the name of a group."""
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an AWS API.

    Attributes:
        service: the name it is signed for, for example ec2, cloudformation, elasticloadbalancing.
        action: the API's name for it, for example CreateTrafficMirrorSession.
        region: the Region it is signed for.
        access_key: whose credentials it is signed with; empty when it is not signed.
        parameters: as sent: a flat mapping for query APIs, the body for JSON APIs; for REST APIs by
            the names of the API, wherever in the request they stood.
        protocol: botocore's name of the protocol that the client chose, such as ec2 or rest-json.
        model: botocore's name of the service.
    """

    service: str
    action: str
    region: str = ""
    access_key: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""
    model: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def read_call(
    access_key: str,
    region: str,
    service: str,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
) -> Call:
    """Return the call that an HTTP request stands for.

    Args:
        access_key: that signs it.
        region: that it is signed for.
        service: that it is signed for.
        method: of HTTP.
        path: without the query.
        query: without the question mark.
        headers: with lower-case names.
        body: as received.
    """
    model = _BOTOCORE_NAMES.get(service, service)
    target = headers.get("x-amz-target", "")
    if target:
        model = "dynamodbstreams" if target.startswith("DynamoDBStreams") else model
        return Call(service, target.rpartition(".")[2], region, access_key, _json(body), "json", model)
    if rpc := _RPC.fullmatch(path):
        return Call(service, rpc[1], region, access_key, {}, "smithy-rpc-v2-cbor", model)
    form = {name: values[0] for name, values in parse_qs(_form(headers, body) or query, keep_blank_values=True).items()}
    if "Action" in form:
        action = form.pop("Action")
        form.pop("Version", None)
        return Call(service, action, region, access_key, form, "ec2" if service == "ec2" else "query", model)
    if service == "apigateway" and path.startswith("/v2/"):
        model = "apigatewayv2"
    action, given = _rest_action(model, method, path, query, headers)
    operation = _operation(model, action)
    parameters = read_parameters(operation, method, given, query, headers, body) if operation else _json(body)
    protocol = protocol_of(model) or ("rest-xml" if service == "s3" else "rest-json")
    return Call(service, action, region, access_key, parameters, protocol, model)


def operation_of(call: Call) -> Any:
    """Return botocore's model of the operation that was called; None where it has none."""
    return _operation(call.model, call.action)


def protocol_of(model: str) -> str:
    """Return botocore's name of the protocol that a service speaks; empty where it does not know the service."""
    service = _service_model(model)
    return str(service.metadata["protocol"]) if service else ""


def rest_action(model: str, method: str, path: str, query: str, headers: Mapping[str, str]) -> str:
    """Return the action that a request to a REST API stands for, by botocore's model."""
    return _rest_action(model, method, path, query, headers)[0]


def _rest_action(
    model: str, method: str, path: str, query: str, headers: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Return the action, and what stands in the path by the names of the model."""
    sent = set(parse_qs(query, keep_blank_values=True)) | set(headers)
    best: tuple[str, int, dict[str, str]] = ("", -1, {})
    for name, verb, pattern, needed in _routes(model):
        # The route that needs most of what was sent is meant: GET ?policy is no GET of the bucket,
        # PUT with x-amz-copy-source is no PUT of an object.
        if verb == method and needed <= sent and len(needed) > best[1] and (match := pattern.fullmatch(path)):
            best = (name, len(needed), {_written(key): unquote(value) for key, value in match.groupdict().items()})
    return best[0] or f"{method} {path}", best[2]


def _operation(model: str, action: str) -> Any:
    service = _service_model(model)
    return service.operation_model(action) if service and action in service.operation_names else None


@functools.cache
def _service_model(model: str) -> Any:
    try:
        return get_service_model(model)
    except botocore.exceptions.UnknownServiceError:
        return None


@functools.cache
def _routes(model: str) -> list[tuple[str, str, re.Pattern[str], frozenset[str]]]:
    service = _service_model(model)
    routes: list[tuple[str, str, re.Pattern[str], frozenset[str]]] = []
    if not protocol_of(model).startswith("rest-"):
        # Every call of theirs has the same path.
        return routes
    for name in service.operation_names:
        operation = service.operation_model(name)
        uri, _, query = str(operation.http.get("requestUri", "/")).partition("?")
        needed = {part.partition("=")[0] for part in query.split("&") if part} | _needed(operation)
        routes.append((name, str(operation.http.get("method", "POST")), _pattern(uri), frozenset(needed)))
    return routes


def _pattern(uri: str) -> re.Pattern[str]:
    """Return what matches the paths of a requestUri such as /{Bucket}/{Key+}, by the names in it."""
    parts = re.split(r"\{([\w-]+\+?)\}", uri)
    for position in range(1, len(parts), 2):
        name = parts[position]
        # The path is decoded here: an ARN in it may hold slashes.
        whole = name.endswith("+") or "arn" in name.lower()
        parts[position] = f"(?P<{name.rstrip('+').replace('-', _HYPHEN)}>{'.+' if whole else '[^/]+'})"
    parts[::2] = [re.escape(part) for part in parts[::2]]
    return re.compile("".join(parts) + "/?")


def _written(group: str) -> str:
    """Return the name of a part of a path as the model writes it."""
    return group.replace(_HYPHEN, "-")


def _needed(operation: Any) -> set[str]:
    """Return the query arguments and headers without which it is another operation."""
    shape = operation.input_shape
    if shape is None:
        return set()
    places = {name: shape.members[name].serialization for name in shape.required_members}
    return {
        str(place["name"]).lower() if place["location"] == "header" else str(place["name"])
        for place in places.values()
        if place.get("location") in ("header", "querystring")
    }


def _form(headers: Mapping[str, str], body: bytes) -> str:
    """Return the body where it is a form: what is put into S3 may look like one."""
    if not headers.get("content-type", _FORM).startswith(_FORM):
        return ""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return ""


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
