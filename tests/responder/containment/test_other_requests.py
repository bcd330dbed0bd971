"""After a release nothing contains the instance again without a new decision; the release says what else wants it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from tapstack.domain.incidents import as_text, as_time, utc_now
from tapstack.domain.policy import Rule
from tapstack.responder.containment import isolation, restoration
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.containment import steps as containment_steps
from tapstack.responder.store import containments, incidents
from tests.responder.callers import CALLER, OTHER
from tests.responder.conftest import change, item, opened
from tests.responder.containment.conftest import Shop, ask_again, contained, release
from tests.responder.containment.test_failed_in_part import failed_release
from tests.responder.test_api import ask
from tests.responder.test_findings import decided, decides
from tests.responder.test_joining import ANN, entries, found
from tests.sampling import sampled

NOW = (Rule("worst", "contain_now"),)


def released_at(shop: Shop) -> str:
    there = containments.get(shop.database)
    assert there is not None
    assert there.released_at is not None
    return there.released_at


def around(moment: str, seconds: int) -> Any:
    return as_time(moment) + timedelta(seconds=seconds)


def pending(shop: Shop, default: str) -> str:
    shop.set(approval={"minutes": 15, "default": default})
    incident = opened(shop.database, containment="approval")
    change(incident, "SET containment.asked_at = :then, containment.as_of = :then", then="2026-01-02T03:04:05Z")
    return incident


class TestSaid:
    def test_when_others_want_it_contained_then_the_answer_and_the_dry_run_name_them(self, shop: Shop) -> None:
        incident, other = contained(shop.database), contained(shop.database)
        waits = pending(shop, "contain")
        status, plan = ask("POST", f"/incidents/{incident}/release", {"dry_run": True})
        assert status == 200
        assert plan["refused"] == f"it stays contained for {other}: all of them release it with --all"
        until = item(waits)["containment"]["deadline"]
        assert plan["warnings"] == [
            f"it is contained for {other} too, until that is released, or all are (--all)",
            f"its containment is pending for {waits} until {until}: approving that contains it again. The default does "
            "not, after a release. --all withdraws it",
        ]
        status, answered = ask("POST", f"/incidents/{incident}/release")
        assert status == 202
        assert [(one["incident_id"], one["state"], one["holds"]) for one in answered["wanted_by"]] == [
            (other, "contained", True),
            (waits, "pending", False),
        ]

    def test_when_it_is_released_for_all_then_what_is_pending_is_withdrawn(self, shop: Shop) -> None:
        incident, other = contained(shop.database), contained(shop.database)
        waits = pending(shop, "contain")
        change(waits, "SET approval_token = :token", token="token")
        elsewhere = opened(shop.company.instances["legacy"], containment="approval")
        plan = ask("POST", f"/incidents/{incident}/release", {"dry_run": True, "all": True})[1]
        assert [line.split(" until ")[0] for line in plan["warnings"]] == [f"its containment is pending for {waits}"]
        assert shop.state(waits) == "pending"
        shop.site.account.recorder.clear()
        answered = ask("POST", f"/incidents/{incident}/release", {"all": True})[1]
        assert answered["wanted_by"] == []
        assert (shop.state(waits), shop.state(elsewhere), shop.state(other)) == ("rejected", "pending", "contained")
        withdrawn = item(waits)["containment"]
        assert (withdrawn["decided_by"], withdrawn["released_by"]) == ("release", ANN)
        assert withdrawn["released_at"] == withdrawn["decided_at"]
        assert "SendTaskSuccess" in shop.site.calls("states")
        assert entries(waits, "containment rejected") == [f"released for all incidents, by {incident}"]
        assert entries(incident, "release requested") == [f"all, withdrew what was pending for {waits}"]

    @pytest.mark.parametrize("holds", [True, False])
    def test_when_others_want_it_contained_then_mail_and_show_of_the_release_name_them(
        self, shop: Shop, holds: bool
    ) -> None:
        incident = contained(shop.database)
        others = [contained(shop.database)] if holds else []
        waits = pending(shop, "contain")
        assert release(incident) == ("held" if holds else "released")
        containment_steps.notify(incident, "held" if holds else "released")
        mail = shop.site.messages()[-1]
        assert mail["Subject"].endswith("released for this incident only" if holds else ": released")
        assert (f"Its containment is NOT RELEASED for {', '.join(others)}." in mail["Message"]) is holds
        said = (
            f"its containment is pending for {waits} until {item(waits)['containment']['deadline']}: approving that "
            "contains it again. The default does not, after a release. --all withdraws it"
        )
        assert ["Other incidents that contain it, or have requested it:", f"  {said}"] == [
            line for line in mail["Message"].splitlines() if line.startswith("Other incidents") or waits in line
        ]
        shown = ask("GET", f"/incidents/{incident}")[1]["wanted_by"]
        assert [one["incident_id"] for one in shown] == [*others, waits]
        assert shown[-1]["note"] == said
        # Of what is not contained nothing is said, and nothing listed for it.
        assert ask("GET", f"/incidents/{waits}")[1]["wanted_by"] == []

    def test_fails_when_it_waits_for_approval_itself_and_withdraws_nothing_of_others(self, shop: Shop) -> None:
        incident, other = pending(shop, "leave"), pending(shop, "leave")
        status, answer = ask("POST", f"/incidents/{incident}/release", {"all": True})[:2]
        assert (status, answer["detail"]) == (
            409,
            f"the containment of incident {incident} waits for approval: reject it",
        )
        assert (shop.state(incident), shop.state(other), entries(other, "containment rejected")) == (
            "pending",
            "pending",
            [],
        )


def before_the_release(shop: Shop, incident: str, name: str) -> None:
    """Let a decision about an incident be older than the release of its instance."""
    there = containments.get(shop.database)
    assert there is not None
    assert there.release_began_at is not None
    change(incident, f"SET containment.{name} = :then", then=as_text(around(there.release_began_at, -1)))


class TestReleaseIsNotCompleted:
    """The release of another incident failed, or was blocked, after it had begun: it restores nothing more."""

    @pytest.fixture
    def began(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> str:
        """When it did."""
        decides(monkeypatch, *NOW)
        first = failed_release(shop)
        change(first, "SET close_requested = :yes", yes=True)
        there = containments.get(shop.database)
        assert there is not None
        assert there.release_began_at is not None
        return there.release_began_at

    def test_when_activity_is_newer_than_its_beginning_then_that_is_contained(self, shop: Shop, began: str) -> None:
        [interface, _] = shop.company.interfaces["database"]
        # What it had restored before it failed.
        shop.give(interface, *shop.groups_of(shop.company.interfaces["web-1"][0]))
        incident = str(decided(found(shop.database, 1, seen=around(began, 1)))["incident_id"])
        assert shop.state(incident) == "containing"
        assert isolation.contain(incident) == {"status": "contained"}
        assert shop.is_isolated(shop.database)
        assert release(incident, overwrite=True) == "released"
        assert not shop.is_isolated(shop.database)

    def test_when_nothing_newer_is_reported_then_the_timeline_says_how_far_it_is(self, shop: Shop, began: str) -> None:
        incident = str(decided(found(shop.database, 1, seen=around(began, 0)))["incident_id"])
        assert item(incident).get("containment") is None
        said = f"not contained again: its release began at {began}, and is not completed, and nothing newer is reported"
        assert entries(incident, "remark") == [said]

    def test_when_nobody_answers_what_was_asked_before_it_then_the_timeline_says_so(
        self, shop: Shop, began: str
    ) -> None:
        waits = pending(shop, "contain")
        assert containment_steps.decide(waits, item(waits)["containment"]["deadline"]) == {"status": "leave"}
        assert entries(waits, "containment by default") == [
            f"leave: no answer, and its release began at {began}, and is not completed"
        ]

    def test_when_it_is_requested_again_at_the_same_moment_then_it_is_not_contained(
        self, shop: Shop, began: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident = str(decided(found(shop.database, 1, seen=around(began, 1)))["incident_id"])
        there = containments.get(shop.database)
        assert there is not None
        [first] = there.releasing_for
        read, before = containments.is_release_under_way, shop.groups(shop.database)

        def requested_since(one: containments.Containment) -> bool:
            under_way = read(one)
            if not under_way:
                ask_again(first)
                containments.begin_release(one)
            return under_way

        monkeypatch.setattr(containments, "is_release_under_way", requested_since)
        # A release that is under way ends what was seen until now.
        time.sleep(max(0, (around(began, 2) - utc_now()).total_seconds()))
        assert isolation.contain(incident) == {"status": "overtaken"}
        assert (shop.state(incident), shop.groups(shop.database)) == ("rejected", before)


class TestNothingContainsAgain:
    @pytest.mark.parametrize("state", ["absent", "releasing"])
    @sampled("how", ["approved", "now"], every=2)
    def test_when_a_person_decided_before_a_release_and_its_execution_is_late_then_it_is_not_contained(
        self, shop: Shop, how: str, state: str
    ) -> None:
        first = contained(shop.database)
        late = opened(shop.database, containment="approval" if how == "approved" else "now")
        if how == "approved":
            containment_requests.decide(late, "approved", by=OTHER)
        if state == "absent":
            assert release(first, all_incidents=True) == "released"
        else:
            there = containments.get(shop.database)
            assert there is not None
            containments.begin_release(there)
        before_the_release(shop, late, "decided_at" if how == "approved" else "asked_at")
        before = shop.groups(shop.database)
        assert isolation.contain(late) == {"status": "overtaken"}
        assert shop.groups(shop.database) == before
        assert shop.state(late) == "rejected"
        assert entries(late, "containment ended") == [
            f"{shop.database} was released since: only a new decision contains it again"
        ]
        # A new decision, of the same incident.
        containment_requests.contain(late, "now", by=CALLER)
        assert isolation.contain(late) == {"status": "contained"}
        assert shop.is_isolated(shop.database)

    def test_when_a_person_contains_again_while_others_release_it_then_that_is_a_new_decision(self, shop: Shop) -> None:
        first, second = contained(shop.database), contained(shop.database)
        there = containments.get(shop.database)
        assert there is not None
        containments.begin_release(there)
        before_the_release(shop, second, "asked_at")
        assert isolation.contain(second) == {"status": "overtaken"}
        # The release records itself in what it ends.
        assert (shop.state(first), shop.state(second)) == ("contained", "contained")
        shop.give(shop.company.interfaces["database"][0], *shop.groups_of(shop.company.interfaces["web-1"][0]))
        containment_requests.contain(second, "now", by=CALLER)
        assert isolation.contain(second) == {"status": "contained"}

    def test_when_a_release_ended_a_request_then_newer_activity_is_asked_about(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, *NOW)
        first = contained(shop.database)
        change(first, "SET close_requested = :yes", yes=True)
        asked = str(decided(found(shop.database, 1, seen=utc_now()))["incident_id"])
        assert release(first) == "released"
        assert isolation.contain(asked) == {"status": "overtaken"}
        decides(monkeypatch, Rule("bad", "contain_on_approval"))
        decided(found(shop.database, 2, seen=around(released_at(shop), 1)))
        assert shop.state(asked) == "pending"

    def test_when_a_request_was_withdrawn_then_only_newer_activity_is_asked_about_again(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("bad", "contain_on_approval"))
        waits = str(decided(found(shop.database, 1, seen=utc_now()))["incident_id"])
        first = contained(shop.database)
        change(first, "SET close_requested = :yes", yes=True)
        assert ask("POST", f"/incidents/{first}/release", {"all": True})[0] == 202
        withdrawn_at = item(waits)["containment"]["released_at"]
        containment_steps.decide(waits)
        mail = shop.site.messages()[-1]["Message"]
        assert f"its request was withdrawn when {ANN} released it for all incidents" in mail
        assert restoration.release(first, all_incidents=True) == {"status": "released"}
        decided(found(shop.database, 2, seen=as_time(withdrawn_at)))
        assert (shop.state(waits), "it was released at" in entries(waits, "joined")[-1]) == ("rejected", True)
        decided(found(shop.database, 3, seen=around(released_at(shop), 1)))
        assert shop.state(waits) == "pending"

    def test_when_nobody_answers_after_a_release_then_the_default_does_not_contain_it(self, shop: Shop) -> None:
        incident, waits = contained(shop.database), pending(shop, "contain")
        assert release(incident) == "released"
        deadline = item(waits)["containment"]["deadline"]
        assert containment_steps.decide(waits, deadline) == {"status": "leave"}
        assert (shop.state(waits), item(waits)["containment"]["decision"]) == ("rejected", "default")
        assert entries(waits, "containment by default")[0].startswith("leave: no answer, and it was released at ")
        assert (
            "is not contained: no answer before the deadline, and its release began or ended since this was requested."
            in (shop.site.messages()[-1]["Message"])
        )

    def test_when_it_was_not_released_since_then_the_default_contains_it(self, shop: Shop) -> None:
        incident = contained(shop.database)
        assert release(incident) == "released"
        shop.set(approval={"minutes": 15, "default": "contain"})
        waits = opened(shop.database, containment="approval")
        later = as_text(around(released_at(shop), 1))
        change(waits, "SET containment.as_of = :later", later=later)
        assert containment_steps.decide(waits, item(waits)["containment"]["deadline"]) == {"status": "contain"}
        assert isolation.contain(waits) == {"status": "contained"}

    def test_when_it_is_approved_after_a_release_then_that_is_a_new_decision(self, shop: Shop) -> None:
        incident, waits = contained(shop.database), pending(shop, "leave")
        assert release(incident) == "released"
        containment_requests.decide(waits, "approved", by=OTHER)
        assert item(waits)["containment"]["as_of"] is None
        assert isolation.contain(waits) == {"status": "contained"}
        assert shop.is_isolated(shop.database)

    @pytest.mark.parametrize("opens", [True, False], ids=["another incident", "the same incident"])
    def test_when_a_finding_reports_nothing_newer_then_it_only_captures(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, opens: bool
    ) -> None:
        decides(monkeypatch, *NOW)
        first = opened(shop.database)
        containment_requests.contain(first, "now", by=CALLER)
        assert isolation.contain(first) == {"status": "contained"}
        assert release(first) == "released"
        if opens:
            change(first, "SET close_requested = :yes", yes=True)
        moment = released_at(shop)
        old = decided(found(shop.database, 1, seen=around(moment, 0)))
        assert (old["action"], old["incident_id"] != first) == ("capture" if opens else "joined", opens)
        incident = str(old["incident_id"])
        said = f"not contained again: it was released at {moment}, and nothing newer is reported"
        assert any(said in entry["detail"] for entry in incidents.timeline(incident))
        assert item(incident).get("containment") is None or shop.state(incident) == "released"
        # Without a time nothing is known to be newer.
        decided(found(shop.database, 2))
        assert item(incident).get("containment") is None or shop.state(incident) == "released"
        new = decided(found(shop.database, 3, seen=around(moment, 1)))
        assert (new["incident_id"], shop.state(incident)) == (incident, "containing")
        assert isolation.contain(incident) == {"status": "contained"}

    def test_when_the_same_finding_is_updated_then_it_does_not_contain_again(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, *NOW)
        incident = str(decided(found(shop.database, 1, seen=utc_now()))["incident_id"])
        assert isolation.contain(incident) == {"status": "contained"}
        assert release(incident) == "released"
        again = decided(found(shop.database, 1, seen=around(released_at(shop), 60)))
        assert (again["action"], shop.state(incident)) == ("silent", "released")

    @pytest.mark.parametrize("state", ["absent", "releasing"])
    def test_when_a_release_ends_a_request_of_the_policy_before_it_is_begun_then_it_is_not_contained(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, state: str
    ) -> None:
        decides(monkeypatch, *NOW)
        first = contained(shop.database)
        change(first, "SET close_requested = :yes", yes=True)
        # Requested before the release, and its execution is late.
        asked = str(decided(found(shop.database, 1, seen=utc_now()))["incident_id"])
        assert shop.state(asked) == "containing"
        before = shop.groups(shop.database)
        if state == "absent":
            assert release(first) == "released"
            before = shop.groups(shop.database)
        else:
            there = containments.get(shop.database)
            assert there is not None
            containments.begin_release(there)
        assert isolation.contain(asked) == {"status": "overtaken"}
        assert shop.groups(shop.database) == before
        assert (shop.state(asked), item(asked)["containment"]["decided_by"]) == ("rejected", "release")
        assert entries(asked, "containment ended") == [
            f"{shop.database} was released since: only a new decision contains it again"
        ]
