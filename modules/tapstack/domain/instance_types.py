"""Which instance types can be mirrored, and how many sources their interfaces take as targets.

Data with a date. Since 28 August 2025 AWS publishes an allow-list of source types; the
older "Nitro only, except these" lists that many tools carry are stale. What is on
neither list below is unknown, never refused. A site can override both.

Source: VPC Traffic Mirroring guide, "Traffic mirror sources" and "Traffic Mirroring
quotas", as read in 2026.
"""

from __future__ import annotations

import re
from typing import Final

from tapstack.domain import limits
from tapstack.domain.errors import RuleViolation
from tapstack.domain.tokens import is_token

AS_OF: Final = "2025-08-28"

_SUPPORTED: Final = re.compile(
    r"a1|m4|m5\w*|m6[agi]\w*|m7a|m7g|m7gd|m7i|m7i-flex|t3|t3a|t4g"
    r"|c4|c5\w*|c6\w*|c7a|c7g|c7gd|c7i|c7i-flex|r5\w*|r6\w*|r7\w*|i3|i3en|i4i"
)
_UNSUPPORTED: Final = re.compile(r"t1|t2|c7gn|m8\w*(?:-flex)?|c8\w*(?:-flex)?|r8\w*|i8\w*|trn2\w*")
# Bare metal is mirrored on the second Nitro generation only.
_SUPPORTED_METAL: Final = frozenset({"m5", "m5d", "m6g", "c5", "r5", "i3"})
_LARGEST: Final = frozenset(
    {
        "m5.24xlarge",
        "m5d.24xlarge",
        "m5dn.24xlarge",
        "m5n.24xlarge",
        "m6i.32xlarge",
        "c5.18xlarge",
        "c5n.18xlarge",
    }
)
_INSTANCE_TYPE: Final = re.compile(r"([a-z][a-z0-9-]*)\.([a-z0-9-]+)")


def can_be_mirrored(instance_type: str) -> bool | None:
    """Tell whether AWS mirrors this instance type: True, False, or None where the lists do not say.

    Args:
        instance_type: for example m5.xlarge.

    Raises:
        RuleViolation: it does not look like an instance type.
    """
    match = _INSTANCE_TYPE.fullmatch(instance_type)
    if not match:
        raise RuleViolation(f"{instance_type!r} is not an instance type: expected the form m5.xlarge")
    family, size = match.groups()
    if _UNSUPPORTED.fullmatch(family):
        return False
    if size.startswith("metal"):
        return True if family in _SUPPORTED_METAL else None
    return True if _SUPPORTED.fullmatch(family) else None


def check_source_type(instance_type: str, *, accept: bool = False) -> str | None:
    """Refuse a source that AWS will not mirror; return a warning where the lists do not say.

    Args:
        instance_type: for example m5.xlarge; a token passes.
        accept: the user knows better than the list of this version.
    """
    if accept or is_token(instance_type):
        return None
    mirrored = can_be_mirrored(instance_type)
    if mirrored is False:
        raise RuleViolation(
            f"instance type {instance_type} cannot be a mirror source: it is not on AWS's allow-list as of {AS_OF}; "
            "accept it with accept_instance_type if the list has changed"
        )
    if mirrored is None:
        return f"instance type {instance_type} is not on the allow-list of mirror sources known here (as of {AS_OF})"
    return None


def sources_per_target(instance_type: str | None) -> int:
    """Return how many distinct sources an interface of this instance type takes as a target: 10 or 100."""
    if instance_type is None or is_token(instance_type):
        return limits.SOURCES_PER_INTERFACE_TARGET
    can_be_mirrored(instance_type)  # refuses what is no instance type
    if instance_type in _LARGEST:
        return limits.SOURCES_PER_LARGEST_INTERFACE_TARGET
    return limits.SOURCES_PER_INTERFACE_TARGET
