import pytest

from tapstack.domain import filter_presets
from tapstack.domain.filter_presets import FilterPreset
from tapstack.domain.filter_rules import PortRange, likely_mistakes, number_rules
from tests.unit.refusals import refusal

TOKEN = "${TfToken[TOKEN.0]}"


def port(ports: PortRange | None) -> str:
    return "any" if ports is None else str(ports.first) if ports.first == ports.last else f"{ports.first}-{ports.last}"


def lines(preset: FilterPreset) -> list[str]:
    """The rules as numbered, one a line: direction number action protocol source:port > destination:port."""
    return [
        f"{rule.direction} {rule.number} {rule.action} {rule.traffic.protocol or 'all'} "
        f"{rule.source_cidr} {port(rule.traffic.source_ports)} > "
        f"{rule.destination_cidr} {port(rule.traffic.destination_ports)}"
        for rule in number_rules(preset.rules)
    ]


def test_when_everything_is_mirrored_then_both_families_and_directions_and_dns_are() -> None:
    preset = filter_presets.everything()
    assert preset.amazon_dns
    assert lines(preset) == [
        "ingress 100 accept all 0.0.0.0/0 any > 0.0.0.0/0 any",
        "ingress 200 accept all ::/0 any > ::/0 any",
        "egress 100 accept all 0.0.0.0/0 any > 0.0.0.0/0 any",
        "egress 200 accept all ::/0 any > ::/0 any",
    ]


def test_when_traffic_inside_the_vpc_is_left_out_then_it_is_rejected_before_the_rest_is_accepted() -> None:
    preset = filter_presets.everything_but_intra_vpc(["10.0.0.0/16", "2001:db8::/56"])
    assert not preset.amazon_dns
    assert lines(preset) == [
        "ingress 100 reject all 10.0.0.0/16 any > 0.0.0.0/0 any",
        "egress 100 reject all 0.0.0.0/0 any > 10.0.0.0/16 any",
        "ingress 200 reject all 2001:db8::/56 any > ::/0 any",
        "egress 200 reject all ::/0 any > 2001:db8::/56 any",
        "ingress 300 accept all 0.0.0.0/0 any > 0.0.0.0/0 any",
        "ingress 400 accept all ::/0 any > ::/0 any",
        "egress 300 accept all 0.0.0.0/0 any > 0.0.0.0/0 any",
        "egress 400 accept all ::/0 any > ::/0 any",
    ]


def test_when_the_vpc_has_three_blocks_or_a_token_then_the_filter_holds_its_rules() -> None:
    assert len(lines(filter_presets.everything_but_intra_vpc(["10.0.0.0/16", TOKEN, TOKEN]))) == 10


@pytest.mark.parametrize("count", [0, 4])
def test_fails_when_the_blocks_of_the_vpc_do_not_fit_into_a_filter(count: int) -> None:
    blocks = [f"10.{n}.0.0/16" for n in range(count)]
    assert refusal(lambda: filter_presets.everything_but_intra_vpc(blocks)) == (
        f"everything_but_intra_vpc takes 1 to 3 CIDR blocks of the VPC (a filter holds 10 rules), got {count}"
    )


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "::/0"])
def test_fails_when_the_block_of_the_vpc_is_every_address(cidr: str) -> None:
    assert refusal(lambda: filter_presets.everything_but_intra_vpc(["10.0.0.0/16", cidr])) == (
        f"everything_but_intra_vpc takes the CIDR blocks of the VPC, got {cidr}: no packet to or from it would be "
        "mirrored"
    )


def test_when_web_is_mirrored_then_it_is_as_server_and_as_client() -> None:
    preset = filter_presets.web()
    assert not preset.amazon_dns
    assert lines(preset) == [
        "ingress 100 accept 6 0.0.0.0/0 any > 0.0.0.0/0 80",
        "ingress 200 accept 6 0.0.0.0/0 80 > 0.0.0.0/0 any",
        "egress 100 accept 6 0.0.0.0/0 any > 0.0.0.0/0 80",
        "egress 200 accept 6 0.0.0.0/0 80 > 0.0.0.0/0 any",
        "ingress 300 accept 6 0.0.0.0/0 any > 0.0.0.0/0 443",
        "ingress 400 accept 6 0.0.0.0/0 443 > 0.0.0.0/0 any",
        "egress 300 accept 6 0.0.0.0/0 any > 0.0.0.0/0 443",
        "egress 400 accept 6 0.0.0.0/0 443 > 0.0.0.0/0 any",
    ]


def test_when_dns_is_mirrored_then_it_is_over_both_protocols_and_the_resolvers_too() -> None:
    preset = filter_presets.dns()
    assert preset.amazon_dns
    assert lines(preset) == [
        "ingress 100 accept 17 0.0.0.0/0 any > 0.0.0.0/0 53",
        "ingress 200 accept 17 0.0.0.0/0 53 > 0.0.0.0/0 any",
        "egress 100 accept 17 0.0.0.0/0 any > 0.0.0.0/0 53",
        "egress 200 accept 17 0.0.0.0/0 53 > 0.0.0.0/0 any",
        "ingress 300 accept 6 0.0.0.0/0 any > 0.0.0.0/0 53",
        "ingress 400 accept 6 0.0.0.0/0 53 > 0.0.0.0/0 any",
        "egress 300 accept 6 0.0.0.0/0 any > 0.0.0.0/0 53",
        "egress 400 accept 6 0.0.0.0/0 53 > 0.0.0.0/0 any",
    ]


@pytest.mark.parametrize(
    "preset",
    [
        filter_presets.everything(),
        filter_presets.everything_but_intra_vpc(["10.0.0.0/16"]),
        filter_presets.web(),
        filter_presets.dns(),
    ],
)
def test_when_a_preset_is_used_then_it_makes_no_likely_mistake(preset: FilterPreset) -> None:
    assert likely_mistakes(number_rules(preset.rules), amazon_dns=preset.amazon_dns) == ()
