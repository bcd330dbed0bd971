"""Changes of a filter's rules, walked step by step in every order that the synthesized Terraform allows."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tapstack import MirrorFilter, MirrorRule, Traffic
from tapstack.domain.filter_changes import first_loss, rules_in_between
from tapstack.domain.filter_rules import number_rules
from tests.synth.template import synthesize

Key = tuple[str, int]
Rules = Mapping[Key, Mapping[str, Any]]
TYPE = "aws_ec2_traffic_mirror_filter_rule"
PACKETS = [
    (direction, protocol, source, destination, port)
    for direction in ("ingress", "egress")
    for protocol in (6, 17)
    for source, destination in itertools.permutations(("10.0.0.1", "10.9.0.1", "8.8.8.8"), 2)
    for port in (22, 53, 80, 443)
]


@dataclass(frozen=True)
class Made:
    """The rules of a filter, and what each has to wait for."""

    rules: Rules
    after: Mapping[Key, set[Key]]


def made(rules: list[MirrorRule]) -> Made:
    bodies = synthesize(lambda stack: MirrorFilter(stack, "f", rules=rules)).resources[TYPE]
    keys = {name: (body["traffic_direction"], body["rule_number"]) for name, body in bodies.items()}
    after = {
        keys[name]: {keys[reference.strip("${}").partition(".")[2]] for reference in body.get("depends_on", [])}
        for name, body in bodies.items()
    }
    return Made({keys[name]: body for name, body in bodies.items()}, after)


def moments(old: Made, new: Made) -> Iterator[Rules]:
    """Yield what can be there at some time of an apply: creations and changes as they depend, then deletions."""
    seen, waiting = set(), [(frozenset(new.rules), frozenset(old.rules) - set(new.rules))]
    while waiting:
        to_do, to_go = state = waiting.pop()
        if state in seen:
            continue
        seen.add(state)
        there = {key: rule for key, rule in old.rules.items() if key in to_do or key in to_go}
        yield {**there, **{key: rule for key, rule in new.rules.items() if key not in to_do}}
        for key in to_do:
            if not new.after[key] & to_do:
                waiting.append((to_do - {key}, to_go))
        for key in () if to_do else to_go:
            if not any(key in old.after[other] for other in to_go):
                waiting.append((to_do, to_go - {key}))


def mirrors(rules: Rules, packet: tuple[str, int, str, str, int]) -> bool:
    direction, protocol, source, destination, port = packet
    for (of, _), rule in sorted(rules.items(), key=lambda item: item[0][1]):
        [ports] = rule.get("destination_port_range", [{"from_port": 0, "to_port": 65535}])
        if (
            of == direction
            and rule.get("protocol", protocol) == protocol
            and ipaddress.ip_address(source) in ipaddress.ip_network(rule["source_cidr_block"])
            and ipaddress.ip_address(destination) in ipaddress.ip_network(rule["destination_cidr_block"])
            and ports["from_port"] <= port <= ports["to_port"]
        ):
            return bool(rule["rule_action"] == "accept")
    return False


def accept(port: int | None = None, number: int | None = None) -> MirrorRule:
    return MirrorRule("egress", "accept", Traffic() if port is None else Traffic.tcp(port), number=number)


def reject(port: int | None = None, number: int | None = None, *, to: str | None = None) -> MirrorRule:
    traffic = Traffic() if port is None else Traffic.tcp(port)
    return MirrorRule("egress", "reject", traffic, destination=to, number=number)


IN = MirrorRule("ingress")
INTRA = "10.0.0.0/8"
KEPT = {
    "an exception and what it is taken from, in front": (
        [accept(number=300)],
        [accept(443, 100), MirrorRule("egress", "reject", Traffic.tcp(), number=200), accept(number=300)],
    ),
    "an exception and what it is taken from, out": (
        [accept(443, 100), MirrorRule("egress", "reject", Traffic.tcp(), number=200), accept(number=300)],
        [accept(number=300)],
    ),
    "a rule that rejects, in front": ([reject(to=INTRA), accept(), IN], [reject(22), reject(to=INTRA), accept(), IN]),
    "a rule that rejects, out": ([reject(22), reject(to=INTRA), accept(), IN], [reject(to=INTRA), accept(), IN]),
    "a rule that accepts, in front": ([accept(80), accept(443)], [accept(53), accept(80), accept(443)]),
    "a rule that accepts, out, with numbers": ([accept(53, 5), accept(80, 6)], [accept(80, 6)]),
    "accepts and rejects that change places": (
        [accept(443, 100), reject(number=200)],
        [reject(22, 100), accept(number=200)],
    ),
    "rejects that change places with accepts": (
        [reject(22, 100), accept(number=200)],
        [accept(443, 100), reject(number=200)],
    ),
    "other numbers": (
        [accept(443, 1), reject(number=2, to=INTRA), accept(number=3)],
        [accept(443, 11), reject(number=12, to=INTRA), accept(number=13)],
    ),
    "all of them": ([accept(443), reject()], [accept(80, 300), accept(443, 400), IN]),
}
LOST = {
    "a rule that accepts, out": ([accept(53), accept(80), accept(443)], [accept(80), accept(443)]),
    "accepts that change places": ([accept(80, 1), accept(443, 2)], [accept(443, 1), accept(80, 2)]),
    "an accept that moves behind what is rejected now": (
        [accept(443, 100), reject(number=200)],
        [accept(80, 100), reject(22, 200), accept(443, 300)],
    ),
}


@pytest.mark.parametrize(
    ("old", "new", "loses"),
    [
        *(pytest.param(*change, False, id=name) for name, change in KEPT.items()),
        *(pytest.param(*change, True, id=name) for name, change in LOST.items()),
    ],
)
def test_when_rules_change_then_what_both_mirror_is_mirrored_at_every_moment_or_the_loss_is_known_before(
    old: list[MirrorRule], new: list[MirrorRule], loses: bool
) -> None:
    before, after = made(old), made(new)
    kept = [packet for packet in PACKETS if mirrors(before.rules, packet) and mirrors(after.rules, packet)]
    assert kept

    walked = list(moments(before, after))

    assert walked[0] == before.rules
    assert after.rules in walked
    assert all(mirrors(rules, packet) for rules in walked for packet in kept) is not loses
    assert (first_loss(number_rules(old), number_rules(new)) is not None) is loses
    assert max(map(len, walked)) == rules_in_between(number_rules(old), number_rules(new))


def test_when_rules_are_made_then_those_that_accept_are_first_the_highest_number_before_the_lower() -> None:
    rules = [accept(443, 10), reject(number=20), accept(number=30), reject(22, 5), IN]
    assert made(rules).after == {
        ("egress", 30): set(),
        ("egress", 10): {("egress", 30)},
        ("egress", 20): {("egress", 10)},
        ("egress", 5): {("egress", 20)},
        ("ingress", 100): set(),
    }
