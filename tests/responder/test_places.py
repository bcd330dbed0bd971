"""Places at a mirror target that takes ten sources: the most severe incidents have them."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.faults import Fault
from tapstack.domain.callers import POLICY
from tapstack.domain.incidents import as_text, read_request, utc_now
from tapstack.responder.capture import places, sessions
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.capture.interfaces import prepare
from tapstack.responder.errors import NothingMirrored, TryAgain
from tapstack.responder.incident import opening
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.outbound import executions
from tapstack.responder.store import captures, incidents
from tapstack.responder.sweeper import sweep
from tests.responder.conftest import Site, change, configure, interfaces_of, item, prepared
from tests.responder.test_api import ask
from tests.sampling import sampled

LIMIT = 10

pytestmark = pytest.mark.usefixtures("running")


@pytest.fixture
def small(bare: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site whose target is an interface that takes ten sources."""
    configured(bare, monkeypatch)
    bare.account.recorder.clear()
    return bare


def configured(site: Site, monkeypatch: pytest.MonkeyPatch, most: int | None = LIMIT, **capture: Any) -> None:
    existing = {"target_id": site.target(), "filter_id": site.mirror_filter(), "max_sources": most}
    configure(monkeypatch, site, {"existing": existing}, **capture)


def started(site: Site, count: int = 1, *, severity: str = "low", source: str = "api") -> str:
    """An incident that captures, about so many interfaces."""
    body = {"reason": "alert", "severity": severity, "network_interface_ids": [site.interface() for _ in range(count)]}
    request = read_request(body, minutes=60, max_minutes=1440)
    made = opening.open_incident(request, source="api" if source == "api" else "guardduty", by=POLICY).incident
    assert made is not None
    prepare(made.id)
    capture_steps.start(made.id)
    return made.id


def states(incident: str) -> list[str]:
    return [entry["state"] for entry in item(incident)["interfaces"]]


def notes(incident: str, state: str) -> list[str]:
    return [entry["note"] for entry in item(incident)["interfaces"] if entry["state"] == state]


def entries(incident: str, what: str) -> list[str]:
    return [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == what]


def mails(site: Site, incident: str, what: str) -> list[str]:
    found = [mail for mail in site.messages() if mail["Subject"].endswith(f"{incident}: {what}")]
    return [mail["Message"] for mail in found]


def ended(incident: str) -> None:
    capture_steps.stop(incident)
    incident_steps.close(incident, "closed")


def is_whole(site: Site) -> None:
    """No more sessions than the target takes, each known by the table, and each incident says what it has."""
    there = {session["TrafficMirrorSessionId"]: session["NetworkInterfaceId"] for session in site.ours()}
    assert len(set(there.values())) <= LIMIT
    said = {}
    for incident in incidents.listed("open"):
        for entry in incident.in_state("mirrored"):
            said[entry.session_id] = entry.network_interface_id
            held = captures.get(entry.network_interface_id)
            assert held is not None
            assert (incident.id in held.holders, held.session_id) == (True, entry.session_id)
    assert said == there


GIVEN = "place given to a more severe incident"


def test_when_a_critical_incident_needs_a_place_then_a_low_one_gives_its_place_and_both_say_so(small: Site) -> None:
    low = started(small, LIMIT)
    critical = started(small, severity="critical")
    incident_steps.notify(critical)
    assert Counter(states(low)) == {"mirrored": 9, "waiting": 1}
    assert states(critical) == ["mirrored"]
    is_whole(small)
    [lost] = [eni for eni, entry in interfaces_of(low).items() if entry["state"] == "waiting"]
    [new] = interfaces_of(critical)
    why = f"its place at the mirror target went to {new} of {critical}, which is more severe"
    assert interfaces_of(low)[lost] == {
        **interfaces_of(low)[lost],
        "session_id": None,
        "session_number": None,
        "owned": False,
        "note": why,
    }
    assert entries(low, "place given") == [f"{lost} is not mirrored any more: {why} (critical, this one is low)"]
    assert entries(critical, "place taken") == [
        f"{new} has the place of {lost} at the mirror target, of {low}, which is less severe (low)"
    ]
    assert notes(critical, "mirrored") == [
        f"it has the place of {lost} at the mirror target, of a less severe incident"
    ]
    [mail] = mails(small, low, GIVEN)
    assert why in mail
    assert "put the appliance behind a Network Load Balancer" in mail
    [mail] = mails(small, critical, "mirroring started")
    assert lost in mail
    # The API's answer keeps to its schema.
    assert {one["state"] for one in ask("GET", f"/incidents/{low}")[1]["interfaces"]} == {"mirrored", "waiting"}
    report = sweep()
    assert (report.repaired, report.places, report.unknown_sessions, report.deleted) == ([], [], [], [])
    assert states(critical) == ["mirrored"]
    assert len(mails(small, low, GIVEN)) == 1


def test_when_the_critical_incident_is_closed_then_the_other_is_mirrored_again_and_says_so(small: Site) -> None:
    low = started(small, LIMIT)
    critical = started(small, severity="critical")
    ended(critical)
    [line] = sweep().places
    assert states(low) == ["mirrored"] * LIMIT
    is_whole(small)
    assert entries(low, "mirrored after waiting") == [line.partition(": ")[2]]
    [mail] = mails(small, low, "mirrored after waiting")
    assert "is not captured" in mail
    # Nothing else had notified of it.
    assert len(mails(small, low, GIVEN)) == 1
    assert not any(sweep().as_dict().values())
    ended(low)
    assert small.sessions() == []


@pytest.mark.long
def test_when_the_other_is_closed_while_it_waits_then_it_is_not_mirrored_again(small: Site) -> None:
    low, critical = started(small, LIMIT), started(small, severity="critical")
    ended(low)
    assert set(states(low)) == {"ended"}
    sweep()
    assert [one["NetworkInterfaceId"] for one in small.ours()] == list(interfaces_of(critical))
    ended(critical)
    sweep()
    assert small.sessions() == []


@pytest.mark.parametrize("severity", ["high", "critical"])
def test_when_the_others_are_as_severe_or_more_then_none_gives_its_place(small: Site, severity: str) -> None:
    others = started(small, LIMIT, severity=severity)
    with pytest.raises(NothingMirrored, match=r"takes at most 10 distinct sources, and has them: close incidents"):
        started(small, severity="high")
    assert set(states(others)) == {"mirrored"}


def test_when_some_find_no_place_then_they_wait_and_are_mirrored_once_there_is_one(small: Site) -> None:
    first = started(small, 8)
    second = started(small, 4)
    assert Counter(states(second)) == {"mirrored": 2, "waiting": 2}
    incident_steps.notify(second)
    [mail] = mails(small, second, "mirroring started")
    assert "Not mirrored yet; tried again every 15 minutes:" in mail
    assert entries(second, "capturing") == ["2 network interfaces mirrored, 2 waiting"]
    before = notes(second, "waiting")
    assert sweep().places == []
    assert notes(second, "waiting") == before
    ended(first)
    assert len(sweep().places) == 2
    assert states(second) == ["mirrored"] * 4
    is_whole(small)


@pytest.mark.long
def test_when_places_are_given_then_secondary_interfaces_of_the_least_severe_and_newest_are_first(small: Site) -> None:
    medium = started(small, 5, severity="medium")
    old_instance, _ = small.instance()
    small.attach(old_instance)
    old = prepared(old_instance, severity="low")
    capture_steps.start(old)
    new_instance, new_primary = small.instance()
    new_secondary = small.attach(new_instance)
    new = prepared(new_instance, severity="low")
    capture_steps.start(new)
    filler = started(small, severity="critical")
    change(old, "SET opened_at = :at", at="2026-01-01T00:00:00Z")
    change(new, "SET opened_at = :at", at="2026-01-01T00:00:01Z")
    expected = [(new, 1), (old, 1), (new, 0), (old, 0)]
    for incident, position in expected:
        assert states(incident)[position] == "mirrored"
        started(small, severity="high")
        assert states(incident)[position] == "waiting"
        is_whole(small)
    assert interfaces_of(new)[new_secondary]["note"] != interfaces_of(new)[new_primary]["note"]
    assert set(states(medium)) == {"mirrored"}
    assert states(filler) == ["mirrored"]
    # Most severe first: a secondary interface of a critical one before the primary one of a medium one.
    started(small, 2, severity="critical")
    assert Counter(states(medium)) == {"mirrored": 3, "waiting": 2}
    # What waits is mirrored again in the same order.
    for one in incidents.listed("open"):
        if one.severity in ("high", "critical"):
            ended(one.id)
    sweep()
    for incident in (medium, old, new):
        assert set(states(incident)) == {"mirrored"}
    is_whole(small)


def test_when_sessions_are_of_others_then_they_keep_their_places(small: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    target = small.settings["appliance"]["existing"]["target_id"]
    theirs = {
        small.ec2.create_traffic_mirror_session(
            NetworkInterfaceId=small.interface(),
            TrafficMirrorTargetId=target,
            TrafficMirrorFilterId=small.others_filter,
            SessionNumber=1,
        )["TrafficMirrorSession"]["TrafficMirrorSessionId"]
        for _ in range(8)
    }
    low = started(small, 2)
    critical = started(small, 3, severity="critical")
    assert (states(low), Counter(states(critical))) == (["waiting"] * 2, {"mirrored": 2, "waiting": 1})
    assert theirs < {session["TrafficMirrorSessionId"] for session in small.sessions()}
    assert len(small.sessions()) == LIMIT


def test_when_a_session_of_others_has_the_same_source_then_its_deletion_would_free_nothing(small: Site) -> None:
    low = started(small, LIMIT)
    shared, *_ = interfaces_of(low)
    for eni in list(interfaces_of(low))[1:]:
        small.ec2.create_traffic_mirror_session(
            NetworkInterfaceId=eni,
            TrafficMirrorTargetId=small.settings["appliance"]["existing"]["target_id"],
            TrafficMirrorFilterId=small.others_filter,
            SessionNumber=2,
        )
    critical = started(small, 2, severity="critical")
    assert interfaces_of(low)[shared]["state"] == "waiting"
    assert Counter(states(critical)) == {"mirrored": 1, "waiting": 1}
    assert Counter(states(low)) == {"mirrored": 9, "waiting": 1}


@pytest.mark.long
def test_when_a_more_severe_incident_holds_the_same_interface_then_it_keeps_its_place(small: Site) -> None:
    low = started(small, LIMIT)
    kept = next(iter(interfaces_of(low)))
    high = prepared(None, kept, severity="high")
    capture_steps.start(high)
    started(small, 9, severity="critical")
    assert Counter(states(low)) == {"mirrored": 1, "waiting": 9}
    assert interfaces_of(low)[kept]["state"] == "mirrored"
    with pytest.raises(NothingMirrored):
        started(small, severity="high")
    is_whole(small)


@pytest.mark.long
def test_when_two_less_severe_incidents_share_a_session_then_both_lose_it_and_both_get_it_again(small: Site) -> None:
    first = started(small, 1)
    second = prepared(None, *interfaces_of(first), severity="medium")
    capture_steps.start(second)
    critical = started(small, LIMIT, severity="critical")
    assert (states(first), states(second)) == (["waiting"], ["waiting"])
    is_whole(small)
    sweep()
    assert [len(mails(small, one, GIVEN)) for one in (first, second)] == [1, 1]
    ended(critical)
    sweep()
    assert (states(first), states(second)) == (["mirrored"], ["mirrored"])
    assert len(small.ours()) == 1


class TestBudgets:
    """A flood of findings uses up neither the places that are free, nor those that responders have."""

    @pytest.fixture
    def small(self, bare: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
        configured(bare, monkeypatch, reserved_sources=3)
        return bare

    def test_when_findings_are_critical_then_what_is_reserved_stays_with_responders(self, small: Site) -> None:
        responders = started(small, 5)
        findings = started(small, 9, severity="critical", source="guardduty")
        # Two of the five are above what is reserved.
        assert Counter(states(responders)) == {"mirrored": 3, "waiting": 2}
        assert Counter(states(findings)) == {"mirrored": 4, "waiting": 5}

    def test_when_a_responder_opens_a_severe_one_then_it_takes_the_place_of_findings(self, small: Site) -> None:
        findings = started(small, 7, severity="medium", source="guardduty")
        assert set(states(findings)) == {"mirrored"}
        assert states(started(small, 6, severity="high")) == ["mirrored"] * 6
        assert Counter(states(findings)) == {"mirrored": 4, "waiting": 3}


@sampled("waits", [True, False], every=2)
def test_when_an_alert_raises_the_severity_then_what_waits_gets_a_place(
    small: Site, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    low = started(small, 9)
    instance, _ = small.instance()
    small.attach(instance)
    suspect = prepared(instance, severity="low", alert_id="first")
    capture_steps.start(suspect)
    assert states(suspect) == ["mirrored", "waiting"]
    sweep()
    assert states(suspect) == ["mirrored", "waiting"]
    resumed: list[str] = []
    monkeypatch.setattr(executions, "end_wait", lambda token, _: resumed.append(token))
    change(suspect, "SET #token = :token", token="waiting")
    for number, severity in enumerate(("low", "critical", "critical", "high")):
        body = {"reason": "more", "severity": severity, "alert_id": f"more {number}", "instance_id": instance}
        opening.open_incident(read_request(body, minutes=90 + number, max_minutes=1440), source="api", by=POLICY)
        # Only a severity that rises ends the wait of the workflow.
        assert resumed == (["waiting"] if number else [])
    if waits:
        capture_steps.extend(suspect)
        assert len(entries(suspect, "mirrored after waiting")) == 1
    sweep()
    assert states(suspect) == ["mirrored", "mirrored"]
    assert Counter(states(low)) == {"mirrored": 8, "waiting": 1}
    assert len(mails(small, low, GIVEN)) == 1
    is_whole(small)


@pytest.mark.long
def test_when_two_critical_incidents_come_at_once_then_each_takes_a_place_and_no_more_than_it_needs(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = started(small, LIMIT)
    both = [prepared(None, small.interface(), severity="critical") for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(capture_steps.start, both)) == [{"mirrored": 1, "refused": 0}] * 2
    assert Counter(states(low)) == {"mirrored": 8, "waiting": 2}
    is_whole(small)
    assert len(small.ours()) == LIMIT


@pytest.mark.long
def test_when_another_takes_the_same_place_meanwhile_then_it_is_planned_again(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = started(small, LIMIT)
    taken = places.take
    others: list[str] = []

    def overtaken(*given: Any) -> bool:
        if not others:
            others.append("")
            others[0] = started(small, severity="critical")
        return taken(*given)

    monkeypatch.setattr(places, "take", overtaken)
    critical = started(small, severity="critical")
    assert (states(critical), states(others[0])) == (["mirrored"], ["mirrored"])
    assert Counter(states(low)) == {"mirrored": 8, "waiting": 2}
    is_whole(small)


@pytest.mark.long
def test_when_a_less_severe_one_takes_the_free_place_first_then_it_gives_it(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = started(small, LIMIT)
    change(low, "SET opened_at = :at", at="2026-01-01T00:00:00Z")
    taken = places.take
    quick: list[str] = []

    def overtaken(*given: Any) -> bool:
        done = taken(*given)
        if not quick:
            quick.append("")
            quick[0] = started(small)
        return done

    monkeypatch.setattr(places, "take", overtaken)
    critical = started(small, severity="critical")
    assert states(critical) == ["mirrored"]
    assert states(quick[0]) == ["waiting"]
    assert Counter(states(low)) == {"mirrored": 9, "waiting": 1}
    is_whole(small)


@pytest.mark.long
def test_when_less_severe_incidents_are_only_beginning_then_it_is_tried_again(small: Site) -> None:
    low = started(small, LIMIT)
    change(low, "SET #state = :launching", launching="launching")
    critical = prepared(None, small.interface(), severity="critical")
    with pytest.raises(TryAgain, match="less severe incidents begin or end"):
        capture_steps.start(critical)
    assert set(states(low)) == {"mirrored"}
    change(low, "SET #state = :capturing", capturing="capturing")
    assert capture_steps.start(critical) == {"mirrored": 1, "refused": 0}
    assert Counter(states(low)) == {"mirrored": 9, "waiting": 1}


@pytest.mark.long
def test_when_an_incident_failed_then_its_sessions_give_their_places_for_good(small: Site) -> None:
    low = started(small, LIMIT)
    incident_steps.fail(low, "TryAgain", "throttled")
    critical = started(small, severity="critical")
    assert Counter(states(low)) == {"mirrored": 9, "ended": 1}
    assert len(item(low)["in_place"]) == 9
    incident_steps.notify(critical)
    [mail] = mails(small, low, GIVEN)
    assert "Each interface below is NOT mirrored again: this incident is failed." in mail
    assert "once the target has a place" not in mail
    ended(critical)
    sweep()
    assert len(small.ours()) == 9
    ended(low)
    assert small.sessions() == []


@pytest.mark.parametrize("action", ["TransactWriteItems", "DeleteTrafficMirrorSession", "BatchGetItem"])
@sampled("kind", ["throttled", "lost before", "lost after"], every=3)
def test_when_a_call_fails_once_then_the_place_is_taken_all_the_same(small: Site, action: str, kind: Any) -> None:
    low = started(small, LIMIT)
    critical = prepared(None, small.interface(), severity="critical")
    small.account.faults.add(Fault(action, kind))
    assert capture_steps.start(critical) == {"mirrored": 1, "refused": 0}
    small.account.faults.clear()
    assert Counter(states(low)) == {"mirrored": 9, "waiting": 1}
    is_whole(small)


@sampled("when", ["before", "after"], every=2)
def test_when_the_function_is_killed_then_the_place_is_taken_at_the_next_attempt_or_given_back(
    small: Site, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    low = started(small, LIMIT)
    critical = prepared(None, small.interface(), severity="critical")

    class Killed(BaseException):
        pass

    finish = sessions.finish

    def dies(ending: Any) -> list[str]:
        if when == "after" or not ending:
            finish(ending)
        if ending:
            raise Killed
        return []

    with monkeypatch.context() as patched:
        patched.setattr(sessions, "finish", dies)
        with pytest.raises(Killed):
            capture_steps.start(critical)
    assert Counter(states(low)) == {"mirrored": 9, "waiting": 1}
    assert not sweep().unknown_sessions
    capture_steps.start(critical)
    assert states(critical) == ["mirrored"]
    is_whole(small)
    ended(critical)
    sweep()
    assert states(low) == ["mirrored"] * LIMIT


@pytest.mark.long
def test_when_it_is_being_repaired_at_the_same_moment_then_the_incident_says_what_it_has(
    small: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repair reads the incident, and a critical incident takes a place before the repair writes it."""
    low = started(small, LIMIT)
    record = incidents.record_interfaces
    criticals: list[str] = []

    def overtaken(incident: Any, interfaces: Any, **more: Any) -> Any:
        if incident.id == low and not criticals:
            criticals.append("")
            criticals[0] = started(small, severity="critical")
        return record(incident, interfaces, **more)

    [lost, *_] = small.ours()
    small.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=lost["TrafficMirrorSessionId"])
    monkeypatch.setattr("tapstack.responder.capture.sessions.LATE_SECONDS", 0)
    monkeypatch.setattr(incidents, "record_interfaces", overtaken)
    capture_steps.renew(low, [lost["NetworkInterfaceId"]])
    assert states(criticals[0]) == ["mirrored"]
    assert Counter(states(low)) == {"mirrored": 9, "waiting": 1}
    is_whole(small)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The interfaces of which AWS refuses every session."""
    interfaces: set[str] = set()
    create = sessions.create

    def answer(capture: captures.Capture, **given: Any) -> sessions.Described:
        if capture.network_interface_id in interfaces:
            error = {"Code": "OperationNotPermitted", "Message": "not this one"}
            raise ClientError({"Error": error}, "CreateTrafficMirrorSession")
        return create(capture, **given)

    monkeypatch.setattr(sessions, "create", answer)
    return interfaces


@pytest.mark.long
def test_when_aws_refuses_what_is_more_severe_then_it_takes_no_place_again_until_one_is_free(
    small: Site, refused: set[str]
) -> None:
    low = started(small, 9)
    other = started(small, severity="medium")
    good, bad = small.interface(), small.interface()
    refused.add(bad)
    critical = prepared(None, good, bad, severity="critical")
    capture_steps.start(critical)
    assert {eni: entry["state"] for eni, entry in interfaces_of(critical).items()} == {good: "mirrored", bad: "waiting"}
    # It took a place before AWS refused it; the next sweep gives that back.
    sweep()
    places_then = Counter(states(low) + states(other))
    assert places_then == {"mirrored": 9, "waiting": 1}
    said = entries(low, "place given")
    for _ in range(3):
        sweep()
        assert Counter(states(low) + states(other)) == places_then
    assert entries(low, "place given") == said
    assert "not this one" in interfaces_of(critical)[bad]["note"]
    # AWS would accept it now: it waits for a free place all the same, and is the first to have one.
    refused.clear()
    sweep()
    assert Counter(states(low) + states(other)) == places_then
    ended(other)
    sweep()
    assert set(states(critical)) == {"mirrored"}
    is_whole(small)
    # From then on it is like any other.
    assert not any("refused_by_aws_at" in entry for entry in item(critical)["interfaces"])


@pytest.mark.long
def test_when_aws_refused_it_an_hour_ago_then_one_of_an_incident_takes_a_place_again(
    small: Site, refused: set[str]
) -> None:
    low = started(small, 9)
    good, one, another = (small.interface() for _ in range(3))
    refused |= {one, another}
    critical = prepared(None, good, one, another, severity="critical")
    capture_steps.start(critical)
    sweep()
    assert states(low) == ["mirrored"] * 9
    hour_ago = as_text(utc_now() - timedelta(hours=1))

    def long_ago() -> None:
        for number in (1, 2):
            change(critical, f"SET interfaces[{number}].refused_by_aws_at = :then", then=hour_ago)

    long_ago()
    sweep()
    # Refused again, it took one place in vain.
    assert Counter(states(low)) == {"mirrored": 8, "waiting": 1}
    sweep()
    assert states(low) == ["mirrored"] * 9
    refused.clear()
    long_ago()
    for mirrored in (2, 3):
        sweep()
        assert Counter(states(critical))["mirrored"] == mirrored
    is_whole(small)


@pytest.mark.long
def test_when_it_waits_for_another_reason_than_before_then_the_incident_says_that(
    small: Site, refused: set[str]
) -> None:
    first = started(small, 9, severity="critical")
    one, another = small.interface(), small.interface()
    incident = prepared(None, one, another)
    capture_steps.start(incident)
    assert "takes at most 10 distinct sources" in interfaces_of(incident)[another]["note"]
    refused.add(another)
    ended(first)
    sweep()
    entry = interfaces_of(incident)[another]
    assert (entry["state"], "not this one" in entry["note"]) == ("waiting", True)
    for number in (5, 6, 7):
        small.session_of_others(another, number)
    sweep()
    assert interfaces_of(incident)[another]["note"].startswith("it is in 3 other mirror sessions already")


def test_when_it_gave_its_place_then_the_incident_goes_on_saying_to_which(small: Site) -> None:
    low = started(small, LIMIT)
    started(small, severity="critical")
    [note] = notes(low, "waiting")
    sweep()
    assert notes(low, "waiting") == [note]
    assert "went to" in note


def test_when_aws_refuses_one_then_another_of_the_incident_has_the_free_place(small: Site, refused: set[str]) -> None:
    started(small, 8, severity="critical")
    first, bad, last = (small.interface() for _ in range(3))
    refused.add(bad)
    incident = prepared(None, first, bad, last)
    capture_steps.start(incident)
    assert [interfaces_of(incident)[one]["state"] for one in (first, bad, last)] == ["mirrored", "waiting", "waiting"]
    sweep()
    assert [interfaces_of(incident)[one]["state"] for one in (first, bad, last)] == ["mirrored", "waiting", "mirrored"]
    is_whole(small)


def test_when_the_limit_is_not_known_then_it_is_learned_from_the_refusal(
    bare: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(bare, monkeypatch, most=None)
    low = started(bare, LIMIT)
    critical = started(bare, 2, severity="critical")
    assert states(critical) == ["mirrored"] * 2
    assert Counter(states(low)) == {"mirrored": 8, "waiting": 2}
    is_whole(bare)
