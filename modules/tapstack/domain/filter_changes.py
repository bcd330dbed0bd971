"""How the rules of a filter become other rules, one call at a time, without a loss of packets.

A rule is identified by its direction and number. What both the old and the new rules have at a number is modified in
place, in one call; what is new is created before what is taken out is deleted. See docs/decisions/0040.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from tapstack.domain.filter_rules import PORTS, Direction, MirrorRule, PortRange

_ALL_PORTS: Final = PortRange(*PORTS)
_IPV6_BEHIND: Final = 1 << 32
"""Addresses of both families as numbers that differ: those of IPv6 come after those of IPv4."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Packets that are mirrored before and after a change, and not in between.

    Attributes:
        before: the rule that mirrors them before.
        after: the rule that mirrors them afterwards.
    """

    before: MirrorRule
    after: MirrorRule


def order_of_changes(rules: Sequence[MirrorRule]) -> tuple[MirrorRule, ...]:
    """Return rules in the order in which they are created and modified; deletions have the opposite order.

    Rules that accept come first, so that what mirrors a packet afterwards is there before what mirrors it now is
    covered or gone. Among them, and among those that reject, the highest number is first: rules that move up by one
    number, because one was put in front of them, are never missing.

    Args:
        rules: of one filter, with their numbers.
    """
    return tuple(sorted(rules, key=lambda rule: (rule.action == "reject", -(rule.number or 0))))


def rules_in_between(old: Sequence[MirrorRule], new: Sequence[MirrorRule]) -> int:
    """Return how many rules a filter has, at most, while its rules change."""
    return len({(rule.direction, rule.number) for rule in (*old, *new)})


def first_loss(old: Sequence[MirrorRule], new: Sequence[MirrorRule]) -> Loss | None:
    """Return packets that are lost while the rules of a filter change in the order of `order_of_changes`, if any are.

    Args:
        old: the rules that the filter has, with their numbers and no tokens.
        new: those that it will have.
    """
    for direction in get_args(Direction):
        before, after = (
            {rule.number or 0: rule for rule in rules if rule.direction == direction} for rules in (old, new)
        )
        kept = [
            (packets, first, last)
            for packets in _packet_classes([*before.values(), *after.values()])
            if (first := _mirroring(before, packets)) and (last := _mirroring(after, packets))
        ]
        for rules in _steps(before, after):
            for packets, first, last in kept:
                if _mirroring(rules, packets) is None:
                    return Loss(first, last)
    return None


def _steps(before: Mapping[int, MirrorRule], after: Mapping[int, MirrorRule]) -> Iterator[dict[int, MirrorRule]]:
    """Yield the rules of one direction, by number, after each call."""
    rules = dict(before)
    for rule in order_of_changes(list(after.values())):
        rules[rule.number or 0] = rule
        yield rules
    for rule in reversed(order_of_changes([rule for number, rule in before.items() if number not in after])):
        del rules[rule.number or 0]
        yield rules


_Packets = frozenset[int]
"""Packets that the same rules match, by the `id` of these: they share their fate."""


def _mirroring(rules: Mapping[int, MirrorRule], packets: _Packets) -> MirrorRule | None:
    """Return the rule that mirrors packets; None where none does, or one in front of it rejects them."""
    first = min((number for number, rule in rules.items() if id(rule) in packets), default=None)
    return rules[first] if first is not None and rules[first].action == "accept" else None


def _packet_classes(rules: Sequence[MirrorRule]) -> set[_Packets]:
    """Return each set of rules that some packet matches while it matches no other."""
    classes = {frozenset(map(id, rules))}
    for span_of in _SPANS:
        spans = [(id(rule), *span_of(rule)) for rule in rules]
        # What matches changes only where a span begins, and behind its end.
        places = {place for _, first, last in spans for place in (first, last + 1)}
        matching = {frozenset(rule for rule, first, last in spans if first <= place <= last) for place in places}
        classes = {one & other for one in classes for other in matching}
    return classes


def _protocols(rule: MirrorRule) -> tuple[int, int]:
    protocol = rule.traffic.protocol
    return (0, 255) if protocol is None else (protocol, protocol)


def _ports(ports: PortRange | None) -> tuple[int, int]:
    ports = ports or _ALL_PORTS
    return ports.first, ports.last


def _addresses(block: str) -> tuple[int, int]:
    network = ipaddress.ip_network(block)
    base = _IPV6_BEHIND if network.version == 6 else 0
    return base + int(network.network_address), base + int(network.broadcast_address)


_SPANS: Final[Sequence[Callable[[MirrorRule], tuple[int, int]]]] = (
    _protocols,
    lambda rule: _addresses(rule.source_cidr),
    lambda rule: _addresses(rule.destination_cidr),
    lambda rule: _ports(rule.traffic.source_ports),
    lambda rule: _ports(rule.traffic.destination_ports),
)
