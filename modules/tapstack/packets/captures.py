"""Reads captures: pcap with micro- or nanoseconds and pcapng, either as they are or compressed with gzip.

A stream with bounded memory: a chunk of `CHUNK` bytes, or one block where that is longer, whatever the file's size. Of
what was cut in the middle of a record all before it is given; whatever else is wrong raises `CaptureError`, after all
before it was given.

Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Final, Protocol

CHUNK: Final = 1 << 20
"""Bytes read at a time."""
MAX_CAPTURED: Final = 262_144
"""Bytes of one packet at most: the longest that tcpdump and Wireshark accept of a network interface."""
MAX_BLOCK: Final = 16 << 20
"""Bytes of one block of pcapng at most, as in Wireshark."""
MAX_INTERFACES: Final = 65_536
"""Interfaces of one section of pcapng at most."""
MAX_TIME: Final = (1 << 64) - 1
"""Nanoseconds since 1970, which is in 2554. A time beyond counts as that, and one before 1970 as 0."""

NANOSECONDS: Final = 1_000_000_000
"""Of a second."""
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
# Magic number: byte order, and nanoseconds of one unit of the fraction.
_PCAP: Final = {
    bytes.fromhex("d4c3b2a1"): ("<", 1000),
    bytes.fromhex("a1b2c3d4"): (">", 1000),
    bytes.fromhex("4d3cb2a1"): ("<", 1),
    bytes.fromhex("a1b23c4d"): (">", 1),
}
_PCAPNG: Final = bytes.fromhex("0a0d0d0a")
_COMPRESSED_CHUNK: Final = 1 << 16
_BYTE_ORDERS: Final = {bytes.fromhex("4d3c2b1a"): "<", bytes.fromhex("1a2b3c4d"): ">"}
_NAMED: Final = {
    bytes.fromhex("34cdb2a1"): "a pcap of a modified libpcap of 1999",
    bytes.fromhex("a1b2cd34"): "a pcap of a modified libpcap of 1999",
    _ZSTD: "compressed with zstd: decompress it with `zstd -d`",
    b"PK\x03\x04": "a zip archive: unpack it",
    b"\xfd7zX": "compressed with xz: decompress it with `xz -d`",
    b"snoo": "a snoop capture: convert it with `editcap -F pcapng`",
}
_INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED, _SECTION = 1, 2, 3, 6, 0x0A0D0D0A
_SHORTEST: Final = {_INTERFACE: 20, _OLD_PACKET: 32, _SIMPLE: 16, _ENHANCED: 32, _SECTION: 28}
_IF_NAME, _IF_TSRESOL, _IF_TSOFFSET = 2, 9, 14


class CaptureError(Exception):
    """What makes a capture unreadable from some offset on.

    Attributes:
        name: of the capture.
        offset: bytes from its start, decompressed.
        problem: what is wrong there.
    """

    def __init__(self, name: str, offset: int, problem: str) -> None:
        """Say where and what."""
        super().__init__(f"{name}: at byte {offset}: {problem}")
        self.name, self.offset, self.problem = name, offset, problem


@dataclass(frozen=True, slots=True)
class Interface:
    """Where packets of a capture were seen.

    Attributes:
        link_type: of its frames, as `frames.decode_frame` takes it.
        name: as the capture has it; empty where it has none, as in each pcap.
    """

    link_type: int
    name: str = ""


Record = tuple[bytes, int, int, int, int, Interface]
"""One packet: a buffer, where in it the packet starts and ends, nanoseconds since 1970, its length on the wire, and its
interface. Packets of pcapng's simple packet blocks have no time, which counts as 0. A plain tuple, because making
anything else would take as long as reading does."""


class CaptureReader:
    """Iterates over the records of one capture, once.

    Attributes:
        name: as messages have it.
        cut: where and how the capture ends in the middle of a record, in words; None as long as it does not.
        read: bytes of the file so far, compressed or not.
    """

    def __init__(self, file: Readable, name: str = "capture", *, chunk: int = CHUNK) -> None:
        """Read from a file.

        Args:
            file: gives bytes.
            name: for messages.
            chunk: bytes read at a time.
        """
        self.name, self._chunk = name, chunk
        self.read = 0
        self.cut: str | None = None
        self._file = file
        self._inflater: _Inflater | None = None
        # What was read and not used yet, and the offset in the capture at which it begins.
        self._buffer, self._base = b"", 0

    def __iter__(self) -> Iterator[Record]:
        """Give one record after the other.

        Raises:
            CaptureError: the bytes are of no capture, or from some offset on not what its format allows.
        """
        if self._fill(0, 4) and self._buffer.startswith(_GZIP):
            self._inflater, self._buffer = _Inflater(self._read_file, self._buffer), b""
            self._fill(0, 4)
        magic = self._buffer[:4]
        if magic in _PCAP:
            return self._pcap(*_PCAP[magic])
        if magic == _PCAPNG:
            return self._pcapng()
        if not magic:
            raise CaptureError(self.name, 0, self.cut or "an empty file: a capture begins with a header")
        raise CaptureError(self.name, 0, f"neither pcap nor pcapng, but {_NAMED.get(magic, f'bytes {magic.hex()}')}")

    def _fill(self, position: int, size: int) -> bool:
        """Drop what is before a position, and read until so many bytes are there; whether they are."""
        parts = [self._buffer[position:]]
        there = len(parts[0])
        self._base += position
        while there < size:
            try:
                chunk = self._read_more(max(self._chunk, size - there))
            except (zlib.error, OSError) as error:
                self._buffer = b"".join(parts)
                problem = f"cannot be read: {error}" if isinstance(error, OSError) else f"damaged gzip data: {error}"
                raise CaptureError(self.name, self._base + there, problem) from None
            if not chunk:
                break
            parts.append(chunk)
            there += len(chunk)
        self._buffer = b"".join(parts) if len(parts) > 1 else parts[0]
        return there >= size

    def _read_more(self, size: int) -> bytes:
        return self._read_file(size) if self._inflater is None else self._inflater.read(size)

    def _read_file(self, size: int) -> bytes:
        data = self._file.read(size)
        self.read += len(data)
        return data

    def _error(self, position: int, problem: str) -> CaptureError:
        return CaptureError(self.name, self._base + position, problem)

    def _ends(self, position: int, what: str) -> None:
        """Note that the capture ends inside something, unless it ends just before."""
        if self._inflater is not None and not self._inflater.complete:
            self.cut = f"{self.name}: ends inside its gzip data, after {self._base + len(self._buffer)} bytes"
        elif len(self._buffer) > position:
            self.cut = f"{self.name}: ends at byte {self._base + len(self._buffer)}, inside {what}"

    def _pcap(self, order: str, unit: int) -> Iterator[Record]:
        if not self._fill(0, 24):
            self._ends(0, "the header of the file")
            return
        (link_type,) = struct.unpack_from(order + "I", self._buffer, 20)
        # The upper bits say how long the checksum of a frame is.
        interface = Interface(link_type & 0xFFFF)
        header = struct.Struct(order + "IIII").unpack_from
        buffer, position = self._buffer, 24
        while True:
            size, need = len(buffer), 16
            while position + 16 <= size:
                seconds, fraction, captured, wire = header(buffer, position)
                start = position + 16
                end = start + captured
                if end > size:
                    if captured > MAX_CAPTURED:
                        raise self._error(position, f"a packet of {captured} bytes; the most is {MAX_CAPTURED}")
                    need = 16 + captured
                    break
                yield buffer, start, end, seconds * NANOSECONDS + fraction * unit, wire, interface
                position = end
            if not self._fill(position, need):
                self._ends(0, "a record")
                return
            buffer, position = self._buffer, 0

    def _pcapng(self) -> Iterator[Record]:
        position, clocks = 0, list[_Clock]()
        order = _Order("<")
        while True:
            if len(self._buffer) - position < 12:
                if not self._fill(position, 12):
                    self._ends(0, "a block")
                    return
                position = 0
            buffer = self._buffer
            kind, length = order.block(buffer, position)
            # Reads the same in both byte orders.
            if kind == _SECTION:
                found = _BYTE_ORDERS.get(buffer[position + 8 : position + 12])
                if found is None:
                    raise self._error(position + 8, f"no byte order: {buffer[position + 8 : position + 12].hex()}")
                order, clocks = _Order(found), []
                _, length = order.block(buffer, position)
            if length < _SHORTEST.get(kind, 12) or length % 4 or length > MAX_BLOCK:
                raise self._error(
                    position, f"a block of type {kind} with a length of {length}; the most is {MAX_BLOCK}"
                )
            end = position + length
            if end > len(buffer):
                if not self._fill(position, length):
                    self._ends(0, "a block")
                    return
                buffer, position, end = self._buffer, 0, length
            if kind == _ENHANCED:
                number, high, low, captured, wire = order.packet(buffer, position + 8)
                yield self._packet(clocks, number, high << 32 | low, buffer, position, 28, captured, wire, end)
            elif kind == _OLD_PACKET:
                number, high, low, captured, wire = order.old_packet(buffer, position + 8)
                yield self._packet(clocks, number, high << 32 | low, buffer, position, 28, captured, wire, end)
            elif kind == _SIMPLE:
                (wire,) = order.number(buffer, position + 8)
                most = clocks[0].snap_length if clocks else 0
                captured = min(wire, most or wire, length - 16)
                yield self._packet(clocks, 0, None, buffer, position, 12, captured, wire, end)
            elif kind == _INTERFACE:
                if len(clocks) == MAX_INTERFACES:
                    raise self._error(position, f"more than {MAX_INTERFACES} interfaces")
                clocks.append(_read_interface(order.order, buffer, position, end))
            position = end

    def _packet(
        self,
        clocks: list[_Clock],
        number: int,
        ticks: int | None,
        buffer: bytes,
        position: int,
        header: int,
        captured: int,
        wire: int,
        end: int,
    ) -> Record:
        if number >= len(clocks):
            raise self._error(position, f"a packet of interface {number}, which no block before describes")
        start = position + header
        if captured > end - 4 - start:
            raise self._error(position, f"a packet of {captured} bytes in a block of {end - position}")
        if captured > MAX_CAPTURED:
            raise self._error(position, f"a packet of {captured} bytes; the most is {MAX_CAPTURED}")
        clock = clocks[number]
        return buffer, start, start + captured, 0 if ticks is None else clock.time(ticks), wire, clock.interface


class _Order:
    """Reads the numbers of a section in its byte order."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.block = struct.Struct(order + "II").unpack_from
        self.number = struct.Struct(order + "I").unpack_from
        self.packet = struct.Struct(order + "IIIII").unpack_from
        # Two bytes count what was dropped.
        self.old_packet = struct.Struct(order + "HxxIIII").unpack_from


@dataclass(frozen=True, slots=True)
class _Clock:
    """An interface of pcapng, and how its times are read: ticks times multiplier, divided by divisor, plus offset."""

    interface: Interface
    snap_length: int
    multiplier: int = 1000
    divisor: int = 1
    offset: int = 0

    def time(self, ticks: int) -> int:
        return min(max(ticks * self.multiplier // self.divisor + self.offset, 0), MAX_TIME)


def _read_interface(order: str, buffer: bytes, position: int, end: int) -> _Clock:
    link_type, snap_length = struct.unpack_from(order + "HxxI", buffer, position + 8)
    name, multiplier, divisor, offset = "", 1000, 1, 0
    position, end = position + 16, end - 4
    while position + 4 <= end:
        code, length = struct.unpack_from(order + "HH", buffer, position)
        value = buffer[position + 4 : min(position + 4 + length, end)]
        position += 4 + length + -length % 4
        if code == 0:
            break
        if code == _IF_NAME:
            name = value.decode(errors="replace").rstrip("\0")
        elif code == _IF_TSRESOL and len(value) == 1:
            power = value[0] & 0x7F
            ticks = 2**power if value[0] & 0x80 else 10**power
            multiplier, divisor = NANOSECONDS, ticks
        elif code == _IF_TSOFFSET and len(value) == 8:
            offset = struct.unpack(order + "q", value)[0] * NANOSECONDS
    return _Clock(Interface(link_type, name), snap_length, multiplier, divisor, offset)


class Readable(Protocol):
    """What a capture is read from: a binary file, or anything else that gives bytes and none at its end."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, and at least one before the end."""


class _Inflater:
    """Reads what a file of one or more gzip members holds; memory is bounded whatever the data expand to.

    Unlike `gzip.GzipFile` it gives all that is before damage, and before an end in the middle.
    """

    def __init__(self, read: Callable[[int], bytes], first: bytes) -> None:
        self._read, self._input = read, first
        self._member = zlib.decompressobj(31)

    @property
    def complete(self) -> bool:
        """Whether the last member that was read has its end."""
        return self._member.eof

    def read(self, size: int) -> bytes:
        """Return up to so many bytes; none at the end."""
        while True:
            if not self._input:
                self._input = self._read(_COMPRESSED_CHUNK)
                if not self._input:
                    return b""
            if self._member.eof:
                if not self._input.startswith(_GZIP[:1]):
                    return b""  # padding behind the last member
                self._member = zlib.decompressobj(31)
            found = self._member.decompress(self._input, size)
            self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if found:
                return found


@contextmanager
def open_capture(path: str | PathLike[str], *, chunk: int = CHUNK) -> Iterator[CaptureReader]:
    """Open a capture by its path; `chunk` as for `CaptureReader`.

    Raises:
        OSError: the file cannot be opened.
    """
    with open(path, "rb", buffering=0) as file:
        yield CaptureReader(file, fspath(path), chunk=chunk)
