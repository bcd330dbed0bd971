"""The one reading of a request: what IAM is asked about, what is recorded and what moto does all come of it.

A request may say more than once what it asks for: in the header X-Amz-Target, in an `Action` of its query or of its
body, in its path. AWS reads it by the protocol of the service that it is signed for, and so does this account. What the
protocol ignores is taken away before moto gets the request, and moto does what was read (`dispatching`).

Sources: Smithy, "AWS JSON 1.0 protocol", "AWS query protocol", "AWS restJson1 protocol", "HTTP bindings" and "Smithy
RPC v2 CBOR protocol"; RFC 9110, "Content-Type"; Amazon S3 API Reference, "Error responses".
"""

from __future__ import annotations

import functools
import gzip
import io
import re
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

from moto.core.routing import RestRouter
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.exceptions import NotFound

from strictmoto.identity.signatures import Received
from strictmoto.requests.calls import Call, operation_named
from strictmoto.requests.document_types import wrong_type
from strictmoto.requests.documents import TooDeepError, read_json
from strictmoto.requests.function_names import function_named_by
from strictmoto.requests.rest_parameters import read_parameters
from strictmoto.requests.services import models_of, service_model
from strictmoto.s3.digests import refusal_of_digests

CBOR: Final = "smithy-rpc-v2-cbor"
_RPC: Final = re.compile(r"/service/\w+/operation/(\w+)")
_FORM: Final = "application/x-www-form-urlencoded"
_QUERIES: Final = ("ec2", "query")
_RESTS: Final = ("rest-json", "rest-xml")
_OF_S3_CONTROL: Final = "/v20180820/"
LARGEST: Final = 64 << 20
"""Bytes that a compressed body may become."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a request, whoever sends it.

    Attributes:
        code: of the error.
        message: of it.
        status: of HTTP.
    """

    code: str
    message: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class Reading:
    """What a request asks for, and what moto gets of it.

    Attributes:
        call: what it asks for.
        query: that moto gets.
        form: of a service that takes forms, wherever it stood; None of others.
        labels: what stands in the path, by the names of the model.
        content_type: that moto gets; empty where it gets that of the request.
        body: that moto gets; None where it gets that of the request.
        path: that moto gets, encoded; empty where it gets that of the request.
        account_id: whose resources moto uses; empty for the caller's.
        wrong: why the request is none; None where it is one.
    """

    call: Call
    query: str = ""
    form: Mapping[str, list[str]] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""
    body: bytes | None = None
    path: str = ""
    account_id: str = ""
    wrong: Wrong | None = None

    @property
    def sent(self) -> dict[str, list[str]]:
        """The parameters that are no part of a document: of the form, or of the query."""
        if self.form is not None:
            return dict(self.form)
        return parse_qs(self.query, keep_blank_values=True)

    def apply_to(self, environ: dict[str, Any]) -> None:
        """Leave moto what was read, and nothing that says otherwise."""
        environ["QUERY_STRING"] = self.query
        if self.path:
            environ["RAW_URI"] = self.path
            environ["PATH_INFO"] = unquote(self.path)
        if self.account_id:
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = self.account_id
        if self.call.protocol not in ("json", CBOR):
            environ.pop("HTTP_X_AMZ_TARGET", None)
        if self.content_type:
            environ["CONTENT_TYPE"] = self.content_type
        if self.body is not None:
            environ.pop("HTTP_CONTENT_ENCODING", None)
            environ["wsgi.input"] = io.BytesIO(self.body)
            environ["CONTENT_LENGTH"] = str(len(self.body))


def spoken(service: str, request: Received) -> str:
    """Return botocore's name of the protocol that a request to a service speaks.

    Args:
        service: that the request is signed for.
        request: as received.
    """
    query, rest, others = _spoken_by(service)
    headers = request.headers
    if CBOR in others and headers.get("smithy-protocol") == "rpc-v2-cbor" and _RPC.fullmatch(path_of(request)):
        return CBOR
    if "json" in others and "x-amz-target" in headers and not (query and _media_type(headers) == _FORM):
        return "json"
    if query and not (rest and path_of(request) != "/"):
        return query
    return rest or "json"


@functools.cache
def _spoken_by(service: str) -> tuple[str, str, frozenset[str]]:
    """Return the protocol of forms and that of paths that a service speaks, empty where none, and all of them."""
    protocols = [protocol for model in models_of(service) for protocol in _protocols(model)]
    query = next((protocol for protocol in _QUERIES if protocol in protocols), "")
    rest = next((protocol for protocol in protocols if protocol.startswith("rest-")), "")
    return query, rest, frozenset(protocols)


@functools.cache
def _models(service: str, protocols: tuple[str, ...]) -> tuple[str, ...]:
    """Return the models of a service that speak one of these."""
    return tuple(model for model in models_of(service) if not set(_protocols(model)).isdisjoint(protocols))


def read(request: Received, service: str, region: str, access_key: str, query: str) -> Reading:
    """Return what a request asks for.

    Args:
        request: as received.
        service: that it is signed for.
        region: that it is signed for.
        access_key: that signs it; empty where none does.
        query: of the request, without what signs it.
    """
    protocol = spoken(service, request)
    headers, body = request.headers, request.body
    unpacked: bytes | None = None
    wrong: Wrong | None = None
    # S3 keeps what it gets as it is.
    if protocol != "rest-xml" and headers.get("content-encoding", "").strip().lower() == "gzip":
        try:
            unpacked = body = _unpack(body)
        except ValueError as error:
            wrong, unpacked, body = Wrong("SerializationException", str(error)), b"", b""
    asked = _Asked(service, region, access_key, protocol, request.method, path_of(request), query, headers, body)
    if protocol in ("json", CBOR):
        reading = _read_rpc(asked)
    elif protocol in _QUERIES:
        reading = _read_form(asked)
    else:
        reading = _read_rest(asked)
    if wrong is None and unpacked is None:
        return reading
    return _replaced(reading, unpacked, wrong)


def path_of(request: Received) -> str:
    """Return the path of a request, not decoded, also where it names the host before."""
    path = request.path
    if not path.startswith("/"):
        path = urlsplit(path).path
    return path or "/"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request to a service, in one of its protocols."""

    service: str
    region: str
    access_key: str
    protocol: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def call(self, action: str, parameters: dict[str, Any], model: str) -> Call:
        return Call(self.service, action, self.region, self.access_key, parameters, self.protocol, model)


def _read_rpc(asked: _Asked) -> Reading:
    """Read a call whose header or path names it: the query says nothing, and the body is a document."""
    [first, *_] = models = _models(asked.service, (asked.protocol,)) or (*models_of(asked.service), asked.service)
    if asked.protocol == CBOR:
        named = _RPC.fullmatch(asked.path)
        return Reading(asked.call(named[1] if named else "", {}, first))
    target = asked.headers.get("x-amz-target", "")
    prefix, _, action = target.rpartition(".")
    model = next((one for one in models if _metadata(one).get("targetPrefix") == prefix), None)
    call = asked.call(action if model else target or f"{asked.method} {asked.path}", {}, model or first)
    content_type = f"application/x-amz-json-{_metadata(call.model).get('jsonVersion', '1.1')}"
    try:
        document = read_document(asked.body)
        _check_types(operation_named(call.model, call.action), document)
    except ValueError as error:
        return Reading(call, content_type=content_type, wrong=Wrong("SerializationException", str(error)))
    call.parameters.update(document)
    return Reading(call, content_type=content_type)


def _read_form(asked: _Asked) -> Reading:
    """Read a call that a form names: that of the body, or the query where the body has none."""
    form: dict[str, list[str]] = {}
    if asked.body and _media_type(asked.headers) == _FORM:
        form = parse_qs(asked.body.decode("utf-8", "replace"), keep_blank_values=True)
    body, query = None, ""
    if "Action" not in form:
        form = parse_qs(asked.query, keep_blank_values=True)
        body, query = b"", asked.query
    given = {name: values[0] for name, values in form.items()}
    # What moto finds first.
    form = {name: values[:1] for name, values in form.items()}
    action, version = given.pop("Action", ""), given.pop("Version", "")
    if asked.service == "sqs" and asked.path.strip("/"):
        # The path names the queue where nothing else does.
        given.setdefault("QueueUrl", unquote(asked.path))
    models = _models(asked.service, _QUERIES)
    model = next((one for one in models if _metadata(one)["apiVersion"] == version), models[0])
    call = asked.call(action or f"{asked.method} {asked.path}", given, model)
    wrong = None
    if len(models) > 1 and _metadata(model)["apiVersion"] != version and action:
        wrong = Wrong("InvalidAction", f"Could not find operation {action} for version {version or 'NO_VERSION'}")
    return Reading(call, query, form, content_type=_FORM, body=body, wrong=wrong)


def _read_rest(asked: _Asked) -> Reading:
    """Read a call that its method, path and query name, and the headers that its model requires; no other does."""
    query = _without_action(asked.query)
    named = f"{asked.method} {asked.path}"
    models = _models(asked.service, _RESTS)
    if asked.service == "s3" and asked.path.startswith(_OF_S3_CONTROL):
        return Reading(asked.call(named, {}, "s3"), query)
    for model in models:
        given = tuple((name, value) for name, value in asked.headers.items() if name in _needed_headers(model))
        routed = _route(model, asked.method, asked.path, query, given)
        if routed is not None:
            return _read_operation(asked, model, *routed, query)
    return Reading(asked.call(named, {}, models[0]), query)


def _read_operation(asked: _Asked, model: str, operation: Any, labels: Mapping[str, str], query: str) -> Reading:
    sent = {name for name, _ in parse_qsl(query, keep_blank_values=True)} if query else set()
    known = _query_names(model, operation.name)
    wrong = None
    if model == "s3":
        if others := sorted(sent & _flags(model) - known):
            named = ", ".join(sorted({*others, *(known & _flags(model) & sent)}))
            wrong = Wrong("InvalidArgument", f"Conflicting query string parameters: {named}")
    elif not (_ANY in known or known.issuperset(sent)):
        query = urlencode([pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] in known])
    if wrong is None and asked.protocol == "rest-json" and asked.body and _is_document(operation):
        try:
            _check_types(operation, read_document(asked.body))
        except ValueError as error:
            wrong = Wrong("SerializationException", str(error))
    if wrong is None and model == "s3" and (mismatch := refusal_of_digests(operation, asked.headers, asked.body)):
        wrong = Wrong(mismatch.code, mismatch.message)
    chunked = asked.headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
    if wrong is None and asked.protocol == "rest-xml" and asked.body and not chunked and _is_document(operation):
        wrong = _wrong_of_xml(asked.body, operation, model)
    parameters = {} if wrong else read_parameters(operation, asked.method, labels, query, asked.headers, asked.body)
    reading = Reading(asked.call(operation.name, parameters, model), query, labels=labels, wrong=wrong)
    if wrong is None and model == "lambda" and ":" in unquote(labels.get("FunctionName", "")):
        return _with_plain_name(asked, operation, reading)
    return reading


def _with_plain_name(asked: _Asked, operation: Any, reading: Reading) -> Reading:
    """Return a call of Lambda whose function is named by an ARN, or by a part of one, as one with its plain name.

    Source: Lambda API Reference, "Invoke" (FunctionName, "Name formats"; Qualifier). The words are those of Lambda.
    """
    sent = unquote(reading.labels["FunctionName"])
    function = function_named_by(sent)
    if function is None:
        # What its pattern says is checked elsewhere.
        return reading
    if function.region not in ("", asked.region):
        message = f"Functions from '{function.region}' are not reachable in this region ('{asked.region}')"
        return replace(reading, wrong=Wrong("ResourceNotFoundException", message, 404))
    query = reading.query
    if function.qualifier:
        [given] = parse_qs(query).get("Qualifier", [function.qualifier])[:1]
        if "Qualifier" not in operation.input_shape.members:
            message = (
                "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
                "operation. Please specify either a function name or an unqualified function ARN."
            )
            return replace(reading, wrong=Wrong("InvalidParameterValueException", message))
        if given != function.qualifier:
            message = "The derived qualifier from the function name does not match the specified qualifier."
            return replace(reading, wrong=Wrong("InvalidParameterValueException", message))
        query = urlencode(
            [*((name, value) for name, value in parse_qsl(query) if name != "Qualifier"), ("Qualifier", given)]
        )
    path = "/".join(function.name if unquote(part) == sent else part for part in asked.path.split("/"))
    labels = {**reading.labels, "FunctionName": function.name}
    return replace(reading, path=path, query=query, labels=labels, account_id=function.account)


def read_document(body: bytes) -> dict[str, Any]:
    """Return the document that a body is; an empty body is an empty one.

    Raises:
        ValueError: it is none, or no object.
    """
    if not body:
        return {}
    try:
        found = read_json(body)
    except TooDeepError:
        raise
    except ValueError as error:
        raise ValueError("the body is no JSON document") from error
    if not isinstance(found, dict):
        raise ValueError("Start of structure or map found where not expected")
    return found


def _check_types(operation: Any, document: Mapping[str, Any]) -> None:
    """Refuse a document whose values are of other types than its operation's.

    Raises:
        ValueError: one is.
    """
    shape = operation.input_shape if operation is not None else None
    if shape is None:
        return
    payload = shape.serialization.get("payload")
    if wrong := wrong_type(shape.members[payload] if payload else shape, document):
        raise ValueError(wrong)


def _wrong_of_xml(body: bytes, operation: Any, model: str) -> Wrong | None:
    """Return why a body is not the document of an operation; None where it is."""
    shape = operation.input_shape
    payload = shape.serialization.get("payload")
    name = shape.members[payload].serialization.get("name", payload) if payload else None
    try:
        root = ET.fromstring(body).tag.rpartition("}")[2]
    except (ET.ParseError, ValueError):
        root = ""
    if root and name in (None, root):
        return None
    code = "MalformedXML" if model == "s3" else "MalformedInput"
    return Wrong(code, "The XML you provided was not well-formed or did not validate against our published schema")


@dataclass(frozen=True, slots=True)
class _Routed:
    """What moto's router reads of a request."""

    method: str
    raw_path: str
    args: MultiDict[str, str]
    headers: Headers
    host: str = "localhost"


@functools.lru_cache(4096)
def _route(
    model: str, method: str, path: str, query: str, headers: tuple[tuple[str, str], ...]
) -> tuple[Any, Mapping[str, str]] | None:
    """Return the operation that a request is, and what stands in its path; None where it is none of the model's."""
    sent = MultiDict(parse_qsl(query, keep_blank_values=True))
    request: Any = _Routed(method, path, sent, Headers(list(headers)))
    try:
        return _router(model).match(request)
    except NotFound:
        return None


@functools.cache
def _needed_headers(model: str) -> frozenset[str]:
    """Return the headers without which a request is another operation."""
    found: set[str] = set()
    for name in service_model(model).operation_names:
        shape = operation_named(model, name).input_shape
        found |= {header.lower() for header in shape.required_headers} if shape else set()
    return frozenset(found)


@functools.cache
def _router(model: str) -> RestRouter:
    return RestRouter(service_model(model))


_ANY: Final = "*"
"""Where the names of a query are the caller's."""


@functools.cache
def _query_names(model: str, name: str) -> frozenset[str]:
    """Return the names that an operation has in the query."""
    operation = operation_named(model, name)
    found = set(operation.http_trait.query_args)
    members = operation.input_shape.members.values() if operation.input_shape else ()
    for shape in members:
        if shape.serialization.get("location") == "querystring":
            found.add(_ANY if shape.type_name == "map" else str(shape.serialization["name"]))
    return frozenset(found)


@functools.cache
def _flags(model: str) -> frozenset[str]:
    """Return the names in the query without which a request is another operation."""
    found: set[str] = set()
    for name in service_model(model).operation_names:
        operation = operation_named(model, name)
        found |= set(operation.http_trait.query_args)
        found |= set(operation.input_shape.required_query_args) if operation.input_shape else set()
    return frozenset(found)


@functools.cache
def _protocols(model: str) -> tuple[str, ...]:
    metadata = _metadata(model)
    return tuple(metadata.get("protocols") or (metadata["protocol"],))


def _metadata(model: str) -> Mapping[str, Any]:
    found = service_model(model)
    return found.metadata if found else {"protocol": "json", "apiVersion": ""}


def _is_document(operation: Any) -> bool:
    """Return whether the body is a JSON document, and no object of the caller's."""
    shape = operation.input_shape
    if shape is None:
        return False
    payload = shape.serialization.get("payload")
    return payload is None or shape.members[payload].type_name == "structure"


def _media_type(headers: Mapping[str, str]) -> str:
    """Return the media type of a body, without its parameters; a form where none is said."""
    return headers.get("content-type", _FORM).partition(";")[0].strip().lower()


def _without_action(query: str) -> str:
    """Return a query without the name that says the action where forms are taken."""
    if "Action" not in query and "%" not in query:
        return query
    pairs = query.split("&")
    return "&".join(pair for pair in pairs if "Action" not in dict(parse_qsl(pair, keep_blank_values=True)))


def _unpack(body: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as packed:
            found = packed.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError("the body is not compressed as Content-Encoding says") from error
    if len(found) > LARGEST:
        raise ValueError(f"the body is longer than {LARGEST} bytes")
    return found


def _replaced(reading: Reading, body: bytes | None, wrong: Wrong | None) -> Reading:
    return replace(reading, body=body if reading.body is None else reading.body, wrong=wrong or reading.wrong)
