"""Incidents that were open when the response was updated: they are shown, closed and released like any other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from strictmoto.account import ACCOUNT_ID, REGION
from tapstack.domain.callers import POLICY
from tapstack.domain.incidents import read_request
from tapstack.domain.regions import AccountRegion
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.errors import OtherPersonNeeded
from tapstack.responder.handlers import appliance, capture, incident, prepare, release
from tapstack.responder.incident import commands, opening
from tapstack.responder.outbound import executions
from tapstack.responder.store import appliance as appliance_store
from tapstack.responder.store import captures, containments, incidents
from tapstack.responder.sweeper import sweep
from tests.responder.callers import CALLER, OTHER
from tests.responder.conftest import Site, item, opened
from tests.responder.containment.conftest import Shop, asked
from tests.responder.containment.versions.playing import (
    ANN,
    BEGUN,
    BLOCKED,
    CAPTURING,
    CLOSED,
    JOINED,
    LAUNCHED,
    PENDING,
    captured,
    contained,
    items,
    play,
    play_launched,
    step,
    take_over,
)

HERE = Path(__file__).parent
VERSIONS = (
    "version_0_2_0",
    *(pytest.param(name, marks=pytest.mark.long) for name in ("before_typed", "before_joining")),
)
"""The one that was released, and two between releases."""


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> Path:
    return HERE / str(request.param)


@pytest.fixture
def updated(shop: Shop, version: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A site in which an earlier version left incidents in every state that lasts."""
    play(shop)
    take_over(shop.site, shop.company.instances, version / "incidents.json")
    # Tokens of earlier executions are unknown to the account.
    monkeypatch.setattr(executions, "end_wait", lambda token, because: bool(token))
    return shop


def shown(name: str) -> dict[str, Any]:
    return incidents.shown(incidents.get(name))


@pytest.mark.long
def test_when_incidents_are_written_then_json_has_them_as_their_items_are_and_all_say_where(shop: Shop) -> None:
    play(shop)
    for name in (CAPTURING, JOINED, PENDING, BLOCKED, CLOSED, BEGUN):
        assert json.dumps(shown(name)).startswith(
            json.dumps({public: item(name)[public] for public in incidents.PUBLIC})[:-1]
        )
    located = [
        found
        for found in items(shop.site)
        if found["sk"]["S"].partition("#")[0] in ("INCIDENT", "CAPTURE", "CONTAINMENT", "ORIGINAL")
    ]
    assert {(found["account_id"]["S"], found["region"]["S"]) for found in located} == {(ACCOUNT_ID, REGION)}
    events = shop.site.events("Tapstack Incident")
    assert {(event["account_id"], event["region"]) for event in events} == {(ACCOUNT_ID, REGION)}
    assert all(f"Account:  {ACCOUNT_ID}, {REGION}" in message["Message"] for message in shop.site.messages())


def test_when_an_instance_of_another_account_has_the_same_id_then_it_is_another(shop: Shop) -> None:
    contained(asked(shop.database))
    elsewhere = AccountRegion("444455556666", REGION)
    [primary, *_] = shop.company.interfaces["database"]
    assert containments.get(shop.database) is not None
    assert containments.get(shop.database, elsewhere) is None
    assert containments.prior_states(shop.database, elsewhere) == []
    held = captures.acquire(primary, CAPTURING, elsewhere)
    assert held is not None
    assert captures.get(primary) is None
    assert [(one.network_interface_id, one.where) for one in captures.listed()] == [(primary, elsewhere)]
    ended = captures.release(primary, [CAPTURING], elsewhere)
    assert ended is not None
    captures.finish(ended)
    assert captures.listed() == []
    assert appliance_store.hold(CAPTURING, elsewhere) == appliance_store.get(elsewhere)
    assert appliance_store.get().holders == frozenset()


def test_when_incidents_are_of_an_earlier_version_then_they_are_shown_swept_extended_and_closed(updated: Shop) -> None:
    for name in (CAPTURING, JOINED, PENDING, BLOCKED, CLOSED, BEGUN):
        # No earlier version wrote what is known of the packets, nor more than one technique.
        technique = item(name)["technique"]
        later = {"packets": None, "stored_packets": None, "techniques": [technique] if technique else [], "tactics": []}
        assert not set(later) & set(item(name))
        written = {public: item(name)[public] for public in incidents.PUBLIC if public not in later} | later
        if written["containment"] is not None:
            # No earlier version wrote them.
            unknown = dict.fromkeys(
                (
                    "as_of",
                    "asked_again_at",
                    "requester",
                    "decision_reason",
                    "override_reason",
                    "packets_until",
                    "packets_wait",
                )
            )
            unknown |= {"not_done": [], "overridden_tags": [], "isolating": False}
            assert not set(unknown) & set(written["containment"])
            written["containment"] |= unknown
        assert {public: shown(name)[public] for public in incidents.PUBLIC} == written
    found = shown(CAPTURING)
    assert (found["id"], found["state"], found["severity"]) == (CAPTURING, "capturing", "high")
    assert (found["technique"], found["alert_id"], found["opened_by"]) == ("T1071", "edr-1", ANN)
    assert {one["network_interface_id"] for one in found["interfaces"]} == set(updated.company.interfaces["database"])
    made = {session["TrafficMirrorSessionId"] for session in updated.site.ours()}
    assert {one["session_id"] for one in found["interfaces"]} == made
    decided = found["containment"]
    assert (decided["state"], decided["mode"], decided["asked_by"]) == ("contained", "now", ANN)
    # In the words of the version that contained it.
    assert any("groups of eni-" in line for line in decided["changed"])
    what = [entry["what"] for entry in incidents.timeline(CAPTURING)]
    assert what[0] == "opened"
    assert {"contained", "capturing"} <= set(what)
    still_open, _ = incidents.page("open", 25, None)
    assert {incidents.shown(one)["id"] for one in still_open} == {CAPTURING, JOINED, PENDING, BLOCKED, BEGUN}
    over, _ = incidents.page("closed", 25, None)
    assert [incidents.shown(one)["id"] for one in over] == [CLOSED]

    report = sweep()
    assert (report.deleted, report.unknown_sessions, report.problems) == ([], [], [])
    # It is known why each instance is isolated.
    assert not any("no containment is recorded" in line for line in report.audit)

    commands.extend(CAPTURING, 1000, by=ANN)
    assert shown(CAPTURING)["expires_at"] > found["expires_at"]
    assert step(capture.handler, "extend", CAPTURING) == {"extended": 2}

    for name, left in ((CAPTURING, 2), (JOINED, 0)):
        commands.close(name, by=ANN)
        assert step(incident.handler, "remaining", name) == {"status": "close", "because": "closed"}
        step(capture.handler, "stop", name)
        assert len(updated.site.ours()) == left
        step(incident.handler, "close", name)
        assert shown(name)["state"] == "closed"


def test_when_incidents_of_an_earlier_version_are_released_then_their_prior_state_is_restored(updated: Shop) -> None:
    instance, groups = updated.database, updated.company.security_groups
    for name, status in ((CAPTURING, "held"), (JOINED, "released")):
        assert updated.is_isolated(instance)
        containment_requests.release(name, by=ANN)
        assert step(release.handler, "release", name) == {"status": status}
        assert updated.state(name) == "released"
    assert set(updated.groups_of(updated.company.interfaces["database"][0])) == {groups["database"], groups["backup"]}
    assert updated.protected(instance) == (False, "stop", [True])
    assert updated.prior_states(instance) == {}

    # Others changed its groups, and the release was blocked.
    containment_requests.release(BLOCKED, by=ANN, overwrite=True)
    assert step(release.handler, "release", BLOCKED, overwrite=True) == {"status": "released"}
    assert updated.groups_of(updated.company.interfaces["web-2"][0]) == [groups["web"]]
    assert updated.state(BLOCKED) == "released"


def test_when_containments_of_an_earlier_version_were_under_way_then_they_go_on(updated: Shop) -> None:
    instance = updated.company.instances["legacy"]
    had = updated.groups(instance)
    contained(BEGUN)
    assert updated.is_isolated(instance)
    containment_requests.release(BEGUN, by=ANN)
    assert step(release.handler, "release", BEGUN) == {"status": "released"}
    assert updated.groups(instance) == had

    # It has the name of who requested it alone, which is compared.
    with pytest.raises(OtherPersonNeeded, match=f"{ANN} requested the containment"):
        containment_requests.decide(PENDING, "approved", by=CALLER)
    containment_requests.decide(PENDING, "approved", by=OTHER)
    assert step(incident.handler, "decide", PENDING) == {"status": "contain"}
    contained(PENDING)
    assert updated.is_isolated(updated.company.instances["web-1"])


@pytest.mark.long
def test_when_an_incident_is_opened_for_the_same_instance_then_it_shares_what_an_earlier_version_made(
    updated: Shop,
) -> None:
    body = {"reason": "beaconing", "instance_id": updated.database, "alert_id": "edr-1"}
    request = read_request(body, minutes=600, max_minutes=1440)
    again = opening.open_incident(request, source="api", by=CALLER)
    assert (again.incident, again.how) == (incidents.get(CAPTURING), "same")

    new = opened(updated.database, containment="now")
    contained(new)
    captured(new)
    assert len(updated.site.ours()) == 2
    containment_requests.release(CAPTURING, by=ANN, all_incidents=True)
    assert step(release.handler, "release", CAPTURING, all=True) == {"status": "released"}
    assert {updated.state(name) for name in (CAPTURING, JOINED, new)} == {"released"}
    assert updated.prior_states(updated.database) == {}
    for name, left in ((CAPTURING, 2), (JOINED, 2), (new, 0)):
        step(capture.handler, "stop", name)
        assert len(updated.site.ours()) == left


@pytest.mark.long
def test_when_an_earlier_version_wrote_keys_then_they_are_those_of_their_caller_and_source(updated: Shop) -> None:
    body = {"reason": "beaconing", "instance_id": updated.database, "alert_id": "edr-1"}
    asked = read_request(body, minutes=600, max_minutes=1440)
    # The request that the key was sent with named another account's instance.
    with pytest.raises(opening.KeyReused, match=CAPTURING):
        opening.open_incident(asked, source="api", by=CALLER, idempotency_key="key-1")
    other = replace(asked, alert_id=None)
    assert opening.open_incident(other, source="api", by=OTHER, idempotency_key="key-1").how == "opened"
    elsewhere = replace(asked, instance_id=updated.company.instances["desktop"])
    # For the API the id is that of an incident about another instance, which is refused; a finding is another alert.
    with pytest.raises(opening.AlertTaken, match=CAPTURING):
        opening.open_incident(elsewhere, source="api", by=CALLER)
    assert opening.open_incident(elsewhere, source="guardduty", by=POLICY).how == "opened"


def test_when_an_appliance_was_launched_by_an_earlier_version_then_it_is_joined_and_retired(
    launching: Site, version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = play_launched(launching, monkeypatch)
    take_over(launching, named, version / "launched.json")
    assert shown(LAUNCHED)["appliance"]["launched_by_us"]
    joined = opened(launching.instance()[0])
    step(prepare.handler, "prepare", joined)
    assert step(appliance.handler, "ensure", joined) == {"status": "ready"}
    for name, last in ((LAUNCHED, False), (joined, True)):
        step(capture.handler, "stop", name)
        step(incident.handler, "close", name, because="closed")
        assert step(appliance.handler, "release", name)["retire"] == last
    retired = [step(appliance.handler, "retire", joined)["status"] for _ in range(3)]
    assert retired[-1] == "gone"
    assert launching.client("cloudformation").describe_stacks()["Stacks"] == []
