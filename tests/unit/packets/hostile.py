"""Mirrored packets of every kind that a capture may hold, made at random, and what tshark calls a selection of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests import made_packets as made

A, B, C = "10.0.1.5", "203.0.113.7", "10.0.0.2"
A6, B6, C6 = "2001:db8::5", "2001:db8:ffff::7", "2001:db8::2"
HOSTS = {4: (A, B, C), 6: (A6, B6, C6)}
PORTS = (443, 53, 41000, 8080)
VNIS = (7, 5_569_041)
NOW = 1_780_000_000_000_000_000


@dataclass(frozen=True)
class Made:
    """A packet of a capture.

    Attributes:
        time: nanoseconds, which no other packet has.
        frame: as it was mirrored, as far as it was captured.
        record: the copy, as far as it was captured.
        whole: whether the headers in front of the upper protocol's were captured, and 8 bytes of that.
        first: time of its first fragment, where it is a later one.
    """

    time: int
    frame: bytes
    record: bytes
    whole: bool
    first: int | None = None


def captured(seed: int, outer: int, count: int = 400) -> list[Made]:
    """Return packets in order of time.

    Args:
        seed: the same gives the same.
        outer: IP version outside, 4 or 6.
        count: of mirrored packets; those in fragments count once.
    """
    rnd = random.Random(seed)
    found: list[Made] = []
    for _ in range(count):
        first, vni = None, rnd.choice(VNIS)
        for frame, upper_at, is_later in frames(rnd):
            time = NOW + len(found) * 1000
            copy = wrapped(rnd, outer, vni, frame)
            at = len(copy) - len(frame)
            if rnd.random() < 0.15:
                copy = copy[: rnd.randrange(at, len(copy) + 1)]
            found.append(Made(time, copy[at:], copy, len(copy) - at >= upper_at + 8, first if is_later else None))
            first = time if first is None else first
    return found


def frames(rnd: random.Random) -> Iterator[tuple[bytes, int, bool]]:
    """Give the frames of one packet, where in each the upper protocol begins, and whether it is a later fragment."""
    family = rnd.choice((4, 6))
    source, destination = rnd.sample(HOSTS[family], 2)
    protocol, payload = upper(rnd, family)
    vlans = rnd.choice(([], [], [], [(0x8100, 5)], [(0x88A8, 9), (0x8100, 5)]))
    if rnd.random() < 0.2:
        size = rnd.randrange(8, max(len(payload) // 8, 2) * 8, 8)
        identification = rnd.randrange(1 << 16)
        for offset, piece in ((0, payload[:size]), (size, payload[size:])):
            fragment = (offset, offset == 0, identification)
            inside = packet(rnd, family, source, destination, protocol, piece, fragment)
            frame = made.ethernet(inside, vlans=vlans)
            yield frame, len(frame) - len(piece), offset > 0
        return
    frame = made.ethernet(packet(rnd, family, source, destination, protocol, payload, None), vlans=vlans)
    upper_at = len(frame) - len(payload)
    # Padding of Ethernet; or a session that mirrors fewer bytes than there are.
    changed = frame + bytes(rnd.randrange(20)) if rnd.random() < 0.7 else frame[: rnd.randrange(14, len(frame) + 1)]
    yield changed, upper_at, False


def upper(rnd: random.Random, family: int) -> tuple[int, bytes]:
    """Return a protocol and its header with data."""
    source_port, destination_port = rnd.choice(PORTS), rnd.choice(PORTS)
    data = rnd.randbytes(rnd.randrange(120))
    kind = rnd.randrange(10)
    if kind < 5:
        return made.TCP, made.tcp(source_port, destination_port, data)
    if kind < 8:
        return made.UDP, made.udp(source_port, destination_port, data)
    # An error that quotes a packet between other hosts, with ports that are meant.
    if family == 4:
        return made.ICMP, made.icmp(3, 1, made.ipv4(A, B, made.TCP, made.tcp(41000, 443)))
    return made.ICMPV6, made.icmp(1, 0, made.ipv6(A6, B6, made.UDP, made.udp(41000, 53)))


def packet(
    rnd: random.Random,
    family: int,
    source: str,
    destination: str,
    protocol: int,
    payload: bytes,
    fragment: tuple[int, bool, int] | None,
) -> bytes:
    """Return an IP packet with options, extension headers or a wrong checksum now and then."""
    offset, more, identification = fragment or (0, False, 0)
    if family == 4:
        return made.ipv4(
            source,
            destination,
            protocol,
            payload,
            options=bytes([1] * 4 * rnd.choice((0, 0, 0, 1, 10))),
            identification=identification,
            offset=offset,
            more=more,
            wrong_checksum=rnd.random() < 0.2,
        )
    chain = [(0, made.options_header(rnd.randrange(3)))] if rnd.random() < 0.3 else []
    if fragment:
        chain.append((44, made.fragment_header(offset, more, identification)))
    elif rnd.random() < 0.3:
        chain += rnd.choice(([(60, made.options_header(1))], [(51, made.authentication_header())]))
    return made.ipv6(source, destination, protocol, payload, extensions=chain)


def wrapped(rnd: random.Random, outer: int, vni: int, frame: bytes) -> bytes:
    """Return the copy of a frame, with tags, options, extension headers and reserved bits now and then."""
    strange = {"flags": 0xFF01, "group": 3, "reserved": 0xFF} if rnd.random() < 0.2 else {}
    inside = made.udp(65_408, 4789, made.vxlan(vni, frame, **strange))
    vlans = rnd.choice(([], [], [(0x8100, 7)]))
    if outer == 4:
        options = bytes([1] * 4 * rnd.choice((0, 0, 0, 2)))
        # Outside lies the address of a host that is meant, too.
        return made.ethernet(made.ipv4(A, "10.9.0.9", made.UDP, inside, options=options), vlans=vlans)
    chain = rnd.choice(([], [], [(60, made.options_header())]))
    return made.ethernet(made.ipv6(A6, "2001:db8::9", made.UDP, inside, extensions=chain), vlans=vlans)


SELECTIONS = {
    f"host {A}": "ip.addr#{ip} == 10.0.1.5",
    f"src host {A} and dst host {B}": "ip.src#{ip} == 10.0.1.5 && ip.dst#{ip} == 203.0.113.7",
    "net 10.0.0.0/16": "ip.src#{ip} == 10.0.0.0/16 || ip.dst#{ip} == 10.0.0.0/16",
    f"host {B6} or host {A}": "ip.addr#{ip} == 10.0.1.5 || ipv6.addr#{ipv6} == 2001:db8:ffff::7",
    "net 2001:db8::/64": "ipv6.src#{ipv6} == 2001:db8::/64 || ipv6.dst#{ipv6} == 2001:db8::/64",
    "tcp port 443": "tcp.port#1 == 443 && {not_quoted}",
    "port 53": "(tcp.port#1 == 53 || udp.port#2 == 53) && {not_quoted}",
    "udp and src portrange 1-1000": "udp.srcport#2 >= 1 && udp.srcport#2 <= 1000 && {not_quoted}",
    f"host {A} and (tcp port 443 or udp port 53)": (
        "ip.addr#{ip} == 10.0.1.5 && (tcp.port#1 == 443 || udp.port#2 == 53) && {not_quoted}"
    ),
    "icmp or icmp6": "icmp || icmpv6",
}
"""Selections, and display filters of tshark that say the same of the packet in a copy."""


def display_filter(text: str, outer: int) -> str:
    """Return what tshark calls a selection: a layer has the number it has in a copy with IPv4 or IPv6 outside."""
    return SELECTIONS[text].format(
        ip=2 if outer == 4 else 1, ipv6=1 if outer == 4 else 2, not_quoted="!icmp && !icmpv6"
    )
