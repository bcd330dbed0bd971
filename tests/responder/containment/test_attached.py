"""Interfaces that are attached to a contained instance are isolated too."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend

from tapstack.domain.containment import isolation_gap
from tapstack.responder.containment import attachments, isolation, steps
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.containment.changes import groups
from tapstack.responder.errors import ContainmentFailed
from tapstack.responder.outbound import notifications
from tapstack.responder.store import incidents
from tests.responder.callers import CALLER
from tests.responder.conftest import Killed, change, item, unpublished
from tests.responder.containment.conftest import Shop, contained, release


def attach(shop: Shop, instance: str | None = None) -> str:
    """One more interface, by default of the database, with a group that lets it talk."""
    group = shop.groups_of(shop.company.interfaces["web-1"][0])
    made = shop.ec2.create_network_interface(SubnetId=shop.company.shop.private[0], Groups=group)["NetworkInterface"]
    interface = str(made["NetworkInterfaceId"])
    shop.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=instance or shop.database, DeviceIndex=2)
    return interface


def detach(shop: Shop, interface: str) -> None:
    [found] = shop.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    shop.ec2.detach_network_interface(AttachmentId=found["Attachment"]["AttachmentId"])


def end_executions(shop: Shop) -> None:
    states = shop.client("stepfunctions")
    [machine] = states.list_state_machines()["stateMachines"]
    for one in states.list_executions(stateMachineArn=machine["stateMachineArn"], statusFilter="RUNNING")["executions"]:
        states.stop_execution(executionArn=one["executionArn"])


def mails(shop: Shop) -> list[str]:
    return [
        mail["Message"]
        for mail in shop.site.messages()
        if mail["Subject"].endswith("interface attached while contained")
    ]


def refuse(*_: object) -> None:
    raise ClientError({"Error": {"Code": "OperationNotPermitted", "Message": "no"}}, "ModifyNetworkInterfaceAttribute")


def kill(*_: object) -> None:
    raise Killed


def fail_isolation(incident: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let AWS refuse the isolation, as the execution meets it, and return the reason."""
    with monkeypatch.context() as patch:
        patch.setattr(groups, "change", refuse)
        with pytest.raises(ContainmentFailed) as failed:
            isolation.contain(incident)
    reason = str(failed.value)
    steps.fail(incident, "ContainmentFailed", json.dumps({"errorMessage": reason}))
    return reason


def isolate() -> list[str]:
    """Have attached interfaces isolated, as the sweeper does, without a problem."""
    lines, problems = attachments.isolate()
    assert problems == []
    return lines


def test_when_an_interface_is_attached_to_a_contained_instance_then_it_is_isolated(shop: Shop) -> None:
    incident = contained(shop.database)
    assert isolate() == []
    interface = attach(shop)
    before = shop.groups_of(interface)
    runs = item(incident)["contain_runs"]
    assert isolate() == [
        f"{incident}: {interface} was attached to {shop.database}, which is contained: its isolation is requested"
    ]
    assert item(incident)["contain_runs"] == runs + 1
    [mail] = mails(shop)
    assert f"{interface} was attached to {shop.database}" in mail
    # What the execution does.
    isolation.contain(incident)
    assert shop.is_isolated(shop.database)
    assert shop.prior_states(shop.database)["groups", interface] == before
    assert isolate() == []
    assert release(incident) == "released"
    assert shop.groups_of(interface) == before


def test_when_the_incident_is_closed_then_it_is_isolated_all_the_same(shop: Shop) -> None:
    incident = contained(shop.database)
    change(incident, "SET #state = :closed, listing = :closed", closed="closed")
    attach(shop)
    assert len(isolate()) == 1


def test_when_it_is_not_isolated_yet_then_it_is_requested_at_each_sweep_and_notified_of_once(shop: Shop) -> None:
    incident = contained(shop.database)
    interface = attach(shop)
    assert len(isolate()) == 1
    # Its execution runs.
    assert isolate() == []
    end_executions(shop)
    runs = item(incident)["contain_runs"]
    [line] = isolate()
    assert line.endswith("its isolation is requested again")
    assert item(incident)["contain_runs"] == runs + 1
    assert len(mails(shop)) == 1
    isolation.contain(incident)
    end_executions(shop)
    assert (shop.groups_of(interface), isolate()) == ([shop.quarantine], [])


def test_when_aws_refuses_to_isolate_it_then_that_is_tried_again_and_said_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = contained(shop.database)
    interface = attach(shop)
    isolate()
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(groups, "change", refuse)
            with pytest.raises(ContainmentFailed) as failed:
                isolation.contain(incident)
        steps.fail(incident, "ContainmentFailed", json.dumps({"errorMessage": str(failed.value)}))
    # It is contained all the same, and what was tried is not what is done.
    assert shop.state(incident) == "contained"
    [mail] = [one["Message"] for one in shop.site.messages() if one["Subject"].endswith("containment FAILED")]
    lines = mail.splitlines()
    assert lines[lines.index("Commands possible now (choose one):") + 1 :] == [
        f"  tapstack incident show {incident}  # shows its state and changes nothing",
        f"  tapstack incident contain {incident} --mode approval  # does what is not done yet and needs no new "
        "approval",
        f"  tapstack incident release {incident}  # RECONNECTS it as before, unless another incident contains it",
    ]
    end_executions(shop)
    assert len(isolate()) == 1
    isolation.contain(incident)
    assert shop.groups_of(interface) == [shop.quarantine]


def test_when_others_mirror_to_the_contained_instance_then_what_is_attached_is_isolated_all_the_same(
    shop: Shop,
) -> None:
    incident = contained(shop.database)
    interface = attach(shop)
    target = shop.site.target(shop.company.interfaces["database"][0])
    session = shop.ec2.create_traffic_mirror_session(
        NetworkInterfaceId=shop.company.interfaces["web-1"][0],
        TrafficMirrorTargetId=target,
        TrafficMirrorFilterId=shop.site.others_filter,
        SessionNumber=1,
    )["TrafficMirrorSession"]["TrafficMirrorSessionId"]
    isolate()
    assert isolation.contain(incident) == {"status": "contained"}
    assert shop.groups_of(interface) == [shop.quarantine]
    [said] = item(incident)["containment"]["not_done"]
    assert said.endswith(f"which does not protect it: {session} end there")
    assert [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "warning"] == [said]


def test_when_it_was_released_and_contained_again_then_the_same_interface_is_isolated_again(shop: Shop) -> None:
    incident = contained(shop.database)
    interface = attach(shop)
    isolate()
    isolation.contain(incident)
    assert release(incident) == "released"
    detach(shop, interface)
    containment_requests.contain(incident, "now", by=CALLER)
    isolation.contain(incident)
    end_executions(shop)
    shop.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=shop.database, DeviceIndex=2)
    assert len(isolate()) == 1
    isolation.contain(incident)
    assert shop.groups_of(interface) == [shop.quarantine]
    assert len(mails(shop)) == 2


def attach_outside(shop: Shop, index: int = 2) -> tuple[str, str, str]:
    """One more interface of the database, out of scope; its id, its attachment and its VPC."""
    vpc = shop.ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    zone = shop.ec2.describe_subnets(SubnetIds=[shop.company.shop.private[0]])["Subnets"][0]["AvailabilityZone"]
    subnet = shop.ec2.create_subnet(VpcId=vpc, CidrBlock="10.99.0.0/20", AvailabilityZone=zone)["Subnet"]["SubnetId"]
    interface = str(shop.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"])
    attachment = shop.ec2.attach_network_interface(
        NetworkInterfaceId=interface, InstanceId=shop.database, DeviceIndex=index
    )["AttachmentId"]
    return interface, attachment, vpc


@pytest.mark.parametrize("seen_by", ["the sweeper", "a containment"])
def test_when_a_containment_sees_first_what_stays_connected_then_it_is_notified_of_all_the_same(
    shop: Shop, seen_by: str
) -> None:
    incident = contained(shop.database)
    steps.notify(incident)
    interface, _, _ = attach_outside(shop)
    if seen_by == "a containment":
        isolation.contain(incident)
        steps.notify(incident)
    for _ in range(2):
        isolate()
    [warning] = [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "warning"]
    assert warning.startswith(f"{interface} STAYS CONNECTED")
    assert len([m for m in shop.site.messages() if m["Subject"].endswith("attached interface STAYS CONNECTED")]) == 1


def test_when_the_notification_of_the_containment_says_what_stays_connected_then_no_other_does(shop: Shop) -> None:
    interface, _, _ = attach_outside(shop)
    incident = contained(shop.database)
    steps.notify(incident)
    assert f"{interface} STAYS CONNECTED" in shop.site.messages()[-1]["Message"]
    isolate()
    assert [m for m in shop.site.messages() if m["Subject"].endswith("attached interface STAYS CONNECTED")] == []


def test_when_it_cannot_be_isolated_then_mail_and_timeline_say_that_it_stays_connected(shop: Shop) -> None:
    incident = contained(shop.database)
    steps.notify(incident)
    interface, _, vpc = attach_outside(shop)
    runs = item(incident)["contain_runs"]
    said = (
        f"{interface} STAYS CONNECTED: it is in {vpc}, which is not in the scope of this deployment; detach it, or "
        "give it a security group without rules"
    )
    for _ in range(2):
        assert isolate() == [f"{incident}: attached to {shop.database}, which is contained: {said}"]
    assert item(incident)["contain_runs"] == runs
    assert [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "warning"] == [said]
    [mail] = [m for m in shop.site.messages() if m["Subject"].endswith("attached interface STAYS CONNECTED")]
    assert f"{said}." in mail["Message"].splitlines()


def test_when_it_is_not_isolated_yet_then_the_incident_says_that_the_instance_is_still_connected(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = contained(shop.database)
    interface = attach(shop)
    isolate()
    found = incidents.get(incident).requested_containment
    assert found.not_done == (f"{interface} STAYS CONNECTED: it was attached since, and its isolation is requested",)
    assert isolation_gap(found.not_done) == "BUT STILL CONNECTED"
    assert found.isolating

    reason = fail_isolation(incident, monkeypatch)
    found = incidents.get(incident).requested_containment
    [line] = found.not_done
    assert line.startswith(f"{interface} STAYS CONNECTED: AWS refuses its isolation: ")
    assert reason.startswith(f"{interface} is NOT isolated: ")
    assert (found.isolating, found.failure is not None) == (False, True)
    mail = shop.site.messages()[-1]
    assert f"What was to be done after the containment of {shop.database} failed" in mail["Message"]
    # The sweeper keeps the reason, and tries again.
    end_executions(shop)
    isolate()
    assert incidents.get(incident).requested_containment.not_done == (line,)
    isolation.contain(incident)
    found = incidents.get(incident).requested_containment
    assert (found.not_done, found.isolating, found.failure) == ((), False, None)


def test_when_what_cannot_be_isolated_is_detached_then_the_incident_no_longer_says_that_it_is_connected(
    shop: Shop,
) -> None:
    incident = contained(shop.database)
    interface, attachment, vpc = attach_outside(shop)
    isolate()
    [line] = incidents.get(incident).requested_containment.not_done
    assert line.startswith(f"{interface} STAYS CONNECTED: it is in {vpc}")
    shop.ec2.detach_network_interface(AttachmentId=attachment)
    assert isolate() == []
    assert incidents.get(incident).requested_containment.not_done == ()
    said = [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "isolated"]
    assert said == [f"{interface}: isolated or detached since"]


def test_when_what_aws_refused_to_isolate_is_detached_then_the_failure_is_over(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = contained(shop.database)
    interface = attach(shop)
    isolate()
    fail_isolation(incident, monkeypatch)
    assert incidents.get(incident).requested_containment.failure is not None
    detach(shop, interface)
    isolate()
    found = incidents.get(incident).requested_containment
    assert (found.not_done, found.failure) == ((), None)


def test_when_one_of_two_is_detached_then_the_failure_of_its_isolation_is_over_while_the_other_stays_connected(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = contained(shop.database)
    interface = attach(shop)
    isolate()
    fail_isolation(incident, monkeypatch)
    detach(shop, interface)
    other, _, _ = attach_outside(shop)
    isolate()
    now = incidents.get(incident).requested_containment
    [line] = now.not_done
    assert line.startswith(f"{other} STAYS CONNECTED")
    assert now.failure is None


def test_when_a_notification_fails_then_all_else_is_done_for_this_instance_and_others(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = shop.company.instances["web-2"]
    both = [contained(instance) for instance in (shop.database, web)]
    attached = [attach(shop), attach(shop, web)]
    outside, _, _ = attach_outside(shop, 3)
    with monkeypatch.context() as patch:
        unpublished(patch, both[0])
        lines, problems = attachments.isolate()
    assert problems == []
    assert [line for line in lines if both[1] in line]
    assert f"{outside} STAYS CONNECTED" in "".join(incidents.get(both[0]).requested_containment.not_done)
    for incident, interface in zip(both, attached, strict=True):
        with suppress(ContainmentFailed):
            isolation.contain(incident)
        assert shop.groups_of(interface) == [shop.quarantine]
    assert [both[1] in mail for mail in mails(shop)] == [True]
    notifications.deliver()
    assert len(mails(shop)) == 2


def test_when_the_sweep_is_killed_before_it_notifies_then_the_next_one_notifies(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = contained(shop.database)
    interface = attach(shop)
    with monkeypatch.context() as patch:
        patch.setattr(notifications, "_deliver", kill)
        with pytest.raises(Killed):
            isolate()
    isolation.contain(incident)
    assert shop.is_isolated(shop.database)
    assert mails(shop) == []
    for _ in range(2):
        assert isolate() == []
    [mail] = mails(shop)
    assert f"{interface} was attached to {shop.database}" in mail
    assert "It was isolated, or detached, since then." in mail
    assert incidents.get(incident).isolation_requested == ()


def test_when_a_responder_has_it_isolated_then_the_incident_says_until_when_that_goes_on(shop: Shop) -> None:
    incident = contained(shop.database)
    # Nothing to isolate: nothing begins.
    assert not containment_requests.contain(incident, "now", by=CALLER).requested_containment.isolating
    attach(shop)
    assert containment_requests.contain(incident, "now", by=CALLER).requested_containment.isolating
    isolation.contain(incident)
    assert not incidents.get(incident).requested_containment.isolating
    # What fails after that is no failure of the isolation.
    steps.fail(incident, "NotifyFailed", json.dumps({"errorMessage": "no"}))
    assert incidents.get(incident).requested_containment.failure is None
    assert "A step after the containment" in shop.site.messages()[-1]["Message"]


def test_when_others_connect_an_isolated_interface_again_then_that_is_left_to_operators(shop: Shop) -> None:
    contained(shop.database)
    first = shop.company.interfaces["database"][0]
    shop.give(first, *shop.groups_of(shop.company.interfaces["web-1"][0]))
    assert isolate() == []


def test_when_it_is_released_then_nothing_is_isolated(shop: Shop) -> None:
    incident = contained(shop.database)
    assert release(incident) == "released"
    attach(shop)
    assert isolate() == []


@pytest.mark.parametrize("tracked", [None, 60])
def test_when_an_isolated_interface_is_deleted_then_another_incident_contains_the_instance_and_releases_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tracked: int | None
) -> None:
    """IAM refuses what does not exist: no condition on its VPC holds."""
    shop.set(tcp_established_seconds=tracked)
    interface = attach(shop)
    first = contained(shop.database)
    detach(shop, interface)
    shop.ec2.delete_network_interface(NetworkInterfaceId=interface)
    get = EC2Backend.get_network_interface

    def one_that_exists(self: EC2Backend, eni_id: str) -> Any:
        if eni_id not in self.enis:
            raise EC2ClientError("UnauthorizedOperation", "You are not authorized to perform this operation.")
        return get(self, eni_id)

    monkeypatch.setattr(EC2Backend, "get_network_interface", one_that_exists)
    second = contained(shop.database)
    assert [line for line in item(second)["containment"]["not_done"] if interface in line] == []
    assert shop.is_isolated(shop.database)
    assert (release(first), release(second)) == ("held", "released")
