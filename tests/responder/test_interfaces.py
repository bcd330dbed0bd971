"""The interfaces of an incident are found, and those that cannot be mirrored are refused."""

from __future__ import annotations

import pytest

from tapstack.responder.capture.interfaces import prepare
from tapstack.responder.errors import NothingToCapture
from tapstack.responder.store import incidents
from tests.responder.conftest import Site, configure, interfaces_of, opened


def test_when_an_instance_is_named_then_all_its_interfaces_are_eligible(site: Site) -> None:
    instance, first = site.instance()
    second = site.attach(instance)
    incident = opened(instance)
    assert prepare(incident) == {
        "eligible": [first, second],
        "refused": 0,
        "source_interface": None,
        "source_number": None,
    }
    assert {entry["state"] for entry in interfaces_of(incident).values()} == {"eligible"}
    assert site.calls("ec2")[-1:] == ["DescribeInstances"]


def test_when_an_appliance_will_be_launched_then_its_source_and_number_are_chosen(launching: Site) -> None:
    instance, full = launching.instance()
    second = launching.attach(instance)
    for number in (1, 2, 3):
        launching.session_of_others(full, number)
    launching.session_of_others(second, 1)
    found = prepare(opened(instance))
    assert (found["source_interface"], found["source_number"]) == (second, 2)


def test_when_every_interface_is_full_then_the_appliance_gets_no_source(launching: Site) -> None:
    instance, full = launching.instance()
    for number in (1, 2, 3):
        launching.session_of_others(full, number)
    found = prepare(opened(instance))
    assert (found["eligible"], found["source_interface"], found["source_number"]) == ([full], None, None)


def test_fails_when_the_instance_does_not_exist(site: Site) -> None:
    with pytest.raises(NothingToCapture, match="there is no instance i-0123456789abcdef0 in this account"):
        prepare(opened("i-0123456789abcdef0"))


def test_fails_when_the_instance_is_terminated(site: Site) -> None:
    instance, _ = site.instance()
    incident = opened(instance)
    site.ec2.terminate_instances(InstanceIds=[instance])
    with pytest.raises(NothingToCapture, match="is terminated: it has no packets any more"):
        prepare(incident)


def test_fails_when_the_instance_type_cannot_be_mirrored(site: Site) -> None:
    instance, interface = site.instance("t2.micro")
    incident = opened(instance)
    with pytest.raises(NothingToCapture, match="no network interface can be mirrored: .* t2.micro cannot be"):
        prepare(incident)
    assert interfaces_of(incident)[interface]["state"] == "refused"


def test_when_the_deployment_accepts_any_type_then_it_is_eligible(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, site, site.settings["appliance"], accept_unsupported_instance_types=True)
    instance, interface = site.instance("t2.micro")
    assert prepare(opened(instance))["eligible"] == [interface]


def test_when_one_of_several_interfaces_does_not_exist_then_the_others_are_eligible(site: Site) -> None:
    interface = site.interface()
    incident = opened(None, interface, "eni-0123456789abcdef0")
    found = prepare(incident)
    assert (found["eligible"], found["refused"]) == ([interface], 1)
    assert "it does not exist" in interfaces_of(incident)["eni-0123456789abcdef0"]["note"]


def test_fails_when_no_interface_exists(site: Site) -> None:
    with pytest.raises(NothingToCapture, match="there is no network interface eni-0123456789abcdef0"):
        prepare(opened(None, "eni-0123456789abcdef0"))


def test_fails_when_the_interface_is_the_existing_appliances(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    instance, interface = site.instance()
    appliance = {"existing": {**site.settings["appliance"]["existing"], "target_interface_id": interface}}
    configure(monkeypatch, site, appliance)
    with pytest.raises(NothingToCapture, match="it belongs to the appliance that receives the packets"):
        prepare(opened(instance))


def behind_the_balancer(monkeypatch: pytest.MonkeyPatch, site: Site, *appliances: str) -> None:
    existing = {**site.settings["appliance"]["existing"], "target_appliances": list(appliances)}
    configure(monkeypatch, site, {"existing": existing})


def test_fails_when_the_instance_is_behind_the_load_balancer_of_the_target(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, interface = site.instance()
    second = site.attach(instance)
    behind_the_balancer(monkeypatch, site, instance)
    with pytest.raises(NothingToCapture, match=f"{interface}: it belongs to the appliance that receives .* {second}:"):
        prepare(opened(instance))


def test_fails_when_an_address_of_the_instance_is_behind_the_load_balancer_of_the_target(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, _ = site.instance(PrivateIpAddress="10.0.1.20")
    second = site.attach(instance)
    behind_the_balancer(monkeypatch, site, "10.0.1.20")
    for incident in (opened(instance), opened(None, second)):
        with pytest.raises(NothingToCapture, match="it belongs to the appliance that receives the packets"):
            prepare(incident)


def test_when_another_vpc_has_the_address_of_an_appliance_then_its_interface_is_eligible(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    vpc = site.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = site.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/20")["Subnet"]["SubnetId"]
    instance, interface = site.instance(subnet=subnet, PrivateIpAddress="10.0.1.20")
    behind_the_balancer(monkeypatch, site, "10.0.1.20")
    assert prepare(opened(instance))["eligible"] == [interface]


def test_when_the_instance_lies_in_another_vpc_then_the_timeline_warns(site: Site) -> None:
    vpc = site.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = site.ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    instance, interface = site.instance(subnet=subnet)
    incident = opened(instance)
    assert prepare(incident)["eligible"] == [interface]
    assert f"{interface} lies in {vpc}" in interfaces_of(incident)[interface]["note"]
    # Twice said once.
    prepare(incident)
    assert [event["what"] for event in incidents.timeline(incident)] == ["opened", "warning"]
