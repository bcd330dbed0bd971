"""Which function a name of Lambda means: one reading for IAM and for Lambda.

A name may be an ARN, or the end of one: `account:function:name`, `function:name`, and each may end in a version or an
alias.

Source: Lambda API Reference, "Invoke" and the other actions (FunctionName, "Name formats").
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_FUNCTION: Final = re.compile(
    r"(?:(?:arn:aws[a-z-]*:lambda:)?([a-z]{2,4}(?:-[a-z]+)+-\d):)?(?:(\d{12}):)?(?:function:)?([\w.-]+)"
    r"(?::(\$LATEST(?:\.PUBLISHED)?|[\w-]+))?",
    re.ASCII,
)


class Function(NamedTuple):
    """What a name means.

    Attributes:
        name: of the function.
        qualifier: its version or alias; empty where none is named.
        account: whose it is; empty for the caller's own.
        region: where it is; empty for that of the call.
    """

    name: str
    qualifier: str = ""
    account: str = ""
    region: str = ""


def function_named_by(name: str) -> Function | None:
    """Return the function that a name or an ARN means; None for what is neither."""
    match = _FUNCTION.fullmatch(name)
    if match is None:
        return None
    return Function(match[3], match[4] or "", match[2] or "", match[1] or "")
