"""How incidents capture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tapstack.domain import limits
from tapstack.domain.arguments import check_fields
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import check_minutes


@dataclass(frozen=True)
class CaptureDefaults:
    """How incidents capture, where an alert does not say.

    Attributes:
        minutes: how long, 1 to 10080.
        max_minutes: the longest that may be asked for, in one go or by extending; 1 to 10080.
        packet_length: bytes kept of each packet after the VXLAN header; whole packets by default.
        virtual_network_id: VXLAN network identifier, 1 to 16777215; random by default.
        accept_unsupported_instance_types: try instance types, too, that are not on AWS's list.

    Raises:
        RuleViolation: a number out of its range, or `minutes` above `max_minutes`.
    """

    minutes: int = 60
    max_minutes: int = 1440
    packet_length: int | None = None
    virtual_network_id: int | None = None
    accept_unsupported_instance_types: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_fields(self)
        check_minutes(self.max_minutes)
        check_minutes(self.minutes)
        if self.minutes > self.max_minutes:
            raise RuleViolation(f"minutes must be at most max_minutes, {self.max_minutes}, got {self.minutes}")
        if self.packet_length is not None:
            limits.check_packet_length(self.packet_length)
        if self.virtual_network_id is not None:
            limits.check_virtual_network_id(self.virtual_network_id)

    def settings(self) -> dict[str, Any]:
        """Return what the functions are told of it."""
        return asdict(self)
