"""A containment waits until packets are seen, at most so long, and until then nothing is changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from strictmoto.cloudwatch.metrics import Measurement
from strictmoto.faults import Fault
from tapstack.domain.incidents import as_text, utc_now
from tapstack.domain.policy import Rule
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.capture.interfaces import prepare
from tapstack.responder.containment import isolation, packets_wait, restoration, steps
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.errors import Conflict
from tapstack.responder.incident import commands
from tapstack.responder.store import incidents, requests
from tests.responder.callers import CALLER, OTHER
from tests.responder.conftest import change, item, opened
from tests.responder.containment.conftest import Shop, contained
from tests.responder.test_api import ask
from tests.responder.test_findings import decided, decides
from tests.responder.test_joining import found

NOW = Rule("worst", "contain_now")
AT_MOST = 300


@pytest.fixture
def waiting(shop: Shop) -> str:
    """An incident that captures, and whose containment waits for packets."""
    shop.set(wait_for_packets={"at_most_seconds": AT_MOST})
    incident = opened(shop.database, containment="now")
    prepare(incident)
    capture_steps.start(incident)
    assert packets_wait.wait(incident, 0) == {"status": "wait", "seconds": 15, "waited": 15}
    return incident


def seen(shop: Shop) -> None:
    shop.site.account.metrics.add(Measurement(shop.database, "NetworkMirrorOut", 1500, at=utc_now().timestamp()))


def containment(incident: str) -> dict[str, Any]:
    found = item(incident)["containment"]
    assert isinstance(found, dict)
    return found


def said(incident: str, what: str = "waited for packets") -> list[str]:
    return [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == what]


def test_when_packets_are_seen_then_it_is_contained_and_everything_says_after_how_long(
    shop: Shop, waiting: str
) -> None:
    assert packets_wait.wait(waiting, 15)["status"] == "wait"
    assert not shop.is_isolated(shop.database)
    found = ask("GET", f"/incidents/{waiting}")[1]["containment"]
    assert (found["state"], found["packets_wait"], found["packets_until"] > as_text(utc_now())) == (
        "containing",
        None,
        True,
    )
    seen(shop)
    assert packets_wait.wait(waiting, 30) == {"status": "contain", "waited": 30}
    [detail] = said(waiting)
    assert detail.startswith("packets were seen from ")
    assert detail.endswith("contained after 30 seconds")
    assert item(waiting)["packets"]["state"] == "packets seen"
    isolation.contain(waiting)
    steps.notify(waiting)
    assert shop.is_isolated(shop.database)
    [mail] = [one["Message"] for one in shop.site.messages() if one["Subject"].endswith("CONTAINED")]
    assert f"Waited for packets: {detail}." in mail
    assert ask("GET", f"/incidents/{waiting}")[1]["containment"]["packets_wait"] == detail
    # Contained again, for what was attached since, it waits for nothing.
    assert packets_wait.wait(waiting, 0)["status"] == "contain"


@pytest.mark.parametrize("by", ["count", "clock"])
def test_when_none_are_seen_in_that_time_then_it_is_contained_all_the_same(shop: Shop, waiting: str, by: str) -> None:
    if by == "clock":
        change(waiting, "SET containment.packets_until = :past", past=as_text(utc_now() - timedelta(seconds=1)))
    assert packets_wait.wait(waiting, AT_MOST - 1 if by == "count" else 15)["status"] == (
        "wait" if by == "count" else "contain"
    )
    assert packets_wait.wait(waiting, AT_MOST)["status"] == "contain"
    assert said(waiting) == [f"NO packets were seen within {AT_MOST} seconds; contained all the same"]


def test_when_metrics_cannot_be_read_then_it_waits_no_longer_and_says_why(shop: Shop, waiting: str) -> None:
    shop.site.account.faults.add(Fault("GetMetricData", "throttled", call=0))
    assert packets_wait.wait(waiting, 15)["status"] == "wait"
    assert packets_wait.wait(waiting, AT_MOST)["status"] == "contain"
    [detail] = said(waiting)
    assert "(CloudWatch: " in detail


def test_when_it_is_still_launching_then_it_waits_and_reads_no_metrics(shop: Shop) -> None:
    shop.set(wait_for_packets={"at_most_seconds": AT_MOST})
    incident = opened(shop.database, containment="now")
    assert packets_wait.wait(incident, 0)["status"] == "wait"
    assert shop.site.calls("monitoring") == []


def test_when_the_workflow_contains_although_the_wait_has_not_ended_then_that_ends_it(shop: Shop, waiting: str) -> None:
    # Its next poll failed, which the workflow catches; or the setting was removed meanwhile.
    shop.set(two_step={"enabled": True, "seconds": 60})
    assert isolation.contain(waiting)["status"] == "wait"
    assert said(waiting) == ["no longer: the wait was interrupted; contained all the same"]
    assert containment(waiting)["packets_wait"] == said(waiting)[0]
    # From then on it is being contained, and no answer comes between.
    with pytest.raises(Conflict, match="waits for approval: it is containing"):
        containment_requests.decide(waiting, "rejected", by=OTHER)
    assert containment(waiting)["state"] == "containing"


def test_when_it_is_rejected_just_before_the_workflow_contains_then_nothing_is_changed(
    shop: Shop, waiting: str
) -> None:
    containment_requests.decide(waiting, "rejected", by=OTHER)
    assert isolation.contain(waiting) == {"status": "overtaken"}
    assert not shop.is_isolated(shop.database)
    assert said(waiting) == []


@pytest.mark.parametrize("end", ["close", "failed", "lost"])
def test_when_the_capture_ends_then_there_is_nothing_to_wait_for(shop: Shop, waiting: str, end: str) -> None:
    if end == "close":
        commands.close(waiting, by="ann")
    elif end == "failed":
        change(waiting, "SET #state = :failed", failed="failed")
    else:
        change(waiting, "SET interfaces = :none", none=[])
    assert packets_wait.wait(waiting, 15)["status"] == "contain"
    [detail] = said(waiting)
    assert detail.startswith("no packets to wait for: ")


@pytest.mark.parametrize("command", ["reject", "release"])
def test_when_it_is_rejected_or_released_meanwhile_then_nothing_is_changed(
    shop: Shop, waiting: str, command: str
) -> None:
    before = shop.groups(shop.database)
    if command == "reject":
        containment_requests.decide(waiting, "rejected", by=OTHER, reason="false alarm")
    else:
        containment_requests.release(waiting, by=OTHER.name)
    ended, subject = ("rejected", "NOT contained") if command == "reject" else ("released", "released")
    assert containment(waiting)["state"] == ended
    seen(shop)
    assert packets_wait.wait(waiting, 15)["status"] == "decide"
    assert steps.decide(waiting) == {"status": "leave"}
    assert isolation.contain(waiting) == {"status": "overtaken"}
    assert shop.groups(shop.database) == before
    assert len([one for one in shop.site.messages() if one["Subject"].endswith(f": {subject}")]) == 1
    # A responder may ask for it again, and it waits again.
    shop.set(modes=["now", "approval"])
    containment_requests.contain(waiting, "now", by=CALLER)
    assert containment(waiting)["packets_until"] is None


class TestRelease:
    def test_when_it_is_released_meanwhile_then_only_newer_activity_contains_it(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.set(wait_for_packets={"at_most_seconds": AT_MOST})
        decides(monkeypatch, NOW)
        incident = str(decided(found(shop.database, 1, 9.0, seen=utc_now()))["incident_id"])
        assert packets_wait.wait(incident, 0)["status"] == "wait"
        assert ask("POST", f"/incidents/{incident}/release")[0] == 202
        # The same command again, whose answer may have been lost.
        assert ask("POST", f"/incidents/{incident}/release")[0] == 202
        released = containment(incident)["released_at"]
        assert (containment(incident)["state"], containment(incident)["decision"]) == ("released", None)
        said_of_it = [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "released"]
        assert said_of_it == ["it waited for packets: nothing had been changed"]
        assert steps.decide(incident) == {"status": "leave"}
        mail = shop.site.messages()[-1]
        assert mail["Subject"].endswith(": released")
        assert "It waited for packets: nothing had been changed." in mail["Message"].splitlines()
        hours = timedelta(hours=2)
        decided(found(shop.database, 2, 9.0, seen=utc_now() - hours))
        assert containment(incident)["state"] == "released"
        # Nor by an incident that is opened afterwards.
        change(incident, "SET close_requested = :yes", yes=True)
        other = str(decided(found(shop.database, 3, 9.0, seen=utc_now() - hours))["incident_id"])
        assert (other != incident, item(other).get("containment")) == (True, None)
        assert any(f"it was released at {released}" in entry["detail"] for entry in incidents.timeline(other))
        decided(found(shop.database, 4, 9.0, seen=utc_now() + hours))
        assert containment(other)["state"] == "containing"

    def test_when_it_is_released_for_all_then_what_waits_for_packets_is_released_too(
        self, shop: Shop, waiting: str
    ) -> None:
        shop.set(wait_for_packets=None)
        incident = contained(shop.database)
        note = f"its containment for {waiting} waits for packets, and contains it again: release that too. --all withd"
        [wanting] = ask("GET", f"/incidents/{incident}")[1]["wanted_by"]
        assert wanting["note"].startswith(note)
        shop.set(wait_for_packets={"at_most_seconds": AT_MOST})
        status, answered = ask("POST", f"/incidents/{incident}/release", {"all": True})
        assert (status, answered["wanted_by"]) == (202, [])
        assert containment(waiting)["state"] == "released"
        assert restoration.release(incident, all_incidents=True) == {"status": "released"}
        seen(shop)
        assert packets_wait.wait(waiting, 15)["status"] == "decide"
        assert isolation.contain(waiting) == {"status": "overtaken"}
        assert not shop.is_isolated(shop.database)

    def test_when_what_waits_for_packets_is_released_for_all_then_it_is_released_for_those_that_hold_it(
        self, shop: Shop, waiting: str
    ) -> None:
        shop.set(wait_for_packets=None)
        holder = contained(shop.database)
        shop.set(wait_for_packets={"at_most_seconds": AT_MOST})
        plan = ask("POST", f"/incidents/{waiting}/release", {"all": True, "dry_run": True})[1]
        assert (plan["refused"], plan["warnings"]) == (None, [])
        assert "groups" in {change["what"] for change in plan["changes"]}
        status, answered = ask("POST", f"/incidents/{waiting}/release", {"all": True})
        assert (status, answered["containment"]["state"], answered["wanted_by"]) == (202, "releasing", [])
        # The wait is over, whatever is seen meanwhile.
        seen(shop)
        assert packets_wait.wait(waiting, 15)["status"] == "decide"
        assert steps.decide(waiting) == {"status": "leave"}
        assert restoration.release(waiting, all_incidents=True) == {"status": "released"}
        assert not shop.is_isolated(shop.database)
        assert (containment(waiting)["state"], containment(holder)["state"]) == ("released", "released")
        steps.notify(waiting, "released")
        mail = shop.site.messages()[-1]
        assert mail["Subject"].endswith(": released")
        assert "nothing had been changed" not in mail["Message"]

    def test_when_its_containment_failed_before_and_waits_then_the_release_restores_what_was_changed(
        self, shop: Shop
    ) -> None:
        incident = contained(shop.database)
        steps.fail(incident, "Error", "late")
        change(incident, "SET containment.#state = :failed", failed="failed")
        shop.set(wait_for_packets={"at_most_seconds": AT_MOST})
        containment_requests.contain(incident, "now", by=CALLER)
        assert packets_wait.wait(incident, 0)["status"] == "wait"
        assert containment_requests.release(incident, by=OTHER.name).containment_state == "releasing"
        assert restoration.release(incident) == {"status": "released"}
        assert not shop.is_isolated(shop.database)

    def test_when_the_wait_ends_while_it_is_released_for_all_then_it_is_released_in_a_moment(
        self, shop: Shop, waiting: str
    ) -> None:
        before = incidents.get(waiting)
        seen(shop)
        assert packets_wait.wait(waiting, 15)["status"] == "contain"
        assert requests.request_release(before, OTHER.name) is None
        assert containment(waiting)["state"] == "containing"

    @pytest.mark.parametrize("holds", [True, False])
    def test_when_what_waits_for_packets_would_be_released_then_the_dry_run_says_so(
        self, shop: Shop, waiting: str, holds: bool
    ) -> None:
        shop.set(wait_for_packets=None)
        holder = contained(shop.database) if holds else None
        status, plan = ask("POST", f"/incidents/{waiting}/release", {"dry_run": True})
        assert (status, plan["refused"], plan["changes"]) == (200, None, [])
        others = [f"it is contained for {holder} too, until that is released, or all are (--all)"] if holds else []
        assert plan["warnings"] == others
        assert containment(waiting)["state"] == "containing"


def test_when_it_is_requested_without_the_wait_then_the_wait_ends_and_it_is_contained(shop: Shop, waiting: str) -> None:
    # The same request again, whose answer may have been lost, changes nothing.
    containment_requests.contain(waiting, "now", by=OTHER)
    assert packets_wait.wait(waiting, 15)["status"] == "wait"
    for _ in range(2):
        changed = containment_requests.contain(waiting, "now", by=OTHER, skip_wait=True)
        assert changed.requested_containment.packets_wait == f"no longer, as {OTHER.name} requested"
    assert packets_wait.wait(waiting, 30)["status"] == "contain"
    assert said(waiting) == [f"no longer, as {OTHER.name} requested"]


def test_when_it_is_requested_without_the_wait_at_first_then_it_does_not_begin(shop: Shop) -> None:
    shop.set(wait_for_packets={"at_most_seconds": AT_MOST})
    incident = opened(shop.database)
    assert ask("POST", f"/incidents/{incident}/contain-now", {"skip_wait": True})[0] == 202
    assert packets_wait.wait(incident, 0) == {"status": "contain", "waited": 0}


def test_fails_when_an_approval_is_to_skip_the_wait(shop: Shop) -> None:
    incident = opened(shop.database)
    status, answer = ask("POST", f"/incidents/{incident}/contain", {"skip_wait": True})[:2]
    assert (status, "skip_wait" in answer["detail"]) == (400, True)


def test_when_the_wait_is_over_then_rejecting_comes_too_late(shop: Shop, waiting: str) -> None:
    seen(shop)
    packets_wait.wait(waiting, 15)
    with pytest.raises(Conflict, match="no containment of incident .* waits for approval"):
        containment_requests.decide(waiting, "rejected", by=OTHER)
    assert containment(waiting)["state"] == "containing"


def test_when_it_is_off_then_it_does_not_wait(shop: Shop) -> None:
    incident = opened(shop.database, containment="now")
    assert packets_wait.wait(incident, 0) == {"status": "contain", "waited": 0}
    assert said(incident) == []
