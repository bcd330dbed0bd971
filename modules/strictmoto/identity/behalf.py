"""Calls that a service makes for whoever called it: with the caller's own credentials, or with a role.

IAM is asked about each, and each is recorded, as any other call. Faults do not meet them.

Sources: IAM User Guide, "Forward access sessions" and "AWS global condition context keys" (aws:CalledVia,
aws:ViaAWSService, aws:SourceIp); CloudTrail User Guide, "CloudTrail userIdentity element" (invokedBy).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final

from strictmoto.iam.denials import Refusal
from strictmoto.iam.enforcement import Connection, needed_for, refusal_of
from strictmoto.identity.callers import Caller
from strictmoto.requests.calls import Call
from strictmoto.running import running

Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body."""


@dataclass(frozen=True, slots=True)
class Behalf:
    """For whom a service calls.

    Attributes:
        caller: whose permissions count: who called the service, or the session of the role that it was given.
        service: that calls, for example cloudformation.amazonaws.com.
        forwarded: whether it uses the caller's own credentials, and no role.
    """

    caller: Caller
    service: str
    forwarded: bool

    def refusal_of(self, call: Call) -> Refusal | None:
        """Return the answer that refuses a call; None where IAM allows it."""
        return refusal_of(call, self.caller.principal_arn, self._connection)

    def make(self, call: Call, answer: Callable[[], Answer]) -> Answer:
        """Return the answer to a call, which IAM may refuse; keep both."""
        began, clock = time.time(), time.perf_counter()
        needed = needed_for(call, self.caller.principal_arn)
        authorizations = tuple(replace(one, context={**one.context, **self._keys}) for one in needed)
        refused = self.refusal_of(call) if running().enforces_iam else None
        status, headers, body = (refused.status, refused.headers, refused.body) if refused else answer()
        running().recorder.record(
            call,
            status,
            began=began,
            seconds=time.perf_counter() - clock,
            principal=self.caller.principal_arn,
            invoked_by=self.service,
            authorizations=authorizations,
            headers=headers,
            body=body,
        )
        return status, headers, body

    @property
    def _keys(self) -> Mapping[str, str | tuple[str, ...]]:
        """The keys that a record keeps: with a role there are none."""
        return {"aws:CalledVia": (self.service,), "aws:ViaAWSService": "true"} if self.forwarded else {}

    @property
    def _connection(self) -> Connection:
        own = Connection.of_service(self.service)
        return replace(own, called_via=(self.service,)) if self.forwarded else own


BEHALF: Final[ContextVar[Behalf | None]] = ContextVar("BEHALF", default=None)
"""For whom the work is done that goes on here; None where no identity is asked."""
