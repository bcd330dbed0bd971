"""Whether the security groups and the network ACL of a network interface pass a packet.

What they drop at the source of a mirror session is not mirrored; copies are exempt from them. Security groups are
stateful: what belongs to a tracked flow passes whatever the rules say by then, so that a change of groups does not end
it. Flows that all-open rules pass both ways are not tracked, and end at once.

Sources: EC2 User Guide, "Security group connection tracking"; VPC User Guide, "Network ACLs" (stateless, the lowest
number first, what no entry matches is denied, only at the border of the subnet).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from tapstack.domain.cidrs import is_whole_internet
from tapstack.domain.filter_rules import PORTS, TCP, UDP, Direction, PortRange
from tapstack.packets.captures import NANOSECONDS
from tapstack.packets.frames import Headers
from tapstack.packets.matching import has_port, is_in, protocol_of
from tapstack.packets.mirroring import Dropped
from tapstack.packets.services import service_of

TCP_ESTABLISHED_SECONDS: Final = 432_000
UDP_SECONDS: Final = 30
UDP_STREAM_SECONDS: Final = 180
OTHER_SECONDS: Final = 600
"""Of protocols other than TCP and UDP. AWS says it of those other than ICMP; of ICMP it is inferred."""
FLOWS: Final = 65_536
"""How many flows, and how many fragmented packets, are remembered; those that are idle longest are forgotten first."""
_RST: Final = 4

_Flow = tuple[int | None, ...]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class GroupRule:
    """A rule of one of the interface's security groups: it allows.

    Attributes:
        direction: of the packets that it allows.
        protocol: IANA number; every protocol where None.
        ports: destination ports of TCP and UDP; every port where None.
        peer: CIDR block of the other side. A rule that names a group, or a prefix list, is one rule for each block.
        icmp_type: every type where None.
        icmp_code: every code where None.
    """

    direction: Direction
    protocol: int | None = None
    ports: PortRange | None = None
    peer: str = "0.0.0.0/0"
    icmp_type: int | None = None
    icmp_code: int | None = None


@dataclass(frozen=True, slots=True)
class AclEntry:
    """An entry of the network ACL of the interface's subnet.

    Attributes:
        number: 1 to 32766; the lowest is evaluated first.
        direction: `ingress` into the subnet.
        action: what becomes of what it matches.
        protocol: IANA number; every protocol where None.
        ports: destination ports of TCP and UDP; every port where None.
        peer: CIDR block of the other side.
        icmp_type: every type where None.
        icmp_code: every code where None.
    """

    number: int
    direction: Direction
    action: Literal["allow", "deny"]
    protocol: int | None = None
    ports: PortRange | None = None
    peer: str = "0.0.0.0/0"
    icmp_type: int | None = None
    icmp_code: int | None = None


@dataclass(frozen=True, slots=True)
class Acl:
    """The network ACL of the interface's subnet; the subnet's own blocks, inside which no ACL counts."""

    entries: tuple[AclEntry, ...]
    subnet_cidrs: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tracked:
    """A flow: since when it is idle, in nanoseconds, who began it, and how often the other side answered."""

    seen: int
    begun: Direction
    answers: int = 0


class Firewall:
    """The tracked flows of one network interface, and what its groups and its ACL pass.

    Groups and ACL are given with each packet, because they change; the flows stay.

    Args:
        tcp_established_seconds: idle time after which a TCP flow is forgotten, 60 to 432000; the interface's
            ConnectionTrackingSpecification.
        udp_seconds: of UDP.
        udp_stream_seconds: of UDP with more than one request and response.
    """

    def __init__(
        self,
        *,
        tcp_established_seconds: int = TCP_ESTABLISHED_SECONDS,
        udp_seconds: int = UDP_SECONDS,
        udp_stream_seconds: int = UDP_STREAM_SECONDS,
    ) -> None:
        """Begin without flows."""
        self.set_idle_seconds(tcp_established_seconds, udp_seconds, udp_stream_seconds)
        self._flows: OrderedDict[_Flow, _Tracked] = OrderedDict()
        self._fragments: OrderedDict[_Flow, Dropped | None] = OrderedDict()

    def set_idle_seconds(self, tcp_established_seconds: int, udp_seconds: int, udp_stream_seconds: int) -> None:
        """Change the idle times, also of flows that are tracked already: AWS does not say so, it is inferred."""
        self._tcp, self._udp, self._stream = tcp_established_seconds, udp_seconds, udp_stream_seconds

    def check(
        self,
        headers: Headers,
        direction: Direction,
        at: int,
        *,
        rules: Sequence[GroupRule] | None,
        acl: Acl | None = None,
        vpc_cidr: str | None = None,
    ) -> Dropped | None:
        """Return what drops a packet; None where it passes.

        Args:
            headers: of the packet; one that is not IP passes.
            direction: `ingress` where it reaches the interface.
            at: nanoseconds, of any clock that does not run backwards.
            rules: of all security groups of the interface at this time; None where they do not count.
            acl: of its subnet; none where it does not count.
            vpc_cidr: the primary IPv4 block of the VPC.
        """
        if headers.family is None or service_of(headers, direction, vpc_cidr) is not None:
            return None
        if direction == "ingress":
            return _by_acl(acl, headers, direction) or self._by_groups(rules, headers, direction, at)
        return self._by_groups(rules, headers, direction, at) or _by_acl(acl, headers, direction)

    def _by_groups(
        self, rules: Sequence[GroupRule] | None, headers: Headers, direction: Direction, at: int
    ) -> Dropped | None:
        if rules is None:
            return None
        packet = (headers.family, headers.source, headers.destination, headers.protocol, headers.identification)
        if headers.fragment == "later" and packet in self._fragments:
            return self._fragments[packet]
        dropped = self._by_state_and_rules(rules, headers, direction, at)
        if headers.fragment == "first":
            _remember(self._fragments, packet, dropped)
        return dropped

    def _by_state_and_rules(
        self, rules: Sequence[GroupRule], headers: Headers, direction: Direction, at: int
    ) -> Dropped | None:
        flow = _flow(headers, direction)
        if _is_untracked(rules, headers, direction):
            # Also a flow that was tracked: a packet of it under all-open rules makes it an untracked one.
            self._flows.pop(flow, None)
            return None
        tracked = self._flows.get(flow)
        if tracked is not None and at - tracked.seen > self._idle_seconds(headers.protocol, tracked) * NANOSECONDS:
            tracked = None
        if tracked is None:
            if not any(_allows(rule, headers, direction) for rule in rules):
                self._flows.pop(flow, None)
                return Dropped("security groups", _no_rule(rules, direction))
            tracked = _Tracked(at, direction)
        elif direction != tracked.begun:
            tracked.answers += 1
        tracked.seen = at
        if headers.tcp_flags is not None and headers.tcp_flags & _RST:
            self._flows.pop(flow, None)
        elif headers.fragment != "later":
            _remember(self._flows, flow, tracked)
        return None

    def _idle_seconds(self, protocol: int | None, tracked: _Tracked) -> int:
        if protocol == TCP:
            return self._tcp
        if protocol == UDP:
            return self._stream if tracked.answers > 1 else self._udp
        return OTHER_SECONDS


def _remember(kept: OrderedDict[_Flow, _T], key: _Flow, value: _T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > FLOWS:
        kept.popitem(last=False)


def _flow(headers: Headers, direction: Direction) -> _Flow:
    """Return what the packets of a flow have in common, both ways: the interface's own side comes first."""
    mine, theirs = (headers.source, headers.source_port), (headers.destination, headers.destination_port)
    if direction == "ingress":
        mine, theirs = theirs, mine
    return (headers.family, headers.protocol, *mine, *theirs)


def _no_rule(rules: Sequence[GroupRule], direction: Direction) -> str:
    there = any(rule.direction == direction for rule in rules)
    what = (
        f"no {direction} rule of the security groups allows it"
        if there
        else (f"the security groups have no {direction} rule")
    )
    return f"{what}, and it belongs to no tracked flow"


def _allows(rule: GroupRule | AclEntry, headers: Headers, direction: Direction) -> bool:
    """Return whether a rule or an entry matches a packet; `ports` are those of the destination."""
    peer = headers.destination if direction == "egress" else headers.source
    return (
        rule.direction == direction
        and (rule.protocol is None or rule.protocol == protocol_of(headers))
        and is_in(rule.peer, headers.family, peer)
        and has_port(rule.ports, headers.destination_port)
        and rule.icmp_type in (None, headers.icmp_type)
        and rule.icmp_code in (None, headers.icmp_code)
    )


def _is_untracked(rules: Sequence[GroupRule], headers: Headers, direction: Direction) -> bool:
    """Return whether rules pass a packet, and its flow is not tracked, whichever side began it.

    It is not where a rule allows TCP or UDP from or to every address, and one of the other direction every answer.
    """
    if headers.protocol not in (TCP, UDP):
        return False
    other: Direction = "ingress" if direction == "egress" else "egress"
    answer = headers._replace(
        source=headers.destination,
        destination=headers.source,
        source_port=headers.destination_port,
        destination_port=headers.source_port,
    )
    return any(
        _opens(rules, begun, beginning) and _opens(rules, back, answering, every_port=True)
        for beginning, begun, answering, back in (
            (headers, direction, answer, other),
            (answer, other, headers, direction),
        )
    )


def _opens(rules: Sequence[GroupRule], direction: Direction, headers: Headers, *, every_port: bool = False) -> bool:
    """Return whether a rule for every address allows a packet; with `every_port`, one for every port as well."""
    return any(
        is_whole_internet(rule.peer)
        and _allows(rule, headers, direction)
        and (not every_port or rule.ports in (None, PortRange(*PORTS)))
        for rule in rules
    )


def _by_acl(acl: Acl | None, headers: Headers, direction: Direction) -> Dropped | None:
    if acl is None:
        return None
    peer = headers.destination if direction == "egress" else headers.source
    if any(is_in(cidr, headers.family, peer) for cidr in acl.subnet_cidrs):
        return None
    for entry in _ordered(acl, direction):
        if _allows(entry, headers, direction):
            if entry.action == "allow":
                return None
            return Dropped("network ACL", f"{direction} entry {entry.number} of the network ACL denies it")
    return Dropped("network ACL", f"no {direction} entry of the network ACL allows it")


def _ordered(acl: Acl, direction: Direction) -> Iterator[AclEntry]:
    yield from sorted((one for one in acl.entries if one.direction == direction), key=lambda one: one.number)
