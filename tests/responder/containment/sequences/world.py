"""A small company, its responders and the workflow: what there is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from strictmoto.testing.snapshot import Snapshot
from tapstack.responder.environment import environment
from tests.responder.conftest import Site
from tests.responder.containment.sequences.executions import Execution, Killed
from tests.responder.containment.sequences.interruptions import Calls, Interruption
from tests.responder.containment.sequences.model import Ledger, Step
from tests.responder.containment.sequences.one_thread import Clock

Groups = tuple[str, ...]


@dataclass
class World:
    """All of it.

    Attributes:
        site: where the functions work.
        quarantine: the group that cuts off.
        untrack: the group of the first of two steps.
        ledger: what is owed.
        groups: security groups of others, that there are.
        attached: the instance of each interface that there is; None where it is free.
        alive: instances that are not terminated.
        sessions: those of others, by id, with their interface.
        theirs: the same, as EC2 described them when they were created.
        aimed: mirror targets of others, by the interface.
        executions: by name.
        incidents: ids that the API returned.
        contained: interfaces that were attached when their instance's containment was completed, with the turn that it
            had then, and the calls there had been when that step began.
        of_finding: the incident that each finding has, by instance and number; unknown where it was interrupted.
        answered: incidents, each with an alert whose sender was answered that it has it.
        seen: when the findings that an incident got were seen last.
        wanted: instances whose containment was requested.
        releasing: incidents whose release was requested, and instances whose release for all was requested.
        done: how often each thing was done, and had something to be done to.
        step: the function that runs.
    """

    site: Site
    monkeypatch: pytest.MonkeyPatch
    clock: Clock
    calls: Calls
    quarantine: str
    untrack: str
    default: str
    ledger: Ledger = field(default_factory=Ledger)
    groups: list[str] = field(default_factory=list)
    attached: dict[str, str | None] = field(default_factory=dict)
    instances: list[str] = field(default_factory=list)
    alive: list[str] = field(default_factory=list)
    volumes: dict[str, str] = field(default_factory=dict)
    target_groups: list[str] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)
    theirs: dict[str, Any] = field(default_factory=dict)
    aimed: dict[str, str] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    incidents: list[str] = field(default_factory=list)
    requests: dict[str, tuple[dict[str, Any], str | None]] = field(default_factory=dict)
    contained: dict[str, tuple[int, int, list[str]]] = field(default_factory=dict)
    of_finding: dict[tuple[str, int], str] = field(default_factory=dict)
    answered: set[tuple[str, str]] = field(default_factory=set)
    seen: dict[str, set[str]] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    releasing: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    before: Snapshot = field(default_factory=dict)
    step: Step | None = None

    @property
    def ec2(self) -> Any:
        return self.site.ec2

    def configure(self) -> None:
        """Give the functions the current settings."""
        self.monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps(self.site.settings))
        environment.cache_clear()

    def listen(self) -> None:
        """Take over what the account was asked of the workflow since."""
        recorder = self.site.account.recorder
        heard = [record for record in recorder.records(service="states") if record.status == 200]
        recorder.clear()
        for record in heard:
            given = record.call.parameters
            if record.call.action == "StartExecution" and given["name"] not in self.executions:
                self.executions[given["name"]] = Execution(given["name"], json.loads(given["input"]))
            if record.call.action == "SendTaskSuccess":
                for execution in self.executions.values():
                    execution.hear(given["taskToken"], given["output"])

    @contextmanager
    def running(self, step: Step, by: Interruption | None, *, raises: bool = False) -> Iterator[None]:
        """Run a function, that may be interrupted."""
        before = self.step
        self.step = Step(step.action, step.incident, step.instance, step.flags, began=self.ledger.calls)
        try:
            if before is not None:
                yield
            else:
                with self.calls.interrupted(by):
                    yield
        except Killed:
            if raises:
                raise
        finally:
            self.step = before
        self.listen()

    @contextmanager
    def as_others(self) -> Iterator[None]:
        """Somebody else does it, in the middle of a function or not."""
        before, self.step = self.step, None
        try:
            yield
        finally:
            self.step = before

    def own(self, session: str, interface: str) -> None:
        """Others have created a session."""
        self.sessions[session] = interface
        self.ledger.foreign.add(session)
        self.theirs[session] = next(one for one in self.site.sessions() if one["TrafficMirrorSessionId"] == session)
        self.touched |= {session, interface}

    def described(self) -> list[dict[str, Any]]:
        """All network interfaces."""
        found: list[dict[str, Any]] = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        return found

    def ended(self, execution: Execution) -> None:
        """An execution that has ended here has ended in the account."""
        machine = self.site.state_machine_arn
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{execution.name}"
        self.site.client("stepfunctions").stop_execution(executionArn=arn)


def groups_of(item: dict[str, Any]) -> Groups:
    """The security groups of an interface."""
    return tuple(sorted(group["GroupId"] for group in item["Groups"]))
