"""An execution environment: one process of a function, which serves one invocation after another.

Source: Lambda Developer Guide, "Understanding the Lambda execution environment lifecycle".
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from strictmoto.iam.authorizations.place import Place
from strictmoto.identity import principals
from strictmoto.lambda_ import bootstrap
from strictmoto.lambda_.errors import Refused
from strictmoto.lambda_.logs import Log, Measured
from strictmoto.lambda_.packages import homes_of_the_runtime, layer_paths
from strictmoto.lambda_.versions import Version
from strictmoto.proxies import without_proxy
from strictmoto.running import running

INIT_LIMIT: Final = 10.0
"""Seconds that loading a handler may take before it counts against the timeout."""
_LOOK_AT_MEMORY: Final = 0.05
_FLUSH: Final = 1.0


@dataclass(frozen=True, slots=True)
class Invocation:
    """What one invocation is given.

    Attributes:
        request_id: of AWS.
        arn: the function as it was invoked, with version or alias.
        payload: JSON.
        client_context: what a synchronous caller added.
        trace_id: of X-Ray.
    """

    request_id: str
    arn: str
    payload: bytes
    client_context: dict[str, Any] | None
    trace_id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an invocation.

    Attributes:
        payload: what the function returned, or the error.
        error: whether it is an error.
        log: the last of what was logged.
    """

    payload: bytes
    error: bool
    log: str


class _Ended(Exception):  # noqa: N818 - not an error of ours
    """The process cannot go on."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Environment:
    """A process, its temporary directory and its log stream.

    One thread at a time uses it; `kill` may be called by any.
    """

    def __init__(self, version: Version, task: Path, layers: Path) -> None:
        """Start the process; it loads the handler in the background.

        Args:
            version: what it runs.
            task: the unpacked zip.
            layers: the unpacked layers.

        Raises:
            Refused: the function's role cannot be assumed.
        """
        self._credentials = _credentials(version)
        self.version = version
        self.usable = True
        self.idle_since = time.monotonic()
        self._log = Log(version)
        self._begun = time.monotonic()
        self._cold = True
        self._memory = 0
        self._received = bytearray()
        self._temporary = tempfile.mkdtemp(prefix="lambda-")
        with contextlib.ExitStack() as undone:
            undone.callback(shutil.rmtree, self._temporary, ignore_errors=True)
            self._connection, its = socket.socketpair()
            undone.callback(self._connection.close)
            with its:
                program = [sys.executable, "-I", "-S", "-u", "-X", "utf8", str(bootstrap.__file__), str(its.fileno())]
                self._process = subprocess.Popen(
                    program,
                    cwd=task,
                    env=self._variables(task),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=(its.fileno(),),
                    start_new_session=True,
                )
            undone.pop_all()
        assert self._process.stdout is not None
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        path = [str(task), *layer_paths(layers, version.runtime)]
        self._send({"path": path, "packages": homes_of_the_runtime()}, b"")

    def invoke(self, invocation: Invocation) -> Outcome:
        """Have the process serve an invocation; it is not `usable` any more where that ended it."""
        cold, init = self._cold, None
        self._log.start(invocation.request_id, cold=cold)
        started = time.monotonic()
        status = "success"
        try:
            if cold:
                kind, payload = self._receive(started + INIT_LIMIT + self.version.timeout)
                init = (time.monotonic() - self._begun) * 1000
                self._cold = False
            if not cold or kind == "ready":
                started = time.monotonic()
                self._send(
                    {
                        "request_id": invocation.request_id,
                        "arn": invocation.arn,
                        "client_context": invocation.client_context,
                        "trace_id": invocation.trace_id,
                        "deadline": time.time() + self.version.timeout,
                    },
                    invocation.payload or b"{}",
                )
                kind, payload = self._receive(started + self.version.timeout)
            # Whoever has discarded it meanwhile is right.
            self.usable = self.usable and kind != "init error"
            status = "success" if kind == "result" else "error"
        except _Ended as end:
            self.usable = False
            status = "timeout" if end.kind == "Sandbox.Timedout" else "error"
            self._log.fail(invocation.request_id, str(end), end.kind)
            message = f"RequestId: {invocation.request_id} Error: {end}"
            payload = json.dumps({"errorType": end.kind, "errorMessage": message}).encode()
        duration = (time.monotonic() - started) * 1000
        log = self._log.end(invocation.request_id, Measured(duration, self._peak(), init, status))
        self.idle_since = time.monotonic()
        return Outcome(payload, status != "success", log)

    @property
    def alive(self) -> bool:
        """Whether it can serve another invocation."""
        return self.usable and self._process.poll() is None

    def kill(self) -> None:
        """End the process and all it has started, now."""
        self.usable = False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def pause(self) -> None:
        """Stop the process and all it has started where they are, until `resume`; its timeout goes on."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process go on."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End the process and leave nothing behind."""
        self.kill()
        self._process.wait()
        self._connection.close()
        self._output.close()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _variables(self, task: Path) -> dict[str, str]:
        """Return what Lambda sets, and nothing of this machine's environment.

        Source: Lambda Developer Guide, "Working with Lambda environment variables".
        """
        version = self.version
        given = dict(version.variables)
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/opt/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            # Not on AWS: there, nothing is at home, and /tmp is the function's own.
            "HOME": self._temporary,
            "TMPDIR": self._temporary,
            "LAMBDA_TASK_ROOT": str(task),
            "LAMBDA_RUNTIME_DIR": "/var/runtime",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": version.log_format,
            **({"AWS_LAMBDA_LOG_LEVEL": version.log_level} if version.log_level else {}),
            **given,
            "_HANDLER": version.handler,
            "AWS_REGION": version.region,
            "AWS_DEFAULT_REGION": version.region,
            "AWS_LAMBDA_FUNCTION_NAME": version.name,
            "AWS_LAMBDA_FUNCTION_VERSION": version.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory),
            "AWS_LAMBDA_LOG_GROUP_NAME": self._log.group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self._log.stream,
            **self._credentials.as_environment(),
            # Not on AWS either: there, the endpoints are not on this machine.
            "AWS_ENDPOINT_URL": running().endpoint,
            **without_proxy(given),
        }

    def _send(self, about: dict[str, Any], payload: bytes) -> None:
        text = json.dumps(about).encode()
        # Where the process has ended, there is no answer to receive, and that is reported.
        with contextlib.suppress(OSError):
            self._connection.sendall(struct.pack("!II", len(text), len(payload)) + text + payload)

    def _receive(self, deadline: float) -> tuple[str, bytes]:
        """Return the next message, while what the function writes goes to its log.

        Raises:
            _Ended: no message by then, no process any more, or too much memory.
        """
        poller = select.poll()
        poller.register(self._connection, select.POLLIN)
        poller.register(self._output, select.POLLIN)
        flushed = time.monotonic()
        while True:
            ready = {descriptor for descriptor, _ in poller.poll(_LOOK_AT_MEMORY * 1000)}
            now = time.monotonic()
            if self._output.fileno() in ready and not self._drain():
                poller.unregister(self._output)
            if self._connection.fileno() in ready:
                message = self._read()
                if message is not None:
                    self._drain()
                    self._check_memory()
                    return message
            if now >= deadline:
                self._end("Sandbox.Timedout", f"Task timed out after {self.version.timeout:.2f} seconds")
            self._check_memory()
            if now - flushed > _FLUSH:
                self._log.flush()
                flushed = now

    def _read(self) -> tuple[str, bytes] | None:
        try:
            chunk = self._connection.recv(1 << 20)
        except OSError:
            # A process that is killed resets the connection, or it was closed under us by a reset of the account.
            chunk = b""
        if not chunk:
            self._process.wait()
            self._drain()
            self._end("Runtime.ExitError", _why(self._process.returncode))
        self._received += chunk
        if len(self._received) < 8:
            return None
        about, payload = struct.unpack_from("!II", self._received)
        if len(self._received) < 8 + about + payload:
            return None
        text, rest = bytes(self._received[8 : 8 + about]), bytes(self._received[8 + about :])
        self._received.clear()
        return json.loads(text)["kind"], rest

    def _drain(self) -> bool:
        """Log what was written so far; return whether more may come."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._output.fileno(), 1 << 16):
                self._log.write(chunk.decode(errors="replace"))
            return False
        return True

    def _check_memory(self) -> None:
        if self._peak() > self.version.memory:
            self._end("Runtime.OutOfMemory", "Runtime exited with error: signal: killed")

    def _end(self, kind: str, message: str) -> None:
        self.kill()
        raise _Ended(kind, message)

    def _peak(self) -> int:
        """Return the most memory that the process has used, in megabytes; 0 where the system does not say."""
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self._process.pid}/status").read_text()
            _, found, rest = status.partition("VmHWM:")
            # A process that has ended has none any more.
            self._memory = int(rest.split(maxsplit=1)[0]) // 1024 if found else self._memory
        return self._memory


def _credentials(version: Version) -> principals.Credentials:
    """Return the credentials of the function's role.

    Raises:
        Refused: it cannot be assumed.
    """
    place = Place(version.region, version.account_id)
    service, arn = "lambda.amazonaws.com", place.arn("lambda", f"function:{version.name}")
    try:
        return principals.assume(version.role, version.name, version.region, service=service, source_arn=arn)
    except principals.CannotAssumeError as error:
        message = "The role defined for the function cannot be assumed by Lambda."
        raise Refused(403, "AccessDeniedException", message) from error


def _why(status: int) -> str:
    if status == 0:
        return "Runtime exited without providing a reason"
    if status < 0:
        return f"Runtime exited with error: signal: {(signal.strsignal(-status) or str(-status)).lower()}"
    return f"Runtime exited with error: exit status {status}"
