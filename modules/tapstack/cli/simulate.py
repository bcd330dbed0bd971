"""`tapstack simulate`: which session mirrors a packet, by which rule, where to, how much of it, and why not."""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from tapstack.cli.arguments import file_name, whole_number
from tapstack.cli.incident_explain import WrongInputError
from tapstack.cli.simulate_sessions import PRESETS, Interfaces, Place, filter_place, site_place
from tapstack.cli.simulate_view import Played, Totals, as_json, as_text, is_dns, totals_as_json, totals_as_text
from tapstack.cli.terminal import plain
from tapstack.domain.cidrs import check_cidr, family
from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_rules import Direction
from tapstack.domain.outside_text import quoted
from tapstack.packets import frames
from tapstack.packets.captures import CaptureError, Record, open_capture
from tapstack.packets.frames import Headers, decode_frame
from tapstack.packets.mirroring import ETHERNET_HEADER, MTU, TARGET_MTU, MirrorTarget, Verdict, decide
from tapstack.packets.written import EXAMPLE, WrittenPacket, packet_text, parse_packet
from tapstack.settings.load import FILE_VARIABLE, shown
from tapstack.settings.problems import DeploymentError

_LINK_HEADERS: Final = {
    frames.ETHERNET: 14,
    frames.RAW: 0,
    frames.RAW_IPV4: 0,
    frames.RAW_IPV6: 0,
    frames.LINUX_SLL: 16,
    frames.LINUX_SLL2: 20,
}
"""Bytes before the IP packet; a mirrored frame has Ethernet's in their place."""
_REMEMBERED: Final = 65_536
_ADDRESSES: Final = 100_000
"""How many addresses of a capture are counted for a suggestion."""
_GROUPS: Final = (
    "security groups and network ACLs are not in the file: a packet that those of the interface drop is not mirrored"
)
_RESOLVER: Final = (
    "without --vpc-cidr the resolver is known at 169.254.169.253 and fd00:ec2::253 only; rules do not match DNS to the "
    "VPC's third address either, such as 10.0.0.2 of 10.0.0.0/16"
)


def add_simulate_parser(commands: Any) -> None:
    """Add the command."""
    simulator = commands.add_parser(
        "simulate",
        help="say which session mirrors a packet, by which rule, and why not",
        description="Say which session mirrors a packet, by which rule, where to, how much of it arrives, and why not. "
        "Makes no calls to AWS. docs/packets.md has the rules, and which of them AWS does not document.",
        allow_abbrev=False,
    )
    simulator.add_argument(
        "packet",
        nargs="*",
        metavar="PACKET",
        help=f"in quotes, such as '{EXAMPLE}'; type, code, fragments, length behind",
    )
    simulator.add_argument("--pcap", type=file_name, metavar="FILE", help="packets of a pcap or pcapng, in its place")
    simulator.add_argument(
        "--filter", metavar="NAME", help=f"a filter alone: {', '.join(PRESETS)}, or one of the deployment file"
    )
    simulator.add_argument(
        "--site", help="site whose sessions, or whose filter, are asked; by default the only one of the file"
    )
    simulator.add_argument("--interface", metavar="ENI", help="a network interface that the site's sessions name")
    simulator.add_argument(
        "--sessions",
        action="append",
        default=[],
        metavar="GROUP",
        help="group of sessions that the interface is in, such as one that looks it up; may be repeated",
    )
    simulator.add_argument(
        "--address",
        action="append",
        default=[],
        help="address of the interface, so that packets from it leave and others arrive; may be repeated",
    )
    simulator.add_argument(
        "--vpc-cidr",
        action="append",
        default=[],
        metavar="CIDR",
        help="block of the VPC, the primary one first: its third address is the resolver; may be repeated",
    )
    simulator.add_argument(
        "--target-mtu",
        type=whole_number(*MTU),
        default=TARGET_MTU,
        metavar="BYTES",
        help=f"MTU of a network interface that is the target; {TARGET_MTU} by default",
    )
    simulator.add_argument(
        "--deployment",
        type=file_name,
        metavar="FILE",
        help=f"the deployment file; ${FILE_VARIABLE} or deployment.yaml by default",
    )
    simulator.add_argument("--json", action="store_true", help="print JSON")


def run_simulate(chosen: argparse.Namespace, *, out: TextIO, err: TextIO) -> int:
    """Print what becomes of packets; return 0, or 2 for an error that the user can fix.

    Args:
        chosen: the parsed arguments.
        out: receives the result.
        err: receives errors.
    """
    try:
        for line in _simulate(chosen):
            print(line, file=out)
    except (WrongInputError, RuleViolation, CaptureError) as error:
        print(plain(error), file=err)
        return 2
    except DeploymentError as error:
        print(error, file=err)
        return 2
    return 0


def _simulate(chosen: argparse.Namespace) -> list[str]:
    text = " ".join(chosen.packet)
    if bool(text.strip()) == (chosen.pcap is not None):
        raise WrongInputError(f"expected either a packet, such as '{EXAMPLE}', or --pcap FILE")
    if chosen.filter is not None and (chosen.interface is not None or chosen.sessions):
        raise WrongInputError("--filter does not go with --interface and --sessions: it is asked alone")
    vpc_cidrs = [_block(value) for value in chosen.vpc_cidr]
    addresses = frozenset(_address(value) for value in chosen.address)
    primary = next((cidr for cidr in vpc_cidrs if family(cidr) == 4), None)
    packet = None if chosen.pcap is not None else _packet(text)
    place = _place(chosen, vpc_cidrs)
    if packet is not None:
        return _one(place, packet.headers, packet.length, addresses, primary, json_wanted=chosen.json)
    return _capture(place, chosen.pcap, addresses, primary, json_wanted=chosen.json)


def _place(chosen: argparse.Namespace, vpc_cidrs: Sequence[str]) -> Place:
    target = MirrorTarget("", "network interface", chosen.target_mtu)
    if chosen.filter is not None:
        return filter_place(chosen.filter, chosen.deployment, chosen.site, vpc_cidrs=vpc_cidrs, target=target)
    return site_place(
        chosen.deployment, chosen.site, interface=chosen.interface, groups=chosen.sessions, mtu=target.mtu
    )


def _packet(text: str) -> WrittenPacket:
    try:
        return parse_packet(text)
    except RuleViolation as violation:
        if ">" in text:
            raise
        raise WrongInputError(f"{violation}. Put the packet into quotes: the shell takes > for itself") from None


def _block(value: str) -> str:
    try:
        return check_cidr(value)
    except RuleViolation as violation:
        raise WrongInputError(f"--vpc-cidr: {violation}") from None


def _address(value: str) -> tuple[int, int]:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise WrongInputError(
            f"--address {quoted(value)}: expected an address such as 10.0.1.5 or 2001:db8::5"
        ) from None
    return address.version, int(address)


def _one(
    place: Place,
    headers: Headers,
    length: int | None,
    addresses: frozenset[tuple[int, int]],
    vpc_cidr: str | None,
    *,
    json_wanted: bool,
) -> list[str]:
    """Return what becomes of one packet: as it leaves and as it arrives, unless the interface's address is known."""
    directions: tuple[Direction, ...] = ("egress", "ingress")
    if addresses and headers.family is not None:
        known = direction_of(headers, addresses)
        if known is None:
            raise WrongInputError("--address: the packet neither comes from this address nor goes to it")
        directions = (known,)
    played = [
        Played(interfaces, direction, decide(headers, direction, interfaces.sessions, length=length, vpc_cidr=vpc_cidr))
        for direction in directions
        for interfaces in place.interfaces
    ]
    notes = [*place.notes, *_notes(headers, vpc_cidr), *_inferred(one.verdict for one in played)]
    text = packet_text(headers, length)
    if json_wanted:
        return [json.dumps(as_json(place, text, played, notes), indent=2)]
    return list(as_text(place, text, headers, played, notes))


def _notes(headers: Headers, vpc_cidr: str | None) -> Iterator[str]:
    yield _GROUPS
    if vpc_cidr is None and is_dns(headers):
        yield _RESOLVER


def _inferred(verdicts: Iterator[Verdict]) -> list[str]:
    return [f"inferred: {text}" for text in dict.fromkeys(text for one in verdicts for text in one.inferred)]


def direction_of(headers: Headers, addresses: frozenset[tuple[int, int]]) -> Direction | None:
    """Return which way a packet goes at an interface of these addresses; None where it is not one of its packets."""
    if headers.family is None:
        return "ingress"
    version = int(headers.family)
    if headers.source is not None and (version, headers.source) in addresses:
        return "egress"
    if headers.destination is None:
        return None
    if (version, headers.destination) in addresses or _to_many(version, headers.destination):
        return "ingress"
    return None


def _to_many(version: int, number: int) -> bool:
    """Return whether an address is one of multicast, or the limited broadcast."""
    return (
        number >= 0xE0000000 and (number < 0xF0000000 or number == 0xFFFFFFFF)
        if version == 4
        else number >> 120 == 0xFF
    )


def _capture(
    place: Place, path: Path, addresses: frozenset[tuple[int, int]], vpc_cidr: str | None, *, json_wanted: bool
) -> list[str]:
    if len(place.interfaces) > 1:
        names = "; ".join(one.name for one in place.interfaces)
        raise WrongInputError(
            f"the interfaces of the site have different sessions ({names}): give --interface or --sessions with --pcap"
        )
    try:
        if not addresses:
            raise WrongInputError(_which_address(path))
        totals, cut = _play(place.interfaces[0], path, addresses, vpc_cidr)
    except OSError as error:
        raise WrongInputError(f"{shown(path)}: cannot be read: {os.strerror(error.errno or 0)}") from None
    notes = [*place.notes, _GROUPS]
    if vpc_cidr is None and any(one.dns for one in totals.rows.values()):
        notes.append(_RESOLVER)
    if cut is not None:
        notes.append(cut)
    notes += _inferred(one.verdict for one in totals.rows.values())
    if json_wanted:
        return [json.dumps(totals_as_json(place, shown(path), totals, notes), indent=2)]
    return list(totals_as_text(place, shown(path), totals, notes))


def _which_address(path: Path) -> str:
    """Return the message about a missing address, with the one that most packets have."""
    seen: Counter[tuple[int, int]] = Counter()
    packets = 0
    with open_capture(path) as capture:
        for record in capture:
            headers = _headers(record, path)
            packets += 1
            for number in {headers.source, headers.destination} - {None}:
                key = (int(headers.family or 4), int(number or 0))
                if key in seen or len(seen) < _ADDRESSES:
                    seen[key] += 1
    missing = "--pcap needs --address, the address of the interface: it decides which packets leave and which arrive"
    if not seen:
        return missing
    ((version, number), count), *_ = seen.most_common(1)
    address = ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number)
    return f"{missing}; did you mean --address {address}? {count} of {packets} packets have it"


def _play(
    interfaces: Interfaces, path: Path, addresses: frozenset[tuple[int, int]], vpc_cidr: str | None
) -> tuple[Totals, str | None]:
    """Return what becomes of the packets of a capture, and how it was cut."""
    totals = Totals()
    # Packets of one flow and length have the same verdict.
    known: dict[tuple[Headers, int], tuple[Direction | None, Verdict | None]] = {}
    with open_capture(path) as capture:
        for record in capture:
            headers = _headers(record, path)
            length = record[4] - _LINK_HEADERS[record[5].link_type] + ETHERNET_HEADER
            flow = headers._replace(
                identification=None, tcp_flags=None, vlans=(), network=None, transport=None, end=0, length=None
            )
            answer = known.get((flow, length))
            if answer is None:
                direction = direction_of(headers, addresses)
                verdict = None
                if direction is not None:
                    verdict = decide(headers, direction, interfaces.sessions, length=length, vpc_cidr=vpc_cidr)
                if len(known) >= _REMEMBERED:
                    known.clear()
                answer = known[flow, length] = (direction, verdict)
            totals.add(*answer, headers, length)
        return totals, capture.cut


def _headers(record: Record, path: Path) -> Headers:
    data, start, end, _, _, interface = record
    if interface.link_type not in _LINK_HEADERS:
        expected = ", ".join(map(str, sorted(_LINK_HEADERS)))
        raise WrongInputError(
            f"{shown(path)}: its link type {interface.link_type} is not read: expected {expected} (1 is Ethernet)"
        )
    return decode_frame(data, start, end, interface.link_type)
