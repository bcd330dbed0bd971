"""Containment takes security groups off an instance: where the mirror target admits it by one, its capture ends."""

from __future__ import annotations

from typing import Any

import pytest

from strictmoto.faults import Fault
from tapstack.rehearsal.packet_basics import template_body
from tapstack.responder.containment import isolation
from tapstack.responder.environment import environment
from tests.responder.conftest import configure, item
from tests.responder.containment.conftest import Shop, asked


def mirrors_to(shop: Shop, monkeypatch: pytest.MonkeyPatch, *rules: dict[str, Any]) -> str:
    """Let packets go to an interface whose security group has these rules; return the group."""
    ec2 = shop.ec2
    group = ec2.create_security_group(GroupName="sensor", Description="sensor", VpcId=shop.company.shop.id)["GroupId"]
    if rules:
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=list(rules))
    interface = ec2.create_network_interface(SubnetId=shop.company.shop.private[0], Groups=[group])["NetworkInterface"]
    containment = shop.site.settings["containment"]
    target = shop.site.target(interface["NetworkInterfaceId"])
    filter_id = shop.site.settings["appliance"]["existing"]["filter_id"]
    configure(monkeypatch, shop.site, {"existing": {"target_id": target, "filter_id": filter_id}})
    shop.site.settings["containment"] = containment
    shop.set()
    environment.cache_clear()
    return str(group)


def launched(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let packets go to an appliance that a stack creates; return the security group of its target."""
    name = "tap-frankfurt-epb"
    parameters = {
        "VPCID": shop.company.shop.id,
        "MgmtTrafficMirrorSubnetID": shop.company.shop.private[0],
        "RemoteAccessCIDR": "192.0.2.0/24",
    }
    containment = shop.site.settings["containment"]
    launch = {
        "stack_name": name,
        "template_url": "https://s3.amazonaws.com/templates/epb.template",
        "role_arn": "arn:aws:iam::123456789012:role/cloudformation",
        "parameters": parameters,
        "capabilities": [],
        "timeout_minutes": 30,
        "retire_after_minutes": 30,
    }
    configure(monkeypatch, shop.site, {"launch": launch})
    shop.site.settings["containment"] = containment
    shop.set()
    shop.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=template_body(),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    filters = [{"Name": "tag:Name", "Values": [f"{name}.security-group"]}]
    [group] = shop.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return str(group["GroupId"])


def admits(*, groups: list[str] | None = None, block: str | None = None, ports: tuple[int, int] = (4789, 4789)) -> Any:
    return {
        "IpProtocol": "udp",
        "FromPort": ports[0],
        "ToPort": ports[1],
        **({"UserIdGroupPairs": [{"GroupId": group} for group in groups]} if groups else {}),
        **({"IpRanges": [{"CidrIp": block}]} if block else {}),
    }


def ends(warnings: tuple[str, ...] | list[str]) -> list[str]:
    return [line for line in warnings if line.startswith("THE CAPTURE OF ")]


def primary(shop: Shop) -> tuple[str, str, str]:
    """The primary interface of the database, one of its groups and its address."""
    interface = shop.company.interfaces["database"][0]
    [found] = shop.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    return interface, found["Groups"][0]["GroupId"], found["PrivateIpAddress"]


def test_when_the_target_admits_the_instance_by_its_group_then_plan_and_notice_say_that_the_capture_ends(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    interface, group, address = primary(shop)
    sensor = mirrors_to(shop, monkeypatch, admits(groups=[group]))
    [line] = ends(isolation.plan(shop.database).warnings)
    assert line == (
        f"THE CAPTURE OF {interface} ENDS with its isolation: {sensor} of the mirror target admits it by {group} "
        f"(database), which is taken off it. To keep the capture, admit UDP 4789 from {address} in {sensor}"
    )
    incident = asked(shop.database)
    isolation.contain(incident)
    assert ends(item(incident)["containment"]["not_done"]) == [line]
    # Neither is it forgotten once the group is off.
    [after] = ends(isolation.plan(shop.database).warnings)
    assert after == line


@pytest.mark.parametrize("block", ["{address}/32", "0.0.0.0/0"])
def test_when_the_target_admits_the_address_as_well_then_nothing_ends(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, block: str
) -> None:
    _, group, address = primary(shop)
    mirrors_to(shop, monkeypatch, admits(groups=[group]), admits(block=block.format(address=address)))
    assert ends(isolation.plan(shop.database).warnings) == []


def test_when_the_rule_is_of_other_ports_or_another_group_then_nothing_ends(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, group, _ = primary(shop)
    mirrors_to(shop, monkeypatch, admits(groups=[group], ports=(53, 53)), admits(groups=[shop.untrack]))
    assert ends(isolation.plan(shop.database).warnings) == []


def test_when_others_let_a_launched_appliance_admit_groups_instead_of_addresses_then_that_is_said(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    interface, group, _ = primary(shop)
    sensor = launched(shop, monkeypatch)
    shop.ec2.authorize_security_group_ingress(GroupId=sensor, IpPermissions=[admits(groups=[group])])
    # The template admits the addresses of private networks.
    assert ends(isolation.plan(shop.database).warnings) == []
    blocks = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    shop.ec2.revoke_security_group_ingress(GroupId=sensor, IpPermissions=[admits(block=block) for block in blocks])
    [line] = ends(isolation.plan(shop.database).warnings)
    assert line.startswith(f"THE CAPTURE OF {interface} ENDS with its isolation: {sensor} of the mirror target admits ")


@pytest.mark.parametrize("launches", [False, True])
def test_when_its_rules_cannot_be_read_then_it_is_contained_and_says_that_it_is_not_known(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, launches: bool
) -> None:
    _ = launched(shop, monkeypatch) if launches else mirrors_to(shop, monkeypatch)
    shop.site.account.faults.add(Fault("DescribeSecurityGroups", "throttled", call=0))
    incident = asked(shop.database)
    assert isolation.contain(incident) == {"status": "contained"}
    assert shop.is_isolated(shop.database)
    [said] = [line for line in item(incident)["containment"]["not_done"] if "capture" in line]
    assert said.startswith("whether its capture ends with its isolation is not known: ")


def test_when_no_appliance_is_launched_yet_then_nothing_is_known_to_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target of others with the same name is not the one of this response."""
    _, group, _ = primary(shop)
    mirrors_to(shop, monkeypatch, admits(groups=[group]))
    [target] = {one["TrafficMirrorTargetId"] for one in of_interfaces(shop)}
    shop.ec2.create_tags(Resources=[target], Tags=[{"Key": "Name", "Value": "tap-frankfurt-epb.target"}])
    launched(shop, monkeypatch)
    shop.client("cloudformation").delete_stack(StackName="tap-frankfurt-epb")
    assert ends(isolation.plan(shop.database).warnings) == []


def of_interfaces(shop: Shop) -> list[dict[str, Any]]:
    """The mirror targets that are network interfaces."""
    found = shop.ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"]
    return [one for one in found if "NetworkInterfaceId" in one]


def test_when_the_target_is_a_load_balancer_then_no_security_group_is_read_for_it(shop: Shop) -> None:
    isolation.plan(shop.database)
    [read] = shop.site.account.recorder.records(service="ec2", action="DescribeSecurityGroups")
    # Whether the group that isolates has rules.
    assert read.call.parameters["Filter.1.Value.1"] == shop.quarantine
