"""Patterns with `*` for any text and `?` for any one character; nothing else is special."""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Return whether the whole of `text` fits `pattern`, in time that grows with their lengths only.

    >>> matches("UnauthorizedAccess:EC2/*", "UnauthorizedAccess:EC2/TorClient")
    True
    """
    at = star = 0  # where we are in the pattern, and behind its last star
    position = resume = 0  # where we are in the text, and where that star's text ends
    while position < len(text):
        # The star first: the text may hold one, too.
        if at < len(pattern) and pattern[at] == "*":
            at += 1
            star, resume = at, position
        elif at < len(pattern) and pattern[at] in ("?", text[position]):
            at, position = at + 1, position + 1
        elif star:
            resume += 1  # let the star take one character more
            at, position = star, resume
        else:
            return False
    return not pattern[at:].strip("*")


def is_literal(pattern: str) -> bool:
    """Return whether a pattern fits one text only."""
    return not {"*", "?"} & set(pattern)
