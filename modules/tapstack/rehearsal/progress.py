"""What a rehearsal says while it runs: what was done, and after a silence what it is at."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final

QUIET: Final = 4.0
"""Seconds without a line after which one says what is being done."""
Doing = Callable[[str], None]
"""Gets in words what is being done from now on."""


class Progress:
    """Lines for a user, by several threads; use it as a context manager.

    Args:
        write: gets each line.
        indent: what stands before lines that break a silence.
        quiet: seconds without a line after which one says what is being done.
    """

    def __init__(self, write: Callable[[str], None], *, indent: str = "", quiet: float = QUIET) -> None:
        """Prepare; nothing is said yet."""
        self._write = write
        self._indent = indent
        self._quiet = quiet
        self._said = threading.Condition()
        self._lines = 0
        self._doing: dict[object, tuple[str, float]] = {}
        self._ended = False
        self._thread = threading.Thread(target=self._break_silences, name="rehearsal-progress", daemon=True)

    def __enter__(self) -> Progress:
        """Begin to watch for silences."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say no more."""
        with self._said:
            self._ended = True
            self._said.notify_all()
        self._thread.join()

    def say(self, line: str) -> None:
        """Say that something was done."""
        with self._said:
            self._lines += 1
            self._said.notify_all()
            self._write(line)

    @contextmanager
    def doing(self, what: str) -> Iterator[Doing]:
        """Note what is being done in the meantime; gives what changes that note."""
        key = object()

        def now(what: str) -> None:
            with self._said:
                held = self._doing.get(key)
                if held is None or held[0] != what:
                    self._doing[key] = (what, time.monotonic())

        now(what)
        try:
            yield now
        finally:
            with self._said:
                del self._doing[key]

    def _break_silences(self) -> None:
        with self._said:
            while not self._ended:
                before = self._lines
                if self._said.wait_for(lambda: self._ended or self._lines != before, self._quiet):  # noqa: B023
                    continue
                now, doing = time.monotonic(), list(self._doing.values())
                # The first is what the others are part of. What reads the output may have ended: others notice.
                with suppress(OSError):
                    for what, since in doing[1:] or doing:
                        self._write(f"{self._indent}... {what} ({now - since:.0f} s)")
