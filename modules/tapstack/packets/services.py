"""The services of Amazon that a host reaches at addresses of its own VPC: which of their packets a packet is.

Security groups and network ACLs do not filter these, rules of mirror filters do not match DNS to the resolver, and all
but DNS are never mirrored.

Sources: VPC Traffic Mirroring guide, "Traffic Mirroring limitations"; VPC User Guide, "Understanding Amazon DNS",
"Control traffic to your AWS resources using security groups" and "Network ACLs"; whitepaper "IPv6 on AWS", "Supporting
Amazon VPC services"; EC2 User Guide, "Troubleshoot Windows instances" (addresses of the activation).
"""

from __future__ import annotations

import functools
import ipaddress
from typing import Final, Literal

from tapstack.domain.filter_rules import TCP, UDP, Direction
from tapstack.packets.frames import Headers

Service = Literal["DHCP", "instance metadata", "Amazon Time Sync Service", "Windows activation", "Amazon DNS"]

_Address = tuple[int, int]
"""Family and number."""


def _address(text: str) -> _Address:
    address = ipaddress.ip_address(text)
    return address.version, int(address)


_BY_ADDRESS: Final[dict[_Address, Service]] = {
    _address("169.254.169.254"): "instance metadata",
    _address("fd00:ec2::254"): "instance metadata",
    _address("169.254.169.123"): "Amazon Time Sync Service",
    _address("fd00:ec2::123"): "Amazon Time Sync Service",
    _address("169.254.169.250"): "Windows activation",
    _address("169.254.169.251"): "Windows activation",
}
_RESOLVERS: Final = frozenset({_address("169.254.169.253"), _address("fd00:ec2::253")})
_DHCP: Final = ({67, 68}, {546, 547})
DNS_PORT: Final = 53


@functools.lru_cache(maxsize=64)
def _resolvers(vpc_cidr: str | None) -> frozenset[_Address]:
    """Return the addresses of the Route 53 Resolver in a VPC with this primary IPv4 block."""
    if vpc_cidr is None:
        return _RESOLVERS
    block = ipaddress.IPv4Network(vpc_cidr)
    return _RESOLVERS | {(4, int(block.network_address) + 2)}


def service_of(headers: Headers, direction: Direction, vpc_cidr: str | None = None) -> Service | None:
    """Return the service of Amazon that a packet goes to or comes from; None where there is none.

    Args:
        headers: of the packet.
        direction: `egress` where it leaves the interface.
        vpc_cidr: the primary IPv4 block of the interface's VPC, whose third address is the resolver; without it only
            the resolver's link-local addresses are known.
    """
    if headers.family is None:
        return None
    ports = {headers.source_port, headers.destination_port}
    if headers.protocol == UDP and any(ports <= pair for pair in _DHCP):
        return "DHCP"
    number = headers.destination if direction == "egress" else headers.source
    if number is None:
        return None
    peer = (int(headers.family), number)
    if (service := _BY_ADDRESS.get(peer)) is not None:
        return service
    if peer in _resolvers(vpc_cidr) and headers.protocol in (TCP, UDP):
        port = headers.destination_port if direction == "egress" else headers.source_port
        if port == DNS_PORT or headers.fragment == "later":
            return "Amazon DNS"
    return None
