"""What the headers of one frame say: VLANs, IPv4 and IPv6 with extension headers, fragments, ports.

Nothing is copied, and nothing raises: a frame may be cut anywhere, and any field may be wrong. A field that was not
captured is None. Checksums are not looked at: copies of packets that left a host may lack right ones.

Sources: RFC 791, RFC 8200 and RFC 7045 (extension headers), RFC 4302 (authentication header), IEEE 802.1Q.
"""

from __future__ import annotations

import struct
from typing import Final, Literal, NamedTuple

from tapstack.domain.filter_rules import ICMP, ICMPV6, TCP, UDP

Fragment = Literal["first", "later"]
Octets = bytes | bytearray | memoryview

IPV4: Final = 0x0800
ARP: Final = 0x0806
IPV6: Final = 0x86DD
VLAN_TYPES: Final = frozenset({0x8100, 0x88A8, 0x9100})
"""EtherTypes of VLAN tags: 802.1Q, 802.1ad, and what was used before 802.1ad."""

SCTP: Final = 132
WITH_PORTS: Final = frozenset({TCP, UDP, SCTP})
"""Protocols whose header begins with a source and a destination port."""

# Link types of pcap: https://www.tcpdump.org/linktypes.html
ETHERNET: Final = 1
RAW: Final = 101
RAW_IPV4: Final = 228
RAW_IPV6: Final = 229
LINUX_SLL: Final = 113
LINUX_SLL2: Final = 276
LINK_TYPES: Final = frozenset({ETHERNET, RAW, RAW_IPV4, RAW_IPV6, LINUX_SLL, LINUX_SLL2})
"""What `decode_frame` decodes; a frame of another link type has no headers."""

_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51
# Hop-by-hop options, routing, destination options, mobility, HIP and shim6: their second byte is the length.
_EXTENSIONS: Final = frozenset({0, 43, 60, 135, 139, 140})
CHAIN: Final = _EXTENSIONS | {_FRAGMENT, _AUTHENTICATION}
"""Protocol numbers of headers that are looked through for the upper protocol."""

_TYPE: Final = struct.Struct(">H")
_TAG: Final = struct.Struct(">HH")
_IPV4: Final = struct.Struct(">BxHHHxBxxII")
_IPV6: Final = struct.Struct(">4xHBxQQQQ")
_PORTS: Final = struct.Struct(">HH")
_FRAGMENT_HEADER: Final = struct.Struct(">BxHI")


class Headers(NamedTuple):
    """What the headers of a frame say; None where there is no such field, or it was not captured.

    Attributes:
        family: 4 or 6, by the version in the IP header; None where there is no IP packet.
        source: address, as `ipaddress.IPv4Address` and `IPv6Address` take it.
        destination: likewise.
        ip_protocol: what the IP header itself names: the protocol of IPv4, the first next header of IPv6.
        protocol: the upper protocol, 0 to 255, after IPv6's extension headers and authentication headers (AH). Of a
            later fragment that of its data as the fragment names it, which may be one more extension header.
        source_port: of TCP, UDP and SCTP; None in later fragments.
        destination_port: likewise.
        fragment: `first` or `later`; None for a packet that is whole, also one with a fragment header.
        identification: of IPv4, or of IPv6's fragment header: what fragments of one packet have in common.
        icmp_type: of ICMP and ICMPv6, 0 to 255.
        icmp_code: likewise.
        tcp_flags: the lowest eight: FIN is 1, SYN 2, RST 4, PSH 8, ACK 16.
        ether_type: behind all VLAN tags; a length below 0x0600 in frames of 802.3.
        vlans: ids, the outermost first.
        network: offset of the IP header.
        transport: offset of the upper protocol's header, or of a later fragment's data; None if it was not captured.
        end: offset behind the last captured byte of the IP packet; padding of the frame is not part of it.
        length: of the IP packet with its header, as its header says it; if that says 0, as captured.
    """

    family: Literal[4, 6] | None = None
    source: int | None = None
    destination: int | None = None
    ip_protocol: int | None = None
    protocol: int | None = None
    source_port: int | None = None
    destination_port: int | None = None
    fragment: Fragment | None = None
    identification: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    tcp_flags: int | None = None
    ether_type: int | None = None
    vlans: tuple[int, ...] = ()
    network: int | None = None
    transport: int | None = None
    end: int = 0
    length: int | None = None


def decode_frame(data: Octets, start: int = 0, end: int | None = None, link_type: int = ETHERNET) -> Headers:
    """Decode the frame that is in `data[start:end]`; offsets in what is returned count from the start of `data`.

    Args:
        data: bytes that contain the frame.
        start: offset of its first byte.
        end: offset behind its last captured byte; the end of `data` when omitted.
        link_type: of the capture; frames of a type that is not in `LINK_TYPES` have no headers.
    """
    size = len(data)
    end = size if end is None or end > size else end
    if link_type == ETHERNET:
        offset = start + 12
    elif link_type in (RAW, RAW_IPV4, RAW_IPV6):
        return decode_ip(data, start, end)
    elif link_type == LINUX_SLL:
        offset = start + 14
    elif link_type == LINUX_SLL2:
        return _behind_type(data, start, start + 20, end) if end >= start + 20 else Headers(end=end)
    else:
        return Headers(end=end)
    return _behind_type(data, offset, offset + 2, end)


def _behind_type(data: Octets, offset: int, behind: int, end: int) -> Headers:
    """Decode what is behind an EtherType at an offset, and its VLAN tags."""
    if offset + 2 > end:
        return Headers(end=end)
    (ether_type,) = _TYPE.unpack_from(data, offset)
    if ether_type in (IPV4, IPV6):
        return decode_ip(data, behind, end, ether_type)
    if ether_type not in VLAN_TYPES:
        return Headers(ether_type=ether_type, end=end)
    vlans: list[int] = []
    while ether_type in VLAN_TYPES:
        if behind + 4 > end:
            return Headers(ether_type=ether_type, vlans=tuple(vlans), end=end)
        tag, ether_type = _TAG.unpack_from(data, behind)
        vlans.append(tag & 0xFFF)
        behind += 4
    if ether_type in (IPV4, IPV6):
        return decode_ip(data, behind, end, ether_type, tuple(vlans))
    return Headers(ether_type=ether_type, vlans=tuple(vlans), end=end)


def decode_ip(
    data: Octets, start: int, end: int, ether_type: int | None = None, vlans: tuple[int, ...] = ()
) -> Headers:
    """Decode the IP packet that begins at `data[start]`; `end` is behind its last captured byte, padding included.

    Args:
        data: bytes that contain the packet.
        start: offset of its first byte.
        end: at most the length of `data`.
        ether_type: of the frame, if it has one: IPv4's and IPv6's are both decoded by the version in the header.
        vlans: of the frame.
    """
    if start >= end:
        return Headers(ether_type=ether_type, vlans=vlans, end=end)
    version = data[start] >> 4
    if version == 4:
        return _decode_ipv4(data, start, end, ether_type, vlans)
    if version == 6:
        return _decode_ipv6(data, start, end, ether_type, vlans)
    return Headers(ether_type=ether_type, vlans=vlans, end=end)


def _decode_ipv4(data: Octets, start: int, end: int, ether_type: int | None, vlans: tuple[int, ...]) -> Headers:
    if end - start < 20:
        return _cut_ipv4(data, start, end, ether_type, vlans)
    first, length, identification, fragments, protocol, source, destination = _IPV4.unpack_from(data, start)
    header = (first & 0xF) * 4
    # A length of 0 is what a host leaves to its network card that cuts large segments.
    length = length or end - start
    if header < 20 or length < header:
        return Headers(4, ether_type=ether_type, vlans=vlans, network=start, end=end, length=length)
    end = min(end, start + length)
    fragment: Fragment | None = None
    if fragments & 0x3FFF:
        fragment = "later" if fragments & 0x1FFF else "first"
    ip_protocol = protocol
    transport: int | None = start + header
    if protocol == _AUTHENTICATION and fragment != "later":
        protocol, transport, fragment, _ = _walk(data, protocol, start + header, end, fragment)
    if transport is not None and transport >= end:
        transport = None
    source_port = destination_port = icmp_type = icmp_code = tcp_flags = None
    if transport is not None and fragment != "later":
        if protocol in WITH_PORTS:
            source_port, destination_port, tcp_flags = _ports(data, transport, end, protocol)
        elif protocol in (ICMP, ICMPV6):
            icmp_type = data[transport]
            icmp_code = data[transport + 1] if transport + 2 <= end else None
    return Headers(
        4,
        source,
        destination,
        ip_protocol,
        protocol,
        source_port,
        destination_port,
        fragment,
        identification,
        icmp_type,
        icmp_code,
        tcp_flags,
        ether_type,
        vlans,
        start,
        transport,
        end,
        length,
    )


def _cut_ipv4(data: Octets, start: int, end: int, ether_type: int | None, vlans: tuple[int, ...]) -> Headers:
    """Decode what there is of an IPv4 header of which fewer than 20 bytes were captured."""
    there = end - start
    fragments = _number(data, start + 6, 2) if there >= 8 else 0
    protocol = data[start + 9] if there >= 10 else None
    return Headers(
        4,
        source=_number(data, start + 12, 4) if there >= 16 else None,
        ip_protocol=protocol,
        protocol=None if protocol == _AUTHENTICATION else protocol,
        fragment=("later" if fragments & 0x1FFF else "first") if fragments & 0x3FFF else None,
        identification=_number(data, start + 4, 2) if there >= 6 else None,
        ether_type=ether_type,
        vlans=vlans,
        network=start,
        end=end,
        length=_number(data, start + 2, 2) if there >= 4 else None,
    )


def _decode_ipv6(data: Octets, start: int, end: int, ether_type: int | None, vlans: tuple[int, ...]) -> Headers:
    there = end - start
    if there < 40:
        following = data[start + 6] if there >= 7 else None
        return Headers(
            6,
            source=_number(data, start + 8, 16) if there >= 24 else None,
            ip_protocol=following,
            protocol=None if following in CHAIN else following,
            ether_type=ether_type,
            vlans=vlans,
            network=start,
            end=end,
            length=_number(data, start + 4, 2) + 40 if there >= 6 else None,
        )
    payload, ip_protocol, high, low, high_to, low_to = _IPV6.unpack_from(data, start)
    # A length of 0 is a jumbogram's, or what a host leaves to its network card that cuts large segments.
    length = payload + 40 if payload else there
    end = min(end, start + length)
    protocol: int | None = ip_protocol
    transport: int | None = start + 40
    fragment: Fragment | None = None
    identification: int | None = None
    if ip_protocol in CHAIN:
        protocol, transport, fragment, identification = _walk(data, ip_protocol, start + 40, end, None)
    if transport is not None and transport >= end:
        transport = None
    source_port = destination_port = icmp_type = icmp_code = tcp_flags = None
    if transport is not None and fragment != "later":
        if protocol in WITH_PORTS:
            source_port, destination_port, tcp_flags = _ports(data, transport, end, protocol)
        elif protocol in (ICMP, ICMPV6):
            icmp_type = data[transport]
            icmp_code = data[transport + 1] if transport + 2 <= end else None
    return Headers(
        6,
        high << 64 | low,
        high_to << 64 | low_to,
        ip_protocol,
        protocol,
        source_port,
        destination_port,
        fragment,
        identification,
        icmp_type,
        icmp_code,
        tcp_flags,
        ether_type,
        vlans,
        start,
        transport,
        end,
        length,
    )


def _walk(
    data: Octets, protocol: int, offset: int, end: int, fragment: Fragment | None
) -> tuple[int | None, int | None, Fragment | None, int | None]:
    """Go through extension headers; return the upper protocol, where it begins, and what the fragment header says.

    Each header is 8 bytes or longer, so that this ends. The protocol is None where the chain is cut before it is named.
    """
    identification: int | None = None
    while protocol in CHAIN:
        if offset + 8 > end:
            # The first byte of an extension header is the next one's number; that alone does not say where it is.
            return None, None, fragment, identification
        if protocol == _FRAGMENT:
            protocol, fragments, identification = _FRAGMENT_HEADER.unpack_from(data, offset)
            offset += 8
            if fragments & 0xFFF8:
                return protocol, offset, "later", identification
            if fragments & 1:
                fragment = "first"
        else:
            following, length = data[offset], data[offset + 1]
            offset += (length + 2) * 4 if protocol == _AUTHENTICATION else (length + 1) * 8
            protocol = following
    return protocol, offset, fragment, identification


def _ports(data: Octets, at: int, end: int, protocol: int | None) -> tuple[int | None, int | None, int | None]:
    """Return the ports, and the flags of TCP."""
    if at + 4 > end:
        return None, None, None
    source, destination = _PORTS.unpack_from(data, at)
    return source, destination, data[at + 13] if protocol == TCP and at + 14 <= end else None


def _number(data: Octets, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "big")
