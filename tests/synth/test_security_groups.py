"""CaptureSecurityGroup and QuarantineSecurityGroup."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tapstack import CaptureSecurityGroup, Peer, QuarantineSecurityGroup, RuleViolation
from tapstack.bindings import cdk
from tapstack.capture.scaffold import blocks_of
from tests.synth.ids import GROUP, TOKEN, VPC, eni
from tests.synth.template import CREATE_FIRST, Template, assert_equal, new_stack, synthesize


def capture(stack: cdk.TerraformStack, **arguments: Any) -> CaptureSecurityGroup:
    arguments.setdefault("mirrored_from", [Peer.cidr("10.0.0.0/16")])
    return CaptureSecurityGroup(stack, "capture", vpc_id=VPC, **arguments)


def ingress(template: Template) -> list[dict[str, Any]]:
    return sorted(template.resources["aws_vpc_security_group_ingress_rule"].values(), key=repr)


def rules_of_blocks(*peers: Peer) -> tuple[str, str]:
    """The address of the rules for IPv4 blocks, and what they are for."""
    rules = synthesize(lambda stack: capture(stack, mirrored_from=peers)).resources[
        "aws_vpc_security_group_ingress_rule"
    ]
    ((name, rule),) = ((name, rule) for name, rule in rules.items() if rule.get("cidr_ipv4") == "${each.value}")
    return name, str(rule["for_each"])


@pytest.fixture(scope="module")
def template() -> Template:
    return synthesize(
        lambda stack: capture(
            stack,
            mirrored_from=[
                Peer.cidr("10.0.0.0/16"),
                Peer.cidr("10.0.0.0/16"),
                Peer.cidr("fd00::/56"),
                Peer.security_group(GROUP),
                Peer.prefix_list("pl-0123456789abcdef0"),
            ],
            remote_access_cidrs=["10.20.0.0/16", "2001:db8::/48"],
            network_interface_id=eni(1),
            tags={"team": "ir"},
        )
    )


def test_when_made_then_the_group_is_replaced_before_it_is_destroyed(template: Template) -> None:
    assert_equal(
        template.resource("aws_security_group", "capture"),
        {
            "vpc_id": VPC,
            "name_prefix": "tapstack-capture-",
            "description": "Tapstack: mirrored packets and the appliance portal",
            "lifecycle": CREATE_FIRST,
            "tags": {"Name": "capture", "team": "ir"},
        },
    )


def test_when_peers_are_given_then_each_gets_a_rule_of_its_own(template: Template) -> None:
    group = {"security_group_id": "${aws_security_group.capture.id}", "lifecycle": CREATE_FIRST}
    vxlan = {
        **group,
        "ip_protocol": "udp",
        "from_port": 4789,
        "to_port": 4789,
        "description": "Mirrored packets (VXLAN)",
    }
    portal = {
        **group,
        "ip_protocol": "tcp",
        "from_port": 443,
        "to_port": 443,
        "description": "Appliance portal (HTTPS)",
    }
    expected = [
        {**vxlan, "cidr_ipv4": "${each.value}", "for_each": '${toset(concat(["10.0.0.0/16"]))}'},
        {**vxlan, "cidr_ipv6": "fd00::/56"},
        {**vxlan, "referenced_security_group_id": GROUP},
        {**vxlan, "prefix_list_id": "pl-0123456789abcdef0"},
        {**portal, "cidr_ipv4": "10.20.0.0/16"},
        {**portal, "cidr_ipv6": "2001:db8::/48"},
    ]
    by_peer = lambda rule: sorted(str(v) for v in rule.values())  # noqa: E731
    assert_equal(sorted(ingress(template), key=by_peer), sorted(expected, key=by_peer))


def test_when_an_interface_is_given_then_the_group_is_attached_to_it(template: Template) -> None:
    assert_equal(
        template.resource("aws_network_interface_sg_attachment"),
        {
            "security_group_id": "${aws_security_group.capture.id}",
            "network_interface_id": eni(1),
            "depends_on": [
                f"${{aws_vpc_security_group_ingress_rule.{name}}}"
                for name, rule in template.resources["aws_vpc_security_group_ingress_rule"].items()
                if rule["from_port"] == 4789
            ],
            "lifecycle": CREATE_FIRST,
        },
    )


def test_when_no_interface_is_given_then_nothing_is_attached() -> None:
    template = synthesize(capture)
    assert template.count("aws_network_interface_sg_attachment") == 0
    assert len(ingress(template)) == 1


def test_when_the_peer_is_a_vpc_then_every_block_of_it_gets_a_rule() -> None:
    template = synthesize(lambda stack: capture(stack, mirrored_from=[Peer.vpc(VPC)]))
    (rule,) = ingress(template)
    (vpc,) = template.data["aws_vpc"]
    assert rule["cidr_ipv4"] == "${each.value}"
    blocks = f"data.aws_vpc.{vpc}.cidr_block_associations"
    assert rule["for_each"] == f"${{toset(concat([for a in {blocks} : a.cidr_block]))}}"
    assert template.datum("aws_vpc") == {"id": VPC}


def test_when_blocks_and_vpcs_are_given_then_no_block_can_get_two_rules() -> None:
    other = "vpc-0123456789abcdef9"
    peers = [Peer.vpc(VPC), Peer.cidr("10.0.0.0/16"), Peer.vpc(other), Peer.security_group(GROUP)]
    template = synthesize(lambda stack: capture(stack, mirrored_from=peers))
    one, two = (
        f"data.aws_vpc.{name}.cidr_block_associations"
        for vpc in (VPC, other)
        for name, found in template.data["aws_vpc"].items()
        if found["id"] == vpc
    )
    blocks = f'["10.0.0.0/16"], [for a in {one} : a.cidr_block]'
    assert {str(rule.get("for_each")) for rule in ingress(template)} == {
        f"${{toset(concat({blocks}))}}",
        f"${{toset([for a in {two} : a.cidr_block if !contains(concat({blocks}), a.cidr_block)])}}",
        "None",
    }


def test_when_a_block_is_named_by_its_vpc_or_written_then_its_rule_has_one_address() -> None:
    block, vpc = Peer.cidr("10.0.0.0/16"), Peer.vpc(VPC)
    names = {rules_of_blocks(*peers)[0] for peers in ([block], [vpc], [block, vpc], [vpc, block])}
    assert len(names) == 1
    assert rules_of_blocks(block, vpc)[1] == rules_of_blocks(vpc, block)[1]


def test_when_blocks_are_written_then_their_rules_of_older_versions_are_kept() -> None:
    stack = new_stack()
    other = "vpc-0123456789abcdef9"
    capture(stack, mirrored_from=[Peer.cidr("10.0.0.0/16"), Peer.vpc(VPC), Peer.vpc(other)])
    synthesized = json.loads(cdk.Testing.synth(stack))
    kind = "aws_vpc_security_group_ingress_rule"
    (own,) = (f'{kind}.{name}["10.0.0.0/16"]' for name in synthesized["resource"][kind] if VPC in name)
    (others,) = (f'{kind}.{name}["10.0.0.0/16"]' for name in synthesized["resource"][kind] if other in name)
    # The name that cdktf gave it.
    before = f"{kind}.capture_mirrored-10000-16_129D3DDC"
    assert synthesized["moved"] == [
        [{"from": others, "to": f"{before}[0]"}],
        [{"from": f"{before}[0]", "to": before}],
        [{"from": before, "to": own}],
    ]
    assert blocks_of(stack)["moved"] == synthesized["moved"]


def test_when_a_rule_is_taken_out_then_terraform_deletes_it_last() -> None:
    template = synthesize(lambda stack: capture(stack, remote_access_cidrs=["10.20.0.0/16"]))
    kept = template.resource("terraform_data")
    rules = {
        f"aws_vpc_security_group_ingress_rule.{name}": rule.get("for_each", "")
        for name, rule in template.resources["aws_vpc_security_group_ingress_rule"].items()
    }
    assert kept["input"] == rules
    assert {reference.strip("${}") for reference in kept["depends_on"]} == set(rules)


def test_when_ids_are_tokens_then_they_are_passed_on() -> None:
    template = synthesize(
        lambda stack: CaptureSecurityGroup(
            stack,
            "capture",
            vpc_id=TOKEN,
            mirrored_from=[Peer.security_group(TOKEN), Peer.security_group(TOKEN), Peer.cidr(TOKEN)],
            remote_access_cidrs=[TOKEN],
            network_interface_id=TOKEN,
        )
    )
    assert template.resource("aws_security_group")["vpc_id"] == TOKEN
    assert template.resource("aws_network_interface_sg_attachment")["network_interface_id"] == TOKEN
    rules = ingress(template)
    assert [rule.get("referenced_security_group_id") for rule in rules].count(TOKEN) == 2
    assert [rule.get("cidr_ipv4") for rule in rules].count(TOKEN) == 2


def test_when_a_peer_is_added_then_the_rules_of_others_keep_their_addresses() -> None:
    few = rules_of_blocks(Peer.cidr("10.0.0.0/16"))
    more = rules_of_blocks(Peer.cidr("10.9.0.0/16"), Peer.cidr("10.0.0.0/16"))
    assert few[0] == more[0]
    assert more[1] == '${toset(concat(["10.9.0.0/16", "10.0.0.0/16"]))}'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mirrored_from": []}, "mirrored_from is empty: no mirrored packet could reach the appliance"),
        ({"mirrored_from": [Peer("cidr", "0.0.0.0/0")]}, "mirrored traffic from 0.0.0.0/0 lets the whole internet"),
        ({"mirrored_from": [Peer("cidr", "::/0")]}, "mirrored traffic from ::/0 lets the whole internet"),
        ({"remote_access_cidrs": ["0.0.0.0/0"]}, "opens the appliance to the whole internet"),
        ({"network_interface_id": "i-1"}, "'i-1' is not the id of a network interface"),
    ],
)
def test_fails_when_a_door_is_open_or_an_id_is_wrong(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleViolation, match=f"^site/capture: .*{message}"):
        capture(new_stack(), **arguments)


def test_when_open_ranges_are_accepted_then_the_rules_are_made() -> None:
    template = synthesize(
        lambda stack: capture(
            stack,
            mirrored_from=[Peer.cidr("0.0.0.0/0")],
            remote_access_cidrs=["::/0"],
            accept_open_mirrored_from=True,
            accept_open_remote_access=True,
        )
    )
    assert [rule.get("for_each", rule.get("cidr_ipv6")) for rule in ingress(template)] == [
        '${toset(concat(["0.0.0.0/0"]))}',
        "::/0",
    ]


class TestQuarantine:
    def test_when_made_then_it_has_no_rule_and_owns_that_fact(self) -> None:
        template = synthesize(lambda stack: QuarantineSecurityGroup(stack, "q", vpc_id=VPC, tags={"team": "ir"}))
        assert_equal(
            template.resource("aws_security_group", "q"),
            {
                "vpc_id": VPC,
                "name": "tapstack-quarantine",
                "description": "Tapstack: quarantine, no traffic in or out",
                "ingress": [],
                "egress": [],
                "tags": {"Name": "tapstack-quarantine", "team": "ir"},
                # A group that instances wear is not replaced for a name.
                "lifecycle": [{"ignore_changes": ["name"]}],
            },
        )
        assert template.count("aws_vpc_security_group_ingress_rule") == 0
        assert template.count("aws_vpc_security_group_egress_rule") == 0

    def test_when_vpcs_differ_or_are_tokens_then_each_gets_its_group(self) -> None:
        def build(stack: cdk.TerraformStack) -> None:
            for number, vpc in enumerate([VPC, "vpc-0000000000000000f", TOKEN, TOKEN]):
                QuarantineSecurityGroup(stack, f"q{number}", vpc_id=vpc)

        assert synthesize(build).count("aws_security_group") == 4

    def test_fails_when_a_vpc_gets_a_second_group_anywhere_in_the_app(self) -> None:
        app = cdk.Testing.app()
        QuarantineSecurityGroup(cdk.TerraformStack(app, "one"), "q", vpc_id=VPC)
        with pytest.raises(RuleViolation, match=f"^two/q: {VPC} has a quarantine group already: one a VPC$"):
            QuarantineSecurityGroup(cdk.TerraformStack(app, "two"), "q", vpc_id=VPC)

    @pytest.mark.parametrize("name", ["", "sg-quarantine", "a" * 256, "tab`here", "ünicode"])
    def test_fails_when_ec2_would_refuse_the_name(self, name: str) -> None:
        with pytest.raises(RuleViolation, match="is not a security group name: expected 1 to 255"):
            QuarantineSecurityGroup(new_stack(), "q", vpc_id=VPC, name=name)


@pytest.mark.parametrize("kind", [CaptureSecurityGroup, QuarantineSecurityGroup])
def test_when_an_existing_group_is_imported_then_it_carries_its_id(kind: Any) -> None:
    assert kind.from_id(GROUP).security_group_id == GROUP
    assert kind.from_id(TOKEN).security_group_id == TOKEN
    with pytest.raises(RuleViolation, match="'vpc-1' is not the id of a security group"):
        kind.from_id("vpc-1")


def test_when_two_blocks_differ_in_their_colons_only_then_only_the_second_gets_a_longer_id() -> None:
    blocks = ["2001:db8::5/128", "2001:db8:5::/128"]
    template = synthesize(
        lambda stack: CaptureSecurityGroup(stack, "g", vpc_id=VPC, mirrored_from=[Peer.cidr(block) for block in blocks])
    )
    found = template.resources["aws_vpc_security_group_ingress_rule"]
    (first,) = (name for name in found if "2001-db8-5-128_" in name)
    (second,) = (name for name in found if "2001-db8-5-128-" in name)
    assert [found[first]["cidr_ipv6"], found[second]["cidr_ipv6"]] == blocks
