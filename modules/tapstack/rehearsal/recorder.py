"""Remembers every call, for tests, for the proof of least privilege and for reports."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from tapstack.rehearsal.calls import Call


@dataclass(frozen=True, slots=True)
class Record:
    """A call and what the account answered.

    Attributes:
        call: what was asked.
        status: of HTTP; 0 where the connection was cut by a fault.
        fault: the fault that was played, if any.
    """

    call: Call
    status: int
    fault: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**self.call.as_dict(), "status": self.status, "fault": self.fault}


class Recorder:
    """Keeps the calls of an account in the order of their answers; safe to use from many threads."""

    def __init__(self) -> None:
        """Begin with no call."""
        self._records: list[Record] = []
        self._lock = threading.Lock()

    def add(self, record: Record) -> None:
        """Keep a record."""
        with self._lock:
            self._records.append(record)

    def clear(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._records.clear()

    def records(self, *, service: str | None = None, action: str | None = None) -> list[Record]:
        """Return what was recorded, all of it or that of one service or action."""
        with self._lock:
            return [
                record
                for record in self._records
                if service in (None, record.call.service) and action in (None, record.call.action)
            ]

    def actions(self) -> list[str]:
        """Return `service:Action` of every call, in order."""
        return [f"{record.call.service}:{record.call.action}" for record in self.records()]
