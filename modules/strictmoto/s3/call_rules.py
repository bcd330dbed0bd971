"""What S3 takes of grants and sources of copies.

Sources: Amazon S3 API Reference, PutObject (GrantRead and its like) and CopyObject (CopySource); "Error responses"
(InvalidArgument). The texts are those that S3 sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal

_GRANTEE: Final = re.compile(r'\s*(id|uri|emailAddress)\s*=\s*"?[^"=]+"?\s*', re.IGNORECASE)
_GRANTS: Final = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
_SOURCE: Final = re.compile(r"/?[^/]+/.+", re.DOTALL)
_NO_SOURCE: Final = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"


def refusals(action: str, requested: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield why S3 refuses a call."""
    for name in _GRANTS:
        if (given := requested.get(name)) and not all(_GRANTEE.fullmatch(one) for one in str(given).split(",")):
            yield Refusal("InvalidArgument", "Argument format not recognized")
    if action in ("CopyObject", "UploadPartCopy") and not _SOURCE.fullmatch(_path(requested.get("CopySource"))):
        yield Refusal("InvalidArgument", _NO_SOURCE)


def _path(source: Any) -> str:
    """Return the bucket and key of a source, whose slash may be written %2F."""
    return re.sub("%2f", "/", str(source or ""), flags=re.IGNORECASE)
