"""Who may send to a security group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tapstack.domain import cidrs
from tapstack.domain.arguments import check_fields, checked
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.tokens import is_token

PeerKind = Literal["cidr", "security group", "prefix list", "vpc"]


@dataclass(frozen=True, slots=True)
class Peer:
    """The other side of a security group rule. Use the factories."""

    kind: PeerKind
    value: str

    def __post_init__(self) -> None:
        """Check the value, and keep a CIDR block in the one spelling that AWS keeps.

        Raises:
            RuleViolation: another kind, or a value of another form than the kind has.
        """
        check_fields(self)
        if self.kind == "cidr":
            object.__setattr__(self, "value", cidrs.check_cidr(self.value))
        else:
            check_identifier(self.kind, self.value)

    @classmethod
    @checked
    def cidr(cls, block: str) -> Peer:
        """Every address of a CIDR block, IPv4 or IPv6."""
        return cls("cidr", block)

    @classmethod
    @checked
    def security_group(cls, security_group_id: str) -> Peer:
        """Every network interface that has this security group."""
        return cls("security group", security_group_id)

    @classmethod
    @checked
    def prefix_list(cls, prefix_list_id: str) -> Peer:
        """Every address of a managed prefix list."""
        return cls("prefix list", prefix_list_id)

    @classmethod
    @checked
    def vpc(cls, vpc_id: str) -> Peer:
        """Every IPv4 block of a VPC, looked up when Terraform plans."""
        return cls("vpc", vpc_id)

    @classmethod
    @checked
    def parse(cls, value: str) -> Peer:
        """Read a CIDR block, or the id of a security group, prefix list or VPC.

        A value that is none of these and no token is taken for a CIDR block, and refused as one.
        """
        for prefix, factory in (
            ("sg-", cls.security_group),
            ("pl-", cls.prefix_list),
            ("vpc-", cls.vpc),
        ):
            if value.startswith(prefix):
                return factory(value)
        return cls.cidr(value)


def check_not_whole_internet(peers: Sequence[Peer], *, accept_open: bool) -> None:
    """Refuse the whole internet as a sender of mirrored traffic, unless that was accepted; blocks count together."""
    if not accept_open and (wide := cidrs.open_ranges(peer.value for peer in peers if peer.kind == "cidr")):
        raise RuleViolation(
            f"mirrored traffic from {' and '.join(wide)} lets the whole internet feed the appliance: give the sources' "
            "security groups or CIDR blocks, or accept it with accept_open_mirrored_from"
        )


def sender_warnings(peer: Peer) -> list[str]:
    """Return warnings about ranges of senders that are larger than intended, or in which no source can be."""
    if peer.kind == "cidr" and (kind := cidrs.kind_without_hosts(peer.value)):
        return [
            f"no packet of a source comes from {peer.value} ({kind}): give the sources' security groups or CIDR blocks"
        ]
    if peer.kind == "cidr" and cidrs.is_broad(peer.value):
        return [f"mirrored traffic from {peer.value} reaches far: give the sources' security groups or CIDR blocks"]
    return []


def without_duplicates(peers: Sequence[Peer]) -> tuple[Peer, ...]:
    """Drop duplicate peers; a token is never a duplicate."""
    kept: list[Peer] = []
    for peer in peers:
        if is_token(peer.value) or peer not in kept:
            kept.append(peer)
    return tuple(kept)
