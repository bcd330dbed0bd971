"""A request to an HTTP API, and the answer to it."""

from __future__ import annotations

import http
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

_HOST: Final = re.compile(r"([a-z0-9]+)\.execute-api\.")
_PREFIX: Final = re.compile(r"/execute-api/([^/]+)")


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Attributes:
        api_id: of the API that it is meant for.
        method: of HTTP.
        path: below the API, as received: not decoded.
        signed_path: the whole of it, which is what a client signs.
        query: as received, without the question mark.
        headers: by lower-case name; those sent more than once are joined by commas.
        body: as received.
        source_ip: who sent it.
        protocol: for example HTTP/1.1.
    """

    api_id: str
    method: str
    path: str
    signed_path: str
    query: str
    headers: dict[str, str]
    body: bytes
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
        note: why, for the access log and for whoever rehearses.
    """

    def __init__(self, status: int, message: str, note: str = "") -> None:
        """Note the answer."""
        super().__init__(note or message)
        body = json.dumps({"message": message}).encode()
        headers = [("Content-Type", "application/json")]
        if note:
            # Not on AWS, where only the access log has it.
            headers.append(("x-tapstack-rehearsal", note.encode("ascii", "replace").decode().replace("\n", " ")))
        if status == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        self.answer = Answer(status, body, headers, note or message)


def read_request(environ: dict[str, Any], body: bytes) -> Request:
    """Return the request of a WSGI environment.

    Args:
        environ: with werkzeug's REQUEST_URI, which is not decoded.
        body: as received.
    """
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        # WSGI servers have these two empty where the request has none; any other was sent empty.
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value != "")
    }
    target, _, query = str(environ["REQUEST_URI"]).partition("?")
    by_path = _PREFIX.match(target)
    by_host = _HOST.match(headers.get("host", ""))
    path = target[by_path.end() :] if by_path else target
    found = by_path or by_host
    return Request(
        found[1] if found else "",
        str(environ["REQUEST_METHOD"]),
        path or "/",
        target,
        query,
        headers,
        body,
        str(environ.get("REMOTE_ADDR", "127.0.0.1")),
        str(environ.get("SERVER_PROTOCOL", "HTTP/1.1")),
    )
