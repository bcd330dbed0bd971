"""When something is due: one thread for all rules, schedules and retries of the account."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from strictmoto.running import running

# A lock cannot wait for ever on every system.
_LONGEST_SLEEP: Final = 86400.0
# What is due more often than that would leave the account no time for anything else.
_SHORTEST: Final = 0.01


@dataclass(order=True, slots=True)
class Entry:
    """Something that will be done.

    Attributes:
        due: when, on the monotonic clock.
        order: of what is due at once.
        work: what; it must not take long.
        cancelled: it will not be done.
    """

    due: float
    order: int
    work: Callable[[], None] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)


class Timer:
    """A thread that does things when they are due."""

    def __init__(self) -> None:
        """Start the thread."""
        self._entries: list[Entry] = []
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="strictmoto-timer", daemon=True)
        self._thread.start()

    def at(self, due: float, work: Callable[[], None]) -> Entry:
        """Do something at a time of the monotonic clock."""
        with self._changed:
            entry = Entry(max(due, time.monotonic() + _SHORTEST), next(self._numbers), work)
            heapq.heappush(self._entries, entry)
            self._changed.notify()
        return entry

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._ended and not (self._entries and self._entries[0].due <= time.monotonic()):
                    soonest = self._entries[0].due - time.monotonic() if self._entries else _LONGEST_SLEEP
                    self._changed.wait(min(max(soonest, 0.0), _LONGEST_SLEEP))
                if self._ended:
                    return
                entry = heapq.heappop(self._entries)
            if not entry.cancelled:
                entry.work()

    def end(self) -> None:
        """Do nothing any more."""
        with self._changed:
            self._ended = True
            self._entries.clear()
            self._changed.notify()
        if self._thread is not threading.current_thread():
            self._thread.join()


_timers: list[Timer] = []
_lock = threading.Lock()


def _timer() -> Timer:
    with _lock:
        if not _timers:
            running().at_reset.append(_end)
            _timers.append(Timer())
        return _timers[0]


def _end() -> None:
    with _lock:
        ending = list(_timers)
        _timers.clear()
    for timer in ending:
        timer.end()


def after(seconds: float, work: Callable[[], None]) -> Entry:
    """Do something after that many seconds of this machine's clock."""
    return _timer().at(time.monotonic() + seconds, work)
