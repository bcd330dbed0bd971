"""What the workflow and the sweeper do, one task at a time; and time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from tapstack.responder.handlers import sweeper
from tapstack.responder.store import containments
from tests.responder.conftest import item
from tests.responder.containment.sequences.executions import Execution, handlers
from tests.responder.containment.sequences.interruptions import Interruption, Pick
from tests.responder.containment.sequences.model import Step
from tests.responder.containment.sequences.world import World


class Workflow:
    """Executions.

    Args:
        world: where they are.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._under_way: Execution | None = None

    def advance(self, pick: Pick, by: Interruption | None = None) -> None:
        """Let an execution do its next task."""
        ready = [one for one in self.world.executions.values() if one.ready and one is not self._under_way]
        if ready:
            # Mostly the latest.
            self.go_on(pick.of((ready[-1], *ready)), by)

    def settle(self, pick: Pick, tasks: Collection[str] = ("capture", "close", "contain", "release")) -> None:
        """Let all executions go on until they wait, or have ended.

        Args:
            pick: in which order.
            tasks: which ones.
        """
        for _ in range(500):
            running = [one for one in self.world.executions.values() if one.ready and one is not self._under_way]
            ready = [one for one in running if one.given["task"] in tasks]
            if not ready:
                return
            self.go_on(pick.of(ready), None)
        raise AssertionError(f"they do not come to rest: {[(one.name, one.state) for one in ready]}")

    def abort(self, pick: Pick, by: Interruption | None = None) -> None:
        """Somebody ends an execution in the console."""
        running = [one for one in self.world.executions.values() if one.running and one is not self._under_way]
        if running:
            self.world.done["abort"] += 1
            execution = pick.of(running)
            execution.abort()
            self.world.ended(execution)

    def go_on(self, execution: Execution, by: Interruption | None = None) -> None:
        """Let it do its next task."""
        self.world.done["advance"] += 1
        before, self._under_way = self._under_way, execution
        functions = {name: self._as_step(handler, execution, by) for name, handler in handlers().items()}
        try:
            execution.advance(functions, self.world.clock.now)
        finally:
            self._under_way = before
        self.world.listen()
        if not execution.running:
            self.world.ended(execution)

    def _as_step(
        self, handler: Callable[[Any, object], Any], execution: Execution, by: Interruption | None
    ) -> Callable[[Any, object], Any]:
        def run(payload: dict[str, Any], context: object) -> Any:
            incident = payload["incident_id"]
            instance = str(item(incident)["instance_id"])
            flags = {name: bool(payload.get(name)) for name in ("overwrite", "keep", "all")}
            there = [interface for interface, its in self.world.attached.items() if its == instance]
            began = self.world.ledger.calls
            with self.world.running(Step(payload["action"], incident, instance, flags), by, raises=True):
                answered = handler(payload, context)
            if payload["action"] == "contain" and answered == {"status": "contained"}:
                self._is_contained(instance, began, there)
            return answered

        return run

    def _is_contained(self, instance: str, began: int, interfaces: list[str]) -> None:
        found = containments.get(instance)
        if found is not None and found.state == "contained":
            self.world.contained[instance] = (found.turn, began, interfaces)

    def pass_time(self, pick: Pick, by: Interruption | None = None) -> None:
        self.world.done["pass_time"] += 1
        self.wait(pick.of((61, 20 * 60, 61 * 60, 5, 11 * 3600)))

    def wait(self, seconds: float) -> None:
        self.world.clock.now += seconds
        for execution in self.world.executions.values():
            if execution is not self._under_way:
                execution.pass_time(self.world.clock.now)

    def sweep(self, pick: Pick, by: Interruption | None = None) -> None:
        self.world.done["sweep"] += 1
        with self.world.running(Step("sweep"), by):
            counts = sweeper.handler({}, None)
            assert counts["problems"] == 0 or self.world.step is None or by is not None
