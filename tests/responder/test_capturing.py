"""Mirroring starts, is shared, and stops."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from strictmoto.faults import Fault, Kind
from tapstack.domain.callers import POLICY
from tapstack.domain.incidents import (
    TAG_DEPLOYMENT,
    TAG_EXPIRES,
    TAG_INCIDENT,
    TAG_SITE,
    as_text,
    as_time,
    expiry,
    read_request,
    utc_now,
)
from tapstack.responder.capture import sessions
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.capture.interfaces import prepare
from tapstack.responder.errors import NothingMirrored, TryAgain
from tapstack.responder.incident import commands, joining, opening
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.store import captures, incidents
from tapstack.responder.sweeper import sweep
from tests.responder.conftest import Site, change, configure, interfaces_of, item, opened, our_tags, prepared, tags
from tests.unit.cli import incidents as sample


class TestStart:
    def test_when_an_instance_has_several_interfaces_then_each_is_mirrored(self, site: Site) -> None:
        instance, first = site.instance()
        second = site.attach(instance)
        incident = prepared(instance)
        assert capture_steps.start(incident) == {"mirrored": 2, "refused": 0}
        by_interface = {session["NetworkInterfaceId"]: session for session in site.sessions()}
        assert set(by_interface) == {first, second}
        assert tags(by_interface[first]) == {
            "Name": f"{incident} {first}",
            TAG_INCIDENT: incident,
            TAG_EXPIRES: item(incident)["expires_at"],
            TAG_DEPLOYMENT: "tap",
            TAG_SITE: "frankfurt",
        }
        assert item(incident)["state"] == "capturing"
        assert interfaces_of(incident)[first] == {
            "network_interface_id": first,
            "state": "mirrored",
            "session_id": by_interface[first]["TrafficMirrorSessionId"],
            "session_number": 1,
            "owned": True,
            "note": "",
        }

    @pytest.mark.parametrize(
        ("minutes", "meanwhile", "lasts"),
        [
            (10, [], 10),
            # As long as any capture may last: that counts from its first session, too.
            (1440, [], 1440),
            (10, [(1, "joined", 10), (13, "joined", 5)], 10),
            (10, [(11, "joined", 30)], 30),
            (60, [(5, "extended", 60)], 60),
            (10, [(5, "extended", 1440), (13, "extended", 5)], 1440),
        ],
    )
    def test_when_it_waited_for_an_appliance_then_its_minutes_count_from_the_first_session(
        self,
        site: Site,
        monkeypatch: pytest.MonkeyPatch,
        minutes: int,
        meanwhile: list[tuple[int, str, int]],
        lasts: int,
    ) -> None:
        opened_at = as_time("2026-01-02T03:04:05Z")
        clock = [opened_at]
        for module in (incidents, joining, commands, capture_steps):
            monkeypatch.setattr(module, "utc_now", lambda: clock[0])
        instance, interface = site.instance()
        incident = prepared(instance, minutes=minutes, alert_id="a")
        for number, (later, what, requested) in enumerate(meanwhile):
            clock[0] = expiry(opened_at, later)
            if what == "joined":
                # Also after the time at which it would have ended.
                assert opened(instance, minutes=requested, alert_id=f"b{number}") == incident
            else:
                commands.extend(incident, requested, by="ann")
        assert incidents.shown(incidents.get(incident))["minutes"] == lasts
        for later in (15, 20):
            clock[0] = expiry(opened_at, later)
            capture_steps.start(incident)
            assert item(incident)["expires_at"] == as_text(expiry(opened_at, 15 + lasts))
        [session] = site.ours(interface)
        assert tags(session)[TAG_EXPIRES] == item(incident)["expires_at"]

    def test_when_it_is_joined_at_the_moment_in_which_it_starts_then_it_lasts_as_long_as_both_want(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance, _ = site.instance()
        incident = prepared(instance, minutes=30, alert_id="a")
        change(incident, "SET opened_at = :past, expires_at = :past", past="2026-01-02T03:04:05Z")
        extend = incidents.extend

        def joined_meanwhile(*given: Any) -> incidents.Incident | None:
            monkeypatch.setattr(incidents, "extend", extend)
            opened(instance, minutes=60, alert_id="b")
            return extend(*given)

        monkeypatch.setattr(incidents, "extend", joined_meanwhile)
        before = utc_now()
        capture_steps.start(incident)
        assert as_time(item(incident)["expires_at"]) >= expiry(before, 60)

    def test_when_a_client_token_is_used_up_and_its_session_gone_then_the_next_one_is_taken(self, site: Site) -> None:
        instance, interface = site.instance()
        incident = prepared(instance)
        capture = captures.acquire(interface, incident)
        assert capture is not None
        assert site.others_target
        gone = sessions.create(
            capture,
            incident_id="inc-20260101t000000-00000001",
            expires_at="2026-01-01T00:00:00Z",
            target_id=site.settings["appliance"]["existing"]["target_id"],
            filter_id=site.settings["appliance"]["existing"]["filter_id"],
            number=1,
        )["TrafficMirrorSessionId"]
        site.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=gone)
        assert capture_steps.start(incident) == {"mirrored": 1, "refused": 0}
        [session] = site.sessions(interface)
        assert interfaces_of(incident)[interface]["session_id"] == session["TrafficMirrorSessionId"]

    def test_when_others_have_sessions_then_the_first_free_number_is_taken(self, site: Site) -> None:
        instance, interface = site.instance()
        theirs = [site.session_of_others(interface, number) for number in (1, 3)]
        capture_steps.start(prepared(instance))
        numbers = {s["TrafficMirrorSessionId"]: s["SessionNumber"] for s in site.sessions(interface)}
        assert sorted(numbers.values()) == [1, 2, 3]
        assert set(theirs) < set(numbers)

    def test_when_some_interfaces_are_full_then_the_others_are_mirrored(self, site: Site) -> None:
        instance, full = site.instance()
        free = site.attach(instance)
        theirs = [site.session_of_others(full, number) for number in (1, 2, 3)]
        incident = prepared(instance)
        assert capture_steps.start(incident) == {"mirrored": 1, "refused": 1}
        assert interfaces_of(incident)[full]["note"].startswith("it is in 3 other mirror sessions already")
        assert interfaces_of(incident)[free]["state"] == "mirrored"
        held = captures.get(full)
        assert held is not None
        assert (held.holders, held.ending) == (frozenset(), False)
        # The page and the tests of the command line show what is written here.
        shown = sample.incident()
        assert [entry["note"] for entry in shown["interfaces"] if entry["state"] == "waiting"] == [
            interfaces_of(incident)[full]["note"]
        ]
        kept = incidents.timeline(incident)
        assert [
            (entry["what"], entry["by"] if entry["by"] != shown["opened_by"] else "ann") for entry in shown["timeline"]
        ] == [
            ("opened", "ann"),
            ("capturing", "capture"),
        ]
        assert [entry["what"] for entry in kept] == ["opened", "capturing"]
        assert kept[0]["by"] == item(incident)["opened_by"]
        assert kept[0]["detail"] == item(incident)["reason"]
        assert shown["timeline"][0]["detail"] == shown["reason"]
        assert (kept[1]["by"], kept[1]["detail"]) == ("capture", shown["timeline"][1]["detail"])
        # Each sweep tries it again.
        for session in theirs:
            site.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)
        assert [line for line in sweep().places if full in line]
        assert interfaces_of(incident)[full]["state"] == "mirrored"

    def test_when_some_cannot_be_mirrored_then_the_notification_says_which_and_why(self, site: Site) -> None:
        (_, good), (_, old) = site.instance(), site.instance("t2.micro")
        incident = prepared(None, good, old)
        assert capture_steps.start(incident) == {"mirrored": 1, "refused": 1}
        incident_steps.notify(incident)
        [mail] = [one["Message"] for one in site.messages() if one["Subject"].endswith(": mirroring started")]
        entry = interfaces_of(incident)[old]
        assert entry["state"] == "refused"
        assert "t2.micro" in entry["note"]
        assert f"\n\nNot mirrored:\n  {old}: {entry['note']}\n\n" in mail
        assert "Not mirrored yet" not in mail

    def test_when_one_is_refused_and_others_fail_for_a_moment_then_the_next_attempt_tries_both(
        self, site: Site
    ) -> None:
        instance, full = site.instance()
        free = site.attach(instance)
        theirs = [site.session_of_others(full, number) for number in (1, 2, 3)]
        incident = prepared(instance)
        site.account.faults.add(Fault("CreateTrafficMirrorSession", "throttled", times=10))
        with pytest.raises(TryAgain):
            capture_steps.start(incident)
        site.account.faults.clear()
        for session in theirs:
            site.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)
        assert capture_steps.start(incident) == {"mirrored": 2, "refused": 0}
        assert {entry["state"] for entry in interfaces_of(incident).values()} == {"mirrored"}
        assert free in interfaces_of(incident)

    def test_fails_when_no_interface_is_mirrored(self, site: Site) -> None:
        instance, full = site.instance()
        for number in (1, 2, 3):
            site.session_of_others(full, number)
        incident = prepared(instance)
        with pytest.raises(NothingMirrored, match=f"{full}: it is in 3 other mirror sessions already"):
            capture_steps.start(incident)
        assert interfaces_of(incident)[full]["state"] == "refused"
        assert site.ours() == []

    def test_when_the_target_takes_no_more_sources_then_the_rest_is_refused(
        self, bare: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        existing = {"target_id": bare.target(), "filter_id": bare.mirror_filter(), "max_sources": 10}
        configure(monkeypatch, bare, {"existing": existing})
        incident = prepared(None, *(bare.interface() for _ in range(12)))
        assert capture_steps.start(incident) == {"mirrored": 10, "refused": 2}
        # One more of the same asks for those that are mirrored, and gets them.
        again = prepared(None, *list(interfaces_of(incident))[:10])
        assert capture_steps.start(again) == {"mirrored": 10, "refused": 0}
        assert len(bare.ours()) == 10

    def test_when_findings_take_all_sources_that_they_may_then_responders_have_theirs(
        self, bare: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        existing = {"target_id": bare.target(), "filter_id": bare.mirror_filter(), "max_sources": 10}
        configure(monkeypatch, bare, {"existing": existing}, reserved_sources=3)
        body = {"reason": "finding", "network_interface_ids": [bare.interface() for _ in range(9)]}
        request = read_request(body, minutes=60, max_minutes=1440)
        opened = opening.open_incident(request, source="guardduty", by=POLICY).incident
        assert opened is not None
        flood = opened.id
        prepare(flood)
        assert capture_steps.start(flood) == {"mirrored": 7, "refused": 2}
        notes = {entry["note"] for entry in interfaces_of(flood).values() if entry["state"] == "waiting"}
        assert notes == {
            "the target takes at most 10 distinct sources, and the last 3 are for captures that responders open "
            "(capture.reserved_sources)"
        }
        responders = prepared(None, *(bare.interface() for _ in range(4)))
        assert capture_steps.start(responders) == {"mirrored": 3, "refused": 1}
        assert [entry["state"] for entry in interfaces_of(responders).values()][3] == "waiting"

    def test_when_the_target_is_full_then_the_interfaces_that_wait_have_the_reason(
        self, bare: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        configure(monkeypatch, bare, {"existing": {"target_id": bare.target(), "filter_id": bare.mirror_filter()}})
        incident = prepared(None, *(bare.interface() for _ in range(12)))
        assert capture_steps.start(incident) == {"mirrored": 10, "refused": 2}
        notes = [entry["note"] for entry in interfaces_of(incident).values() if entry["state"] == "waiting"]
        assert [note.partition(":")[0] for note in notes] == [
            "the target takes at most 10 distinct sources, and has them"
        ] * 2

    def test_when_it_is_done_twice_then_nothing_more_is_made(self, site: Site) -> None:
        incident = prepared(site.instance()[0])
        first = capture_steps.start(incident)
        assert capture_steps.start(incident) == first
        assert len(site.ours()) == 1

    def test_when_an_incidents_session_was_deleted_by_hand_then_it_is_created_again(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident = prepared(site.instance()[0])
        capture_steps.start(incident)
        [session] = site.ours()
        site.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session["TrafficMirrorSessionId"])
        monkeypatch.setattr(sessions, "LATE_SECONDS", 0)
        capture_steps.start(incident)
        [again] = site.ours()
        assert again["TrafficMirrorSessionId"] != session["TrafficMirrorSessionId"]

    def test_when_ec2_does_not_show_a_session_yet_then_no_other_is_made(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance, _ = site.instance()
        capture_steps.start(prepared(instance))
        monkeypatch.setattr(sessions, "on_interfaces", lambda _: [])
        second = prepared(instance)
        assert capture_steps.start(second) == {"mirrored": 1, "refused": 0}
        assert len(site.ours()) == 1

    def test_when_the_function_was_killed_before_it_recorded_the_session_then_the_session_is_found_again(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident = prepared(site.instance()[0])

        def killed(*_: object) -> bool:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(captures, "record", killed)
            with pytest.raises(KeyboardInterrupt):
                capture_steps.start(incident)
        assert capture_steps.start(incident) == {"mirrored": 1, "refused": 0}
        assert len(site.ours()) == 1

    def test_when_the_capture_is_ending_then_that_is_finished_first(self, site: Site) -> None:
        instance, interface = site.instance()
        capture_steps.start(prepared(instance))
        before = captures.get(interface)
        assert before is not None
        # Its function was killed between the mark and the deletion.
        ended = captures.release(interface, before.holders)
        assert ended is not None
        assert ended.ending
        second = prepared(instance)
        assert capture_steps.start(second) == {"mirrored": 1, "refused": 0}
        [session] = site.ours()
        assert tags(session)[TAG_INCIDENT] == second
        assert session["TrafficMirrorSessionId"] != before.session_id

    def test_fails_when_the_incident_has_ended(self, site: Site) -> None:
        incident = prepared(site.instance()[0])
        capture_steps.stop(incident)
        with pytest.raises(NothingMirrored, match="the incident is closing"):
            capture_steps.start(incident)


class TestCalls:
    @pytest.mark.parametrize("count", [1, 10, pytest.param(100, marks=pytest.mark.long)])
    def test_when_interfaces_are_many_then_calls_are_at_most_four_more(self, site: Site, count: int) -> None:
        interfaces = [site.interface() for _ in range(count)]
        site.account.recorder.clear()
        incident = prepared(None, *interfaces)
        assert capture_steps.start(incident) == {"mirrored": count, "refused": 0}
        assert len(site.calls("ec2")) <= count + 4
        capture_steps.stop(incident)
        assert site.ours() == []

    def test_when_interfaces_belong_to_instances_and_sources_are_limited_then_calls_are_four_more(
        self, bare: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        existing = {"target_id": bare.target(), "filter_id": bare.mirror_filter(), "max_sources": 10}
        configure(monkeypatch, bare, {"existing": existing})
        interfaces = [bare.instance()[1] for _ in range(3)]
        bare.account.recorder.clear()
        capture_steps.start(prepared(None, *interfaces))
        assert bare.calls("ec2") == [
            "DescribeNetworkInterfaces",
            "DescribeInstances",
            "DescribeTrafficMirrorSessions",
            "DescribeTrafficMirrorSessions",
            *["CreateTrafficMirrorSession"] * 3,
        ]


class TestStop:
    def test_when_it_is_the_only_incident_then_its_sessions_go(self, site: Site) -> None:
        instance, interface = site.instance()
        theirs = site.session_of_others(interface)
        incident = prepared(instance)
        capture_steps.start(incident)
        assert capture_steps.stop(incident) == {"ended": 1}
        assert [session["TrafficMirrorSessionId"] for session in site.sessions(interface)] == [theirs]
        assert interfaces_of(incident)[interface]["state"] == "ended"
        assert item(incident)["state"] == "closing"

    def test_when_another_incident_holds_it_then_the_session_stays_and_names_that_one(self, site: Site) -> None:
        instance, interface = site.instance()
        first, second = prepared(instance), prepared(instance)
        capture_steps.start(first)
        capture_steps.start(second)
        [session] = site.ours(interface)
        capture_steps.stop(first)
        [still] = site.ours(interface)
        assert still["TrafficMirrorSessionId"] == session["TrafficMirrorSessionId"]
        assert tags(still)[TAG_INCIDENT] == second
        capture_steps.stop(second)
        assert site.ours() == []

    def test_when_it_is_done_twice_then_the_second_does_nothing(self, site: Site) -> None:
        incident = prepared(site.instance()[0])
        capture_steps.start(incident)
        capture_steps.stop(incident)
        site.account.recorder.clear()
        assert capture_steps.stop(incident) == {"ended": 0}
        assert "DeleteTrafficMirrorSession" not in site.calls("ec2")

    def test_when_nothing_was_ever_started_then_nothing_happens(self, site: Site) -> None:
        incident = prepared(site.instance()[0])
        assert capture_steps.stop(incident) == {"ended": 0}
        assert site.calls("ec2")[-1] != "DeleteTrafficMirrorSession"

    def test_when_the_source_is_deleted_meanwhile_then_it_ends_all_the_same(self, site: Site) -> None:
        interface = site.interface()
        incident = prepared(None, interface)
        capture_steps.start(incident)
        site.ec2.delete_network_interface(NetworkInterfaceId=interface)
        assert capture_steps.stop(incident) == {"ended": 1}
        held = captures.get(interface)
        assert held is not None
        assert not held.ending

    def test_when_ec2_shows_an_ended_session_for_longer_then_it_is_not_used(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance, _ = site.instance()
        first = prepared(instance)
        capture_steps.start(first)
        late = site.ours()
        capture_steps.stop(first)
        second = prepared(instance)
        monkeypatch.setattr(sessions, "on_interfaces", lambda _: late)
        assert capture_steps.start(second) == {"mirrored": 1, "refused": 0}
        [session] = site.ours()
        assert session["TrafficMirrorSessionId"] != late[0]["TrafficMirrorSessionId"]


def test_when_it_is_extended_then_the_sessions_say_until_when(site: Site) -> None:
    incident = prepared(site.instance()[0])
    capture_steps.start(incident)
    commands.extend(incident, 600, by="ann")
    assert capture_steps.extend(incident) == {"extended": 1}
    [session] = site.ours()
    assert tags(session)[TAG_EXPIRES] == item(incident)["expires_at"]


def test_when_a_session_is_gone_then_the_others_are_extended(site: Site) -> None:
    interfaces = [site.interface() for _ in range(3)]
    incident = prepared(None, *interfaces)
    capture_steps.start(incident)
    site.ec2.delete_network_interface(NetworkInterfaceId=interfaces[0])
    commands.extend(incident, 600, by="ann")
    capture_steps.extend(incident)
    until = item(incident)["expires_at"]
    assert [tags(session)[TAG_EXPIRES] for session in site.ours()] == [until, until]


# A server error is retried as throttling is, by the same code of botocore.
KINDS: tuple[Kind, ...] = ("throttled", "lost before", "lost after")


class TestFaults:
    @pytest.mark.parametrize(
        "action", ["DescribeTrafficMirrorSessions", "CreateTrafficMirrorSession", "UpdateItem", "TransactWriteItems"]
    )
    def test_when_a_call_of_start_fails_once_then_it_starts(self, site: Site, action: str) -> None:
        instance, _ = site.instance()
        for kind in KINDS:
            incident = prepared(instance)
            site.account.faults.add(Fault(action, kind))
            assert capture_steps.start(incident) == {"mirrored": 1, "refused": 0}
            site.account.faults.clear()
            assert len(site.ours()) == 1
            capture_steps.stop(incident)
            assert site.ours() == []

    @pytest.mark.parametrize(
        "action",
        ["DescribeTrafficMirrorSessions", "DeleteTrafficMirrorSession", "UpdateItem", "TransactWriteItems", "GetItem"],
    )
    def test_when_a_call_of_stop_fails_once_then_it_stops(self, site: Site, action: str) -> None:
        instance, _ = site.instance()
        for kind in KINDS:
            incident = prepared(instance)
            capture_steps.start(incident)
            site.account.faults.add(Fault(action, kind))
            assert capture_steps.stop(incident) == {"ended": 1}
            site.account.faults.clear()
            assert site.ours() == []
            assert item(incident)["state"] == "closing"

    def test_when_ec2_keeps_throttling_then_the_step_is_retried(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.sleep", lambda _: None)
        incident = prepared(site.instance()[0])
        site.account.faults.add(Fault("CreateTrafficMirrorSession", "throttled", call=0))
        with pytest.raises(TryAgain, match="RequestLimitExceeded"):
            capture_steps.start(incident)
        site.account.faults.clear()
        assert capture_steps.start(incident) == {"mirrored": 1, "refused": 0}
        assert len(site.ours()) == 1


def test_when_another_took_the_number_meanwhile_then_the_next_free_one_is_taken(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, interface = site.instance()
    incident = prepared(instance)
    site.session_of_others(interface, 1)
    real, asked = sessions.on_interfaces, []

    def late(interfaces: list[str]) -> list[dict[str, object]]:
        asked.append(interfaces)
        return [] if len(asked) == 1 else real(interfaces)

    monkeypatch.setattr(sessions, "on_interfaces", late)
    assert capture_steps.start(incident) == {"mirrored": 1, "refused": 0}
    assert interfaces_of(incident)[interface]["session_number"] == 2


@pytest.mark.long
def test_when_fifty_incidents_capture_one_interface_at_once_then_there_is_one_session_and_at_the_end_none(
    site: Site,
) -> None:
    instance, interface = site.instance()
    theirs = {site.session_of_others(interface, number) for number in (1, 2)}
    with ThreadPoolExecutor(50) as pool:
        storm = list(pool.map(lambda _: prepared(instance), range(50)))
        results = list(pool.map(capture_steps.start, storm))
    assert results == [{"mirrored": 1, "refused": 0}] * 50
    [session] = site.ours(interface)
    assert len(site.sessions(interface)) == 3
    held = captures.get(interface)
    assert held is not None
    assert held.holders == frozenset(storm)
    assert held.session_id == session["TrafficMirrorSessionId"]
    # Half of them close while others open.
    with ThreadPoolExecutor(50) as pool:
        closing = [pool.submit(capture_steps.stop, incident) for incident in storm[:25]]
        late = list(pool.map(lambda _: prepared(instance), range(5)))
        opening = [pool.submit(capture_steps.start, incident) for incident in late]
        assert all(future.result() for future in [*closing, *opening])
    assert len(site.ours(interface)) == 1
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(capture_steps.stop, [*storm[25:], *late]))
    assert {session["TrafficMirrorSessionId"] for session in site.sessions(interface)} == theirs
    assert max_sessions(site, interface) <= 3


def max_sessions(site: Site, interface: str) -> int:
    """How many sessions there ever were at once, by the calls that succeeded."""
    most = now = 0
    for record in site.account.recorder.records(service="ec2"):
        if record.status == 200 and record.call.action == "CreateTrafficMirrorSession":
            now += 1
        elif record.status == 200 and record.call.action == "DeleteTrafficMirrorSession":
            now -= 1
        most = max(most, now)
    return most


def test_when_a_session_has_the_tags_of_another_site_then_it_is_not_this_sites(site: Site) -> None:
    instance, interface = site.instance()
    [specification] = our_tags("inc-20260101T000000-aaaaaaaa")
    for tag in specification["Tags"]:
        if tag["Key"] == TAG_SITE:
            tag["Value"] = "paris"
    theirs = site.session_of_others(interface, 1, TagSpecifications=[specification])
    incident = prepared(instance)
    capture_steps.start(incident)
    assert len(site.sessions(interface)) == 2
    capture_steps.stop(incident)
    assert [session["TrafficMirrorSessionId"] for session in site.sessions(interface)] == [theirs]
