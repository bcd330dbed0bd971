"""Text for terminals, without the control characters and escape sequences of its source."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Final

# Escape sequences as a whole, so that their parameters do not remain: CSI, OSC and the like, two-byte ones.
_SEQUENCES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x9b[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c|$)|\x1b[ -/]*[0-~]", re.DOTALL
)
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(value: Any) -> str:
    """Return a value as one line of text without control characters, escape sequences and direction marks."""
    text = _SEQUENCES.sub("", "" if value is None else str(value))
    text = "".join(
        " " if character in "\t\n\r\x0b\x0c\x85\u2028\u2029" else character
        for character in text
        if unicodedata.category(character) not in _UNSEEN or character in "\t\n\r\x0b\x0c\x85\u2028\u2029"
    )
    return " ".join(text.split())


def shortened(text: str, width: int) -> str:
    """Return `text`, shortened to `width` characters with three dots where it is longer."""
    return text if len(text) <= width else f"{text[: width - 3].rstrip()}..."


def table(header: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "", *, widest: int = 0) -> list[str]:
    """Return the lines of a table whose columns are as wide as they need to be.

    Args:
        header: the title of each column.
        rows: the cells of each row.
        indent: the beginning of each line.
        widest: longer cells, in characters, are wrapped between words; 0 wraps none.
    """
    wrapped = [[_wrapped(cell, widest) for cell in row] for row in [header, *rows]]
    widths = [max(len(line) for row in wrapped for line in row[column]) for column in range(len(header))]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))).rstrip()
        for row in wrapped
        for line in zip_longest(*row, fillvalue="")
    ]


def _wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a cell; words are not broken, so that ids can be copied."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) if width else [text]
    return lines or [""]
