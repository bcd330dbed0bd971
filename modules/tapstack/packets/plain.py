"""Packets that are as most packets are, decided without decoding them: what makes reading fast.

A plain packet is in an Ethernet frame without VLAN tags, or in a copy of one with IPv4 outside, has neither options nor
extension headers, and is no fragment. Its fields have fixed places, and are all read at once. Whatever is not certainly
plain is left to `frames.decode_frame`, so that a packet is decided here only as decoding it would say.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from tapstack.domain.filter_rules import UDP
from tapstack.packets import vxlan
from tapstack.packets.frames import CHAIN, IPV4, IPV6, WITH_PORTS
from tapstack.packets.selection import MISSING, Selection

# From the EtherType on: that, version and header length, total length, fragments, protocol, ...
_IPV4: Final = struct.Struct(">HBxHxxHxBxxIIHH")
# ... that, version, payload length, next header, ...
_IPV6: Final = struct.Struct(">HBxxxHBxQQQQHH")
# ... in a copy also: source, port and length of the datagram, VNI, and from the inner EtherType on as above.
_OUTER = ">HBxHxxHxBxxIxxxxxxHHxxxxxxI12x"
_IPV4_IN_COPY: Final = struct.Struct(_OUTER + _IPV4.format[1:])
_IPV6_IN_COPY: Final = struct.Struct(_OUTER + _IPV6.format[1:])
_TYPE, _NETWORK, _INNER = 12, 14, 50
_TO_IPV4, _TO_IPV6 = _TYPE + _IPV4.size, _TYPE + _IPV6.size
_TO_IPV4_IN_COPY, _TO_IPV6_IN_COPY = _TYPE + _IPV4_IN_COPY.size, _TYPE + _IPV6_IN_COPY.size
# Bytes from the start of the outer and of the inner IP packet to the end of its ports.
_OUTER_TO_INNER: Final = 20 + 8 + vxlan.HEADER + _NETWORK
_IPV4_TO_PORTS, _IPV6_TO_PORTS = 24, 44
_FRAGMENT: Final = 0x3FFF


class Plain(NamedTuple):
    """A plain packet that is selected.

    Attributes:
        start: offset of the frame; in a copy, of the mirrored one.
        end: offset behind its last captured byte.
        wire: its length on the wire; None where that is what the capture says.
        vni: None where it is in no copy.
        outer_source: the IPv4 address that the copy came from.
    """

    start: int
    end: int
    wire: int | None
    vni: int | None
    outer_source: int


Decide = Callable[[bytes, int, int], Plain | bool]


def decider(selection: Selection, vnis: frozenset[int] | None = None, port: int = vxlan.PORT) -> Decide:
    """Return what decides on an Ethernet frame in `data[start:end]`.

    It returns what is selected, False where a plain packet is not, and True where it is to be decoded.

    Args:
        selection: of packets.
        vnis: whose copies are meant; all, and packets that are in no copy, by default.
        port: the UDP port of copies.
    """
    passes = selection.passes
    ipv4_in_copy, ipv6_in_copy = _IPV4_IN_COPY.unpack_from, _IPV6_IN_COPY.unpack_from
    ipv4, ipv6 = _IPV4.unpack_from, _IPV6.unpack_from

    def decide(data: bytes, start: int, end: int) -> Plain | bool:
        there = end - start
        if there >= _TO_IPV4_IN_COPY:
            # fmt: off
            (
                kind, first, total, fragment, protocol, outer_source, to_port, length, vni,
                inside, inner_first, size, inner_fragment, protocol_inside, source, destination, source_port,
                destination_port,
            ) = ipv4_in_copy(data, start + _TYPE)
            # fmt: on
            if kind == IPV4 and first == 0x45 and protocol == UDP and to_port == port and not fragment & _FRAGMENT:
                # A copy: what is in it is read here, or it is decoded.
                vni >>= 8
                if inside == IPV4:
                    protocol = protocol_inside
                    if inner_first != 0x45 or inner_fragment & _FRAGMENT or size < _IPV4_TO_PORTS or protocol in CHAIN:
                        return True
                    needed, family = _IPV4_TO_PORTS, 4
                elif inside == IPV6 and there >= _TO_IPV6_IN_COPY:
                    fields = ipv6_in_copy(data, start + _TYPE)[10:]
                    first, payload, protocol, high, low, high_to, low_to, source_port, destination_port = fields
                    if first >> 4 != 6 or payload < 4 or protocol in CHAIN:
                        return True
                    source, destination = high << 64 | low, high_to << 64 | low_to
                    needed, family, size = _IPV6_TO_PORTS, 6, payload + 40
                else:
                    return True
                if total < _OUTER_TO_INNER + needed or length < _OUTER_TO_INNER - 20 + needed:
                    return True
                if vnis is not None and vni not in vnis:
                    return False
                if protocol not in WITH_PORTS:
                    source_port = destination_port = MISSING
                if not passes(family, protocol, protocol, source, destination, source_port, destination_port):
                    return False
                at, mirrored = start + _INNER, length - 8 - vxlan.HEADER
                # A session may mirror fewer bytes than there were.
                wire = max(mirrored, _NETWORK + size)
                return Plain(at, min(end, start + _NETWORK + total, at + mirrored), wire, vni, outer_source)
        if there >= _TO_IPV4:
            fields = ipv4(data, start + _TYPE)
            kind, first, total, fragment, protocol, source, destination, source_port, destination_port = fields
            if kind == IPV4:
                if first != 0x45 or fragment & _FRAGMENT or total < _IPV4_TO_PORTS or protocol in CHAIN:
                    return True
                family = 4
            elif kind == IPV6 and there >= _TO_IPV6:
                fields = ipv6(data, start + _TYPE)
                _, first, total, protocol, high, low, high_to, low_to, source_port, destination_port = fields
                if first >> 4 != 6 or total < 4 or protocol in CHAIN:
                    return True
                source, destination, family = high << 64 | low, high_to << 64 | low_to, 6
            else:
                return True
            # What is sent to that port may be a copy.
            if protocol == UDP and destination_port == port:
                return True
            if vnis is not None:
                return False
            if protocol not in WITH_PORTS:
                source_port = destination_port = MISSING
            if not passes(family, protocol, protocol, source, destination, source_port, destination_port):
                return False
            return Plain(start, end, None, None, 0)
        return True

    return decide
