"""Cross-origin requests of browsers: the API answers for its functions.

Source: API Gateway Developer Guide, "Configure CORS for HTTP APIs in API Gateway".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strictmoto.http_api.exchange import Answer, Request


def preflight(request: Request, configuration: Mapping[str, Any] | None) -> Answer | None:
    """Return the answer to a preflight request; None where it is none, or the API does not configure CORS."""
    asks = "origin" in request.headers and "access-control-request-method" in request.headers
    if not configuration or request.method != "OPTIONS" or not asks:
        return None
    headers = allow(request, configuration)
    if headers:
        for key, name in (("allowMethods", "Access-Control-Allow-Methods"), ("allowHeaders", _ALLOW_HEADERS)):
            if configuration.get(key):
                headers.append((name, ",".join(configuration[key])))
        if configuration.get("maxAge") is not None:
            headers.append(("Access-Control-Max-Age", str(configuration["maxAge"])))
    return Answer(204, b"", headers)


def allow(request: Request, configuration: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return the headers that let the origin of a request read the answer; none where it may not."""
    origin = request.headers.get("origin")
    if not configuration or origin is None or not _allowed(origin, configuration.get("allowOrigins") or []):
        return []
    any_origin = "*" in configuration["allowOrigins"]
    headers = [("Access-Control-Allow-Origin", "*" if any_origin else origin)]
    if not any_origin:
        headers.append(("Vary", "Origin"))
    if configuration.get("allowCredentials"):
        headers.append(("Access-Control-Allow-Credentials", "true"))
    if configuration.get("exposeHeaders"):
        headers.append(("Access-Control-Expose-Headers", ",".join(configuration["exposeHeaders"])))
    return headers


def without_cors(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return a function's headers without its own CORS headers, which the API's configuration replaces."""
    return [(name, value) for name, value in headers if not name.lower().startswith("access-control-")]


_ALLOW_HEADERS = "Access-Control-Allow-Headers"


def _allowed(origin: str, origins: list[str]) -> bool:
    return any(one in ("*", origin) or (one.endswith("*") and origin.startswith(one[:-1])) for one in origins)
