"""Standard output that may take no more: a pipe whose reader has ended, a full disk."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

_BY_SIGPIPE = 128 + signal.SIGPIPE
"""What shells say of a program that a pipe without a reader ended."""


class OutputRefusedError(Exception):
    """Standard output takes no more; not an OSError, which commands have other words for."""

    def __init__(self, cause: OSError) -> None:
        """Note what the system says."""
        super().__init__(f"standard output: {cause.strerror}")
        self.errno = cause.errno


class _Output:
    """A stream whose own errors can be distinguished from those of files."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            raise OutputRefusedError(error) from None

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise OutputRefusedError(error) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def standard_output() -> TextIO:
    """Return standard output, which raises `OutputRefusedError` where it takes no more."""
    return cast(TextIO, _Output(sys.stdout))


def heeding_output(work: Callable[[], int]) -> int:
    """Return the exit code of the work, which may end early because standard output takes no more.

    That is no error of the work where a reader has ended, as `head` does: nothing is said then.
    """
    try:
        code = work()
        standard_output().flush()
        return code
    except OutputRefusedError as refused:
        # Python flushes what is left when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if refused.errno == errno.EPIPE:
            return _BY_SIGPIPE
        print(refused, file=sys.stderr)
        return 1
