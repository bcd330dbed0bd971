"""Interfaces that are attached to a contained instance are isolated too."""

from __future__ import annotations

from tapstack.responder.containment import attachments, isolation
from tests.responder.conftest import change, item
from tests.responder.containment.conftest import Shop, contained, release


def attach(shop: Shop) -> str:
    """One more interface of the database, with a group that lets it talk."""
    group = shop.groups_of(shop.company.interfaces["web-1"][0])
    made = shop.ec2.create_network_interface(SubnetId=shop.company.shop.private[0], Groups=group)["NetworkInterface"]
    interface = str(made["NetworkInterfaceId"])
    shop.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=shop.database, DeviceIndex=2)
    return interface


def mails(shop: Shop) -> list[str]:
    return [
        mail["Message"]
        for mail in shop.site.messages()
        if mail["Subject"].endswith("interface attached to a contained instance")
    ]


def test_when_an_interface_is_attached_to_a_contained_instance_then_it_is_isolated(shop: Shop) -> None:
    incident = contained(shop.database)
    assert attachments.isolate() == []
    interface = attach(shop)
    before = shop.groups_of(interface)
    runs = item(incident)["contain_runs"]
    assert attachments.isolate() == [
        f"{incident}: {interface} was attached to {shop.database}, which is contained: it is isolated"
    ]
    assert item(incident)["contain_runs"] == runs + 1
    [mail] = mails(shop)
    assert f"{interface} was attached to {shop.database}" in mail
    # What the execution does.
    isolation.contain(incident)
    assert shop.is_isolated(shop.database)
    assert shop.prior_states(shop.database)["groups", interface] == before
    assert attachments.isolate() == []
    assert release(incident) == "released"
    assert shop.groups_of(interface) == before


def test_when_the_incident_is_closed_then_it_is_isolated_all_the_same(shop: Shop) -> None:
    incident = contained(shop.database)
    change(incident, "SET #state = :closed, listing = :closed", closed="closed")
    attach(shop)
    assert len(attachments.isolate()) == 1


def test_when_it_is_refused_then_it_is_not_requested_again(shop: Shop) -> None:
    incident = contained(shop.database)
    attach(shop)
    assert len(attachments.isolate()) == 1
    # The execution could not do it.
    runs = item(incident)["contain_runs"]
    assert attachments.isolate() == []
    assert item(incident)["contain_runs"] == runs
    assert len(mails(shop)) == 1


def test_when_others_connect_an_isolated_interface_again_then_that_is_left_to_operators(shop: Shop) -> None:
    contained(shop.database)
    first = shop.company.interfaces["database"][0]
    shop.give(first, *shop.groups_of(shop.company.interfaces["web-1"][0]))
    assert attachments.isolate() == []


def test_when_it_is_released_then_nothing_is_isolated(shop: Shop) -> None:
    incident = contained(shop.database)
    assert release(incident) == "released"
    attach(shop)
    assert attachments.isolate() == []
