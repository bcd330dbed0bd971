"""Values of EC2's filters: `*` is any text, `?` any one character, and a backslash makes the next one literal.

Source: Amazon EC2 User Guide, "Filter resources using the CLI and API".
"""

from __future__ import annotations

import re
from typing import Final

from tapstack.domain.tokens import is_token

FILTER_VALUES: Final = 200
"""Values that one filter of a Describe call takes. Source: Amazon EC2 API Reference, "Filter"."""


def from_pattern(pattern: str) -> str:
    r"""Return the value that finds what a pattern fits, in which a backslash is a character; a token unchanged.

    >>> print(from_pattern(r"CORP\web-*"))
    CORP\\web-*
    """
    return pattern if is_token(pattern) else pattern.replace("\\", r"\\")


def from_text(text: str) -> str:
    r"""Return the value that finds a text and nothing else; a token unchanged.

    >>> print(from_text(r"CORP\web-*?"))
    CORP\\web-\*\?
    """
    return text if is_token(text) else re.sub(r"([\\*?])", r"\\\1", text)
