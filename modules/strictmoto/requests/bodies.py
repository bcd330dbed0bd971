"""The body of a request: it is read no further than whoever sends it may write.

Sources: AWS Lambda Developer Guide, "Lambda quotas" (RequestEntityTooLargeException); Amazon S3 API Reference, "Error
responses" (EntityTooLarge) and PutObject; Amazon API Gateway Developer Guide, "Quotas for HTTP APIs"; RFC 9112,
"Message body length". What the other services take at most is inferred: more than any call of theirs needs.
"""

from __future__ import annotations

import io
import re
from typing import Any, Final

_MIB: Final = 1 << 20
OF_STRANGERS: Final = _MIB
"""Bytes of a request that bears no signature of a key of the account, and of the account's own API."""
OF_HTTP_APIS: Final = 10 * _MIB
_OF_S3: Final = 5 << 30
_OF_LAMBDA: Final = 70_167_211
_OF_OTHERS: Final = 64 * _MIB
_LENGTH: Final = re.compile(r"[0-9]{1,15}")


class MalformedError(ValueError):
    """What a request says of its length is none, or its chunks are none."""


class TooLongError(ValueError):
    """A body is longer than it may be."""


def is_length(said: str) -> bool:
    """Return whether a Content-Length is one."""
    return _LENGTH.fullmatch(said) is not None


def longest_of(service: str) -> int:
    """Return how many bytes a request to a service may have."""
    return {"s3": _OF_S3, "lambda": _OF_LAMBDA}.get(service, _OF_OTHERS)


def take(environ: dict[str, Any], longest: int) -> bytes:
    """Read the body and put it back, because moto reads it again.

    Raises:
        MalformedError: its length is none, or its chunks are none.
        TooLongError: it has more bytes than `longest`; not all of them are read.
    """
    source, said = environ["wsgi.input"], str(environ.get("CONTENT_LENGTH") or "")
    if said and not is_length(said):
        raise MalformedError(f"no length: {said}")
    if said and int(said) > longest:
        raise TooLongError(f"{said} bytes")
    try:
        ends = bool(environ.get("wsgi.input_terminated"))
        body: bytes = source.read(int(said)) if said else source.read(longest + 1) if ends else b""
    except ValueError as error:
        raise MalformedError("no chunks") from error
    except OSError as error:
        if isinstance(error, ConnectionError | TimeoutError):
            raise
        raise MalformedError("no chunks") from error
    if len(body) > longest:
        raise TooLongError(f"more than {longest} bytes")
    environ["wsgi.input"] = io.BytesIO(body)
    if environ.pop("HTTP_TRANSFER_ENCODING", None):
        environ["CONTENT_LENGTH"] = str(len(body))
    return body
