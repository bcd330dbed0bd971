"""Faults on demand: a chosen call of a chosen action fails in a chosen way."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args
from xml.sax.saxutils import escape

from tapstack.rehearsal.calls import Call, protocol_of

Kind = Literal["throttled", "server error", "lost before", "lost after"]
"""`lost before` and `lost after` cut the connection before or after the effect: the caller cannot
tell them apart, and AWS's clients try again."""

_THROTTLED: Final = {
    "ec2": (503, "RequestLimitExceeded"),
    "s3": (503, "SlowDown"),
    "states": (400, "ThrottlingException"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault to play.

    Args:
        action: the API action, for example CreateTrafficMirrorSession; `*` for any.
        kind: what happens.
        call: which call of that action since the fault was set fails: 1 is the next; 0 is every one.
        service: the name the call is signed for; any service by default.

    Raises:
        ValueError: a kind that there is not, or a negative call.
    """

    action: str
    kind: Kind
    call: int = 1
    service: str = "*"

    def __post_init__(self) -> None:
        """Refuse what could never be played."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, got {self.kind!r}")
        if self.call < 0:
            raise ValueError(f"call must be 0 (every one) or more, got {self.call}")


class Faults:
    """The faults of an account; safe to use from many threads."""

    def __init__(self) -> None:
        """Begin without a fault."""
        self._faults: list[Fault] = []
        self._seen: list[int] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Set a fault; calls are counted from now on."""
        with self._lock:
            self._faults.append(fault)
            self._seen.append(0)

    def clear(self) -> None:
        """Take all faults back."""
        with self._lock:
            self._faults.clear()
            self._seen.clear()

    def strike(self, call: Call) -> Fault | None:
        """Count a call and return the fault it meets, if any."""
        with self._lock:
            struck = None
            for position, fault in enumerate(self._faults):
                if fault.action in ("*", call.action) and fault.service in ("*", call.service):
                    self._seen[position] += 1
                    if struck is None and fault.call in (0, self._seen[position]):
                        struck = fault
            return struck


def error_response(call: Call, kind: Kind) -> tuple[int, str, bytes]:
    """Return status, content type and body of the error that AWS gives for `throttled` or `server error`."""
    if kind == "throttled":
        status, code = _THROTTLED.get(call.service, (400, "Throttling"))
        message = "Rate exceeded"
    else:
        status, code, message = (
            500,
            "InternalError" if call.service in ("ec2", "s3") else "InternalFailure",
            "An internal error has occurred",
        )
    return (status, *_rendered(protocol_of(call.service), code, message))


def _rendered(protocol: str, code: str, message: str) -> tuple[str, bytes]:
    request = str(uuid.uuid4())
    if protocol in ("json", "rest-json"):
        body: dict[str, Any] = {"__type": code, "message": message}
        return "application/x-amz-json-1.1", json.dumps(body).encode()
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    if protocol == "ec2":
        text = f"<Response><Errors>{error}</Errors><RequestID>{request}</RequestID></Response>"
    elif protocol == "query":
        text = f"<ErrorResponse>{error}<RequestId>{request}</RequestId></ErrorResponse>"
    else:
        text = error
    return "text/xml", text.encode()
