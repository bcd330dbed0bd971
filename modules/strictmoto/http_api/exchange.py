"""A request to an HTTP API, and the answer to it."""

from __future__ import annotations

import http
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from strictmoto.identity.signatures import Received

_HOST: Final = re.compile(r"([a-z0-9]+)\.execute-api\.")
_PREFIX: Final = re.compile(r"/execute-api/([^/]+)")


@dataclass(frozen=True, slots=True)
class Request(Received):
    """A request.

    Attributes:
        api_id: of the API that it is meant for.
        path_in_api: the path below the API, as received: not decoded.
        source_ip: who sent it.
        protocol: for example HTTP/1.1.
    """

    api_id: str
    path_in_api: str
    source_ip: str
    protocol: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Attributes:
        status: of HTTP.
        body: to send.
        headers: names and values.
        note: why, where it is an error: for the access log.
    """

    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""

    @property
    def reason(self) -> str:
        """What HTTP says beside the status."""
        try:
            return http.HTTPStatus(self.status).phrase
        except ValueError:
            return "Unknown"


class Denied(Exception):  # noqa: N818 - an answer, too
    """The request is answered before it reaches its integration.

    Args:
        status: of HTTP.
        message: what API Gateway says.
        note: why, for the access log.
    """

    def __init__(self, status: int, message: str, note: str = "") -> None:
        """Note the answer."""
        super().__init__(note or message)
        body = json.dumps({"message": message}).encode()
        headers = [("Content-Type", "application/json")]
        if note:
            # Not on AWS, where only the access log has it.
            headers.append(("x-strictmoto", note.encode("ascii", "replace").decode().replace("\n", " ")))
        if status == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        self.answer = Answer(status, body, headers, note or message)


def read_request(received: Received, environ: dict[str, Any]) -> Request:
    """Return the request to an HTTP API.

    Args:
        received: the request.
        environ: of WSGI.
    """
    by_path = _PREFIX.match(received.path)
    by_host = _HOST.match(received.headers.get("host", ""))
    found = by_path or by_host
    return Request(
        received.method,
        received.path,
        received.query,
        received.headers,
        received.body,
        found[1] if found else "",
        (received.path[by_path.end() :] if by_path else received.path) or "/",
        str(environ.get("REMOTE_ADDR", "127.0.0.1")),
        str(environ.get("SERVER_PROTOCOL", "HTTP/1.1")),
    )
