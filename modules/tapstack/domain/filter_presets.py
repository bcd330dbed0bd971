"""Ready-made filters: everything, everything but intra-VPC, web, dns.

Each fits into the 10 rules that a filter may hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, get_args

from tapstack.domain.arguments import check_fields, checked
from tapstack.domain.cidrs import ANY_IPV4, ANY_IPV6, check_cidr, family, is_whole_internet
from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_rules import Direction, MirrorRule, Traffic

MAX_INTRA_VPC_CIDRS: Final = 3
"""Each block costs two of the 10 rules, and accepting the rest costs four."""


@dataclass(frozen=True, slots=True)
class FilterPreset:
    """The rules of a filter, and whether `amazon-dns` is mirrored.

    Traffic to the Route 53 Resolver is never matched by rules; only the `amazon-dns`
    network service mirrors it, in both directions.
    """

    rules: tuple[MirrorRule, ...]
    amazon_dns: bool = False

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            RuleViolation: it is of another type.
        """
        check_fields(self)


def _both_ways(traffic: Traffic, reply: Traffic, families: Sequence[str]) -> list[MirrorRule]:
    """Conversations in which the source is the server, and those in which it is the client."""
    return [
        MirrorRule(direction, traffic=side, source=anywhere, destination=anywhere)
        for anywhere in families
        for direction in get_args(Direction)
        for side in (traffic, reply)
    ]


def everything() -> FilterPreset:
    """Mirror every packet, IPv4 and IPv6, both directions, the Route 53 Resolver included (4 rules)."""
    rules = [
        MirrorRule(direction, source=anywhere, destination=anywhere)
        for direction in get_args(Direction)
        for anywhere in (ANY_IPV4, ANY_IPV6)
    ]
    return FilterPreset(tuple(rules), amazon_dns=True)


@checked
def everything_but_intra_vpc(vpc_cidrs: Sequence[str]) -> FilterPreset:
    """Mirror what enters or leaves the VPC, and not what stays inside it.

    Args:
        vpc_cidrs: the CIDR blocks of the VPC, 1 to 3 of them, IPv4 or IPv6.
    """
    if not 1 <= len(vpc_cidrs) <= MAX_INTRA_VPC_CIDRS:
        raise RuleViolation(
            f"everything_but_intra_vpc takes 1 to {MAX_INTRA_VPC_CIDRS} CIDR blocks of the VPC "
            f"(a filter holds 10 rules), got {len(vpc_cidrs)}"
        )
    rejects = []
    for cidr in map(check_cidr, vpc_cidrs):
        if is_whole_internet(cidr):
            raise RuleViolation(
                f"everything_but_intra_vpc takes the CIDR blocks of the VPC, got {cidr}: no packet to or from it would "
                "be mirrored"
            )
        # A token's family is unknown; the VPC attribute that users pass is its IPv4 block.
        anywhere = ANY_IPV6 if family(cidr) == 6 else ANY_IPV4
        rejects.append(MirrorRule("ingress", "reject", source=cidr, destination=anywhere))
        rejects.append(MirrorRule("egress", "reject", source=anywhere, destination=cidr))
    return FilterPreset((*rejects, *everything().rules), amazon_dns=False)


def web() -> FilterPreset:
    """Mirror HTTP and HTTPS over TCP, IPv4, as server and as client (8 rules).

    IPv6 would need 16 rules, more than a filter may hold: use a second filter for it.
    """
    rules = [
        rule for port in (80, 443) for rule in _both_ways(Traffic.tcp(port), Traffic.tcp(source=port), (ANY_IPV4,))
    ]
    return FilterPreset(tuple(rules))


def dns() -> FilterPreset:
    """Mirror DNS: the Route 53 Resolver, and port 53 over UDP and TCP, IPv4 (8 rules)."""
    rules = [rule for make in (Traffic.udp, Traffic.tcp) for rule in _both_ways(make(53), make(source=53), (ANY_IPV4,))]
    return FilterPreset(tuple(rules), amazon_dns=True)
