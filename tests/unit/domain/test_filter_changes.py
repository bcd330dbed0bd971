import functools
import ipaddress
import itertools
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tapstack.domain.filter_changes import Loss, first_loss, order_of_changes, rules_in_between
from tapstack.domain.filter_rules import Action, Direction, MirrorRule, PortRange, Traffic, number_rules

BLOCKS = ("10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "0.0.0.0/0", "2001:db8::/32", "::/0")
TRAFFIC = (
    Traffic(),
    Traffic.tcp(),
    Traffic.udp(53),
    Traffic.tcp(443),
    Traffic.tcp("80-443"),
    Traffic.tcp(source=443),
)
ADDRESSES = {"10.0.0.1": 4, "10.128.0.1": 4, "8.8.8.8": 4, "2001:db8::1": 6, "2002::1": 6}
PACKETS = [
    (protocol, source, destination, source_port, destination_port)
    for protocol in (1, 6, 17)
    for source, destination in itertools.product(ADDRESSES, repeat=2)
    if ADDRESSES[source] == ADDRESSES[destination]
    for source_port, destination_port in itertools.product((53, 80, 443), repeat=2)
]


def rule(
    direction: Direction,
    action: Action,
    traffic: Traffic = TRAFFIC[0],
    number: int = 1,
    source: str = "0.0.0.0/0",
    destination: str = "0.0.0.0/0",
) -> MirrorRule:
    if (":" in source) != (":" in destination):
        destination = source
    return MirrorRule(direction, action, traffic, source, destination, number)


filters = st.lists(
    st.builds(
        rule,
        st.just("egress"),
        st.sampled_from(["accept", "reject"]),
        st.sampled_from(TRAFFIC),
        st.integers(1, 6),
        st.sampled_from(BLOCKS),
        st.sampled_from(BLOCKS),
    ),
    max_size=5,
    unique_by=lambda rule: rule.number,
)


@functools.cache
def holds(block: str, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block)


def mirrored(rules: list[MirrorRule]) -> set[tuple[int, str, str, int, int]]:
    """Return the packets that rules mirror, read from the guide: the lowest number that matches decides."""

    def inside(port: int, ports: PortRange | None) -> bool:
        return ports is None or ports.first <= port <= ports.last

    found: set[tuple[int, str, str, int, int]] = set()
    decided: set[tuple[int, str, str, int, int]] = set()
    for each in sorted(rules, key=lambda rule: rule.number or 0):
        matched = {
            packet
            for packet in PACKETS
            if each.traffic.protocol in (None, packet[0])
            and holds(each.source_cidr, packet[1])
            and holds(each.destination_cidr, packet[2])
            and inside(packet[3], each.traffic.source_ports)
            and inside(packet[4], each.traffic.destination_ports)
        } - decided
        decided |= matched
        if each.action == "accept":
            found |= matched
    return found


@given(filters, filters)
def test_when_rules_change_in_their_order_then_a_loss_is_found_where_there_is_one(
    old: list[MirrorRule], new: list[MirrorRule]
) -> None:
    kept = mirrored(old) & mirrored(new)
    rules = {each.number: each for each in old}
    lost = set()
    for each in order_of_changes(new):
        rules[each.number] = each
        lost |= kept - mirrored(list(rules.values()))
    for each in reversed(
        order_of_changes([each for each in old if each.number not in {other.number for other in new}])
    ):
        del rules[each.number]
        lost |= kept - mirrored(list(rules.values()))

    found = first_loss(old, new)

    assert (found is not None) == bool(lost)
    if found is not None:
        assert found.before in old
        assert found.after in new
        assert found.before.action == found.after.action == "accept"


@given(filters, st.data())
def test_when_one_rule_with_a_number_of_its_own_comes_goes_or_changes_then_nothing_is_lost(
    rules: list[MirrorRule], data: st.DataObject
) -> None:
    one = data.draw(filters.filter(bool))[0]
    others = [each for each in rules if each.number != one.number]
    for old, new in itertools.permutations((rules, others, [*others, one]), 2):
        assert first_loss(old, new) is None


@given(filters, filters.filter(bool), st.integers(0, 5))
def test_when_a_rule_without_a_number_is_put_in_front_of_others_then_nothing_is_lost(
    rules: list[MirrorRule], more: list[MirrorRule], place: int
) -> None:
    old, one = [replace(each, number=None) for each in rules], replace(more[0], number=None)
    assume(one not in old)
    new = [*old[:place], one, *old[place:]]
    assert first_loss(number_rules(old), number_rules(new)) is None


def test_when_a_rule_that_accepts_moves_up_over_another_then_the_loss_names_where_it_was_and_will_be() -> None:
    web, dns = TRAFFIC[3], TRAFFIC[2]
    old = [rule("egress", "accept", TRAFFIC[1], 1), rule("egress", "accept", dns, 2), rule("egress", "accept", web, 3)]
    new = [rule("egress", "accept", dns, 1), rule("egress", "accept", web, 2)]
    assert first_loss(old, new) == Loss(old[1], new[0])
    assert rules_in_between(old, new) == 3


@pytest.mark.parametrize(("other", "most"), [("ingress", 2), ("egress", 1)])
def test_when_rules_are_counted_then_a_number_counts_once_in_each_direction(other: Direction, most: int) -> None:
    assert rules_in_between([rule("egress", "accept")], [rule(other, "reject")]) == most
