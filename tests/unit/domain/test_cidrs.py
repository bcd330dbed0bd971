import pytest

from tapstack.domain import cidrs
from tapstack.domain.peers import Peer
from tests.unit.refusals import refusal

TOKEN = "${TfToken[TOKEN.0]}"


@pytest.mark.parametrize("value", ["10.0.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "2001:db8::/32", "::/0", TOKEN])
def test_when_a_cidr_block_is_one_then_it_comes_back(value: str) -> None:
    assert cidrs.check_cidr(value) == value


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("10.0.0.1/16", "; did you mean 10.0.0.0/16?"),
        ("2001:db8::1/32", "; did you mean 2001:db8::/32?"),
        ("10.0.0.1", "; did you mean 10.0.0.1/32?"),
        ("10.0.0.0", ""),
        ("2001:db8::", ""),
        ("10.0.0.0/255.255.0.0", "; did you mean 10.0.0.0/16?"),
        ("10.0.0.0/33", ""),
        ("10.0.0/16", ""),
        ("10.0.0.0/", ""),
        ("167772160", ""),
        ("anywhere", ""),
        ("", ""),
    ],
)
def test_fails_when_a_value_is_no_cidr_block(value: str, hint: str) -> None:
    assert refusal(lambda: cidrs.check_cidr(value)) == (
        f"{value!r} is not a CIDR block: expected the form 10.0.0.0/16 or 2001:db8::/32{hint}"
    )


@pytest.mark.parametrize(("value", "family"), [("10.0.0.0/8", 4), ("2001:db8::/32", 6), (TOKEN, None)])
def test_when_a_block_is_read_then_its_family_is_known(value: str, family: int | None) -> None:
    assert cidrs.family(value) == family


@pytest.mark.parametrize(
    ("source", "destination"),
    [("10.0.0.0/8", "0.0.0.0/0"), ("2001:db8::/32", "::/0"), (TOKEN, "::/0"), ("10.0.0.0/8", TOKEN), (TOKEN, TOKEN)],
)
def test_when_families_may_be_the_same_then_they_pass(source: str, destination: str) -> None:
    cidrs.check_same_family(source, destination)


@pytest.mark.parametrize(("source", "destination"), [("10.0.0.0/8", "::/0"), ("::/0", "10.0.0.0/8")])
def test_fails_when_families_differ(source: str, destination: str) -> None:
    assert refusal(lambda: cidrs.check_same_family(source, destination)) == (
        f"source and destination of a rule must be of one IP family, got source {source} and destination {destination}"
    )


@pytest.mark.parametrize("value", ["0.0.0.0/0", "::/0"])
def test_fails_when_remote_access_is_open_and_not_accepted(value: str) -> None:
    assert refusal(lambda: cidrs.check_remote_access(value, accept_open=False)) == (
        f"remote access from {value} opens the appliance to the whole internet: give the range that responders "
        "come from, or accept it with accept_open_remote_access"
    )


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("0.0.0.0/0", True),
        ("::/0", True),
        ("0.0.0.0/1", False),
        ("8000::/1", False),
        ("10.0.0.0/8", False),
        (TOKEN, False),
    ],
)
def test_when_remote_access_is_narrow_or_accepted_then_it_passes(value: str, accepted: bool) -> None:
    cidrs.check_remote_access(value, accept_open=accepted)


def test_fails_when_the_template_is_given_an_ipv6_range() -> None:
    assert refusal(lambda: cidrs.check_remote_access("2001:DB8::/32", accept_open=False, ipv6=False)) == (
        "remote access from 2001:db8::/32 is IPv6, and the template takes an IPv4 block: give the IPv4 range that "
        "responders come from, such as 10.20.0.0/16"
    )
    assert cidrs.check_remote_access(TOKEN, accept_open=False, ipv6=False) == TOKEN


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:0db8:0:0::/32", "2001:db8::/32"),
        ("0:0:0:0:0:0:0:0/0", "::/0"),
        ("10.0.0.0/08", "10.0.0.0/8"),
        (TOKEN, TOKEN),
    ],
)
def test_when_a_block_is_written_in_another_way_then_it_is_kept_in_one(value: str, spelled: str) -> None:
    assert cidrs.check_cidr(value) == spelled
    assert cidrs.check_remote_access(value, accept_open=True) == spelled
    assert Peer.parse(value).value == spelled


@pytest.mark.parametrize(
    ("value", "meant"), [("::ffff:10.0.0.0/104", "10.0.0.0/8"), ("::FFFF:a00:1/128", "10.0.0.1/32")]
)
def test_fails_when_an_ipv4_block_is_written_as_ipv6(value: str, meant: str) -> None:
    assert refusal(lambda: cidrs.check_cidr(value)) == (f"{value!r} is an IPv4 block written as IPv6: expected {meant}")


def test_fails_when_a_block_has_a_zone() -> None:
    assert "'fe80::%1/64' is not a CIDR block" in refusal(lambda: cidrs.check_cidr("fe80::%1/64"))


def test_fails_when_open_access_is_accepted_but_no_cidr_block_given() -> None:
    assert "'0.0.0.0' is not a CIDR block" in refusal(lambda: cidrs.check_remote_access("0.0.0.0", accept_open=True))


@pytest.mark.parametrize(
    ("value", "broad"),
    [
        ("52.0.0.0/15", True),
        ("52.0.0.0/16", False),
        ("10.0.0.0/8", False),
        ("0.0.0.0/0", True),
        ("2600::/31", True),
        ("2600::/32", False),
        ("fd00::/8", False),
        (TOKEN, False),
    ],
)
def test_when_a_public_block_is_larger_than_an_organization_then_it_is_broad(value: str, broad: bool) -> None:
    assert cidrs.is_broad(value) is broad


@pytest.mark.parametrize(
    ("blocks", "wide"),
    [
        ([], ()),
        ([TOKEN, "10.0.0.0/8"], ()),
        (["0.0.0.0/1"], ()),
        (["0.0.0.0/1", "128.0.0.0/1"], ("0.0.0.0/1", "128.0.0.0/1")),
        (["128.0.0.0/2", "::/16", "192.0.0.0/3", TOKEN, "0.0.0.0/1"], ("128.0.0.0/2", "192.0.0.0/3", "0.0.0.0/1")),
        (["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/4"], ()),
        (["0.0.0.0/1", "8000::/1"], ()),
        (["0.0.0.0/1", "0.0.0.0/0", "128.0.0.0/1"], ("0.0.0.0/0",)),
        (["2000::/4", "3000::/4"], ("2000::/4", "3000::/4")),
        (["10.0.0.0/8", "::/1"], ("::/1",)),
        (["2000::/3"], ("2000::/3",)),
    ],
)
def test_when_blocks_together_are_the_internet_then_they_are_found(blocks: list[str], wide: tuple[str, ...]) -> None:
    assert cidrs.open_ranges(blocks) == wide


def test_fails_when_remote_access_is_open_in_two_halves() -> None:
    halves = ["0.0.0.0/1", "128.0.0.0/1"]
    assert refusal(lambda: cidrs.check_remote_access_together(halves, accept_open=False)).startswith(
        "remote access from 0.0.0.0/1 and 128.0.0.0/1 opens the appliance to the whole internet: "
    )
    cidrs.check_remote_access_together(halves, accept_open=True)


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ("127.0.0.1/32", "a loopback address"),
        ("169.254.0.0/24", "a link-local address"),
        ("240.0.0.0/4", "a reserved address"),
        ("255.255.255.255/32", "the broadcast address"),
        ("224.0.0.0/8", "a multicast address"),
        ("0.0.0.0/32", "an unspecified address"),
        ("::1/128", "a loopback address"),
        ("fe80::/64", "a link-local address"),
    ],
)
def test_when_remote_access_is_from_where_no_responder_is_then_there_is_a_warning(block: str, kind: str) -> None:
    assert cidrs.remote_access_warnings(block) == [
        f"remote access from {block} lets no responder in ({kind}): give the range that responders come from"
    ]


@pytest.mark.parametrize("block", ["10.0.0.0/8", "100.64.1.0/24", "198.51.100.7/32", "2001:db8::/32", "fc00::/7"])
def test_when_remote_access_is_from_where_responders_can_be_then_there_is_no_warning(block: str) -> None:
    assert cidrs.remote_access_warnings(block) == []


def test_when_remote_access_is_half_of_the_internet_then_there_is_a_warning() -> None:
    assert cidrs.remote_access_warnings("0.0.0.0/1") == [
        "remote access from 0.0.0.0/1 reaches far: give the range that responders come from"
    ]
