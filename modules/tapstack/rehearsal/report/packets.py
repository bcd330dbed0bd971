"""The packets of a rehearsal: a timeline by conversation, with containment in it, and the capture itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tapstack.packets.captures import NANOSECONDS
from tapstack.rehearsal.wire.traffic import PHASES, Flowed

LARGEST: Final = 4 << 20
"""Bytes of a capture that the page carries; browsers follow no longer links of this kind."""
_LEFT: Final = 150
_RIGHT: Final = 844
_TOP: Final = 34
_LANE: Final = 30
_LONGEST: Final = 18


@dataclass(frozen=True, slots=True)
class Tick:
    """Packets at one place of a lane."""

    x: int
    mirrored: bool


@dataclass(frozen=True, slots=True)
class Lane:
    """One conversation; `name` is shortened to what fits."""

    name: str
    y: int
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Packets:
    """What flowed, and what was handed over of it.

    Attributes:
        interface: id of the network interface.
        flowed: what became of each conversation, in order.
        selected: how many packets were handed over.
        pcapng: these.
        name: of the file of these.
    """

    interface: str
    flowed: Sequence[Flowed]
    selected: int
    pcapng: bytes
    name: str

    @property
    def link(self) -> str:
        """The capture as a link that needs no file beside the page; empty where it is too long for that."""
        if len(self.pcapng) > LARGEST:
            return ""
        return f"data:application/octet-stream;base64,{base64.b64encode(self.pcapng).decode()}"

    @property
    def rows(self) -> list[Flowed]:
        """The conversations that had packets."""
        return [one for one in self.flowed if one.packets]

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The timeline: a lane for each conversation."""
        names = list(dict.fromkeys(one.what for one in self.rows))
        return tuple(self._lane(name, _TOP + _LANE * number) for number, name in enumerate(names))

    @property
    def height(self) -> int:
        """Of the timeline, in pixels."""
        return _TOP + _LANE * len(self.lanes) + 26

    @property
    def containment(self) -> tuple[int, int] | None:
        """Where the containment's first packet is, and the first one after it; None where nothing was contained."""
        begun, ended = (
            next((self._x(at) for one in self.rows if one.phase == phase for at, _ in one.times), None)
            for phase in PHASES[1:]
        )
        return None if begun is None else (begun - 4, _RIGHT if ended is None else ended - 4)

    @property
    def ends(self) -> tuple[str, str]:
        """The times of the first and the last packet."""
        first, last = (datetime.fromtimestamp(at // NANOSECONDS, UTC) for at in self._span())
        return f"{first:%H:%M:%S}", f"{last:%H:%M:%S}"

    @property
    def described(self) -> str:
        """The timeline in words."""
        said = (f"{one.phase}: {one.what}, {one.mirrored} of {one.packets} packets mirrored" for one in self.rows)
        return f"{'; '.join(said)}."

    @staticmethod
    def time(flowed: Flowed) -> str:
        """Return when a conversation began."""
        return f"{datetime.fromtimestamp(flowed.times[0][0] // NANOSECONDS, UTC):%H:%M:%S}"

    def _span(self) -> tuple[int, int]:
        firsts, lasts = zip(*((one.times[0][0], one.times[-1][0]) for one in self.rows), strict=True)
        return min(firsts), max(lasts)

    def _x(self, at: int) -> int:
        first, last = self._span()
        return _LEFT + (_RIGHT - _LEFT) * (at - first) // max(1, last - first)

    def _lane(self, name: str, y: int) -> Lane:
        # Those at one place are drawn once: a capture may have millions.
        ticks = {(self._x(at), mirrored) for one in self.rows if one.what == name for at, mirrored in one.times}
        short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        return Lane(short, y, tuple(Tick(x, mirrored) for x, mirrored in sorted(ticks)))
