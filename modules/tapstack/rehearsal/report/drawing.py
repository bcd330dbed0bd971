"""The drawing of a topology: where each box and line goes, in pixels of an SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tapstack.rehearsal.report.topology import DrawnInterface, Instance, Topology

WIDTH: Final = 860
_MARGIN: Final = 16
_LEFT: Final = 400
"""Width of a subnet's box."""
_APPLIANCE: Final = 220
_LINE: Final = 24
"""Height of an interface's line."""
_SHORT_NAME: Final = 16
_LONGEST_NAME: Final = 34
_TOP: Final = 46
"""Where the first subnet begins, below the title."""


@dataclass(frozen=True, slots=True)
class Line:
    """An interface, at `y`; `label` says which session mirrors it, empty for none."""

    interface: DrawnInterface
    y: int
    label: str
    curve: str


@dataclass(frozen=True, slots=True)
class Card:
    """An instance with its interfaces; `name` and `note` stand side by side."""

    instance: Instance
    y: int
    height: int
    lines: tuple[Line, ...]

    @property
    def name(self) -> str:
        """Its name, shortened to what fits."""
        name = self.instance.name
        return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"

    @property
    def note(self) -> str:
        """Its type and, beside a short name, its id."""
        kind = self.instance.type
        return kind if len(self.name) > _SHORT_NAME else f"{kind} · {self.instance.id}"


@dataclass(frozen=True, slots=True)
class Box:
    """A subnet with its instances."""

    name: str
    note: str
    y: int
    height: int
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything with its place."""

    title: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    appliance: Instance | None
    appliance_y: int
    description: str


def draw(topology: Topology) -> Drawing:
    """Lay a topology out: subnets on the left, the appliance on the right, a curve for each session of ours."""
    height = _height(topology)
    middle = height // 2
    y = _TOP
    boxes = []
    for subnet in topology.subnets:
        top, y = y, y + 34
        cards = []
        for instance in subnet.instances:
            card = _card(instance, y, middle)
            cards.append(card)
            y += card.height + 10
        boxes.append(Box(subnet.name, f"{subnet.cidr} · {subnet.zone}", top, y - top, tuple(cards)))
        y += 14
    return Drawing(
        f"VPC {topology.name} · {topology.cidr} · {topology.vpc_id}",
        WIDTH,
        height,
        tuple(boxes),
        topology.appliance,
        middle - 52,
        _described(topology),
    )


def _height(topology: Topology) -> int:
    cards = [instance for subnet in topology.subnets for instance in subnet.instances]
    needed = _TOP + sum(48 for _ in topology.subnets) + sum(_card_height(instance) + 10 for instance in cards)
    return max(needed, 240) + _MARGIN


def _card_height(instance: Instance) -> int:
    return 34 + _LINE * len(instance.interfaces)


def _card(instance: Instance, y: int, middle: int) -> Card:
    lines = []
    for position, interface in enumerate(instance.interfaces):
        at = y + 34 + _LINE * position
        ours = [session for session in interface.sessions if session.ours]
        label = ", ".join(f"session {session.number}" for session in ours)
        lines.append(Line(interface, at, label, _curve(at + 2, middle) if ours else ""))
    return Card(instance, y, _card_height(instance), tuple(lines))


def _curve(y: int, middle: int) -> str:
    begin, end = _MARGIN + _LEFT - 12, WIDTH - _MARGIN - _APPLIANCE
    bend = (end - begin) // 2
    return f"M{begin} {y} C{begin + bend} {y} {end - bend} {middle} {end - 6} {middle}"


def _described(topology: Topology) -> str:
    mirrored = topology.mirrored()
    if not mirrored:
        return "No interface is mirrored."
    who = "; ".join(f"{interface.id} of {instance.name}" for instance, interface, _ in mirrored)
    to = topology.appliance.name if topology.appliance else "a target outside of this VPC"
    return f"Mirrored to {to}: {who}."
