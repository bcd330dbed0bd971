"""Email addresses, and those of identity providers, checked for typing errors only."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from tapstack.domain.errors import RuleViolation

EMAIL_PATTERN: Final = (
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$"
)
_EMAIL: Final = re.compile(EMAIL_PATTERN)
_EMAIL_LENGTH: Final = 254


def check_email(value: str) -> str:
    """Return `value` when it has the form of an email address; whether it exists is not checked."""
    if _EMAIL.fullmatch(value) and len(value) <= _EMAIL_LENGTH and ".." not in value:
        return value
    raise RuleViolation(f"{value!r} is no email address: expected the form responders@example.com")


def check_issuer(value: str) -> str:
    """Return `value` when it can be the issuer of JSON Web Tokens: an https URL without query or fragment.

    Tokens name their issuer exactly so: another spelling of the same URL is another issuer.

    API Gateway fetches the provider's configuration and keys from it, so it is a public one.

    Source: OpenID Connect Core 1.0, section 2, `iss`; Amazon API Gateway Developer Guide,
    "Control access to HTTP APIs with JWT authorizers".
    """
    try:
        parts = urlsplit(value)
        usable = value.startswith("https://") and _is_host(parts.hostname or "") and parts.port != 0
        usable = usable and not parts.netloc.endswith(":") and bool(_URL_PATH.fullmatch(parts.path))
    except ValueError:
        usable = False
    if usable and not (parts.query or parts.fragment or "@" in parts.netloc or {" ", "?", "#"} & set(value)):
        if "/.well-known/" in f"{parts.path}/":
            raise RuleViolation(
                f"{value!r} is where an issuer's configuration is: leave out /.well-known and what follows it"
            )
        if _is_private(parts.hostname or ""):
            raise RuleViolation(
                f"{value!r} is no issuer of tokens: API Gateway fetches the keys of its tokens over the internet, "
                f"where {parts.hostname} is not found"
            )
        return value
    raise RuleViolation(
        f"{value!r} is no issuer of tokens: expected an https URL without query, such as https://login.example.com/tenant"
    )


_URL_PATH: Final = re.compile(r"(?:[!$&'()*+,./0-9:;=@A-Z_a-z~-]|%[0-9A-Fa-f]{2})*")
"""RFC 3986, section 3.3."""
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1123, section 2.1: a name that is not ASCII is written in its form that is (xn--)."""


def _is_host(host: str) -> bool:
    if _is_address(host):
        return True
    labels = host.split(".")
    # What ends like a number is an address in one of its old forms (127.1), or none.
    return len(host) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1][:1].isdigit()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_private(host: str) -> bool:
    if _is_address(host):
        return not ipaddress.ip_address(host).is_global
    return "." not in host or host.endswith((".localhost", ".local", ".internal"))
