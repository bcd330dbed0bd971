"""How Lambda refuses an invocation: before any code of the function has run.

Source: Lambda API Reference, Invoke, "Errors".
"""

from __future__ import annotations

import json
from typing import Final

from strictmoto.requests.documents import read_json

SYNCHRONOUS_LIMIT: Final = 6_291_456
"""Bytes of a request, and of a response, of a synchronous invocation."""
ASYNCHRONOUS_LIMIT: Final = 1_048_576
"""Bytes of an event; 256 KB until October 2025."""


class Refused(Exception):  # noqa: N818 - as AWS says it
    """Lambda does not invoke the function.

    Args:
        status: of HTTP.
        code: AWS's name of the error.
        message: what AWS says.
        reason: AWS's further reason, for throttling.
    """

    def __init__(self, status: int, code: str, message: str, reason: str = "") -> None:
        """Note why."""
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.body = json.dumps({"Type": "User", "message": message, **({"Reason": reason} if reason else {})})

    @property
    def throttled(self) -> bool:
        """Whether it may work later."""
        return self.status == 429


def throttled() -> Refused:
    """Return the refusal of a function whose reserved concurrency is used up."""
    reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
    return Refused(429, "TooManyRequestsException", "Rate Exceeded.", reason)


def check_payload(payload: bytes, limit: int) -> None:
    """Refuse what is no JSON, or larger than `limit` bytes.

    Raises:
        Refused: RequestTooLargeException or InvalidRequestContentException.
    """
    if len(payload) > limit:
        message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        raise Refused(413, "RequestTooLargeException", message)
    try:
        read_json(payload or b"{}")
    except ValueError as error:
        message = f"Could not parse request body into json: {error}"
        raise Refused(400, "InvalidRequestContentException", message) from error
