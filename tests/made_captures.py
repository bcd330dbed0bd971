"""Captures made by hand, for tests and benchmarks: pcap and pcapng in either byte order."""

from __future__ import annotations

import struct
from collections.abc import Iterable


def pcap(
    packets: Iterable[tuple[int, bytes]], *, order: str = "<", nanoseconds: bool = False, link_type: int = 1
) -> bytes:
    """Return a pcap of packets given as (nanoseconds since 1970, frame)."""
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    header = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link_type)
    return header + b"".join(
        struct.pack(order + "IIII", time // 10**9, time % 10**9 // unit, len(frame), len(frame)) + frame
        for time, frame in packets
    )


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Return a block of pcapng; its body is padded."""
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def section(order: str = "<") -> bytes:
    """Return the header of a section."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """Return an option; its value is padded."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(link_type: int = 1, order: str = "<", *, snap_length: int = 0, options: bytes = b"") -> bytes:
    """Return an interface block."""
    return block(1, struct.pack(order + "HHI", link_type, 0, snap_length) + options, order)


def enhanced(ticks: int, frame: bytes, order: str = "<", *, number: int = 0, wire: int | None = None) -> bytes:
    """Return an enhanced packet block."""
    wire = len(frame) if wire is None else wire
    return block(
        6,
        struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), wire)
        + frame
        + bytes(-len(frame) % 4),
        order,
    )


def simple(frame: bytes, order: str = "<", *, wire: int | None = None) -> bytes:
    """Return a simple packet block."""
    return block(3, struct.pack(order + "I", len(frame) if wire is None else wire) + frame, order)
