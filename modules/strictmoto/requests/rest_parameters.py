"""The parameters of a REST call: from path, query, headers and body to one mapping by the names of the API."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from moto.core.parse import PROTOCOL_PARSERS, RequestParserError
from werkzeug.datastructures import Headers, MultiDict

_LONGEST_BYTES: Final = 4096


def read_parameters(
    operation: Any, method: str, given: Mapping[str, str], query: str, headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """Return the parameters of a call, as JSON can hold them; what is stored, such as S3's objects, is left out.

    Args:
        operation: moto's model of it.
        method: of HTTP.
        given: what stood in the path, by the names of the model.
        query: without the question mark.
        headers: with lower-case names.
        body: as received.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    payload = shape.serialization.get("payload")
    blob = payload is not None and shape.members[payload].type_name == "blob"
    request: Any = {
        "method": method,
        "values": MultiDict((name, value) for name, values in _query(query).items() for value in values),
        "headers": Headers(list(headers.items())),
        "body": b"" if blob else body,
        "url_path": "",
        "url_params": dict(given),
    }
    try:
        parsed = PROTOCOL_PARSERS[operation.service_model.metadata["protocol"]](operation).parse(request)
    except (RequestParserError, ValueError, KeyError, TypeError, AttributeError):
        # What is malformed is refused by the service itself.
        parsed = dict(given)
    parameters = {name: _plain(value) for name, value in parsed.items() if value is not None}
    if blob:
        parameters.pop(payload, None)
        if (document := _document(body)) is not None:
            parameters[payload] = document
    return parameters


def _query(query: str) -> dict[str, list[str]]:
    return parse_qs(query, keep_blank_values=True)


def _document(body: bytes) -> Any:
    """Return a JSON document that is small enough to keep, such as the event of a function."""
    if len(body) > _LONGEST_BYTES or not body.startswith(b"{"):
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items() if item is not None}
        case list() | tuple():
            return [_plain(item) for item in value]
        case bytes():
            return f"<{len(value)} bytes>"
        case datetime.datetime():
            return value.isoformat()
    return value
