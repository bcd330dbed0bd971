"""Signatures of webhooks: who sent one, that nothing of it was changed, and that it is not an old one sent again.

A signature is over the id, the time and the bytes of the body, so that none of them can be exchanged.

Sources: Standard Webhooks 1.0.0, "Verifying webhook authenticity" and "Webhook headers"; RFC 2104 (HMAC).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.operations import LARGEST_BODY
from tapstack.domain.outside_text import quoted

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
HEADERS: Final = (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
"""All that a signed webhook has."""
TOLERANCE_SECONDS: Final = 300
"""How far the time of a webhook may be from now, before and after."""
SIGNATURES: Final = 5
"""How many signatures a webhook may have: one for each secret while secrets change."""
SECRET_BYTES: Final = (24, 64)
_NEW_SECRET_BYTES: Final = 32
_PREFIX: Final = "whsec_"
_VERSION: Final = "v1"
_ID: Final = re.compile(r"[!-\-/-~]{1,256}")
"""Printable ASCII without a full stop, which separates what is signed."""
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
_SECRET_TEXT: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def new_secret() -> str:
    """Return a random secret of 32 bytes, as `read_secret` reads it."""
    return written_secret(secrets.token_bytes(_NEW_SECRET_BYTES))


def written_secret(content: bytes) -> str:
    """Return the bytes of a secret as text."""
    return _PREFIX + base64.b64encode(content).decode()


def read_secret(text: str) -> bytes:
    """Return the bytes of a secret that is written `whsec_` and base64.

    Raises:
        RuleViolation: it has another form, or not 24 to 64 bytes; the message has nothing of it.
    """
    low, high = SECRET_BYTES
    expected = f"expected whsec_ and the base64 of {low} to {high} bytes"
    written = text.removeprefix(_PREFIX)
    if written == text or not _SECRET_TEXT.fullmatch(written):
        raise RuleViolation(f"is no secret of webhooks: {expected}")
    try:
        found = base64.b64decode(written, validate=True)
    except binascii.Error:
        raise RuleViolation(f"is no secret of webhooks: {expected}") from None
    if not low <= len(found) <= high:
        raise RuleViolation(f"is a secret of {len(found)} bytes: {expected}")
    return found


def check_webhook_id(webhook_id: str) -> str:
    """Return the id of a webhook when it has 1 to 256 printable characters of ASCII, without blanks and full stops.

    Raises:
        RuleViolation: it has others.
    """
    if not _ID.fullmatch(webhook_id):
        raise RuleViolation(
            f"{ID_HEADER} {quoted(webhook_id)} is none: expected 1 to 256 characters without blanks and full stops"
        )
    return webhook_id


def sign(secret: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a webhook.

    Args:
        secret: as `read_secret` returns it.
        webhook_id: the same whenever this alert is sent.
        timestamp: seconds of the epoch when it is sent.
        body: the bytes that are sent.
    """
    signed = b".".join((webhook_id.encode(), str(timestamp).encode(), body))
    return f"{_VERSION},{base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()}"


def signed_headers(secret: bytes, webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that a webhook is sent with; see `sign`.

    Raises:
        RuleViolation: the id is none.
    """
    return {
        ID_HEADER: check_webhook_id(webhook_id),
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: sign(secret, webhook_id, timestamp, body),
    }


def verify(headers: Mapping[str, str], body: bytes, accepted: Iterable[bytes], *, now: float) -> str:
    """Return the id of a webhook that is signed with one of the accepted secrets.

    How long it takes does not depend on how much of a signature is right, nor on which one is.

    Args:
        headers: of the request, with names in lower case.
        body: its bytes, as they came.
        accepted: secrets, as `read_secret` returns them; while a secret changes, the one before too.
        now: seconds of the epoch.

    Raises:
        RuleViolation: something is missing, has another form, is too old, too large, or signed with another secret. For
            the log, not for the sender, who would learn which part was right.
    """
    if len(body) > LARGEST_BODY:
        raise RuleViolation(f"the body has {len(body):,} bytes: expected at most {LARGEST_BODY:,}")
    for name in HEADERS:
        if not headers.get(name):
            raise RuleViolation(f"{name} is missing")
    webhook_id = check_webhook_id(headers[ID_HEADER])
    timestamp, given = _timestamp(headers[TIMESTAMP_HEADER]), _signatures(headers[SIGNATURE_HEADER])
    if abs(now - timestamp) > TOLERANCE_SECONDS:
        raise RuleViolation(
            f"{TIMESTAMP_HEADER} {timestamp} is {abs(now - timestamp):.0f} seconds from now: expected at most "
            f"{TOLERANCE_SECONDS}"
        )
    right = False
    for secret in accepted:
        expected = sign(secret, webhook_id, timestamp, body).encode()
        for signature in given:
            right |= hmac.compare_digest(signature, expected)
    if not right:
        raise RuleViolation("no signature is right: expected one with the secret of this source")
    return webhook_id


def is_signed(headers: Mapping[str, str]) -> bool:
    """Return whether a request has the headers of a signed webhook, of whatever form, secret and clock.

    Args:
        headers: of the request, with names in lower case.
    """
    return all(headers.get(name) for name in HEADERS)


def _timestamp(text: str) -> int:
    if not _TIMESTAMP.fullmatch(text) or str(int(text)) != text:
        raise RuleViolation(f"{TIMESTAMP_HEADER} {quoted(text)} is no whole number of seconds of the epoch")
    return int(text)


def _signatures(text: str) -> list[bytes]:
    """Return the signatures of a version that is known here; others, such as v1a, are for other receivers."""
    found = text.split(" ")
    if len(found) > SIGNATURES:
        raise RuleViolation(f"{SIGNATURE_HEADER} has {len(found)} signatures: expected at most {SIGNATURES}")
    known = [each.encode(errors="replace") for each in found if each.startswith(f"{_VERSION},")]
    if not known:
        raise RuleViolation(f"{SIGNATURE_HEADER} {quoted(text)} has no signature that begins with {_VERSION},")
    return known
