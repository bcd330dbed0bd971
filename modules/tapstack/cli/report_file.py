"""The file of a rehearsal's report: written as a whole, by one rehearsal at a time."""

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
"""The title of every report. A file that has it is replaced; any other file is refused."""
_BEGINNING: Final = 2048


class ReportFile:
    """A report that will be written; a context manager.

    Within the context there is a locked file beside the report, `.NAME.part`. The text is written into it, and then it
    is renamed to the report. So the report is complete, or does not exist.

    Attributes:
        path: the path of the report.
    """

    def __init__(self, path: Path) -> None:
        """Keep the path; no file is changed."""
        self.path = Path(os.path.realpath(path))
        self._part = self.path.with_name(f".{self.path.name}.part") if self.path.name else self.path
        self._descriptor = -1

    def __enter__(self) -> ReportFile:
        """Create and lock the file beside the report.

        Raises:
            UserError: it cannot be written, its path has a file that is no report, or another rehearsal is writing it.
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
        """Unlock the file, and remove it where it was not renamed to the report."""
        if self._is(self._part):
            self._part.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def begin(self) -> None:
        """Remove an older report, which could be taken for the one of this rehearsal if that fails."""
        self.path.unlink(missing_ok=True)

    def write(self, text: str) -> None:
        """Write the report, and rename it to its path."""
        os.ftruncate(self._descriptor, 0)
        with os.fdopen(os.dup(self._descriptor), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(self._part, self.path)

    @property
    def written(self) -> bool:
        """Whether the report was written."""
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
            # The rehearsal that had locked it has ended meanwhile, and renamed or removed it.
            os.close(descriptor)
            self._descriptor = -1

    def _is(self, path: Path) -> bool:
        try:
            return os.path.samestat(path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False
