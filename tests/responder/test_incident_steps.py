"""An incident's deadline, commands of operators, and its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.faults import Fault
from tapstack.domain.incidents import as_text, as_time, expiry, utc_now
from tapstack.responder.appliance import steps as appliance_steps
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.environment import environment
from tapstack.responder.errors import Conflict, TryAgain, UnknownIncident
from tapstack.responder.incident import commands
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.outbound import executions, notifications
from tapstack.responder.store import incidents, lifetimes, table, undelivered
from tapstack.responder.store.keys import undelivered_key
from tapstack.responder.store.undelivered import Undelivered
from tapstack.responder.sweeper import sweep
from tapstack.response import states
from tests.responder.conftest import Site, captures_since, change, item, opened, prepared
from tests.responder.test_capturing import KINDS


@pytest.fixture
def resumed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The task tokens that were used: moto knows only those that its own executions gave."""
    used: list[str] = []

    def end_wait(token: str, because: str) -> bool:
        used.append(token)
        return True

    monkeypatch.setattr(executions, "end_wait", end_wait)
    return used


class TestClock:
    def test_when_time_is_left_then_it_says_how_much(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        incident = opened("i-0123456789abcdef0", minutes=10)
        until = item(incident)["expires_at"]
        monkeypatch.setattr(incident_steps, "utc_now", lambda: as_time(until) - timedelta(seconds=597))
        assert incident_steps.remaining(incident) == {"status": "wait", "seconds": 597, "until": until}

    def test_when_the_wait_is_over_then_the_clock_is_not_read(self, site: Site) -> None:
        incident = opened("i-0123456789abcdef0", minutes=10)
        until = incident_steps.remaining(incident)["until"]
        assert incident_steps.remaining(incident, until) == {"status": "close", "because": "expired"}

    def test_when_it_was_extended_while_it_waited_then_it_waits_on(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident = opened("i-0123456789abcdef0", minutes=10)
        until = incident_steps.remaining(incident)["until"]
        commands.extend(incident, 60, by="ann")
        later = item(incident)["expires_at"]
        monkeypatch.setattr(incident_steps, "utc_now", lambda: as_time(until))
        left = incident_steps.remaining(incident, until)
        assert (left["status"], left["until"]) == ("wait", later)
        assert left["seconds"] == (as_time(later) - as_time(until)).total_seconds() > 0

    @pytest.mark.long
    def test_when_its_end_is_moved_by_little_for_a_day_then_the_execution_waits_less_often_in_the_end(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident = opened("i-0123456789abcdef0", minutes=1)
        began_at, until, waits = as_time(item(incident)["opened_at"]), None, 0
        captures_since(incident, as_text(began_at), as_text(expiry(began_at, 1)))
        clock = [began_at]
        for module in (incident_steps, commands, incidents):
            monkeypatch.setattr(module, "utc_now", lambda: clock[0])
        while (left := incident_steps.remaining(incident, until))["status"] == "wait":
            waits += 1
            # Just before it ends, it is extended by a minute from then.
            until = left["until"]
            clock[0] = as_time(until) - timedelta(seconds=20)
            with suppress(Conflict):
                commands.extend(incident, 1, by="ann")
            clock[0] = as_time(until)
        # 100 in the first hour, and then one an hour: by itself it would have been 2,159.
        assert 100 + 23 <= waits <= 100 + 25
        assert left == {"status": "close", "because": "expired"}
        assert clock[0] == began_at + timedelta(minutes=environment().capture.max_minutes)
        said = [entry["detail"] for entry in incidents.timeline(incident) if entry["by"] == "incident"]
        assert said[0].endswith("its end has come 100 times, and was moved before; now it is by an hour at least")
        assert len(said) == waits - 100

    def test_when_its_time_is_over_then_it_closes(self, site: Site) -> None:
        incident = opened("i-0123456789abcdef0", minutes=10)
        change(incident, "SET expires_at = :past", past="2026-01-01T00:00:00Z")
        assert incident_steps.remaining(incident) == {"status": "close", "because": "expired"}

    def test_when_closing_is_asked_for_then_it_closes(self, site: Site) -> None:
        incident = opened("i-0123456789abcdef0")
        commands.close(incident, by="ann")
        assert incident_steps.remaining(incident) == {"status": "close", "because": "closed"}


class TestWaking:
    def test_when_it_is_closed_while_it_waits_then_the_token_is_used(self, site: Site, resumed: list[str]) -> None:
        incident = opened("i-0123456789abcdef0")
        incident_steps.remaining(incident)
        incident_steps.wait(incident, "token-1")
        assert resumed == []
        commands.close(incident, by="ann", reason="false alarm")
        assert resumed == ["token-1"]
        assert [event["what"] for event in incidents.timeline(incident)] == ["opened", "close requested"]

    def test_when_it_is_extended_while_it_waits_then_the_wait_goes_on(self, site: Site, resumed: list[str]) -> None:
        incident = opened("i-0123456789abcdef0")
        incident_steps.remaining(incident)
        incident_steps.wait(incident, "token-1")
        commands.extend(incident, 600, by="ann")
        assert resumed == []

    def test_when_it_is_closed_before_it_waits_then_waiting_ends_at_once(self, site: Site, resumed: list[str]) -> None:
        incident = opened("i-0123456789abcdef0")
        incident_steps.remaining(incident)
        commands.close(incident, by="ann")
        incident_steps.wait(incident, "token-1")
        assert resumed == ["token-1"]

    def test_when_it_is_extended_before_it_waits_then_it_waits(self, site: Site, resumed: list[str]) -> None:
        incident = opened("i-0123456789abcdef0")
        incident_steps.remaining(incident)
        commands.extend(incident, 600, by="ann")
        incident_steps.wait(incident, "token-1")
        assert (resumed, item(incident)["token"]) == ([], "token-1")

    def test_when_the_task_token_has_expired_then_that_is_no_error(self, site: Site) -> None:
        assert executions.end_wait("AAAA", "closed") is False


class TestPeople:
    def test_when_an_extension_is_shorter_then_nothing_changes(self, site: Site) -> None:
        incident = opened("i-0123456789abcdef0", minutes=600)
        before = item(incident)["expires_at"]
        assert commands.extend(incident, 5, by="ann").expires_at == before

    def test_when_it_is_extended_twice_then_it_is_once(self, site: Site) -> None:
        incident = opened("i-0123456789abcdef0", minutes=10)
        commands.extend(incident, 60, by="ann")
        until = commands.extend(incident, 60, by="ann").expires_at
        assert until <= as_text(expiry(utc_now(), 60))

    def test_fails_when_it_would_last_longer_than_a_capture_may(self, site: Site) -> None:
        incident = opened("i-0123456789abcdef0", minutes=60)
        now = utc_now()
        # Begun 23 hours ago, and extended until an hour from now less some seconds.
        times = {"then": as_text(now - timedelta(hours=23)), "until": as_text(now + timedelta(minutes=50))}
        captures_since(incident, **times)
        for minutes in (1440, 61):
            with pytest.raises(
                Conflict, match=f"may last until {as_text(now + timedelta(hours=1))}, 1440 minutes after"
            ):
                commands.extend(incident, minutes, by="ann")
        assert item(incident)["expires_at"] == times["until"]
        assert [entry["what"] for entry in incidents.timeline(incident)] == ["opened"]
        assert commands.extend(incident, 55, by="ann").expires_at >= as_text(now + timedelta(minutes=55))
        # What it lasts anyway is no extension.
        assert commands.extend(incident, 5, by="ann").expires_at >= as_text(now + timedelta(minutes=55))

    @pytest.mark.parametrize(
        ("left", "advice"), [(30, "extend it by at most (30|29) minutes from now"), (0, "open another incident")]
    )
    def test_fails_with_what_is_possible_when_it_would_last_too_long(self, site: Site, left: int, advice: str) -> None:
        incident = opened("i-0123456789abcdef0", minutes=60)
        began_at = utc_now() - timedelta(minutes=1440 - left)
        times = {"then": as_text(began_at), "until": as_text(utc_now() + timedelta(minutes=min(left, 10)))}
        captures_since(incident, **times)
        with pytest.raises(Conflict, match=rf"captures until {times['until']}; .*\(capture\.max_minutes\): {advice}$"):
            commands.extend(incident, 60, by="ann")

    def test_when_an_incident_of_before_lasts_longer_already_then_it_stays_so(self, site: Site) -> None:
        incident = opened("i-0123456789abcdef0", minutes=60)
        until = as_text(utc_now() + timedelta(days=7))
        change(incident, "SET expires_at = :until", until=until)
        assert commands.extend(incident, 1440, by="ann").expires_at == until

    def test_fails_when_it_closes(self, site: Site) -> None:
        incident = opened("i-0123456789abcdef0")
        commands.close(incident, by="ann")
        with pytest.raises(Conflict, match=f"incident {incident} is closing: its capture cannot be extended any more"):
            commands.extend(incident, 60, by="ann")

    def test_fails_when_there_is_no_such_incident(self, site: Site) -> None:
        with pytest.raises(UnknownIncident, match="there is no incident inc-20260101T000000-aaaaaaaa"):
            commands.extend("inc-20260101T000000-aaaaaaaa", 60, by="ann")
        with pytest.raises(UnknownIncident, match="there is no incident inc-20260101T000000-aaaaaaaa"):
            commands.close("inc-20260101T000000-aaaaaaaa", by="ann")


class TestEnd:
    def test_when_it_is_closed_then_one_notification_and_one_event_are_published(self, site: Site) -> None:
        instance, interface = site.instance()
        session = site.session_of_others(interface)
        incident = prepared(instance)
        appliance_steps.ensure(incident)
        capture_steps.start(incident)
        incident_steps.notify(incident)
        capture_steps.stop(incident)
        for _ in range(2):
            assert incident_steps.close(incident, "expired") == {}
        subjects = [message["Subject"] for message in site.messages()]
        assert subjects == [
            f"[tapstack frankfurt] medium {incident}: mirroring started",
            f"[tapstack frankfurt] medium {incident}: closed",
        ]
        first = site.messages()[0]["Message"]
        assert "https://10.0.0.9" in first
        # No packet was seen yet; and another session takes some.
        assert first.startswith(f"Traffic mirror sessions of {instance} exist until ")
        assert f": packets that the filter of {session} (number 1) accepts go to its target only" in first
        assert f"tapstack incident close {incident}" in first
        assert [event["what"] for event in site.events("Tapstack Incident")] == ["capturing", "closed"]
        now = item(incident)
        assert (now["state"], now["listing"], now["closed_because"]) == ("closed", "closed", "expired")
        assert now["ttl"] > 0
        assert [event["what"] for event in incidents.timeline(incident)] == [
            "opened",
            "capturing",
            "closing",
            "closed",
        ]

    def test_when_it_fails_then_what_is_in_place_and_how_to_undo_it_is_reported(self, launching: Site) -> None:
        instance, interface = launching.instance()
        incident = prepared(instance)
        appliance_steps.ensure(incident)
        appliance_steps.ensure(incident)
        capture_steps.start(incident)
        cause = '{"errorMessage": "it broke", "errorType": "X"}'
        for _ in range(2):
            incident_steps.fail(incident, "NothingMirrored", cause)
        now = item(incident)
        [session] = launching.ours()
        assert now["state"] == "failed"
        assert now["listing"] == "open"
        assert now["in_place"] == [
            f"traffic mirror session {session['TrafficMirrorSessionId']} on {interface}",
            "CloudFormation stack tap-frankfurt-epb, which is ready",
        ]
        assert now["undo"] == f"tapstack incident close {incident}"
        [message] = launching.messages()
        assert "NothingMirrored: it broke" in message["Message"]
        # Closing starts one execution, however often it is asked for.
        for _ in range(3):
            commands.close(incident, by="ann")
        started = launching.account.recorder.records(service="states", action="StartExecution")
        assert {record.call.parameters["name"] for record in started[1:]} == {f"{incident}-close-1"}
        # Which does this.
        capture_steps.stop(incident)
        incident_steps.close(incident)
        assert appliance_steps.release(incident)["retire"]
        appliance_steps.retire(incident)
        assert launching.sessions() == []
        assert item(incident)["in_place"] == []

    def test_when_a_step_after_closing_fails_then_it_stays_closed_and_a_notification_is_published(
        self, site: Site
    ) -> None:
        incident = opened("i-0123456789abcdef0")
        incident_steps.close(incident, "closed")
        incident_steps.fail(incident, "ApplianceFailed", "stack x cannot be deleted")
        assert item(incident)["state"] == "closed"
        assert site.messages()[-1]["Subject"].endswith("closed, appliance not deleted")

    @pytest.mark.parametrize("action", ["Publish", "PutEvents", "TransactWriteItems", "UpdateItem", "GetItem"])
    def test_when_a_call_of_close_fails_once_then_it_is_closed(self, site: Site, action: str) -> None:
        for kind in KINDS:
            incident = opened("i-0123456789abcdef0")
            site.account.faults.add(Fault(action, kind))
            incident_steps.close(incident, "closed")
            site.account.faults.clear()
            assert item(incident)["state"] == "closed"


@pytest.fixture
def topics(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Those that are notified: the second one was deleted."""
    arns = [f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:{name}" for name in ("tap-notices", "deleted", "tap-pager")]
    site.client("sns").create_topic(Name="tap-pager")
    monkeypatch.setenv("TAPSTACK_TOPIC_ARN", ",".join(arns))
    environment.cache_clear()
    return arns


def notifies(monkeypatch: pytest.MonkeyPatch, *arns: str) -> None:
    """Deploy with these topics, a while after what was notified before."""
    monkeypatch.setattr(notifications, "READDRESSED_AFTER", timedelta(0))
    monkeypatch.setenv("TAPSTACK_TOPIC_ARN", ",".join(arns))
    environment.cache_clear()


def taken(site: Site) -> list[tuple[str, str]]:
    """Which topic took which notification."""
    records = site.account.recorder.records(service="sns", action="Publish")
    asked = [record.call.parameters for record in records if record.status == 200]
    return [(one["TopicArn"], one["Message"]) for one in asked]


def capturing(site: Site) -> str:
    incident = prepared(site.instance()[0])
    capture_steps.start(incident)
    return incident


class TestATopicThatRefuses:
    def test_when_it_takes_notifications_again_then_it_gets_them_and_no_other_does(
        self, site: Site, topics: list[str]
    ) -> None:
        incident = capturing(site)
        for _ in range(2):
            incident_steps.notify(incident)
        assert [topic for topic, _ in taken(site)] == [topics[0], topics[2]]
        refused = f"{topics[1]}: NotFound: 'Endpoint does not exist'"
        for _ in range(2):
            assert sweep().problems == [refused]
        site.client("sns").create_topic(Name="deleted")
        report = sweep()
        [line] = report.delivered
        assert line.startswith(f"[tapstack frankfurt] medium {incident}: mirroring started: to {topics[1]}, since 20")
        assert sweep().delivered == []
        assert [topic for topic, _ in taken(site)] == [topics[0], topics[2], topics[1]]
        late, on_time = taken(site)[2][1], taken(site)[0][1]
        assert late.startswith("This notification is of 20")
        assert late.endswith(f"\n\n{on_time}")

    def test_when_it_is_taken_out_and_the_right_one_added_later_then_that_gets_what_was_kept(
        self, site: Site, topics: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        incident_steps.notify(capturing(site))
        [kept] = undelivered.listed()
        notifies(monkeypatch, topics[0], topics[2])
        capsys.readouterr()
        for _ in range(2):
            assert sweep().problems == [
                f"{topics[1]}, which is not notified any more: 1 notification waits for a topic in its place, until "
                f"{kept.until}"
            ]
            # For the alarm, which lasts until a topic takes it.
            assert capsys.readouterr().out.count('"NotificationsUndelivered":[1.0]') == 1
        right = topics[1].replace(":deleted", ":responders")
        site.client("sns").create_topic(Name="responders")
        notifies(monkeypatch, topics[0], right, topics[2])
        assert len(sweep().delivered) == 1
        assert [topic for topic, _ in taken(site)] == [topics[0], topics[2], right]
        assert (list(undelivered.listed()), sweep().problems) == ([], [])

    def test_when_a_sweep_does_not_know_the_topic_yet_then_it_stays_for_that_topic(
        self, site: Site, topics: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident_steps.notify(capturing(site))
        # The functions are not deployed at one moment: this sweep still knows the topics of before.
        before = [topics[0], topics[1].replace(":deleted", ":before"), topics[2]]
        monkeypatch.setenv("TAPSTACK_TOPIC_ARN", ",".join(before))
        environment.cache_clear()
        assert sweep().problems == []
        [kept] = undelivered.listed()
        assert kept.destination == topics[1]

    def test_when_its_arn_is_mended_then_the_right_topic_gets_what_was_kept_and_no_other_gets_it_twice(
        self, site: Site, topics: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident = capturing(site)
        incident_steps.notify(incident)
        mended = topics[1].replace(":deleted", ":responders")
        notifies(monkeypatch, topics[0], mended, topics[2])
        # It is not there yet either, and then it is.
        assert sweep().problems == [f"{mended}: NotFound: 'Endpoint does not exist'"]
        site.client("sns").create_topic(Name="responders")
        [line] = sweep().delivered
        assert line.startswith(f"[tapstack frankfurt] medium {incident}: mirroring started: to {mended}, since 20")
        assert [topic for topic, _ in taken(site)] == [topics[0], topics[2], mended]
        assert taken(site)[2][1].startswith("This notification is of 20")
        assert sweep().delivered == []

    def test_when_an_earlier_version_kept_it_then_it_is_delivered_all_the_same(
        self, site: Site, topics: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident_steps.notify(capturing(site))
        site.account.faults.add(Fault("PutEvents", "server error", times=2))
        notifications.emit("Tapstack Finding", {"finding": "f"})
        kept = list(undelivered.listed())
        for one in kept:
            table.change(undelivered_key(one.destination, one.subject, one.text), "REMOVE topics")
        mended = topics[1].replace(":deleted", ":responders")
        site.client("sns").create_topic(Name="responders")
        notifies(monkeypatch, topics[0], mended, topics[2])
        report = sweep()
        # Which topics took it is not known: each gets it.
        assert (len(kept), len(report.delivered), report.problems) == (2, 4, [])
        assert [topic for topic, _ in taken(site)].count(mended) == 1

    def test_when_a_wrong_arn_is_undone_then_the_topic_of_before_gets_what_was_kept(
        self, site: Site, topics: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident_steps.notify(capturing(site))
        notifies(monkeypatch, topics[0], topics[1].replace(":deleted", ":delted"), topics[2])
        assert len(sweep().problems) == 1
        site.client("sns").create_topic(Name="deleted")
        notifies(monkeypatch, *topics)
        assert len(sweep().delivered) == 1
        assert [topic for topic, _ in taken(site)] == [topics[0], topics[2], topics[1]]

    def test_when_two_are_replaced_by_one_then_it_gets_each_notification_once(
        self, site: Site, topics: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site.client("sns").delete_topic(TopicArn=topics[2])
        incident_steps.notify(capturing(site))
        site.client("sns").create_topic(Name="responders")
        new = topics[1].replace(":deleted", ":responders")
        notifies(monkeypatch, topics[0], new)
        assert len(sweep().delivered) == 1
        assert [topic for topic, _ in taken(site)] == [topics[0], new]

    def test_when_it_refuses_for_a_week_then_it_gets_nothing_of_before(
        self, site: Site, topics: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident_steps.notify(capturing(site))
        [kept] = undelivered.listed()
        assert kept.destination == topics[1]
        later = utc_now() + lifetimes.UNDELIVERED
        monkeypatch.setattr(lifetimes, "utc_now", lambda: later)
        assert list(undelivered.listed()) == []

    def test_when_many_wait_then_it_is_asked_once_in_a_sweep(self, site: Site, topics: list[str]) -> None:
        for _ in range(3):
            incident_steps.notify(capturing(site))
        site.account.recorder.clear()
        assert len(sweep().problems) == 1
        asked = site.account.recorder.records(service="sns", action="Publish")
        assert [record.call.parameters["TopicArn"] for record in asked] == [topics[1]]

    @pytest.mark.parametrize(
        "step",
        [
            incident_steps.notify,
            incident_steps.close,
            lambda incident: incident_steps.fail(incident, "NothingMirrored", "no"),
        ],
    )
    def test_when_it_is_the_only_one_then_no_step_fails(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, step: Callable[[str], dict[str, Any]]
    ) -> None:
        monkeypatch.setenv("TAPSTACK_TOPIC_ARN", f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:deleted")
        environment.cache_clear()
        step(capturing(site))
        site.client("sns").create_topic(Name="deleted")
        assert len(sweep().delivered) == 1
        assert len(taken(site)) == 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_when_one_does_not_answer_for_long_then_it_is_tried_again_and_then_left_to_the_sweeper(
    site: Site, topics: list[str], monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    site.client("sns").create_topic(Name="deleted")
    incident = capturing(site)
    real = notifications._deliver

    def deliver(one: Undelivered) -> None:
        if one.destination == [*topics[:2], "default"][place]:
            raise TryAgain("no answer")
        real(one)

    with monkeypatch.context() as patched:
        patched.setattr(notifications, "_deliver", deliver)
        for _ in range(notifications.TRIED_AGAIN):
            with pytest.raises(TryAgain):
                incident_steps.notify(incident)
            assert list(undelivered.listed()) == []
        for _ in range(2):
            incident_steps.notify(incident)
    # Below what the workflow retries.
    assert states._retries()[1]["MaxAttempts"] > notifications.TRIED_AGAIN
    assert len(sweep().delivered) == 1
    assert sorted(topic for topic, _ in taken(site)) == sorted(topics)
    assert [event["what"] for event in site.events("Tapstack Incident")] == ["capturing"]


def test_when_one_answers_again_then_the_next_try_delivers_to_it_alone(site: Site, topics: list[str]) -> None:
    site.client("sns").create_topic(Name="deleted")
    incident = capturing(site)
    site.account.faults.add(Fault("PutEvents", "server error", times=2))
    with pytest.raises(ClientError):
        incident_steps.notify(incident)
    for _ in range(2):
        incident_steps.notify(incident)
    assert sorted(topic for topic, _ in taken(site)) == sorted(topics)
    assert sweep().delivered == []


@pytest.mark.parametrize("error", [TryAgain("no answer"), ClientError({"Error": {"Code": "NotFound"}}, "Publish")])
@pytest.mark.parametrize("tries", [0, notifications.TRIED_AGAIN])
def test_when_another_function_publishes_meanwhile_then_nothing_is_left_to_the_sweeper(
    site: Site, topics: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int
) -> None:
    site.client("sns").create_topic(Name="deleted")
    incident = capturing(site)
    real, first = notifications._deliver, [True]

    def deliver(one: Undelivered) -> None:
        if one.destination == "default" and first:
            first.clear()
            incident_steps.notify(incident)
            raise error
        real(one)

    monkeypatch.setattr(notifications, "_deliver", deliver)
    incident_steps.notify(incident, tries=tries)
    assert list(undelivered.listed()) == []
    assert [event["what"] for event in site.events("Tapstack Incident")] == ["capturing"]


def test_when_an_event_is_delivered_late_then_it_has_the_time_that_it_is_of(
    site: Site, topics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    then = utc_now() - timedelta(hours=3)
    monkeypatch.setattr(undelivered, "utc_now", lambda: then)
    site.account.faults.add(Fault("PutEvents", "server error", times=2))
    notifications.emit("Tapstack Finding", {"finding": "f"})
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:subscriber"
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": arn}]}
    made = site.client("sqs").create_queue(QueueName="subscriber", Attributes={"Policy": json.dumps(policy)})
    site.client("events").put_rule(Name="all", EventPattern='{"source": ["tapstack"]}')
    site.client("events").put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": arn}])
    assert sweep().delivered == [f"Tapstack Finding: to default, since {as_text(then)}"]
    received = site.client("sqs").receive_message(QueueUrl=made["QueueUrl"], MaxNumberOfMessages=10)["Messages"]
    times = {event["detail-type"]: event["time"] for event in (json.loads(one["Body"]) for one in received)}
    assert times["Tapstack Finding"] == as_text(then)
    assert times["Tapstack Sweep"] > as_text(then)
