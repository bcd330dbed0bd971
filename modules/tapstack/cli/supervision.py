"""How a command ends on a signal: at any moment, with all that it started, in one line.

A rehearsal starts servers, Terraform, providers and functions. It runs in a process of its own, in a session of its
own, with a directory for everything temporary; the process that the user sees waits for it, and on a signal ends all of
it at once. Nothing there is worth an orderly end: the account lives in memory.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from tapstack.workspace.output import heeding_output

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the end that others ask for, and a terminal that closes."""
_BY_SIGNAL: Final = 128
"""What shells add to the number of the signal that ended a command."""
_TRIES: Final = 20
Handler = Callable[[int, FrameType | None], object]


class Interrupted(KeyboardInterrupt):
    """A signal asks the command to end.

    Attributes:
        code: the command's exit code, as shells have it.
    """

    def __init__(self, number: int, what: str = "") -> None:
        """Note the signal, and what became of what the command had begun."""
        super().__init__(": ".join(["interrupted", *([what] if what else [])]))
        self.code = _BY_SIGNAL + number


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Turn the signals that end a command into `Interrupted`."""

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        raise Interrupted(number)

    with handled_by(interrupt):
        yield


def supervised(work: Callable[[Path], int]) -> int:
    """Do the work in a process of its own and return its exit code; whatever happens, nothing of it is left.

    Args:
        work: gets a directory for what is temporary, which is removed in the end; returns the exit code.

    Raises:
        Interrupted: a signal came; everything has ended.
    """
    received: list[int] = []
    worker = 0

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if worker:
            _kill(worker)

    sys.stdout.flush()
    sys.stderr.flush()
    with handled_by(end):
        scratch = Path(tempfile.mkdtemp(prefix="tapstack-"))
        alive, ours = os.pipe()
        worker = os.fork()
        if worker == 0:
            os.close(ours)
            _work(work, scratch, alive)
        os.close(alive)
        if received:
            _kill(worker)
        group = worker
        _, status = os.waitpid(worker, 0)
        worker = 0
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        os.close(ours)
        _remove(scratch)
    if received:
        raise Interrupted(received[0], "everything that was started has ended")
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        print(f"ended by signal {-code} ({signal.strsignal(-code)})", file=sys.stderr)
        return _BY_SIGNAL - code
    return code


def _work(work: Callable[[Path], int], scratch: Path, alive: int) -> NoReturn:
    """Be the process that does the work."""
    code = 1
    try:
        os.setsid()
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        threading.Thread(target=_end_with, args=(alive, scratch), name="supervision", daemon=True).start()
        # What others call temporary, too: the sockets of providers, the files of functions and of cdktf.
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
        code = heeding_output(lambda: work(scratch))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _end_with(alive: int, scratch: Path) -> None:
    """End everything when the process that waits for it is gone, killed for example."""
    os.read(alive, 1)
    shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _kill(worker: int) -> None:
    """End the worker and all that is in its session's process group."""
    try:
        os.killpg(worker, signal.SIGKILL)
    except ProcessLookupError:
        # It has ended, or has not come to have a group of its own.
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    except PermissionError:
        # On macOS, a group of processes that have ended.
        pass


def _remove(scratch: Path) -> None:
    # Functions have groups of their own, end when their account does, and may write until then.
    for _ in range(_TRIES):
        shutil.rmtree(scratch, ignore_errors=True)
        if not scratch.exists():
            return
        time.sleep(0.05)


@contextlib.contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Give the signals that end a command to a handler; one that the caller ignores, as nohup does, stays ignored."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    changed = {number: held for number, held in before.items() if held not in (signal.SIG_IGN, None)}
    for number in changed:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, held in changed.items():
            signal.signal(number, held)
