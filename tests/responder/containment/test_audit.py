"""The sweeper reports containments that an operator should inspect, and changes nothing about them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tapstack.responder.containment import isolation
from tapstack.responder.outbound import executions
from tapstack.responder.store import containments, table
from tapstack.responder.store.keys import containment_key, prior_state_key
from tapstack.responder.sweeper import sweep
from tests.responder.conftest import change
from tests.responder.containment.conftest import Shop, asked, contained, release
from tests.responder.test_api import ask


@pytest.fixture(autouse=True)
def _running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "is_running", lambda _: True)


def reported(shop: Shop) -> list[str]:
    before = shop.all()
    shop.site.account.recorder.clear()
    report = sweep()
    assert shop.changed_since(before) == []
    assert report.problems == []
    published: list[dict[str, Any]] = shop.site.events("Tapstack Sweep")
    assert (published[-1]["audit"] if published else []) == report.audit
    return report.audit


@pytest.mark.long
def test_when_an_open_incident_contains_it_then_nothing_is_reported(shop: Shop) -> None:
    contained(shop.database)
    assert reported(shop) == []


@pytest.mark.long
def test_when_its_incidents_are_closed_then_it_is_reported_and_stays_contained(shop: Shop) -> None:
    incident = contained(shop.database)
    change(
        incident, "SET #state = :closed, listing = :closed, closed_at = :at", closed="closed", at="2026-01-01T00:00:00Z"
    )
    assert reported(shop) == [
        f"{shop.database} is contained without an open incident: its incidents are closed ({incident})"
    ]
    assert shop.is_isolated(shop.database)
    assert release(incident) == "released"
    assert reported(shop)[1:] == []


def test_when_an_interface_is_not_isolated_then_it_is_reported_and_not_changed(shop: Shop) -> None:
    contained(shop.database)
    first = shop.company.interfaces["database"][0]
    web = shop.company.security_groups["web"]
    shop.give(first, web)
    assert reported(shop) == [f"{shop.database} is contained, but its interface {first} is NOT isolated: it has {web}"]
    assert shop.groups_of(first) == [web]


def test_when_an_interface_is_in_quarantine_without_a_containment_then_it_is_reported(shop: Shop) -> None:
    first, second = shop.company.interfaces["database"]
    had = ", ".join(shop.groups_of(first))
    assert release(contained(shop.database)) == "released"
    for interface in (first, second):
        shop.give(interface, shop.quarantine)
    # Released this very moment: EC2 may show what was there before.
    assert reported(shop) == []
    table.change(
        prior_state_key(shop.database, "groups", first),
        "SET restored_at = :then",
        values={"then": int(time.time()) - 120},
    )
    says = f"{{}} of {{}} has the group {shop.quarantine}, and no containment is recorded: restore its security groups"
    last = f"; before its last containment it had {had}"
    assert reported(shop) == [says.format(first, shop.database) + last]
    # Another security group beside the quarantine group: it is not isolated.
    [web] = shop.company.interfaces["web-1"]
    shop.give(web, shop.quarantine, shop.company.security_groups["web"])
    [by_hand] = shop.company.interfaces["web-2"]
    shop.give(by_hand, shop.quarantine)
    assert reported(shop) == sorted(
        [says.format(first, shop.database) + last, says.format(by_hand, shop.company.instances["web-2"])]
    )


@pytest.mark.long
def test_when_an_interface_was_detached_since_isolation_then_nothing_is_reported(shop: Shop) -> None:
    incident = contained(shop.database)
    second = shop.company.interfaces["database"][1]
    [found] = shop.ec2.describe_network_interfaces(NetworkInterfaceIds=[second])["NetworkInterfaces"]
    shop.ec2.detach_network_interface(AttachmentId=found["Attachment"]["AttachmentId"])
    assert reported(shop) == []
    assert release(incident) == "released"
    shop.give(second, shop.quarantine)
    assert reported(shop) == [
        f"{second} has the group {shop.quarantine}, and no containment is recorded: restore its security groups"
    ]


@pytest.mark.long
def test_when_the_instance_is_gone_then_it_is_reported(shop: Shop) -> None:
    incident = contained(shop.database)
    assert ask("GET", f"/incidents/{incident}")[1]["still_exists"] == []
    volume = shop.ec2.describe_instances(InstanceIds=[shop.database])["Reservations"][0]["Instances"][0][
        "BlockDeviceMappings"
    ][0]["Ebs"]["VolumeId"]
    shop.ec2.modify_instance_attribute(InstanceId=shop.database, DisableApiTermination={"Value": False})
    shop.ec2.terminate_instances(InstanceIds=[shop.database])
    for _ in range(2):
        assert reported(shop) == [f"{shop.database} is contained, but terminated: release it to restore what remains"]
    # Its incident says so, and what is left of it.
    shown = ask("GET", f"/incidents/{incident}")[1]
    assert shown["instance_state"] == "gone"
    volumes, left, record = shown["still_exists"]
    assert volumes == f"volumes {volume}, which its containment kept on termination: they are billed"
    assert left.startswith("as its containment left them, where they exist: security groups of eni-")
    assert record == (
        f"the record of its containment: tapstack incident release {incident} restores what exists, and ends it"
    )
    happened = [entry["detail"] for entry in shown["timeline"] if entry["what"] == "instance changed"]
    assert happened == [f"{shop.database} was terminated while it was contained"]
    assert release(incident) == "released"
    assert ask("GET", f"/incidents/{incident}")[1]["still_exists"] == []


def test_when_a_containment_does_not_end_then_it_is_reported(shop: Shop) -> None:
    incident = asked(shop.database)
    shop.monkeypatch.setattr(containments, "finish_containing", lambda _: None)
    isolation.contain(incident)
    assert reported(shop) == []
    table.change(containment_key(shop.database), "SET since = :then", values={"then": "2026-01-01T00:00:00Z"})
    assert reported(shop) == [f"{shop.database} is containing since 2026-01-01T00:00:00Z: it has not completed"]


def test_when_only_the_first_of_two_steps_was_made_then_it_is_reported_as_open(shop: Shop) -> None:
    shop.set(two_step={"enabled": True, "seconds": 60})
    incident = asked(shop.database)
    isolation.contain(incident)
    assert reported(shop) == []
    later = time.time() + 60 + 301
    shop.monkeypatch.setattr("time.time", lambda: later)
    open_ = (
        f"{shop.database} IS OPEN TO ALL TRAFFIC: it has the all-open security group (two_step did not finish). "
        "Contain it again now, which isolates it; or release it, which restores its prior groups"
    )
    assert reported(shop) == [open_]
    isolation.contain(incident)
    assert reported(shop) == []


def test_when_the_record_is_gone_then_what_is_not_restored_is_reported(shop: Shop) -> None:
    contained(shop.company.instances["legacy"])
    shop.client("dynamodb").delete_item(
        TableName="tap-incidents", Key=containment_key(shop.company.instances["legacy"])
    )
    [line] = reported(shop)
    assert line.startswith(
        f"{shop.company.instances['legacy']} is not contained, but its prior state is not restored: "
    )
    assert f"security groups of {shop.company.interfaces['legacy'][0]}" in line
