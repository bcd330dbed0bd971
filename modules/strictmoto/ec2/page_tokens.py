"""Tokens of pages, which are signed: each is one that an answer gave to a request with the same parameters.

Source: Amazon EC2 API Reference, "Error codes for the Amazon EC2 API" (InvalidNextToken: the token is not valid). That
a token belongs to the parameters of its request, but for the size of a page, is inferred.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

_KEY: Final = secrets.token_bytes(32)
_SIGNED: Final = 32
"""The length of a signature in bytes."""
_NOT_BOUND: Final = frozenset({"DryRun", "MaxResults", "NextToken"})


def asked_of(backend: Any, what: str, parameters: Mapping[str, Any]) -> bytes:
    """Return what a token is bound to.

    Args:
        backend: moto's, of an account and a Region.
        what: the action, or the kind that it describes.
        parameters: of the request, of which those of pages and DryRun do not count.
    """
    bound = {name: value for name, value in parameters.items() if name not in _NOT_BOUND}
    asked = [backend.account_id, backend.region_name, what, bound]
    return json.dumps(asked, sort_keys=True, default=str).encode()


def make(asked: bytes, after: int) -> str:
    """Return the token of what comes after a number, for what asked_of returned."""
    number = str(after).encode()
    return base64.urlsafe_b64encode(_sign(asked, number) + number).decode()


def read(asked: bytes, token: str | None) -> int | None:
    """Return the number in a token, 0 where there is none; None for what no answer to such a request gave."""
    if not token:
        return 0
    try:
        given = base64.b64decode(token, altchars=b"-_", validate=True)
    except ValueError:
        return None
    signature, number = given[:_SIGNED], given[_SIGNED:]
    return int(number) if hmac.compare_digest(signature, _sign(asked, number)) else None


def _sign(asked: bytes, number: bytes) -> bytes:
    return hmac.digest(_KEY, number + b" " + asked, "sha256")
