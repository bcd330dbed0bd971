"""The file that a rehearsal writes its report to: whole, once, and by one rehearsal at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final

from tapstack.cli.arguments import unwritable
from tapstack.cli.incident_api import UserError

TITLE: Final = "Rehearsal of an incident"
"""Of every report: the file of another one is written over, a file of anything else is not."""
_BEGINNING: Final = 2048


class ReportFile:
    """A report that will be written; use it as a context manager.

    From the beginning to the end it has a file beside it, `.NAME.part`, which is locked, takes the text and then
    becomes the report. Whatever happens, the report is whole, or is not there.

    Attributes:
        path: of the report.
    """

    def __init__(self, path: Path) -> None:
        """Note where it is to stand; nothing is touched yet."""
        self.path = Path(os.path.realpath(path))
        self._part = self.path.with_name(f".{self.path.name}.part") if self.path.name else self.path
        self._descriptor = -1

    def __enter__(self) -> ReportFile:
        """Claim the file.

        Raises:
            UserError: it cannot be written, is something else than a report, or another rehearsal is writing it.
        """
        try:
            self._check()
            while self._descriptor < 0:
                self._claim()
        except BlockingIOError:
            raise UserError(
                f"another rehearsal is writing {self.path}: wait until it has ended, or name another file with --report"
            ) from None
        except OSError as error:
            raise UserError(f"--report: {self.path} cannot be written: {error.strerror}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the file back; what has not become a report is removed."""
        if self._is(self._part):
            self._part.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def begin(self) -> None:
        """Remove an older report, which would pass for the one of a rehearsal that fails."""
        self.path.unlink(missing_ok=True)

    def write(self, text: str) -> None:
        """Write the report, all at once."""
        os.ftruncate(self._descriptor, 0)
        with os.fdopen(os.dup(self._descriptor), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(self._part, self.path)

    @property
    def written(self) -> bool:
        """Whether the report is there."""
        return self._is(self.path)

    def _check(self) -> None:
        if problem := unwritable(self.path):
            raise UserError(f"--report: {problem}")
        with contextlib.suppress(FileNotFoundError), self.path.open("r+b") as file:
            beginning = file.read(_BEGINNING)
            if beginning and f"<title>{TITLE}</title>".encode() not in beginning:
                raise UserError(
                    f"--report: {self.path} exists and is not a rehearsal report: name another file, or remove this one"
                )

    def _claim(self) -> None:
        descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        if not self._is(self._part):
            # Whoever had it has ended meanwhile, and it has become a report, or is gone.
            os.close(descriptor)
            self._descriptor = -1

    def _is(self, path: Path) -> bool:
        try:
            return os.path.samestat(path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False
