"""What all others missed is put right, and nothing of others is touched."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from strictmoto.faults import Fault
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import as_text, utc_now
from tapstack.responder.appliance import stacks
from tapstack.responder.appliance import steps as appliance_steps
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.capture.interfaces import prepare
from tapstack.responder.errors import ApplianceFailed
from tapstack.responder.handlers import sweeper
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.outbound import executions
from tapstack.responder.store import appliance as stored
from tapstack.responder.store import captures
from tapstack.responder.sweeper import START_WITHIN, Report, sweep
from tests.responder.conftest import Site, change, configure, interfaces_of, item, opened, prepared


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> set[bool]:
    """Whether executions still run: put True or False into it."""
    answers = {True}
    monkeypatch.setattr(executions, "is_running", lambda _: True in answers)
    return answers


def capturing_incident(site: Site) -> tuple[str, str]:
    instance, interface = site.instance()
    incident = prepared(instance)
    capture_steps.start(incident)
    return incident, interface


def test_when_all_is_well_then_nothing_is_changed_and_nothing_is_published(site: Site, running: set[bool]) -> None:
    _, interface = capturing_incident(site)
    site.session_of_others(interface, 5)
    report = sweep()
    assert not any(report.as_dict().values())
    assert site.events("Tapstack Sweep") == []
    assert len(site.sessions()) == 2


def test_when_the_incident_is_closed_then_its_sessions_end(site: Site, running: set[bool]) -> None:
    incident, interface = capturing_incident(site)
    theirs = site.session_of_others(interface, 5)
    [session] = site.ours()
    incident_steps.close(incident, "closed")
    report = sweep()
    assert report.deleted == [f"{session['TrafficMirrorSessionId']} on {interface}"]
    assert [s["TrafficMirrorSessionId"] for s in site.sessions()] == [theirs]
    assert site.events("Tapstack Sweep")[0]["deleted"] == report.deleted
    assert not any(sweep().as_dict().values())


def test_when_one_of_two_holders_is_closed_then_the_session_stays(site: Site, running: set[bool]) -> None:
    instance, interface = site.instance()
    first, second = prepared(instance), prepared(instance)
    capture_steps.start(first)
    capture_steps.start(second)
    incident_steps.close(first, "closed")
    sweep()
    assert len(site.ours()) == 1
    held = captures.get(interface)
    assert held is not None
    assert held.holders == {second}


def test_when_the_target_was_replaced_then_sessions_are_sent_to_the_new_one(
    site: Site, running: set[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    incident, interface = capturing_incident(site)
    appliance_steps.ensure(incident)
    theirs = site.session_of_others(interface, 5)
    existing = {**site.settings["appliance"]["existing"], "target_id": site.target(), "filter_id": site.mirror_filter()}
    configure(monkeypatch, site, {"existing": existing})
    assert len(sweep().retargeted) == 1
    [session] = site.ours()
    assert session["TrafficMirrorTargetId"] == existing["target_id"]
    assert session["TrafficMirrorFilterId"] == existing["filter_id"]
    [others] = [s for s in site.sessions() if s["TrafficMirrorSessionId"] == theirs]
    assert others["TrafficMirrorTargetId"] == site.others_target
    assert site.messages() == []


def test_when_a_function_was_killed_while_a_capture_ended_then_it_is_ended(site: Site, running: set[bool]) -> None:
    incident, interface = capturing_incident(site)
    ended = captures.release(interface, [incident])
    assert ended is not None
    assert ended.ending
    sweep()
    assert site.ours() == []
    held = captures.get(interface)
    assert held is not None
    assert not held.ending


def started_by_name(site: Site, name: str) -> list[dict[str, Any]]:
    calls = site.account.recorder.records(service="states", action="StartExecution")
    return [one.call.parameters for one in calls if one.call.parameters["name"] == name]


class TestExecutions:
    def test_when_an_execution_died_then_another_closes_the_incident(self, site: Site, running: set[bool]) -> None:
        incident, _ = capturing_incident(site)
        running.clear()
        assert sweep().started == [f"{incident}: its execution had ended"]
        started = site.account.recorder.records(service="states", action="StartExecution")
        assert started[-1].call.parameters["name"] == f"{incident}-close-1"
        running.add(True)
        assert sweep().started == []

    def test_when_an_incident_has_no_execution_then_it_gets_one(self, site: Site, running: set[bool]) -> None:
        incident = opened("i-0123456789abcdef0")
        change(incident, "SET opened_at = :then REMOVE execution_arn, execution_arns", then="2026-01-01T00:00:00Z")
        assert sweep().started == [f"{incident}: it had no execution"]
        assert item(incident)["execution_arn"].endswith(f":{incident}")

    def test_when_its_minutes_are_over_before_it_has_an_execution_then_it_captures_for_all_of_them(
        self, site: Site, running: set[bool]
    ) -> None:
        instance, interface = site.instance()
        incident = opened(instance, minutes=10)
        change(
            incident,
            "SET opened_at = :then, expires_at = :past REMOVE execution_arn, execution_arns",
            then=as_text(utc_now() - timedelta(minutes=16)),
            past=as_text(utc_now() - timedelta(minutes=6)),
        )
        site.account.recorder.clear()
        assert sweep().started == [f"{incident}: it had no execution"]
        [started] = started_by_name(site, incident)
        assert json.loads(started["input"])["task"] == "capture"
        prepare(incident)
        capture_steps.start(incident)
        assert interfaces_of(incident)[interface]["state"] == "mirrored"
        assert sweep().started == []
        assert 540 < incident_steps.remaining(incident)["seconds"] <= 600

    def test_when_it_is_to_close_before_it_has_an_execution_then_nothing_is_mirrored(
        self, site: Site, running: set[bool]
    ) -> None:
        incident = opened(site.instance()[0])
        change(
            incident,
            "SET opened_at = :then, close_requested = :yes REMOVE execution_arn, execution_arns",
            then="2026-01-01T00:00:00Z",
            yes=True,
        )
        assert sweep().started == [f"{incident}: it had no execution"]
        [started] = started_by_name(site, f"{incident}-close-0")
        assert json.loads(started["input"])["task"] == "close"

    def test_when_an_incident_failed_then_it_is_left_alone_until_it_expires(
        self, site: Site, running: set[bool]
    ) -> None:
        incident, _ = capturing_incident(site)
        incident_steps.fail(incident, "X", "y")
        running.clear()
        assert sweep().started == []
        assert len(site.ours()) == 1
        change(incident, "SET expires_at = :past", past="2026-01-01T00:00:00Z")
        assert len(sweep().started) == 1

    def test_when_it_runs_then_that_is_seen(self, site: Site) -> None:
        incident = opened("i-0123456789abcdef0")
        assert executions.is_running(item(incident)["execution_arn"]) is True
        assert executions.is_running(f"{site.state_machine_arn.replace('stateMachine', 'execution')}:nobody") is False


class TestAppliance:
    def test_when_no_incident_has_needed_the_appliance_for_long_then_it_is_retired(
        self, launching: Site, running: set[bool]
    ) -> None:
        incident = prepared(launching.instance()[0])
        appliance_steps.ensure(incident)
        appliance_steps.ensure(incident)
        capture_steps.start(incident)
        capture_steps.stop(incident)
        incident_steps.close(incident, "closed")
        # Its holder is closed, so it is let go; it goes when its time is over.
        assert sweep().appliance == [f"released for {incident}"]
        assert stacks.describe("tap-frankfurt-epb") is not None
        launching.client("dynamodb").update_item(
            TableName="tap-incidents",
            Key={"pk": {"S": "APPLIANCE"}, "sk": {"S": "APPLIANCE"}},
            UpdateExpression="SET released_at = :then",
            ExpressionAttributeValues={":then": {"N": "1000"}},
        )
        assert sweep().appliance == ["retired: gone"]
        assert stored.get().state == "absent"
        assert launching.sessions() == []

    def test_when_its_stack_could_not_be_deleted_then_that_is_a_problem_and_is_tried_again(
        self, launching: Site, running: set[bool]
    ) -> None:
        incident = prepared(launching.instance()[0])
        appliance_steps.ensure(incident)
        appliance_steps.ensure(incident)
        appliance_steps.release(incident)
        incident_steps.close(incident, "closed")
        now = stored.get()
        assert now.target_id is not None
        assert now.filter_id is not None
        theirs = launching.client("ec2").create_traffic_mirror_session(
            NetworkInterfaceId=launching.interface(),
            TrafficMirrorTargetId=now.target_id,
            TrafficMirrorFilterId=now.filter_id,
            SessionNumber=1,
        )["TrafficMirrorSession"]["TrafficMirrorSessionId"]
        assert appliance_steps.retire(incident) == {"status": "wait"}
        with pytest.raises(ApplianceFailed, match="cannot be deleted"):
            appliance_steps.retire(incident)
        assert "cannot be deleted" in sweep().problems[0]
        launching.client("ec2").delete_traffic_mirror_session(TrafficMirrorSessionId=theirs)
        # What it asks for now succeeds, and is seen by the next round.
        assert "cannot be deleted" in sweep().problems[0]
        assert sweep().appliance == ["retired: gone"]
        assert stacks.describe("tap-frankfurt-epb") is None

    def test_when_its_target_was_replaced_by_a_new_launch_then_sessions_are_sent_there(
        self, launching: Site, running: set[bool]
    ) -> None:
        incident = prepared(None, launching.interface(), launching.instance()[1])
        appliance_steps.ensure(incident)
        appliance_steps.ensure(incident)
        capture_steps.start(incident)
        target = launching.target()
        launching.client("dynamodb").update_item(
            TableName="tap-incidents",
            Key={"pk": {"S": "APPLIANCE"}, "sk": {"S": "APPLIANCE"}},
            UpdateExpression="SET target_id = :target",
            ExpressionAttributeValues={":target": {"S": target}},
        )
        assert len(sweep().retargeted) == 2
        assert {session["TrafficMirrorTargetId"] for session in launching.ours()} == {target}


def test_when_one_part_fails_then_the_others_are_done(
    site: Site, running: set[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    incident, _ = capturing_incident(site)
    incident_steps.close(incident, "closed")
    # An execution that cannot be started keeps nothing from being ended.
    other = opened("i-0123456789abcdef0")
    change(other, "SET opened_at = :then REMOVE execution_arn, execution_arns", then="2026-01-01T00:00:00Z")
    site.client("stepfunctions").delete_state_machine(stateMachineArn=site.state_machine_arn)
    report = sweep()
    assert len(report.problems) == 1
    assert report.problems[0].startswith("executions: ")
    assert site.ours() == []


def test_when_aws_does_not_answer_for_one_part_then_the_others_are_done(site: Site, running: set[bool]) -> None:
    incident, _ = capturing_incident(site)
    incident_steps.close(incident, "closed")
    # As often as a client tries; the sessions are looked for before the captures.
    site.account.faults.add(Fault("DescribeTrafficMirrorSessions", "lost before", times=4))
    report = sweep()
    assert [problem.partition(":")[0] for problem in report.problems] == ["sessions"]
    assert site.ours() == []


def test_when_a_part_has_a_defect_then_the_others_are_done_and_the_function_fails(
    site: Site,
    running: set[bool],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    incident, _ = capturing_incident(site)
    incident_steps.close(incident, "closed")
    # One item that another version wrote, or others changed, in the first part.
    other = opened("i-0123456789abcdef0")
    change(other, "SET opened_at = :then, expires_at = :then", then="soon")
    with pytest.raises(RuleViolation, match="'soon' is no time"):
        sweeper.handler({}, None)
    assert site.ours() == []
    said = capsys.readouterr().out
    assert '"Deleted":[1.0]' in said
    assert '"ApplianceHours":[0.0]' in said
    [swept] = [record.msg for record in caplog.records if "swept" in record.getMessage()]
    assert "executions: RuleViolation: 'soon' is no time" in str(swept)
    assert any("executions: RuleViolation" in line for line in site.events("Tapstack Sweep")[-1]["problems"])


def test_when_the_function_runs_then_its_metrics_say_what_it_did(
    site: Site, running: set[bool], capsys: pytest.CaptureFixture[str]
) -> None:
    incident, _ = capturing_incident(site)
    incident_steps.close(incident, "closed")
    assert sweeper.handler({}, None)["deleted"] == 1
    said = capsys.readouterr().out
    assert '"ApplianceHours":[0.0]' in said
    assert '"Deleted":[1.0]' in said


def test_when_the_bus_does_not_take_the_event_then_the_sweep_ends_all_the_same_and_leaves_none_to_the_next(
    site: Site, running: set[bool], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    incident, _ = capturing_incident(site)
    incident_steps.close(incident, "closed")
    site.account.faults.add(Fault("PutEvents", "server error", times=20))
    assert sweeper.handler({}, None)["problems"] >= 1
    said = capsys.readouterr().out
    assert '"ApplianceHours":[0.0]' in said
    assert '"Deleted":[1.0]' in said
    [swept] = [record.msg for record in caplog.records if "swept" in record.getMessage()]
    assert "event: InternalFailure" in str(swept)
    site.account.faults.clear()
    site.account.recorder.clear()
    sweep()
    assert all("deleted" not in event for event in site.events("Tapstack Sweep"))


class TestNotificationThatMirroringHasStarted:
    def test_when_the_step_failed_then_a_sweep_notifies_once(self, site: Site, running: set[bool]) -> None:
        incident, _ = capturing_incident(site)
        # The step may be about to notify.
        sweep()
        assert site.messages() == []
        began(incident, START_WITHIN)
        assert sweep().delivered == [f"{incident}: that mirroring has started"]
        assert sweep().delivered == []
        assert [one["Subject"].partition(": ")[2] for one in site.messages()] == ["mirroring started"]

    def test_when_the_topic_does_not_answer_the_sweep_then_it_is_kept_at_once(
        self, site: Site, running: set[bool]
    ) -> None:
        incident, _ = capturing_incident(site)
        began(incident, START_WITHIN)
        # As often as a client tries: it is delivered later in the same sweep.
        site.account.faults.add(Fault("Publish", "server error", times=2))
        report = sweep()
        assert (report.problems, len(report.delivered)) == ([], 2)
        assert site.messages()[-1]["Message"].startswith("This notification is of ")

    @pytest.mark.parametrize("state", ["notified", "notified by an earlier version", "closing", "failed"])
    def test_when_it_is_not_due_then_no_sweep_notifies(self, site: Site, running: set[bool], state: str) -> None:
        incident, _ = capturing_incident(site)
        began(incident, START_WITHIN)
        match state:
            case "notified":
                incident_steps.notify(incident)
            case "closing":
                change(incident, "SET close_requested = :yes", yes=True)
            case "failed":
                incident_steps.fail(incident, "NothingMirrored", "no")
            case _:
                change(incident, "ADD told :marks", marks={"capturing"})
        site.account.recorder.clear()
        sweep()
        assert site.messages() == []


def began(incident: str, ago: timedelta) -> None:
    change(incident, "SET packets.since = :then", then=as_text(utc_now() - ago))


def test_when_a_sweep_corrected_more_than_an_event_holds_then_the_event_says_how_much_is_left_out() -> None:
    report = Report(deleted=["tms-" + "0" * 1000] * 200, problems=["x"])
    event = report.as_event()
    assert len(json.dumps(event)) < 140_000
    assert 100 < len(event["deleted"]) == 201 - event["left_out"]
    assert event["problems"] == []
