"""What a Network Load Balancer needs to be a traffic mirror target.

Source: VPC Traffic Mirroring guide, "Traffic mirror targets": a UDP listener on port
4789, and two Availability Zones or more.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from tapstack.domain.arguments import check_range
from tapstack.domain.cidrs import kind_without_hosts
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.tokens import is_token

HEALTH_CHECK_PORTS: Final = (1, 65535)
HEALTH_CHECK_PORT: Final = 443
"""On which a healthy appliance answers, by default."""
_PRIVATE: Final = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")))
"""What a target group takes outside of its VPC: User Guide for Network Load Balancers, "Target groups for your
Network Load Balancers", target type ip."""


def check_load_balancer(*, subnet_ids: Sequence[str], health_check_port: int) -> None:
    """Refuse what would make the load balancer fail, or lose packets silently.

    Args:
        subnet_ids: two or more, each in an Availability Zone of its own.
        health_check_port: 1 to 65535.
    """
    for subnet in subnet_ids:
        check_identifier("subnet", subnet)
    literal = [s for s in subnet_ids if not is_token(s)]
    if len(subnet_ids) < 2 and not is_token(list(subnet_ids)):
        raise RuleViolation(
            "a load balancer for mirrored traffic needs subnets in two Availability Zones or more, "
            f"got {len(subnet_ids)}"
        )
    if len(set(literal)) != len(literal):
        raise RuleViolation(f"each subnet once, got {', '.join(subnet_ids)}")
    check_range("health check port", health_check_port, HEALTH_CHECK_PORTS, accept_token=True)


def check_appliances(*, instance_ids: Sequence[str], ip_addresses: Sequence[str]) -> None:
    """Refuse a load balancer with nothing behind it, with both kinds of appliance, or with wrong ones."""
    if bool(instance_ids) == bool(ip_addresses):
        raise RuleViolation("give the appliances either as instance_ids or as ip_addresses, at least one")
    literal = [appliance for appliance in (*instance_ids, *ip_addresses) if not is_token(appliance)]
    if twice := next((appliance for appliance in literal if literal.count(appliance) > 1), None):
        raise RuleViolation(f"appliance {twice} is given twice: keep one")
    for instance in instance_ids:
        check_identifier("instance", instance)
    for address in ip_addresses:
        check_appliance_address(address)


def check_appliance_address(address: str) -> None:
    """Refuse what is not the IPv4 address of a host; a token passes."""
    if is_token(address):
        return
    try:
        given = ipaddress.IPv4Address(address)
    except ValueError:
        raise RuleViolation(f"{address!r} is not an IPv4 address: expected the form 10.0.1.20") from None
    if kind := kind_without_hosts(f"{given}/32"):
        raise RuleViolation(f"{address} is {kind}: expected the private address of an appliance, such as 10.0.1.20")


def appliance_address_warnings(address: str) -> list[str]:
    """Return a warning about an address that a target group takes only where it is of the VPC; none for a token."""
    if is_token(address) or any(ipaddress.IPv4Address(address) in block for block in _PRIVATE):
        return []
    return [
        f"{address} is no private address: AWS registers it only where a CIDR block of the VPC includes it, and never "
        "the public address of an instance"
    ]
