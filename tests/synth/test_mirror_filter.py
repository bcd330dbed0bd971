"""MirrorFilter: the HCL it makes and the rules it refuses."""

from __future__ import annotations

import pytest

from tapstack import MirrorFilter, MirrorRule, RuleViolation, Traffic
from tapstack.bindings import cdk
from tests.synth.ids import FILTER, TOKEN
from tests.synth.template import CREATE_FIRST, Template, assert_equal, new_stack, synthesize


@pytest.fixture(scope="module")
def template() -> Template:
    def build(stack: cdk.TerraformStack) -> None:
        MirrorFilter(
            stack,
            "mixed",
            rules=[
                MirrorRule("ingress", "reject", Traffic.tcp("8000-8999"), source="10.0.0.0/8"),
                MirrorRule("ingress", source="2001:db8::/32", description="partners"),
                MirrorRule("egress", traffic=Traffic.udp(53, source="1024-65535"), number=7),
                MirrorRule("egress", traffic=Traffic.icmp()),
                MirrorRule("egress", traffic=Traffic.icmp()),
            ],
            amazon_dns=True,
            description="all sorts",
            tags={"team": "ir"},
        )
        MirrorFilter.everything(stack, "everything")
        MirrorFilter.web(stack, "web")
        MirrorFilter.dns(stack, "dns")
        MirrorFilter.everything_but_intra_vpc(stack, "crossing", vpc_cidrs=["10.0.0.0/16", "fd00::/56"])

    return synthesize(build)


def _rules(template: Template, name: str) -> dict[str, dict[str, object]]:
    """The rules of a filter by direction and number, without the reference to it."""
    reference = f"${{aws_ec2_traffic_mirror_filter.{name}.id}}"
    rules = {}
    for rule in template.resources["aws_ec2_traffic_mirror_filter_rule"].values():
        body = dict(rule)
        assert body.pop("lifecycle") == CREATE_FIRST
        body.pop("depends_on", None)
        if body.pop("traffic_mirror_filter_id") == reference:
            rules[f"{body.pop('traffic_direction')} {body.pop('rule_number')}"] = body
    return rules


def test_when_given_everything_then_the_filter_says_it(template: Template) -> None:
    assert_equal(
        template.resource("aws_ec2_traffic_mirror_filter", "mixed"),
        {
            "description": "all sorts",
            "network_services": ["amazon-dns"],
            "lifecycle": CREATE_FIRST,
            "tags": {"Name": "mixed", "team": "ir"},
        },
    )


def test_when_amazon_dns_is_off_then_no_network_service_is_named(template: Template) -> None:
    assert_equal(
        template.resource("aws_ec2_traffic_mirror_filter", "web"),
        {"description": "Tapstack web", "lifecycle": CREATE_FIRST, "tags": {"Name": "web"}},
    )


def test_when_rules_are_given_then_each_is_a_resource_and_a_duplicate_is_dropped(template: Template) -> None:
    anywhere = {"source_cidr_block": "0.0.0.0/0", "destination_cidr_block": "0.0.0.0/0"}
    assert_equal(
        _rules(template, "mixed"),
        {
            "ingress 100": {
                "rule_action": "reject",
                "protocol": 6,
                "source_cidr_block": "10.0.0.0/8",
                "destination_cidr_block": "0.0.0.0/0",
                "destination_port_range": [{"from_port": 8000, "to_port": 8999}],
            },
            "ingress 200": {
                "rule_action": "accept",
                "source_cidr_block": "2001:db8::/32",
                "destination_cidr_block": "::/0",
                "description": "partners",
            },
            "egress 7": {
                "rule_action": "accept",
                "protocol": 17,
                **anywhere,
                "source_port_range": [{"from_port": 1024, "to_port": 65535}],
                "destination_port_range": [{"from_port": 53, "to_port": 53}],
            },
            "egress 100": {"rule_action": "accept", "protocol": 1, **anywhere},
        },
    )


def test_when_the_preset_is_everything_then_both_families_are_accepted_both_ways(template: Template) -> None:
    accept = {"rule_action": "accept"}
    four = {**accept, "source_cidr_block": "0.0.0.0/0", "destination_cidr_block": "0.0.0.0/0"}
    six = {**accept, "source_cidr_block": "::/0", "destination_cidr_block": "::/0"}
    assert_equal(
        _rules(template, "everything"),
        {"ingress 100": four, "ingress 200": six, "egress 100": four, "egress 200": six},
    )
    assert template.resource("aws_ec2_traffic_mirror_filter", "everything")["network_services"] == ["amazon-dns"]


def test_when_intra_vpc_is_left_out_then_its_rejects_come_before_the_accepts(template: Template) -> None:
    rules = _rules(template, "crossing")
    reject = {"rule_action": "reject"}
    assert_equal(
        {number: rules[number] for number in ("ingress 100", "ingress 200", "egress 100", "egress 200")},
        {
            "ingress 100": {**reject, "source_cidr_block": "10.0.0.0/16", "destination_cidr_block": "0.0.0.0/0"},
            "ingress 200": {**reject, "source_cidr_block": "fd00::/56", "destination_cidr_block": "::/0"},
            "egress 100": {**reject, "source_cidr_block": "0.0.0.0/0", "destination_cidr_block": "10.0.0.0/16"},
            "egress 200": {**reject, "source_cidr_block": "::/0", "destination_cidr_block": "fd00::/56"},
        },
    )
    assert [rules[f"{d} {n}"]["rule_action"] for d in ("ingress", "egress") for n in (300, 400)] == ["accept"] * 4


@pytest.mark.parametrize(("name", "ports"), [("web", {80, 443}), ("dns", {53})])
def test_when_the_preset_has_ports_then_servers_and_clients_are_mirrored_both_ways(
    template: Template, name: str, ports: set[int]
) -> None:
    seen = set()
    for key, rule in _rules(template, name).items():
        for side in ("source_port_range", "destination_port_range"):
            for block in rule.get(side, []):  # type: ignore[attr-defined]
                assert block["from_port"] == block["to_port"]
                seen.add((key.split()[0], side, rule["protocol"], block["from_port"]))
    protocols = {6} if name == "web" else {6, 17}
    assert seen == {
        (direction, side, protocol, port)
        for direction in ("ingress", "egress")
        for side in ("source_port_range", "destination_port_range")
        for protocol in protocols
        for port in ports
    }


def test_when_a_rule_is_put_between_two_then_no_address_of_another_filter_changes() -> None:
    def build(first: list[MirrorRule]) -> set[str]:
        def add(stack: cdk.TerraformStack) -> None:
            MirrorFilter(stack, "a", rules=first)
            MirrorFilter.everything(stack, "b")

        return synthesize(add).names("aws_ec2_traffic_mirror_filter_rule")

    short = build([MirrorRule("ingress"), MirrorRule("egress")])
    long = build([MirrorRule("ingress", "reject", Traffic.tcp(22)), MirrorRule("ingress"), MirrorRule("egress")])
    assert short < long
    assert len(long - short) == 1


def test_when_rules_move_to_other_numbers_then_the_highest_number_is_changed_first_and_deletions_come_last() -> None:
    rules = [MirrorRule("egress"), MirrorRule("egress", "reject", number=50), MirrorRule("ingress")]
    template = synthesize(lambda stack: MirrorFilter(stack, "f", rules=rules))
    made = template.resources["aws_ec2_traffic_mirror_filter_rule"]
    after = {
        (rule["traffic_direction"], rule["rule_number"]): [
            made[reference.strip("${}").partition(".")[2]]["rule_number"] for reference in rule.get("depends_on", [])
        ]
        for rule in made.values()
    }
    assert after == {("egress", 50): [100], ("egress", 100): [], ("ingress", 100): []}
    kept = template.resource("terraform_data")
    assert {reference.strip("${}") for reference in kept["depends_on"]} == set(kept["input"])
    assert set(kept["input"]) == {f"aws_ec2_traffic_mirror_filter_rule.{name}" for name in made}


def test_when_cidrs_are_tokens_then_they_are_passed_on_and_never_taken_for_duplicates() -> None:
    template = synthesize(
        lambda stack: MirrorFilter(
            stack, "f", rules=[MirrorRule("ingress", source=TOKEN), MirrorRule("ingress", source=TOKEN)]
        )
    )
    rules = template.resources["aws_ec2_traffic_mirror_filter_rule"].values()
    assert [rule["source_cidr_block"] for rule in rules] == [TOKEN, TOKEN]


def test_when_a_direction_accepts_nothing_then_a_warning_says_so() -> None:
    template = synthesize(lambda stack: MirrorFilter(stack, "f", rules=[MirrorRule("ingress")]))
    assert template.warnings == ["no egress rule accepts anything, so no egress packet is mirrored"]


def test_when_a_rule_is_never_reached_then_a_warning_says_so() -> None:
    rules = [MirrorRule("ingress"), MirrorRule("egress"), MirrorRule("egress", "reject", Traffic.tcp(22))]
    template = synthesize(lambda stack: MirrorFilter(stack, "f", rules=rules))
    assert template.warnings == ["egress rule 200 is never reached: rule 100 matches all of it"]


def test_when_an_existing_filter_is_imported_then_no_resource_is_made() -> None:
    assert MirrorFilter.from_id(FILTER).mirror_filter_id == FILTER
    assert MirrorFilter.from_id(TOKEN).mirror_filter_id == TOKEN


def test_fails_when_a_filter_has_no_rule() -> None:
    with pytest.raises(
        RuleViolation, match="^site/f: a filter without a rule mirrors nothing: add a rule or amazon_dns$"
    ):
        MirrorFilter(new_stack(), "f", rules=[])


def test_fails_when_a_filter_has_more_than_ten_rules() -> None:
    rules = [MirrorRule("ingress", traffic=Traffic.tcp(port)) for port in range(1, 12)]
    with pytest.raises(RuleViolation, match="holds at most 10 rules, both directions together, got 11"):
        MirrorFilter(new_stack(), "f", rules=rules)


def test_fails_when_a_number_is_used_twice_in_a_direction() -> None:
    rules = [MirrorRule("ingress", number=5), MirrorRule("ingress", "reject", number=5)]
    with pytest.raises(RuleViolation, match="^site/f: rule number 5 is used twice in direction ingress$"):
        MirrorFilter(new_stack(), "f", rules=rules)


def test_fails_when_an_imported_id_is_not_that_of_a_filter() -> None:
    with pytest.raises(RuleViolation, match="'tmt-1' is not the id of a traffic mirror filter: expected the form tmf-"):
        MirrorFilter.from_id("tmt-1")


def test_fails_when_a_rule_number_is_a_token() -> None:
    with pytest.raises(
        RuleViolation, match="rule number must be a literal: it is part of the rule's Terraform address"
    ):
        MirrorRule("ingress", number=int(cdk.Token.as_number("${var.number}")))
