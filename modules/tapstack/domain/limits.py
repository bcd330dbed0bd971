"""The quotas and ranges of VPC Traffic Mirroring; none of the quotas can be raised.

Source: VPC Traffic Mirroring guide, "Traffic Mirroring quotas" and "Work with sessions".
"""

from __future__ import annotations

from typing import Final

from tapstack.domain.arguments import check_range
from tapstack.domain.errors import RuleViolation

SESSION_NUMBER: Final = (1, 32766)
"""Session 1 is evaluated first; the first session whose filter accepts a packet mirrors it."""
FIRST_SESSION_NUMBER: Final = SESSION_NUMBER[0]
"""The lowest that is chosen by default."""
VIRTUAL_NETWORK_ID: Final = (1, 16777215)
"""The VXLAN network identifier: 24 bits, 0 is reserved."""
PACKET_LENGTH: Final = (1, 65535)
"""Bytes kept after the VXLAN header. AWS takes any; `PACKET_LENGTH_FLOORS` says below which it cuts headers."""
PACKET_LENGTH_LOAD_BALANCER: Final = (1, 8500)
"""For Network Load Balancer targets AWS keeps at most 8500 bytes."""
FILTER_RULE_NUMBER: Final = (1, 32766)
SESSIONS_PER_INTERFACE: Final = 3
RULES_PER_FILTER: Final = 10
"""Both directions together."""
SOURCES_PER_INTERFACE_TARGET: Final = 10
SOURCES_PER_LARGEST_INTERFACE_TARGET: Final = 100
VXLAN_PORT: Final = 4789
"""Mirrored packets arrive on this UDP port."""
PACKET_LENGTH_FLOORS: Final = {"IPv4": 35, "IPv6": 55}
"""Below these, headers are cut: advice of AWS's, which refuses no length that is shorter."""


def check_session_number(value: float) -> None:
    """Refuse a session number outside 1 to 32766."""
    check_range("session number", value, SESSION_NUMBER, accept_token=True)


def check_rule_number(value: float) -> None:
    """Refuse a filter rule number outside 1 to 32766."""
    check_range("rule number", value, FILTER_RULE_NUMBER, accept_token=True)


def check_virtual_network_id(value: float) -> None:
    """Refuse a VXLAN network identifier outside 1 to 16777215."""
    check_range("virtual network id", value, VIRTUAL_NETWORK_ID, accept_token=True)


def check_packet_length(value: float, *, load_balancer: bool = False) -> None:
    """Refuse a packet length AWS would refuse; the unit is bytes after the VXLAN header.

    Args:
        value: bytes to keep of every packet.
        load_balancer: the target is a Network Load Balancer (at most 8500 bytes).
    """
    allowed = PACKET_LENGTH_LOAD_BALANCER if load_balancer else PACKET_LENGTH
    unit = " bytes for a Network Load Balancer target" if load_balancer else " bytes"
    check_range("packet length", value, allowed, unit, accept_token=True)


def packet_length_warnings(value: int) -> list[str]:
    """Say what is lost at this packet length, if anything."""
    short = {family: floor for family, floor in PACKET_LENGTH_FLOORS.items() if value < floor}
    if not short:
        return []
    floors = " and ".join(f"{floor} bytes of {family}" for family, floor in short.items())
    return [f"packet length {value} cuts headers: keep at least {floors}"]


def check_rule_count(count: int) -> None:
    """Refuse more than 10 rules in one filter, both directions counted together."""
    if count > RULES_PER_FILTER:
        raise RuleViolation(
            f"a traffic mirror filter holds at most {RULES_PER_FILTER} rules, both directions together, got {count}"
        )
