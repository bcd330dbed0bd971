"""The settings of captures by incidents, each with its default and its range.

The deployment file validates into them, the construct writes them, the functions read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tapstack.domain import limits
from tapstack.domain.arguments import check_fields, check_range
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import check_minutes

RESERVED_SOURCES: Final = (0, 100)
INCIDENTS_PER_FINDING: Final = (1, 100)


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """How incidents capture.

    Attributes:
        minutes: How long to capture, unless the alert or the policy says otherwise; 1 to 10080.
        max_minutes: The longest capture that an incident may have, extensions included; 1 to 10080.
        packet_length: Bytes mirrored of each packet, after the VXLAN header; whole packets by default, 8500 behind a
            Network Load Balancer.
        virtual_network_id: VXLAN network identifier, 1 to 16777215; random and unique by default.
        reserved_sources: How many sources of a limited mirror target captures of the policy leave free for responders,
            0 to 100; never all. 2 by default.
        incidents_per_finding: How many incidents one GuardDuty finding may open, 1 to 100: an attack sequence may name
            many instances. The others are listed with their commands. 10 by default.
        accept_unsupported_instance_types: Also capture instances whose type is not on AWS's allow-list.

    Raises:
        RuleViolation: a number out of its range, or `minutes` above `max_minutes`.
    """

    minutes: int = 60
    max_minutes: int = 1440
    packet_length: int | None = None
    virtual_network_id: int | None = None
    reserved_sources: int = 2
    incidents_per_finding: int = 10
    accept_unsupported_instance_types: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_fields(self)
        check_minutes(self.max_minutes)
        check_minutes(self.minutes)
        if self.minutes > self.max_minutes:
            raise RuleViolation(f"minutes must be at most max_minutes, {self.max_minutes}, got {self.minutes}")
        check_range("reserved_sources", self.reserved_sources, RESERVED_SOURCES)
        check_range("incidents_per_finding", self.incidents_per_finding, INCIDENTS_PER_FINDING)
        if self.packet_length is not None:
            limits.check_packet_length(self.packet_length)
        if self.virtual_network_id is not None:
            limits.check_virtual_network_id(self.virtual_network_id)
