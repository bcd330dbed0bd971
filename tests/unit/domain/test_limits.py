from collections.abc import Callable

import pytest

from tapstack.domain import limits
from tests.unit.refusals import refusal

Check = Callable[[float], None]


def behind_load_balancer(value: float) -> None:
    limits.check_packet_length(value, load_balancer=True)


RANGES = [
    pytest.param(limits.check_session_number, 1, 32766, "session number", "", id="session number"),
    pytest.param(limits.check_rule_number, 1, 32766, "rule number", "", id="rule number"),
    pytest.param(limits.check_virtual_network_id, 1, 16777215, "virtual network id", "", id="virtual network id"),
    pytest.param(limits.check_packet_length, 1, 65535, "packet length", " bytes", id="packet length"),
    pytest.param(
        behind_load_balancer,
        1,
        8500,
        "packet length",
        " bytes for a Network Load Balancer target",
        id="packet length behind a load balancer",
    ),
]


@pytest.mark.parametrize(("check", "low", "high", "what", "unit"), RANGES)
def test_when_a_number_is_in_range_then_it_passes(check: Check, low: int, high: int, what: str, unit: str) -> None:
    for value in (low, high, float(low), -1.8881545897087626e289):  # the last one is a cdktf number token
        check(value)


@pytest.mark.parametrize(("check", "low", "high", "what", "unit"), RANGES)
def test_fails_when_a_number_is_out_of_range(check: Check, low: int, high: int, what: str, unit: str) -> None:
    for value in (low - 1, high + 1, -low, low + 0.5, True, float("nan"), float("inf")):
        expected = f"{what} must be a whole number from {low} to {high}{unit}, got {value!r}"
        assert refusal(lambda value=value: check(value)) == expected  # type: ignore[misc]


def test_when_a_filter_holds_ten_rules_then_it_passes() -> None:
    limits.check_rule_count(10)


def test_fails_when_a_filter_holds_eleven_rules() -> None:
    assert refusal(lambda: limits.check_rule_count(11)) == (
        "a traffic mirror filter holds at most 10 rules, both directions together, got 11"
    )


@pytest.mark.parametrize(
    ("length", "warnings"),
    [
        (20, ["packet length 20 cuts headers: keep at least 35 bytes of IPv4 and 55 bytes of IPv6"]),
        (34, ["packet length 34 cuts headers: keep at least 35 bytes of IPv4 and 55 bytes of IPv6"]),
        (35, ["packet length 35 cuts headers: keep at least 55 bytes of IPv6"]),
        (55, []),
    ],
)
def test_when_a_packet_length_cuts_headers_then_a_warning_says_of_which_packets(
    length: int, warnings: list[str]
) -> None:
    assert limits.packet_length_warnings(length) == warnings
