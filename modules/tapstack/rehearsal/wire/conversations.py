"""What hosts of the company say: a website, a database, DNS, the beacon of the incident, a scan.

Each is a generator of packets that is sent whether the packet before passed, and goes on as hosts do: a packet that
is dropped gets no answer. Their checksums are right. Addresses that are not of the company's VPCs are of the blocks
of RFC 5737, which are for documentation.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tapstack.domain.filter_rules import TCP, UDP, Direction
from tapstack.packets.captures import NANOSECONDS
from tapstack.packets.frames import IPV4

BEACON_PEER: Final = "203.0.113.7"
"""The server that the host of the incident reports to."""
BEACON_BYTES: Final = 96
BEACON_SECONDS: Final = 60
WEBSITE: Final = "203.0.113.80"
SCANNER: Final = "198.51.100.23"
SCANNED: Final = (21, 22, 23, 25, 80, 110, 139, 443, 445, 1433, 3306, 3389, 5432, 5900, 6379, 8080)

_HOP: Final = 2_000_000
"""Nanoseconds from a packet to its answer."""
_RETRIES: Final = (NANOSECONDS, 2 * NANOSECONDS)
"""When a SYN without an answer is sent again: RFC 6298."""
_FIN, _SYN, _RST, _PSH, _ACK = 1, 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet at a network interface.

    Attributes:
        direction: `egress` where the interface sends it.
        frame: with its Ethernet header.
        at: nanoseconds since 1970.
        what: the conversation that it belongs to, in a word or two.
    """

    direction: Direction
    frame: bytes
    at: int
    what: str = ""


Conversation = Generator[Packet, bool, None]
"""Yields packets, and is sent whether each passed."""


@dataclass(slots=True)
class Clock:
    """The time in a conversation: nanoseconds since 1970.

    Attributes:
        now: when the next packet is.
        scale: how much faster time runs for `wait`, as the waits of a rehearsal.
    """

    now: int
    scale: float = 1.0

    def tick(self) -> int:
        """Return the time of a packet; the next one is a hop later."""
        self.now += _HOP
        return self.now

    def wait(self, nanoseconds: int) -> None:
        """Let time pass."""
        self.now += int(nanoseconds * self.scale)


@dataclass(slots=True)
class Host:
    """Whose interface it is.

    Attributes:
        mac: of the interface, 6 bytes.
        address: its primary IPv4 address.
        gateway: the MAC address of the router, which all other hosts are behind.
    """

    mac: bytes
    address: str
    gateway: bytes = bytes.fromhex("0a0000000001")
    _identification: int = field(default=0, init=False)

    def frame(self, direction: Direction, peer: str, protocol: int, upper: bytes) -> bytes:
        """Return the frame of an IPv4 packet with TCP or UDP, whose checksum is filled in."""
        ends = (self.address, peer) if direction == "egress" else (peer, self.address)
        addresses = b"".join(ipaddress.IPv4Address(one).packed for one in ends)
        macs = self.gateway + self.mac if direction == "egress" else self.mac + self.gateway
        place = 16 if protocol == TCP else 6
        pseudo = addresses + struct.pack(">HH", protocol, len(upper))
        # UDP sends 0 for no checksum, and so all ones where the sum is 0.
        total = checksum(pseudo + upper) or (0xFFFF if protocol == UDP else 0)
        upper = upper[:place] + struct.pack(">H", total) + upper[place + 2 :]
        self._identification = (self._identification + 1) & 0xFFFF
        header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(upper), self._identification, 0x4000, 64, protocol, 0)
        header = header[:10] + struct.pack(">H", checksum(header + addresses)) + addresses
        return macs + struct.pack(">H", IPV4) + header + upper


def checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Connection:
    """One TCP connection of a host with a peer."""

    def __init__(
        self, host: Host, peer: str, clock: Clock, what: str, *, own_port: int, peer_port: int, begins: Direction
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            host: whose interface it is.
            peer: address of the other side.
            clock: the time.
            what: the name of the conversation.
            own_port: of the host.
            peer_port: of the peer.
            begins: `egress` where the host opens it.
        """
        self._host, self._peer, self._clock, self._what = host, peer, clock, what
        self._ports: dict[Direction, tuple[int, int]] = {
            "egress": (own_port, peer_port),
            "ingress": (peer_port, own_port),
        }
        self._begins: Direction = begins
        self._answers: Direction = "ingress" if begins == "egress" else "egress"
        # Of the next byte, by who sends it.
        self._sequence: dict[Direction, int] = {"egress": 1000 + own_port, "ingress": 9000 + own_port}

    def open(self) -> Generator[Packet, bool, bool]:
        """Shake hands; return whether the connection is there. A SYN without an answer is sent again, twice."""
        for wait in (*_RETRIES, None):
            if (yield self._segment(self._begins, _SYN)):
                break
            if wait is None:
                return False
            self._clock.wait(wait)
        self._sequence[self._begins] += 1
        if not (yield self._segment(self._answers, _SYN | _ACK)):
            return False
        self._sequence[self._answers] += 1
        return (yield self._segment(self._begins, _ACK))

    def send(self, direction: Direction, data: bytes) -> Generator[Packet, bool, bool]:
        """Send data, which the other side acknowledges; return whether both passed."""
        if not (yield self._segment(direction, _PSH | _ACK, data)):
            return False
        self._sequence[direction] += len(data)
        back: Direction = "ingress" if direction == "egress" else "egress"
        return (yield self._segment(back, _ACK))

    def close(self) -> Generator[Packet, bool, None]:
        """Say good-bye from both sides."""
        for direction, back in ((self._begins, self._answers), (self._answers, self._begins)):
            if not (yield self._segment(direction, _FIN | _ACK)):
                return
            self._sequence[direction] += 1
            yield self._segment(back, _ACK)

    def refuse(self) -> Generator[Packet, bool, None]:
        """Answer a SYN with a reset, as a port does that nothing listens at."""
        if (yield self._segment(self._begins, _SYN)):
            self._sequence[self._begins] += 1
            yield self._segment(self._answers, _RST | _ACK)

    def _segment(self, direction: Direction, flags: int, data: bytes = b"") -> Packet:
        back: Direction = "ingress" if direction == "egress" else "egress"
        acknowledged = self._sequence[back] if flags & _ACK else 0
        numbers = (self._sequence[direction] & 0xFFFF_FFFF, acknowledged & 0xFFFF_FFFF)
        segment = struct.pack(">HHIIBBHHH", *self._ports[direction], *numbers, 0x50, flags, 64_000, 0, 0) + data
        frame = self._host.frame(direction, self._peer, TCP, segment)
        return Packet(direction, frame, self._clock.tick(), self._what)


def website(host: Host, clock: Clock, *, own_port: int = 40_000, peer: str = WEBSITE) -> Conversation:
    """A page that the host gets by HTTP; the answer is as long as packets of the internet can be."""
    connection = Connection(host, peer, clock, "web", own_port=own_port, peer_port=80, begins="egress")
    if not (yield from connection.open()):
        return
    if not (yield from connection.send("egress", b"GET /prices HTTP/1.1\r\nHost: www.example.com\r\n\r\n")):
        return
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
    if (yield from connection.send("ingress", answer.ljust(1460, b"."))):
        yield from connection.close()


def database(host: Host, clock: Clock, client: str, *, client_port: int = 42_000) -> Conversation:
    """A query of PostgreSQL that a client sends to the host, and its rows."""
    connection = Connection(host, client, clock, "database", own_port=5432, peer_port=client_port, begins="ingress")
    if not (yield from connection.open()):
        return
    query = b"SELECT id, total FROM orders WHERE day = current_date\0"
    if not (yield from connection.send("ingress", b"Q" + struct.pack(">I", 4 + len(query)) + query)):
        return
    if (yield from connection.send("egress", b"C" + struct.pack(">I", 4 + 9) + b"SELECT 0\0")):
        yield from connection.close()


def dns(
    host: Host, clock: Clock, resolver: str, name: str = "www.example.com", *, own_port: int = 41_000
) -> Conversation:
    """A name that the host has resolved."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    question = labels + struct.pack(">HH", 1, 1)
    query = struct.pack(">HHHHHH", own_port, 0x0100, 1, 0, 0, 0) + question
    answer = struct.pack(">HHHHHH", own_port, 0x8180, 1, 1, 0, 0) + question
    answer += struct.pack(">HHHIH4s", 0xC00C, 1, 1, 60, 4, ipaddress.IPv4Address(WEBSITE).packed)
    if (yield _datagram(host, clock, "egress", resolver, (own_port, 53), query, "DNS")):
        yield _datagram(host, clock, "ingress", resolver, (53, own_port), answer, "DNS")


def beacon(
    host: Host, clock: Clock, *, beats: int = 3, first_port: int = 45_000, peer: str = BEACON_PEER
) -> Conversation:
    """The beacon of the incident: a connection each minute, with the same number of bytes."""
    for beat in range(beats):
        if beat:
            clock.wait(BEACON_SECONDS * NANOSECONDS)
        port = first_port + beat
        connection = Connection(host, peer, clock, "beacon", own_port=port, peer_port=443, begins="egress")
        if (yield from connection.open()) and (yield from connection.send("egress", bytes(BEACON_BYTES))):
            yield from connection.close()


@dataclass(slots=True)
class Channel:
    """A connection of the host to the server of the beacon, which stays open: commands come in, answers go out."""

    connection: Connection
    clock: Clock

    @classmethod
    def of(cls, host: Host, clock: Clock, *, own_port: int = 44_000, peer: str = BEACON_PEER) -> Channel:
        """Prepare it; `begin` opens it."""
        return cls(Connection(host, peer, clock, "channel", own_port=own_port, peer_port=443, begins="egress"), clock)

    def begin(self) -> Conversation:
        """Open it."""
        if (yield from self.connection.open()):
            yield from self.carry(1)

    def carry(self, times: int) -> Conversation:
        """Carry a command and its answer, some times."""
        for _ in range(times):
            if not (yield from self.connection.send("ingress", bytes(32))):
                return
            if not (yield from self.connection.send("egress", bytes(200))):
                return
            self.clock.wait(10 * NANOSECONDS)


def scan(host: Host, clock: Clock, *, ports: Sequence[int] = SCANNED, peer: str = SCANNER) -> Conversation:
    """A peer that tries ports of the host, at which nothing listens."""
    for number, port in enumerate(ports):
        connection = Connection(host, peer, clock, "scan", own_port=port, peer_port=50_000 + number, begins="ingress")
        yield from connection.refuse()


def _datagram(
    host: Host, clock: Clock, direction: Direction, peer: str, ports: tuple[int, int], data: bytes, what: str
) -> Packet:
    upper = struct.pack(">HHHH", *ports, 8 + len(data), 0) + data
    return Packet(direction, host.frame(direction, peer, UDP, upper), clock.tick(), what)
