"""Distinguish a literal from a value that Terraform computes later.

A cdktf token must never be compared, parsed or measured. `cdktf.Token.is_unresolved`
answers the same question, but as a call into the jsii kernel (0.3 ms each: three
seconds for ten thousand sources), and importing it here would break the house rule
that `domain` imports nothing. The encodings below are stable public behaviour of
cdktf and cdktn; a test holds them against `Token.is_unresolved`.
"""

from __future__ import annotations

from typing import Any

# Number tokens are encoded as huge negative doubles (about -1.9e289).
_NUMBER_TOKEN_CEILING = -1e288


def is_token(value: Any) -> bool:
    """Return whether `value` is, or contains, a cdktf token or a Terraform expression.

    >>> is_token("eni-0123456789abcdef0"), is_token("${aws_instance.web.id}")
    (False, True)
    """
    if isinstance(value, str):
        return "{TfToken[" in value or "${" in value
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int | float):
        return value < _NUMBER_TOKEN_CEILING
    if isinstance(value, dict):
        return any(is_token(k) or is_token(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return any(is_token(item) for item in value)
    return hasattr(value, "__jsii_ref__")
