"""The conversations of examples/conversations.pcap: what a compromised web server sends and receives in a minute.

`python -m tests.example_capture` writes the file again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests import made_packets as made
from tests.made_captures import pcap

FILE: Final = Path(__file__).parents[1] / "examples" / "conversations.pcap"
SERVER: Final = "10.0.1.5"
_START: Final = 1_780_000_000_000_000_000
_MILLISECOND: Final = 1_000_000


def _tcp(source: str, destination: str, ports: tuple[int, int], size: int, flags: int = 0x18) -> bytes:
    return made.ethernet(made.ipv4(source, destination, made.TCP, made.tcp(*ports, bytes(size), flags=flags)))


def _udp(source: str, destination: str, ports: tuple[int, int], size: int) -> bytes:
    return made.ethernet(made.ipv4(source, destination, made.UDP, made.udp(*ports, bytes(size))))


def _asks(client: str, server: str, port: int, from_port: int, sizes: tuple[int, int]) -> Iterator[bytes]:
    """One request over TCP and its answer."""
    yield _tcp(client, server, (from_port, port), 0, flags=0x02)
    yield _tcp(server, client, (port, from_port), 0, flags=0x12)
    yield _tcp(client, server, (from_port, port), sizes[0])
    yield _tcp(server, client, (port, from_port), sizes[1])


def _frames() -> Iterator[bytes]:
    yield made.ethernet(bytes(28), 0x0806)
    yield from _asks(SERVER, "169.254.169.254", 80, 40_000, (80, 300))
    yield _udp(SERVER, "169.254.169.123", (123, 123), 48)
    yield _udp(SERVER, "10.0.0.2", (40_100, 53), 40)
    yield _udp("10.0.0.2", SERVER, (53, 40_100), 120)
    for beacon in range(4):
        yield from _asks(SERVER, "203.0.113.7", 443, 41_000 + beacon, (200, 60))
    for visitor in range(3):
        yield from _asks(f"198.51.100.{9 + visitor}", SERVER, 80, 50_000 + visitor, (150, 1400))
    yield from _asks(SERVER, "10.0.2.9", 5432, 42_000, (120, 500))
    for port in (22, 445, 3389):
        yield _tcp(SERVER, "10.0.2.20", (43_000, port), 0, flags=0x02)


def example() -> bytes:
    """Return the capture."""
    return pcap((_START + number * 500 * _MILLISECOND, frame) for number, frame in enumerate(_frames()))


if __name__ == "__main__":
    FILE.write_bytes(example())
