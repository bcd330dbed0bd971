"""Read back what is written between quotes in HCL."""

from __future__ import annotations

import re

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)


def read_quoted(text: str) -> str:
    """Return the value of a quoted template without expressions, given what stands between the quotes."""
    assert not re.search(r'(?<!\\)(?:\\\\)*"', text), f"a quote ends {text!r}"

    def value(found: re.Match[str]) -> str:
        short, long, letter = found.groups()
        return chr(int(short or long, 16)) if short or long else _ESCAPES[letter]

    return _ESCAPE.sub(value, text)
