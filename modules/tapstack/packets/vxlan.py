"""Mirrored copies: what is in them, and how AWS makes them.

AWS wraps each mirrored frame in VXLAN (RFC 7348). Copies that others make are read, too: IPv4 or IPv6 outside, VLAN
tags, IP options and extension headers, GBP and reserved bits, without the flag that the VNI is valid, and cut ones.

Sources: VPC Traffic Mirroring guide, "Traffic mirroring packet format"; what AWS leaves open (addresses, TTL, source
port) is as in copies of 2019 that were published as a test of Suricata.
"""

from __future__ import annotations

import ipaddress
import struct
import zlib
from typing import Final, NamedTuple

from tapstack.domain.filter_rules import ICMP, ICMPV6, TCP, UDP
from tapstack.packets.frames import ETHERNET, IPV4, IPV6, Headers, Octets, decode_frame

PORT: Final = 4789
HEADER: Final = 8
"""Bytes of the VXLAN header."""
VNIS: Final = (0, 0xFF_FFFF)
_VALID: Final = 0x0800
_SOURCE_PORTS: Final = (65_408, 128)
_TTL: Final = 255
_OUTER_MACS: Final = bytes.fromhex("020000000002020000000001")


class Copy(NamedTuple):
    """A mirrored frame in the copy of it.

    Attributes:
        vni: VXLAN network id, 0 to 16,777,215.
        start: offset of the mirrored frame.
        end: offset behind its last captured byte.
        wire: length of the mirrored frame as the outer headers have it; more than was captured if the copy is cut, or
            is the first fragment of one.
        outer: the headers outside.
    """

    vni: int
    start: int
    end: int
    wire: int
    outer: Headers


def unwrap(
    data: Octets, start: int = 0, end: int | None = None, link_type: int = ETHERNET, *, port: int = PORT
) -> Copy | None:
    """Return the mirrored frame in the copy that is in `data[start:end]`; None if that is no VXLAN.

    A later fragment of a copy is None: it alone does not say what it belongs to. `is_later_part` recognizes those.

    Args:
        data: bytes that contain the copy.
        start: offset of its first byte.
        end: offset behind its last captured byte; the end of `data` when omitted.
        link_type: of the capture.
        port: the UDP port that VXLAN was sent to.
    """
    return copy_behind(data, decode_frame(data, start, end, link_type), port)


def copy_behind(data: Octets, outer: Headers, port: int = PORT) -> Copy | None:
    """Return what `unwrap` does, of a frame in `data` whose headers are decoded already."""
    if outer.destination_port != port or outer.protocol != UDP or outer.transport is None:
        return None
    inner = outer.transport + 8 + HEADER
    if inner > outer.end:
        return None
    (length,) = struct.unpack_from(">H", data, outer.transport + 4)
    # Of the whole datagram: a fragment, or a copy that is cut, has less of it.
    wire = length - 8 - HEADER
    if wire < 0:
        return None
    vni = int.from_bytes(data[inner - 4 : inner - 1], "big")
    return Copy(vni, inner, min(outer.end, inner + wire), wire, outer)


def is_later_part(outer: Headers) -> bool:
    """Whether a packet is a later fragment of a UDP datagram, so perhaps of a copy."""
    return outer.fragment == "later" and outer.protocol == UDP


def source_port(inner: Headers) -> int:
    """Return the UDP port that a copy is sent from: the same for both directions of a flow.

    AWS: a hash of the 5-tuple of TCP, UDP and ICMP, and of the 3-tuple of other protocols. The range is that of the
    published copy.
    """
    ends = sorted([(inner.source or 0, inner.source_port or 0), (inner.destination or 0, inner.destination_port or 0)])
    if inner.protocol not in (TCP, UDP, ICMP, ICMPV6):
        ends = [(address, 0) for address, _ in ends]
    first, count = _SOURCE_PORTS
    return first + zlib.crc32(repr((inner.protocol, ends)).encode()) % count


def datagram(frame: bytes, vni: int) -> bytes:
    """Return what is sent to a mirror target by UDP: the VXLAN header and the mirrored frame.

    Raises:
        ValueError: the VNI is outside `VNIS`.
    """
    if not VNIS[0] <= vni <= VNIS[1]:
        raise ValueError(f"a VXLAN network id is from {VNIS[0]} to {VNIS[1]}, got {vni}")
    return struct.pack(">HHI", _VALID, 0, vni << 8) + frame


def wrap(frame: bytes, *, vni: int, source: str, target: str, port: int = PORT) -> bytes:
    """Return the copy of a frame as AWS sends it: Ethernet, IPv4 or IPv6, UDP, VXLAN and the frame.

    Args:
        frame: what is copied of the mirrored Ethernet frame: as much as `mirroring.Verdict.kept` says.
        vni: of the session, 0 to 16,777,215.
        source: primary address of the mirrored interface.
        target: address of the mirror target, of the same family.
        port: the UDP port to send to.

    Raises:
        ValueError: the VNI is out of range, an address is none, the addresses are of two families, or the copy is
            longer than an IP packet can be.
    """
    outer_source, outer_target = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if outer_source.version != outer_target.version:
        raise ValueError(f"source and target must be of one IP family, got {source} and {target}")
    inside = datagram(frame, vni)
    # Without a checksum: AWS sets none, and over IPv6 tunnels may go without one (RFC 6935).
    udp = struct.pack(">HHHH", source_port(decode_frame(frame)), port, (8 + len(inside)) & 0xFFFF, 0) + inside
    length = len(udp) + (20 if outer_source.version == 4 else 0)
    if length > 0xFFFF:
        raise ValueError(f"a copy is 65535 bytes at most, got {length}")
    ends = outer_source.packed + outer_target.packed
    if outer_source.version == 6:
        return _OUTER_MACS + struct.pack(">HIHBB", IPV6, 0x6000_0000, length, UDP, _TTL) + ends + udp
    header = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, _TTL, UDP, 0) + ends
    header = header[:10] + struct.pack(">H", _checksum(header)) + header[12:]
    return _OUTER_MACS + struct.pack(">H", IPV4) + header + udp


def _checksum(header: bytes) -> int:
    """Return the internet checksum (RFC 1071) of a header of even length."""
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
