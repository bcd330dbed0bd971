"""Text from outside (reasons, titles, tags, names, callers, messages of others), as lines of ours show it.

It can hold anything: line breaks, escape sequences of terminals, marks that change the direction of writing, and words
that look like ours. JSON needs none of this: events and the API return text as it is.
"""

from __future__ import annotations

import re
from typing import Final

_SHOWN: Final = 100
LONG: Final = 1200
"""How much is shown of a reason, which has fewer characters, or of a message of AWS."""
_WORD: Final = re.compile(r"[\w+=,.@:/#-]{1,1024}", re.ASCII)
"""Ids, ARNs and keys of tags: without a blank or a quotation mark, and so no sentence."""


def quoted(value: object, length: int = _SHOWN) -> str:
    """Return a value from outside as one quoted line of printable characters, shortened to `length`."""
    try:
        text = "null" if value is None else repr(value)
    except RecursionError:
        return "JSON that is nested too deep"
    return text if len(text) <= length else f"{text[:length]}..."


def word(value: str) -> str:
    """Return a name from outside: as it is where it is one plain word, as most ids are, otherwise quoted."""
    return value if _WORD.fullmatch(value) else quoted(value)


def one_line(text: str) -> str:
    """Return text of ours, with what it may hold of others, as one line: what cannot be printed is escaped."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
