"""What a function logs, and what Lambda itself logs of it, in CloudWatch Logs.

Source: Lambda Developer Guide, "Working with Lambda function logs", "Configuring JSON and plain text log formats".
"""

from __future__ import annotations

import json
import platform
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

from moto.logs.models import logs_backends

from strictmoto.lambda_.versions import Version

TAIL: Final = 4096
"""Bytes of the log that an invocation with LogType Tail returns."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a REPORT line says.

    Attributes:
        duration: milliseconds.
        memory: the most that was used, in megabytes.
        init: milliseconds until the handler was loaded; None where it was loaded before.
        status: success, error or timeout.
    """

    duration: float
    memory: int
    init: float | None
    status: str


class Log:
    """The log stream of one execution environment."""

    def __init__(self, version: Version) -> None:
        """Name the stream; it is created with its first line."""
        self.group = version.log_group
        self.stream = f"{time.strftime('%Y/%m/%d')}/[{version.version}]{secrets.token_hex(16)}"
        self._version = version
        self._json = version.log_format == "JSON"
        self._events: list[dict[str, Any]] = []
        self._partial = ""
        self._tail = ""

    def start(self, request_id: str, *, cold: bool) -> None:
        """Note that an invocation begins."""
        self._tail = ""
        version = self._version.version
        if cold and self._json:
            self._platform("initStart", {"runtimeVersion": f"python:{platform.python_version()}"})
        elif cold:
            self._line(f"INIT_START Runtime Version: python:{platform.python_version()}")
        if self._json:
            self._platform("start", {"requestId": request_id, "version": version})
        else:
            self._line(f"START RequestId: {request_id} Version: {version}")

    def write(self, text: str) -> None:
        """Note what the function wrote."""
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            self._line(line.replace("\r", "\n"))

    def fail(self, request_id: str, message: str, kind: str) -> None:
        """Note that Lambda ended the process, or found it ended."""
        if self._json:
            return
        if kind == "Sandbox.Timedout":
            self._line(f"{time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime())} {request_id} {message}")
        else:
            self._line(f"RequestId: {request_id} Error: {message}\n{kind}")

    def end(self, request_id: str, measured: Measured) -> str:
        """Note that an invocation has ended; return the last of what it logged."""
        if self._partial:
            self.write("\n")
        size, billed = self._version.memory, int(measured.duration) + 1
        if self._json:
            metrics: dict[str, Any] = {
                "durationMs": round(measured.duration, 3),
                "billedDurationMs": billed,
                "memorySizeMB": size,
                "maxMemoryUsedMB": measured.memory,
            }
            if measured.init is not None:
                metrics["initDurationMs"] = round(measured.init, 3)
            self._platform("report", {"requestId": request_id, "metrics": metrics, "status": measured.status})
        else:
            parts = [
                f"REPORT RequestId: {request_id}",
                f"Duration: {measured.duration:.2f} ms",
                f"Billed Duration: {billed} ms",
                f"Memory Size: {size} MB",
                f"Max Memory Used: {measured.memory} MB",
            ]
            if measured.init is not None:
                parts.append(f"Init Duration: {measured.init:.2f} ms")
            if measured.status != "success":
                parts.append(f"Status: {measured.status}")
            self._line(f"END RequestId: {request_id}")
            self._line("\t".join(parts))
        self.flush()
        return self._tail

    def flush(self) -> None:
        """Put what was noted into CloudWatch Logs."""
        events, self._events = self._events, []
        if events:
            backend = logs_backends[self._version.account_id][self._version.region]
            backend.ensure_log_group(self.group)
            backend.ensure_log_stream(self.group, self.stream)
            backend.put_log_events(self.group, self.stream, events)

    def _platform(self, kind: str, record: dict[str, Any]) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        self._line(json.dumps({"time": now, "type": f"platform.{kind}", "record": record}))

    def _line(self, line: str) -> None:
        self._events.append({"timestamp": int(time.time() * 1000), "message": line + "\n"})
        self._tail = (self._tail + line + "\n")[-TAIL:]
