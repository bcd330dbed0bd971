"""Names of S3 buckets.

Source: Amazon S3 User Guide, "General purpose bucket naming rules".
"""

from __future__ import annotations

import re
from typing import Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.tokens import is_token

LENGTH: Final = (3, 63)
_FORM: Final = r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]+[a-z0-9]"
_RESERVED: Final = r"((xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3))"
PATTERN: Final = f"^(?!{_RESERVED}$){_FORM}$"
"""For the JSON Schema."""


def check_bucket_name(name: str) -> str:
    """Return `name` when a bucket can have it; a token passes.

    Raises:
        RuleViolation: not the form of one, or kept by S3 for uses of its own.
    """
    if is_token(name):
        return name
    low, high = LENGTH
    if not (low <= len(name) <= high and re.fullmatch(_FORM, name)):
        raise RuleViolation(
            f"{name!r} is not the name of a bucket: expected {low} to {high} lower-case letters, digits, dots and "
            "hyphens, beginning and ending with a letter or digit, no two dots together and no IP address"
        )
    if re.fullmatch(_RESERVED, name):
        raise RuleViolation(
            f"{name!r} is reserved: S3 keeps bucket names that begin with xn--, sthree- or amzn-s3-demo-, or end with "
            "-s3alias, --ol-s3, .mrap, --x-s3 or --table-s3, for uses of its own"
        )
    return name
