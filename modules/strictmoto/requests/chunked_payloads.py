"""Payloads that arrive in chunks which are signed one by one, and trailers after the last: `aws-chunked`.

Sources: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in
Multiple Chunks (Chunked Upload)", "Signature calculations for trailing headers"; Amazon S3 User Guide, "Checking object
integrity in Amazon S3".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SIGNED: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_TRAILER: Final = "-TRAILER"
KINDS: Final = (_SIGNED, _SIGNED + _TRAILER, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
"""What x-amz-content-sha256 says of them."""
_EMPTY: Final = hashlib.sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class Seed:
    """What the signatures of chunks begin with.

    Attributes:
        key: that signs.
        timestamp: of the request.
        scope: of the credential.
        signature: of the request.
    """

    key: bytes
    timestamp: str
    scope: str
    signature: str


def check(body: bytes, kind: str, headers: Mapping[str, str], seed: Seed) -> None:
    """Refuse a payload whose chunks are not what they say.

    Args:
        body: as received.
        kind: one of KINDS.
        headers: by lower-case name.
        seed: of the request.

    Raises:
        ValueError: it is cut short, has another length, or a signature that does not match.
    """
    signed = kind.startswith(_SIGNED)
    previous, position, length = seed.signature, 0, 0
    while True:
        line, position = _line(body, position)
        size, _, extension = line.partition(b";")
        try:
            count = int(size, 16)
        except ValueError as error:
            raise ValueError(f"no size of a chunk: {size[:20]!r}") from error
        data = body[position : position + count]
        if count < 0 or len(data) < count:
            raise ValueError("a chunk is cut short")
        if signed:
            said = extension.strip().removeprefix(b"chunk-signature=").decode("ascii", "replace")
            text = ["AWS4-HMAC-SHA256-PAYLOAD", seed.timestamp, seed.scope, previous, _EMPTY, _hash(data)]
            previous = _checked(seed, text, said)
        if count == 0:
            break
        position += count
        length += count
        if body[position : position + 2] != b"\r\n":
            raise ValueError("a chunk is longer than its size")
        position += 2
    decoded = headers.get("x-amz-decoded-content-length", "")
    if decoded != str(length):
        raise ValueError(f"x-amz-decoded-content-length is {decoded}, and the chunks have {length} bytes")
    if kind.endswith(_TRAILER):
        _check_trailer(body[position:], headers, seed, previous if signed else None)


def read(body: bytes) -> tuple[bytes, dict[str, str]]:
    """Return what a payload holds, and its trailer by lower-case name.

    Args:
        body: for which `check` holds.
    """
    held: list[bytes] = []
    position = 0
    while True:
        line, position = _line(body, position)
        count = int(line.partition(b";")[0], 16)
        if count == 0:
            return b"".join(held), _trailer(body[position:])
        held.append(body[position : position + count])
        position += count + 2


def _trailer(rest: bytes) -> dict[str, str]:
    lines = [line.strip().decode("ascii", "replace") for line in rest.split(b"\n")]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


def _check_trailer(rest: bytes, headers: Mapping[str, str], seed: Seed, previous: str | None) -> None:
    trailer = _trailer(rest)
    said = trailer.pop("x-amz-trailer-signature", "")
    announced = [name.strip().lower() for name in headers.get("x-amz-trailer", "").split(",") if name.strip()]
    if sorted(trailer) != sorted(announced):
        raise ValueError(f"the trailer has {', '.join(trailer)}, where x-amz-trailer announces {', '.join(announced)}")
    if previous is not None:
        canonical = "".join(f"{name}:{value}\n" for name, value in sorted(trailer.items()))
        text = ["AWS4-HMAC-SHA256-TRAILER", seed.timestamp, seed.scope, previous, _hash(canonical.encode())]
        _checked(seed, text, said)


def _checked(seed: Seed, text: list[str], said: str) -> str:
    expected = hmac.new(seed.key, "\n".join(text).encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), said.encode()):
        raise ValueError("the signature of a chunk does not match")
    return expected


def _line(body: bytes, position: int) -> tuple[bytes, int]:
    end = body.find(b"\r\n", position)
    if end < 0:
        raise ValueError("the last chunk is missing")
    return body[position:end], end + 2


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
