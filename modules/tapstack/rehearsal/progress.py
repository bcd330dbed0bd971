"""Progress of a rehearsal: a line for what was done, and after a pause one for what is being done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final

QUIET: Final = 4.0
"""Seconds without a line, after which a line shows what is being done."""
Activity = Callable[[str], None]
"""Called with a text of what is being done from now on."""


class Progress:
    """Lines for a user, by several threads; use it as a context manager.

    Args:
        write: called with each line.
        indent: before lines that show what is being done.
        quiet: seconds without a line, after which such a line is written.
    """

    def __init__(self, write: Callable[[str], None], *, indent: str = "", quiet: float = QUIET) -> None:
        """Prepare; nothing is written yet."""
        self._write = write
        self._indent = indent
        self._quiet = quiet
        self._said = threading.Condition()
        self._lines = 0
        self._doing: dict[object, tuple[str, float]] = {}
        self._ended = False
        self._thread = threading.Thread(target=self._fill_pauses, name="rehearsal-progress", daemon=True)

    def __enter__(self) -> Progress:
        """Begin to watch for pauses."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop writing."""
        with self._said:
            self._ended = True
            self._said.notify_all()
        self._thread.join()

    def say(self, line: str) -> None:
        """Write a line about what was done."""
        with self._said:
            self._lines += 1
            self._said.notify_all()
            self._write(line)

    @contextmanager
    def doing(self, what: str) -> Iterator[Activity]:
        """Record what is being done meanwhile; yields a function that changes that text."""
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

    def _fill_pauses(self) -> None:
        with self._said:
            while not self._ended:
                before = self._lines
                if self._said.wait_for(lambda: self._ended or self._lines != before, self._quiet):  # noqa: B023
                    continue
                now, doing = time.monotonic(), list(self._doing.values())
                # The first includes the others. The reader of the output may have ended, which is reported elsewhere.
                with suppress(OSError):
                    for what, since in doing[1:] or doing:
                        self._write(f"{self._indent}... {what} ({now - since:.0f} s)")
