"""Every AWS call of an incident fails once, in every way: what becomes of the incident?

A path is a course that incidents take. Walked once without a fault, it shows its points: each call of each role.
Then it is walked again for each point and kind of fault, with that one fault.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.cloudwatch.metrics import Measurement
from strictmoto.faults import Fault, Kind
from strictmoto.front.answers import is_read
from strictmoto.lambda_.service import service
from strictmoto.recorder import Record
from strictmoto.testing.snapshot import Snapshot, differences
from tapstack.cli.incident_api import ServiceError, UserError
from tapstack.domain.incidents import undo_command
from tests.end_to_end.comparing import all_resources, delete_evidence
from tests.end_to_end.containment_paths import bring_back
from tests.end_to_end.deployed import SCALE, DeployedResponse, Incident, NotThereError, key_of
from tests.end_to_end.paths import PATHS, WORKFLOW, Path
from tests.end_to_end.walking import Walk

STUBBORN: Final = 4
"""AWS's clients in the functions try so often: a fault that lasts as long is what the function sees."""
_SLOW_SECONDS: Final = 8.5
_SLOW_SECONDS_OF_API: Final = 4.5
"""Longer than the clients wait: those of the functions behind the API are quick to give up."""
_BEHIND_THE_API: Final = frozenset({"api", "alerts"})

_BESIDE_MINUTES: Final = 1440
_BESIDE_SECONDS: Final = 0.5 * _BESIDE_MINUTES * 60 * SCALE
"""How long another incident is used: its own time must not run out."""

RIGHT: Final = "as without a fault"
FAILED: Final = "failed, and closing brought all back"
UNDONE: Final = "containment failed, and a release brought all back"
SWEPT: Final = "closed, and the sweeper brought the appliance back"
MISSED: Final = "not triggered"
OTHERWISE: Final = "otherwise"
ENDS: Final = (RIGHT, FAILED, UNDONE, SWEPT, MISSED, OTHERWISE)


@dataclass(frozen=True, slots=True)
class Way:
    """How a call fails.

    Attributes:
        name: as shown.
        kind: of fault.
        times: how many calls in a row meet it.
    """

    name: str
    kind: Kind | Literal["killed"]
    times: int = 1


THROTTLED: Final = Way("throttled", "throttled")
SERVER_ERROR: Final = Way("server error", "server error")
LOST_BEFORE: Final = Way("lost before", "lost before")
LOST_AFTER: Final = Way("lost after", "lost after")
THROTTLED_FOR_LONG: Final = Way("throttled for long", "throttled", STUBBORN)
LOST_FOR_LONG: Final = Way("lost after, for long", "lost after", STUBBORN)
SLOW: Final = Way("timed out", "slow")
LATE: Final = Way("late", "late")
KILLED: Final = Way("killed after", "killed")
"""Not the call fails: the process that made it is killed before it gets the answer."""
KINDS: Final = (
    THROTTLED,
    SERVER_ERROR,
    LOST_BEFORE,
    LOST_AFTER,
    THROTTLED_FOR_LONG,
    LOST_FOR_LONG,
    SLOW,
    LATE,
    KILLED,
)


@dataclass(frozen=True, slots=True)
class Point:
    """A call on a path: the n-th of an action by a role."""

    path: str
    role: str
    service: str
    action: str
    call: int

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return is_read(self.action)

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.path}: {self.role} {self.service}:{self.action} {self.call}"


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of an incident that met a fault."""

    point: Point
    kind: Way
    end: str
    why: str = ""

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.point}, {self.kind.name}: {self.end}{': ' if self.why else ''}{self.why}"


@dataclass
class Runner:
    """Walks paths on one deployed response, which nothing else uses meanwhile.

    Args:
        response: whose appliance is launched.
        say: gets a line for each ending.
    """

    response: DeployedResponse
    say: Callable[[str], object] = lambda _: None
    _beside: tuple[Incident, ...] = ()
    _beside_of: tuple[str, ...] = ()
    _beside_since: float = 0.0
    _kept: frozenset[tuple[str, str]] = frozenset()
    _before: Snapshot = field(default_factory=dict)
    _walks: int = 0

    def __post_init__(self) -> None:
        """Begin with nothing that earlier tests left."""
        self._start_anew()

    def points(self, path: Path) -> list[Point]:
        """Walk a path without a fault and return its points, in the order of their first calls."""
        self._prepare(path)
        self._walk(path)
        calls = Counter(
            (record.principal.removeprefix(self.response.role("")), record.call.service, record.call.action)
            for record in self.response.records()
            # No fault meets what CloudFormation calls.
            if not record.invoked_by
        )
        path.tidy(self.response)
        problem = self._problem()
        assert not problem, f"{path.name}, without a fault: {problem}"
        return [
            Point(path.name, *what, n)
            for what, count in calls.items()
            for n in range(1, count + 1)
            if not path.roles or what[0] in path.roles
        ]

    def meet(self, point: Point, kind: Way) -> Ending:
        """Walk a path with one fault, and bring the account back."""
        path = PATHS[point.path]
        self._prepare(path)
        with self._struck(point, kind) as struck:
            try:
                end, why = self._meet_containing(path) if path.contains else self._meet(path)
            except (NotThereError, ServiceError, UserError, AssertionError) as error:
                end, why = OTHERWISE, str(error)
        if end != OTHERWISE and not struck():
            end = MISSED
        ending = Ending(point, kind, end, why)
        self.say(str(ending))
        if end == OTHERWISE:
            self._start_anew()
        return ending

    @contextmanager
    def _struck(self, point: Point, kind: Way) -> Iterator[Callable[[], bool]]:
        """Have the point meet the fault inside; what is yielded returns whether it did."""
        account = self.response.account
        if kind is not KILLED:
            account.faults.add(_fault(self.response, point, kind))
            yield lambda: any(record.fault for record in account.recorder.records())
            return
        role, seen = self.response.role(point.role), []

        def kill(record: Record) -> None:
            if (record.principal, record.call.service, record.call.action) == (role, point.service, point.action):
                seen.append(record)
                if len(seen) == point.call:
                    service().kill(ACCOUNT_ID, REGION, self.response.function(point.role))

        with account.recorder.heard_by(kill):
            yield lambda: len(seen) >= point.call

    def close(self) -> None:
        """Bring the account back to where it was before the first walk."""
        self._start_anew()

    def _meet(self, path: Path) -> tuple[str, str]:
        incident: Incident | None = None
        failed = ""
        try:
            incident = self._walk(path)
        except NotThereError:
            # It may have failed, and say so.
            incident = self._newest()
            if incident is None or incident["state"] != "failed":
                raise
            failed = incident["timeline"][-1]["detail"]
            if incident["undo"] != undo_command(incident["id"]) or incident["in_place"] is None:
                return OTHERWISE, f"it failed, and does not say what to do: {incident}"
            self.response.account.faults.clear()
            incident = self.response.end(incident)
        if incident["state"] != "closed":
            return OTHERWISE, f"it is {incident['state']}"
        if mirrored := [i for i in incident["interfaces"] if i["state"] not in ("ended", "refused")]:
            return OTHERWISE, f"it is closed and shows {mirrored}"
        if any(entry["what"] == "cleanup failed" for entry in incident["timeline"]):
            self._sweep()
            problem = self._problem()
            return (OTHERWISE, problem) if problem else (SWEPT, incident["timeline"][-1]["detail"])
        if problem := self._problem():
            return OTHERWISE, problem
        return (FAILED, failed) if failed else (RIGHT, "")

    def _meet_containing(self, path: Path) -> tuple[str, str]:
        failed = ""
        try:
            self._walk(path)
        except NotThereError as error:
            # It may have failed, and say so.
            failed = bring_back(self.response, self._beside, error)
        path.tidy(self.response)
        if problem := self._problem():
            return OTHERWISE, problem
        return (UNDONE, failed) if failed else (RIGHT, "")

    def _walk(self, path: Path) -> Incident:
        self._walks += 1
        return path.walk(Walk(self.response, f"walk-{self._walks}-{time.time_ns()}", self._beside))

    def _newest(self) -> Incident | None:
        """Return the incident that was opened last, if any was."""
        found = [item["id"]["S"] for item in self.response.items() if item["sk"]["S"] == "INCIDENT"]
        others = [name for name in found if name not in self._ids_beside]
        return self.response.show({"id": max(others)}) if others else None

    def _sweep(self) -> None:
        """Run the sweeper, as if the appliance had been idle for long."""
        self.response.account.faults.clear()
        appliance = {"pk": {"S": "APPLIANCE"}, "sk": {"S": "APPLIANCE"}}
        self.response.change(appliance, released_at={"N": "1"})
        self.response.sweep()
        self.response.sweep()

    def _prepare(self, path: Path) -> None:
        """Have the incidents beside, or none, and nothing else."""
        response = self.response
        response.account.faults.clear()
        # A containment waits for packets, and looks once, unless CloudWatch's next five minutes begin meanwhile.
        response.account.metrics.forget()
        for instance in response.company.instances.values():
            response.account.metrics.add(Measurement(instance, "NetworkMirrorIn", 1500))
        old = time.monotonic() - self._beside_since > _BESIDE_SECONDS
        if self._beside and (old or path.beside != self._beside_of):
            self._start_anew()
        if path.beside and not self._beside:
            self._start_anew()
            self._beside = tuple(response.captured(name, minutes=_BESIDE_MINUTES) for name in path.beside)
            self._beside_of, self._beside_since = path.beside, time.monotonic()
            self._before = {}
            self._kept = frozenset(key_of(item) for item in response.items())
        # A table that grows makes every walk slower than the one before.
        response.forget(self._kept)
        # After a walk that left nothing, all is as it was before that.
        self._before = self._before or all_resources(response.account)
        response.account.recorder.clear()

    def _start_anew(self) -> None:
        self._beside, self._beside_of, self._kept = (), (), frozenset()
        self._before = {}
        try:
            self.response.clean()
        except NotThereError as error:
            self.say(f"  left, and taken away: {error}")

    @property
    def _ids_beside(self) -> list[str]:
        return [incident["id"] for incident in self._beside]

    def _problem(self) -> str:
        """Say what is not as it was before the walk; nothing where all is."""
        self.response.until_handled()
        # Snapshots are evidence, and stay; but each containment takes them once.
        left = list(delete_evidence(self.response.account))
        left += differences(self._before, all_resources(self.response.account))
        left += self.response.not_back()
        if not self._beside:
            left += [f"still held: {name}" for name in self.response.held()]
        else:
            left += [f"not its only holder: {name}" for name in self.response.held_by_others_than(*self._ids_beside)]
        for incident in self._beside:
            if (state := self.response.read(incident)["state"]) != "capturing":
                left.append(f"the incident beside is {state}")
        if running := [name for name in self.response.running() if name not in self._ids_beside]:
            left.append(f"still running: {running}")
        return "; ".join(left)


def meetings(points: Iterable[Point]) -> Iterator[tuple[Point, Way]]:
    """Yield what points meet.

    Each call that changes something is lost, before and after its effect, and its function killed after it. A read
    leaves all as the change before it did: whoever is killed after it, or asks again, finds what it found after that
    change. So a read is lost, and its function killed after it, at the first call of a role's action on a path.
    Throttling is tried there, too, of reads and of changes. What AWS's clients make up for alike wherever it happens is
    tried at the first call of a role's action on any path.
    """
    on_path: set[tuple[str, ...]] = set()
    anywhere: set[tuple[str, ...]] = set()
    for point in points:
        what = (point.role, point.service, point.action)
        first = (point.path, *what) not in on_path
        on_path.add((point.path, *what))
        if not point.reads:
            yield point, LOST_BEFORE
        if first or not point.reads:
            yield point, LOST_AFTER
            if point.role != WORKFLOW:
                yield point, KILLED
        if first:
            yield point, THROTTLED
        if what in anywhere:
            continue
        anywhere.add(what)
        yield from ((point, kind) for kind in (SERVER_ERROR, THROTTLED_FOR_LONG, SLOW))
        if not point.reads:
            yield point, LOST_FOR_LONG
        # The table is asked for what is true now; its index cannot be.
        elif (point.service, point.action) != ("dynamodb", "GetItem"):
            yield point, LATE


def sample(points: Iterable[Point], *, reads: bool) -> Iterator[tuple[Point, Way]]:
    """Yield a fault for the first call of each action of a role: reads throttled, or changes lost after it."""
    seen: set[tuple[str, str, str]] = set()
    for point in points:
        what = (point.role, point.service, point.action)
        if what not in seen and point.reads == reads:
            seen.add(what)
            yield point, THROTTLED if point.reads else LOST_AFTER


def _fault(response: DeployedResponse, point: Point, kind: Way) -> Fault:
    slow = _SLOW_SECONDS_OF_API if point.role in _BEHIND_THE_API else _SLOW_SECONDS
    assert kind.kind != "killed"
    return Fault(
        point.action,
        kind.kind,
        # A late read counts from the creation on that it misses.
        call=1 if kind.kind == "late" else point.call,
        service=point.service,
        seconds=slow if kind.kind == "slow" else 0.0,
        principal=response.role(point.role),
        times=kind.times,
    )
