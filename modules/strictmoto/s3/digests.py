"""Digests that a request of S3 says of its body: Content-MD5, and checksums in headers or in the trailer.

CRC32C and CRC64NVME are not calculated: Python has neither.

Sources: Amazon S3 User Guide, "Checking object integrity in Amazon S3"; Amazon S3 API Reference, "Error responses"
(BadDigest, InvalidDigest, InvalidRequest). The texts are those that S3 sends.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal
from strictmoto.requests import chunked_payloads

_CHECKSUM: Final = "x-amz-checksum-"
_LENGTHS: Final = {"crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}
"""Bytes of a checksum, by the end of its header's name."""
_CALCULATED: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}
_MD5_LENGTH: Final = 16


def refusal_of_digests(operation: Any, headers: Mapping[str, str], body: bytes) -> Refusal | None:
    """Return how S3 refuses a body that is not what its digests say; None where it is.

    Args:
        operation: botocore's model of it.
        headers: by lower-case name.
        body: as received, with a signature that is true.
    """
    said = {name: value for name, value in headers.items() if name.startswith(_CHECKSUM)}
    chunked = headers.get("x-amz-content-sha256", "") in chunked_payloads.KINDS
    trailing = chunked and "x-amz-trailer" in headers
    if not (said or trailing or "content-md5" in headers):
        return None
    data, trailer = chunked_payloads.read(body) if chunked else (body, {})
    if (given := headers.get("content-md5")) is not None:
        expected = _decoded(given)
        if expected is None or len(expected) != _MD5_LENGTH:
            return Refusal("InvalidDigest", "The Content-MD5 you specified was invalid.")
        if expected != hashlib.md5(data, usedforsecurity=False).digest():
            return Refusal("BadDigest", "The Content-MD5 you specified did not match what we received.")
    # Elsewhere such headers are about an object that is there already.
    if not getattr(operation, "http_checksum", {}).get("requestAlgorithmMember"):
        return None
    for name, value in {**said, **trailer}.items():
        algorithm = name.removeprefix(_CHECKSUM)
        if algorithm not in _LENGTHS:
            continue
        expected = _decoded(value)
        if expected is None or len(expected) != _LENGTHS[algorithm]:
            return Refusal("InvalidRequest", f"Value for {name} header is invalid.")
        if (calculate := _CALCULATED.get(algorithm)) and calculate(data) != expected:
            message = f"The {algorithm.upper()} you specified did not match the calculated checksum."
            return Refusal("BadDigest", message)
    return None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
