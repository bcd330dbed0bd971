"""Remembers every call, for tests, for the proof of least privilege and for reports."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from strictmoto.front.answers import created_by, is_worth_keeping, parse_answer
from strictmoto.iam.authorizations import Authorization, authorizations_of, tags_of
from strictmoto.redaction import redact
from strictmoto.requests.calls import Call
from strictmoto.requests.structures import requested_by


@dataclass(frozen=True)
class Record:
    """A call and what the account answered.

    What follows from the rest is worked out when it is first asked for, so that recording
    costs next to nothing.

    Attributes:
        call: what was asked, without the secrets it handed over.
        status: of HTTP; 0 where the connection was cut by a fault.
        fault: the fault that was played, if any.
        principal: ARN of the role, user or root user that called; empty where AWS asks for no signature.
        began: when the call arrived, in seconds since 1970, UTC.
        seconds: how long it took.
        invoked_by: the service that made the call for the principal, such as cloudformation.amazonaws.com; empty where
            the principal made it itself.
        headers: of the answer, with lower-case names.
        body: of the answer, where it is a refusal or says what was created, and no secret.
    """

    call: Call
    status: int
    fault: str = ""
    principal: str = ""
    began: float = 0.0
    seconds: float = 0.0
    invoked_by: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @functools.cached_property
    def requested(self) -> dict[str, Any]:
        """The parameters by the names and in the structure of the API, as boto3 takes them."""
        return requested_by(self.call)

    @functools.cached_property
    def error(self) -> str:
        """The code of the refusal, such as DependencyViolation; empty where the call was not refused."""
        return str(self._answer.get("Error", {}).get("Code", "")) if self.status >= 400 else ""

    @functools.cached_property
    def created(self) -> tuple[str, ...]:
        """The ids, ARNs and URLs of what the call created, as its answer names them."""
        return created_by(self.call, self.requested, self._answer) if 200 <= self.status < 300 else ()

    @functools.cached_property
    def authorizations(self) -> tuple[Authorization, ...]:
        """What IAM has to allow for this call: its own action first, then those it implies."""
        return authorizations_of(self.call, self.requested, self.principal)

    @property
    def resources(self) -> tuple[str, ...]:
        """What the call itself names or creates, as IAM policies write it in `Resource`."""
        return self.authorizations[0].resources if self.authorizations else ()

    @property
    def request_tags(self) -> dict[str, str]:
        """The tags that the call gives, which policies know as aws:RequestTag."""
        return tags_of(self.requested)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            **self.call.as_dict(),
            "status": self.status,
            "error": self.error,
            "fault": self.fault,
            "principal": self.principal,
            "began": self.began,
            "seconds": self.seconds,
            "invoked_by": self.invoked_by,
            "created": list(self.created),
            "resources": list(self.resources),
            "request_tags": self.request_tags,
            "authorizations": [authorization.as_dict() for authorization in self.authorizations],
        }

    @functools.cached_property
    def _answer(self) -> dict[str, Any]:
        return parse_answer(self.call, self.status, self.headers, self.body)


class Recorder:
    """Keeps the calls of an account in the order of their answers; safe to use from many threads.

    Attributes:
        listeners: called with every call once it is recorded, before it is answered, in its own thread.
    """

    def __init__(self) -> None:
        """Begin with no call."""
        self.listeners: list[Callable[[Record], object]] = []
        self._records: list[Record] = []
        self._lock = threading.Lock()

    def record(
        self,
        call: Call,
        status: int,
        *,
        began: float,
        seconds: float,
        principal: str,
        fault: str = "",
        invoked_by: str = "",
        authorizations: tuple[Authorization, ...] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Record:
        """Keep what a record needs of a call and its answer; the arguments are as Record has them.

        `authorizations` are worked out of the call where they are not given.
        """
        kept = is_worth_keeping(call, status)
        record = Record(
            redact(call),
            status,
            fault,
            principal,
            began,
            seconds,
            invoked_by,
            {name.lower(): value for name, value in headers.items()} if kept and headers else {},
            body if kept else b"",
        )
        if authorizations is not None:
            vars(record)["authorizations"] = authorizations
        self.add(record)
        return record

    def add(self, record: Record) -> None:
        """Keep a record."""
        with self._lock:
            self._records.append(record)
        for listener in list(self.listeners):
            listener(record)

    @contextmanager
    def heard_by(self, listener: Callable[[Record], object]) -> Iterator[None]:
        """Call a listener with every call inside."""
        self.listeners.append(listener)
        try:
            yield
        finally:
            self.listeners.remove(listener)

    def clear(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._records.clear()

    def records(
        self, *, service: str | None = None, action: str | None = None, principal: str | None = None
    ) -> list[Record]:
        """Return what was recorded, all of it or that of one service, action or principal's ARN."""
        with self._lock:
            return [
                record
                for record in self._records
                if service in (None, record.call.service)
                and action in (None, record.call.action)
                and principal in (None, record.principal)
            ]

    def actions(self) -> list[str]:
        """Return `service:Action` of every call, in order."""
        return [f"{record.call.service}:{record.call.action}" for record in self.records()]
