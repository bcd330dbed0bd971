"""Whether a policy lets in the public.

Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage", "The meaning of 'public'".
"""

from __future__ import annotations

import ipaddress
from typing import Final

from strictmoto.iam.policies import Statement, read_text

_NARROWING: Final = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
"""Condition keys whose fixed values make a statement one for some only."""
_WIDEST: Final = {4: 8, 6: 32}
"""Lengths of the prefixes of the largest networks that count as fixed values, by version of IP."""


def is_public(policy: str) -> bool:
    """Return whether any statement of a policy allows something to everyone."""
    return any(
        statement.allows and _is_for_everyone(statement) and not any(map(_narrows, statement.conditions))
        for statement in read_text(policy)
    )


def _is_for_everyone(statement: Statement) -> bool:
    named = statement.principals or ()
    return statement.but_principals or any(kind in ("*", "AWS") and name == "*" for kind, name in named)


def _narrows(condition: tuple[str, str, tuple[str, ...]]) -> bool:
    """Return whether a condition compares one of the keys with values that hold no wildcard and no variable."""
    operator, key, values = condition
    plain = operator.lower()
    if key.lower() not in _NARROWING or "not" in plain or plain == "null" or plain.endswith("ifexists"):
        return False
    if plain.endswith("ipaddress"):
        return all(map(_is_narrow, values))
    return not any("*" in value or "?" in value or "${" in value for value in values)


def _is_narrow(network: str) -> bool:
    try:
        found = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
    return found.prefixlen >= _WIDEST[found.version]
