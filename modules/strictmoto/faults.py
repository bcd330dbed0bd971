"""Faults on demand: a chosen call of a chosen action fails, lags or drags in a chosen way."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from strictmoto.front.answers import is_read
from strictmoto.front.refusals import refusal
from strictmoto.iam.patterns import matches
from strictmoto.lateness import shows
from strictmoto.requests.calls import Call

Kind = Literal["throttled", "server error", "lost before", "lost after", "slow", "late"]
"""What happens:

- `throttled`, `server error`: the service refuses, with its own error; nothing is done.
- `lost before`, `lost after`: the connection is cut before or after the effect. The caller cannot
  distinguish them, and AWS's clients try again. A client that gives up waiting is in the same place.
- `slow`: done at once, answered after `seconds`.
- `late`: a read that does not see the last creation yet, as AWS's reads may for a while.
"""
SLOWEST: Final = 900.0

_ITEM_ACTIONS: Final = re.compile(r"(Batch|Transact)?(Get|Put|Update|Delete|Write)Items?|Query|Scan")
# How services say that they are asked too often, where it is not their protocol's usual way.
_THROTTLED: Final = {
    "apigateway": (429, "TooManyRequestsException"),
    "ec2": (503, "RequestLimitExceeded"),
    "lambda": (429, "TooManyRequestsException"),
    "ram": (429, "ThrottlingException"),
    "s3": (503, "SlowDown"),
    "scheduler": (429, "ThrottlingException"),
    "sns": (429, "Throttled"),
    "sqs": (403, "RequestThrottled"),
    "tagging": (400, "ThrottledException"),
    "xray": (429, "ThrottledException"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault to play.

    Args:
        action: the API action, for example CreateTrafficMirrorSession; `*` for any.
        kind: what happens.
        call: which call of that action since the fault was set meets it: 1 is the next; 0 is every
            one. For `late`: since something was created that the call would show.
        service: the name the call is signed for; any service by default.
        seconds: how long a `slow` answer takes; above 0 and at most 900.
        principal: ARN of the role or user whose calls are meant, with `*` for any text; every principal's by default.
        times: how many calls in a row meet it, from `call` on: more than AWS's clients try is what
            their caller sees.
        after: for `late`: the action whose effect is not seen yet. By default the creation of what
            the call shows: CreateTrafficMirrorSession for DescribeTrafficMirrorSessions, RunInstances
            for DescribeInstances, CreateStack besides for what stacks hold.

    Raises:
        ValueError: a kind that there is not, a negative call, no times, or what the kind cannot have.
    """

    action: str
    kind: Kind
    call: int = 1
    service: str = "*"
    seconds: float = 0.0
    after: str = ""
    principal: str = "*"
    times: int = 1

    def __post_init__(self) -> None:
        """Refuse what could never be played."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, got {self.kind!r}")
        if self.call < 0:
            raise ValueError(f"call must be 0 (every one) or more, got {self.call}")
        if self.times < 1:
            raise ValueError(f"times must be 1 or more, got {self.times}")
        if self.kind == "slow" and not 0 < self.seconds <= SLOWEST:
            raise ValueError(f"seconds must be above 0 and at most {SLOWEST:.0f} for slow, got {self.seconds}")
        if self.kind != "slow" and self.seconds:
            raise ValueError(f"seconds is for slow, got {self.seconds} for {self.kind}")
        if self.kind == "late" and not is_read(self.action):
            raise ValueError(f"action must be one that reads, such as DescribeStacks, for late, got {self.action!r}")
        if self.kind != "late" and self.after:
            raise ValueError(f"after is for late, got {self.after!r} for {self.kind}")


class _Waiting:
    """A fault, how many of its calls came, and since when a late one counts them."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.before: Any = None

    def meets(self, call: Call, principal: str) -> bool:
        fault = self.fault
        if fault.action not in ("*", call.action) or fault.service not in ("*", call.service):
            return False
        if not matches(fault.principal, principal):
            return False
        if fault.kind != "late":
            return True
        # DynamoDB's reads are up to date where that is asked for.
        return self.before is not None and not call.parameters.get("ConsistentRead")

    def strikes(self) -> bool:
        """Return whether the call that was counted last is one that it is played for."""
        fault = self.fault
        return fault.call == 0 or fault.call <= self.seen < fault.call + fault.times

    def awaits(self, call: Call) -> bool:
        """Return whether it is a late fault that a call will make something for."""
        fault = self.fault
        if fault.kind != "late":
            return False
        return call.action == fault.after if fault.after else shows(fault.action, call)


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that a call meets.

    Attributes:
        fault: what is played.
        before: for a late one: the account as it was before the creation.
    """

    fault: Fault
    before: Any = None


class Faults:
    """The faults of an account; safe to use from many threads."""

    def __init__(self) -> None:
        """Begin without a fault."""
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Set a fault; calls are counted from now on."""
        with self._lock:
            self._waiting.append(_Waiting(fault))

    @property
    def are_set(self) -> bool:
        """Whether there are any, met or not."""
        return bool(self._waiting)

    def clear(self) -> None:
        """Take all faults back."""
        with self._lock:
            self._waiting.clear()

    def strike(self, call: Call, principal: str = "") -> Strike | None:
        """Count a call and return the fault it meets, if any."""
        with self._lock:
            struck = None
            for waiting in self._waiting:
                if waiting.meets(call, principal):
                    waiting.seen += 1
                    if struck is None and waiting.strikes():
                        struck = Strike(waiting.fault, waiting.before)
            return struck

    def creation_of(self, call: Call) -> list[_Waiting]:
        """Return the late faults that wait for what a call makes."""
        with self._lock:
            return [waiting for waiting in self._waiting if waiting.awaits(call)]

    def created(self, waiting: list[_Waiting], before: Any) -> None:
        """Give late faults the time at which what they wait for was made, and the account of before."""
        with self._lock:
            for one in waiting:
                one.before = before


def error_response(call: Call, kind: Kind) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the error that AWS gives for `throttled` or `server error`."""
    if kind == "throttled":
        status, code = _throttled(call)
        return status, *refusal(call.protocol, code, "Rate exceeded")
    code = "InternalError" if call.service in ("ec2", "s3") else "InternalFailure"
    return 500, *refusal(call.protocol, code, "An internal error has occurred")


def _throttled(call: Call) -> tuple[int, str]:
    if call.service == "dynamodb":
        item = _ITEM_ACTIONS.fullmatch(call.action)
        return 400, "ProvisionedThroughputExceededException" if item else "ThrottlingException"
    usual = "ThrottlingException" if "json" in call.protocol else "Throttling"
    return _THROTTLED.get(call.service, (400, usual))
