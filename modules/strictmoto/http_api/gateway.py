"""The way of a request: stage, route, limits, caller, function, and back.

Source: API Gateway Developer Guide, "Quotas for configuring and running an HTTP API in API Gateway".
"""

from __future__ import annotations

from typing import Any, Final

from strictmoto.http_api import access_logs, cors, integrations, throttling
from strictmoto.http_api.authorization import authorize
from strictmoto.http_api.exchange import Answer, Denied, Request
from strictmoto.http_api.payloads import Passage
from strictmoto.http_api.routing import find_place, find_route

PAYLOAD_LIMIT: Final = 10 * 1024 * 1024
"""Bytes of a request."""
HEADERS_LIMIT: Final = 10_240
"""Bytes of its first line and the values of its headers."""


def handle(request: Request) -> Answer:
    """Answer a request to an HTTP API."""
    try:
        place = find_place(request)
    except Denied as denied:
        return denied.answer
    configuration: dict[str, Any] | None = place.api.cors_configuration
    if answered := cors.preflight(request, configuration):
        return answered
    try:
        match = find_route(place, request.method)
    except Denied as denied:
        return denied.answer
    passage = Passage(request, place, match, None)
    try:
        _check_size(request)
        throttling.take(place, match.route.route_key)
        authorizer = authorize(request, place, match)
        passage = Passage(request, place, match, authorizer, passage.request_id, passage.begun)
        answer = integrations.call(passage)
    except Denied as denied:
        answer = denied.answer
    headers = [*answer.headers, ("Apigw-Requestid", passage.request_id)]
    if configuration:
        headers = [*cors.without_cors(headers), *cors.allow(request, configuration)]
    answer = Answer(answer.status, answer.body, headers, answer.note)
    access_logs.write(passage, answer)
    return answer


def _check_size(request: Request) -> None:
    """Refuse what is larger than the quotas for HTTP APIs, whose text AWS does not document."""
    target = f"{request.path}?{request.query}" if request.query else request.path
    first_line = f"{request.method} {target} {request.protocol}"
    if len(first_line) + sum(map(len, request.headers.values())) > HEADERS_LIMIT:
        raise Denied(431, "Request Header Fields Too Large")
    if len(request.body) > PAYLOAD_LIMIT:
        raise Denied(413, "Request Entity Too Large")
