"""Frames made by hand, field by field, for tests and benchmarks of packets."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable
from typing import Final

from tapstack.domain.filter_rules import ICMP, ICMPV6, TCP, UDP

__all__ = ["ICMP", "ICMPV6", "TCP", "UDP"]

MACS: Final = bytes.fromhex("0a000000000b0a000000000a")


def checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(payload: bytes, ether_type: int | None = None, *, vlans: Iterable[tuple[int, int]] = ()) -> bytes:
    """Return a frame; vlans as (EtherType of the tag, id), the outermost first; the type by the payload's version."""
    if ether_type is None:
        ether_type = 0x86DD if payload[0] >> 4 == 6 else 0x0800
    tags = b"".join(struct.pack(">HH", tpid, 0x2000 | number) for tpid, number in vlans)
    return MACS + tags + struct.pack(">H", ether_type) + payload


def ipv4(
    source: str,
    destination: str,
    protocol: int,
    payload: bytes,
    *,
    options: bytes = b"",
    identification: int = 1,
    offset: int = 0,
    more: bool = False,
    flags: int = 0,
    ttl: int = 64,
    length: int | None = None,
    wrong_checksum: bool = False,
) -> bytes:
    """Return an IPv4 packet; options a multiple of 4 bytes, offset a multiple of 8."""
    size = 20 + len(options) + len(payload) if length is None else length
    header = struct.pack(
        ">BBHHHBBH4s4s",
        0x40 | 5 + len(options) // 4,
        0,
        size,
        identification,
        flags | offset // 8 | (0x2000 if more else 0),
        ttl,
        protocol,
        0,
        ipaddress.IPv4Address(source).packed,
        ipaddress.IPv4Address(destination).packed,
    )
    header += options
    right = checksum(header) ^ (0x0101 if wrong_checksum else 0)
    return header[:10] + struct.pack(">H", right) + header[12:] + payload


def ipv6(
    source: str,
    destination: str,
    protocol: int,
    payload: bytes,
    *,
    extensions: Iterable[tuple[int, bytes]] = (),
    length: int | None = None,
) -> bytes:
    """Return an IPv6 packet; extensions as (number, header without its first byte, which is filled in)."""
    chain = [*extensions]
    numbers = [number for number, _ in chain] + [protocol]
    body = (
        b"".join(bytes([following]) + rest for (_, rest), following in zip(chain, numbers[1:], strict=True)) + payload
    )
    return (
        struct.pack(
            ">IHBB16s16s",
            0x60000000,
            len(body) if length is None else length,
            numbers[0],
            64,
            ipaddress.IPv6Address(source).packed,
            ipaddress.IPv6Address(destination).packed,
        )
        + body
    )


def options_header(units: int = 0) -> bytes:
    """Return hop-by-hop or destination options, or a routing header of unknown type, of (units + 1) * 8 bytes."""
    # PadN fills what is behind the length.
    return bytes([units, 1, units * 8 + 4]) + bytes(units * 8 + 4)


def fragment_header(offset: int, more: bool, identification: int) -> bytes:
    """Return IPv6's fragment header without its first byte; offset a multiple of 8."""
    return struct.pack(">xHI", offset | more, identification)


def authentication_header(words: int = 4) -> bytes:
    """Return an authentication header without its first byte, whose length field is `words`: (words + 2) * 4 bytes."""
    return bytes([words]) + bytes(2) + struct.pack(">II", 0x100, 1) + bytes((words + 2) * 4 - 12)


def tcp(
    source_port: int, destination_port: int, payload: bytes = b"", *, flags: int = 0x18, sequence: int = 1
) -> bytes:
    """Return a TCP segment; its checksum is 0, so wrong."""
    return struct.pack(">HHIIBBHHH", source_port, destination_port, sequence, 1, 0x50, flags, 64000, 0, 0) + payload


def udp(source_port: int, destination_port: int, payload: bytes = b"") -> bytes:
    """Return a UDP datagram without a checksum."""
    return struct.pack(">HHHH", source_port, destination_port, 8 + len(payload), 0) + payload


def icmp(kind: int, code: int = 0, payload: bytes = bytes(8)) -> bytes:
    """Return an ICMP message without a right checksum."""
    return struct.pack(">BBHI", kind, code, 0, 0) + payload


def vxlan(vni: int, frame: bytes, *, flags: int = 0x0800, group: int = 0, reserved: int = 0) -> bytes:
    """Return a VXLAN header and the frame in it."""
    return struct.pack(">HHI", flags, group, vni << 8 | reserved) + frame


def mirrored(
    vni: int,
    frame: bytes,
    *,
    source: str = "10.9.0.5",
    target: str = "10.9.0.9",
    source_port: int = 65408,
    port: int = 4789,
) -> bytes:
    """Return a copy of a frame as AWS sends it: Ethernet, IPv4, UDP and VXLAN outside."""
    return ethernet(ipv4(source, target, UDP, udp(source_port, port, vxlan(vni, frame)), identification=0, ttl=255))
