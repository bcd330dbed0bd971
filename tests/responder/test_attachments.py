"""Interfaces that are attached later are mirrored, and the timeline says what stops and starts leave of a capture."""

from __future__ import annotations

from datetime import timedelta

import pytest
from moto.ec2.models import ec2_backends

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.faults import Fault
from tapstack.domain.incidents import as_text, utc_now
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.store import incidents
from tapstack.responder.sweeper import sweep
from tests.responder.conftest import NOT_DELIVERED, Site, interfaces_of, prepared, swept_until_it_ends, unpublished

pytestmark = pytest.mark.usefixtures("running")


def capturing(site: Site) -> tuple[str, str]:
    """An incident that captures, once the sweeper has seen its instance; and that instance."""
    instance, _ = site.instance()
    incident = prepared(instance)
    capture_steps.start(incident)
    assert not any(sweep().as_dict().values())
    return incident, instance


def mails(site: Site, what: str) -> list[str]:
    return [mail["Message"] for mail in site.messages() if mail["Subject"].endswith(f": {what}")]


def entries(incident: str, what: str) -> list[str]:
    return [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == what]


def test_when_an_interface_is_attached_then_it_is_mirrored_and_responders_are_notified(site: Site) -> None:
    incident, instance = capturing(site)
    interface = site.attach(instance)
    [line] = sweep().instances
    [session] = site.ours(interface)
    session_id = session["TrafficMirrorSessionId"]
    said = f"{interface} was attached to {instance}: it is mirrored by {session_id} from now on"
    assert line == f"{incident}: {said}"
    assert interfaces_of(incident)[interface]["session_id"] == session_id
    assert entries(incident, "interface attached") == [said]
    [mail] = mails(site, "interface attached")
    assert "Packets before now are not captured." in mail
    assert said in mail
    assert sweep().instances == []
    capture_steps.stop(incident)
    incident_steps.close(incident, "closed")
    assert site.sessions() == []


def test_when_it_cannot_be_mirrored_then_that_is_said_once(site: Site) -> None:
    incident, instance = capturing(site)
    interface = site.attach(instance)
    for number in (1, 2, 3):
        site.session_of_others(interface, number)
    [line] = sweep().instances
    assert "NOT mirrored, which each sweep tries again: it is in 3 other mirror sessions already" in line
    assert interfaces_of(incident)[interface]["state"] == "waiting"
    assert sweep().instances == []
    assert len(mails(site, "interface attached")) == 1
    for session in site.sessions(interface):
        site.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session["TrafficMirrorSessionId"])
    assert len(sweep().places) == 1
    assert interfaces_of(incident)[interface]["state"] == "mirrored"


@pytest.mark.parametrize("failing", [0, 1])
def test_when_a_notification_fails_then_what_is_attached_in_other_incidents_is_mirrored(
    site: Site, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    both = [capturing(site) for _ in range(2)]
    attached = [site.attach(instance) for _, instance in both]
    site.ec2.stop_instances(InstanceIds=[both[failing][1]])
    with monkeypatch.context() as patched:
        unpublished(patched, both[failing][0])
        assert sweep().problems == [NOT_DELIVERED]
    assert [len(site.ours(interface)) for interface in attached] == [1, 1]
    assert [both[1 - failing][0] in mail for mail in mails(site, "interface attached")] == [True]
    assert sweep().problems == []
    assert len(mails(site, "interface attached")) == 2


def test_when_aws_throttles_then_the_next_sweep_mirrors_it(site: Site) -> None:
    incident, instance = capturing(site)
    interface = site.attach(instance)
    site.account.faults.add(Fault("CreateTrafficMirrorSession", "throttled", times=4))
    report = sweep()
    assert report.problems != []
    assert interfaces_of(incident)[interface]["state"] == "eligible"
    assert len(sweep().instances) == 1
    assert interfaces_of(incident)[interface]["state"] == "mirrored"
    assert len(site.ours(interface)) == 1


def test_when_an_instance_stops_and_starts_then_the_timeline_says_what_the_capture_lacks(site: Site) -> None:
    incident, instance = capturing(site)
    site.ec2.stop_instances(InstanceIds=[instance])
    [line] = sweep().instances
    assert line.startswith(f"{incident}: {instance} was stopped")
    assert "nothing is captured while it is stopped, and its memory is lost, unless it hibernates" in line
    assert sweep().instances == []
    site.ec2.start_instances(InstanceIds=[instance])
    [found] = site.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    [line] = sweep().instances
    began = as_text(found["LaunchTime"])
    assert line == (
        f"{incident}: {instance} was started at {began}: it is captured again from then, and the capture lacks packets "
        "while it was stopped"
    )
    assert len(entries(incident, "instance changed")) == 2
    assert len(mails(site, "instance changed")) == 2
    assert len(site.ours()) == 1


@pytest.mark.parametrize(
    ("starts", "said"),
    [(False, "was stopped"), (True, "after mirroring began: the capture has no packets from while it was stopped")],
)
def test_when_it_stops_before_the_first_sweep_then_that_is_reported(site: Site, starts: bool, said: str) -> None:
    instance, _ = site.instance()
    incident = prepared(instance)
    capture_steps.start(incident)
    site.ec2.stop_instances(InstanceIds=[instance])
    if starts:
        site.ec2.start_instances(InstanceIds=[instance])
        started = utc_now() + timedelta(minutes=1)
        ec2_backends[ACCOUNT_ID][REGION].get_instance(instance).launch_time = started
    [line] = sweep().instances
    assert said in line
    assert entries(incident, "instance changed") == [line.partition(": ")[2]]
    assert len(mails(site, "instance changed")) == 1
    assert sweep().instances == []


def test_when_it_stops_again_then_responders_are_notified_again(site: Site) -> None:
    incident, instance = capturing(site)
    sweep()
    for turn in (1, 2):
        site.ec2.stop_instances(InstanceIds=[instance])
        sweep()
        assert len(mails(site, "instance changed")) == 2 * turn - 1
        site.ec2.start_instances(InstanceIds=[instance])
        # Starts of the same second would be one.
        started = utc_now() + timedelta(minutes=turn)
        ec2_backends[ACCOUNT_ID][REGION].get_instance(instance).launch_time = started
        sweep()
        assert len(mails(site, "instance changed")) == 2 * turn
    assert len(entries(incident, "instance changed")) == 4


def test_when_the_sweeper_is_killed_then_the_next_one_notifies_of_what_was_attached(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident, instance = capturing(site)
    interface = site.attach(instance)
    swept_until_it_ends(monkeypatch)
    assert interfaces_of(incident)[interface]["state"] == "mirrored"
    assert len(entries(incident, "interface attached")) == 1
    [mail, *repeated] = mails(site, "interface attached")
    assert interface in mail
    # What is killed after it published, and before it recorded that, publishes again.
    assert len(repeated) <= 1
    assert sweep().instances == []


def test_when_the_sweeper_is_killed_then_the_next_one_notifies_of_an_instance_that_stopped(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident, instance = capturing(site)
    site.ec2.stop_instances(InstanceIds=[instance])
    swept_until_it_ends(monkeypatch)
    assert len(entries(incident, "instance changed")) == 1
    [mail, *repeated] = mails(site, "instance changed")
    assert f"{instance} was stopped" in mail
    assert len(repeated) <= 1


def test_when_it_is_terminated_then_the_timeline_says_what_the_capture_has(site: Site) -> None:
    incident, instance = capturing(site)
    site.ec2.terminate_instances(InstanceIds=[instance])
    [line] = [one for one in sweep().instances if "terminated" in one]
    assert "the capture ends with it, and has what was mirrored until then" in line
    assert "open an incident for that" in line
    assert entries(incident, "instance changed") == [line.partition(": ")[2]]
    assert [one for one in sweep().instances if "terminated" in one] == []
    # What replaces it is another instance.
    _, replacement = site.instance()
    assert sweep().instances == []
    assert site.ours(replacement) == []
    assert [one.id for one in incidents.listed("open")] == [incident]


def test_when_it_is_shutting_down_then_it_is_gone_and_nothing_more_of_it_is_mirrored(site: Site) -> None:
    incident, instance = capturing(site)
    interface = site.attach(instance)
    state = ec2_backends[ACCOUNT_ID][REGION].get_instance(instance)._state
    state.name, state.code = "shutting-down", 32
    [line] = sweep().instances
    assert line.startswith(f"{incident}: {instance} was terminated")
    assert entries(incident, "instance changed") == [line.partition(": ")[2]]
    assert site.ours(interface) == []


def test_when_the_incident_is_closed_then_nothing_of_it_is_followed(site: Site) -> None:
    incident, instance = capturing(site)
    capture_steps.stop(incident)
    incident_steps.close(incident, "closed")
    site.attach(instance)
    site.ec2.stop_instances(InstanceIds=[instance])
    assert sweep().instances == []
    assert site.sessions() == []
