"""The rules of a traffic mirror filter: what they match and how they are numbered.

Source: VPC Traffic Mirroring guide, "Traffic mirror filters". Rules of one direction
are evaluated from the lowest number; the first match decides. A packet that matches
no rule is not mirrored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from tapstack.domain import cidrs, limits
from tapstack.domain.arguments import check_fields, check_range
from tapstack.domain.errors import RuleViolation
from tapstack.domain.suggestions import did_you_mean
from tapstack.domain.tokens import is_token

Direction = Literal["ingress", "egress"]
Action = Literal["accept", "reject"]

TCP: Final = 6
UDP: Final = 17
ICMP: Final = 1
ICMPV6: Final = 58
PROTOCOLS: Final = {"all": None, "tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6}
PROTOCOL_NUMBERS: Final = (0, 255)
PORTS: Final = (0, 65535)
NUMBERING_STEP: Final = 100
_PORTS: Final = re.compile(r"\s*([0-9]{1,5})\s*(?:-\s*([0-9]{1,5})\s*)?")


def parse_protocol(value: int | str) -> int | None:
    """Return the IANA number of a protocol given by name or number; None for all of them.

    Raises:
        RuleViolation: another name, or a number outside 0 to 255.
    """
    if isinstance(value, str) and value in PROTOCOLS:
        return PROTOCOLS[value]
    if isinstance(value, int) and not isinstance(value, bool) and PROTOCOL_NUMBERS[0] <= value <= PROTOCOL_NUMBERS[1]:
        return value
    meant = did_you_mean(value, PROTOCOLS) if isinstance(value, str) else ""
    raise RuleViolation(
        f"{meant}expected {', '.join(PROTOCOLS)} or an IANA protocol number from 0 to 255 as protocol, got {value!r}"
    )


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports `first` to `last`, both included, 0 to 65535."""

    first: int
    last: int

    def __post_init__(self) -> None:
        """Refuse ports out of range and ranges that run backwards."""
        for port in (self.first, self.last):
            check_range("a port", port, PORTS, accept_token=True)
        if not is_token(self.first) and not is_token(self.last) and self.first > self.last:
            raise RuleViolation(f"a port range must not run backwards, got {self.first}-{self.last}")

    @classmethod
    def parse(cls, value: int | str | PortRange) -> PortRange:
        """Read a port (443) or a range ("8000-8999")."""
        if isinstance(value, PortRange):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(value, value)
        ports = _PORTS.fullmatch(str(value))
        if ports is None:
            raise RuleViolation(f'expected a port such as 443 or a range such as "8000-8999", got {value!r}')
        first, last = ports.groups()
        return cls(int(first), int(last or first))


@dataclass(frozen=True, slots=True)
class Traffic:
    """Which packets a rule matches: an IP protocol and, for TCP and UDP, ports.

    Use the factories; a `Traffic()` matches everything.
    """

    protocol: int | None = None
    source_ports: PortRange | None = None
    destination_ports: PortRange | None = None

    def __post_init__(self) -> None:
        """Refuse protocols out of range, and ports where the protocol has none."""
        check_fields(self)
        if self.protocol is not None:
            check_range("an IP protocol number", self.protocol, PROTOCOL_NUMBERS, accept_token=True)
        has_ports = self.source_ports or self.destination_ports
        if has_ports and self.protocol not in (TCP, UDP) and not is_token(self.protocol):
            names = {number: f"{name} ({number})" for name, number in PROTOCOLS.items()}
            got = "every protocol" if self.protocol is None else f"protocol {names.get(self.protocol, self.protocol)}"
            raise RuleViolation(f"ports go with TCP (6) and UDP (17) only, got ports with {got}")

    @classmethod
    def everything(cls) -> Traffic:
        """Match every protocol and port."""
        return cls()

    @classmethod
    def of_protocol(cls, number: int) -> Traffic:
        """Match one IP protocol by its IANA number, 0 to 255."""
        return cls(number)

    @classmethod
    def tcp(cls, destination: int | str | None = None, *, source: int | str | None = None) -> Traffic:
        """Match TCP; ports as 443 or "8000-8999", every port when omitted."""
        return cls._with_ports(TCP, destination, source)

    @classmethod
    def udp(cls, destination: int | str | None = None, *, source: int | str | None = None) -> Traffic:
        """Match UDP; ports as 53 or "33434-33534", every port when omitted."""
        return cls._with_ports(UDP, destination, source)

    @classmethod
    def icmp(cls) -> Traffic:
        """Match ICMP for IPv4."""
        return cls(ICMP)

    @classmethod
    def icmpv6(cls) -> Traffic:
        """Match ICMP for IPv6."""
        return cls(ICMPV6)

    @classmethod
    def _with_ports(cls, protocol: int, destination: int | str | None, source: int | str | None) -> Traffic:
        return cls(
            protocol,
            None if source is None else PortRange.parse(source),
            None if destination is None else PortRange.parse(destination),
        )


@dataclass(frozen=True, slots=True)
class MirrorRule:
    """One rule of a traffic mirror filter.

    Args:
        direction: `ingress` for packets that reach the source, `egress` for those that leave it.
        action: `accept` mirrors a matching packet, `reject` does not.
        traffic: the protocol and ports; everything by default.
        source: CIDR block the packet comes from; 0.0.0.0/0 by default, or ::/0 where
            `destination` is IPv6.
        destination: CIDR block the packet goes to; by default as `source`.
        number: 1 to 32766, the lowest is evaluated first; chosen by position when omitted.
        description: up to 255 characters.

    Raises:
        RuleViolation: any of them is out of range, or the families differ.
    """

    direction: Direction
    action: Action = "accept"
    traffic: Traffic = Traffic()
    source: str | None = None
    destination: str | None = None
    number: int | None = None
    description: str = ""

    def __post_init__(self) -> None:
        """Check every field and fill the omitted CIDR blocks with those of the same family."""
        check_fields(self)
        source, destination = (None if c is None else cidrs.check_cidr(c) for c in (self.source, self.destination))
        given = [c for c in (source, destination) if c is not None]
        anywhere = cidrs.ANY_IPV6 if any(cidrs.family(c) == 6 for c in given) else cidrs.ANY_IPV4
        object.__setattr__(self, "source", source or anywhere)
        object.__setattr__(self, "destination", destination or anywhere)
        cidrs.check_same_family(self.source_cidr, self.destination_cidr)
        if self.number is not None:
            if is_token(self.number):
                raise RuleViolation("rule number must be a literal: it is part of the rule's Terraform address")
            limits.check_rule_number(self.number)
        if len(self.description) > 255:
            raise RuleViolation(f"a rule's description holds at most 255 characters, got {len(self.description)}")

    @property
    def source_cidr(self) -> str:
        """The CIDR block the packet comes from."""
        return self.source or cidrs.ANY_IPV4

    @property
    def destination_cidr(self) -> str:
        """The CIDR block the packet goes to."""
        return self.destination or cidrs.ANY_IPV4

    def matches_same_as(self, other: MirrorRule) -> bool:
        """Return whether both rules match the same packets of the same direction."""
        return (self.direction, self.traffic, self.source, self.destination) == (
            other.direction,
            other.traffic,
            other.source,
            other.destination,
        )


def number_rules(rules: Sequence[MirrorRule]) -> tuple[MirrorRule, ...]:
    """Give every rule a number that leaves room and collides with none.

    Rules keep their order: each rule without a number gets the next free multiple of 100
    of its direction. Explicit numbers are kept. A rule said twice is dropped; one that
    holds a token is never taken for a duplicate.

    Raises:
        RuleViolation: a number is used twice in a direction; more than 10 rules; no rule at all.
    """
    taken: dict[Direction, set[int]] = {"ingress": set(), "egress": set()}
    kept: list[MirrorRule] = []
    for rule in rules:
        literal = not is_token([rule.source, rule.destination])
        if literal and rule in kept:
            continue
        if rule.number is not None:
            if rule.number in taken[rule.direction]:
                raise RuleViolation(f"rule number {rule.number} is used twice in direction {rule.direction}")
            taken[rule.direction].add(rule.number)
        kept.append(rule)
    limits.check_rule_count(len(kept))

    numbered: list[MirrorRule] = []
    last: dict[Direction, int] = {"ingress": 0, "egress": 0}
    for rule in kept:
        if rule.number is None:
            number = (last[rule.direction] // NUMBERING_STEP + 1) * NUMBERING_STEP
            while number in taken[rule.direction]:
                number += NUMBERING_STEP
            if number > limits.FILTER_RULE_NUMBER[1]:
                raise RuleViolation(
                    f"no rule number is left after {last[rule.direction]} in direction {rule.direction}: "
                    f"the highest is {limits.FILTER_RULE_NUMBER[1]}"
                )
            taken[rule.direction].add(number)
            rule = replace(rule, number=number)
        last[rule.direction] = max(last[rule.direction], rule.number or 0)
        numbered.append(rule)
    return tuple(numbered)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is allowed but probably not meant.

    Attributes:
        message: what it leads to.
        position: of the rule that it is about; None where it is about all of them.
    """

    message: str
    position: int | None = None


def likely_mistakes(rules: Sequence[MirrorRule], *, amazon_dns: bool) -> tuple[Mistake, ...]:
    """Return what is allowed but probably not meant: a silent direction, a rule never reached."""
    found = []
    accepting = {rule.direction for rule in rules if rule.action == "accept"}
    if rules and not amazon_dns:
        for direction in get_args(Direction):
            if direction not in accepting:
                found.append(Mistake(f"no {direction} rule accepts anything, so no {direction} packet is mirrored"))
    ordered = sorted(enumerate(rules), key=lambda pair: (pair[1].direction, pair[1].number or 0))
    for order, (position, rule) in enumerate(ordered):
        for _, earlier in ordered[:order]:
            if _covers(earlier, rule):
                message = (
                    f"{rule.direction} rule {rule.number} is never reached: rule {earlier.number} matches all of it"
                )
                found.append(Mistake(message, position))
                break
    return tuple(found)


def _covers(earlier: MirrorRule, later: MirrorRule) -> bool:
    """Return whether `earlier` matches every packet of `later`; tokens are never covered."""
    if earlier.direction != later.direction:
        return False
    if earlier.matches_same_as(later) and not is_token([earlier.source, earlier.destination]):
        return True
    return earlier.traffic == Traffic() and all(
        cidrs.is_whole_internet(whole) and cidrs.family(whole) == cidrs.family(part)
        for whole, part in (
            (earlier.source_cidr, later.source_cidr),
            (earlier.destination_cidr, later.destination_cidr),
        )
    )
