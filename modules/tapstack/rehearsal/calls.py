"""What a request to the account is: service, action, parameters, who asks."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import botocore.loaders
import botocore.model

# The name a request is signed for, where botocore calls the service otherwise.
_BOTOCORE_NAMES: Final = {
    "elasticloadbalancing": "elbv2",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
    "email": "ses",
}
_CREDENTIAL: Final = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an AWS API.

    Attributes:
        service: the name it is signed for, for example ec2, cloudformation, elasticloadbalancing.
        action: the API's name for it, for example CreateTrafficMirrorSession.
        region: the Region it is signed for.
        access_key: whose credentials it is signed with; empty when it is not signed.
        parameters: as sent: a flat mapping for query APIs, the body for JSON APIs.
    """

    service: str
    action: str
    region: str = ""
    access_key: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def read_call(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Call | None:
    """Return the call that an HTTP request stands for; None where it is no AWS API call.

    Args:
        method: of HTTP.
        path: without the query.
        query: without the question mark.
        headers: with lower-case names.
        body: as received.
    """
    signature = _CREDENTIAL.search(headers.get("authorization", ""))
    if signature is None:
        return None
    access_key, region, service = signature.groups()
    target = headers.get("x-amz-target", "")
    if target:
        return Call(service, target.rpartition(".")[2], region, access_key, _json(body))
    form = {name: values[0] for name, values in parse_qs(_text(body) or query, keep_blank_values=True).items()}
    if "Action" in form:
        action = form.pop("Action")
        form.pop("Version", None)
        return Call(service, action, region, access_key, form)
    action = rest_action(service, method, path, query, headers)
    return Call(service, action, region, access_key, _json(body))


def protocol_of(service: str) -> str:
    """Return how the service writes its errors: ec2, query, json, rest-json or rest-xml."""
    model = _service_model(service)
    return str(model.metadata["protocol"]) if model else "rest-xml"


def rest_action(service: str, method: str, path: str, query: str, headers: Collection[str] = ()) -> str:
    """Return the action that a request to a REST API stands for, by botocore's model."""
    sent = set(parse_qs(query, keep_blank_values=True)) | set(headers)
    best = ("", -1)
    for name, verb, pattern, needed in _routes(service):
        # The route that needs most of what was sent is meant: GET ?policy is no GET of the bucket,
        # PUT with x-amz-copy-source is no PUT of an object.
        if verb == method and pattern.fullmatch(path) and needed <= sent and len(needed) > best[1]:
            best = (name, len(needed))
    return best[0] or f"{method} {path}"


@functools.cache
def _service_model(service: str) -> botocore.model.ServiceModel | None:
    name = _BOTOCORE_NAMES.get(service, service)
    loader = botocore.loaders.Loader()
    try:
        return botocore.model.ServiceModel(loader.load_service_model(name, "service-2"), name)
    except botocore.exceptions.UnknownServiceError:
        return None


@functools.cache
def _routes(service: str) -> list[tuple[str, str, re.Pattern[str], frozenset[str]]]:
    model = _service_model(service)
    routes = []
    for name in model.operation_names if model else ():
        operation = model.operation_model(name)  # type: ignore[union-attr]
        uri, _, query = str(operation.http.get("requestUri", "/")).partition("?")
        pattern = re.sub(r"\\\{(\w+)\\\}", "[^/]+", re.sub(r"\\\{(\w+)\\\+\\\}", ".+", re.escape(uri)))
        needed = {part.partition("=")[0] for part in query.split("&") if part} | _needed(operation)
        routes.append((name, str(operation.http.get("method", "POST")), re.compile(pattern + "/?"), frozenset(needed)))
    return routes


def _needed(operation: botocore.model.OperationModel) -> set[str]:
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


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return ""
