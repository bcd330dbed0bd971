import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.packets.frames import decode_frame
from tapstack.packets.selection import (
    FRAGMENT_LIFE,
    MAX_FRAGMENTS,
    FirstFragments,
    Selection,
    SelectionError,
)
from tests import made_captures
from tests import made_packets as made
from tests.sampling import sampled

A, B, C = "10.0.1.5", "203.0.113.7", "10.0.0.2"
A6, B6 = "2001:db8::5", "2001:db8:ffff::7"
PACKETS = {
    "https": made.ipv4(A, B, made.TCP, made.tcp(41000, 443)),
    "answer": made.ipv4(B, A, made.TCP, made.tcp(443, 41000)),
    "dns": made.ipv4(A, C, made.UDP, made.udp(5353, 53)),
    "ping": made.ipv4(A, C, made.ICMP, made.icmp(8)),
    "sctp": made.ipv4(C, B, 132, made.udp(443, 7)),
    "https6": made.ipv6(A6, B6, made.TCP, made.tcp(41000, 443)),
    "dns6": made.ipv6(B6, A6, made.UDP, made.udp(53, 5353)),
    "ping6": made.ipv6(A6, B6, made.ICMPV6, made.icmp(128)),
    "esp": made.ipv4(A, B, 50, bytes(20)),
    "first": made.ipv4(A, B, made.UDP, made.udp(53, 53, bytes(16)), identification=7, more=True),
    "later": made.ipv4(A, B, made.UDP, bytes(16), identification=7, offset=24),
}
ARP = made.ethernet(bytes(28), 0x0806)


def selected(text: str) -> set[str]:
    selection = Selection.parse(text)
    return {name for name, packet in PACKETS.items() if selection.matches(decode_frame(made.ethernet(packet)))}


EXPRESSIONS = {
    "host 203.0.113.7": {"https", "answer", "sctp", "esp", "first", "later"},
    "src host 203.0.113.7": {"answer"},
    "dst host 203.0.113.7": {"https", "sctp", "esp", "first", "later"},
    "src or dst host 10.0.0.2": {"dns", "ping", "sctp"},
    "src and dst net 10.0.0.0/16": {"dns", "ping"},
    "host 2001:db8::5": {"https6", "dns6", "ping6"},
    "src net 2001:db8:ffff::/48": {"dns6"},
    "dst net 0.0.0.0/0": set(PACKETS) - {"https6", "dns6", "ping6"},
    "net ::/0": {"https6", "dns6", "ping6"},
    "port 443": {"https", "answer", "sctp", "https6"},
    "tcp port 443": {"https", "answer", "https6"},
    "udp dst port 53": {"dns", "first"},
    "src and dst port 53": {"first"},
    "dst or src port 5353": {"dns", "dns6"},
    "portrange 50-60": {"dns", "dns6", "first"},
    "src portrange 0-65535": {"https", "answer", "dns", "sctp", "https6", "dns6", "first"},
    "tcp": {"https", "answer", "https6"},
    "udp": {"dns", "dns6", "first", "later"},
    "icmp": {"ping"},
    "icmp6": {"ping6"},
    "proto 50": {"esp"},
    "ip6": {"https6", "dns6", "ping6"},
    "ip proto 17": {"dns", "first", "later"},
    "ip6 proto 17": {"dns6"},
    "proto 17": {"dns", "dns6", "first", "later"},
    "ip and not (tcp or udp)": {"ping", "sctp", "esp"},
    "!port 443&&host 10.0.1.5": {"dns", "ping", "esp", "first", "later"},
    "host 203.0.113.7 and (tcp port 443 or udp port 53)": {"https", "answer", "first"},
    "(icmp or icmp6) || sctp": {"ping", "ping6", "sctp"},
    "not not tcp": {"https", "answer", "https6"},
    "": set(PACKETS),
}


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS.items(), ids=EXPRESSIONS)
def test_when_an_expression_is_given_then_it_selects_these_packets(text: str, expected: set[str]) -> None:
    assert selected(text) == expected


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="no tcpdump on this machine")
@sampled("text", [text for text in EXPRESSIONS if text], every=3)
def test_when_tcpdump_reads_an_expression_then_it_selects_the_same(text: str, tmp_path: Path) -> None:
    packets = [(number, made.ethernet(packet)) for number, packet in enumerate(PACKETS.values())]
    (tmp_path / "a.pcap").write_bytes(made_captures.pcap(packets, nanoseconds=True))
    command = ["tcpdump", "-r", "a.pcap", "-n", "-tt", "-w", "b.pcap", "--time-stamp-precision=nano", text]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    expected = [packet for packet, name in zip(packets, PACKETS, strict=True) if name in selected(text)]
    assert (tmp_path / "b.pcap").read_bytes()[24:] == made_captures.pcap(expected, nanoseconds=True)[24:]


def test_when_a_frame_is_no_ip_then_only_a_negation_selects_it() -> None:
    headers = decode_frame(ARP)
    positive = [text for text in EXPRESSIONS if "not" not in text and "!" not in text and text]
    assert not any(Selection.parse(text).matches(headers) for text in positive)
    assert Selection.parse("not tcp").matches(headers)
    assert Selection.parse("").matches(headers)


def test_when_extension_headers_are_before_tcp_then_it_is_tcp_and_what_is_before() -> None:
    chain = [(60, made.options_header()), (51, made.authentication_header())]
    six = decode_frame(made.ethernet(made.ipv6(A6, B6, made.TCP, made.tcp(1, 443), extensions=chain)))
    four = decode_frame(
        made.ethernet(made.ipv4(A, B, 51, bytes([6]) + made.authentication_header() + made.tcp(1, 443)))
    )
    for headers in (six, four):
        assert Selection.parse("tcp dst port 443").matches(headers)
    assert Selection.parse("ah").matches(four)
    assert Selection.parse("proto 60").matches(six)


REFUSED = {
    "host": "'host' needs a value: host 203.0.113.7",
    "port and tcp": "'port' needs a value: port 443",
    "host example.com": "expected an IPv4 or IPv6 address after `host`, got 'example.com': names are not looked up",
    "host 10.0.0.0/8": "expected an IPv4 or IPv6 address after `host`, got '10.0.0.0/8'; did you mean net 10.0.0.0/8?",
    "host fe80::1%eth0": "expected an IPv4 or IPv6 address after `host`, got 'fe80::1%eth0': names are not looked up",
    "net 10.0.1.5/16": (
        "expected a block such as 10.0.0.0/16 or 2001:db8::/32 after `net`, got '10.0.1.5/16'; "
        "did you mean 10.0.0.0/16?"
    ),
    "net 10": "expected a block such as 10.0.0.0/16 or 2001:db8::/32 after `net`, got '10'",
    "net 10.0.0.0 mask 255.0.0.0": (
        "expected a block such as 10.0.0.0/16 or 2001:db8::/32 after `net`, got '10.0.0.0'; did you mean 10.0.0.0/32?"
    ),
    "port https": "expected a port from 0 to 65535 after `port`, got 'https'",
    "port 65536": "expected a port from 0 to 65535 after `port`, got '65536'",
    "port 1-2": "expected a port from 0 to 65535 after `port`, got '1-2'; did you mean portrange?",
    "portrange 9-8": "expected two ports such as 8000-8999, the lower one first, after `portrange`, got '9-8'",
    "portrange 80": "expected two ports such as 8000-8999, the lower one first, after `portrange`, got '80'",
    "proto 256": (
        "expected icmp, igmp, tcp, udp, gre, esp, ah, icmp6, icmpv6, sctp or an IANA number from 0 to 255 after "
        "`proto`, got '256'"
    ),
    "proto tpc": (
        "did you mean tcp? expected icmp, igmp, tcp, udp, gre, esp, ah, icmp6, icmpv6, sctp or an IANA number from 0 "
        "to 255 after `proto`, got 'tpc'"
    ),
    "src proto 6": "`proto` has no direction: write proto 6",
    "tcp proto 6": "write `proto 6`, without 'tcp' before it",
    "tcp src host 10.0.0.1": "write `tcp and src host 10.0.0.1`",
    "icmp port 5": "only tcp, udp and sctp have ports: write `icmp and port 5`",
    "ip port 5": "only tcp, udp and sctp have ports: write `ip and port 5`",
    "tcp or udp and port 53": "`and` beside `or` needs parentheses: a and (b or c), or (a and b) or c",
    "(tcp": "a parenthesis is not closed",
    "tcp)": "a parenthesis is closed that was not opened",
    "()": "expected host, net, port, portrange, proto or a protocol before ')'",
    "tcp udp": "expected `and` or `or` after 'tcp', got 'udp'",
    "(tcp udp)": "expected `and` or `or` after 'tcp', got 'udp'",
    "tcp and": "the expression ends where host, net, port, portrange, proto or a protocol is expected",
    "or tcp": "expected host, net, port, portrange, proto or a protocol before 'or'",
    "port 80 or 443": "write `port 443`: a value needs the word that says what it is",
    "src 10.0.0.1": "write `src host 10.0.0.1`: a value needs the word that says what it is",
    "dst 10.0.0.0/8": "write `dst net 10.0.0.0/8`: a value needs the word that says what it is",
    "src and dst": "expected host, net, port or portrange after 'src', got 'and'",
    "less 100": (
        "'less' of pcap-filter is not supported: select by addresses, ports and protocols here, and the rest in "
        "Wireshark"
    ),
    "vlan 5": "'vlan' of pcap-filter is not supported: leave it out: tags are looked through",
    "vxlan": "'vxlan' of pcap-filter is not supported: leave it out: what counts is the packet that was mirrored",
    "arp": "'arp' of pcap-filter is not supported: only IP is mirrored",
    "ether host 0a:00:00:00:00:01": (
        "'ether' of pcap-filter is not supported: write host with an address, or net with a block"
    ),
    "tcp[13] = 2": (
        "'tcp[13]': bytes of packets are not compared: select by addresses, ports and protocols here, and the rest in "
        "Wireshark"
    ),
    "ip.src == 10.0.0.1": ("'ip.src' is of a display filter: write, for example, `src host 10.0.1.5 and tcp port 443`"),
    "hots 10.0.0.1": (
        "did you mean host? 'hots' is not known: expected host, net, port, portrange, proto or a protocol"
    ),
    "tcp & udp": "unexpected '&': expected `and`, `or` or `not`",
    "(" * 51 + "tcp" + ")" * 51: "parentheses and `not` are in each other 50 deep at most",
    "not " * 51 + "tcp": "parentheses and `not` are in each other 50 deep at most",
    "tcp " * 2501: "an expression has 10000 characters at most, got 10004",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=[text[:40] for text in REFUSED])
def test_fails_when_an_expression_is_not_of_the_language_and_says_what_is(text: str, message: str) -> None:
    with pytest.raises(SelectionError) as caught:
        Selection.parse(text)
    assert str(caught.value) == message


def test_when_several_expressions_are_given_then_all_have_to_match() -> None:
    both = Selection.all_of(["tcp or udp", "", "port 443 or port 53"])
    assert both.text == "(tcp or udp) and (port 443 or port 53)"
    assert Selection.all_of([]).text == ""
    assert Selection.all_of(["tcp"]) == Selection.parse("tcp")
    with pytest.raises(SelectionError):
        Selection.all_of(["tcp) or (udp", "icmp"])


def test_when_ports_or_protocols_count_then_a_selection_says_so() -> None:
    by_transport = ("port", "tcp", "udp", "icmp", "proto", "sctp")
    for text in EXPRESSIONS:
        assert Selection.parse(text).by_transport == any(word in text for word in by_transport), text


WORDS = st.sampled_from(
    [
        "(",
        ")",
        "!",
        "&&",
        "||",
        "and",
        "or",
        "not",
        "src",
        "dst",
        "host",
        "net",
        "port",
        "portrange",
        "proto",
        "tcp",
        "ip6",
        "10.0.1.5",
        "2001:db8::5",
        "10.0.0.0/8",
        "443",
        "1-5",
        "vlan",
        "ip.src",
        "tcp[13]",
        "%",
        "\\udp",
    ]
)


@given(st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=40))
def test_when_text_is_random_then_it_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SelectionError):
        selection = Selection.parse(text)
        for packet in PACKETS.values():
            assert selection.matches(decode_frame(made.ethernet(packet))) in (True, False)


def fragments(family: int, *, identification: int = 7, protocol: int = made.UDP) -> list[bytes]:
    data = made.udp(53, 53, bytes(32))
    places = [(0, data[:16], True), (16, data[16:32], True), (32, data[32:], False)]
    if family == 4:
        return [
            made.ethernet(made.ipv4(A, B, protocol, part, identification=identification, offset=offset, more=more))
            for offset, part, more in places
        ]
    return [
        made.ethernet(
            made.ipv6(A6, B6, protocol, part, extensions=[(44, made.fragment_header(offset, more, identification))])
        )
        for offset, part, more in places
    ]


@pytest.mark.parametrize("family", [4, 6])
def test_when_a_fragment_is_a_later_one_then_it_has_the_ports_of_its_first(family: int) -> None:
    known, selection = FirstFragments(), Selection.parse("port 53")
    first, *later = (decode_frame(frame) for frame in fragments(family))
    known.note(first, 5, within=1)
    for headers in later:
        assert not selection.matches(headers)
        followed = known.followed(headers, 6, within=1)
        assert followed is not None
        assert selection.matches(followed)
        assert followed._replace(source_port=None, destination_port=None) == headers


@pytest.mark.parametrize("family", [4, 6])
def test_when_something_differs_then_a_fragment_is_of_another_packet(family: int) -> None:
    known = FirstFragments()
    first, later, _ = (decode_frame(frame) for frame in fragments(family))
    other = decode_frame(fragments(family, identification=8)[1])
    known.note(first, 5, within=1)
    known.note(later, 5, within=2)
    assert known.followed(other, 5, within=1) is None
    assert known.followed(later, 5, within=2) is None
    assert known.followed(later._replace(source=1), 5, within=1) is None
    assert known.followed(later, 6 + FRAGMENT_LIFE, within=1) is None
    assert known.followed(later, 5 + FRAGMENT_LIFE, within=1) is not None
    by_protocol = known.followed(decode_frame(fragments(family, protocol=made.TCP)[1]), 5, within=1)
    assert (by_protocol is None) == (family == 4)


def test_when_many_packets_are_fragmented_then_the_oldest_first_fragment_is_forgotten() -> None:
    known = FirstFragments()
    first, later, _ = (decode_frame(frame) for frame in fragments(6))
    for number in range(MAX_FRAGMENTS + 1):
        known.note(first._replace(identification=number), number)
    assert known.followed(later._replace(identification=0), 0) is None
    assert known.followed(later._replace(identification=1), 0) is not None
