"""A small company, its responders and the workflow: whatever happens happens one call after the other, in one thread.

People ask the API's own code, the workflow's functions run in this process, and others change what they like. Any of
them may come between any two calls of any other; a function may be killed there as well. Time stands still until it
is passed.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from io import BytesIO
from types import SimpleNamespace
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto.moto_api._internal import mock_random
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tapstack.domain.incidents import TAG_INCIDENT
from tapstack.rehearsal.account import Account
from tapstack.rehearsal.snapshot import Snapshot, differences
from tapstack.responder.api.answering import answer
from tapstack.responder.aws_errors import code_of
from tapstack.responder.environment import environment
from tapstack.responder.handlers import sweeper
from tapstack.responder.overlooking import overlooked
from tapstack.responder.store import captures, containments, incidents
from tests.rehearsal.responder.conftest import Site, found_site, tags, tell
from tests.rehearsal.responder.containment.ledger import Ledger, Step, Thing
from tests.rehearsal.responder.containment.stepping import Execution, Killed, handlers
from tests.rehearsal.responder.test_api import event

T = TypeVar("T")
Groups = tuple[str, ...]

BEGINNING: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
ROUNDS: Final = 12
"""So often people and the sweeper may have to come back until all is at rest."""
_COMPARED: Final = {
    "describe_instances": ("Reservations", "Instances", "InstanceId"),
    "describe_network_interfaces": ("NetworkInterfaces", "NetworkInterfaceId"),
    "describe_security_groups": ("SecurityGroups", "GroupId"),
    "describe_volumes": ("Volumes", "VolumeId"),
    "describe_traffic_mirror_targets": ("TrafficMirrorTargets", "TrafficMirrorTargetId"),
    "describe_traffic_mirror_filters": ("TrafficMirrorFilters", "TrafficMirrorFilterId"),
}
"""What is as it was in the end where no others have touched it. A snapshot of all that an account holds takes longer
than everything else."""
_NOT_OF_OTHERS: Final = frozenset({"released", "rejected"})
_INTERFACES_OF_AN_INSTANCE: Final = 3


RELEASES: Final[tuple[tuple[str, ...], ...]] = ((), (), ("overwrite",), ("keep",), ("all",), ("all", "overwrite"))


class Pick:
    """A number that stands for some choices, one after the other."""

    def __init__(self, number: int) -> None:
        self._left = number

    def of(self, options: Sequence[T]) -> T:
        self._left, index = divmod(self._left, len(options))
        return options[index]

    def some(self, options: Sequence[T], most: int) -> list[T]:
        """One to `most` of them, each once."""
        found = {self.of(range(len(options))) for _ in range(self.of(range(1, most + 1)))}
        return [options[index] for index in sorted(found)]


@dataclass(frozen=True)
class Interruption:
    """What happens in the middle of a function.

    Attributes:
        at: its call, counted from 1; nothing happens where it makes fewer.
        answered: after the call has had its effect, or before it is made.
        what: `killed`, or the name of something that is done meanwhile.
        pick: to whom, and how.
    """

    at: int
    answered: bool
    what: str
    pick: int


class Clock:
    """Time of the functions: it stands still until it is passed."""

    def __init__(self) -> None:
        self.now = BEGINNING

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = self

        class Moment(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.fromtimestamp(clock.now, tz)

        still = SimpleNamespace(time=lambda: clock.now, sleep=lambda _: None)
        for module in ("store.containments", "store.captures", "store.appliance", "store.table", "containing"):
            monkeypatch.setattr(f"tapstack.responder.{module}.time", still)
        monkeypatch.setattr("tapstack.responder.capturing.time", still)
        monkeypatch.setattr("tapstack.responder.appliances.time", still)
        monkeypatch.setattr("tapstack.domain.incidents.datetime", Moment)


class _Raw(BytesIO):
    """A body as urllib3 has it."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def answer_here(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the account answer in the thread that asks: the same requests without a connection, many times as fast."""
    server = account._server
    assert server is not None

    def send(_: Any, request: Any) -> AWSResponse:
        address = urlsplit(request.url)
        headers = [
            (name, value.decode() if isinstance(value, bytes) else value) for name, value in request.headers.items()
        ]
        body = request.body or b""
        environ = EnvironBuilder(
            method=request.method,
            base_url=f"{address.scheme}://{address.netloc}",
            path=address.path or "/",
            query_string=address.query,
            headers=headers,
            data=body.encode() if isinstance(body, str) else bytes(body),
        ).get_environ()
        answered, status, sent = run_wsgi_app(server.app, environ, buffered=True)
        return AWSResponse(request.url, int(status.split(" ", 1)[0]), dict(sent), _Raw(b"".join(answered)))

    monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", send)


class Inline:
    """Threads that are none: the same calls in the same order, each time."""

    def __init__(self, *_: Any) -> None:
        pass

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)
        return future


class Calls:
    """Every call of AWS in this process: told of once it is answered, and interrupted where that was chosen.

    Attributes:
        told: what is told of each, with what AWS refused.
        strike: what does something meanwhile.
        met: how many functions met what.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: Callable[..., object] = lambda *_, **__: None
        self.strike: Callable[[Interruption], object] = lambda _: None
        self._chosen: Interruption | None = None
        self._made, self._dead = 0, False
        self.met = Counter[str]()
        real = BaseClient._make_api_call

        def call(client: Any, operation: str, parameters: Any) -> Any:
            if self._dead:
                raise Killed
            self._made += 1
            chosen = self._chosen if self._chosen is not None and self._chosen.at == self._made else None
            if chosen is not None and not chosen.answered:
                self._meanwhile(chosen)
            try:
                answered = real(client, operation, parameters)
            except ClientError:
                self.told(operation, parameters, refused=True)
                raise
            self.told(operation, parameters)
            if chosen is not None and chosen.answered:
                self._meanwhile(chosen)
            return answered

        monkeypatch.setattr(BaseClient, "_make_api_call", call)

    def _meanwhile(self, chosen: Interruption) -> None:
        if chosen.what == "killed":
            self.met["killed"] += 1
            self._dead = True
            raise Killed
        self._chosen = None
        self.met[chosen.what] += 1
        self.strike(chosen)

    @contextmanager
    def interrupted(self, by: Interruption | None) -> Iterator[None]:
        """Count the calls from here."""
        self._chosen, self._made, self._dead = by, 0, False
        try:
            yield
        finally:
            self._chosen, self._dead = None, False


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
        executions: by name.
        incidents: ids that the API has told.
        contained: interfaces that were attached when their instance's containment was completed, with the turn that it
            had then, and the calls there had been when that step began.
        wanted: instances that somebody wanted contained.
        releasing: incidents that somebody wanted released, and instances that somebody wanted released for all.
        done: how often each thing was done, and had something to be done to.
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
    executions: dict[str, Execution] = field(default_factory=dict)
    incidents: list[str] = field(default_factory=list)
    requests: dict[str, tuple[dict[str, Any], str | None]] = field(default_factory=dict)
    contained: dict[str, tuple[int, int, list[str]]] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    releasing: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    before: Snapshot = field(default_factory=dict)
    _step: Step | None = None

    @property
    def ec2(self) -> Any:
        return self.site.ec2

    # People.

    def open(self, pick: Pick, by: Interruption | None = None) -> None:
        asked = pick.of(("none", "approval", "now", "now"))
        # Mostly the same one, because what incidents share is what they get in each other's way with.
        instance = pick.of((self.instances[0], self.instances[0], *self.instances))
        body = {
            "instance_id": instance,
            "reason": f"beaconing, the {len(self.requests) + 1}.",
            "minutes": pick.of((60, 1, 600)),
            "containment": asked,
        }
        key = f"key-{len(self.requests)}"
        self.requests[key] = (body, None)
        if asked == "now" or (asked == "approval" and self.default == "contain"):
            self.wanted.add(instance)
        self._opened(key, by)

    def open_again(self, pick: Pick, by: Interruption | None = None) -> None:
        """The same request once more, as whoever got no answer sends it."""
        if self.requests:
            self._opened(pick.of(sorted(self.requests)), by)

    def _opened(self, key: str, by: Interruption | None) -> None:
        body, known = self.requests[key]
        told = self._ask("/incidents", body, by, key=key)
        if told is None:
            return
        status, answered = told
        assert status in (202, 503), answered
        if status == 202:
            found = str(answered["incident"]["id"])
            assert known in (None, found), f"{key} opened {known}, and {found}"
            self.requests[key] = (body, found)
            if found not in self.incidents:
                self.incidents.append(found)

    def extend(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about(pick, "extend", by, minutes=pick.of((30, 1, 1440)))

    def close(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about(pick, "close", by)

    def contain(self, pick: Pick, by: Interruption | None = None) -> None:
        mode = pick.of(("now", "now", "approval"))
        self._about(pick, "contain", by, wants=mode == "now" or self.default == "contain", mode=mode)

    def approve(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about(pick, "approve", by, wants=True)

    def reject(self, pick: Pick, by: Interruption | None = None) -> None:
        self._about(pick, "reject", by)

    def release(self, pick: Pick, by: Interruption | None = None) -> None:
        flags = pick.of(RELEASES)
        self._about(pick, "release", by, **dict.fromkeys(flags, True))

    def _about(
        self, pick: Pick, what: str, by: Interruption | None, *, wants: bool = False, **body: Any
    ) -> tuple[int, Any] | None:
        if not self.incidents:
            return None
        # Mostly the latest.
        incident = pick.of((self.incidents[-1], *self.incidents))
        if wants:
            self.wanted.add(incidents.get(incident)["instance_id"])
        if what == "release":
            self._release_asked(incident, everybody=bool(body.get("all")))
        told = self._ask(f"/incidents/{incident}/{what}", body, by)
        assert told is None or told[0] in (202, 409, 503), told
        return told

    def _release_asked(self, incident: str, *, everybody: bool) -> None:
        self.releasing.add(incident)
        if everybody:
            self.releasing.add(str(incidents.get(incident)["instance_id"]))

    def _ask(
        self, path: str, body: dict[str, Any], by: Interruption | None = None, *, key: str | None = None
    ) -> tuple[int, Any] | None:
        """Send a request; None where nobody answers."""
        headers = {} if key is None else {"Idempotency_Key": key}
        name = path.rpartition("/")[2]
        self.done["open" if name == "incidents" else name] += 1
        with self._running(Step("api"), by):
            answered = answer(event("POST", path, body, **headers))
            return answered["statusCode"], json.loads(answered["body"])
        return None

    # The workflow.

    def advance(self, pick: Pick, by: Interruption | None = None) -> None:
        """Let an execution do its next task."""
        ready = [one for one in self.executions.values() if one.ready and one is not self._under_way]
        if ready:
            # Mostly the latest.
            self._advance(pick.of((ready[-1], *ready)), by)

    def settle(self, pick: Pick, by: Interruption | None = None) -> None:
        """Let all executions go on until they wait, or have ended."""
        for _ in range(500):
            ready = [one for one in self.executions.values() if one.ready and one is not self._under_way]
            if not ready:
                if self._step is None:
                    self.check_at_rest()
                return
            self._advance(pick.of(ready), None)
        raise AssertionError(f"they do not come to rest: {[(one.name, one.state) for one in ready]}")

    def abort(self, pick: Pick, by: Interruption | None = None) -> None:
        """Somebody ends an execution in the console."""
        running = [one for one in self.executions.values() if one.running and one is not self._under_way]
        if running:
            self.done["abort"] += 1
            execution = pick.of(running)
            execution.abort()
            self._ended(execution)

    _under_way: Execution | None = None

    def _advance(self, execution: Execution, by: Interruption | None) -> None:
        self.done["advance"] += 1
        before, self._under_way = self._under_way, execution
        functions = {name: self._as_step(handler, execution, by) for name, handler in handlers().items()}
        try:
            execution.advance(functions, self.clock.now)
        finally:
            self._under_way = before
        self._listen()
        if not execution.running:
            self._ended(execution)

    def _as_step(
        self, handler: Callable[[Any, object], Any], execution: Execution, by: Interruption | None
    ) -> Callable[[Any, object], Any]:
        def run(payload: dict[str, Any], context: object) -> Any:
            incident = payload["incident_id"]
            instance = str(incidents.get(incident)["instance_id"])
            flags = {name: bool(payload.get(name)) for name in ("overwrite", "keep", "all")}
            there = [interface for interface, its in self.attached.items() if its == instance]
            began = self.ledger.calls
            with self._running(Step(payload["action"], incident, instance, flags), by, raises=True):
                answered = handler(payload, context)
            if payload["action"] == "contain" and answered == {"status": "contained"}:
                self._is_contained(instance, began, there)
            return answered

        return run

    def _is_contained(self, instance: str, began: int, interfaces: list[str]) -> None:
        found = containments.get(instance)
        if found is not None and found.state == "contained":
            self.contained[instance] = (found.turn, began, interfaces)

    def _ended(self, execution: Execution) -> None:
        machine = self.site.state_machine_arn
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{execution.name}"
        self.site.client("stepfunctions").stop_execution(executionArn=arn)

    def _listen(self) -> None:
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
    def _running(self, step: Step, by: Interruption | None, *, raises: bool = False) -> Iterator[None]:
        """Run a function, that may be interrupted."""
        before = self._step
        self._step = Step(step.action, step.incident, step.instance, step.flags, began=self.ledger.calls)
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
            self._step = before
        self._listen()

    # Time, and the sweeper.

    def pass_time(self, pick: Pick, by: Interruption | None = None) -> None:
        self.done["pass_time"] += 1
        self._pass(pick.of((61, 20 * 60, 61 * 60, 5, 11 * 3600)))

    def _pass(self, seconds: float) -> None:
        self.clock.now += seconds
        for execution in self.executions.values():
            if execution is not self._under_way:
                execution.pass_time(self.clock.now)

    def sweep(self, pick: Pick, by: Interruption | None = None) -> None:
        self.done["sweep"] += 1
        with self._running(Step("sweep"), by):
            counts = sweeper.handler({}, None)
            assert counts["problems"] == 0 or self._step is None or by is not None

    # Others.

    @contextmanager
    def _others(self) -> Iterator[None]:
        before, self._step = self._step, None
        try:
            yield
        finally:
            self._step = before

    def change_groups(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others give an interface other groups, once in a while the quarantine group."""
        if not self.attached:
            return
        interface = pick.of(sorted(self.attached))
        groups = pick.some(self.groups, 2) if pick.of(range(8)) else [self.quarantine]
        self._modify("change_groups", interface, groups)

    def _modify(self, what: str, interface: str, groups: Sequence[str]) -> None:
        self.done[what] += 1
        with self._others():
            self.touched |= {interface, self.attached[interface] or interface}
            self.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=list(groups))

    def delete_group(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others delete a group that nobody has on; one is always left."""
        used = {self.site.group, *(group for item in self._described() for group in self._groups_of(item))}
        unused = [group for group in self.groups if group not in used]
        if not unused:
            return
        group = pick.of(unused)
        with self._others():
            self.ec2.delete_security_group(GroupId=group)
        self.done["delete_group"] += 1
        self.groups.remove(group)
        self.ledger.gone_groups.add(group)
        # Whose originals had it cannot get it back.
        losing = {
            thing.key for (_, thing), owed in self.ledger.owed.items() if thing.kind == "groups" and group in owed
        }
        self.touched |= {group, *losing, *(self.attached.get(interface) or "" for interface in losing)} - {""}

    def attach(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others attach an interface, a new one or one that is free."""
        if not self.alive:
            return
        instance = pick.of(self.alive)
        used = [interface for interface, its in self.attached.items() if its == instance]
        if len(used) >= _INTERFACES_OF_AN_INSTANCE:
            return
        self.done["attach"] += 1
        free = [interface for interface, its in self.attached.items() if its is None]
        with self._others():
            interface = pick.of((None, *free)) or self.new_interface(pick.some(self.groups, 2))
            indexes = {
                item["Attachment"]["DeviceIndex"]
                for item in self._described()
                if item.get("Attachment", {}).get("InstanceId") == instance
            }
            index = min(set(range(_INTERFACES_OF_AN_INSTANCE)) - indexes)
            self.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=instance, DeviceIndex=index)
        self.attached[interface] = instance
        self.touched |= {interface, instance}

    def new_interface(self, groups: Sequence[str]) -> str:
        made = self.ec2.create_network_interface(SubnetId=self.site.subnet, Groups=list(groups))
        interface = str(made["NetworkInterface"]["NetworkInterfaceId"])
        self.attached[interface] = None
        self.ledger.begin(Thing("groups", interface), tuple(sorted(groups)))
        self.touched.add(interface)
        return interface

    def detach(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others detach an interface that is not the primary one, and may delete it."""
        with self._others():
            second = [item for item in self._described() if item.get("Attachment", {}).get("DeviceIndex", 0) > 0]
            if not second:
                return
            self.done["detach"] += 1
            item = pick.of(sorted(second, key=lambda one: str(one["NetworkInterfaceId"])))
            interface = str(item["NetworkInterfaceId"])
            self.touched |= {interface, item["Attachment"]["InstanceId"]}
            self.ec2.detach_network_interface(AttachmentId=item["Attachment"]["AttachmentId"])
            self.attached[interface] = None
            if pick.of((False, True)):
                self.ec2.delete_network_interface(NetworkInterfaceId=interface)
                self._forget_interface(interface)

    def _forget_interface(self, interface: str) -> None:
        del self.attached[interface]
        self.ledger.forget(Thing("groups", interface))
        self.sessions = {session: its for session, its in self.sessions.items() if its != interface}

    def stop(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others stop an instance, or start it."""
        if self.alive:
            self.done["stop"] += 1
            instance = pick.of(self.alive)
            self.touched.add(instance)
            with self._others():
                if pick.of((True, False)):
                    self.ec2.stop_instances(InstanceIds=[instance])
                else:
                    self.ec2.start_instances(InstanceIds=[instance])

    def terminate(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others terminate an instance, whatever protects it; one is always left."""
        if len(self.alive) < 2:
            return
        self.done["terminate"] += 1
        instance = pick.of(self.alive)
        self.touched |= {instance, self.volumes[instance]}
        with self._others():
            self.ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
            self.ec2.terminate_instances(InstanceIds=[instance])
            there = {str(item["NetworkInterfaceId"]) for item in self._described()}
        self.alive.remove(instance)
        for interface in [interface for interface, its in self.attached.items() if its == instance]:
            self.touched.add(interface)
            self.attached[interface] = None
            if interface not in there:
                self._forget_interface(interface)
        for thing in [thing for thing in self.ledger.now if instance in thing.key]:
            self.ledger.forget(thing)

    def protect(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others change what becomes of an instance."""
        if not self.alive:
            return
        self.done["protect"] += 1
        instance = pick.of(self.alive)
        self.touched.add(instance)
        change: dict[str, Any] = pick.of(
            (
                {"DisableApiTermination": {"Value": False}},
                {"DisableApiTermination": {"Value": True}},
                {"InstanceInitiatedShutdownBehavior": {"Value": "terminate"}},
                {"InstanceInitiatedShutdownBehavior": {"Value": "stop"}},
            )
        )
        with self._others():
            self.ec2.modify_instance_attribute(InstanceId=instance, **change)

    def register(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others put an instance behind a load balancer, or take it out."""
        if not self.alive:
            return
        self.done["register"] += 1
        instance, arn, port = pick.of(self.alive), pick.of(self.target_groups), pick.of((80, 81))
        balancing = self.site.client("elbv2")
        thing = Thing("target-group", f"{arn} {instance}:{port}")
        if thing not in self.ledger.now:
            self.ledger.begin(thing, "deregistered")
        targets = [{"Id": instance, "Port": port}]
        with self._others():
            if pick.of((True, False)):
                try:
                    balancing.register_targets(TargetGroupArn=arn, Targets=targets)
                except ClientError as error:
                    # It is stopped.
                    _check_code(error, "InvalidTarget")
            else:
                balancing.deregister_targets(TargetGroupArn=arn, Targets=targets)

    def add_session(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others mirror an interface."""
        if not self.attached:
            return
        interface = pick.of(sorted(self.attached))
        with self._others():
            try:
                session = self.site.session_of_others(interface, number=pick.of((1, 2, 3, 7)))
            except ClientError as error:
                _check_code(error, "TrafficMirrorSessionsPerInterfaceLimitExceeded", "InvalidParameterValue")
                return
        self.done["add_session"] += 1
        self.sessions[session] = interface
        self.touched |= {session, interface}

    def delete_session(self, pick: Pick, by: Interruption | None = None) -> None:
        """Others end a session of theirs."""
        if self.sessions:
            self.done["delete_session"] += 1
            session = pick.of(sorted(self.sessions))
            with self._others():
                self.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)
            del self.sessions[session]

    def replace_target(self, pick: Pick, by: Interruption | None = None) -> None:
        """The site gets another appliance."""
        self.done["replace_target"] += 1
        with self._others():
            interface = self.site.interface()
            target = self.site.target(interface)
        self.touched |= {interface, target}
        self.site.settings["appliance"]["standing"]["target_id"] = target
        self.tell()

    def tell(self) -> None:
        self.monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps(self.site.settings))
        environment.cache_clear()

    # What must hold.

    def check(self) -> None:
        """Hold the account against the model, after whatever was done."""
        ledger = self.ledger
        assert not ledger.wrong, ledger.wrong
        assert not ledger.unrecorded(), f"nothing says what was there before: {ledger.unrecorded()}"
        there = {item["NetworkInterfaceId"]: self._groups_of(item) for item in self._described()}
        expected = {thing.key: value for thing, value in ledger.now.items() if thing.kind == "groups"}
        assert {interface: groups for interface, groups in there.items() if interface in expected} == expected
        self._check_sessions()
        found = {one.instance_id: one for one in containments.listed() if one.in_place}
        assert set(found) <= self.wanted, f"nobody wanted {set(found) - self.wanted} contained"
        for instance, one in found.items():
            turn, began, interfaces = self.contained.get(instance, (0, 0, []))
            if one.state != "contained" or one.turn != turn:
                continue
            for interface in interfaces:
                if self.attached.get(interface) == instance:
                    cut = there[interface] == (self.quarantine,)
                    cut = cut or ledger.connected_since(began, Thing("groups", interface))
                    assert cut, f"{instance} is contained, and {interface} has {there[interface]}"

    def _check_sessions(self) -> None:
        sessions = self.site.sessions()
        others = {
            session["TrafficMirrorSessionId"]: session["NetworkInterfaceId"]
            for session in sessions
            if TAG_INCIDENT not in tags(session)
        }
        assert others == self.sessions
        counts = Counter(session["NetworkInterfaceId"] for session in sessions)
        assert not counts or max(counts.values()) <= 3, counts

    def check_at_rest(self) -> None:
        """Hold what incidents say against what holds their instance; nothing is under way."""
        held = {one.instance_id: one for one in containments.listed() if one.in_place}
        running = {one.given["incident_id"] for one in self.executions.values() if one.running}
        for incident in self._all_incidents():
            state = (incident["containment"] or {}).get("state")
            if incident["id"] in running:
                continue
            one = held.get(incident["instance_id"])
            wants = one is not None and incident["id"] in one.holders
            if state == "contained":
                # Or a release for all was overtaken, and has not told it yet.
                known = wants or (one is not None and incident["id"] in one.releasing_for)
                assert known, f"{incident['id']} says contained, and does not hold {incident['instance_id']}: {one}"
            if state == "released":
                asked = {incident["id"], incident["instance_id"]} & self.releasing
                assert asked, f"nobody wanted {incident['id']} released"
            if state in (None, "pending", "rejected", "released"):
                assert not wants, f"{incident['id']} is {state}, and holds {incident['instance_id']}"

    def _all_incidents(self) -> list[dict[str, Any]]:
        return [incidents.get(one["id"]) for name in ("open", "closed") for one in incidents.listed(name)]

    def _described(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        return found

    @staticmethod
    def _groups_of(item: dict[str, Any]) -> Groups:
        return tuple(sorted(group["GroupId"] for group in item["Groups"]))

    # The end.

    def end(self, keep: bool) -> None:
        """Close and release everything, let it come to rest, and look that nothing of ours is left."""
        for turn in range(ROUNDS):
            self.settle(Pick(turn))
            self.check()
            open_still = [one for one in self._all_incidents() if not self._is_over(one)]
            if not open_still and not any(one.running for one in self.executions.values()):
                break
            # One alone at first: what the others want must stay.
            for incident in open_still[:1] if turn == 0 else open_still:
                # Nobody knows before whether others changed something.
                flags = () if turn < 2 else ("keep",) if keep != (turn >= ROUNDS // 2) else ("overwrite",)
                self._end_incident(incident, flags)
            self.settle(Pick(turn))
            self._pass(6 * 60 if turn % 2 else 25 * 3600)
            self.sweep(Pick(0))
        else:
            raise AssertionError(f"these do not end: {open_still}")
        self._pass(3600)
        self.sweep(Pick(0))
        self.settle(Pick(0))
        self.check()
        self.check_at_rest()
        self._nothing_is_left()

    @staticmethod
    def _is_over(incident: dict[str, Any]) -> bool:
        state = (incident["containment"] or {"state": "released"})["state"]
        return incident["state"] == "closed" and state in _NOT_OF_OTHERS

    def _end_incident(self, incident: dict[str, Any], flags: tuple[str, ...]) -> None:
        path = f"/incidents/{incident['id']}"
        if incident["state"] != "closed":
            told = self._ask(f"{path}/close", {})
            assert told is not None
            assert told[0] == 202, told
        state = (incident["containment"] or {}).get("state")
        if state == "pending":
            # Its deadline passes with the execution that waits, which somebody may have ended.
            told = self._ask(f"{path}/reject", {})
            assert told is not None
            assert told[0] in (202, 409), told
        elif state not in (None, *_NOT_OF_OTHERS):
            self._release_asked(incident["id"], everybody=False)
            told = self._ask(f"{path}/release", dict.fromkeys(flags, True))
            assert told is not None
            assert told[0] in (202, 409), told

    def _nothing_is_left(self) -> None:
        assert [one for one in containments.listed() if one.in_place] == []
        assert list(containments.listed_originals()) == []
        assert overlooked() == []
        assert self.site.ours() == []
        held = captures.get_all(captures.listed())
        assert not held, held
        ours = [thing for thing in self.ledger.now if self.ledger.by.get(thing) == "ours"]
        assert ours == []
        there = self._as_the_ledger_says()
        assert there == self.ledger.now, {
            thing: value for thing, value in there.items() if value != self.ledger.now[thing]
        }
        now = self.photograph()
        unexpected = [line for line in differences(self.before, now) if not any(name in line for name in self.touched)]
        assert unexpected == [], unexpected

    def photograph(self) -> Snapshot:
        """All of the account that containments and captures could change."""
        found: Snapshot = {}
        for operation, (*path, key) in _COMPARED.items():
            items: list[Any] = [getattr(self.ec2, operation)()]
            for name in path:
                items = [inner for item in items for inner in item[name]]
            found |= {str(item[key]): json.dumps(item, sort_keys=True, default=str) for item in items}
        return found

    def _as_the_ledger_says(self) -> dict[Thing, Any]:
        """The same things, as the account has them."""
        found: dict[Thing, Any] = {}
        groups = {item["NetworkInterfaceId"]: self._groups_of(item) for item in self._described()}
        for thing in self.ledger.now:
            instance, _, device = thing.key.partition(" ")
            match thing.kind:
                case "groups":
                    found[thing] = groups[thing.key]
                case "termination":
                    answered = self.ec2.describe_instance_attribute(
                        InstanceId=instance, Attribute="disableApiTermination"
                    )
                    found[thing] = answered["DisableApiTermination"]["Value"]
                case "shutdown":
                    answered = self.ec2.describe_instance_attribute(
                        InstanceId=instance, Attribute="instanceInitiatedShutdownBehavior"
                    )
                    found[thing] = answered["InstanceInitiatedShutdownBehavior"]["Value"]
                case "volume":
                    [reservation] = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
                    [mapping] = reservation["Instances"][0]["BlockDeviceMappings"]
                    assert mapping["DeviceName"] == device
                    found[thing] = mapping["Ebs"]["DeleteOnTermination"]
                case "target-group":
                    health = self.site.client("elbv2").describe_target_health(TargetGroupArn=instance)
                    there = {
                        f"{one['Target']['Id']}:{one['Target']['Port']}" for one in health["TargetHealthDescriptions"]
                    }
                    found[thing] = "registered" if device in there else "deregistered"
        return found


def _check_code(error: ClientError, *codes: str) -> None:
    assert code_of(error) in codes, error


def found(
    account: Account, monkeypatch: pytest.MonkeyPatch, calls: Calls, *, seed: int, two_step: bool, default: str
) -> World:
    """Make the world anew: three servers, two of them behind a load balancer, and a site that may contain them.

    Args:
        account: which is emptied.
        monkeypatch: for the time of the test.
        calls: of this process.
        seed: of all ids that are made.
        two_step: connections are untracked first.
        default: what becomes of a containment that nobody decides about.
    """
    account.reset()
    mock_random.seed(seed)
    chance = random.Random(seed)
    monkeypatch.setattr("tapstack.domain.incidents.secrets", SimpleNamespace(choice=chance.choice))
    clock = Clock()
    clock.install(monkeypatch)
    calls.told = lambda *_, **__: None
    for name, value in (("POWERTOOLS_METRICS_DISABLED", "true"), ("POWERTOOLS_LOG_LEVEL", "CRITICAL")):
        monkeypatch.setenv(name, value)
    site = found_site(account, monkeypatch)

    def group(name: str) -> str:
        return str(site.ec2.create_security_group(GroupName=name, Description=name, VpcId=site.vpc)["GroupId"])

    groups = [site.group, *(group(name) for name in ("database", "backup", "administration"))]
    tell(monkeypatch, site, {"standing": {"target_id": site.balanced_target(), "filter_id": site.mirror_filter()}})
    world = World(site, monkeypatch, clock, calls, group("quarantine"), group("untrack"), default, groups=groups)
    site.settings["containment"] = {
        "modes": ["approval", "now"],
        "approval": {"minutes": 15, "default": default},
        "two_step": {"enabled": two_step, "seconds": 60},
        "groups": {site.vpc: {"quarantine": world.quarantine, "untrack": world.untrack}},
    }
    world.tell()
    for name, own in (("one", groups[:1]), ("two", groups[1:3]), ("three", groups[2:4])):
        _launch(world, own, name)
    second = world.new_interface([groups[1], groups[3]])
    site.ec2.attach_network_interface(NetworkInterfaceId=second, InstanceId=world.instances[0], DeviceIndex=1)
    world.attached[second] = world.instances[0]
    _balance(world)
    assert site.others_target
    assert site.others_filter
    world.touched.clear()
    world.before = world.photograph()
    account.recorder.clear()
    calls.told = lambda operation, parameters, refused=False: world.ledger.heard(
        operation, parameters, world._step, refused=refused
    )
    calls.strike = lambda chosen: getattr(world, chosen.what)(Pick(chosen.pick))
    return world


def _launch(world: World, groups: Sequence[str], name: str) -> None:
    instance, interface = world.site.instance(
        SecurityGroupIds=list(groups), InstanceInitiatedShutdownBehavior="terminate"
    )
    world.instances.append(instance)
    world.alive.append(instance)
    world.attached[interface] = instance
    [reservation] = world.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    [mapping] = reservation["Instances"][0]["BlockDeviceMappings"]
    world.volumes[instance] = mapping["Ebs"]["VolumeId"]
    for thing, value in (
        (Thing("groups", interface), tuple(sorted(groups))),
        (Thing("termination", instance), False),
        (Thing("shutdown", instance), "terminate"),
        (Thing("volume", f"{instance} {mapping['DeviceName']}"), mapping["Ebs"]["DeleteOnTermination"]),
    ):
        world.ledger.begin(thing, value)


def _balance(world: World) -> None:
    """Two servers take requests."""
    balancing = world.site.client("elbv2")
    made = balancing.create_target_group(
        Name="web", Protocol="HTTP", Port=80, VpcId=world.site.vpc, TargetType="instance"
    )
    arn = str(made["TargetGroups"][0]["TargetGroupArn"])
    world.target_groups.append(arn)
    for instance in world.instances[:2]:
        balancing.register_targets(TargetGroupArn=arn, Targets=[{"Id": instance, "Port": 80}])
        world.ledger.begin(Thing("target-group", f"{arn} {instance}:80"), "registered")
