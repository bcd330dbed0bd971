"""API Gateway HTTP APIs: requests reach the functions behind their routes, if they may.

One file a concern: the request and its answer (exchange), which API, stage and route it meets (routing), who may call
it (iam, signatures, jwt), browsers (cors), too many requests (throttling), the function behind a route (integrations,
payloads), access logs (access_logs), the way of a request through all of these (gateway), and what moto lacks of
stages and deployments (management).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strictmoto.identity.signatures import Received


@functools.cache
def install() -> None:
    """Make the HTTP APIs of this process's moto answer. A second call changes nothing."""
    from strictmoto.http_api import management

    management.install()


def is_request(path: str, host: str) -> bool:
    """Return whether a request is meant for an HTTP API, by its path or by its host."""
    return path.startswith("/execute-api/") or ".execute-api." in host


def answer(received: Received, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer a request to an HTTP API, as a WSGI application.

    Args:
        received: the request.
        environ: of WSGI.
        start_response: of WSGI.
    """
    # Late: few accounts have an HTTP API.
    from strictmoto.http_api.exchange import read_request
    from strictmoto.http_api.gateway import handle

    found = handle(read_request(received, environ))
    content = b"" if environ["REQUEST_METHOD"] == "HEAD" else found.body
    headers = [*found.headers, ("Content-Length", str(len(found.body)))]
    start_response(f"{found.status} {found.reason}", headers)
    return [content]
