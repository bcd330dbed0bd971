import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.packets import vxlan
from tapstack.packets.frames import LINUX_SLL, RAW, decode_frame
from tests import made_packets as made

A, B, RESOLVER = "10.0.1.5", "203.0.113.7", "10.0.0.2"
A6, B6 = "2001:db8::5", "2001:db8:ffff::7"
SOURCE, TARGET = "10.9.0.5", "10.9.0.9"
FRAME = made.ethernet(made.ipv4(A, B, made.TCP, made.tcp(41000, 443, b"hello")))
INSIDE = made.udp(65408, 4789, made.vxlan(5_569_041, FRAME))


def inside(copy: bytes, **more: int) -> tuple[int, bytes] | None:
    found = vxlan.unwrap(copy, **more)
    return None if found is None else (found.vni, copy[found.start : found.end])


OUTSIDE = {
    "ipv4": made.ethernet(made.ipv4(SOURCE, TARGET, made.UDP, INSIDE)),
    "ipv6": made.ethernet(made.ipv6(A6, B6, made.UDP, INSIDE)),
    "vlan": made.ethernet(made.ipv4(SOURCE, TARGET, made.UDP, INSIDE), vlans=[(0x8100, 7)]),
    "qinq": made.ethernet(made.ipv6(A6, B6, made.UDP, INSIDE), vlans=[(0x88A8, 7), (0x8100, 8)]),
    "options": made.ethernet(made.ipv4(SOURCE, TARGET, made.UDP, INSIDE, options=bytes([1] * 12))),
    "extensions": made.ethernet(made.ipv6(A6, B6, made.UDP, INSIDE, extensions=[(0, made.options_header(1))])),
    "padded": made.ethernet(made.ipv4(SOURCE, TARGET, made.UDP, INSIDE)) + bytes(9),
    "checksum": made.ethernet(made.ipv4(SOURCE, TARGET, made.UDP, INSIDE, wrong_checksum=True)),
}


@pytest.mark.parametrize("copy", OUTSIDE.values(), ids=OUTSIDE)
def test_when_a_copy_is_vxlan_then_the_mirrored_frame_is_in_it(copy: bytes) -> None:
    assert inside(copy) == (5_569_041, FRAME)


def test_when_a_capture_is_of_another_link_type_then_copies_are_found() -> None:
    packet = made.ipv4(SOURCE, TARGET, made.UDP, INSIDE)
    assert inside(packet, link_type=RAW) == (5_569_041, FRAME)
    assert inside(bytes(14) + b"\x08\x00" + packet, link_type=LINUX_SLL) == (5_569_041, FRAME)


@pytest.mark.parametrize(("flags", "group", "reserved"), [(0xFF01, 0xFFFF, 0xFF), (0, 0, 0), (0x8800, 7, 0)])
def test_when_a_header_has_other_bits_then_the_vni_is_read(flags: int, group: int, reserved: int) -> None:
    header = made.vxlan(0xFFFFFF, FRAME, flags=flags, group=group, reserved=reserved)
    copy = made.ethernet(made.ipv4(SOURCE, TARGET, made.UDP, made.udp(1, 4789, header)))
    assert inside(copy) == (0xFFFFFF, FRAME)


@pytest.mark.parametrize("copy", OUTSIDE.values(), ids=OUTSIDE)
def test_when_a_copy_is_cut_anywhere_then_what_there_is_of_the_frame_is_found(copy: bytes) -> None:
    whole = vxlan.unwrap(copy)
    assert whole is not None
    for size in range(len(copy)):
        found = vxlan.unwrap(copy[:size])
        if size < whole.start:
            assert found is None
        else:
            assert found is not None
            assert (found.vni, found.start, found.end) == (whole.vni, whole.start, min(size, whole.end))
            assert found.wire == len(FRAME)


def test_when_a_copy_is_fragmented_then_the_first_part_holds_the_start_of_the_frame() -> None:
    first = made.ethernet(made.ipv4(SOURCE, TARGET, made.UDP, INSIDE[:64], more=True))
    later = made.ethernet(made.ipv4(SOURCE, TARGET, made.UDP, INSIDE[64:], offset=64))
    found = vxlan.unwrap(first)
    assert found is not None
    assert first[found.start : found.end] == FRAME[:48]
    assert found.wire == len(FRAME)
    assert vxlan.unwrap(later) is None
    assert vxlan.is_later_part(decode_frame(later))
    assert not vxlan.is_later_part(decode_frame(first))


@pytest.mark.parametrize(
    "packet",
    [
        made.ipv4(SOURCE, TARGET, made.UDP, made.udp(4789, 4790, made.vxlan(1, FRAME))),
        made.ipv4(SOURCE, TARGET, made.TCP, made.tcp(1, 4789, made.vxlan(1, FRAME))),
        made.ipv4(SOURCE, TARGET, made.UDP, made.udp(1, 4789, b"1234567")),
        # A datagram shorter than the header of VXLAN.
        made.ipv4(SOURCE, TARGET, made.UDP, b"\x00\x01\x12\xb5\x00\x0f\x00\x00" + bytes(50)),
    ],
)
def test_when_a_packet_is_no_copy_then_nothing_is_in_it(packet: bytes) -> None:
    assert vxlan.unwrap(made.ethernet(packet)) is None


def test_when_another_port_is_meant_then_only_that_counts() -> None:
    copy = made.mirrored(7, FRAME, port=20_000)
    assert inside(copy) is None
    assert inside(copy, port=20_000) == (7, FRAME)


def test_when_a_frame_is_wrapped_then_as_aws_does_it() -> None:
    copy = vxlan.wrap(FRAME, vni=5_569_041, source=SOURCE, target=TARGET)
    assert inside(copy) == (5_569_041, FRAME)
    outer = decode_frame(copy)
    assert outer.source == int(ipaddress.IPv4Address(SOURCE))
    assert outer.destination == int(ipaddress.IPv4Address(TARGET))
    assert (outer.destination_port, outer.identification, outer.fragment) == (4789, 0, None)
    assert made.checksum(copy[14:34]) == 0
    assert copy[15] == 0
    assert copy[20:23] == b"\0\0\xff"  # no flags, not "don't fragment" either; TTL 255
    assert copy[40:46] == b"\0\0\x08\0\0\0"  # no checksum of UDP; only the valid bit of VXLAN
    assert copy[49] == 0
    assert len(copy) == 14 + 20 + 8 + 8 + len(FRAME)


def test_when_the_addresses_are_of_ipv6_then_so_is_the_packet_around_the_frame() -> None:
    copy = vxlan.wrap(FRAME, vni=5_569_041, source=A6, target=B6)
    outer = decode_frame(copy)
    assert (outer.family, outer.source) == (6, int(ipaddress.IPv6Address(A6)))
    assert (outer.destination, outer.destination_port) == (int(ipaddress.IPv6Address(B6)), 4789)
    assert outer.length == 40 + 8 + 8 + len(FRAME) == len(copy) - 14
    assert inside(copy) == (5_569_041, FRAME)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vni": 0x1000000}, "a VXLAN network id is from 0 to 16777215, got 16777216"),
        ({"vni": -1}, "a VXLAN network id is from 0 to 16777215, got -1"),
        ({"frame": bytes(65_500)}, "a copy is 65535 bytes at most, got 65536"),
        ({"frame": bytes(65_520), "source": A6, "target": B6}, "a copy is 65535 bytes at most, got 65536"),
        ({"source": "::1"}, "source and target must be of one IP family, got ::1 and 10.9.0.9"),
        ({"source": "mirror"}, "'mirror' does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_fails_when_a_frame_cannot_be_wrapped(change: dict[str, object], message: str) -> None:
    given = {"frame": FRAME, "vni": 1, "source": SOURCE, "target": TARGET} | change
    with pytest.raises(ValueError, match=f"^{message}$"):
        vxlan.wrap(given.pop("frame"), **given)  # type: ignore[arg-type]


def port_of(packet: bytes) -> int:
    return vxlan.source_port(decode_frame(made.ethernet(packet)))


def test_when_packets_are_of_one_flow_then_their_copies_have_one_source_port() -> None:
    there, back = (
        made.ipv4(A, B, made.TCP, made.tcp(41000, 443)),
        made.ipv4(B, A, made.TCP, made.tcp(443, 41000)),
    )
    assert port_of(there) == port_of(back)
    ports = {port_of(made.ipv4(A, B, made.TCP, made.tcp(number, 443))) for number in range(1000, 2000)}
    assert min(ports) >= 65_408
    assert max(ports) <= 65_535
    assert len(ports) > 100


@given(st.binary(max_size=150), st.integers(0, 160), st.integers(0, 200))
def test_when_bytes_are_random_then_nothing_raises(data: bytes, start: int, size: int) -> None:
    vxlan.unwrap(data, start, start + size)


@given(st.sampled_from([*OUTSIDE.values()]), st.data())
def test_when_bytes_of_a_copy_are_changed_then_what_is_found_lies_inside(copy: bytes, data: st.DataObject) -> None:
    changed = bytearray(copy)
    places = st.tuples(st.integers(0, len(copy) - 1), st.integers(0, 255))
    for position, value in data.draw(st.lists(places, min_size=1, max_size=6)):
        changed[position] = value
    found = vxlan.unwrap(changed)
    assert found is None or 50 <= found.start <= found.end <= len(copy)
