"""How `tapstack simulate` shows what becomes of packets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tapstack.cli.simulate_sessions import Interfaces, Place
from tapstack.cli.terminal import table
from tapstack.domain.counts import counted
from tapstack.domain.filter_rules import Direction, MirrorRule, PortRange
from tapstack.packets.frames import Headers
from tapstack.packets.mirroring import Answer, MirrorSession, Verdict, mismatch, ports_text, protocol_name
from tapstack.packets.services import DNS_PORT
from tapstack.packets.written import packet_text

_CELL: Final = 60
_OTHERS: Final = "neither from nor to the interface"


@dataclass(frozen=True, slots=True)
class Played:
    """What becomes of a packet at some interfaces, one way."""

    interfaces: Interfaces
    direction: Direction
    verdict: Verdict


@dataclass(slots=True)
class Row:
    """Packets of a capture of which the same becomes.

    Attributes:
        direction: which way they go; none where they are not the interface's.
        verdict: of the first one.
        packets: how many.
        bytes: of their frames.
        kept: bytes of them that arrive.
        cut: how many arrive shortened.
        example: the first one.
        dns: one of them has the port of DNS, and is IPv4.
    """

    direction: Direction | None
    verdict: Verdict
    example: str
    packets: int = 0
    bytes: int = 0
    kept: int = 0
    cut: int = 0
    dns: bool = False


@dataclass(slots=True)
class Totals:
    """What becomes of the packets of a capture."""

    rows: dict[tuple[object, ...], Row] = field(default_factory=dict)
    others: int = 0
    """Packets that are not the interface's."""

    def add(self, direction: Direction | None, verdict: Verdict | None, headers: Headers, length: int) -> None:
        """Count a packet; of one that is not the interface's nothing is known."""
        if direction is None or verdict is None:
            self.others += 1
            return
        rule = None if verdict.rule is None else verdict.rule.number
        session = None if verdict.session is None else verdict.session.name
        key = (direction, verdict.outcome, verdict.cause, session, rule, verdict.why)
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Row(direction, verdict, packet_text(headers, length))
        row.packets += 1
        row.bytes += length
        row.kept += verdict.kept or 0
        row.cut += verdict.whole is False
        row.dns |= is_dns(headers)

    @property
    def packets(self) -> int:
        """Return how many were counted."""
        return self.others + sum(row.packets for row in self.rows.values())

    def mirrored(self) -> tuple[int, int]:
        """Return how many packets are mirrored, and how many of their bytes arrive."""
        rows = [row for row in self.rows.values() if row.verdict.outcome == "mirrored"]
        return sum(row.packets for row in rows), sum(row.kept for row in rows)


def is_dns(headers: Headers) -> bool:
    """Return whether a packet may be one of the resolver at an address of the VPC."""
    return headers.family == 4 and DNS_PORT in (headers.source_port, headers.destination_port)


def as_text(
    place: Place, packet: str, headers: Headers, played: Sequence[Played], notes: Sequence[str]
) -> Iterator[str]:
    """Return the lines about one packet."""
    yield f"packet    {packet}"
    yield f"{place.kind:<9} {place.heading}"
    yield ""
    if place.filter_only:
        # Without a length there is nothing to say of how much arrives: a filter alone has no target.
        sized = any(one.verdict.kept is not None for one in played)
        header = ["direction", "outcome", *(["arrives"] if sized else []), "why"]
        rows = [
            [one.direction, one.verdict.outcome, *([_arrives(one.verdict)] if sized else []), _why(one.verdict)]
            for one in played
        ]
    else:
        header = ["direction", "interfaces", "outcome", "session", "target", "arrives", "why"]
        rows = [
            [
                one.direction,
                one.interfaces.name,
                one.verdict.outcome,
                _session(one.verdict),
                _target(one.verdict),
                _arrives(one.verdict),
                _why(one.verdict),
            ]
            for one in played
        ]
    yield from table(header, rows, widest=_CELL)
    yield from _asked(place, headers, played)
    yield ""
    yield from (f"note      {note}" for note in notes)


def _why(verdict: Verdict) -> str:
    """Return the reason, without what the columns say."""
    if verdict.rule is not None:
        done = "accepts" if verdict.outcome == "mirrored" else "rejects"
        return f"rule {verdict.rule.number} {done} it"
    if verdict.outcome == "mirrored":
        return "amazon-dns: it is DNS to or from the resolver"
    return verdict.why


def _session(verdict: Verdict) -> str:
    return "" if verdict.session is None else f"{verdict.session.name} ({verdict.session.number})"


def _target(verdict: Verdict) -> str:
    return verdict.session.target.name if verdict.session is not None and verdict.outcome == "mirrored" else ""


def _arrives(verdict: Verdict) -> str:
    """Return how much of a packet arrives, in bytes of its frame."""
    if verdict.outcome != "mirrored" or verdict.session is None:
        return ""
    if verdict.kept is not None:
        if verdict.whole is None:
            return f"at most {verdict.kept} bytes"
        return f"all {verdict.kept} bytes" if verdict.whole else f"{verdict.kept} bytes ({verdict.cut_by})"
    limits = [size for size in (verdict.session.copied, verdict.session.target.whole) if size is not None]
    return f"up to {min(limits)} bytes" if limits else "no limit is known"


def _asked(place: Place, headers: Headers, played: Sequence[Played]) -> Iterator[str]:
    """Return what each rule that was asked says, once for each filter and direction."""
    shown: set[tuple[str, Direction]] = set()
    for one in played:
        for answer in one.verdict.answers:
            session = answer.session
            if (session.filter_name, one.direction) in shown or answer.unknown:
                continue
            shown.add((session.filter_name, one.direction))
            rows = list(_rule_rows(answer, headers, one.direction))
            yield ""
            yield f"filter {session.filter_name}, {one.direction}"
            if rows:
                yield from table(["rule", "action", "protocol", "source", "destination", ""], rows, "  ")
            else:
                yield "  no rule"


def _rule_rows(answer: Answer, headers: Headers, direction: Direction) -> Iterator[list[str]]:
    decided = False
    by_rules = answer.rule is not None or answer.action is None
    for rule in answer.session.rules(direction):
        if not by_rules:
            said = "not asked: amazon-dns decides"
        elif decided:
            said = "not asked"
        else:
            why = mismatch(rule, headers)
            decided = not why
            said = f"no: {why}" if why else f"matches: {rule.action}"
        yield [
            str(rule.number),
            rule.action,
            "all" if rule.traffic.protocol is None else protocol_name(rule.traffic.protocol),
            _side(rule.source_cidr, rule.traffic.source_ports),
            _side(rule.destination_cidr, rule.traffic.destination_ports),
            said,
        ]


def _side(cidr: str, ports: PortRange | None) -> str:
    return cidr if ports is None else f"{cidr} port {ports_text(ports)}"


def as_json(place: Place, packet: str, played: Sequence[Played], notes: Sequence[str]) -> dict[str, Any]:
    """Return what becomes of one packet as JSON."""
    return {
        "packet": packet,
        place.kind: place.name,
        "results": [
            {
                "direction": one.direction,
                **({} if place.filter_only else {"interfaces": one.interfaces.name}),
                **_verdict(one.verdict, filter_only=place.filter_only),
                "kept_bytes": one.verdict.kept,
                "whole": one.verdict.whole,
                "cut_by": one.verdict.cut_by or None,
                "inferred": list(one.verdict.inferred),
            }
            for one in played
        ],
        "notes": list(notes),
    }


def _verdict(verdict: Verdict, *, filter_only: bool) -> dict[str, Any]:
    session = verdict.session
    return {
        "outcome": verdict.outcome,
        "cause": verdict.cause,
        "why": _why(verdict) if filter_only else verdict.why,
        "rule": None if verdict.rule is None else _rule(verdict.rule),
        **({} if filter_only else {"session": None if session is None else _session_json(session)}),
    }


def _session_json(session: MirrorSession) -> dict[str, Any]:
    return {
        "name": session.name,
        "number": session.number,
        "filter": session.filter_name,
        "target": session.target.name,
        "target_kind": session.target.kind,
        "packet_length": session.copied,
        "virtual_network_id": session.virtual_network_id,
    }


def _rule(rule: MirrorRule) -> dict[str, Any]:
    traffic = rule.traffic
    return {
        "number": rule.number,
        "direction": rule.direction,
        "action": rule.action,
        "protocol": "all" if traffic.protocol is None else traffic.protocol,
        "source": rule.source_cidr,
        "destination": rule.destination_cidr,
        "source_ports": None if traffic.source_ports is None else ports_text(traffic.source_ports),
        "destination_ports": None if traffic.destination_ports is None else ports_text(traffic.destination_ports),
    }


def totals_as_text(place: Place, file: str, totals: Totals, notes: Sequence[str]) -> Iterator[str]:
    """Return the lines about the packets of a capture."""
    mirrored, kept = totals.mirrored()
    yield f"capture   {file}: {counted(totals.packets, 'packet')}"
    yield f"{place.kind:<9} {place.heading}"
    yield f"mirrored  {mirrored} of {counted(totals.packets, 'packet')}, {counted(kept, 'byte')} arrive"
    yield ""
    header = ["packets", "bytes", "direction", "outcome", *([] if place.filter_only else ["session"]), "arrives", "why"]
    header.append("first")
    rows = []
    for row in _sorted(totals):
        verdict = row.verdict
        arrives = "" if verdict.outcome != "mirrored" else f"{row.kept} bytes"
        arrives += f", {row.cut} shortened" if row.cut else ""
        cells = [str(row.packets), str(row.bytes), str(row.direction), verdict.outcome]
        cells += [] if place.filter_only else [_session(verdict)]
        rows.append([*cells, arrives, _why(verdict), row.example])
    if totals.others:
        cells = [str(totals.others), "", "", "not mirrored", *([] if place.filter_only else [""])]
        rows.append([*cells, "", _OTHERS, ""])
    yield from table(header, rows)
    yield ""
    yield from (f"note      {note}" for note in notes)


def totals_as_json(place: Place, file: str, totals: Totals, notes: Sequence[str]) -> dict[str, Any]:
    """Return what becomes of the packets of a capture as JSON."""
    mirrored, kept = totals.mirrored()
    return {
        "capture": file,
        place.kind: place.name,
        "packets": totals.packets,
        "mirrored_packets": mirrored,
        "kept_bytes": kept,
        "packets_of_others": totals.others,
        "results": [
            {
                "direction": row.direction,
                **_verdict(row.verdict, filter_only=place.filter_only),
                "packets": row.packets,
                "bytes": row.bytes,
                "kept_bytes": row.kept if row.verdict.outcome == "mirrored" else None,
                "shortened_packets": row.cut,
                "first": row.example,
            }
            for row in _sorted(totals)
        ],
        "notes": list(notes),
    }


def _sorted(totals: Totals) -> list[Row]:
    """Return the rows, those that are mirrored first, then the largest."""
    order = {"mirrored": 0, "unknown": 1, "not mirrored": 2}
    return sorted(totals.rows.values(), key=lambda row: (order[row.verdict.outcome], -row.packets, row.example))
