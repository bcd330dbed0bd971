from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_rules import (
    Direction,
    MirrorRule,
    Mistake,
    PortRange,
    Traffic,
    likely_mistakes,
    number_rules,
)
from tests.unit.refusals import refusal

TOKEN = "${TfToken[TOKEN.0]}"
NUMBER_TOKEN: Any = -1.8881545897087626e289


class TestPortRange:
    @pytest.mark.parametrize(
        ("value", "first", "last"),
        [
            (0, 0, 0),
            (65535, 65535, 65535),
            ("443", 443, 443),
            ("8000-8999", 8000, 8999),
            (" 8000 - 8999 ", 8000, 8999),
            ("0-65535", 0, 65535),
            (PortRange(1, 2), 1, 2),
        ],
    )
    def test_when_ports_are_read_then_they_are_a_range(self, value: Any, first: int, last: int) -> None:
        assert PortRange.parse(value) == PortRange(first, last)

    @pytest.mark.parametrize(
        "value", ["", "-", "80-", "-80", "80-90-100", "http", "8.0", "²", "٨", "9" * 5000, True, None, 4.5, [80]]
    )
    def test_fails_when_a_value_is_no_port_and_no_range(self, value: Any) -> None:
        assert refusal(lambda: PortRange.parse(value)) == (
            f'expected a port such as 443 or a range such as "8000-8999", got {value!r}'
        )

    @pytest.mark.parametrize(("value", "port"), [(-1, -1), (65536, 65536), ("65536", 65536), ("80-65536", 65536)])
    def test_fails_when_a_port_is_out_of_range(self, value: Any, port: int) -> None:
        assert refusal(lambda: PortRange.parse(value)) == (f"a port must be a whole number from 0 to 65535, got {port}")

    def test_fails_when_a_range_runs_backwards(self) -> None:
        assert refusal(lambda: PortRange.parse("90-80")) == "a port range must not run backwards, got 90-80"

    def test_when_ports_are_tokens_then_they_pass(self) -> None:
        assert PortRange(NUMBER_TOKEN, 80).first == NUMBER_TOKEN
        assert PortRange(80, NUMBER_TOKEN).last == NUMBER_TOKEN


class TestTraffic:
    @pytest.mark.parametrize(
        ("traffic", "expected"),
        [
            (Traffic.everything(), Traffic(None)),
            (Traffic.tcp(), Traffic(6)),
            (Traffic.tcp(443), Traffic(6, None, PortRange(443, 443))),
            (Traffic.tcp(0), Traffic(6, None, PortRange(0, 0))),
            (Traffic.tcp(source="1024-65535"), Traffic(6, PortRange(1024, 65535))),
            (Traffic.udp(53, source=1024), Traffic(17, PortRange(1024, 1024), PortRange(53, 53))),
            (Traffic.icmp(), Traffic(1)),
            (Traffic.icmpv6(), Traffic(58)),
            (Traffic.of_protocol(0), Traffic(0)),
            (Traffic.of_protocol(255), Traffic(255)),
            (Traffic.of_protocol(NUMBER_TOKEN), Traffic(NUMBER_TOKEN)),
        ],
    )
    def test_when_traffic_is_made_then_it_has_its_protocol_and_ports(self, traffic: Traffic, expected: Traffic) -> None:
        assert traffic == expected

    @pytest.mark.parametrize("number", [-1, 256])
    def test_fails_when_a_protocol_is_out_of_range(self, number: int) -> None:
        assert refusal(lambda: Traffic.of_protocol(number)) == (
            f"an IP protocol number must be a whole number from 0 to 255, got {number}"
        )

    @pytest.mark.parametrize(
        ("protocol", "got"),
        [(None, "every protocol"), (1, "protocol icmp (1)"), (58, "protocol icmpv6 (58)"), (47, "protocol 47")],
    )
    @pytest.mark.parametrize("ports", [{"source_ports": PortRange(0, 0)}, {"destination_ports": PortRange(80, 80)}])
    def test_fails_when_ports_go_with_a_protocol_without_ports(
        self, protocol: int | None, got: str, ports: dict[str, PortRange]
    ) -> None:
        assert refusal(lambda: Traffic(protocol, **ports)) == (
            f"ports go with TCP (6) and UDP (17) only, got ports with {got}"
        )

    def test_when_the_protocol_is_a_token_then_ports_pass(self) -> None:
        assert Traffic(NUMBER_TOKEN, PortRange(80, 80)).source_ports == PortRange(80, 80)


class TestMirrorRule:
    @pytest.mark.parametrize(
        ("given", "source", "destination"),
        [
            ({}, "0.0.0.0/0", "0.0.0.0/0"),
            ({"source": "10.0.0.0/8"}, "10.0.0.0/8", "0.0.0.0/0"),
            ({"source": "2001:db8::/32"}, "2001:db8::/32", "::/0"),
            ({"destination": "2001:db8::/32"}, "::/0", "2001:db8::/32"),
            ({"source": TOKEN}, TOKEN, "0.0.0.0/0"),
            ({"source": TOKEN, "destination": "::/0"}, TOKEN, "::/0"),
        ],
    )
    def test_when_a_block_is_left_out_then_it_is_anywhere_of_the_same_family(
        self, given: dict[str, str], source: str, destination: str
    ) -> None:
        rule = MirrorRule("ingress", **given)  # type: ignore[arg-type]
        assert (rule.source_cidr, rule.destination_cidr) == (source, destination)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"direction": "inbound"}, "direction must be ingress or egress, got 'inbound'"),
            ({"action": "drop"}, "action must be accept or reject, got 'drop'"),
            ({"number": 0}, "rule number must be a whole number from 1 to 32766, got 0"),
            ({"number": 32767}, "rule number must be a whole number from 1 to 32766, got 32767"),
            ({"description": "d" * 256}, "a rule's description holds at most 255 characters, got 256"),
            (
                {"source": "10.0.0.1/8"},
                "'10.0.0.1/8' is not a CIDR block: expected the form 10.0.0.0/16 or 2001:db8::/32; "
                "did you mean 10.0.0.0/8?",
            ),
            (
                {"destination": ""},
                "'' is not a CIDR block: expected the form 10.0.0.0/16 or 2001:db8::/32",
            ),
            (
                {"source": "10.0.0.0/8", "destination": "::/0"},
                "source and destination of a rule must be of one IP family, got source 10.0.0.0/8 and destination ::/0",
            ),
        ],
    )
    def test_fails_when_a_field_is_wrong(self, wrong: dict[str, Any], message: str) -> None:
        assert refusal(lambda: MirrorRule(**{"direction": "ingress", **wrong})) == message

    def test_when_fields_are_at_their_edges_then_they_pass(self) -> None:
        for number in (1, 32766):
            assert MirrorRule("egress", "reject", number=number, description="d" * 255).number == number

    def test_fails_when_the_number_is_a_token(self) -> None:
        assert refusal(lambda: MirrorRule("egress", number=NUMBER_TOKEN)) == (
            "rule number must be a literal: it is part of the rule's Terraform address"
        )

    def test_fails_when_a_rule_is_changed(self) -> None:
        with pytest.raises(FrozenInstanceError):
            MirrorRule("egress").number = 1  # type: ignore[misc]


def ports(*numbers: int) -> list[MirrorRule]:
    return [MirrorRule("ingress", traffic=Traffic.tcp(number)) for number in numbers]


def numbers_of(rules: list[MirrorRule]) -> list[int | None]:
    return [rule.number for rule in number_rules(rules)]


class TestNumbering:
    def test_when_no_number_is_given_then_each_direction_counts_in_hundreds(self) -> None:
        rules = [MirrorRule("ingress"), MirrorRule("egress"), *ports(80), MirrorRule("egress", "reject")]
        assert numbers_of(rules) == [100, 100, 200, 200]

    @pytest.mark.parametrize(
        ("given", "numbers"),
        [
            ([150, None], [150, 200]),
            ([None, 150, None], [100, 150, 200]),
            ([None, 100, None], [200, 100, 300]),
            ([100, None, 200], [100, 300, 200]),
            ([500, None, 1], [500, 600, 1]),
            ([1, 32766], [1, 32766]),
            ([32599, None], [32599, 32600]),
        ],
    )
    def test_when_rule_numbers_are_given_then_they_stay_and_the_others_follow_their_predecessors(
        self, given: list[int | None], numbers: list[int]
    ) -> None:
        rules = [MirrorRule("ingress", traffic=Traffic.tcp(i), number=number) for i, number in enumerate(given)]
        assert numbers_of(rules) == numbers

    def test_when_both_directions_use_a_number_then_it_is_no_collision(self) -> None:
        assert numbers_of([MirrorRule("ingress", number=7), MirrorRule("egress", number=7)]) == [7, 7]

    def test_fails_when_a_number_is_used_twice_in_a_direction(self) -> None:
        rules = [MirrorRule("egress", number=7), MirrorRule("egress", "reject", number=7)]
        assert refusal(lambda: number_rules(rules)) == "rule number 7 is used twice in direction egress"

    def test_fails_when_no_number_is_left(self) -> None:
        rules = [MirrorRule("egress", number=32766), MirrorRule("egress")]
        assert refusal(lambda: number_rules(rules)) == (
            "no rule number is left after 32766 in direction egress: the highest is 32766"
        )

    def test_when_a_rule_is_given_twice_then_it_is_dropped(self) -> None:
        first, second = ports(80, 81)
        assert number_rules([first, second, first]) == number_rules([first, second])

    def test_when_rules_hold_tokens_then_they_are_no_duplicates(self) -> None:
        assert numbers_of([MirrorRule("ingress", source=TOKEN)] * 2) == [100, 200]

    def test_when_there_are_ten_rules_and_duplicates_then_they_pass(self) -> None:
        assert numbers_of([*ports(*range(10)), *ports(0, 1)]) == [100 * n for n in range(1, 11)]

    def test_fails_when_there_are_eleven_rules(self) -> None:
        rules = [*ports(*range(10)), MirrorRule("egress")]
        assert refusal(lambda: number_rules(rules)) == (
            "a traffic mirror filter holds at most 10 rules, both directions together, got 11"
        )

    def test_when_there_is_no_rule_then_there_is_no_number(self) -> None:
        assert number_rules([]) == ()

    @given(
        st.lists(
            st.builds(
                lambda direction, port, number: MirrorRule(direction, traffic=Traffic.tcp(port), number=number),
                st.sampled_from(["ingress", "egress"]),
                st.integers(0, 65535),
                st.none() | st.integers(1, 1200) | st.integers(32400, 32766),
            ),
            max_size=11,
        )
    )
    def test_when_rules_are_mixed_then_numbers_are_unique_in_range_and_in_order(self, rules: list[MirrorRule]) -> None:
        try:
            numbered = number_rules(rules)
        except RuleViolation:
            return
        directions: tuple[Direction, ...] = ("ingress", "egress")
        for direction in directions:
            numbers = [rule.number for rule in numbered if rule.direction == direction]
            assert all(number is not None and 1 <= number <= 32766 for number in numbers)
            assert len(set(numbers)) == len(numbers)
            without = [r for r in dict.fromkeys(rules) if r.direction == direction]
            implicit = [n for n, rule in zip(numbers, without, strict=True) if rule.number is None]
            assert implicit == sorted(implicit)  # type: ignore[type-var]
            explicit = [n for n, rule in zip(numbers, without, strict=True) if rule.number is not None]
            assert explicit == [rule.number for rule in without if rule.number is not None]


class TestLikelyMistakes:
    def test_when_a_direction_accepts_nothing_then_it_is_reported(self) -> None:
        rules = number_rules([MirrorRule("ingress"), MirrorRule("egress", "reject")])
        assert likely_mistakes(rules, amazon_dns=False) == (
            Mistake("no egress rule accepts anything, so no egress packet is mirrored"),
        )

    @pytest.mark.parametrize(
        ("rules", "amazon_dns"),
        [([MirrorRule("ingress"), MirrorRule("egress")], False), ([MirrorRule("ingress")], True), ([], False)],
    )
    def test_when_nothing_is_likely_wrong_then_there_is_no_message(
        self, rules: list[MirrorRule], amazon_dns: bool
    ) -> None:
        assert likely_mistakes(number_rules(rules), amazon_dns=amazon_dns) == ()

    @pytest.mark.parametrize(
        ("earlier", "later"),
        [
            (MirrorRule("ingress"), MirrorRule("ingress", "reject", Traffic.tcp(443), source="10.0.0.0/8")),
            (MirrorRule("ingress", source="::/0"), MirrorRule("ingress", source="2001:db8::/32")),
            (
                MirrorRule("ingress", "reject", Traffic.tcp(443), source="10.0.0.0/8"),
                MirrorRule("ingress", "accept", Traffic.tcp(443), source="10.0.0.0/8"),
            ),
        ],
    )
    def test_when_a_rule_is_behind_one_that_matches_it_all_then_it_is_reported(
        self, earlier: MirrorRule, later: MirrorRule
    ) -> None:
        rules = number_rules([earlier, later])
        assert likely_mistakes(rules, amazon_dns=True) == (
            Mistake("ingress rule 200 is never reached: rule 100 matches all of it", 1),
        )

    @pytest.mark.parametrize(
        ("earlier", "later"),
        [
            (MirrorRule("ingress"), MirrorRule("egress")),
            (MirrorRule("ingress"), MirrorRule("ingress", source="2001:db8::/32")),
            (MirrorRule("ingress", traffic=Traffic.tcp()), MirrorRule("ingress")),
            (MirrorRule("ingress", source="10.0.0.0/8"), MirrorRule("ingress")),
            (MirrorRule("ingress", source=TOKEN), MirrorRule("ingress", source=TOKEN)),
            (MirrorRule("ingress"), MirrorRule("ingress", source=TOKEN)),
        ],
    )
    def test_when_a_rule_may_be_reached_then_there_is_no_message(self, earlier: MirrorRule, later: MirrorRule) -> None:
        assert likely_mistakes(number_rules([earlier, later]), amazon_dns=True) == ()

    def test_when_the_number_of_the_wide_rule_is_higher_then_there_is_no_message(self) -> None:
        rules = number_rules(
            [MirrorRule("ingress", number=200), MirrorRule("ingress", "reject", Traffic.tcp(), number=100)]
        )
        assert likely_mistakes(rules, amazon_dns=True) == ()
