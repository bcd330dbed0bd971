"""Packets of an incident as text: when there were some, by interface, and what was contained meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tapstack.cli.terminal import plain, shortened, table
from tapstack.domain import incidents
from tapstack.domain.counts import counted
from tapstack.packets.captures import NANOSECONDS
from tapstack.packets.frames import ETHERNET, Octets, decode_frame
from tapstack.packets.handing_over import HandOver
from tapstack.packets.storage import time_text
from tapstack.packets.written import packet_text

COLUMNS: Final = 60
"""Characters of a timeline."""
_MOST_PARTS: Final = 16 * COLUMNS
_FIRST_PART: Final = NANOSECONDS // 10
_BARS: Final = " ▁▂▃▄▅▆▇█"
_ASCII_BARS: Final = " .:-=+*#@"
_NAME: Final = 40
_SIZES: Final = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(slots=True)
class Seen:
    """The packets of an interface.

    Attributes:
        name: of the interface.
        packets: how many.
        size: bytes of them on the wire.
        first: nanoseconds of the first one.
        last: of the last one.
        parts: how many there were by parts of time.
    """

    name: str
    packets: int = 0
    size: int = 0
    first: int = 0
    last: int = 0
    parts: dict[int, int] = field(default_factory=dict)


class Packets:
    """Counts packets by interface and time, in memory that does not grow with them.

    Attributes:
        seen: by interface.
        part: nanoseconds of a part of time; it doubles when there are too many parts.
        written: nothing.
    """

    def __init__(self, origin: int) -> None:
        """Begin; parts of time are counted from `origin` in nanoseconds."""
        self.seen: list[Seen] = []
        self.part, self.written = _FIRST_PART, 0
        self._origin, self._parts = origin, (0, 0)
        self._known: dict[str, int] = {}

    def add_interface(self, name: str, *, description: str = "", comment: str = "", link_type: int = ETHERNET) -> int:
        """Return the number of an interface; those of one name are one."""
        del description, comment, link_type
        if name not in self._known:
            self._known[name] = len(self.seen)
            self.seen.append(Seen(name))
        return self._known[name]

    def add_packet(self, interface: int, time: int, data: Octets, wire: int) -> None:
        """Count a packet."""
        del data
        one = self.seen[interface]
        one.first = time if not one.packets else min(one.first, time)
        one.last = max(one.last, time)
        one.packets += 1
        one.size += wire
        part = (time - self._origin) // self.part
        if not self._parts[0] <= part <= self._parts[1]:
            part = self._spread(part, time)
        one.parts[part] = one.parts.get(part, 0) + 1

    def _spread(self, part: int, time: int) -> int:
        """Make parts longer, until there are few enough of them with another one; return which one it is."""
        low, high = self._parts if any(one.parts for one in self.seen) else (part, part)
        while max(high, part) - min(low, part) >= _MOST_PARTS:
            self.part, low, high = self.part * 2, low // 2, high // 2
            part = (time - self._origin) // self.part
            for one in self.seen:
                merged: dict[int, int] = {}
                for number, count in one.parts.items():
                    merged[number // 2] = merged.get(number // 2, 0) + count
                one.parts = merged
        self._parts = min(low, part), max(high, part)
        return part

    def columns(self, one: Seen, begin: int, column: int) -> list[int]:
        """Return how many packets of an interface are in each column of so many nanoseconds from `begin` on."""
        counts = [0] * COLUMNS
        for number, count in one.parts.items():
            at = (max(self._origin + number * self.part, begin) - begin) // column
            counts[min(at, COLUMNS - 1)] += count
        return counts


class PacketLines:
    """Shows each packet in a line."""

    written = 0

    def __init__(self, show: Callable[[str], None]) -> None:
        """Keep what shows a line."""
        self._show, self._interfaces = show, list[tuple[str, int]]()

    def add_interface(self, name: str, *, description: str = "", comment: str = "", link_type: int = ETHERNET) -> int:
        """Return the number of an interface."""
        del description, comment
        key = (plain(name), link_type)
        if key not in self._interfaces:
            self._interfaces.append(key)
        return self._interfaces.index(key)

    def add_packet(self, interface: int, time: int, data: Octets, wire: int) -> None:
        """Show a packet."""
        name, link_type = self._interfaces[interface]
        headers = decode_frame(data, link_type=link_type)
        self._show(f"{time_text(time)[:26]}Z  {name}  {packet_text(headers)}, {counted(wire, 'byte')}")


def timeline(
    listed: Packets, done: HandOver, incident: Mapping[str, Any], *, ascii_only: bool = False
) -> Iterator[str]:
    """Give the lines that show when packets were seen, by interface, and when the instance was contained."""
    shown = sorted((one for one in listed.seen if one.packets), key=lambda one: (-one.packets, one.name))
    spans = list(_contained(incident))
    edges = [edge for span in spans for edge in span if edge is not None]
    begin = min([one.first for one in shown] + edges)
    end = max([one.last for one in shown] + edges)
    column = max(-(-(end - begin + 1) // COLUMNS), 1)
    bars = _ASCII_BARS if ascii_only else _BARS
    yield f"{plain(incident.get('id'))}  {_clock(begin)} to {_clock(end)}; a column is {_duration(column)}"
    yield ""
    most = max(max(listed.columns(one, begin, column)) for one in shown)
    width = max(len(_name(one)) for one in shown)
    width = max(width, len("contained")) if spans else width
    for one in shown:
        line = "".join(_bar(count, most, bars) for count in listed.columns(one, begin, column))
        yield f"{_name(one):<{width}}  {line}".rstrip()
    opening, closing = time_text(begin)[11:19], time_text(end)[11:19]
    yield f"{'':<{width}}  {opening}{closing:>{COLUMNS - len(opening)}}"
    for since, until in spans:
        at = min((since - begin) // column, COLUMNS - 1)
        to = COLUMNS - 1 if until is None else min((until - begin) // column, COLUMNS - 1)
        last = ">" if until is None else "|"
        line = " " * at + ("|" if at == to else "|" + "-" * (to - at - 1) + last)
        yield f"{'contained':<{width}}  {line}"
    yield ""
    rows = [[_name(one), f"{one.packets:,}", _size(one.size), _clock(one.first), _clock(one.last)] for one in shown]
    yield from table(["INTERFACE", "PACKETS", "SIZE", "FIRST", "LAST"], rows)
    for since, until in spans:
        yield f"contained {_clock(since)} to {'now' if until is None else _clock(until)}"
    yield f"{counted(done.files, 'capture')} read, {counted(done.skipped, 'capture')} of other times not opened"


def as_json(listed: Packets, done: HandOver) -> str:
    """Return the same as JSON."""
    found = {
        "interfaces": [
            {
                "name": one.name,
                "packets": one.packets,
                "bytes": one.size,
                "first_packet_at": time_text(one.first),
                "last_packet_at": time_text(one.last),
            }
            for one in sorted(listed.seen, key=lambda one: (-one.packets, one.name))
            if one.packets
        ],
        "captures": done.files,
        "problems": done.problems,
    }
    return json.dumps(found, indent=2)


def summary(done: HandOver, name: str) -> str:
    """Return in one line what was handed over."""
    first, last = _clock(done.first or 0), _clock(done.last or 0)
    return (
        f"{counted(done.selected, 'packet')}, {first} to {last}, {_size(done.written)}: {name}; of "
        f"{counted(done.packets, 'packet')} in {counted(done.files, 'capture')}"
    )


def progress_line(done: HandOver) -> str:
    """Return how far reading is."""
    percent = min(100 * done.read // done.size, 100) if done.size else 0
    return f"{percent:3} % of {_size(done.size)} read, {counted(done.selected, 'packet')} selected"


def _contained(incident: Mapping[str, Any]) -> Iterator[tuple[int, int | None]]:
    """Give from when on the instance was contained, and until when; None where it still is."""
    since = None
    entries = incident.get("timeline")
    for entry in entries if isinstance(entries, list) else []:
        moment = incidents.as_moment(plain(entry.get("at"))) if isinstance(entry, dict) else None
        if moment is None:
            continue
        at = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * NANOSECONDS
        if entry.get("what") == "contained" and since is None:
            since = at
        elif entry.get("what") == "released" and since is not None:
            yield since, at
            since = None
    if since is not None:
        yield since, None


def _bar(count: int, most: int, bars: str) -> str:
    return bars[0] if not count else bars[max(1, count * (len(bars) - 1) // most)]


def _name(one: Seen) -> str:
    return shortened(plain(one.name), _NAME)


def _clock(nanoseconds: int) -> str:
    return f"{time_text(nanoseconds)[:19]}Z"


def _duration(nanoseconds: int) -> str:
    seconds = nanoseconds / NANOSECONDS
    if seconds >= 120:
        return f"{seconds / 60:.3g} minutes"
    return f"{seconds:.3g} seconds" if seconds >= 0.1 else "less than 0.1 seconds"


def _size(number: int) -> str:
    size, unit = float(number), 0
    while size >= 1000 and unit + 1 < len(_SIZES):
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_SIZES[unit]}" if not unit else f"{size:.3g} {_SIZES[unit]}"
