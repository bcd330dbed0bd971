"""End a command on a signal, at any moment, with everything that it started.

A rehearsal starts servers, Terraform, providers and functions. It runs in a process and session of its own, with one
directory for temporary files. The process that the user started waits for it, and kills all of it on a signal. It needs
no orderly end, because the account is in memory only.
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

from tapstack.workspace.output import handling_output_errors

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the request to end that `kill` sends, and a closed terminal."""
_BY_SIGNAL: Final = 128
"""Added to the number of the signal that ended a command, as shells do."""
_TRIES: Final = 20
Handler = Callable[[int, FrameType | None], object]


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command was received.

    Attributes:
        code: the command's exit code: 128 plus the number of the signal.
    """

    def __init__(self, number: int, what: str = "") -> None:
        """Keep the signal; `what` says what happened to the work of the command."""
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
    """Do the work in a process of its own and return its exit code; no process or temporary file remains.

    Args:
        work: takes a directory for temporary files, which is removed at the end; returns the exit code.

    Raises:
        Interrupted: a signal was received; everything has ended.
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
    """Do the work in this process, and end the process."""
    code = 1
    try:
        os.setsid()
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        threading.Thread(target=_end_with, args=(alive, scratch), name="supervision", daemon=True).start()
        # For the temporary files of others, too: sockets of providers, files of functions and of cdktf.
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
        code = handling_output_errors(lambda: work(scratch))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _end_with(alive: int, scratch: Path) -> None:
    """End everything when the process that waits for it has ended, for example because it was killed."""
    os.read(alive, 1)
    shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def _kill(worker: int) -> None:
    """Kill the worker and all processes of its group."""
    try:
        os.killpg(worker, signal.SIGKILL)
    except ProcessLookupError:
        # It has ended, or has no group of its own yet.
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    except PermissionError:
        # On macOS, all processes of the group have ended.
        pass


def _remove(scratch: Path) -> None:
    # Functions have process groups of their own. They end with their account, and may write until then.
    for _ in range(_TRIES):
        shutil.rmtree(scratch, ignore_errors=True)
        if not scratch.exists():
            return
        time.sleep(0.05)


@contextlib.contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Handle the signals that end a command; a signal that the caller ignores, as nohup does, stays ignored."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    changed = {number: held for number, held in before.items() if held not in (signal.SIG_IGN, None)}
    for number in changed:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, held in changed.items():
            signal.signal(number, held)
