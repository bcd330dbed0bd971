"""Writes pcapng: interfaces with name and comment, nanoseconds, packets with comments; each block at once.

Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
from typing import Final, Protocol

from tapstack.packets.captures import MAX_CAPTURED, MAX_INTERFACES, MAX_TIME
from tapstack.packets.frames import ETHERNET, Octets

APPLICATION: Final = "Tapstack"
_MAX_TEXT: Final = 0xFFFF
_COMMENT, _NAME, _DESCRIPTION, _RESOLUTION, _APPLICATION = 1, 2, 3, 9, 4
_END: Final = bytes(4)
_PACKET: Final = struct.Struct("<IIIIIII")


class Writable(Protocol):
    """What packets are written to: a binary file, or anything else that takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take all the bytes."""


class PcapngWriter:
    """Writes one section of pcapng.

    Attributes:
        written: bytes so far.
        interfaces: how many there are so far.
    """

    def __init__(self, file: Writable, *, comment: str = "") -> None:
        """Write the header of the section.

        Args:
            file: gets bytes, a block at a time.
            comment: of the whole capture.
        """
        self._file, self.written, self.interfaces = file, 0, 0
        options = _text(_COMMENT, comment) + _text(_APPLICATION, APPLICATION)
        # The length of the section is not known before its end.
        self._block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + options + _END)

    def add_interface(self, name: str, *, description: str = "", comment: str = "", link_type: int = ETHERNET) -> int:
        """Write an interface block, and return the number that its packets are written with.

        Raises:
            ValueError: there are `MAX_INTERFACES` already.
        """
        if self.interfaces == MAX_INTERFACES:
            raise ValueError(f"a capture has {MAX_INTERFACES} interfaces at most")
        options = _text(_COMMENT, comment) + _text(_NAME, name) + _text(_DESCRIPTION, description)
        options += _option(_RESOLUTION, b"\x09") + _END
        self._block(1, struct.pack("<HHI", link_type, 0, MAX_CAPTURED) + options)
        self.interfaces += 1
        return self.interfaces - 1

    def add_packet(self, interface: int, time: int, data: Octets, wire: int, *, comment: str = "") -> None:
        """Write a packet.

        Args:
            interface: as `add_interface` returned it.
            time: nanoseconds since 1970, 0 to 2**64 - 1.
            data: what was captured of the packet.
            wire: its length on the wire; the length of `data`, where it is less.
            comment: of this packet; none by default.

        Raises:
            ValueError: the interface is not known, the packet is longer than `MAX_CAPTURED`, or the time is out of
                range.
        """
        size = len(data)
        if not 0 <= interface < self.interfaces:
            raise ValueError(f"no interface {interface} was added")
        if size > MAX_CAPTURED:
            raise ValueError(f"a packet has {MAX_CAPTURED} bytes at most, got {size}")
        if not 0 <= time <= MAX_TIME:
            raise ValueError(f"a time is from 0 to {MAX_TIME} nanoseconds, got {time}")
        wire = min(max(wire, size), 0xFFFFFFFF)
        options = _text(_COMMENT, comment) + _END if comment else b""
        padding = bytes(-size % 4)
        length = 32 + size + len(padding) + len(options)
        header = _PACKET.pack(6, length, interface, time >> 32, time & 0xFFFFFFFF, size, wire)
        self._write(b"".join((header, data, padding, options, struct.pack("<I", length))))

    def _block(self, kind: int, body: bytes) -> None:
        length = len(body) + 12
        self._write(struct.pack("<II", kind, length) + body + struct.pack("<I", length))

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self.written += len(data)


def _text(code: int, text: str) -> bytes:
    """Return an option that holds a text, cut to what fits; none for an empty text."""
    value = text.encode(errors="replace")[:_MAX_TEXT].decode(errors="ignore").encode()
    return _option(code, value) if value else b""


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
