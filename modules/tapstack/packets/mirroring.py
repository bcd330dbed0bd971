"""What VPC Traffic Mirroring does with a packet: which session mirrors it, by which rule, where to, how much of it.

Pure functions. Each answer has its reason in words, and what in it AWS does not document but was inferred.

Sources: VPC Traffic Mirroring guide, "Traffic mirror filters" (the rules of a direction from the lowest number, the
first match decides; without a rule nothing is mirrored; amazon-dns), "Traffic mirror sessions" (ascending numbers, each
packet is mirrored once), "Traffic Mirroring limitations" (what is never mirrored, MTU) and "Traffic Mirroring
considerations" (what the source drops is not mirrored); EC2 API Reference, CreateTrafficMirrorSession (PacketLength).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from tapstack.domain import limits
from tapstack.domain.destinations import Kind
from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_presets import FilterPreset
from tapstack.domain.filter_rules import PROTOCOLS, Action, Direction, MirrorRule, PortRange, number_rules
from tapstack.packets.frames import ARP, Headers
from tapstack.packets.matching import has_port, is_in, protocol_of
from tapstack.packets.services import service_of

Outcome = Literal["mirrored", "not mirrored", "unknown"]
Cause = Literal[
    "rule", "amazon-dns", "no rule", "no session", "unknown filter", "security groups", "network ACL", "never mirrored"
]
"""What decided about a packet."""
CutBy = Literal["", "packet length", "MTU"]
"""What shortens a copy."""

TARGET_MTU: Final = 9001
"""Of an instance's interface in a VPC: EC2 User Guide, "Network maximum transmission unit (MTU)"."""
GATEWAY_LOAD_BALANCER_MTU: Final = 8500
ENCAPSULATION: Final = {4: 54, 6: 74}
"""Bytes that the MTU of a target has to be larger than an IP packet that it gets whole, by the family outside."""
MTU: Final = (68, 9216)
ETHERNET_HEADER: Final = 14
"""The packet length of a session counts the Ethernet header of the mirrored frame; an MTU does not."""

INFERRED_FRAGMENT: Final = (
    "a later fragment has no ports, and AWS does not say how filters match it: taken as matching no rule with ports"
)
INFERRED_EXTENSIONS: Final = (
    "AWS does not say which protocol of a packet with IPv6 extension headers its filters compare: taken as the one "
    "behind them"
)
INFERRED_NOT_IP: Final = "AWS does not say what becomes of frames that are not IP: taken as matching no rule"
INFERRED_SIZE: Final = (
    "AWS says that a packet larger than the target's MTU less {less} bytes is truncated to the MTU: taken as its first "
    "MTU less {less} bytes arriving"
)
INFERRED_EGRESS_DROP: Final = (
    "AWS says that packets which the source drops are not mirrored, without a direction: taken as both"
)
INFERRED_RESOLVER: Final = (
    "AWS does not say whether rules match DNS to the Route 53 Resolver: taken as only amazon-dns does"
)


@dataclass(frozen=True, slots=True)
class MirrorTarget:
    """Where a session sends its copies.

    Attributes:
        name: what messages call it.
        kind: of the three kinds that AWS has; None where it is not known, and then what it truncates is not known.
        mtu: of the appliance's network interface, 68 to 9216 bytes; of no effect for the other kinds.
        outer_family: of the IP packets around the copies.

    Raises:
        RuleViolation: an MTU out of its range.
    """

    name: str
    kind: Kind | None = "network interface"
    mtu: int = TARGET_MTU
    outer_family: Literal[4, 6] = 4

    def __post_init__(self) -> None:
        """Check the MTU."""
        if not MTU[0] <= self.mtu <= MTU[1]:
            raise RuleViolation(f"the MTU of a target must be {MTU[0]} to {MTU[1]}, got {self.mtu}")

    @property
    def whole(self) -> int | None:
        """Return the length of the longest frame that its MTU lets arrive whole, with its Ethernet header.

        None where no MTU counts: AWS truncates for a single instance and for a Gateway Load Balancer.
        """
        if self.kind is None or self.kind == "network load balancer":
            return None
        mtu = self.mtu if self.kind == "network interface" else GATEWAY_LOAD_BALANCER_MTU
        return max(0, mtu - ENCAPSULATION[self.outer_family]) + ETHERNET_HEADER


@dataclass(frozen=True, slots=True)
class MirrorSession:
    """A traffic mirror session of a network interface.

    Attributes:
        number: 1 to 32766; the lowest is asked first.
        name: what messages call it.
        filter: its rules; None where they are not known.
        target: where it sends its copies.
        packet_length: bytes of a frame that it copies, from the inner Ethernet header on; whole frames where None, 8500
            bytes behind a Network Load Balancer.
        virtual_network_id: VNI of its copies, 1 to 16777215; None where AWS chooses it.
        filter_name: what messages call the filter.

    Raises:
        RuleViolation: a number out of its range, or a filter that AWS would not take.
    """

    number: int
    name: str
    filter: FilterPreset | None
    target: MirrorTarget
    packet_length: int | None = None
    virtual_network_id: int | None = None
    filter_name: str = ""
    _ordered: dict[Direction, tuple[MirrorRule, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the numbers, and order the rules."""
        limits.check_session_number(self.number)
        if self.virtual_network_id is not None:
            limits.check_virtual_network_id(self.virtual_network_id)
        if self.packet_length is not None:
            behind = self.target.kind == "network load balancer"
            limits.check_packet_length(self.packet_length, load_balancer=behind)
        if self.filter is not None:
            numbered = sorted(number_rules(self.filter.rules), key=lambda rule: rule.number or 0)
            for direction in ("ingress", "egress"):
                self._ordered[direction] = tuple(rule for rule in numbered if rule.direction == direction)

    def rules(self, direction: Direction) -> tuple[MirrorRule, ...]:
        """Return the numbered rules of a direction in the order of evaluation; none where they are not known."""
        return self._ordered.get(direction, ())

    @property
    def copied(self) -> int | None:
        """Return how many bytes of a frame it copies at most; None where it copies whole frames."""
        if self.packet_length is None and self.target.kind == "network load balancer":
            return limits.PACKET_LENGTH_LOAD_BALANCER[1]
        return self.packet_length


@dataclass(frozen=True, slots=True)
class Answer:
    """What one session says of a packet.

    Attributes:
        session: which one.
        action: `accept` or `reject`; None where no rule matches, or where its rules are not known.
        rule: the one that decided; none where no rule matches, and where amazon-dns decided.
    """

    session: MirrorSession
    action: Action | None
    rule: MirrorRule | None = None

    @property
    def unknown(self) -> bool:
        """Return whether it cannot be known."""
        return self.session.filter is None


@dataclass(frozen=True, slots=True)
class Dropped:
    """That the source drops a packet, so that it is not mirrored.

    Attributes:
        by: what drops it.
        why: in words.
    """

    by: Literal["security groups", "network ACL"]
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a packet.

    Attributes:
        outcome: whether a session mirrors it.
        cause: what decided.
        why: in words.
        session: the one that mirrors it; of an unknown outcome the one that could not be asked.
        rule: the one that accepts it, or of the last session that rejects it; none where none decided.
        kept: bytes of the frame that arrive, without the headers around the copy; None where the length is not known.
        whole: whether all of it arrives; None where that is not known.
        cut_by: what shortens it; empty where nothing does.
        answers: of each session that was asked, in order.
        inferred: what AWS does not document, and how it was taken.
    """

    outcome: Outcome
    cause: Cause
    why: str
    session: MirrorSession | None = None
    rule: MirrorRule | None = None
    kept: int | None = None
    whole: bool | None = None
    cut_by: CutBy = ""
    answers: tuple[Answer, ...] = ()
    inferred: tuple[str, ...] = ()


def decide(
    headers: Headers,
    direction: Direction,
    sessions: Sequence[MirrorSession],
    *,
    length: int | None = None,
    vpc_cidr: str | None = None,
    dropped: Dropped | None = None,
) -> Verdict:
    """Return what becomes of a packet of a network interface.

    Args:
        headers: of the packet.
        direction: `ingress` where it reaches the interface, `egress` where it leaves it.
        sessions: of the interface, in any order.
        length: bytes of the frame, with its Ethernet header; what arrives of it is not known without.
        vpc_cidr: the primary IPv4 block of the VPC, whose third address is the Route 53 Resolver.
        dropped: that its security groups or network ACL drop it; None where they pass it, or are not known.
    """
    if (never := never_mirrored(headers, direction, vpc_cidr)) is not None:
        return Verdict("not mirrored", "never mirrored", f"AWS never mirrors {never}")
    if dropped is not None:
        outbound = (INFERRED_EGRESS_DROP,) if direction == "egress" else ()
        return Verdict("not mirrored", dropped.by, dropped.why, inferred=outbound)
    inferred = tuple(_inferred(headers, direction, vpc_cidr))
    answers: list[Answer] = []
    for session in sorted(sessions, key=lambda one: one.number):
        answer = ask(session, headers, direction, vpc_cidr)
        answers.append(answer)
        if answer.unknown:
            why = f"{named(session)} is asked first, and the rules of its filter are not known"
            return Verdict("unknown", "unknown filter", why, session, answers=tuple(answers), inferred=inferred)
        if answer.action == "accept":
            return _mirrored(answer, tuple(answers), direction, length, inferred)
    decisive = next((one for one in reversed(answers) if one.rule is not None), None)
    if not answers:
        return Verdict("not mirrored", "no session", "the interface has no session", inferred=inferred)
    if decisive is not None and decisive.rule is not None:
        why = f"{direction} rule {decisive.rule.number} of {named(decisive.session)} rejects it"
        return Verdict("not mirrored", "rule", why, rule=decisive.rule, answers=tuple(answers), inferred=inferred)
    why = _without_rule(answers, direction)
    if service_of(headers, direction, vpc_cidr) == "Amazon DNS":
        why = "it is DNS of the Route 53 Resolver, and no filter has amazon-dns"
    return Verdict("not mirrored", "no rule", why, answers=tuple(answers), inferred=inferred)


def never_mirrored(headers: Headers, direction: Direction, vpc_cidr: str | None = None) -> str | None:
    """Return what a packet is that AWS mirrors for no session; None for any other."""
    if headers.ether_type == ARP:
        return "ARP"
    service = service_of(headers, direction, vpc_cidr)
    return None if service == "Amazon DNS" else service


def ask(session: MirrorSession, headers: Headers, direction: Direction, vpc_cidr: str | None = None) -> Answer:
    """Return what a session says of a packet that can be mirrored."""
    if session.filter is None:
        return Answer(session, None)
    if service_of(headers, direction, vpc_cidr) == "Amazon DNS":
        return Answer(session, "accept" if session.filter.amazon_dns else None)
    for rule in session.rules(direction):
        if not mismatch(rule, headers):
            return Answer(session, rule.action, rule)
    return Answer(session, None)


def mismatch(rule: MirrorRule, headers: Headers) -> str:
    """Return why a rule of the packet's direction does not match it; empty where it does.

    Its two blocks are of one family; ports are those of TCP and UDP.
    """
    if not is_in(rule.source_cidr, headers.family, headers.source):
        return _outside("source", rule.source_cidr, headers.family)
    if not is_in(rule.destination_cidr, headers.family, headers.destination):
        return _outside("destination", rule.destination_cidr, headers.family)
    traffic = rule.traffic
    if traffic.protocol is not None and traffic.protocol != protocol_of(headers):
        return f"it is not {protocol_name(traffic.protocol)}"
    for what, ports, port in (
        ("source", traffic.source_ports, headers.source_port),
        ("destination", traffic.destination_ports, headers.destination_port),
    ):
        if not has_port(ports, port):
            return "it has no ports" if port is None else f"its {what} port is {port}, not {ports_text(ports)}"
    return ""


def protocol_name(protocol: int | None) -> str:
    """Return the name of a protocol, or its number where it has no name here."""
    names = {number: name for name, number in PROTOCOLS.items()}
    return names.get(protocol, f"protocol {protocol}")


def ports_text(ports: PortRange | None) -> str:
    """Return ports as the deployment file writes them."""
    if ports is None:
        return "any"
    return str(ports.first) if ports.first == ports.last else f"{ports.first}-{ports.last}"


def named(session: MirrorSession) -> str:
    """Return what messages call a session."""
    return f"session {session.name} (number {session.number})"


def _outside(what: str, cidr: str, family: int | None) -> str:
    if family is None:
        return "it is no IP packet"
    version = 6 if ":" in cidr else 4
    return f"it is IPv{family}" if version != family else f"its {what} is not in {cidr}"


def _without_rule(answers: Sequence[Answer], direction: Direction) -> str:
    """Return why no session mirrors a packet that no rule matches."""
    if all(not one.session.rules(direction) for one in answers):
        return f"no filter has an {direction} rule" if len(answers) > 1 else f"the filter has no {direction} rule"
    return f"no {direction} rule matches it"


def _mirrored(
    answer: Answer, answers: tuple[Answer, ...], direction: Direction, length: int | None, inferred: tuple[str, ...]
) -> Verdict:
    session, rule = answer.session, answer.rule
    if rule is None:
        why = f"the filter of {named(session)} mirrors DNS to the Route 53 Resolver (amazon-dns)"
    else:
        why = f"{direction} rule {rule.number} of {named(session)} accepts it"
    kept, whole, cut_by = _arriving(session, length)
    if cut_by == "MTU":
        less = ENCAPSULATION[session.target.outer_family]
        inferred = (*inferred, INFERRED_SIZE.format(less=less))
    cause: Cause = "amazon-dns" if rule is None else "rule"
    return Verdict("mirrored", cause, why, session, rule, kept, whole, cut_by, answers, inferred)


def _arriving(session: MirrorSession, length: int | None) -> tuple[int | None, bool | None, CutBy]:
    """Return how many bytes of a frame arrive, whether that is all, and what shortens it."""
    if length is None:
        return None, None, ""
    cut_by: CutBy = ""
    kept = length
    if session.copied is not None and session.copied < kept:
        kept, cut_by = session.copied, "packet length"
    if session.target.whole is not None and session.target.whole < kept:
        kept, cut_by = session.target.whole, "MTU"
    if not cut_by and session.target.kind is None:
        return kept, None, cut_by
    return kept, not cut_by, cut_by


def _inferred(headers: Headers, direction: Direction, vpc_cidr: str | None) -> Iterator[str]:
    if headers.family is None:
        yield INFERRED_NOT_IP
    if headers.fragment == "later":
        yield INFERRED_FRAGMENT
    if headers.family == 6 and headers.ip_protocol != headers.protocol:
        yield INFERRED_EXTENSIONS
    if service_of(headers, direction, vpc_cidr) == "Amazon DNS":
        yield INFERRED_RESOLVER
