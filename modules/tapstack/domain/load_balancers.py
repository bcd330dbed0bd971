"""What a Network Load Balancer needs to be a traffic mirror target.

Source: VPC Traffic Mirroring guide, "Traffic mirror targets": a UDP listener on port
4789, and two Availability Zones or more.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.tokens import is_token

_NO_HOST: Final = {
    ipaddress.IPv4Network("0.0.0.0/8"): "an unspecified address",
    ipaddress.IPv4Network("127.0.0.0/8"): "a loopback address",
    ipaddress.IPv4Network("169.254.0.0/16"): "a link-local address",
    ipaddress.IPv4Network("224.0.0.0/4"): "a multicast address",
    ipaddress.IPv4Network("255.255.255.255/32"): "the broadcast address",
    ipaddress.IPv4Network("240.0.0.0/4"): "a reserved address",
}
"""No appliance can have these: IANA IPv4 Special-Purpose Address Registry, and RFC 5771. The first that fits counts."""


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
    if not is_token(health_check_port) and not 1 <= health_check_port <= 65535:
        raise RuleViolation(f"health check port must be from 1 to 65535, got {health_check_port}")


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
    if kind := next((kind for block, kind in _NO_HOST.items() if given in block), None):
        raise RuleViolation(f"{address} is {kind}: expected the private address of an appliance, such as 10.0.1.20")
