"""Payload format 2.0: what the function is given, and what is made of its answer.

Source: API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway".
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from strictmoto.dns_suffixes import dns_suffix_of
from strictmoto.http_api.exchange import Answer, Denied, Request
from strictmoto.http_api.routing import Match, Place

_TEXT: Final = ("text/", "application/json", "application/javascript", "application/xml")


def _request_id() -> str:
    return base64.b64encode(secrets.token_bytes(11)).decode()


@dataclass(frozen=True, slots=True)
class Passage:
    """A request on its way to a route.

    Attributes:
        request: as received.
        place: API and stage.
        match: the route.
        authorizer: what is known of the caller.
        request_id: of API Gateway.
        begun: seconds since 1970.
    """

    request: Request
    place: Place
    match: Match
    authorizer: dict[str, Any] | None
    request_id: str = field(default_factory=_request_id)
    begun: float = field(default_factory=time.time)

    @property
    def domain_name(self) -> str:
        """The API's default endpoint on AWS, also where the request came in elsewhere."""
        return f"{self.place.api.api_id}.execute-api.{self.place.region}.{dns_suffix_of(self.place.region)}"


def event_of(passage: Passage) -> dict[str, Any]:
    """Return the event that a function is given."""
    request, place = passage.request, passage.place
    headers = {name: value for name, value in request.headers.items() if name not in ("cookie", "transfer-encoding")}
    headers.setdefault("content-length", str(len(request.body)))
    headers["x-amzn-trace-id"] = f"Root=1-{int(passage.begun):08x}-{secrets.token_hex(12)}"
    before = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{before}, {request.source_ip}" if before else request.source_ip
    headers.setdefault("x-forwarded-port", "443")
    headers.setdefault("x-forwarded-proto", "https")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": passage.match.route.route_key,
        "rawPath": place.full_path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": _context(passage),
        "isBase64Encoded": False,
    }
    if cookies := request.headers.get("cookie"):
        event["cookies"] = [cookie.strip() for cookie in cookies.split(";")]
    if request.query:
        event["queryStringParameters"] = _joined(parse_qsl(request.query, keep_blank_values=True))
    if passage.match.parameters:
        event["pathParameters"] = passage.match.parameters
    if place.stage.stage_variables:
        event["stageVariables"] = place.stage.stage_variables
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request)
    return event


def _context(passage: Passage) -> dict[str, Any]:
    request, place = passage.request, passage.place
    context: dict[str, Any] = {
        "accountId": place.account_id,
        "apiId": place.api.api_id,
        "domainName": passage.domain_name,
        "domainPrefix": place.api.api_id,
        "http": {
            "method": request.method,
            "path": place.full_path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": passage.request_id,
        "routeKey": passage.match.route.route_key,
        "stage": place.stage.name,
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(passage.begun)),
        "timeEpoch": int(passage.begun * 1000),
    }
    if passage.authorizer is not None:
        context["authorizer"] = passage.authorizer
    return context


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(request: Request) -> tuple[str, bool]:
    """Return the body as text, or in Base64 where its type is none of text's."""
    if request.headers.get("content-type", "").lower().startswith(_TEXT):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def answer_of(payload: bytes) -> Answer:
    """Return what the client gets for what a function returned.

    Raises:
        Denied: 500, the function returned what is no answer.
    """
    returned = json.loads(payload)
    if not isinstance(returned, dict) or "statusCode" not in returned:
        text = returned if isinstance(returned, str) else payload.decode()
        return Answer(200, text.encode(), [("Content-Type", "application/json")])
    try:
        status = int(returned["statusCode"])
        body = "" if returned.get("body") is None else returned["body"]
        headers = [(str(name), _header(value)) for name, value in (returned.get("headers") or {}).items()]
        headers += [("Set-Cookie", str(cookie)) for cookie in returned.get("cookies") or ()]
        content = base64.b64decode(body, validate=True) if returned.get("isBase64Encoded") else body.encode()
        if not 100 <= status <= 599:
            raise ValueError(f"statusCode {status}")
    except (AttributeError, TypeError, ValueError) as error:
        raise Denied(500, "Internal Server Error", f"the function's answer is malformed: {error}") from error
    # What belongs to the connection is API Gateway's.
    headers = [one for one in headers if one[0].lower() not in ("content-length", "transfer-encoding", "connection")]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "text/plain;charset=UTF-8"))
    return Answer(status, content, headers)


def _header(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise TypeError(f"a header is {value!r}")
    text = str(value)
    if "\n" in text or "\r" in text:
        raise ValueError("a header has more than one line")
    return text
