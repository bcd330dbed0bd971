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

    API Gateway fetches the provider's configuration and keys from it, so it is a public one.

    Source: OpenID Connect Core 1.0, section 2, `iss`; Amazon API Gateway Developer Guide,
    "Control access to HTTP APIs with JWT authorizers".
    """
    try:
        parts = urlsplit(value)
        usable = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        usable = False
    if usable and not (
        parts.query or parts.fragment or parts.username or parts.password or {" ", "?", "#"} & set(value)
    ):
        if "/.well-known/" in parts.path:
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


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
