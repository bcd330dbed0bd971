"""Who decides, until when, and that what was decided is done: also where executions are ended from outside."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tapstack.domain.callers import BY_DEFAULT, Caller, iam_caller
from tapstack.domain.containment_settings import OperatorDecision
from tapstack.domain.incident_events import DETAIL_TYPE
from tapstack.domain.incidents import as_text, utc_now
from tapstack.domain.operations import OPERATIONS, Operation
from tapstack.domain.proposals import proposal
from tapstack.responder.api.router import answer
from tapstack.responder.capture.interfaces import prepare
from tapstack.responder.containment import isolation, restoration, steps
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.containment.notifications import left
from tapstack.responder.errors import Conflict, NothingToCapture, OtherPersonNeeded
from tapstack.responder.incident import commands
from tapstack.responder.outbound import executions
from tapstack.responder.outbound.notifications import capturing
from tapstack.responder.store import incidents, requests
from tapstack.responder.store.records import Task
from tapstack.responder.sweeper import TRIES, sweep
from tests.responder.callers import CALLER, OTHER
from tests.responder.conftest import TOPIC, change, item, opened
from tests.responder.containment.conftest import Shop, ask_again, asked, contained
from tests.responder.test_api import event

PAST = "2026-01-01T00:00:00Z"


def waiting(shop: Shop, default: str = "leave", *, late: bool = True) -> str:
    """Open an incident that waits for approval, whose execution was stopped in the console."""
    shop.set(approval={"minutes": 15, "default": default})
    incident = opened(shop.database, containment="approval")
    change(incident, "SET containment.asked_at = :past", past=PAST)
    if late:
        change(incident, "SET containment.deadline = :past", past=PAST)
    end(shop, incident, "contain")
    return incident


@pytest.mark.parametrize("default", ["leave", "contain"])
def test_when_no_topic_takes_the_request_for_approval_then_it_waits_for_it_all_the_same(
    shop: Shop, default: str
) -> None:
    sns = shop.client("sns")
    incident = waiting(shop, default, late=False)
    sns.delete_topic(TopicArn=TOPIC)
    assert steps.decide(incident)["status"] == "wait"
    deadline = incidents.get(incident).requested_containment.deadline
    sns.create_topic(Name="tap-notices")
    [line] = sweep().delivered
    assert "containment pending approval" in line
    assert incidents.get(incident).containment_state == "pending"
    assert steps.decide(incident, deadline) == {"status": default}
    sns.delete_topic(TopicArn=TOPIC)
    if default == "contain":
        assert isolation.contain(incident) == {"status": "contained"}
    for _ in range(2):
        steps.notify(incident)
        assert steps.decide(incident) == {"status": default}
    assert incidents.get(incident).containment_state == ("contained" if default == "contain" else "rejected")


def arn(shop: Shop, incident: str, task: Task) -> str:
    number = incidents.get(incident).runs(task)
    return f"{shop.site.state_machine_arn.replace(':stateMachine:', ':execution:')}:{incident}-{task}-{number}"


def end(shop: Shop, incident: str, task: Task) -> None:
    shop.client("stepfunctions").stop_execution(executionArn=arn(shop, incident, task))


def runs_now(incident: str, task: Task) -> bool:
    return executions.is_under_way(incidents.get(incident), task)


def said(incident: str) -> list[str]:
    return [f"{entry['what']}: {entry['detail']}" for entry in incidents.timeline(incident)]


class TestModes:
    @pytest.mark.parametrize("state", ["pending", "containing", "releasing", "blocked"])
    def test_when_a_containment_is_in_progress_then_none_can_be_requested(self, shop: Shop, state: str) -> None:
        incident = opened(shop.database, containment="now")
        change(incident, "SET containment.#state = :state", state=state)
        assert incidents.shown(incidents.get(incident))["containment_modes"] == []

    def test_when_it_is_contained_then_it_can_be_contained_again_open_or_closed(self, shop: Shop) -> None:
        incident = contained(shop.database)
        for _ in range(2):
            assert incidents.shown(incidents.get(incident))["containment_modes"] == ["approval", "now"]
            assert containment_requests.contain(incident, "approval", by=CALLER).containment_state == "contained"
            change(incident, "SET #state = :closed", closed="closed")

    def test_when_it_waits_for_packets_then_only_containing_at_once_ends_that(self, shop: Shop) -> None:
        incident = opened(shop.database, containment="now")
        change(incident, "SET containment.packets_until = :until", until="2026-01-02T03:40:00Z")
        assert incidents.shown(incidents.get(incident))["containment_modes"] == ["now"]
        shop.set(modes=["approval"])
        assert incidents.shown(incidents.get(incident))["containment_modes"] == []

    def test_when_a_containment_would_wait_for_packets_then_the_incident_says_for_how_long(self, shop: Shop) -> None:
        incident = opened(shop.database)
        assert incidents.shown(incidents.get(incident))["containment_wait_seconds"] is None
        shop.set(wait_for_packets={"at_most_seconds": 900})
        assert incidents.shown(incidents.get(incident))["containment_wait_seconds"] == 900
        change(incident, "SET packets = :seen", seen={"state": "packets seen", "since": "2026-01-02T03:05:00Z"})
        assert incidents.shown(incidents.get(incident))["containment_wait_seconds"] is None
        change(incident, "REMOVE packets")
        commands.close(incident, by="ann")
        assert incidents.shown(incidents.get(incident))["containment_wait_seconds"] is None

    @pytest.mark.parametrize("state", [None, "rejected", "released", "failed"])
    def test_when_the_instance_can_be_contained_then_the_incident_says_in_which_modes(
        self, shop: Shop, state: str | None
    ) -> None:
        incident = opened(shop.database, containment="now" if state else "none")
        if state is not None:
            change(incident, "SET containment.#state = :state", state=state)
        assert incidents.shown(incidents.get(incident))["containment_modes"] == ["approval", "now"]
        commands_of = [f"  {proposal(incident, f'contain --mode {mode}')}" for mode in ("approval", "now")]
        assert set(commands_of) <= set(capturing(incidents.get(incident))[1].splitlines())
        if state == "rejected":
            assert set(commands_of) <= set(left(incidents.get(incident), [])[1].splitlines())
        assert containment_requests.contain(incident, None, by=CALLER).containment_state == "pending"
        commands.close(incident, by="ann")
        assert incidents.shown(incidents.get(incident))["containment_modes"] == []
        assert "tapstack incident contain" not in capturing(incidents.get(incident))[1]

    @pytest.mark.parametrize("instance", ["terminated", "unknown"])
    def test_when_the_instance_does_not_exist_then_its_containment_is_not_proposed(
        self, shop: Shop, instance: str
    ) -> None:
        if instance == "terminated":
            named = shop.company.instances["web-1"]
            incident = opened(named)
            shop.ec2.modify_instance_attribute(InstanceId=named, DisableApiTermination={"Value": False})
            shop.ec2.terminate_instances(InstanceIds=[named])
        else:
            incident = opened("i-0123456789abcdef0")
        assert incidents.shown(incidents.get(incident))["containment_modes"] == ["approval", "now"]
        with pytest.raises(NothingToCapture):
            prepare(incident)
        assert incidents.shown(incidents.get(incident))["containment_modes"] == []

    def test_when_an_incident_is_for_interfaces_then_nothing_can_be_contained(self, shop: Shop) -> None:
        incident = opened(None, shop.company.interfaces["web-1"][0])
        assert incidents.shown(incidents.get(incident))["containment_modes"] == []


@pytest.mark.parametrize("decision", ["approved", "rejected"])
def test_when_a_responder_decides_then_the_incident_and_its_event_say_who_and_when(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, decision: OperatorDecision
) -> None:
    incident = opened(shop.database, containment="approval")
    # Neither when it was requested, nor when it is read.
    at = (utc_now() + timedelta(minutes=7)).replace(microsecond=0)
    monkeypatch.setattr(requests, "utc_now", lambda: at)
    containment_requests.decide(incident, decision, by=OTHER, reason="it beacons")
    said = {"decision": decision, "decided_by": OTHER.name, "decided_at": as_text(at)}
    [event_] = [one for one in shop.site.events(DETAIL_TYPE) if one["what"] == "decided"]
    for containment in (incidents.shown(incidents.get(incident))["containment"], event_["containment"]):
        assert {name: containment[name] for name in said} == said
        assert containment["asked_at"] < as_text(at)


class TestLate:
    @pytest.mark.parametrize(("default", "state"), [("leave", "rejected"), ("contain", "containing")])
    @pytest.mark.parametrize("decision", ["approved", "rejected"])
    def test_fails_when_a_responder_decides_after_the_deadline_and_the_default_applies(
        self, shop: Shop, default: str, state: str, decision: Any
    ) -> None:
        incident = waiting(shop, default)
        why = f"no answer by {PAST}, and the default is to {default} it; it is {state}"
        for _ in range(2):
            with pytest.raises(Conflict, match=why):
                containment_requests.decide(incident, decision, by=CALLER)
        found = item(incident)["containment"]
        assert (found["state"], found["decision"], found["decided_by"]) == (
            state,
            "default",
            BY_DEFAULT,
        )
        assert said(incident).count(f"containment by default: {default}: no answer") == 1
        # Another execution contains it, or publishes that it is left alone.
        assert runs_now(incident, "contain")

    def test_fails_when_a_decision_is_checked_after_the_deadline_and_nothing_is_changed(self, shop: Shop) -> None:
        incident = waiting(shop)
        before = incidents.get(incident)
        with pytest.raises(Conflict, match=f"no answer by {PAST}, and the default is to leave it$"):
            containment_requests.check_waits(before)
        assert incidents.get(incident) == before
        assert not runs_now(incident, "contain")

    def test_when_it_is_contained_now_after_the_deadline_then_that_is_asked_for_anew(self, shop: Shop) -> None:
        incident = waiting(shop, "leave")
        found = containment_requests.contain(incident, "now", by=CALLER).requested_containment.as_dict()
        assert (found["mode"], found["state"], found["asked_by"]) == ("now", "containing", CALLER.name)
        assert runs_now(incident, "contain")

    def test_when_it_is_asked_for_again_after_the_deadline_then_there_is_a_new_one(self, shop: Shop) -> None:
        incident = waiting(shop, "leave")
        found = containment_requests.contain(incident, "approval", by=CALLER).requested_containment.as_dict()
        assert found["state"] == "pending"
        assert found["deadline"] > PAST

    def test_when_the_incident_is_closed_after_the_deadline_then_the_default_is_still_done(self, shop: Shop) -> None:
        incident = waiting(shop, "contain")
        commands.close(incident, by="ann")
        assert shop.state(incident) == "pending"
        sweep()
        assert runs_now(incident, "contain")

    def test_when_it_is_released_after_the_deadline_then_the_default_comes_first(self, shop: Shop) -> None:
        incident = waiting(shop, "leave")
        with pytest.raises(Conflict, match=f"nothing of incident {incident} is contained"):
            containment_requests.release(incident, by="ann")
        assert shop.state(incident) == "rejected"

    def test_fails_when_another_incident_holds_the_instance_and_names_it(self, shop: Shop) -> None:
        holder = contained(shop.database)
        incident = opened(shop.database)
        with pytest.raises(Conflict) as caught:
            containment_requests.release(incident, by="ann")
        assert str(caught.value) == (
            f"nothing of incident {incident} is contained; {shop.database} is contained by {holder}: "
            f"tapstack incident release {holder}"
        )

    @pytest.mark.parametrize(("mode", "asked"), [("now", "now"), ("approval", "on approval until ")])
    def test_when_an_incident_is_opened_with_containment_then_its_timeline_says_so_after_its_opening(
        self, shop: Shop, mode: str, asked: str
    ) -> None:
        incident = opened(shop.database, containment=mode)
        first, second, *_ = said(incident)
        assert first.startswith("opened: ")
        assert second.startswith(f"containment requested: {asked}")

    def test_when_approval_was_requested_anew_since_then_it_is_not_decided_by_default(self, shop: Shop) -> None:
        incident = waiting(shop, "contain")
        read = incidents.get(incident)
        containment_requests.by_default(read)
        later = "2099-01-01T00:00:00Z"
        change(
            incident,
            "SET containment.#state = :pending, containment.deadline = :later",
            pending="pending",
            later=later,
        )
        assert containment_requests.by_default(read).containment_state == "pending"


class TestOtherPerson:
    def test_fails_when_whoever_requested_it_approves_it_and_says_who_may(self, shop: Shop) -> None:
        incident = opened(shop.database, containment="approval")
        with pytest.raises(OtherPersonNeeded) as caught:
            containment_requests.decide(incident, "approved", by=CALLER)
        assert str(caught.value) == (
            f"{CALLER.name} requested the containment of incident {incident}, and whoever requested it does not "
            "approve it (approval.other_person). Any other person with the right to approve may. Where there is none: "
            f'tapstack incident override {incident} --reason "no other person is available", which needs a '
            "separate permission"
        )
        assert shop.state(incident) == "pending"
        assert containment_requests.plan_to_approve(incidents.get(incident), by=CALLER)["refused"] == str(caught.value)
        assert containment_requests.plan_to_approve(incidents.get(incident), by=OTHER)["changes"]
        found = containment_requests.decide(incident, "approved", by=OTHER).requested_containment
        assert (found.state, found.decision, found.decided_by) == ("containing", "approved", OTHER.name)

    @pytest.mark.parametrize("session", ["ann", "ben"])
    def test_fails_when_another_session_of_the_same_role_approves_it(self, shop: Shop, session: str) -> None:
        role = "arn:aws:sts::123456789012:assumed-role/responders"
        incident = opened(shop.database)
        containment_requests.contain(incident, "approval", by=iam_caller(f"{role}/ann", "AROAONE:ann"))
        with pytest.raises(OtherPersonNeeded, match="All sessions of the role responders count as one person"):
            containment_requests.decide(incident, "approved", by=iam_caller(f"{role}/{session}", f"AROAONE:{session}"))
        assert shop.state(incident) == "pending"

    def test_when_it_is_rejected_or_closed_then_whoever_requested_it_may(self, shop: Shop) -> None:
        incident = opened(shop.database, containment="approval")
        assert containment_requests.decide(incident, "rejected", by=CALLER).containment_state == "rejected"

    def test_when_nobody_else_is_there_then_an_override_approves_it_and_every_notice_says_so(self, shop: Shop) -> None:
        incident = opened(shop.database, containment="approval")
        steps.decide(incident)
        asked_for = shop.site.messages()[-1]["Message"]
        assert f"A person other than {CALLER.name} must approve it." in asked_for
        alone = f'tapstack incident override {incident} --reason "no other person is available"'
        assert f"  {alone}  # isolates the instance without another person" in asked_for.splitlines()
        for _ in range(2):
            found = containment_requests.decide(incident, "overridden", by=CALLER, reason="alone at night")
            assert found.requested_containment.decision == "overridden"
        assert said(incident).count("containment overridden: alone at night") == 1
        assert isolation.contain(incident) == {"status": "contained"}
        steps.notify(incident)
        assert f"approved WITHOUT ANOTHER PERSON by {CALLER.name} (override)" in shop.site.messages()[-1]["Message"]
        # What comes later says so too, and why.
        containment_requests.release(incident, by=OTHER.name)
        assert restoration.release(incident) == {"status": "released"}
        steps.notify(incident, "released")
        override = f"Override: approved WITHOUT ANOTHER PERSON by {CALLER.name}: 'alone at night'"
        assert override in shop.site.messages()[-1]["Message"].splitlines()

    def test_when_the_deployment_needs_no_other_person_then_whoever_requested_it_approves_it(self, shop: Shop) -> None:
        shop.set(approval={"other_person": False})
        incident = opened(shop.database, containment="approval")
        steps.decide(incident)
        assert "approval.other_person is off" in shop.site.messages()[-1]["Message"]
        assert containment_requests.decide(incident, "approved", by=CALLER).containment_state == "containing"

    def test_when_an_earlier_version_recorded_only_a_name_then_that_is_compared(self, shop: Shop) -> None:
        incident = opened(shop.database, containment="approval")
        change(incident, "REMOVE containment.requester")
        with pytest.raises(OtherPersonNeeded):
            containment_requests.decide(incident, "approved", by=CALLER)
        assert containment_requests.decide(incident, "approved", by=OTHER).containment_state == "containing"

    def test_fails_when_whoever_approves_requested_it_anew_at_the_same_moment(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident = opened(shop.database, containment="approval")
        real, meanwhile = requests.answer, list[str]()

        def requested_anew(*args: Any) -> Any:
            if not meanwhile:
                meanwhile.append(incident)
                containment_requests.decide(incident, "rejected", by=CALLER)
                change(incident, "SET containment.asked_at = :past", past=PAST)
                containment_requests.contain(incident, "approval", by=OTHER)
            return real(*args)

        monkeypatch.setattr(requests, "answer", requested_anew)
        with pytest.raises(OtherPersonNeeded):
            containment_requests.decide(incident, "approved", by=OTHER)
        assert shop.state(incident) == "pending"


class TestNothingWaits:
    @pytest.mark.parametrize(
        ("decision", "why"),
        [("approved", f"it is containing, approved by {OTHER.name}"), ("rejected", f"it is rejected by {OTHER.name}")],
    )
    def test_fails_when_a_decision_is_repeated_after_the_incident_was_closed(
        self, shop: Shop, decision: Any, why: str
    ) -> None:
        incident = opened(shop.database, containment="approval")
        containment_requests.decide(incident, decision, by=OTHER)
        # The response may have been lost.
        containment_requests.decide(incident, decision, by=OTHER)
        change(incident, "SET #state = :state", state="closed")
        with pytest.raises(Conflict, match=f"waits for approval: {why}; the incident is closed$"):
            containment_requests.decide(incident, decision, by=OTHER)

    def test_fails_when_whoever_closed_the_incident_rejects_then(self, shop: Shop) -> None:
        incident = opened(shop.database, containment="approval")
        commands.close(incident, by="ann")
        with pytest.raises(Conflict, match="waits for approval: it is rejected by ann$"):
            containment_requests.decide(incident, "rejected", by=CALLER)

    @pytest.mark.parametrize("state", ["releasing", "released", "failed", "blocked"])
    def test_fails_when_an_approval_is_repeated_that_no_longer_holds(self, shop: Shop, state: str) -> None:
        incident = opened(shop.database, containment="approval")
        containment_requests.decide(incident, "approved", by=OTHER)
        change(incident, "SET containment.#state = :state", state=state)
        with pytest.raises(Conflict, match=f"it is {state}, approved by {OTHER.name}$"):
            containment_requests.decide(incident, "approved", by=OTHER)


@pytest.mark.parametrize(("state", "at"), [("failed", "_check_can_be_contained"), ("contained", "would_change")])
def test_fails_when_it_is_released_while_it_is_requested_to_be_contained_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, state: str, at: str
) -> None:
    incident = contained(shop.database)
    ask_again(incident, state)

    def release_meanwhile(_: Any) -> bool:
        containment_requests.release(incident, by="bob")
        return True

    monkeypatch.setattr(containment_requests, at, release_meanwhile)
    with pytest.raises(Conflict, match="is being released"):
        containment_requests.contain(incident, "now", by=CALLER)
    assert shop.state(incident) == "releasing"
    assert said(incident).count("containment requested: now") == 1, "when it was opened"


def test_fails_when_it_is_contained_again_while_its_release_is_requested(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = contained(shop.database)
    ask_again(incident, "failed")
    check, asked_already = containment_requests.check_can_be_released, list[str]()

    def contain_meanwhile(found: Any) -> None:
        check(found)
        if not asked_already:
            asked_already.append(incident)
            containment_requests.contain(incident, "now", by=OTHER)

    monkeypatch.setattr(containment_requests, "check_can_be_released", contain_meanwhile)
    with pytest.raises(Conflict, match="is being contained"):
        containment_requests.release(incident, by="ann")
    assert shop.state(incident) == "containing"
    assert item(incident).get("release_runs", 0) == 0


def answered(shop: Shop) -> list[str]:
    """The tokens of the tasks whose wait was ended."""
    records = shop.site.account.recorder.records(service="states", action="SendTaskSuccess")
    return [record.call.parameters["taskToken"] for record in records]


class TestKilledAfterTheDecision:
    """Its execution waits for approval still, as whoever decided was killed before it ended that wait."""

    @pytest.fixture
    def decided(self, shop: Shop) -> str:
        incident = opened(shop.database, containment="approval")
        change(incident, "SET approval_token = :token", token="token")
        requests.answer(incidents.get(incident), "approved", "containing", OTHER.name)
        assert runs_now(incident, "contain")
        shop.site.account.recorder.clear()
        return incident

    @pytest.mark.parametrize("by", [CALLER, OTHER])
    def test_when_it_is_contained_again_then_the_execution_goes_on(self, shop: Shop, decided: str, by: Caller) -> None:
        containment_requests.contain(decided, "now", by=by)
        assert answered(shop) == ["token"]
        assert item(decided)["contain_runs"] == 1

    def test_when_the_approval_is_repeated_then_the_execution_goes_on(self, shop: Shop, decided: str) -> None:
        containment_requests.decide(decided, "approved", by=OTHER)
        assert answered(shop) == ["token"]

    def test_when_it_is_swept_then_the_execution_goes_on(self, shop: Shop, decided: str) -> None:
        sweep()
        assert answered(shop) == [], "whoever decided may be about to do it"
        change(decided, "SET containment.asked_at = :past", past=PAST)
        sweep()
        assert answered(shop) == ["token"]
        assert item(decided)["contain_runs"] == 1


class TestSweep:
    @pytest.mark.parametrize("late", [True, False])
    @pytest.mark.parametrize("listing", ["open", "closed"])
    def test_when_the_waiting_execution_was_stopped_then_another_is_started(
        self, shop: Shop, late: bool, listing: str
    ) -> None:
        incident = waiting(shop, late=late)
        change(incident, "SET listing = :listing", listing=listing)
        assert not runs_now(incident, "contain")
        assert sweep().started == [f"{incident}: its containment was pending, and no execution did it"]
        assert runs_now(incident, "contain")
        assert sweep().started == []

    def test_when_the_containing_execution_was_stopped_then_another_is_started(self, shop: Shop) -> None:
        incident = asked(shop.database)
        end(shop, incident, "contain")
        # Who asked may be about to start it.
        assert sweep().started == []
        change(incident, "SET containment.asked_at = :past", past=PAST)
        assert sweep().started == [f"{incident}: its containment was containing, and no execution did it"]
        assert runs_now(incident, "contain")

    def test_when_no_execution_was_started_then_one_is(self, shop: Shop) -> None:
        incident = opened(shop.database)
        # The function that wrote it down ended before it started anything.
        asked = replace(containment_requests.record(None, "now", CALLER), asked_at=PAST)
        requests.request_containment(incidents.get(incident), asked)
        assert not runs_now(incident, "contain")
        sweep()
        assert runs_now(incident, "contain")

    def test_when_executions_keep_ending_then_it_is_reported(self, shop: Shop) -> None:
        incident = asked(shop.database)
        end(shop, incident, "contain")
        change(incident, "SET contain_runs = :many, containment.asked_at = :past", many=TRIES, past=PAST)
        report = sweep()
        assert report.started == []
        assert report.audit == [f"{incident} is containing, and its executions end without doing it"]
        assert not runs_now(incident, "contain")

    def test_when_it_was_isolated_many_times_before_then_its_next_containment_is_continued(self, shop: Shop) -> None:
        incident = contained(shop.database)
        # At each sweep, for an interface that AWS refused to isolate.
        change(incident, "SET contain_runs = :many", many=TRIES + 1)
        ask_again(incident, "released")
        containment_requests.contain(incident, "now", by=CALLER)
        end(shop, incident, "contain")
        change(incident, "SET containment.asked_at = :past", past=PAST)
        report = sweep()
        assert report.started == [f"{incident}: its containment was containing, and no execution did it"]

    def test_when_the_releasing_execution_was_stopped_then_it_is_reported_and_not_restarted(self, shop: Shop) -> None:
        incident = contained(shop.database)
        change(incident, "SET containment.#state = :contained", contained="contained")
        containment_requests.release(incident, by="ann")
        end(shop, incident, "release")
        assert sweep().audit == []
        change(incident, "SET containment.released_at = :past", past=PAST)
        report = sweep()
        assert report.started == []
        assert report.audit == [f"{incident} is releasing, and no execution does it: release it again"]
        assert shop.is_isolated(shop.database)

    def test_when_all_is_in_progress_or_done_then_nothing_is_reported(self, shop: Shop) -> None:
        waits, contains = opened(shop.database, containment="approval"), asked(shop.company.instances["legacy"])
        done = opened(shop.database, containment="approval")
        containment_requests.decide(done, "rejected", by=CALLER)
        end(shop, done, "contain")
        assert sweep().as_dict()["started"] == []
        assert runs_now(waits, "contain")
        assert runs_now(contains, "contain")
        assert not runs_now(done, "contain")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_when_anything_is_asked_for_by_get_then_nothing_is_decided_or_changed(shop: Shop, operation: Operation) -> None:
    incident = waiting(shop, late=False)
    before = item(incident)
    assert before["containment"]["state"] == "pending"
    # Mails and consoles link to what shows: whoever follows a link, or a program that does, must decide nothing.
    status = answer(event("GET", operation.at(incident), {"reason": "x"}))["statusCode"]
    reads = any(one.method == "GET" and one.path == operation.path for one in OPERATIONS)
    assert status in ((200,) if reads else (404, 405))
    assert item(incident) == before
