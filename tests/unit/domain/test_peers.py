import pytest

from tapstack.domain.peers import Peer, check_not_whole_internet, sender_warnings, without_duplicates
from tests.unit.refusals import refusal

GROUP = "sg-0123456789abcdef0"
TOKEN = "${TfToken[TOKEN.0]}"


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("10.0.0.0/16", Peer.cidr("10.0.0.0/16")),
        ("2001:db8::/32", Peer.cidr("2001:db8::/32")),
        (GROUP, Peer.security_group(GROUP)),
        ("pl-0123456789abcdef0", Peer.prefix_list("pl-0123456789abcdef0")),
        ("vpc-0123456789abcdef0", Peer.vpc("vpc-0123456789abcdef0")),
        (TOKEN, Peer.cidr(TOKEN)),
    ],
)
def test_when_a_peer_is_read_then_its_form_decides_its_kind(text: str, peer: Peer) -> None:
    assert Peer.parse(text) == peer


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sg-1",
            "'sg-1' is not the id of a security group: expected the form sg-0123456789abcdef0; it has 1 "
            "digit after sg-, expected 8 or 17",
        ),
        (
            "pl-1",
            "'pl-1' is not the id of a prefix list: expected the form pl-0123456789abcdef0; it has 1 "
            "digit after pl-, expected 8 or 17",
        ),
        (
            "vpc-1",
            "'vpc-1' is not the id of a VPC: expected the form vpc-0123456789abcdef0; it has 1 digit "
            "after vpc-, expected 8 or 17",
        ),
        ("web", "'web' is not a CIDR block: expected the form 10.0.0.0/16 or 2001:db8::/32"),
    ],
)
def test_fails_when_a_peer_is_none_of_these(text: str, message: str) -> None:
    assert refusal(lambda: Peer.parse(text)) == message


@pytest.mark.parametrize("block", ["0.0.0.0/0", "::/0"])
def test_fails_when_the_whole_internet_may_send(block: str) -> None:
    peers = [Peer.security_group(GROUP), Peer.cidr(block)]
    assert refusal(lambda: check_not_whole_internet(peers, accept_open=False)) == (
        f"mirrored traffic from {block} lets the whole internet feed the appliance: give the sources' security "
        "groups or CIDR blocks, or accept it with accept_open_mirrored_from"
    )


def test_when_the_whole_internet_is_accepted_or_not_included_then_peers_pass() -> None:
    check_not_whole_internet([Peer.cidr("0.0.0.0/0")], accept_open=True)
    check_not_whole_internet([Peer.cidr("10.0.0.0/8"), Peer.cidr(TOKEN), Peer.security_group(GROUP)], accept_open=False)


def test_when_a_peer_is_given_twice_then_it_is_dropped_unless_it_is_a_token() -> None:
    one, other, token = Peer.security_group(GROUP), Peer.cidr("10.0.0.0/8"), Peer.cidr(TOKEN)
    assert without_duplicates([one, token, other, one, token]) == (one, token, other, token)


def test_fails_when_blocks_together_are_the_whole_internet() -> None:
    peers = [Peer.cidr("0.0.0.0/1"), Peer.security_group(GROUP), Peer.cidr("128.0.0.0/1")]
    assert refusal(lambda: check_not_whole_internet(peers, accept_open=False)).startswith(
        "mirrored traffic from 0.0.0.0/1 and 128.0.0.0/1 lets the whole internet feed the appliance: "
    )
    check_not_whole_internet(peers, accept_open=True)


def test_when_no_source_can_be_in_a_range_of_senders_then_there_is_a_warning() -> None:
    assert sender_warnings(Peer.parse("127.0.0.0/8")) == [
        "no packet of a source comes from 127.0.0.0/8 (a loopback address): give the sources' security groups or CIDR "
        "blocks"
    ]


@pytest.mark.parametrize(
    ("text", "warned"), [("0.0.0.0/1", True), ("10.0.0.0/8", False), (GROUP, False), (TOKEN, False)]
)
def test_when_a_range_of_senders_is_broad_then_there_is_a_warning(text: str, warned: bool) -> None:
    found = sender_warnings(Peer.parse(text))
    expected = f"mirrored traffic from {text} reaches far: give the sources' security groups or CIDR blocks"
    assert found == ([expected] if warned else [])
