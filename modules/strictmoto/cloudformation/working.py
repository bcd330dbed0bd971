"""The work on a stack, which goes on when the call that began it is answered.

A call is answered when the work is done, or else as soon as the work first waits for others: for a custom resource
or for a wait condition. AWS answers at once, always.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from strictmoto.running import running

_POLL: Final = 0.02
_LEAST: Final = 5.0
"""Seconds that are waited at least, however short waits are."""
Found = TypeVar("Found")


class CancelledError(BaseException):
    """Nobody needs the work any more: its stack is deleted, or the account forgets everything."""


class Work:
    """What is done for one stack.

    Attributes:
        cancelled: set when it is not needed any more.
    """

    def __init__(self) -> None:
        """Begin with nothing done."""
        self.cancelled = threading.Event()
        self.answerable = threading.Event()
        self.error: BaseException | None = None
        self.thread: threading.Thread | None = None

    def cancel(self) -> None:
        """End it, and wait for that."""
        self.cancelled.set()
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join(5)


_current: ContextVar[Work | None] = ContextVar("current_work", default=None)


def begin(stack: Any, work: Callable[[], None]) -> None:
    """Do work on a stack; return when it is done or waits for others. A nested stack is work on its parent.

    Raises:
        Exception: what the work raises before it first waits.
    """
    if _current.get() is not None:
        work()
        return
    task = Work()

    def run() -> None:
        _current.set(task)
        try:
            work()
        except CancelledError:
            pass
        except BaseException as error:
            task.error = error
        finally:
            stack.work = None
            task.answerable.set()

    context = contextvars.copy_context()
    task.thread = threading.Thread(target=context.run, args=(run,), name="cloudformation", daemon=True)
    stack.work = task
    task.thread.start()
    task.answerable.wait()
    if task.error is not None:
        raise task.error


def cancel(stack: Any) -> None:
    """End what is being done for a stack."""
    task: Work | None = getattr(stack, "work", None)
    if task is not None:
        task.cancel()


def wait_for(find: Callable[[], Found | None], seconds: float) -> Found | None:
    """Wait for what others do; the call that began the work is answered meanwhile.

    Args:
        find: returns what is waited for, None while it is not there.
        seconds: how long it would be waited for on AWS.

    Returns:
        What was found; None when the time is over.

    Raises:
        CancelledError: it is not needed any more.
    """
    task = _current.get()
    if task is not None and not task.answerable.is_set():
        running().at_reset.append(task.cancel)
        task.answerable.set()
    # What is waited for is work, too, which a scale makes no faster.
    over = time.monotonic() + max(running().waits.of(seconds), min(seconds, _LEAST))
    while (found := find()) is None:
        if time.monotonic() > over:
            return None
        if task is None:
            time.sleep(_POLL)
        elif task.cancelled.wait(_POLL):
            raise CancelledError
    return found
