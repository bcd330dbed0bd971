"""What happens seldom when an instance is contained, each on the deployed workflow."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from moto.awslambda.models import lambda_backends

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.cloudwatch.metrics import Measurement
from tapstack.domain import limits
from tapstack.domain.incidents import utc_now
from tests.end_to_end.containment_scenarios import (
    attached,
    contain,
    dry_run,
    groups_of,
    is_isolated,
    quarantine,
    release,
)
from tests.end_to_end.deployed import DeployedResponse, Incident, wait_for
from tests.end_to_end.payments import PAYMENTS
from tests.end_to_end.scenarios import Scenarios, find, heard_by, opened

_OF_TRUNK: Final = "vpcresources.k8s.aws/trunk-eni-id"
_DAY: Final = 1440
"""Minutes of a capture that lasts longer than its scene: an hour takes 18 seconds."""
_MINUTES: Final = 5
"""How long the findings of one clock hour may take here."""


def pods_have_security_groups_of_their_own(its: Scenarios) -> None:
    """AWS mirrors neither trunk nor branches: the node is captured and contained, its pods are named."""
    response = its.response
    before = response.groups_of("database")
    with attached(response, "database", InterfaceType="trunk") as trunk, _pods(response, trunk, 2) as branches:
        had = [groups_of(response, interface) for interface in (trunk, *branches)]
        said = (
            f"{trunk} is a trunk: pods with security groups of their own STAY CONNECTED through its branch interfaces "
            f"({', '.join(branches)}), and AWS mirrors neither"
        )
        incident = response.captured("database", minutes=_DAY)
        entries = {entry["network_interface_id"]: entry for entry in incident["interfaces"]}
        assert {name: entry["state"] for name, entry in entries.items()} == {
            **dict.fromkeys(before, "mirrored"),
            trunk: "refused",
        }
        assert "it is of type trunk" in entries[trunk]["note"]
        assert said in dry_run(response, incident, "contain-now")["warnings"]
        contain(response, incident)
        assert said in response.containment(incident)["not_done"]
        assert said in _mail(response, incident, "CONTAINED, BUT STILL CONNECTED")
        assert is_isolated(response, "database")
        assert [groups_of(response, interface) for interface in (trunk, *branches)] == [
            [quarantine(response)],
            *had[1:],
        ]
        swept = response.sweep()
        assert swept["audit"] == 0, (swept, response.show(incident)["timeline"])
        release(response, incident)
        assert [groups_of(response, interface) for interface in (trunk, *branches)] == had
        assert response.groups_of("database") == before
        # A pod's own interface, which an alert may name.
        pod = response.until(response.open(branches[0]), "failed")
        [entry] = pod["interfaces"]
        assert (entry["state"], "it is of type branch" in entry["note"]) == ("refused", True)
        response.end(incident)
        response.end(pod)


@contextmanager
def _pods(response: DeployedResponse, trunk: str, number: int) -> Iterator[list[str]]:
    """Let pods of a node have branch interfaces, for a while; EKS tags them with their trunk."""
    ec2, company = response.account.client("ec2"), response.company
    made: dict[str, str] = {}
    for vlan in range(1, number + 1):
        branch = ec2.create_network_interface(
            SubnetId=company.shop.private[0],
            Groups=[company.security_groups["web"]],
            InterfaceType="branch",
            TagSpecifications=[{"ResourceType": "network-interface", "Tags": [{"Key": _OF_TRUNK, "Value": trunk}]}],
        )["NetworkInterface"]["NetworkInterfaceId"]
        association = ec2.associate_trunk_interface(TrunkInterfaceId=trunk, BranchInterfaceId=branch, VlanId=vlan)
        made[branch] = association["InterfaceAssociation"]["AssociationId"]
    try:
        yield sorted(made)
    finally:
        for branch, association in made.items():
            ec2.disassociate_trunk_interface(AssociationId=association)
            ec2.delete_network_interface(NetworkInterfaceId=branch)


def an_interface_is_in_a_foreign_vpc(its: Scenarios) -> None:
    """What is in scope is isolated, and the rest is named: one interface does not keep an instance connected."""
    response, office = its.response, its.response.company.office
    before = response.groups_of("database")
    groups = [response.company.security_groups["office"]]
    with attached(response, "database", SubnetId=office.private[0], Groups=groups) as interface:
        said = (
            f"{interface} STAYS CONNECTED: it is in {office.id}, which is not in the scope of this deployment; detach "
            "it, or give it a security group without rules"
        )
        incident = response.captured("database", minutes=_DAY)
        planned = dry_run(response, incident, "contain-now")
        assert (planned["refused"], said in planned["warnings"]) == (None, True)
        contain(response, incident)
        assert said in response.containment(incident)["not_done"]
        assert said in _mail(response, incident, "CONTAINED, BUT STILL CONNECTED")
        assert is_isolated(response, "database")
        assert groups_of(response, interface) == groups
        release(response, incident)
        assert groups_of(response, interface) == groups
        assert response.groups_of("database") == before
        response.end(incident)


def the_mirror_target_admits_an_instance_by_its_group(its: Scenarios) -> None:
    """Containment takes that group off it, which ends its capture: plan and notification say so, and how it goes on."""
    response, ec2 = its.response, its.response.account.client("ec2")
    incident = response.captured("database", minutes=_DAY)
    assert _ends(dry_run(response, incident, "contain-now")["warnings"]) == []
    [interface, _] = response.company.interfaces["database"]
    [described] = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    address, group = described["PrivateIpAddress"], response.company.security_groups["database"]
    with _admitted_by(response, group) as target_group:
        line = (
            f"THE CAPTURE OF {interface} ENDS with its isolation: {target_group} of the mirror target admits it by "
            f"{group} (database), which is taken off it. To keep the capture, admit UDP 4789 from {address} in "
            f"{target_group}"
        )
        planned = dry_run(response, incident, "contain-now")
        assert _ends(planned["warnings"]) == [line], planned
        contain(response, incident)
        assert _ends(response.containment(incident)["not_done"]) == [line]
        assert line in _mail(response, incident, "CONTAINED")
        # The response itself ends no session.
        assert len(response.sessions()) == 2
        release(response, incident)
        # As the line advises.
        with _rule(response, target_group, IpRanges=[{"CidrIp": f"{address}/32"}]):
            assert _ends(dry_run(response, incident, "contain-now")["warnings"]) == []
    response.end(incident)


def _ends(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("THE CAPTURE OF ")]


@contextmanager
def _admitted_by(response: DeployedResponse, group: str) -> Iterator[str]:
    """Let the target's security group admit mirrored packets from a group alone, for a while; yield the former."""
    ec2 = response.account.client("ec2")
    [target] = {session["TrafficMirrorTargetId"] for session in response.sessions()}
    [described] = ec2.describe_traffic_mirror_targets(TrafficMirrorTargetIds=[target])["TrafficMirrorTargets"]
    [admitting] = groups_of(response, described["NetworkInterfaceId"])
    [found] = ec2.describe_security_groups(GroupIds=[admitting])["SecurityGroups"]
    others = [rule for rule in found["IpPermissions"] if rule.get("FromPort") == limits.VXLAN_PORT]
    if others:
        ec2.revoke_security_group_ingress(GroupId=admitting, IpPermissions=others)
    try:
        with _rule(response, admitting, UserIdGroupPairs=[{"GroupId": group}]):
            yield admitting
    finally:
        if others:
            ec2.authorize_security_group_ingress(GroupId=admitting, IpPermissions=others)


@contextmanager
def _rule(response: DeployedResponse, group: str, **peer: Any) -> Iterator[None]:
    """Let a security group admit mirrored packets from a peer, for a while."""
    ec2 = response.account.client("ec2")
    rule = {"IpProtocol": "udp", "FromPort": limits.VXLAN_PORT, "ToPort": limits.VXLAN_PORT, **peer}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    try:
        yield
    finally:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])


def a_flood_of_findings_leaves_responders_their_own(its: Scenarios) -> None:
    """The policy used up what it may contain in an hour, and capture at once: responders do both all the same."""
    response = its.response
    _begin_within_the_hour()
    few = _set(response, "containment", containment={"per_hour": 1})
    # Of the ten that the launched appliance takes, three are left to findings.
    reserved = _set(response, "capture", capture={"reserved_sources": 7})
    long = _set(response, "findings", capture={"minutes": _DAY})
    with heard_by(response), few, reserved, long:
        first, second = (_worst(response, name) for name in ("database", PAYMENTS))
        response.until_settled(first, "contained")
        response.until_settled(second, "failed")
        used_up = "per_hour is 1: 1 instance was contained by the policy in this clock hour"
        assert used_up in response.containment(second)["failure"]
        assert used_up in _mail(response, second, "containment REFUSED")
        assert [_states(response, one) for one in (first, second)] == [["mirrored"] * 2, ["mirrored", "waiting"]]
        mine = response.captured("web-1", minutes=_DAY)
        assert _states(response, mine) == ["mirrored"]
        contain(response, second)
        assert is_isolated(response, PAYMENTS)
        assert _states(response, second) == ["mirrored", "waiting"]


def _begin_within_the_hour() -> None:
    """Wait for the next clock hour where this one ends too soon."""
    later = utc_now() + timedelta(minutes=_MINUTES)
    if later.hour != utc_now().hour:
        time.sleep((later.replace(minute=0, second=0) - utc_now()).total_seconds() + 1)


def _worst(response: DeployedResponse, name: str) -> Incident:
    """Have GuardDuty find something on an instance that the policy contains at once; return its incident."""
    instance = response.company.instances[name]
    find(response, instance, f"worst-{name}", severity=9.5)

    def about_it() -> list[Incident]:
        return [one for one in opened(response) if one["instance_id"] == instance]

    wait_for(lambda: bool(about_it()), lambda: f"opened: {opened(response)}")
    [incident] = about_it()
    response.until(incident, "capturing")
    return incident


def _states(response: DeployedResponse, incident: Incident) -> list[str]:
    return [entry["state"] for entry in response.show(incident)["interfaces"]]


def a_containment_waits_for_packets_of_the_launched_appliance(its: Scenarios) -> None:
    """From before the launch until packets are seen, and no longer than the settings say."""
    response = its.response
    before = response.groups_of("database")
    with _set(response, "incident", containment={"wait_for_packets": {"at_most_seconds": 3600}}):
        incident = response.open("database", containment="now", minutes=_DAY)
        response.until(incident, "capturing")
        response.until_waiting(incident)
        asked = response.containment(incident)
        assert (asked["state"], asked["packets_wait"], bool(asked["packets_until"])) == ("containing", None, True)
        assert response.groups_of("database") == before
        _mirrored_packets(response, "database")
        response.until_settled(incident, "contained")
    asked = response.containment(incident)
    assert asked["packets_wait"].startswith("packets were seen from ")
    assert f"Waited for packets: {asked['packets_wait']}." in _mail(response, incident, "CONTAINED")
    assert response.show(incident)["packets"]["state"] == "packets seen"
    release(response, incident)
    response.account.metrics.forget()
    again = response.captured("database", minutes=_DAY)
    contain(response, again)
    none = "NO packets were seen within 60 seconds; contained all the same"
    assert response.containment(again)["packets_wait"] == none
    assert f"Waited for packets: {none}." in _mail(response, again, "CONTAINED")
    release(response, again)
    assert response.groups_of("database") == before


def _mirrored_packets(response: DeployedResponse, name: str) -> None:
    response.account.metrics.add(Measurement(response.company.instances[name], "NetworkMirrorOut", 1500))


@contextmanager
def _set(response: DeployedResponse, function: str, **settings: dict[str, Any]) -> Iterator[None]:
    """Let a function have other settings than those of its site, for a while."""
    functions, name = response.account.client("lambda"), response.function(function)
    there = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    kept = vars(lambda_backends[ACCOUNT_ID][REGION].get_function(name))
    before = dict(kept)
    deployed = json.loads(there["TAPSTACK_SETTINGS"])
    other = {**deployed, **{part: {**deployed[part], **values} for part, values in settings.items()}}
    variables = {**there, "TAPSTACK_SETTINGS": json.dumps(other)}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    try:
        yield
    finally:
        # When it was changed last, too: no call undoes that.
        kept.update(before)


def _mail(response: DeployedResponse, incident: Incident, what: str) -> str:
    """Return the text of the one notification of an incident whose subject ends so."""
    found = [
        record.call.parameters["Message"]
        for record in response.records()
        if (record.call.action, record.status) == ("Publish", 200)
        and record.call.parameters["TopicArn"] == response.topic_arn
        and record.call.parameters["Subject"].endswith(f"{incident['id']}: {what}")
    ]
    [text] = found
    return str(text)
