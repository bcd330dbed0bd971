"""Requests that no program of the user's sends: those of web pages, and those for another host.

A page that is open in a browser may send requests to this machine, and with a name of its own that leads here (DNS
rebinding) it may even read the answers. Browsers say where a request comes from in `Origin` and `Sec-Fetch-Site`, and
the name in `Host`; no page can change these (Fetch Standard, "Forbidden request-header"; Fetch Metadata Request
Headers).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from strictmoto import dns_suffixes

_HOST: Final = re.compile(
    rf"(?:127\.0\.0\.1|localhost|\[::1\]|[a-z0-9]+\.execute-api\.[a-z0-9-]+\.{dns_suffixes.PATTERN})(?::\d{{1,5}})?",
    re.IGNORECASE,
)
"""This machine, or an HTTP API in the account: no other name may lead here."""
# moto takes them for itself, whoever signs them: its own API, which deletes and sets everything, and instance metadata.
_OF_MOTO: Final = re.compile(r"/moto-api(/.*)?|/favicon\.ico|/latest/(meta-data|api)/.*")


def why_strange(path: str, headers: Mapping[str, str], *, origins: Collection[str] = ()) -> str:
    """Return why a request is refused, whatever it is about; empty where it is not.

    Args:
        path: decoded.
        headers: by lower-case name.
        origins: of web pages that may send it.
    """
    host = headers.get("host", "")
    if not _HOST.fullmatch(host):
        return f"no host {host}: expected 127.0.0.1, localhost, or that of an HTTP API"
    origin = headers.get("origin")
    if origin is not None and origin not in origins:
        return f"requests of web pages are refused, this one is of {origin}"
    if origin is None and headers.get("sec-fetch-site", "none") != "none":
        return "requests of web pages are refused"
    if _OF_MOTO.fullmatch(path):
        return f"no {path}"
    return ""
