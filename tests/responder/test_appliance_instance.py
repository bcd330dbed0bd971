"""A launched appliance that others stop or terminate while incidents use it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from moto.cloudformation.models import cloudformation_backends
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends

from strictmoto.account import ACCOUNT_ID, REGION
from tapstack.domain.incidents import TAG_SITE, as_text, as_time, utc_now
from tapstack.responder.appliance import steps as appliance_steps
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.errors import ApplianceFailed
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.outbound import executions
from tapstack.responder.store import incidents
from tapstack.responder.sweeper import sweep
from tests.responder.conftest import NOT_DELIVERED, Site, change, prepared, unpublished
from tests.responder.test_appliances import NAME, ready
from tests.responder.test_snapshots import appliance_instance, captured
from tests.responder.test_snapshots import keeping as keeping


def mails(site: Site) -> list[str]:
    return [mail["Message"] for mail in site.messages() if mail["Subject"].endswith(": THE APPLIANCE DOES NOT RUN")]


def uses(site: Site) -> str:
    """An incident that captures, with a launched appliance."""
    incident = prepared(site.instance()[0])
    ready(incident)
    capture_steps.start(incident)
    return incident


def let(status: str) -> None:
    """Let the stack of the appliance be in a state."""
    [stack] = [one for one in cloudformation_backends[ACCOUNT_ID][REGION].stacks.values() if one.name == NAME]
    stack.status = status


def entries(incident: str, what: str) -> list[str]:
    return [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == what]


def test_when_others_stop_it_then_the_incidents_that_use_it_are_notified_once_each_time(keeping: Site) -> None:
    first, second = uses(keeping), uses(keeping)
    instance = appliance_instance(keeping)
    assert sweep().appliance == []
    keeping.ec2.stop_instances(InstanceIds=[instance])
    for _ in range(2):
        assert sweep().appliance == [f"the appliance does not run: {instance} is stopped"]
    assert len(mails(keeping)) == 2
    assert f"aws ec2 start-instances --region {REGION} --instance-ids {instance}" in mails(keeping)[0]
    for incident in (first, second):
        assert entries(incident, "appliance stopped") == [f"the appliance does not run: {instance} is stopped"]
    keeping.ec2.start_instances(InstanceIds=[instance])
    # Starts of the same second would be one.
    ec2_backends[ACCOUNT_ID][REGION].get_instance(instance).launch_time = utc_now() + timedelta(minutes=1)
    assert sweep().appliance == []
    keeping.ec2.stop_instances(InstanceIds=[instance])
    sweep()
    assert len(mails(keeping)) == 4


@pytest.mark.parametrize("failing", [0, 1])
def test_when_one_incident_cannot_be_notified_then_the_other_is(
    keeping: Site, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    both = [uses(keeping), uses(keeping)]
    keeping.ec2.stop_instances(InstanceIds=[appliance_instance(keeping)])
    with monkeypatch.context() as patched:
        unpublished(patched, both[failing])
        assert sweep().problems == [NOT_DELIVERED]
    assert [both[1 - failing] in mail for mail in mails(keeping)] == [True]
    assert sweep().problems == []
    assert len(mails(keeping)) == 2


def test_when_no_snapshots_are_taken_then_they_are_notified_too(
    launching: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executions, "is_running", lambda _: True)
    incident = uses(launching)
    launching.ec2.stop_instances(InstanceIds=[appliance_instance(launching)])
    sweep()
    assert len(mails(launching)) == 1
    capture_steps.stop(incident)
    incident_steps.close(incident, "closed")
    appliance_steps.release(incident)
    sweep()
    assert len(mails(launching)) == 1


def test_when_it_was_terminated_then_they_learn_what_to_run(keeping: Site) -> None:
    incident = uses(keeping)
    keeping.ec2.terminate_instances(InstanceIds=[appliance_instance(keeping)])
    sweep()
    [mail] = mails(keeping)
    command = f"aws cloudformation delete-stack --region {REGION} --stack-name {NAME}"
    assert command in mail
    # Another incident fails, and does not say that it is ready.
    second = prepared(keeping.instance()[0])
    with pytest.raises(ApplianceFailed, match="was terminated outside Tapstack") as failed:
        appliance_steps.ensure(second)
    assert command in str(failed.value)
    for session in keeping.ours():
        keeping.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session["TrafficMirrorSessionId"])
    keeping.client("cloudformation").delete_stack(StackName=NAME)
    ready(second)
    assert entries(incident, "appliance stopped")


def test_when_another_incident_finds_it_stopped_then_it_starts_it(keeping: Site) -> None:
    uses(keeping)
    instance = appliance_instance(keeping)
    keeping.ec2.stop_instances(InstanceIds=[instance])
    second = prepared(keeping.instance()[0])
    assert appliance_steps.ensure(second) == {"status": "wait"}
    assert entries(second, "starts the appliance") == [f"{instance} is stopped"]
    assert appliance_steps.ensure(second) == {"status": "ready"}
    [found] = keeping.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    assert found["State"]["Name"] == "running"
    assert sweep().appliance == []


def test_when_aws_refuses_to_start_it_then_the_incident_says_why(
    keeping: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses(keeping)
    instance = appliance_instance(keeping)
    keeping.ec2.stop_instances(InstanceIds=[instance])

    def refused(*_: Any, **__: Any) -> Any:
        raise EC2ClientError("UnauthorizedOperation", "You are not authorized to perform this operation.")

    monkeypatch.setattr(type(ec2_backends[ACCOUNT_ID][REGION]), "start_instances", refused)
    with pytest.raises(ApplianceFailed, match=f"AWS refuses to start it: .*{TAG_SITE}"):
        appliance_steps.ensure(prepared(keeping.instance()[0]))


@pytest.mark.parametrize("why", ["retired", "stopped", "updated"])
def test_when_an_incident_waits_for_it_then_its_minutes_count_from_the_first_session(keeping: Site, why: str) -> None:
    if why == "retired":
        # The last incident has released it, and its instance is being stopped for the snapshots.
        assert appliance_steps.retire(captured(keeping)) == {"status": "wait"}
    else:
        uses(keeping)
        if why == "stopped":
            keeping.ec2.stop_instances(InstanceIds=[appliance_instance(keeping)])
        else:
            let("UPDATE_IN_PROGRESS")
    incident = prepared(keeping.instance()[0], minutes=10)
    assert appliance_steps.ensure(incident) == {"status": "wait"}
    opened_at = utc_now() - timedelta(minutes=20)
    change(
        incident,
        "SET opened_at = :at, expires_at = :until",
        at=as_text(opened_at),
        until=as_text(opened_at + timedelta(minutes=10)),
    )
    if why == "updated":
        appliance_steps.ensure(incident)
        let("UPDATE_COMPLETE")
    ready(incident)
    capture_steps.start(incident)
    assert as_time(incidents.get(incident).expires_at) > utc_now() + timedelta(minutes=8)
