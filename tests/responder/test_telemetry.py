"""Everything that happens to an incident is emitted once, whatever becomes of the function that did it.

Courses are walked on the workflow's own definition. One is walked again with a function killed after a call that
records what happened, or emits it: two of these calls in CI, every one with TAPSTACK_EVERY_POINT=1.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.cloudwatch.metrics import Measurement
from strictmoto.faults import Fault
from tapstack.domain.callers import BY_DEFAULT
from tapstack.domain.incident_events import DETAIL_TYPE, EVENT_ID_PATTERN, TIME_PATTERN, WHATS, as_precise_text
from tapstack.domain.incidents import utc_now
from tapstack.domain.ocsf import detection_finding
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.errors import TryAgain
from tapstack.responder.handlers import sweeper
from tapstack.responder.incident import commands, opening
from tapstack.responder.outbound import executions, notifications
from tapstack.responder.store import incidents
from tapstack.responder.sweeper import sweep
from tests.responder.callers import CALLER, OTHER
from tests.responder.conftest import Site, change, item, opened
from tests.responder.containment.conftest import Shop
from tests.responder.containment.conftest import one_thread as one_thread
from tests.responder.containment.conftest import shop as shop
from tests.responder.containment.sequences.executions import Execution, Killed, handlers
from tests.responder.containment.test_attached import attach
from tests.responder.containment.test_concurrency import EVERY_POINT

pytestmark = pytest.mark.usefixtures("one_thread")

EXPECTED = Counter(
    {
        **dict.fromkeys(("opened", "joined", "approval_asked", "decided", "mirroring"), 1),
        **dict.fromkeys(("packets_seen", "contained", "released", "closed"), 1),
    }
)


class Killer:
    """Ends a function after one of the calls that record, emit or forget what happened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.points, self.dead = 0, 0, False
        real = BaseClient._make_api_call

        def call(client: Any, operation: str, parameters: Any) -> Any:
            if self.dead:
                raise Killed
            answer = real(client, operation, parameters)
            if _matters(operation, parameters):
                self.points += 1
                if self.points == self.at:
                    self.dead = True
                    raise Killed
            return answer

        monkeypatch.setattr(BaseClient, "_make_api_call", call)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Let a function begin, as a process of its own."""
        self.dead = False
        try:
            yield
        finally:
            self.dead = False


def _matters(operation: str, parameters: Any) -> bool:
    if operation in ("UpdateItem", "TransactWriteItems"):
        return "owed" in json.dumps(parameters, default=str)
    return operation == "PutEvents" and parameters["Entries"][0]["DetailType"] == DETAIL_TYPE


@dataclass
class Course:
    """A course of incidents: what callers and the workflow do, until nothing is left to do."""

    shop: Shop
    killer: Killer
    executions: dict[str, Execution] = field(default_factory=dict)
    alerts: list[str] = field(default_factory=list)

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Let a caller send a request, and again where the first one got no answer."""
        for _ in range(2):
            with self.killer.alive():
                try:
                    return function(*arguments, **named)
                except Killed:
                    continue
        raise AssertionError("killed twice")

    def proceed(self) -> None:
        """Let all executions do what they can do now."""
        for _ in range(200):
            self._listen()
            ready = [one for one in self.executions.values() if one.ready]
            if not ready:
                return
            with self.killer.alive():
                ready[0].advance(handlers(), 0.0)
        raise AssertionError("it does not come to rest")

    def _listen(self) -> None:
        recorder = self.shop.site.account.recorder
        for record in [one for one in recorder.records(service="states") if one.status == 200]:
            given = record.call.parameters
            if record.call.action == "StartExecution" and given["name"] not in self.executions:
                self.executions[given["name"]] = Execution(given["name"], json.loads(given["input"]))
            if record.call.action == "SendTaskSuccess":
                for execution in self.executions.values():
                    execution.hear(given["taskToken"], given["output"])

    def sweep(self) -> None:
        for _ in range(2):
            with self.killer.alive():
                try:
                    sweeper.handler({}, None)
                except Killed:
                    continue
        self.proceed()


def lived_through(course: Course) -> str:
    """An incident from its alert to its end: contained after approval, and released."""
    instance = course.shop.database
    alert = f"xdr-{len(course.alerts)}"
    course.alerts.append(alert)
    incident = str(course.call(opened, instance, containment="approval", alert_id=alert, severity="high"))
    course.call(opened, instance, alert_id=f"{alert}-again", technique="T1071.004")
    course.proceed()
    course.call(containment_requests.decide, incident, "approved", by=OTHER, reason="it beacons")
    course.proceed()
    # The course before has just captured the same instance: only the next five minutes would count.
    change(incident, "SET packets.counted_from = :then", then="2026-01-02T03:05:00Z")
    mirrored = Measurement(instance, "NetworkMirrorOut", 1500, at=utc_now().timestamp())
    course.shop.site.account.metrics.add(mirrored)
    course.sweep()
    course.call(containment_requests.release, incident, by=CALLER.name)
    course.proceed()
    course.call(commands.close, incident, by=CALLER.name)
    course.proceed()
    course.sweep()
    return incident


def events(site: Site, incident: str) -> list[dict[str, Any]]:
    """The telemetry of an incident; an event that was emitted twice is the same each time."""
    found: dict[str, dict[str, Any]] = {}
    for one in site.events(DETAIL_TYPE):
        if one["incident"]["id"] == incident:
            before = found.setdefault(one["id"], one)
            assert [before[name] for name in ("what", "time", "detail")] == [
                one[name] for name in ("what", "time", "detail")
            ]
    return list(found.values())


HERE = Path(__file__).parent
SCHEMA = HERE.parents[1] / "docs" / "schemas" / "incident-event-1.json"
FIRST = HERE / "incident-event-1.first.json"
"""The schema as it was published first: who reads by it reads what is emitted today."""
RELEASES = ("1.1.0", "1.6.0", "1.8.0")


def unpublished(value: Any, schema: Any, at: str = "") -> Iterator[str]:
    """Members that the schema does not have."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name not in schema.get("properties", {}):
                yield f"{at}.{name}"
            else:
                yield from unpublished(member, schema["properties"][name], f"{at}.{name}")
    if isinstance(value, list):
        for member in value:
            yield from unpublished(member, schema["items"], f"{at}[]")


@pytest.fixture(scope="session")
def conforms() -> Callable[[Sequence[dict[str, Any]]], None]:
    """Check events against the published schema, today's and the first, and as findings against releases of OCSF."""
    ours = [Draft202012Validator(json.loads(file.read_text())) for file in (SCHEMA, FIRST)]
    theirs = [
        Draft202012Validator(
            OcsfJsonSchemaEmbedded(get_ocsf_schema(release)).get_class_schema("detection_finding", ["cloud"])
        )
        for release in RELEASES
    ]

    def check(emitted: Sequence[dict[str, Any]]) -> None:
        for event in emitted:
            assert event["what"] in WHATS
            assert list(unpublished(event, ours[0].schema)) == []
            for validator in ours:
                validator.validate(event)
            for validator in theirs:
                validator.validate(detection_finding(event))

    return check


@pytest.fixture
def course(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Course:
    monkeypatch.setattr(executions, "is_running", lambda _: True)
    shop.set(approval={"minutes": 15, "default": "leave"})
    return Course(shop, Killer(monkeypatch))


def test_when_an_incident_lives_then_each_thing_that_happens_is_emitted_once_with_all_that_an_xdr_joins_by(
    course: Course, conforms: Callable[[Sequence[dict[str, Any]]], None]
) -> None:
    site = course.shop.site
    site.settings["appliance"]["existing"]["portal_url"] = portal = "https://10.0.0.9"
    course.shop.set()
    incident = lived_through(course)
    emitted = events(site, incident)
    conforms(emitted)
    assert len(site.events(DETAIL_TYPE)) == len(emitted)
    assert Counter(one["what"] for one in emitted) == EXPECTED
    assert [one["time"] for one in emitted] == sorted(one["time"] for one in emitted)
    assert item(incident).get("owed") is None
    of = {one["what"]: one for one in emitted}
    for one in emitted:
        assert re.fullmatch(EVENT_ID_PATTERN, one["id"])
        assert re.fullmatch(TIME_PATTERN, one["time"])
        assert (one["deployment"], one["site"], one["severity"]) == ("tap", "frankfurt", "high")
        assert (one["account_id"], one["region"]) == (ACCOUNT_ID, REGION)
        its = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/{course.shop.database}"
        assert one["entities"]["instance"]["arn"] == its
        assert one["links"]["console"] == (
            "https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1"
            f"#InstanceDetails:instanceId={course.shop.database}"
        )
    # The appliance is known once its capture is prepared.
    assert of["opened"]["links"]["appliance"] is None
    assert of["mirroring"]["links"]["appliance"] == portal
    assert (of["opened"]["by"], of["decided"]["by"], of["contained"]["by"]) == (CALLER.name, OTHER.name, OTHER.name)
    assert (of["released"]["by"], of["mirroring"]["by"]) == (CALLER.name, None)
    assert (of["decided"]["decision"], of["decided"]["detail"]) == ("approved", "it beacons")
    assert (of["joined"]["alert"], of["joined"]["techniques"]) == (
        {"source": "api", "id": "xdr-0-again"},
        ["T1071.004"],
    )
    assert (of["opened"]["alert"]["id"], of["opened"]["techniques"]) == ("xdr-0", [])
    [described] = site.ec2.describe_instances(InstanceIds=[course.shop.database])["Reservations"][0]["Instances"]
    entities = of["mirroring"]["entities"]
    assert [one["id"] for one in entities["network_interfaces"]] == [
        one["NetworkInterfaceId"] for one in described["NetworkInterfaces"]
    ]
    assert described["PrivateIpAddress"] in entities["addresses"]
    assert entities["vpc_ids"] == [described["VpcId"]]
    assert of["packets_seen"]["packets"]["state"] == "packets seen"
    assert of["closed"]["incident"]["closed_because"] == "closed"


def test_when_a_function_is_killed_after_any_call_that_records_or_emits_then_nothing_is_lost_and_nothing_doubled(
    course: Course,
) -> None:
    site, killer = course.shop.site, course.killer
    points = range(1, 1000) if EVERY_POINT else (5, 16)
    for at in points:
        killer.at, killer.points = at, 0
        course.executions.clear()
        site.account.recorder.clear()
        incident = lived_through(course)
        if killer.points < at:
            break
        assert Counter(one["what"] for one in events(site, incident)) == EXPECTED, at
        assert item(incident).get("owed") is None
    # Each thing is recorded, emitted and forgotten.
    assert killer.points >= 3 * len(EXPECTED) - 4


def test_when_containment_is_refused_and_the_capture_fails_then_both_are_emitted(
    course: Course, conforms: Callable[[Sequence[dict[str, Any]]], None]
) -> None:
    site, shop = course.shop.site, course.shop
    shop.ec2.create_tags(Resources=[shop.database], Tags=[{"Key": "tapstack-protected", "Value": "database"}])
    incident = str(course.call(opened, shop.database, containment="now"))
    course.proceed()
    gone = site.instance()[0]
    site.ec2.terminate_instances(InstanceIds=[gone])
    other = str(course.call(opened, gone))
    course.proceed()
    refused, failed = events(site, incident), events(site, other)
    conforms(refused + failed)
    assert [one["what"] for one in refused] == ["opened", "refused", "mirroring"] or [
        one["what"] for one in refused
    ] == ["opened", "mirroring", "refused"]
    [one] = [one for one in refused if one["what"] == "refused"]
    assert (one["part"], one["decision"], one["containment"]["state"]) == ("containment", None, "failed")
    assert "is protected by its tag" in one["detail"]
    assert [one["what"] for one in failed] == ["opened", "failed"]
    assert (failed[1]["part"], failed[1]["incident"]["state"]) == ("capture", "failed")
    assert set(WHATS) == {*EXPECTED, "refused", "failed"}


def test_when_the_bus_does_not_take_events_then_the_incident_goes_on_and_the_sweeper_emits_them(
    course: Course,
) -> None:
    site = course.shop.site
    site.account.faults.add(Fault("PutEvents", "server error", times=2))
    incident = str(course.call(opened, course.shop.database))
    site.account.faults.clear()
    assert len(item(incident)["owed"]) == 1
    at = json.loads(item(incident)["owed"][0])["at"]
    site.account.recorder.clear()
    sweep()
    [event] = events(site, incident)
    assert (event["what"], event["time"]) == ("opened", at)
    sweep()
    assert len(site.events(DETAIL_TYPE)) == 1


def test_when_an_event_cannot_be_built_then_the_others_are_emitted_and_it_is_a_problem_of_the_sweep(
    course: Course,
) -> None:
    broken, other = str(opened(course.shop.database)), str(opened(course.shop.site.instance()[0]))
    unknown = json.dumps(
        {**json.loads(RECORDED), "what": "joined", "facts": {"alert": {"techniques": [], "tactics": ["Gone"]}}}
    )
    change(broken, "ADD owed :owed", owed={unknown})
    for number, incident in enumerate((broken, other)):
        change(incident, "ADD owed :owed", owed={json.dumps({**json.loads(RECORDED), "id": f"0000000{number}"})})
    report = sweep()
    assert "closed" in [one["what"] for one in events(course.shop.site, other)]
    assert [problem for problem in report.problems if problem.startswith("telemetry")] == [
        f"telemetry: {broken}: KeyError: 'Gone'"
    ]
    # Nor does it fail what is asked about the incident itself.
    assert opened(course.shop.database, alert_id="another") == broken


def test_when_a_closed_incident_still_owes_something_then_the_sweeper_emits_it(course: Course) -> None:
    incident = opened(course.shop.database)
    change(incident, "SET listing = :closed, #state = :closed ADD owed :owed", closed="closed", owed={RECORDED})
    sweep()
    assert [one["what"] for one in events(course.shop.site, incident)] == ["opened", "closed"]


def test_when_another_function_has_just_recorded_it_then_it_is_left_to_that_one_for_a_minute(course: Course) -> None:
    site = course.shop.site
    incident = opened(course.shop.database)
    ago = {name: datetime.now(UTC) - timedelta(seconds=seconds) for name, seconds in (("late", 61), ("now", 1))}
    owed = {
        json.dumps({**json.loads(RECORDED), "id": f"0000000{number}", "origin": "other", "at": as_precise_text(at)})
        for number, at in enumerate(ago.values())
    }
    change(incident, "ADD owed :owed", owed=owed)
    sweep()
    assert [one["time"] for one in events(site, incident) if one["what"] == "closed"] == [as_precise_text(ago["late"])]
    # Those that may emit no events themselves have the function that notifies.
    handlers()["incident"]({"action": "remaining", "incident_id": incident}, None)
    assert [one["time"] for one in events(site, incident) if one["what"] == "closed"] == list(
        map(as_precise_text, ago.values())
    )
    assert "owed" not in item(incident)


def test_when_events_cannot_be_emitted_for_long_then_alerts_still_join(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "RECORDED_AT_MOST", 2)
    monkeypatch.setattr(notifications, "emit_or_raise", _refused)
    incident = opened(course.shop.database, alert_id="first")
    for number in range(3):
        assert opened(course.shop.database, alert_id=f"another-{number}") == incident
    assert sorted(json.loads(text)["what"] for text in item(incident)["owed"]) == ["joined", "opened"]
    assert [entry["what"] for entry in incidents.timeline(incident)].count("joined") == 3


def _refused(detail_type: str, _: object) -> None:
    if detail_type == DETAIL_TYPE:
        raise TryAgain("the bus did not take the event")


RECORDED = json.dumps(
    {"id": "0abcdef0", "what": "closed", "at": "2026-01-02T03:04:05.678Z", "by": None, "detail": "expired", "facts": {}}
)


def test_when_an_earlier_version_opened_it_then_it_is_emitted_without_what_that_did_not_record(course: Course) -> None:
    incident = opened(course.shop.database)
    course.proceed()
    change(incident, "REMOVE places, owed")
    commands.close(incident, by=CALLER.name)
    course.proceed()
    found = [one for one in events(course.shop.site, incident) if one["what"] == "closed"]
    assert len(found) == 1
    assert found[0]["entities"]["addresses"] == found[0]["entities"]["vpc_ids"] == []
    assert incidents.get(incident).unemitted == ()


def test_when_containment_is_decided_in_other_ways_then_each_decision_is_emitted_with_who_and_why(
    course: Course,
) -> None:
    site, shop = course.shop.site, course.shop
    web = next(found for name, found in shop.company.instances.items() if found != shop.database)
    rejected = str(course.call(opened, web, containment="approval"))
    course.proceed()
    course.call(containment_requests.decide, rejected, "rejected", by=OTHER, reason="it is the scanner")
    course.proceed()
    [one] = [one for one in events(site, rejected) if one["what"] == "decided"]
    assert (one["decision"], one["by"], one["detail"]) == ("rejected", OTHER.name, "it is the scanner")
    # Requested again, and closed while it waits.
    course.call(containment_requests.contain, rejected, "approval", by=CALLER)
    course.proceed()
    course.call(commands.close, rejected, by=CALLER.name)
    found = [one for one in events(site, rejected) if one["what"] in ("approval_asked", "decided")]
    assert [one["what"] for one in found] == ["approval_asked", "decided"] * 2
    assert found[-1]["detail"] == "the incident is closed"
    late = str(course.call(opened, shop.database, containment="approval"))
    change(late, "SET containment.deadline = :then", then="2026-01-02T03:04:05Z")
    course.proceed()
    [one] = [one for one in events(site, late) if one["what"] == "decided"]
    assert (one["decision"], one["by"]) == ("default", BY_DEFAULT)


@pytest.mark.long
def test_when_an_interface_is_attached_then_it_is_an_entity_and_the_instance_is_contained_once_more(
    course: Course,
) -> None:
    site, shop = course.shop.site, course.shop
    incident = str(course.call(opened, shop.database, containment="now"))
    course.proceed()
    interface = attach(shop)
    course.sweep()
    contained = [one for one in events(site, incident) if one["what"] == "contained"]
    assert len(contained) == 2
    assert interface not in contained[0]["detail"]
    assert interface in contained[1]["detail"]
    [described] = site.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    [entity] = [one for one in contained[1]["entities"]["network_interfaces"] if one["id"] == interface]
    assert entity["addresses"] == [described["PrivateIpAddress"]]
    assert (entity["vpc_id"], entity["state"]) == (described["VpcId"], "mirrored")


@pytest.mark.long
def test_when_a_release_is_blocked_then_that_is_a_failure_of_it_and_two_incidents_are_released_each(
    course: Course,
) -> None:
    site, shop = course.shop.site, course.shop
    first, second = (str(course.call(opened, shop.database, containment="now")) for _ in range(2))
    course.proceed()
    interface = next(iter(shop.groups(shop.database)))
    before = shop.groups_of(interface)
    shop.give(interface, shop.untrack)
    course.call(containment_requests.release, first, by=CALLER.name, all_incidents=True)
    course.proceed()
    [failed] = [one for one in events(site, first) if one["what"] == "failed"]
    assert failed["part"] == "release"
    assert failed["detail"].startswith(f"blocked: security groups of {interface}")
    shop.give(interface, *before)
    course.call(containment_requests.release, first, by=CALLER.name, all_incidents=True)
    course.proceed()
    course.sweep()
    for incident in (first, second):
        assert [one["what"] for one in events(site, incident)].count("released") == 1
