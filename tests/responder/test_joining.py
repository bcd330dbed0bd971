"""One attack, one incident: alerts about an instance that has an open incident join it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from strictmoto.faults import Fault
from tapstack.domain.callers import POLICY
from tapstack.domain.incident_events import DETAIL_TYPE
from tapstack.domain.incidents import Source, as_text, as_time, read_request, utc_now
from tapstack.domain.policy import Rule
from tapstack.domain.regions import AccountRegion
from tapstack.domain.table_names import NOTIFICATION
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.environment import environment
from tapstack.responder.incident import commands, joining, opening
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.outbound import executions, notifications
from tapstack.responder.outbound.notifications import NOTIFIED_IN_AN_HOUR
from tapstack.responder.store import incidents, table
from tapstack.responder.store import opening as store
from tapstack.responder.store.items import pack
from tapstack.responder.store.keys import incident_key, instance_key
from tapstack.responder.sweeper import sweep
from tests.responder.callers import CALLER, OTHER
from tests.responder.conftest import Site, captures_since, change, item, opened
from tests.responder.test_api import ask
from tests.responder.test_findings import decided, decides, finding
from tests.sampling import sampled

ANN = "arn:aws:iam::123456789012:user/ann"
RULES = (
    Rule("worst", "contain_now", at_least=9.0, minutes=600),
    Rule("bad", "contain_on_approval", at_least=7.0, minutes=90),
    Rule("odd", "capture", at_least=4.0, minutes=30),
)
"""One rule for each action; below is only notified."""

NOT_RELEASED = {"releasing": "it is being released", "blocked": "its release is blocked, and not completed yet"}
"""Why nothing is contained, by the state of the release."""


class Killed(BaseException):
    """The process of the function ends."""


@pytest.fixture
def policy(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site that may contain, with a rule for each action."""
    settings = {
        **site.settings,
        "containment": {"modes": ["approval", "now"], "groups": {site.vpc: {"quarantine": site.group}}},
    }
    monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps(settings))
    decides(monkeypatch, *RULES)
    return site


def found(instance: str, number: int, severity: float = 5.0, *, seen: datetime | None = None) -> dict[str, Any]:
    """A finding of an id of its own."""
    event = finding(instance, severity, **({"eventLastSeen": seen.isoformat()} if seen else {}))
    event["detail"]["id"] = f"{number:032x}"
    return event


def entries(incident: str, what: str) -> list[str]:
    return [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == what]


def joined_mails(site: Site) -> list[str]:
    return [mail["Message"] for mail in site.messages() if mail["Subject"].endswith("joined by another alert")]


def joins_notified_of(incident: str) -> list[dict[str, Any]]:
    marks = table.beginning_with(incident_key(incident), NOTIFICATION)
    return [mark for mark in marks if mark["what"].startswith("joined ")]


def of_instance(instance: str) -> list[str]:
    return sorted((table.read(instance_key(instance)) or {}).get("open_incidents", []))


def after(incident: str, seconds: int = 1) -> datetime:
    closed_at = incidents.get(incident).closed_at
    assert closed_at is not None
    return datetime.strptime(closed_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) + timedelta(seconds=seconds)


def refuse(incident: str) -> None:
    change(
        incident,
        "SET containment.#state = :failed, containment.failure = :why",
        failed="failed",
        why="ContainmentRefused: it is protected by its tag x",
    )


class TestFindings:
    def test_when_eight_findings_are_about_an_instance_then_there_is_one_incident_and_one_question(
        self, policy: Site
    ) -> None:
        instance, _ = policy.instance()
        first, *others = [decided(found(instance, number, 8.0 if number % 2 else 5.0)) for number in range(8)]
        assert first["action"] == "capture"
        assert {one["incident_id"] for one in others} == {first["incident_id"]}
        assert [one["action"] for one in others] == ["joined"] * 7
        incident = item(first["incident_id"])
        assert (incident["severity"], incident["containment"]["state"], incident["contain_runs"]) == (
            "high",
            "pending",
            1,
        )
        assert len(joined_mails(policy)) == 7
        assert len(entries(incident["id"], "joined")) == 7
        assert of_instance(instance) == [incident["id"]]
        started = policy.account.recorder.records(service="states", action="StartExecution")
        assert {record.call.parameters["name"] for record in started} == {incident["id"], f"{incident['id']}-contain-1"}
        # Updates of each find it, and say nothing new.
        again = [decided(found(instance, number, 8.0 if number % 2 else 5.0)) for number in range(8)]
        assert {(one["action"], one["incident_id"]) for one in again} == {("silent", incident["id"])}
        assert len(joined_mails(policy)) == 7

    def test_when_a_finding_joins_then_the_incident_is_what_the_stronger_one_wants(self, policy: Site) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 5.0))["incident_id"]
        change(incident, "SET #token = :token", token="token")
        before = item(incident)
        decided(found(instance, 2, 9.5))
        now = item(incident)
        assert (now["severity"], now["containment"]["state"], now["containment"]["asked_by"]) == (
            "critical",
            "containing",
            "guardduty",
        )
        assert before["expires_at"] < now["expires_at"]
        # Mirroring has not started: the minutes count from when it does.
        assert (before["minutes"], now["minutes"]) == (30, 600)
        # The workflow waits until the earlier time, and reads the later one then.
        assert "SendTaskSuccess" not in policy.calls("states")
        [said] = entries(incident, "joined")
        assert said == (
            f"finding {2:032x}, Backdoor:EC2/C&CActivity.B!DNS: 'EC2 instance talks to a command and control server'; "
            f"severity medium -> critical; captured for 600 minutes from when mirroring starts"
        )
        assert entries(incident, "containment requested") == ["now"]
        [mail] = joined_mails(policy)
        assert f"Joined:   finding {2:032x}, Backdoor" in mail
        assert "Captured for 600 minutes from when mirroring starts." in mail
        assert "Containment: containing." in mail
        # A weaker one takes nothing back.
        decided(found(instance, 3, 4.0))
        last = item(incident)
        assert (last["severity"], last["expires_at"]) == ("critical", now["expires_at"])

    def test_when_it_wants_more_than_a_capture_may_last_then_it_ends_at_the_latest_time(
        self, policy: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1))["incident_id"]
        captures_since(incident, "2026-01-02T03:04:05Z", item(incident)["expires_at"])
        before = item(incident)["expires_at"]
        decided(found(instance, 2, 8.0))
        assert item(incident)["expires_at"] == before

    def test_when_the_policy_only_notifies_then_the_finding_joins_and_opens_none(self, policy: Site) -> None:
        instance, _ = policy.instance()
        assert decided(found(instance, 1, 2.0))["action"] == "notify"
        incident = decided(found(instance, 2))["incident_id"]
        assert decided(found(instance, 3, 2.0)) == {
            "instance_id": instance,
            "account_id": "123456789012",
            "region": "eu-central-1",
            "action": "joined",
            "decision": "notify",
            "rule": None,
            "incident_id": incident,
        }
        assert [mail["Subject"].partition("] ")[2] for mail in policy.messages()] == [
            "GuardDuty low: Backdoor:EC2/C&CActivity.B!DNS",
            f"medium {incident}: joined by another alert",
        ]

    def test_when_an_update_is_more_severe_then_its_incident_is_too(self, policy: Site) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1))["incident_id"]
        until = item(incident)["expires_at"]
        assert decided(found(instance, 1, 8.0))["action"] == "updated"
        now = item(incident)
        assert (now["severity"], now["containment"]["state"], now["expires_at"]) == ("high", "pending", until)
        assert decided(found(instance, 1, 8.0))["action"] == "silent"
        assert len(entries(incident, "updated")) == 1

    def test_when_the_incident_failed_then_findings_join_it_and_are_notified_that_nothing_is_captured(
        self, policy: Site
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1))["incident_id"]
        incident_steps.fail(incident, "NothingMirrored", "no")
        assert decided(found(instance, 2))["action"] == "joined"
        [mail] = joined_mails(policy)
        assert "Nothing is captured: the incident failed." in mail
        assert f"  tapstack incident close {incident}  # closes the incident\n" in mail

    def test_when_one_failed_and_another_captures_then_findings_join_that_one(self, policy: Site) -> None:
        instance, _ = policy.instance()
        failed = decided(found(instance, 1))["incident_id"]
        incident_steps.fail(failed, "NothingMirrored", "no")
        captures = opened(instance)
        assert decided(found(instance, 2, 9.5))["incident_id"] == captures
        assert item(captures)["severity"] == "critical"
        assert "Nothing is captured" not in joined_mails(policy)[-1]

    @pytest.mark.parametrize("closes", [False, True], ids=["failed", "failed, and is to be closed"])
    def test_when_the_incident_failed_then_newer_activity_opens_another_or_joins_it(
        self, policy: Site, closes: bool
    ) -> None:
        instance, _ = policy.instance()
        failed = decided(found(instance, 1))["incident_id"]
        incident_steps.fail(failed, "NothingMirrored", "no")
        if closes:
            commands.close(failed, by=ANN)
        ended = incidents.ended_at(incidents.get(failed))
        assert ended is not None
        assert decided(found(instance, 1, seen=as_time(ended)))["action"] == "silent"
        newer = decided(found(instance, 1, seen=as_time(ended) + timedelta(minutes=5)))
        assert (newer["action"], newer["incident_id"] != failed) == ("capture", True)
        assert (
            decided(found(instance, 2, seen=as_time(ended) + timedelta(minutes=5)))["incident_id"]
            == (newer["incident_id"])
        )
        # What failed stays in the list of the instance until it is closed.
        assert of_instance(instance) == sorted([newer["incident_id"], *([] if closes else [failed])])

    def test_when_an_alert_of_the_api_comes_after_a_failure_then_it_opens_another(self, policy: Site) -> None:
        instance, _ = policy.instance()
        failed = decided(found(instance, 1))["incident_id"]
        incident_steps.fail(failed, "NothingMirrored", "no")
        body = {"instance_id": instance, "reason": "beacons", "alert_id": "siem 1"}
        answered = ask("POST", "/incidents", body)[1]
        assert (answered["joined"], answered["incident"]["id"] != failed) == (False, True)

    def test_when_the_policy_only_notifies_then_the_capture_that_it_joins_is_no_longer(self, policy: Site) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1))["incident_id"]
        before = item(incident)["expires_at"]
        assert decided(found(instance, 2, 2.0))["action"] == "joined"
        assert item(incident)["expires_at"] == before


class TestAnswers:
    def test_when_a_person_rejected_it_then_the_same_is_not_asked_again(self, policy: Site) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 8.0))["incident_id"]
        containment_requests.decide(incident, "rejected", by=CALLER)
        decided(found(instance, 2, 8.0))
        assert item(incident)["containment"]["state"] == "rejected"
        assert entries(incident, "joined")[-1].endswith(f"not asked again whether to contain it: {ANN} rejected that")
        assert f"Containment: not asked again whether to contain it: {ANN} rejected that." in joined_mails(policy)[-1]

    def test_when_a_person_rejected_it_and_a_rule_contains_without_asking_then_it_does_and_says_so(
        self, policy: Site
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 8.0))["incident_id"]
        containment_requests.decide(incident, "rejected", by=CALLER)
        decided(found(instance, 2, 9.5))
        assert (item(incident)["containment"]["state"], item(incident)["contain_runs"]) == ("containing", 2)
        assert f"{ANN} rejected its containment before" in entries(incident, "joined")[-1]

    def test_when_nobody_answered_then_another_finding_asks_again_and_an_update_does_not(self, policy: Site) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 8.0))["incident_id"]
        containment_requests.by_default(incidents.get(incident))
        decided(found(instance, 1, 8.0))
        assert item(incident)["containment"]["state"] == "rejected"
        decided(found(instance, 2, 8.0))
        assert item(incident)["containment"]["state"] == "pending"

    def test_when_it_waits_for_approval_and_a_rule_needs_none_then_it_is_contained(self, policy: Site) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 8.0))["incident_id"]
        change(incident, "SET approval_token = :token", token="token")
        policy.account.recorder.clear()
        decided(found(instance, 2, 9.5))
        containment = item(incident)["containment"]
        assert (containment["state"], containment["decision"], containment["decided_by"]) == (
            "containing",
            "approved",
            "guardduty",
        )
        # The execution that waits goes on.
        assert item(incident)["contain_runs"] == 1
        assert "SendTaskSuccess" in policy.calls("states")

    def test_when_it_was_interrupted_after_it_approved_then_the_same_finding_lets_the_execution_go_on(
        self, policy: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 8.0))["incident_id"]
        change(incident, "SET approval_token = :token", token="token")
        with monkeypatch.context() as patched:
            patched.setattr(joining, "proceed", lambda *_: None)
            decided(found(instance, 1, 9.5))
        assert item(incident)["containment"]["state"] == "containing"
        policy.account.recorder.clear()
        decided(found(instance, 1, 9.5))
        [record] = policy.account.recorder.records(service="states", action="SendTaskSuccess")
        assert record.call.parameters["taskToken"] == "token"
        assert item(incident)["contain_runs"] == 1

    @pytest.mark.parametrize("state", ["pending", "containing"])
    def test_when_its_execution_has_ended_then_updates_start_no_other(self, policy: Site, state: str) -> None:
        instance, _ = policy.instance()
        severity = 8.0 if state == "pending" else 9.5
        incident = decided(found(instance, 1, severity))["incident_id"]
        workflow, arn = policy.client("stepfunctions"), executions.execution_arn(f"{incident}-contain-1")
        workflow.stop_execution(executionArn=arn)
        policy.account.recorder.clear()
        decided(found(instance, 1, severity))
        # The sweeper starts another one, at most ten times.
        assert (item(incident)["containment"]["state"], item(incident)["contain_runs"]) == (state, 1)
        assert "StartExecution" not in policy.calls("states")

    def test_when_a_person_asked_to_override_what_protects_it_then_no_rule_approves_that(self, policy: Site) -> None:
        instance, _ = policy.instance()
        policy.ec2.create_tags(Resources=[instance], Tags=[{"Key": "tapstack-protected", "Value": "yes"}])
        incident = decided(found(instance, 1))["incident_id"]
        containment_requests.contain_protected(incident, "it gave that to itself", by=CALLER)
        for number, severity in ((2, 8.0), (3, 9.5), (3, 9.6)):
            decided(found(instance, number, severity))
            containment = item(incident)["containment"]
            assert (containment["state"], containment["decision"]) == ("pending", None)
        said = "Containment: not contained: it waits for a person's approval to override what protects it."
        assert said in joined_mails(policy)[-1].splitlines()

    @pytest.mark.parametrize("state", NOT_RELEASED)
    def test_when_it_is_being_released_then_it_is_not_contained(self, policy: Site, state: str) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 9.5))["incident_id"]
        change(incident, "SET containment.#state = :state", state=state)
        decided(found(instance, 2, 9.5))
        assert item(incident)["containment"]["state"] == state
        assert NOT_RELEASED[state] in joined_mails(policy)[-1]

    def test_when_containing_was_refused_then_another_finding_tries_again_and_says_so(self, policy: Site) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 9.5))["incident_id"]
        refuse(incident)
        # The same finding again reports nothing newer.
        assert decided(found(instance, 1, 9.5))["action"] == "silent"
        decided(found(instance, 2, 9.5))
        assert (item(incident)["containment"]["state"], item(incident)["contain_runs"]) == ("containing", 2)
        said = "its containment is tried again; before, ContainmentRefused: it is protected by its tag x"
        assert entries(incident, "joined")[-1].endswith(said)
        refuse(incident)
        decided(found(instance, 3, 8.0))
        assert item(incident)["containment"]["state"] == "pending"

    def test_when_containing_was_refused_and_the_finding_goes_on_then_its_update_tries_again(
        self, policy: Site
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 9.5))["incident_id"]
        refuse(incident)
        assert decided(found(instance, 1, 9.5, seen=utc_now() - timedelta(hours=1)))["action"] == "silent"
        assert decided(found(instance, 1, 9.5, seen=utc_now() + timedelta(minutes=5)))["action"] == "updated"
        assert (item(incident)["containment"]["state"], item(incident)["contain_runs"]) == ("containing", 2)


class TestLateActivity:
    def test_when_activity_goes_on_after_closing_then_another_incident_is_opened(self, policy: Site) -> None:
        instance, _ = policy.instance()
        first = decided(found(instance, 1))["incident_id"]
        incident_steps.close(first, "expired")
        assert of_instance(instance) == []
        assert decided(found(instance, 1, seen=after(first, 0)))["action"] == "silent"
        late = decided(found(instance, 1, seen=after(first)))
        assert (late["action"], late["incident_id"] != first) == ("capture", True)
        # From now on the finding's incident is the new one.
        again = decided(found(instance, 1, seen=after(first, 5)))
        assert (again["action"], again["incident_id"]) == ("silent", late["incident_id"])
        assert of_instance(instance) == [late["incident_id"]]

    def test_when_its_incident_is_closing_then_it_is_silent_and_another_finding_opens_one(self, policy: Site) -> None:
        instance, _ = policy.instance()
        first = decided(found(instance, 1))["incident_id"]
        commands.close(first, by=ANN)
        asked = as_time(str(incidents.get(first).close_requested_at))
        assert decided(found(instance, 1, seen=asked))["action"] == "silent"
        # Asked again, it is still asked at first.
        commands.close(first, by=ANN)
        assert as_time(str(incidents.get(first).close_requested_at)) == asked
        second = decided(found(instance, 2))
        assert (second["action"], second["incident_id"] != first) == ("capture", True)
        incident_steps.close(first, "closed")
        assert of_instance(instance) == [second["incident_id"]]
        # And what goes on joins that.
        late = decided(found(instance, 1, seen=after(first)))
        assert (late["action"], late["incident_id"]) == ("joined", second["incident_id"])

    def test_when_its_time_is_over_at_any_moment_then_another_is_opened(self, policy: Site) -> None:
        instance, _ = policy.instance()
        first = decided(found(instance, 1))["incident_id"]
        now = as_text(utc_now())
        captures_since(first, now, now)
        assert decided(found(instance, 2))["action"] == "capture"

    def test_when_it_joined_then_it_opens_another_after_that_is_closed(self, policy: Site) -> None:
        instance, _ = policy.instance()
        first = decided(found(instance, 1))["incident_id"]
        decided(found(instance, 2))
        incident_steps.close(first, "closed")
        assert decided(found(instance, 2))["action"] == "silent"
        assert decided(found(instance, 2, seen=after(first)))["action"] == "capture"


class TestSize:
    def test_when_alerts_go_on_joining_then_the_incident_grows_by_none_of_them(self, policy: Site) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1))["incident_id"]
        sizes = set()
        for number in range(2, 6):
            # As one of the same end: what it is extended by has one length.
            assert decided(found(instance, number, 2.0))["action"] == "joined"
            sizes.add(len(json.dumps(item(incident))))
        assert len(sizes) == 1
        assert len(joined_mails(policy)) == 4

    def test_when_an_alert_that_joined_is_notified_of_then_that_is_recorded_until_after_the_incident(
        self, policy: Site
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1))["incident_id"]
        decided(found(instance, 2))
        [mark] = joins_notified_of(incident)
        week = timedelta(days=7)
        assert mark["ttl"] > (utc_now() + week + timedelta(days=environment().retention_days - 1)).timestamp()

    @pytest.mark.long
    def test_when_alerts_flood_an_incident_then_operators_are_notified_of_twelve_an_hour_and_of_what_changes_it(
        self, policy: Site
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1))["incident_id"]
        # Their hour may end on the way: then as many more are notified of.
        hours = {as_text(utc_now())[:13]}
        for number in range(2, NOTIFIED_IN_AN_HOUR + 6):
            assert decided(found(instance, number))["action"] == "joined"
        hours.add(as_text(utc_now())[:13])
        mails = joined_mails(policy)
        assert len(mails) == NOTIFIED_IN_AN_HOUR or len(hours) == 2
        says_so = ["Of further alerts that join within this clock hour" in mail for mail in mails]
        assert says_so == [False] * (NOTIFIED_IN_AN_HOUR - 1) + [True] or len(hours) == 2
        # Subscribers and the timeline have every one.
        told = [one for one in policy.events(notifications.INCIDENT_EVENT) if one["what"] == "joined"]
        assert len(told) == len(entries(incident, "joined")) == NOTIFIED_IN_AN_HOUR + 4
        decided(found(instance, 99, 8.5))
        assert len(joined_mails(policy)) == len(mails) + 1

    def test_when_a_function_is_killed_before_it_notifies_then_the_next_one_notifies_of_the_same(
        self, policy: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance, _ = policy.instance()
        decided(found(instance, 1))
        hours = {as_text(utc_now())[:13]}

        def kill(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        def killed(event: dict[str, Any]) -> None:
            with monkeypatch.context() as killing:
                killing.setattr(notifications, "notify_once", kill)
                with pytest.raises(KeyboardInterrupt):
                    decided(event)

        for number in range(2, NOTIFIED_IN_AN_HOUR + 1):
            decided(found(instance, number))
        twelfth, thirteenth, rises = found(instance, 50), found(instance, 51), found(instance, 52, 8.5)
        for event in (twelfth, thirteenth):
            killed(event)
            decided(event)
        mails = joined_mails(policy)
        hours.add(as_text(utc_now())[:13])
        assert len(mails) == NOTIFIED_IN_AN_HOUR or len(hours) == 2
        # That further ones are silent is said, though the function that counted the last one was killed.
        assert "Of further alerts that join within this clock hour" in mails[-1] or len(hours) == 2
        killed(rises)
        decided(rises)
        assert len(joined_mails(policy)) == len(mails) + 1

    @pytest.mark.parametrize("source", ["guardduty", "api"])
    @pytest.mark.parametrize("action", ["Publish", "PutEvents"])
    def test_when_a_notification_of_a_join_does_not_arrive_then_it_joins_and_a_sweep_delivers(
        self, policy: Site, action: str, source: str
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1))["incident_id"]
        # Longer than a client tries.
        policy.account.faults.add(Fault(action, "server error", times=10))
        if source == "api":
            status, _ = ask("POST", "/incidents", {"instance_id": instance, "reason": "beacon", "alert_id": "siem 1"})
            assert status == 202
        else:
            # By the event of the finding, which may not arrive either.
            assert decided(found(instance, 2))["action"] == "joined"
        policy.account.faults.clear()
        assert joins_notified_of(incident) != []
        policy.account.recorder.clear()
        assert len([line for line in sweep().delivered if "Finding" not in line]) == 1
        told = [one["what"] for one in policy.events(notifications.INCIDENT_EVENT)]
        assert (len(joined_mails(policy)), told) == ((1, []) if action == "Publish" else (0, ["joined"]))

    def test_when_a_notification_is_longer_than_a_key_then_it_is_once_all_the_same(self, policy: Site) -> None:
        incident = opened(policy.instance()[0])
        for what in ("a" * 3000, "a" * 3000 + "b"):
            for _ in range(2):
                notifications.notify_once(incidents.get(incident), what, what[-1], "text")
        assert [mail["Subject"] for mail in policy.messages()] == ["a", "b"]


class TestApi:
    def test_when_an_alert_is_about_an_instance_with_an_open_incident_then_it_joins(self, policy: Site) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1))["incident_id"]
        body = {"instance_id": instance, "reason": "beacons\nReason: none", "alert_id": "siem 1", "severity": "high"}
        for key in ("one", "one", "two"):
            status, answered = ask("POST", "/incidents", body, idempotency_key=key)
            assert (status, answered["incident"]["id"], answered["joined"]) == (202, incident, True)
        assert item(incident)["severity"] == "high"
        [said] = entries(incident, "joined")
        assert said.startswith("alert 'siem 1': 'beacons\\nReason: none'; severity medium -> high")
        assert len(joined_mails(policy)) == 1
        _, other = ask("POST", "/incidents", {**body, "instance_id": policy.instance()[0]})
        assert other["detail"].startswith(f"alert_id siem 1 belongs to incident {incident}, which captures {instance}")

    @pytest.mark.parametrize("joins", [False, True])
    @pytest.mark.parametrize(
        ("state", "mode", "do"),
        [
            ("rejected", "contain", "tapstack incident contain {} --mode approval"),
            ("released", "contain-now", "tapstack incident contain {} --mode now"),
            ("failed", "contain-now", "tapstack incident contain {} --mode now"),
            ("blocked", "contain", "once that has ended, tapstack incident contain {} --mode approval"),
            ("pending", "contain-now", "tapstack incident approve {}"),
        ],
    )
    def test_fails_when_the_same_alert_requests_what_was_answered_since_and_says_what_to_run(
        self, policy: Site, state: str, mode: str, do: str, joins: bool
    ) -> None:
        instance, _ = policy.instance()
        if joins:
            opened(instance)
        body = {"instance_id": instance, "reason": "beacons", "alert_id": "siem-1"}
        incident = ask("POST", "/incidents/contain", body)[1]["incident"]["id"]
        change(incident, "SET containment.#state = :state", state=state)
        status, problem = ask("POST", f"/incidents/{mode}", body)
        assert status == 409
        assert problem["detail"].endswith(f"because its containment is {state}: {do.format(incident)}")
        assert item(incident)["containment"]["state"] == state
        # Without a containment it is the same request as before.
        assert ask("POST", "/incidents", body)[0] == 202

    @pytest.mark.parametrize("by", ["alert", "finding"])
    def test_when_what_is_pending_is_approved_by_joining_then_the_event_says_by_what(
        self, policy: Site, by: str
    ) -> None:
        instance, _ = policy.instance()
        incident = opened(instance, containment="approval")
        if by == "alert":
            body = {"instance_id": instance, "reason": "beacons", "alert_id": "siem-1"}
            assert ask("POST", "/incidents/contain-now", body)[0] == 202
        else:
            assert decided(found(instance, 1, 9.0))["incident_id"] == incident
        how = "now" if by == "alert" else "by a rule that contains without approval"
        assert entries(incident, "containment approved") == [how]
        [event] = [one for one in policy.events(DETAIL_TYPE) if one["what"] == "decided"]
        assert how in json.dumps(event)

    @pytest.mark.parametrize(("mode", "state"), [("contain", "pending"), ("contain-now", "containing")])
    def test_when_a_responder_requests_a_containment_that_was_rejected_then_it_is_requested_anew(
        self, policy: Site, mode: str, state: str
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 8.0))["incident_id"]
        containment_requests.decide(incident, "rejected", by=OTHER)
        body = {"instance_id": instance, "reason": "beacons again", "alert_id": "siem-1"}
        status, answered = ask("POST", f"/incidents/{mode}", body)
        assert (status, answered["joined"], answered["incident"]["id"]) == (202, True, incident)
        containment = item(incident)["containment"]
        assert (containment["state"], containment["asked_by"]) == (state, ANN)
        assert entries(incident, "joined")[-1].endswith(f"{OTHER.name} rejected its containment before")
        assert f"Containment: {state}." in joined_mails(policy)[-1]

    def test_when_a_responder_contains_at_once_what_is_pending_then_the_timeline_names_no_rule(
        self, policy: Site
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 8.0))["incident_id"]
        body = {"instance_id": instance, "reason": "beacons again", "alert_id": "siem-1"}
        assert ask("POST", "/incidents/contain-now", body)[0] == 202
        assert (item(incident)["containment"]["decided_by"], entries(incident, "containment approved")) == (
            ANN,
            ["now"],
        )

    @pytest.mark.parametrize("mode", ["contain", "contain-now"])
    @pytest.mark.parametrize("state", NOT_RELEASED)
    def test_fails_when_a_responder_requests_the_containment_of_what_is_being_released(
        self, policy: Site, state: str, mode: str
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 9.0))["incident_id"]
        change(incident, "SET containment.#state = :state", state=state)
        body = {"instance_id": instance, "reason": "beacons again", "alert_id": "siem-1"}
        status, answered = ask("POST", f"/incidents/{mode}", body)
        assert (status, answered["detail"]) == (
            409,
            f"incident {incident} is about {instance}, and the alert would join it; not contained: "
            f"{NOT_RELEASED[state]}. Once it is: tapstack incident contain {incident} --mode "
            f"{'now' if mode == 'contain-now' else 'approval'}. Without containment the alert joins now",
        )
        assert entries(incident, "joined") == []
        assert ask("POST", "/incidents", body)[1]["joined"] is True

    def test_fails_when_a_responder_contains_at_once_what_waits_for_another_person(self, policy: Site) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1, 8.0))["incident_id"]
        change(incident, "SET containment.overridden_tags = :tags", tags=["tapstack-protected=1"])
        body = {"instance_id": instance, "reason": "beacons again", "alert_id": "siem-1"}
        status, answered = ask("POST", "/incidents/contain-now", body)
        assert (status, f"tapstack incident approve {incident}" in answered["detail"]) == (409, True)
        assert entries(incident, "joined") == []

    def test_when_a_request_has_no_alert_id_then_it_opens_an_incident_of_its_own(self, policy: Site) -> None:
        instance, _ = policy.instance()
        first = decided(found(instance, 1))["incident_id"]
        _, answered = ask("POST", "/incidents", {"instance_id": instance, "reason": "a closer look"})
        second = answered["incident"]["id"]
        assert (answered["joined"], second != first) == (False, True)
        # Alerts go on joining the oldest one, and then the other. Of one second, the id decides.
        oldest, other = sorted([first, second])
        assert decided(found(instance, 2))["incident_id"] == oldest
        incident_steps.close(oldest, "closed")
        assert decided(found(instance, 3))["incident_id"] == other

    def test_when_alerts_name_interfaces_then_they_join_none(self, policy: Site) -> None:
        instance, interface = policy.instance()
        decided(found(instance, 1))
        body = {"network_interface_ids": [interface], "reason": "beacons", "alert_id": "siem 1"}
        assert ask("POST", "/incidents", body)[1]["joined"] is False


class TestEarlierVersions:
    def test_when_incidents_are_not_listed_by_instance_then_the_oldest_is_joined_and_listed(self, policy: Site) -> None:
        instance, _ = policy.instance()
        several = sorted(opened(instance) for _ in range(3))
        policy.client("dynamodb").delete_item(TableName=environment().table, Key=instance_key(instance))
        joined = decided(found(instance, 1))
        assert (joined["action"], joined["incident_id"]) == ("joined", several[0])
        assert of_instance(instance) == [several[0]]
        incident_steps.close(several[0], "closed")
        assert decided(found(instance, 2))["incident_id"] == several[1]

    def test_when_a_listed_incident_was_closed_by_an_earlier_version_then_another_is_opened(self, policy: Site) -> None:
        instance, _ = policy.instance()
        first = decided(found(instance, 1))["incident_id"]
        change(first, "SET #state = :closed, listing = :closed", closed="closed")
        second = decided(found(instance, 2))
        assert second["action"] == "capture"
        assert of_instance(instance) == [second["incident_id"]]

    def test_when_an_earlier_version_notified_of_an_alert_that_joined_then_it_is_not_notified_of_again(
        self, policy: Site
    ) -> None:
        instance, _ = policy.instance()
        incident = decided(found(instance, 1))["incident_id"]
        decided(found(instance, 2))
        [mark] = joins_notified_of(incident)
        policy.client("dynamodb").delete_item(
            TableName=environment().table, Key={name: pack(mark[name]) for name in ("pk", "sk")}
        )
        change(incident, "ADD told :these", these={mark["what"]})
        assert decided(found(instance, 2))["action"] == "silent"
        assert len(joined_mails(policy)) == 1


class TestRaces:
    def test_when_findings_come_at_once_then_there_is_one_incident(self, policy: Site) -> None:
        instance, _ = policy.instance()
        with ThreadPoolExecutor(6) as pool:
            all_of_them = list(pool.map(lambda number: decided(found(instance, number, 8.0)), range(6)))
        assert len({one["incident_id"] for one in all_of_them}) == 1
        assert sorted(one["action"] for one in all_of_them) == ["contain_on_approval", *["joined"] * 5]
        [incident] = of_instance(instance)
        assert len(entries(incident, "joined")) == 5

    @sampled("answered", [True, False], ids=["after a call", "before a call"], every=2)
    @sampled("is_late", [True, False], ids=["late", "joining"], every=2)
    def test_when_the_function_is_killed_at_any_call_and_runs_again_then_nothing_is_lost(
        self, policy: Site, monkeypatch: pytest.MonkeyPatch, answered: bool, is_late: bool
    ) -> None:
        for at in range(1, 40):
            instance, _ = policy.instance()
            first = decided(found(instance, 1000 + at))["incident_id"]
            number, seen = 2000 + at, None
            if is_late:
                incident_steps.close(first, "closed")
                number, seen = 1000 + at, after(first)
            event = found(instance, number, 9.5, seen=seen)
            with monkeypatch.context() as patch, killed_at(patch, at, answered=answered):
                decided(event)
                break
            decided(event)
            [incident] = of_instance(instance)
            assert (incident == first) is not is_late
            now = item(incident)
            assert (now["severity"], now["containment"]["state"], now["contain_runs"]) == ("critical", "containing", 1)
            names = [
                record.call.parameters["name"]
                for record in policy.account.recorder.records(service="states", action="StartExecution")
            ]
            assert {incident, f"{incident}-contain-1"} <= set(names)
            if not is_late:
                assert len(entries(incident, "joined")) == 1
                assert any(incident in mail for mail in joined_mails(policy))
        else:
            raise AssertionError("it does not come to its end")

    def test_when_the_incident_closes_between_reading_and_joining_then_another_is_opened(
        self, policy: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance, _ = policy.instance()
        first = decided(found(instance, 1))["incident_id"]
        written = table.write_together

        def close_first(items: Any) -> bool:
            monkeypatch.setattr(table, "write_together", written)
            incident_steps.close(first, "expired")
            return written(items)

        monkeypatch.setattr(table, "write_together", close_first)
        second = decided(found(instance, 2))
        assert second["action"] == "capture"
        assert of_instance(instance) == [second["incident_id"]]


@pytest.mark.parametrize("source", ["api", "guardduty"])
def test_when_another_account_or_region_has_an_alert_of_the_same_id_then_it_is_another(
    site: Site, source: Source
) -> None:
    # An id of an instance, too, may be another one's there.
    body = {"reason": "beaconing", "instance_id": "i-0a000000000000001", "alert_id": "edr-1"}
    request = read_request(body, minutes=60, max_minutes=1440)
    made = opening.open_incident(request, source=source, by=POLICY).incident
    assert made is not None
    home = made.where

    def key(where: AccountRegion) -> store.RequestKey:
        return store.RequestKey("alert", "edr-1", store.alert_scope(source, where, made.instance_id), "")

    known = store.find(key(home))
    assert known is not None
    assert (known.incident_id, key(home).is_of(made)) == (made.id, True)
    for elsewhere in (replace(home, account_id="444455556666"), replace(home, region="eu-west-1")):
        assert store.find(key(elsewhere)) is None
        # Of what an earlier version wrote, the incident decides.
        assert not key(elsewhere).is_of(made)


@contextmanager
def killed_at(patch: pytest.MonkeyPatch, at: int, *, answered: bool) -> Iterator[None]:
    """Let the process end before or after its call of that number, from 1."""
    real, made = BaseClient._make_api_call, [0]

    def call(client: Any, operation: str, parameters: Any) -> Any:
        made[0] += 1
        if made[0] == at and not answered:
            raise Killed
        result = real(client, operation, parameters)
        if made[0] == at:
            raise Killed
        return result

    patch.setattr(BaseClient, "_make_api_call", call)
    with suppress(Killed):
        yield
