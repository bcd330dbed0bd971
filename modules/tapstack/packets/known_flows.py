"""Flows of which no packet is selected: what makes reading fast.

Most packets of a capture are of a few flows, and most flows are not meant. The decision on a packet without fragments,
options, VLAN tags and extension headers depends on some of its bytes only: those are looked up, and the packet is
decoded only if they are new. A flow is known once one of its packets was decoded and not selected, so that a packet is
skipped only if decoding it would have said the same.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tapstack.domain.filter_rules import UDP
from tapstack.packets.frames import Headers
from tapstack.packets.vxlan import Copy

MAX_FLOWS: Final = 50_000
"""Flows of one layout that are remembered at most; then all are forgotten."""

_NETWORK, _INNER = 14, 64
"""Offsets of the IP header in an Ethernet frame, and of the inner one in a copy of it with IPv4 outside."""


class _Layout(NamedTuple):
    """How a packet may lie in a frame.

    Attributes:
        size: bytes of the frame that count.
        mask: of these, the bits that the decision depends on, as a number.
        lengths: offsets of two-byte lengths and what each has to be at least, so that nothing that counts is cut off.
        found: flows, as numbers.
    """

    size: int
    mask: int
    lengths: tuple[tuple[int, int], ...]
    found: set[int]


def _layout(size: int, parts: dict[int, str], lengths: tuple[tuple[int, int], ...]) -> _Layout:
    mask = bytearray(size)
    for offset, bits in parts.items():
        part = bytes.fromhex(bits)
        mask[offset : offset + len(part)] = part
    return _Layout(size, int.from_bytes(mask, "big"), lengths, set())


def _ipv4(at: int) -> dict[int, str]:
    # Version and header length; fragments but for "don't fragment"; protocol; addresses and ports.
    return {at - 2: "ffff", at: "ff", at + 6: "bfff", at + 9: "ff", at + 12: "ff" * 12}


def _ipv6(at: int) -> dict[int, str]:
    # Version; next header; addresses and ports.
    return {at - 2: "ffff", at: "f0", at + 6: "ff", at + 8: "ff" * 36}


class KnownFlows:
    """Flows of one selection; of Ethernet frames only."""

    def __init__(self) -> None:
        """Begin with none."""
        # Outside: IPv4 as above, but neither addresses nor source port; the VNI.
        outside = {12: "ffff", 14: "ff", 20: "bfff", 23: "ff", 36: "ffff", 46: "ffffff"}
        # The lengths of the packet outside and its datagram, so that the ports inside are in them.
        self._copies = {
            4: _layout(_INNER + 24, outside | _ipv4(_INNER), ((16, 74), (38, 54), (_INNER + 2, 24))),
            6: _layout(_INNER + 44, outside | _ipv6(_INNER), ((16, 94), (38, 74), (_INNER + 4, 4))),
        }
        self._plain = {
            4: _layout(_NETWORK + 24, _ipv4(_NETWORK), ((_NETWORK + 2, 24),)),
            6: _layout(_NETWORK + 44, _ipv6(_NETWORK), ((_NETWORK + 4, 4),)),
        }
        self._all = (*self._copies.values(), *self._plain.values())

    def has(self, data: bytes, start: int, end: int) -> bool:
        """Whether the frame in `data[start:end]` is of a known flow."""
        there = end - start
        for size, mask, lengths, found in self._all:
            if there >= size and int.from_bytes(data[start : start + size], "big") & mask in found:
                for offset, least in lengths:
                    if not data[start + offset] and data[start + offset + 1] < least:
                        break
                else:
                    return True
        return False

    def add(self, data: bytes, start: int, end: int, copy: Copy | None, headers: Headers, port: int) -> None:
        """Remember the flow of a frame that was decoded and not selected, if all that counts lies as in a layout.

        Args:
            data: bytes that contain the frame.
            start: offset of its first byte.
            end: offset behind its last captured byte.
            copy: the frame in it, if it is a mirrored copy.
            headers: of the mirrored frame, or of the frame itself.
            port: the UDP port of copies.
        """
        if headers.family is None or headers.transport is None or headers.network is None or headers.fragment:
            return
        at = _NETWORK if copy is None else _INNER
        options = headers.transport - headers.network - (20 if headers.family == 4 else 40)
        if headers.network - start != at or options or headers.vlans or headers.protocol != headers.ip_protocol:
            return
        if copy is None:
            # What is sent to that port may be a copy, of which the bytes that count lie elsewhere.
            if headers.protocol == UDP and headers.destination_port == port:
                return
        elif copy.outer.fragment or (copy.outer.family, copy.outer.network, copy.outer.transport) != (
            4,
            start + _NETWORK,
            start + _NETWORK + 20,
        ):
            return
        size, mask, lengths, found = (self._plain if copy is None else self._copies)[headers.family]
        if end - start < size:
            return
        if any(int.from_bytes(data[start + at : start + at + 2], "big") < least for at, least in lengths):
            return
        if len(found) >= MAX_FLOWS:
            found.clear()
        found.add(int.from_bytes(data[start : start + size], "big") & mask)
