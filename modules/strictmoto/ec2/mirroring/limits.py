"""The quotas of Traffic Mirroring, and the ranges that its actions take.

Source: VPC Traffic Mirroring guide, "Traffic Mirroring quotas" and "Work with sessions"; Amazon EC2 API Reference,
"CreateTrafficMirrorSession" and "CreateTrafficMirrorFilterRule". None of the quotas can be raised.
"""

from __future__ import annotations

from typing import Final

from strictmoto.ec2.mirroring import errors

PER_ACCOUNT_AND_REGION: Final = 10_000
"""Filters, targets and sessions have this quota each."""
RULES_PER_FILTER: Final = 10
"""Of both directions together."""
SESSIONS_PER_INTERFACE: Final = 3
SOURCES_PER_INTERFACE: Final = 10
"""That an interface takes as a target, of whichever targets it is."""
SOURCES_PER_LARGEST_INTERFACE: Final = 100
"""That the interface of an instance of the largest types takes."""

SESSION_NUMBER: Final = range(1, 32_767)
RULE_NUMBER: Final = range(1, 32_767)
VIRTUAL_NETWORK_ID: Final = range(1, 1 << 24)
"""The VXLAN network identifier has 24 bits, and 0 is kept."""
PACKET_LENGTH: Final = range(1, 65_536)
"""In bytes."""
PACKET_LENGTH_TO_LOAD_BALANCER: Final = range(1, 8_501)
PROTOCOL: Final = range(256)
PORT: Final = range(65_536)
DESCRIPTION: Final = 255
"""In characters."""


def check(name: str, value: object, allowed: range) -> None:
    """Refuse a parameter that is no whole number of its range.

    Raises:
        EC2ClientError: InvalidParameterValue.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value not in allowed:
        raise errors.invalid(f"{name} must be from {allowed[0]} to {allowed[-1]}; got {value}")
