"""The table of mirroring.yaml: its cases, as what the code takes, and its packets as frames."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import yaml

from tapstack.domain.filter_rules import PROTOCOLS, PortRange
from tapstack.packets.firewall import Acl, AclEntry, GroupRule
from tapstack.packets.frames import Headers, decode_frame
from tapstack.packets.mirroring import MirrorSession, MirrorTarget, Verdict
from tapstack.packets.written import parse_packet
from tapstack.settings.model import Filter
from tests import made_packets as made

TABLE = yaml.safe_load((Path(__file__).parent / "mirroring.yaml").read_text(encoding="utf-8"))
CASES = TABLE["cases"]
SECOND = 1_000_000_000


def session_of(document: dict[str, Any]) -> MirrorSession:
    target = MirrorTarget("target", **document.get("target", {}))
    preset = Filter.model_validate(document["filter"]).to_domain()
    return MirrorSession(document["number"], f"s{document['number']}", preset, target, document.get("packet_length"))


def matched(document: dict[str, Any]) -> dict[str, Any]:
    """The fields of a group's rule or an ACL's entry."""
    fields = dict(document)
    if "protocol" in fields:
        fields["protocol"] = PROTOCOLS.get(fields["protocol"], fields["protocol"])
    if "ports" in fields:
        fields["ports"] = PortRange.parse(fields["ports"])
    return fields


def rules_of(document: list[dict[str, Any]] | None) -> tuple[GroupRule, ...] | None:
    return None if document is None else tuple(GroupRule(**matched(rule)) for rule in document)


def acl_of(document: dict[str, Any] | None) -> Acl | None:
    if document is None:
        return None
    entries = tuple(AclEntry(**matched(entry)) for entry in document["entries"])
    return Acl(entries, tuple(document.get("subnet", ())))


def as_written(text: str) -> tuple[Headers, int | None]:
    packet = parse_packet(text)
    return packet.headers, packet.length


def as_frame(text: str) -> tuple[Headers, int | None]:
    """The same packet as bytes, decoded."""
    frame = frame_of(text)
    return decode_frame(frame), len(frame)


def frame_of(text: str) -> bytes:
    """Return the frame of a packet that is written as text."""
    packet = parse_packet(text)
    headers = packet.headers
    if headers.family is None or headers.source is None or headers.destination is None:
        return made.ethernet(bytes(28), 0x0806)
    assert headers.protocol is not None
    address = ipaddress.IPv4Address if headers.family == 4 else ipaddress.IPv6Address
    source, destination = str(address(headers.source)), str(address(headers.destination))
    upper = upper_of(headers)
    first, later = headers.fragment == "first", headers.fragment == "later"
    header = 20 if headers.family == 4 else 48 if first or later else 40
    if packet.length is not None:
        upper += bytes(packet.length - 14 - header - len(upper))
    if headers.family == 4:
        return made.ethernet(
            made.ipv4(source, destination, headers.protocol, upper, more=first, offset=1480 if later else 0)
        )
    fragment = [(44, made.fragment_header(1480 if later else 0, first, 1))] if first or later else []
    return made.ethernet(made.ipv6(source, destination, headers.protocol, upper, extensions=fragment))


def upper_of(headers: Headers) -> bytes:
    ports = (headers.source_port or 0, headers.destination_port or 0)
    if headers.fragment == "later":
        return bytes(8)
    if headers.protocol == made.TCP:
        return made.tcp(*ports)
    if headers.protocol == made.UDP:
        return made.udp(*ports)
    if headers.protocol in (made.ICMP, made.ICMPV6):
        return made.icmp(headers.icmp_type or 0, headers.icmp_code or 0)
    return bytes(8)


def shown(verdict: Verdict, *, sized: bool) -> dict[str, Any]:
    """A verdict in the words of the table."""
    if verdict.outcome != "mirrored":
        return {"not": verdict.cause}
    assert verdict.session is not None
    rule = "amazon-dns" if verdict.rule is None else verdict.rule.number
    return {"mirrored": {"session": verdict.session.number, "rule": rule, **({"bytes": verdict.kept} if sized else {})}}
