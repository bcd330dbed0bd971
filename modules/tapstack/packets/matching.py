"""Whether a packet has an address in a block, a protocol and ports: what the rules of AWS have in common."""

from __future__ import annotations

import functools
import ipaddress
from typing import Literal

from tapstack.domain.filter_rules import PortRange
from tapstack.packets.frames import Headers


@functools.lru_cache(maxsize=4096)
def bounds(cidr: str) -> tuple[int, int, int]:
    """Return the family, the first and the last address of a CIDR block."""
    block = ipaddress.ip_network(cidr)
    return block.version, int(block.network_address), int(block.broadcast_address)


def is_in(cidr: str, family: Literal[4, 6] | None, number: int | None) -> bool:
    """Return whether an address is in a CIDR block; no address is in none."""
    version, first, last = bounds(cidr)
    return version == family and number is not None and first <= number <= last


def has_port(ports: PortRange | None, port: int | None) -> bool:
    """Return whether a port is one of `ports`; where `ports` is None every packet fits, also one without a port."""
    return ports is None or (port is not None and ports.first <= port <= ports.last)


def protocol_of(headers: Headers) -> int | None:
    """Return the protocol that rules are compared with: what IPv4 names; of IPv6 what is behind extension headers."""
    return headers.ip_protocol if headers.family == 4 else headers.protocol
