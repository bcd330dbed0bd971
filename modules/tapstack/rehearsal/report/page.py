"""The page itself: what happened, what it looked like, every call, and whether the account is as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from tapstack.rehearsal.report.drawing import draw
from tapstack.rehearsal.report.loop import Loop
from tapstack.rehearsal.report.packets import Packets
from tapstack.rehearsal.report.topology import Topology


@dataclass(frozen=True, slots=True)
class TimedStep:
    """A thing the rehearsal did, how many seconds it took, and whether it went right."""

    name: str
    seconds: float
    good: bool = True
    note: str = ""
    groups: Sequence[GroupsOf] = ()


@dataclass(frozen=True, slots=True)
class GroupsOf:
    """The names of an interface's security groups before containment, during it and after release."""

    network_interface_id: str
    before: Sequence[str]
    contained: Sequence[str]
    released: Sequence[str]


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the rehearsal and the calls that were made in it, as `Record.as_dict()` gives them."""

    name: str
    calls: Sequence[Mapping[str, Any]]

    def by_principal(self) -> list[tuple[str, list[tuple[str, int, int]]]]:
        """Return, for each principal, its actions with how often each was called and refused."""
        made: dict[str, Counter[str]] = {}
        refused: dict[str, Counter[str]] = {}
        for call in self.calls:
            who, action = short_principal(call.get("principal", "")), f"{call['service']}:{call['action']}"
            made.setdefault(who, Counter())[action] += 1
            refused.setdefault(who, Counter())[action] += call["status"] >= 400
        return [
            (who, [(action, count, refused[who][action]) for action, count in sorted(actions.items())])
            for who, actions in sorted(made.items())
        ]


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page says.

    Attributes:
        title: of the page.
        started, finished: of the rehearsal, UTC.
        steps: what was done, in order.
        incident: as the API shows it at the end, with its timeline.
        topology: the VPC while packets were mirrored.
        groups: of each interface that was contained; empty where none was.
        phases: every call, by part of the rehearsal.
        differences: what is not as it was before; empty where all is.
        seconds_to_capture: from the alert to mirroring on every interface; None where it never came to that.
        note: what a reader must know to read the times right.
        loop: what an XDR sent and read; None where the site has none.
        packets: that flowed at the suspect's interface; None where none could.
    """

    title: str
    started: datetime
    finished: datetime
    steps: Sequence[TimedStep]
    incident: Mapping[str, Any]
    topology: Topology
    phases: Sequence[Phase]
    differences: Sequence[str]
    seconds_to_capture: float | None = None
    note: str = ""
    groups: Sequence[GroupsOf] = ()
    loop: Loop | None = None
    packets: Packets | None = None

    @property
    def good(self) -> bool:
        """Whether every step went right and nothing is left."""
        return not self.differences and all(step.good for step in self.steps)


def render(report: Report) -> str:
    """Return the page: HTML that loads nothing from anywhere."""
    environment = Environment(
        loader=PackageLoader("tapstack.rehearsal.report", "."),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    environment.filters["principal"] = short_principal
    environment.filters["shortened"] = shortened
    longest = max((step.seconds for step in report.steps), default=0) or 1
    return environment.get_template("page.html").render(
        report=report, drawing=draw(report.topology), longest=longest, mirrored=report.topology.mirrored()
    )


def duration(seconds: float) -> str:
    """Return seconds in the usual units: 0.4 s, 12 s, 2 min 5 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def shortened(text: str, longest: int) -> str:
    """Return text of so many characters at most; a longer one ends in an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def short_principal(arn: str) -> str:
    """Return the name of a role or user out of its ARN; `account root` for the root user's."""
    last = arn.rpartition(":")[2]
    return "account root" if last == "root" else (last.partition("/")[2] or last or "unknown")
