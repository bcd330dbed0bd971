"""Packets that are written as text."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.errors import RuleViolation
from tapstack.packets.frames import ARP, Headers, decode_frame
from tapstack.packets.written import packet_text, parse_packet
from tests import made_packets as made


def test_when_a_packet_of_tcp_is_written_then_each_part_is_read() -> None:
    packet = parse_packet("tcp 10.0.1.5:41000 > 203.0.113.7:443 length 1500")
    assert packet.headers == Headers(
        family=4,
        source=int(ipaddress.ip_address("10.0.1.5")),
        destination=int(ipaddress.ip_address("203.0.113.7")),
        ip_protocol=6,
        protocol=6,
        source_port=41000,
        destination_port=443,
        length=1500,
    )
    assert packet.length == 1514, "with the Ethernet header"


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("TCP 10.0.1.5:41000>203.0.113.7:443", "tcp 10.0.1.5:41000 > 203.0.113.7:443"),
        ("  udp  [2001:DB8::1]:53 > [::1]:0 ", "udp [2001:db8::1]:53 > [::1]:0"),
        ("icmp 10.0.1.5 > 10.0.2.9 code 4 type 3", "icmp 10.0.1.5 > 10.0.2.9 type 3 code 4"),
        ("icmpv6 2001:db8::1 > [2001:db8::2] type 135", "icmpv6 [2001:db8::1] > [2001:db8::2] type 135"),
        ("protocol 47 10.0.1.5 > 10.0.2.9", "protocol 47 10.0.1.5 > 10.0.2.9"),
        ("47 10.0.1.5 > 10.0.2.9", "protocol 47 10.0.1.5 > 10.0.2.9"),
        ("6 10.0.1.5:1 > 10.0.2.9:2", "tcp 10.0.1.5:1 > 10.0.2.9:2"),
        ("udp 10.0.1.5:1 > 10.0.2.9:2 first fragment", "udp 10.0.1.5:1 > 10.0.2.9:2 first fragment"),
        ("udp 10.0.1.5 > 10.0.2.9 later fragment", "udp 10.0.1.5 > 10.0.2.9 later fragment"),
        ("arp 10.0.1.5 > 10.0.1.1", "arp"),
    ],
)
def test_when_a_packet_is_written_then_it_is_shown_the_same_way(text: str, again: str) -> None:
    packet = parse_packet(text)
    assert packet_text(packet.headers, packet.length) == again


def test_when_a_length_is_given_then_it_is_shown_again() -> None:
    packet = parse_packet("tcp 10.0.1.5:1 > 10.0.2.9:2 length 60")
    assert packet_text(packet.headers, packet.length).endswith(" length 60")


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (made.ethernet(bytes(28), ARP), "arp"),
        (made.ethernet(bytes(46), 0x88CC), "a frame of type 0x88cc that is not IP"),
        (b"", "a frame that is not IP"),
        (
            made.ethernet(made.ipv4("10.0.1.5", "10.0.2.9", made.TCP, made.tcp(1, 2)))[:30],
            "an IPv4 packet that was cut in its header",
        ),
        (
            made.ethernet(made.ipv6("::5", "::9", made.TCP, b"", extensions=[(0, made.options_header())]))[:56],
            "a packet of a protocol that was cut off, [::5] > [::9]",
        ),
    ],
)
def test_when_a_frame_is_no_whole_ip_packet_then_words_say_what_it_is(frame: bytes, text: str) -> None:
    assert packet_text(decode_frame(frame)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no packet is given: expected one such as tcp 10.0.1.5:41000 > 203.0.113.7:443"),
        ("tpc 10.0.1.5:1 > 10.0.2.9:2", "begins with 'tpc': did you mean tcp? expected a protocol"),
        ("256 10.0.1.5 > 10.0.2.9", "begins with '256': expected a protocol"),
        ("protocol x 10.0.1.5 > 10.0.2.9", "begins with 'x': expected a protocol"),
        ("tcp 10.0.1.5:1", "is not a packet: expected a source, > and a destination behind the protocol"),
        ("tcp 10.0.1.5:1 < 10.0.2.9:2", "is not a packet"),
        ("tcp 10.0.1.5:1 > 10.0.2:2", "destination '10.0.2:2' is no address: expected 10.0.1.5, 10.0.1.5:443 or"),
        ("tcp 2001:db8::1:443 > [::1]:2", "tcp needs a port behind the source"),
        ("tcp [fe80::1%eth0]:1 > [::1]:2", "source '[fe80::1%eth0]:1' is no address"),
        ("tcp host:1 > 10.0.2.9:2", "source 'host:1' is no address"),
        ("tcp 10.0.1.5:65536 > 10.0.2.9:2", "source '10.0.1.5:65536': expected a port from 0 to 65535, got '65536'"),
        ("tcp 10.0.1.5:x > 10.0.2.9:2", "expected a port from 0 to 65535, got 'x'"),
        ("tcp 10.0.1.5 > 10.0.2.9", "tcp needs a port behind the source and the destination"),
        ("udp 10.0.1.5:1 > 10.0.2.9", "udp needs a port behind the destination"),
        ("icmp 10.0.1.5:1 > 10.0.2.9", "icmp has no ports: take them off the source"),
        ("47 10.0.1.5:1 > 10.0.2.9:2", "protocol 47 has no ports: take them off the source and the destination"),
        ("udp 10.0.1.5:1 > 10.0.2.9:2 later fragment", "a later fragment of udp has no ports"),
        ("tcp 10.0.1.5:1 > [::1]:2", "must be of one IP family, got 10.0.1.5 (IPv4) and ::1 (IPv6)"),
        ("icmp ::1 > ::2", "icmp is that of IPv4: expected icmpv6 for these addresses"),
        ("icmpv6 10.0.1.5 > 10.0.2.9", "icmpv6 is that of IPv6: expected icmp for these addresses"),
        ("icmp 10.0.1.5 > 10.0.2.9 type 256", "type must be 0 to 255, got 256"),
        ("icmp 10.0.1.5 > 10.0.2.9 type", "expected a number behind type, got none"),
        ("tcp 10.0.1.5:1 > 10.0.2.9:2 type 8", "type goes with icmp and icmpv6"),
        (
            "tcp 10.0.1.5:1 > 10.0.2.9:2 lenght 60",
            "'lenght' behind the destination: did you mean length? expected type,",
        ),
        ("tcp 10.0.1.5:1 > 10.0.2.9:2 length 60 length 61", "length is given twice: keep one"),
        ("tcp 10.0.1.5:1 > 10.0.2.9:2 length 19", "length must be 20 to 65535 bytes of an IPv4 packet, got 19"),
        ("tcp [::1]:1 > [::2]:2 length 39", "length must be 40 to 65535 bytes of an IPv6 packet, got 39"),
        ("tcp 10.0.1.5:1 > 10.0.2.9:2 first", "'first' behind the destination: "),
        ("arp 10.0.1.5 > 10.0.2.9 length 60", "ARP has no length: take it out"),
    ],
)
def test_fails_when_a_part_of_a_packet_is_wrong_and_says_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        parse_packet(text)
    assert message in str(caught.value)


@given(st.text(alphabet="tcpudim arl>[]:.0123456789abf%\x1b\u0663", max_size=60))
def test_when_anything_is_written_then_it_is_read_or_refused(text: str) -> None:
    try:
        packet = parse_packet(text)
    except RuleViolation:
        return
    again = parse_packet(packet_text(packet.headers, packet.length)) if packet.headers.family else packet
    assert again == packet


def test_fails_when_a_number_is_longer_than_any_and_shows_no_control_character() -> None:
    for text in (
        "9" * 5000 + " ::1 > ::2",
        "tcp ::1 > ::2 length " + "9" * 5000,
        f"udp 1.1.1.1:{'9' * 5000} > 1.1.1.1:1",
    ):
        with pytest.raises(RuleViolation):
            parse_packet(text)
    with pytest.raises(RuleViolation, match=r"^'\\x1b\[31m 10.0.1.5' begins with"):
        parse_packet("\x1b[31m 10.0.1.5")
