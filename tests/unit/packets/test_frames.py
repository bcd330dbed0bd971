from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.packets import frames
from tapstack.packets.frames import Headers, decode_frame
from tests import made_packets as made

A, B = "10.0.1.5", "203.0.113.7"
A6, B6 = "2001:db8::5", "2001:db8:ffff::7"
HTTPS = made.tcp(41000, 443, b"hello", flags=2)
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, MOBILITY = 0, 43, 44, 51, 60, 135


def said(headers: Headers, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(headers, name) for name in names)


def peers(headers: Headers) -> tuple[Any, ...]:
    return said(headers, "protocol", "source_port", "destination_port", "fragment")


def test_when_a_frame_holds_ipv4_and_tcp_then_every_field_is_read() -> None:
    frame = made.ethernet(made.ipv4(A, B, made.TCP, HTTPS, identification=7))
    assert decode_frame(frame) == Headers(
        family=4,
        source=int(IPv4Address(A)),
        destination=int(IPv4Address(B)),
        ip_protocol=6,
        protocol=6,
        source_port=41000,
        destination_port=443,
        fragment=None,
        identification=7,
        tcp_flags=2,
        ether_type=0x0800,
        network=14,
        transport=34,
        end=len(frame),
        length=45,
    )


def test_when_a_frame_holds_ipv6_and_udp_then_every_field_is_read() -> None:
    frame = made.ethernet(made.ipv6(A6, B6, made.UDP, made.udp(5353, 53, b"?")))
    assert decode_frame(frame) == Headers(
        family=6,
        source=int(IPv6Address(A6)),
        destination=int(IPv6Address(B6)),
        ip_protocol=17,
        protocol=17,
        source_port=5353,
        destination_port=53,
        ether_type=0x86DD,
        network=14,
        transport=54,
        end=len(frame),
        length=49,
    )


@pytest.mark.parametrize(
    ("tags", "ids"),
    [
        ([(0x8100, 5)], (5,)),
        ([(0x88A8, 100), (0x8100, 4095)], (100, 4095)),
        ([(0x9100, 1), (0x8100, 2), (0x8100, 3)], (1, 2, 3)),
    ],
)
def test_when_a_frame_has_vlan_tags_then_the_packet_behind_them_is_read(
    tags: list[tuple[int, int]], ids: tuple[int, ...]
) -> None:
    for packet in (made.ipv4(A, B, made.TCP, HTTPS), made.ipv6(A6, B6, made.TCP, HTTPS)):
        headers = decode_frame(made.ethernet(packet, vlans=tags))
        assert headers.vlans == ids
        assert headers.network == 14 + 4 * len(tags)
        assert peers(headers) == (6, 41000, 443, None)


def test_when_ipv4_has_options_then_the_ports_are_behind_them() -> None:
    headers = decode_frame(made.ethernet(made.ipv4(A, B, made.TCP, HTTPS, options=bytes([1, 1, 1, 0]) * 10)))
    assert peers(headers) == (6, 41000, 443, None)
    assert headers.transport == 74


@pytest.mark.parametrize(
    ("extensions", "transport"),
    [
        ([(HOP_BY_HOP, made.options_header())], 62),
        (
            [
                (HOP_BY_HOP, made.options_header(2)),
                (DESTINATION, made.options_header(1)),
                (ROUTING, made.options_header()),
            ],
            102,
        ),
        ([(AUTHENTICATION, made.authentication_header())], 78),
        ([(MOBILITY, made.options_header())], 62),
    ],
)
def test_when_ipv6_has_extension_headers_then_the_upper_protocol_is_read(
    extensions: list[tuple[int, bytes]], transport: int
) -> None:
    headers = decode_frame(made.ethernet(made.ipv6(A6, B6, made.TCP, HTTPS, extensions=extensions)))
    assert peers(headers) == (6, 41000, 443, None)
    assert headers.ip_protocol == extensions[0][0]
    assert headers.transport == transport


def test_when_ipv4_has_an_authentication_header_then_both_protocols_are_read() -> None:
    payload = bytes([made.UDP]) + made.authentication_header() + made.udp(1, 2)
    headers = decode_frame(made.ethernet(made.ipv4(A, B, AUTHENTICATION, payload)))
    assert peers(headers) == (17, 1, 2, None)
    assert headers.ip_protocol == AUTHENTICATION


@pytest.mark.parametrize("extensions", [[], [(HOP_BY_HOP, made.options_header())]])
def test_when_ipv6_is_fragmented_then_only_the_first_fragment_has_ports(extensions: list[tuple[int, bytes]]) -> None:
    def fragment(offset: int, more: bool) -> Headers:
        chain = [*extensions, (FRAGMENT, made.fragment_header(offset, more, 0xDEADBEEF))]
        return decode_frame(made.ethernet(made.ipv6(A6, B6, made.TCP, HTTPS, extensions=chain)))

    assert peers(fragment(0, True)) == (6, 41000, 443, "first")
    assert peers(fragment(8, True)) == peers(fragment(65528, False)) == (6, None, None, "later")
    # RFC 6946: a fragment header on a packet that is whole.
    assert peers(fragment(0, False)) == (6, 41000, 443, None)
    assert {fragment(0, True).identification, fragment(8, False).identification} == {0xDEADBEEF}


def test_when_ipv4_is_fragmented_then_only_the_first_fragment_has_ports() -> None:
    def fragment(offset: int, more: bool, flags: int = 0) -> Headers:
        packet = made.ipv4(A, B, made.TCP, HTTPS, identification=9, offset=offset, more=more, flags=flags)
        return decode_frame(made.ethernet(packet))

    assert peers(fragment(0, True)) == (6, 41000, 443, "first")
    assert peers(fragment(8, True)) == peers(fragment(65528, False)) == (6, None, None, "later")
    # Neither "don't fragment" nor the reserved bit makes a fragment.
    assert peers(fragment(0, False, flags=0xC000)) == (6, 41000, 443, None)


@pytest.mark.parametrize(("protocol", "family"), [(made.ICMP, 4), (made.ICMPV6, 6)])
def test_when_a_packet_is_icmp_then_type_and_code_are_read(protocol: int, family: int) -> None:
    message = made.icmp(3, 13)
    packet = made.ipv4(A, B, protocol, message) if family == 4 else made.ipv6(A6, B6, protocol, message)
    headers = decode_frame(made.ethernet(packet))
    assert said(headers, "protocol", "icmp_type", "icmp_code", "source_port") == (protocol, 3, 13, None)


@pytest.mark.parametrize("protocol", [47, 50, 4, 41])
def test_when_a_protocol_has_no_ports_then_none_are_read(protocol: int) -> None:
    assert peers(decode_frame(made.ethernet(made.ipv4(A, B, protocol, HTTPS)))) == (protocol, None, None, None)


@pytest.mark.parametrize(
    ("frame", "ether_type"),
    [
        (made.ethernet(bytes(28), 0x0806), 0x0806),
        (made.ethernet(bytes(46), 46), 46),
        (made.ethernet(bytes(46), 0x88CC, vlans=[(0x8100, 3)]), 0x88CC),
        # The version in the header is of no IP.
        (made.ethernet(bytes(46), 0x0800), 0x0800),
    ],
)
def test_when_a_frame_holds_no_ip_then_its_type_alone_is_read(frame: bytes, ether_type: int) -> None:
    headers = decode_frame(frame)
    assert said(headers, "family", "source", "protocol", "network") == (None, None, None, None)
    assert headers.ether_type == ether_type


def test_when_a_frame_is_padded_then_the_padding_is_no_port() -> None:
    # An IP packet of 22 bytes: the ports would lie in the padding of the frame.
    packet = made.ipv4(A, B, made.TCP, HTTPS, length=22)
    headers = decode_frame(made.ethernet(packet))
    assert peers(headers) == (6, None, None, None)
    assert headers.end == 14 + 22
    six = decode_frame(made.ethernet(made.ipv6(A6, B6, made.UDP, made.udp(1, 2), length=3)))
    assert peers(six) == (17, None, None, None)


@pytest.mark.parametrize("first", [0x41, 0x44])
def test_when_a_header_of_ipv4_is_shorter_than_20_bytes_then_it_has_no_addresses(first: int) -> None:
    packet = bytearray(made.ipv4(A, B, made.TCP, HTTPS))
    packet[0] = first
    assert said(decode_frame(made.ethernet(bytes(packet))), "family", "source", "protocol") == (4, None, None)


def test_when_the_length_is_zero_then_the_packet_is_as_long_as_what_was_captured() -> None:
    for packet in (
        made.ipv4(A, B, made.TCP, HTTPS, length=0),
        made.ipv6(A6, B6, made.TCP, HTTPS, length=0),
    ):
        headers = decode_frame(made.ethernet(packet))
        assert peers(headers) == (6, 41000, 443, None)
        assert headers.length == len(packet)


FRAMES = {
    "ipv4": made.ethernet(made.ipv4(A, B, made.TCP, HTTPS, options=bytes(8), more=True), vlans=[(0x8100, 7)]),
    "ipv6": made.ethernet(
        made.ipv6(
            A6,
            B6,
            made.TCP,
            HTTPS,
            extensions=[(HOP_BY_HOP, made.options_header(1)), (FRAGMENT, made.fragment_header(0, True, 5))],
        )
    ),
    "icmp": made.ethernet(made.ipv4(A, B, made.ICMP, made.icmp(8))),
    "ah": made.ethernet(made.ipv4(A, B, AUTHENTICATION, bytes([made.UDP]) + made.authentication_header() + HTTPS)),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_when_a_frame_is_cut_anywhere_then_no_field_is_another_than_that_of_the_whole(frame: bytes) -> None:
    whole = decode_frame(frame)
    assert whole.protocol is not None
    for size in range(len(frame)):
        headers = decode_frame(frame[:size])
        assert headers.end == size
        # A fragment is known from a field in front of the ports, so never later than they are.
        fields = [name for name in Headers._fields if name not in ("end", "vlans", "ether_type")]
        wrong = {name for name in fields if getattr(headers, name) not in (None, getattr(whole, name))}
        assert wrong == set(), size
        assert headers.vlans == whole.vlans[: len(headers.vlans)]


def test_when_a_frame_is_a_part_of_a_buffer_then_its_neighbours_are_not_read() -> None:
    for frame in FRAMES.values():
        buffer = memoryview(b"\x45" * 37 + frame + b"\xff" * 99)
        alone, inside = decode_frame(frame), decode_frame(buffer, 37, 37 + len(frame))
        assert alone.network is not None
        transport = None if alone.transport is None else alone.transport + 37
        assert inside == alone._replace(network=alone.network + 37, transport=transport, end=alone.end + 37)
        for size in range(len(frame)):
            assert decode_frame(buffer, 37, 37 + size)[:12] == decode_frame(frame[:size])[:12]


@pytest.mark.parametrize(
    ("link_type", "header"),
    [
        (frames.RAW, b""),
        (frames.RAW_IPV4, b""),
        (frames.LINUX_SLL, bytes(14) + b"\x08\x00"),
        (frames.LINUX_SLL2, b"\x08\x00" + bytes(18)),
    ],
)
def test_when_a_capture_is_of_another_link_type_then_its_packets_are_read(link_type: int, header: bytes) -> None:
    packet = made.ipv4(A, B, made.TCP, HTTPS)
    assert peers(decode_frame(header + packet, link_type=link_type)) == (6, 41000, 443, None)
    for size in range(len(header)):
        assert decode_frame(header[:size], link_type=link_type).family is None


def test_when_a_link_type_is_unknown_then_a_frame_has_no_headers() -> None:
    assert decode_frame(FRAMES["ipv4"], link_type=147) == Headers(end=len(FRAMES["ipv4"]))


@given(st.binary(max_size=120), st.integers(0, 130), st.integers(0, 300), st.sampled_from([*frames.LINK_TYPES, 0]))
def test_when_bytes_are_random_then_nothing_raises(data: bytes, start: int, size: int, link_type: int) -> None:
    headers = decode_frame(data, start, start + size, link_type)
    assert headers.end <= len(data)


@given(st.sampled_from([*FRAMES.values()]), st.data())
def test_when_bytes_of_a_frame_are_changed_then_nothing_raises(frame: bytes, data: st.DataObject) -> None:
    changed = bytearray(frame)
    for position, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(frame) - 1), st.integers(0, 255)), max_size=6)
    ):
        changed[position] = value
    headers = decode_frame(changed)
    offsets = [offset for offset in (headers.network, headers.transport) if offset is not None]
    assert all(14 <= offset < headers.end <= len(frame) for offset in offsets)
