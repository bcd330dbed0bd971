"""A capture of a user, played at a network interface."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tapstack.domain.errors import RuleViolation
from tapstack.packets.captures import CaptureReader
from tapstack.packets.frames import ETHERNET, IPV4, IPV6, LINK_TYPES, Headers, decode_frame
from tapstack.rehearsal.wire.conversations import Packet

_SHOWN: Final = 5
_COUNTED: Final = 10_000
"""Addresses of a capture that are counted, to name the most frequent ones."""
_MACS: Final = bytes.fromhex("0a000000000b0a0000000001")

_Side = tuple[int, int]


def read_packets(path: Path, hosts: Sequence[str], begin: int) -> Iterator[Packet]:
    """Return the packets of a capture that one of `hosts` sends or gets, as those of an interface.

    Their addresses stay as they are. Frames without an Ethernet header get one; those of other link types, and packets
    that no host sends or gets, are left out. What the capture has less of a packet than was on the wire is missing.

    Args:
        path: of the capture: pcap or pcapng, also compressed with gzip.
        hosts: addresses whose packets they are: those of the interface, or of the host that was captured.
        begin: nanoseconds since 1970 of the first packet; the others come as long after it as in the capture.

    Raises:
        CaptureError: it is no capture, or is damaged; what comes before was given.
        OSError: it cannot be read.
        RuleViolation: no packet in it is of these hosts; names those that are there.
    """
    sides = {(address.version, int(address)) for address in map(ipaddress.ip_address, hosts)}
    others: Counter[_Side] = Counter()
    first, latest = None, begin
    with path.open("rb") as file:
        for buffer, start, end, time, _, interface in CaptureReader(file, path.name):
            if interface.link_type not in LINK_TYPES:
                continue
            headers = decode_frame(buffer, start, end, interface.link_type)
            source, destination = _sides(headers)
            if source not in sides and destination not in sides:
                if first is None and len(others) < _COUNTED:
                    others.update(side for side in (source, destination) if side is not None)
                continue
            if first is None:
                first, others = time, Counter()
            # Tracking needs a clock that does not run backwards, and captures have others.
            latest = max(latest, begin + time - first)
            frame = bytes(buffer[start:end])
            if interface.link_type != ETHERNET:
                assert headers.network is not None
                ether_type = IPV4 if headers.family == 4 else IPV6
                frame = _MACS + ether_type.to_bytes(2, "big") + buffer[headers.network : headers.end]
            yield Packet("egress" if source in sides else "ingress", frame, latest, path.name)
    if first is None:
        there = ", ".join(_text(side) for side, _ in others.most_common(_SHOWN))
        raise RuleViolation(
            f"{path.name} has no packet of {' or '.join(hosts)}: "
            + (f"expected an address that is in it, such as {there}" if others else "it has none of any address")
        )


def _sides(headers: Headers) -> tuple[_Side | None, _Side | None]:
    if headers.family is None or headers.source is None or headers.destination is None:
        return None, None
    return (headers.family, headers.source), (headers.family, headers.destination)


def _text(side: _Side) -> str:
    version, number = side
    return str(ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number))
