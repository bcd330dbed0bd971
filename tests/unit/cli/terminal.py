"""A command in a terminal of its own, or without one."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LONGEST = 600.0


class Command:
    """A command that runs; use it as a context manager.

    Attributes:
        shown: what it has printed so far; without a terminal, on standard output.
    """

    def __init__(self, arguments: Sequence[str], *, terminal: bool, cwd: Path, **environment: str) -> None:
        self._terminal = terminal
        self.shown = ""
        held: Mapping[str, str] = {**os.environ, **environment}
        if terminal:
            self.pid, self._output = pty.fork()
            if self.pid == 0:
                _as_in_a_shell()
                os.chdir(cwd)
                os.execve(arguments[0], list(arguments), held)
            return
        self._error, write_error = os.pipe()
        self._output, write = os.pipe()
        self._process = subprocess.Popen(
            arguments,
            cwd=cwd,
            env=held,
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=write_error,
            preexec_fn=_as_in_a_shell,
        )
        self.pid = self._process.pid
        os.close(write)
        os.close(write_error)

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def until(self, text: str) -> None:
        """Wait until it has printed a text."""
        end = time.monotonic() + LONGEST
        while text not in self.shown:
            assert self._read(end - time.monotonic()), f"ended, or too late, without {text!r}:\n{self.shown}"

    def interrupt(self, how: str) -> None:
        """Press Ctrl-C, close the terminal, or send a signal."""
        if how == "Ctrl-C" and self._terminal:
            os.write(self._output, b"\x03")
        elif how == "close":
            os.close(self._output)
            self._output = -1
        else:
            os.kill(self.pid, signal.SIGINT if how == "Ctrl-C" else signal.Signals[how])

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit code, and what it printed on standard error where there is no terminal."""
        while self._output >= 0 and self._read(LONGEST):
            pass
        if self._terminal:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), ""
        code = self._process.wait(LONGEST)
        with os.fdopen(self._error, errors="replace") as error:
            return code, error.read()

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._output], [], [], max(seconds, 0))
        try:
            found = os.read(self._output, 1 << 16) if ready else b""
        except OSError:  # a terminal whose programs have ended
            found = b""
        self.shown += found.decode(errors="replace")
        return bool(found)


def _as_in_a_shell() -> None:
    """Heed signals, also where whatever started the tests ignores them, as shells have it for what runs behind them."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_DFL)


def processes_of(directory: Path) -> dict[int, str]:
    """The processes that work in a directory, or have it in their environment, by id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
            where = os.readlink(process / "cwd") + "\0" + (process / "environ").read_text(errors="replace")
            if str(directory) in where and int(process.name) != os.getpid():
                found[int(process.name)] = (process / "cmdline").read_text(errors="replace").replace("\0", " ")
    return found


def none_left(directory: Path) -> bool:
    """Return whether all processes of a directory end."""
    end = time.monotonic() + 30
    while (left := processes_of(directory)) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == {}
    return True
