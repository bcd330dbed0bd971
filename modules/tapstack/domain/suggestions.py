"""Suggestions for messages: the word, or the quotes, that were probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

_CURLY: Final = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f"
_AROUND_A_VALUE: Final = re.compile(f"['\"][{_CURLY}]|[{_CURLY}]['\"]")


def nearest(word: str, known: Iterable[str], *, at_least: float = 0.6) -> str | None:
    """Return the known word that is nearest to `word`, if any is near; none where several begin with it.

    Args:
        word: any.
        known: those that there are.
        at_least: how alike both are, 0 to 1, as difflib has it; 0.6 is for suggestions only.
    """
    known = list(known)
    # contain_now is no likelier than contain_on_approval to be what contain meant.
    if sum(other.startswith((f"{word}_", f"{word}-")) for other in known) > 1:
        return None
    # What difflib does not see: other case; and letters in another order, as it takes us-esat-1 for us-west-1.
    near = [other for other in known if other.lower() == word.lower()]
    near = (
        near
        or [other for other in known if sorted(other) == sorted(word)]
        or difflib.get_close_matches(word, known, n=1, cutoff=at_least)
    )
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question for a message, with a space behind it; nothing where no known word is near."""
    near = nearest(word, known)
    return f"did you mean {near}? " if near else ""


def about_quotes(message: str) -> str:
    """Return a hint for a message that shows a value in curly quotes, which chats and documents make of straight ones.

    Nothing where it shows none. Messages show values as Python writes texts: in straight quotes.
    """
    if not _AROUND_A_VALUE.search(message):
        return ""
    joined = "" if message.endswith("?") else ";"
    return f"{joined} curly quotes (\u201c \u201d) are part of the value: type straight ones (\" or ') in their place"


def is_in_curly_quotes(text: str) -> bool:
    """Return whether a text begins or ends with a curly quote, as one does that was meant to be in straight ones."""
    return text.startswith(tuple(_CURLY)) or text.endswith(tuple(_CURLY))
