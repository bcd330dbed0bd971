"""Errors of standard output: a pipe whose reader has ended, a full disk."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

_BY_SIGPIPE = 128 + signal.SIGPIPE
"""The exit code that shells show for a program that SIGPIPE ended."""


class OutputRefusedError(Exception):
    """Standard output cannot be written; not an OSError, because commands report those as errors of files."""

    def __init__(self, cause: OSError) -> None:
        """Keep the error of the system."""
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
    """Return standard output, which raises `OutputRefusedError` when it cannot be written."""
    return cast(TextIO, _Output(sys.stdout))


def discard_the_rest(stream: TextIO) -> None:
    """Let go of what a stream could not write: at its end Python would write it again, fail, and exit with 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def handling_output_errors(work: Callable[[], int]) -> int:
    """Return the exit code of the work, which ends early when standard output cannot be written.

    Where the reader of a pipe has ended, as `head` does, no message is printed.
    """
    if sys.stderr is None:  # closed by who started this; what is opened next must not get its number
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    if sys.stdout is None:
        print("standard output is closed: give the command a terminal, a file or a pipe", file=sys.stderr)
        return 2
    try:
        code = work()
        standard_output().flush()
        return code
    except OutputRefusedError as refused:
        discard_the_rest(sys.stdout)
        if refused.errno == errno.EPIPE:
            return _BY_SIGPIPE
        print(refused, file=sys.stderr)
        return 1
