"""What is wrong with a deployment file, all of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tapstack.domain.suggestions import about_quotes

Path = tuple[str | int, ...]
_LONGEST_MESSAGE: Final = 2000
_LONGEST_VALUE: Final = 100


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT: Final = _Absent()


def printable(text: str) -> str:
    """Return a text with what a terminal would obey, or not show, escaped."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: keys and positions that lead to it.
        message: what is wrong and what would be right.
        value: what was found; `ABSENT` where there is none worth showing.
        line: 1 is the first; None where the file has no such place.
    """

    path: Path
    message: str
    value: Any = ABSENT
    line: int | None = None

    @property
    def field(self) -> str:
        """The path in the notation of the messages: `sites.production.sessions[0]`."""
        text = ""
        for part in self.path:
            if isinstance(part, int):
                text += f"[{part}]"
            else:
                # A key that is refused for its characters must not reach a terminal as they are.
                name = part if part.isprintable() else ascii(part)[1:-1]
                text += f".{name}" if text else name
        return text

    def render(self, file: str) -> str:
        """Return `file:line: field: message, got value`."""
        where = f"{file}:{self.line}" if self.line else file
        field = f" {self.field}:" if self.path else ""
        got = "" if self.value is ABSENT else f", got {_shortened(self.value)}"
        message = self.message
        if len(message) > _LONGEST_MESSAGE:
            # It shows a value of the file; what is wrong comes before it or after it.
            message = f"{message[: _LONGEST_MESSAGE // 2]} ... {message[-_LONGEST_MESSAGE // 2 :]}"
        text = f"{message}{got}"
        return f"{where}:{field} {text}{about_quotes(text)}"


class DeploymentError(Exception):
    """A deployment file that cannot be used; `str()` of it is a report to read."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        """Sort the problems as they come in the file."""
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda p: (p.line or 0, p.field)))
        super().__init__("\n".join(problem.render(file) for problem in self.problems))


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
