"""An instance is contained: what is changed, in which order, and what is recorded before."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from moto.ec2.models import ec2_backends

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.faults import Fault
from tapstack.domain.callers import POLICY
from tapstack.domain.containment import PriorState
from tapstack.domain.incidents import utc_now
from tapstack.responder.containment import inspect, isolation, notifications
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.containment import steps as containment_steps
from tapstack.responder.containment.changes import OF_KIND, snapshots
from tapstack.responder.errors import ContainmentFailed, ContainmentRefused, TryAgain
from tapstack.responder.store import containments, incidents
from tests.responder.callers import CALLER, OTHER
from tests.responder.conftest import configure, item, opened
from tests.responder.containment.conftest import Shop, ask_again, asked, behind_the_target, contained, release
from tests.strictmoto.trusting import TRUST


def too_many_snapshots(_: str) -> Any:
    """Return a client of EC2 whose account may have no more snapshots."""

    def refuse(**_: object) -> None:
        error = {"Error": {"Code": "SnapshotLimitExceeded", "Message": "too many"}}
        raise ClientError({**error, "ResponseMetadata": {"HTTPStatusCode": 400}}, "CreateSnapshots")

    return SimpleNamespace(create_snapshots=refuse)


def evidence(shop: Shop) -> list[Any]:
    """Return the snapshots that containments took."""
    tagged = [{"Name": "tag-key", "Values": [snapshots.TAG_CONTAINMENT]}]
    return list(shop.ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"])


def not_done(incident: str) -> list[str]:
    return list(item(incident)["containment"].get("not_done", []))


def writes(shop: Shop) -> list[str]:
    return [
        record.call.action
        for record in shop.site.account.recorder.records()
        if record.call.action.startswith(("Modify", "Enter", "Deregister", "Create", "PutRole", "Transact"))
    ]


def test_when_an_instance_is_contained_then_every_interface_has_the_quarantine_group_alone(shop: Shop) -> None:
    before = shop.groups(shop.database)
    incident = contained(shop.database)
    assert len(before) == 2
    assert shop.groups(shop.database).keys() == before.keys()
    assert shop.is_isolated(shop.database)
    assert shop.protected(shop.database) == (True, "stop", [False])
    assert shop.state(incident) == "contained"
    held = containments.get(shop.database)
    assert held is not None
    assert (held.state, held.holders) == ("contained", frozenset({incident}))
    assert {key: value for (kind, key), value in shop.prior_states(shop.database).items() if kind == "groups"} == before


def test_when_an_instance_is_contained_then_the_incident_says_what_was_changed(shop: Shop) -> None:
    incident = contained(shop.database)
    changed = item(incident)["containment"]["changed"]
    assert [line.partition(" of ")[0] for line in changed] == [
        "delete on termination",
        "termination protection (DisableApiTermination)",
        "security groups",
        "security groups",
    ]
    for interface in shop.company.interfaces["database"]:
        [line] = [line for line in changed if line.startswith(f"security groups of {interface}: sg-")]
        assert "(database)" in line or "(administration)" in line
        assert line.endswith(f" -> {shop.quarantine} (quarantine)")
    assert [entry["what"] for entry in incidents.timeline(incident)].count("contained") == 1


def test_when_an_instance_is_contained_then_the_prior_state_is_recorded_before_the_first_change(shop: Shop) -> None:
    incident = asked(shop.company.instances["web-1"])
    shop.site.account.recorder.clear()
    isolation.contain(incident)
    order = writes(shop)
    assert order[0] == "TransactWriteItems"
    assert order.index("EnterStandby") < order.index("ModifyNetworkInterfaceAttribute")
    assert order.index("ModifyInstanceAttribute") < order.index("ModifyNetworkInterfaceAttribute")


def test_when_it_is_in_an_auto_scaling_group_then_it_is_in_standby_and_deregistered(shop: Shop) -> None:
    web = shop.company.instances["web-1"]
    contained(web)
    assert shop.lifecycle(web) == "Standby"
    assert web not in [target for _, target, _ in shop.targets()]


def test_when_it_is_behind_load_balancers_then_every_port_address_and_name_is_deregistered(shop: Shop) -> None:
    shop.behind_everything(shop.database)
    before = shop.targets()
    incident = contained(shop.database)
    mine = [target for target in before if target not in shop.targets()]
    assert len(mine) == 4
    order = writes(shop)
    assert order.index("ModifyNetworkInterfaceAttribute") < order.index("DeregisterTargets")
    assert release(incident) == "released"
    assert shop.targets() == before


def test_when_a_plan_is_shown_then_it_has_what_the_containment_changes_each_once(shop: Shop) -> None:
    web = shop.company.instances["web-1"]
    shop.behind_everything(web)
    planned = containment_requests.plan_to_contain(incidents.get(opened(web)))["changes"]

    contained(web)

    assert sorted((change["what"], change["key"]) for change in planned) == sorted(shop.prior_states(web))


def test_when_it_has_ipv6_addresses_then_they_are_deregistered_too(shop: Shop) -> None:
    subnet = shop.company.shop.private[0]
    block = shop.ec2.associate_vpc_cidr_block(VpcId=shop.company.shop.id, AmazonProvidedIpv6CidrBlock=True)
    [network, *_] = ip_network(block["Ipv6CidrBlockAssociation"]["Ipv6CidrBlock"]).subnets(new_prefix=64)
    shop.ec2.associate_subnet_cidr_block(SubnetId=subnet, Ipv6CidrBlock=str(network))
    address = str(network[7])
    made = shop.ec2.create_network_interface(
        SubnetId=subnet, Groups=[shop.company.security_groups["web"]], Ipv6Addresses=[{"Ipv6Address": address}]
    )["NetworkInterface"]
    shop.ec2.attach_network_interface(
        NetworkInterfaceId=made["NetworkInterfaceId"], InstanceId=shop.database, DeviceIndex=2
    )
    elbv2 = shop.client("elbv2")
    group = elbv2.create_target_group(
        Name="six", Protocol="TCP", Port=80, VpcId=shop.company.shop.id, TargetType="ip", IpAddressType="ipv6"
    )["TargetGroups"][0]["TargetGroupArn"]
    elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": address}])
    before = shop.targets()
    incident = contained(shop.database)
    assert shop.is_isolated(shop.database)
    assert address not in [target for _, target, _ in shop.targets()]
    assert release(incident) == "released"
    assert shop.targets() == before


def test_when_containment_is_done_twice_then_nothing_is_overwritten(shop: Shop) -> None:
    incident = contained(shop.database)
    before = shop.prior_states(shop.database)
    assert isolation.contain(incident) == {"status": "contained"}
    assert shop.prior_states(shop.database) == before
    assert [entry["what"] for entry in incidents.timeline(incident)].count("contained") == 1


def test_when_an_interface_is_attached_during_containment_then_containing_again_isolates_it_too(shop: Shop) -> None:
    incident = contained(shop.database)
    added = shop.ec2.create_network_interface(
        SubnetId=shop.company.shop.private[0], Groups=[shop.company.security_groups["web"]]
    )["NetworkInterface"]["NetworkInterfaceId"]
    shop.ec2.attach_network_interface(NetworkInterfaceId=added, InstanceId=shop.database, DeviceIndex=2)
    assert not shop.is_isolated(shop.database)
    isolation.contain(incident)
    assert shop.is_isolated(shop.database)
    assert shop.prior_states(shop.database)[("groups", added)] == [shop.company.security_groups["web"]]
    assert release(incident) == "released"
    assert shop.groups_of(added) == [shop.company.security_groups["web"]]


def test_when_others_change_its_groups_meanwhile_then_containing_again_isolates_it_and_records_them(
    shop: Shop,
) -> None:
    incident = contained(shop.database)
    first = shop.company.interfaces["database"][0]
    before = shop.prior_states(shop.database)
    shop.give(first, shop.company.security_groups["web"])
    isolation.contain(incident)
    assert shop.is_isolated(shop.database)
    assert shop.prior_states(shop.database) == before
    [said] = [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "contained again"]
    assert said == f"{first} had {shop.company.security_groups['web']} (web) meanwhile, by others"


def test_when_it_was_released_meanwhile_then_a_step_that_comes_late_changes_nothing(shop: Shop) -> None:
    incident = contained(shop.database)
    before = shop.prior_states(shop.database)
    assert release(incident) == "released"
    assert isolation.contain(incident) == {"status": "overtaken"}
    assert {key: [*value] for key, value in shop.groups(shop.database).items()} == {
        key: value for (kind, key), value in before.items() if kind == "groups"
    }


class TestGuardRails:
    def refused(self, shop: Shop, instance: str, match: str) -> None:
        before = shop.all()
        incident = asked(instance)
        with pytest.raises(ContainmentRefused, match=match):
            isolation.contain(incident)
        assert shop.changed_since(before) == []
        assert containments.get(instance) is None

    def test_fails_when_the_instance_has_the_protection_tag(self, shop: Shop) -> None:
        shop.ec2.create_tags(Resources=[shop.database], Tags=[{"Key": "tapstack-protected", "Value": ""}])
        self.refused(shop, shop.database, "is protected by its tag tapstack-protected=")

    def test_fails_when_the_instance_is_protected_by_its_id(self, shop: Shop) -> None:
        shop.set(protect={"instance_ids": [shop.database]})
        self.refused(shop, shop.database, "is protected by the deployment's settings")

    def test_fails_when_the_instance_lies_in_another_vpc(self, shop: Shop) -> None:
        self.refused(
            shop, shop.company.instances["desktop"], f"is in {shop.company.office.id}, which is not in the scope"
        )

    def test_fails_when_the_instance_is_terminated(self, shop: Shop) -> None:
        shop.ec2.terminate_instances(InstanceIds=[shop.company.instances["legacy"]])
        self.refused(shop, shop.company.instances["legacy"], "is terminated")

    def test_fails_when_there_is_no_such_instance(self, shop: Shop) -> None:
        self.refused(shop, "i-0123456789abcdef0", "there is no instance i-0123456789abcdef0")

    def test_fails_when_sessions_mirror_others_to_it(self, shop: Shop) -> None:
        legacy = shop.company.instances["legacy"]
        target = shop.site.others_target = shop.site.target(shop.company.interfaces["legacy"][0])
        session = shop.site.session_of_others(shop.company.interfaces["web-1"][0])
        self.refused(shop, legacy, f"is a mirror target: .* end captures \\({session} mirror to {target} on eni-")
        # When they are deleted, it can be contained.
        shop.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)
        contained(legacy)
        assert shop.is_isolated(legacy)

    @pytest.mark.parametrize("by", ["target", "interface"])
    def test_fails_when_it_is_the_target_of_this_response_which_nothing_uses_yet(
        self, shop: Shop, by: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        interface = shop.company.interfaces["legacy"][0]
        existing = {"target_id": shop.site.target(interface), "filter_id": shop.site.mirror_filter()}
        given = shop.site.settings["containment"]
        # Where the file does not name the interface, the target's own says so.
        named = {"target_interface_id": interface} if by == "interface" else {}
        configure(monkeypatch, shop.site, {"existing": {**existing, **named}})
        shop.site.settings["containment"] = given
        shop.set()
        self.refused(shop, shop.company.instances["legacy"], "is a mirror target of this response")

    def address(self, shop: Shop, instance: str) -> str:
        [found] = shop.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
        return str(found["PrivateIpAddress"])

    @pytest.mark.parametrize("by", ["instance", "address"])
    def test_fails_when_it_is_behind_the_load_balancer_of_the_mirror_target(self, shop: Shop, by: str) -> None:
        legacy = shop.company.instances["legacy"]
        target = legacy if by == "instance" else self.address(shop, legacy)
        behind_the_target(shop, shop.company.shop.id, target, "UDP" if by == "instance" else "TCP_UDP")
        self.refused(shop, legacy, "is a mirror target of this response")

    def test_when_the_address_of_an_appliance_is_of_another_vpc_then_it_is_contained(self, shop: Shop) -> None:
        """Whoever controls an instance in any VPC could give it the address of an appliance."""
        [same] = shop.ec2.describe_vpcs(VpcIds=[shop.company.shop.id])["Vpcs"]
        other = shop.ec2.create_vpc(CidrBlock=same["CidrBlock"])["Vpc"]["VpcId"]
        behind_the_target(shop, other, self.address(shop, shop.database))
        contained(shop.database)
        assert shop.is_isolated(shop.database)

    def test_fails_when_it_is_an_appliance_in_a_peered_vpc(self, shop: Shop) -> None:
        other = shop.ec2.create_vpc(CidrBlock="172.16.0.0/16")["Vpc"]["VpcId"]
        behind_the_target(shop, other, self.address(shop, shop.database), zone="all")
        self.refused(shop, shop.database, "is a mirror target of this response")

    def test_when_the_load_balancer_forwards_only_tcp_to_it_then_it_is_contained(self, shop: Shop) -> None:
        behind_the_target(shop, shop.company.shop.id, shop.database, "TCP")
        contained(shop.database)
        assert shop.is_isolated(shop.database)

    def test_fails_when_the_listener_maps_the_port_of_mirrored_packets_to_another(self, shop: Shop) -> None:
        """Also where another target group has that port: it does not say which listener forwards to it."""
        behind_the_target(shop, shop.company.shop.id, shop.database, port=8472)
        behind_the_target(shop, shop.company.shop.id, shop.company.instances["legacy"], listener=514)
        self.refused(shop, shop.database, "is a mirror target of this response")

    def test_fails_when_too_many_instances_were_contained_in_this_hour(self, shop: Shop) -> None:
        shop.set(per_hour=1)
        first = contained(shop.database)
        self.refused(
            shop,
            shop.company.instances["legacy"],
            "per_hour is 1: 1 instance was contained by responders in this clock hour. Contain it again from ",
        )
        # Those that are contained count once, whoever asks.
        contained(shop.database)
        assert isolation.contain(first) == {"status": "contained"}

    @pytest.mark.parametrize("approved", [False, True])
    def test_when_findings_used_up_their_containments_then_responders_have_theirs(
        self, shop: Shop, approved: bool
    ) -> None:
        shop.set(per_hour=1)
        first, second, third = (opened(shop.company.instances[name]) for name in ("database", "legacy", "web-1"))
        for incident in (first, second):
            containment_requests.contain(incident, "now", by=POLICY)
        assert isolation.contain(first) == {"status": "contained"}
        with pytest.raises(ContainmentRefused, match="per_hour is 1: 1 instance was contained by the policy in this"):
            isolation.contain(second)
        # What the policy asks and a responder approves, a responder decides.
        containment_requests.contain(third, "approval" if approved else "now", by=POLICY if approved else CALLER)
        if approved:
            containment_requests.decide(third, "approved", by=OTHER)
        assert isolation.contain(third) == {"status": "contained"}
        # And responders use up nothing of the policy's, nor have more than theirs.
        fourth = opened(shop.company.instances["web-2"])
        containment_requests.contain(fourth, "now", by=CALLER)
        with pytest.raises(
            ContainmentRefused, match=r"clock hour\. Contain it again from \d{4}-\d\d-\d\dT\d\d:00:00Z on, or"
        ):
            isolation.contain(fourth)


def test_when_an_interface_is_in_a_foreign_vpc_then_the_others_are_isolated_and_it_is_named(shop: Shop) -> None:
    instance = shop.company.instances["legacy"]
    [placed] = shop.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    vpc = shop.ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    zone = placed["Placement"]["AvailabilityZone"]
    subnet = shop.ec2.create_subnet(VpcId=vpc, CidrBlock="10.99.0.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
    foreign = shop.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    interface = foreign["NetworkInterfaceId"]
    shop.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=instance, DeviceIndex=1)
    own = placed["NetworkInterfaces"][0]["NetworkInterfaceId"]

    incident = contained(instance)
    assert shop.groups_of(own) == [shop.quarantine]
    assert shop.groups_of(interface) == [group["GroupId"] for group in foreign["Groups"]]
    [said] = [line for line in item(incident)["containment"]["not_done"] if line.startswith(interface)]
    assert said == (
        f"{interface} STAYS CONNECTED: it is in {vpc}, which is not in the scope of this deployment; detach it, or "
        "give it a security group without rules"
    )
    assert said in containment_requests.plan_to_contain(incidents.get(incident))["warnings"]
    assert release(incident) == "released"
    assert shop.groups_of(interface) == [group["GroupId"] for group in foreign["Groups"]]


@pytest.mark.parametrize("own", [False, True])
def test_when_a_mirror_target_of_it_mirrors_no_other_instance_then_it_is_contained_and_that_is_said(
    shop: Shop, own: bool
) -> None:
    """Whoever may create targets makes one of an interface, to be left alone; a session of its own does not help."""
    [first, second] = shop.company.interfaces["database"]
    target = shop.site.others_target = shop.site.target(second)
    if own:
        shop.site.session_of_others(first)
    incident = opened(shop.database)
    said = (
        f"{second} is the mirror target {target}, which mirrors no other instance of this account: that does not "
        "protect it. If another account uses the target, its captures end"
    )
    assert containment_requests.plan_to_contain(incidents.get(incident))["warnings"] == [said]

    containment_requests.contain(incident, "now", by=CALLER)
    assert isolation.contain(incident) == {"status": "contained"}

    assert shop.is_isolated(shop.database)
    assert item(incident)["containment"]["not_done"] == [said]
    assert said in [entry["detail"] for entry in incidents.timeline(incident)]
    [subject, text] = notifications.contained(incidents.get(incident))
    assert "CONTAINED" in subject
    assert said in text
    assert release(incident) == "released"


def test_when_an_aws_service_owns_an_interface_then_the_others_are_isolated_and_it_is_reported(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = shop.company.interfaces["database"][1]
    real = inspect.attached
    monkeypatch.setattr(
        inspect,
        "attached",
        lambda instance: [{**item, "RequesterManaged": item["NetworkInterfaceId"] == owned} for item in real(instance)],
    )
    before = shop.groups_of(owned)
    incident = contained(shop.database)
    assert shop.groups_of(owned) == before
    warnings = [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "warning"]
    assert warnings == [f"{owned} STAYS CONNECTED: it is managed by an AWS service"]
    assert item(incident)["containment"]["not_done"] == warnings
    containment_steps.notify(incident)
    assert f"\nNot done:\n  {warnings[0]}\n" in shop.site.messages()[-1]["Message"]


def test_when_it_is_a_spot_instance_then_plan_and_notification_say_that_it_is_not_protected(shop: Shop) -> None:
    instance, interface = shop.site.instance(InstanceMarketOptions={"MarketType": "spot"})
    said = "a Spot Instance cannot be protected from termination"
    incident = asked(instance)
    plan = containment_requests.plan_to_contain(incidents.get(incident))
    assert plan["warnings"] == [said]
    assert "termination" not in {change["what"] for change in plan["changes"]}
    assert isolation.contain(incident) == {"status": "contained"}
    assert shop.groups(instance) == {interface: [shop.quarantine]}
    containment_steps.notify(incident)
    assert f"\nNot done:\n  {said}\n" in shop.site.messages()[-1]["Message"]


class TestOptions:
    def test_when_there_are_two_steps_then_connections_are_untracked_before_isolation(self, shop: Shop) -> None:
        shop.set(two_step={"enabled": True, "seconds": 60})
        before = shop.all()
        incident = asked(shop.database)
        now = time.time()
        shop.monkeypatch.setattr("time.time", lambda: now)
        assert isolation.contain(incident) == {"status": "wait", "seconds": 60, "next": "isolate"}
        assert set(map(tuple, shop.groups(shop.database).values())) == {(shop.untrack,)}
        now += 7
        assert isolation.contain(incident) == {"status": "wait", "seconds": 53, "next": "isolate"}
        now += 53
        assert isolation.contain(incident) == {"status": "contained"}
        assert shop.is_isolated(shop.database)
        assert release(incident) == "released"
        assert shop.changed_since(before) == []

    def test_when_it_fails_between_two_steps_then_the_notification_says_that_it_is_open(self, shop: Shop) -> None:
        shop.set(two_step={"enabled": True, "seconds": 60})
        incident = asked(shop.database)
        isolation.contain(incident)
        containment_steps.fail(incident, "ContainmentRefused", "it is protected")
        said = (
            f"{shop.database} IS OPEN TO ALL TRAFFIC: it has the all-open security group (two_step did not finish). "
            "Contain it again now, which isolates it; or release it, which restores its prior groups"
        )
        assert item(incident)["containment"]["failure"] == f"ContainmentRefused: it is protected; {said}"
        assert said in shop.site.messages()[-1]["Message"]
        assert release(incident) == "released"

    def test_when_it_failed_between_two_steps_then_containing_it_again_needs_no_new_approval(self, shop: Shop) -> None:
        shop.set(two_step={"enabled": True, "seconds": 60})
        incident = opened(shop.database, containment="approval")
        containment_requests.decide(incident, "approved", by=OTHER)
        isolation.contain(incident)
        containment_steps.fail(incident, "ContainmentFailed", "x")
        # Whoever controls the instance may give it the tag that protects.
        shop.ec2.create_tags(Resources=[shop.database], Tags=[{"Key": "tapstack-protected", "Value": ""}])
        assert containment_requests.plan_to_contain(incidents.get(incident))["refused"] is None
        again = containment_requests.contain(incident, "approval", by=CALLER).requested_containment
        assert (again.state, again.decision, again.decided_by) == ("containing", "approved", OTHER.name)
        later = time.time() + 61
        shop.monkeypatch.setattr("time.time", lambda: later)
        assert isolation.contain(incident) == {"status": "contained"}
        assert shop.is_isolated(shop.database)
        assert release(incident) == "released"
        # What was released is decided anew.
        shop.ec2.delete_tags(Resources=[shop.database], Tags=[{"Key": "tapstack-protected"}])
        assert containment_requests.contain(incident, "approval", by=CALLER).containment_state == "pending"

    def test_when_a_containment_failed_before_it_began_then_containing_it_again_needs_an_approval(
        self, shop: Shop
    ) -> None:
        incident = asked(shop.database)
        containment_steps.fail(incident, "ContainmentRefused", "it is protected")
        assert containment_requests.contain(incident, "approval", by=CALLER).containment_state == "pending"

    def test_when_a_containment_is_refused_that_another_incident_holds_then_no_release_is_proposed(
        self, shop: Shop
    ) -> None:
        contained(shop.database)
        refused = asked(shop.database)
        containment_steps.fail(refused, "ContainmentRefused", "it is protected")
        assert item(refused)["containment"]["changed"] == []
        assert "tapstack incident release" not in shop.site.messages()[-1]["Message"]

    def test_when_it_is_released_between_two_steps_then_the_prior_state_is_restored(self, shop: Shop) -> None:
        shop.set(two_step={"enabled": True, "seconds": 60})
        before = shop.all()
        incident = asked(shop.database)
        isolation.contain(incident)
        assert release(incident) == "released"
        assert shop.changed_since(before) == []
        assert isolation.contain(incident) == {"status": "overtaken"}
        assert shop.changed_since(before) == []

    def test_when_the_tracking_timeout_is_shortened_then_a_release_restores_it(self, shop: Shop) -> None:
        shop.set(tcp_established_seconds=60)
        first, second = shop.company.interfaces["database"]
        shop.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=first, ConnectionTrackingSpecification={"TcpEstablishedTimeout": 350}
        )

        def timeouts() -> list[int]:
            found = shop.ec2.describe_network_interfaces(NetworkInterfaceIds=[first, second])["NetworkInterfaces"]
            of = {i["NetworkInterfaceId"]: i["ConnectionTrackingConfiguration"]["TcpEstablishedTimeout"] for i in found}
            return [of[first], of[second]]

        incident = contained(shop.database)
        assert timeouts() == [60, 60]
        assert release(incident) == "released"
        assert timeouts() == [350, 432_000]
        assert item(incident)["containment"]["not_restored"] == [
            f"tracked TCP timeout of {second}: it was not set, and cannot be unset: it is 432000 s now, AWS's "
            "default except on Nitro v6 instances, where that is 350 s"
        ]

    def test_when_snapshots_are_taken_then_they_are_taken_once_and_stay(self, shop: Shop) -> None:
        shop.set(snapshots=True)
        incident = contained(shop.database)
        isolation.contain(incident)
        assert release(incident) == "released"
        tagged = [{"Name": "tag-key", "Values": ["tapstack:containment"]}]
        assert len(shop.ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"]) == 1

    @pytest.mark.parametrize("other", [False, True])
    def test_when_it_is_contained_again_and_ec2_shows_them_late_then_no_others_are_taken(
        self, shop: Shop, other: bool
    ) -> None:
        shop.set(snapshots=True)
        first = asked(shop.database)
        shop.site.account.faults.add(Fault("DescribeSnapshots", "late", call=1))
        isolation.contain(first)
        if other:
            isolation.contain(asked(shop.database))
        else:
            ask_again(first, "containing")
            assert isolation.contain(first) == {"status": "contained"}
        shop.site.account.faults.clear()
        tagged = [{"Name": "tag-key", "Values": ["tapstack:containment"]}]
        assert len(shop.ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"]) == 1

    def test_when_they_are_asked_for_since_then_the_next_containment_takes_them(self, shop: Shop) -> None:
        isolation.contain(asked(shop.database))
        shop.set(snapshots=True)
        isolation.contain(asked(shop.database))
        tagged = [{"Name": "tag-key", "Values": ["tapstack:containment"]}]
        assert len(shop.ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"]) == 1

    @pytest.mark.parametrize("other", [False, True])
    def test_when_aws_refused_them_then_the_next_containment_takes_them(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, other: bool
    ) -> None:
        shop.set(snapshots=True)
        incident = asked(shop.database)
        with monkeypatch.context() as patched:
            patched.setattr(snapshots, "client_without_retries", too_many_snapshots)
            isolation.contain(incident)
        assert not_done(incident) == [f"snapshots of {shop.database}: SnapshotLimitExceeded: 'too many'"]
        assert containment_requests.would_change(incidents.get(incident))
        if other:
            incident = asked(shop.database)
        else:
            ask_again(incident, "containing")
        isolation.contain(incident)
        assert not_done(incident) == []
        assert len(evidence(shop)) == 1
        assert not containment_requests.would_change(incidents.get(incident))

    @pytest.mark.parametrize("taken", [True, False])
    def test_when_they_are_switched_off_since_then_what_was_taken_stays_recorded_and_nothing_is_asked_of_ec2(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, taken: bool
    ) -> None:
        shop.set(snapshots=True)
        with monkeypatch.context() as patched:
            if not taken:
                patched.setattr(snapshots, "client_without_retries", too_many_snapshots)
            isolation.contain(asked(shop.database))
        shop.set(snapshots=False)

        def refuse(_: str) -> Any:
            error = {"Error": {"Code": "UnauthorizedOperation", "Message": "the role has no permission any more"}}
            raise ClientError({**error, "ResponseMetadata": {"HTTPStatusCode": 403}}, "DescribeSnapshots")

        monkeypatch.setattr(snapshots, "client", refuse)
        incident = asked(shop.database)
        isolation.contain(incident)
        assert not_done(incident) == []
        lines = [line for line in item(incident)["containment"]["changed"] if line.startswith("snapshots")]
        assert len(lines) == int(taken)

    def test_when_those_that_are_asked_for_since_are_throttled_then_the_next_attempt_takes_them(
        self, shop: Shop
    ) -> None:
        isolation.contain(asked(shop.database))
        shop.set(snapshots=True)
        incident = asked(shop.database)
        shop.site.account.faults.add(Fault("CreateSnapshots", "throttled"))
        with pytest.raises(TryAgain):
            isolation.contain(incident)
        assert evidence(shop) == []
        isolation.contain(incident)
        assert len(evidence(shop)) == 1

    def test_when_one_that_was_taken_has_failed_since_then_the_next_containment_takes_another(self, shop: Shop) -> None:
        shop.set(snapshots=True)
        isolation.contain(asked(shop.database))
        [failed] = evidence(shop)
        ec2_backends[ACCOUNT_ID][REGION].snapshots[failed["SnapshotId"]].status = "error"
        for _ in range(2):
            isolation.contain(asked(shop.database))
            assert sorted(one["State"] == "error" for one in evidence(shop)) == [False, True]

    def test_when_ec2_shows_late_what_was_taken_in_place_of_one_that_failed_then_no_others_are_taken(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.set(snapshots=True)
        isolation.contain(asked(shop.database))
        [failed] = evidence(shop)
        ec2_backends[ACCOUNT_ID][REGION].snapshots[failed["SnapshotId"]].status = "error"
        # Records have whole seconds.
        monkeypatch.setattr(snapshots, "utc_now", lambda: utc_now() + timedelta(seconds=2))
        # From when the second is taken: until then the only one that EC2 shows is the first.
        shop.site.account.faults.add(Fault("DescribeSnapshots", "late", call=1, times=2))
        for _ in range(3):
            isolation.contain(asked(shop.database))
        shop.site.account.faults.clear()
        assert len(evidence(shop)) == 2

    def test_when_a_volume_is_detached_before_the_snapshots_then_they_are_taken_once(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.set(snapshots=True)
        [subnet] = shop.ec2.describe_subnets(SubnetIds=[shop.company.shop.private[0]])["Subnets"]
        extra = shop.ec2.create_volume(AvailabilityZone=subnet["AvailabilityZone"], Size=8)["VolumeId"]
        shop.ec2.attach_volume(VolumeId=extra, InstanceId=shop.database, Device="/dev/sdf")
        take = snapshots.change

        def detached_first(*given: Any) -> None:
            monkeypatch.setattr(snapshots, "change", take)
            shop.ec2.detach_volume(VolumeId=extra)
            take(*given)

        monkeypatch.setattr(snapshots, "change", detached_first)
        incident = contained(shop.database)
        isolation.contain(incident)
        tagged = [{"Name": "tag-key", "Values": ["tapstack:containment"]}]
        assert len(shop.ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"]) == 1

    @pytest.mark.parametrize("forged", ["of one volume", "before"])
    def test_when_others_tagged_a_snapshot_of_theirs_then_snapshots_are_taken_all_the_same(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, forged: str
    ) -> None:
        shop.set(snapshots=True)
        [subnet] = shop.ec2.describe_subnets(SubnetIds=[shop.company.shop.private[0]])["Subnets"]
        extra = shop.ec2.create_volume(AvailabilityZone=subnet["AvailabilityZone"], Size=8)["VolumeId"]
        shop.ec2.attach_volume(VolumeId=extra, InstanceId=shop.database, Device="/dev/sdf")
        [found] = shop.ec2.describe_instances(InstanceIds=[shop.database])["Reservations"][0]["Instances"]
        volumes = {one["Ebs"]["VolumeId"] for one in found["BlockDeviceMappings"]}
        assert len(volumes) > 1
        tag = {"Key": "tapstack:containment", "Value": f"{shop.database} 1"}
        for volume in [extra] if forged == "of one volume" else volumes:
            tags = [{"ResourceType": "snapshot", "Tags": [tag]}]
            shop.ec2.create_snapshot(VolumeId=volume, TagSpecifications=tags)
        if forged == "before":
            # Records have whole seconds.
            monkeypatch.setattr(containments, "utc_now", lambda: utc_now() + timedelta(seconds=2))
        contained(shop.database)
        taken = shop.ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": [tag["Key"]]}])
        described = [
            one for one in taken["Snapshots"] if one.get("Description") == f"Tapstack: {shop.database} contained"
        ]
        assert {one["VolumeId"] for one in described} == volumes

    def test_when_the_role_is_restricted_then_only_this_instance_is_denied_and_released(self, shop: Shop) -> None:
        iam = _with_role(shop)
        incident = contained(shop.database)
        assert _policy(shop)["Statement"][0]["Condition"] == {
            "ArnEquals": {"ec2:SourceInstanceARN": f"arn:aws:ec2:eu-central-1:123456789012:instance/{shop.database}"}
        }
        assert release(incident) == "released"
        assert iam.list_role_policies(RoleName="app")["PolicyNames"] == []

    def test_when_the_role_has_another_policy_of_that_name_then_it_is_not_overwritten(self, shop: Shop) -> None:
        _with_role(shop)
        _write_policy(shop, OF_OTHERS)
        incident = contained(shop.database)
        assert _policy(shop) == OF_OTHERS
        warnings = [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "warning"]
        assert warnings == [
            "the role app is not restricted: it has another policy of that name as the restriction of "
            f"{shop.database} would have"
        ]
        assert release(incident) == "released"
        assert _policy(shop) == OF_OTHERS

    def test_when_another_policy_of_that_name_is_written_just_before_then_it_stays(self, shop: Shop) -> None:
        _with_role(shop)
        incident = asked(shop.database)
        real = OF_KIND["profile"].change

        def late(*arguments: Any) -> None:
            _write_policy(shop, OF_OTHERS)
            real(*arguments)

        shop.monkeypatch.setattr(OF_KIND["profile"], "change", late)
        isolation.contain(incident)
        assert _policy(shop) == OF_OTHERS
        [warning] = [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "warning"]
        assert warning == (
            f"not done: permissions of app: the role app has a policy tapstack-containment-{shop.database} that "
            "containment did not write: it is left as it is"
        )

    @pytest.mark.parametrize("decision", [{"overwrite": True}, {"keep": True}], ids=["overwrite", "keep"])
    def test_when_others_changed_the_policy_then_the_release_is_blocked_and_it_stays(
        self, shop: Shop, decision: dict[str, bool]
    ) -> None:
        _with_role(shop)
        incident = contained(shop.database)
        ours = _policy(shop)
        theirs = {**ours, "Statement": [*ours["Statement"], *OF_OTHERS["Statement"]]}
        _write_policy(shop, theirs)
        assert release(incident) == "blocked"
        assert release(incident, **decision) == "released"
        assert _policy(shop) == theirs
        [note] = item(incident)["containment"]["not_restored"]
        assert note.startswith("permissions of app: ")

    def test_when_only_isolation_is_configured_then_nothing_else_is_changed(self, shop: Shop) -> None:
        shop.set(
            termination_protection=False,
            stop_on_shutdown=False,
            keep_volumes=False,
            load_balancers={"deregister": False},
            auto_scaling={"standby": False},
        )
        web = shop.company.instances["web-1"]
        incident = contained(web)
        assert {kind for kind, _ in shop.prior_states(web)} == {"groups"}
        warnings = [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "warning"]
        assert warnings == ["it stays in service in the Auto Scaling group web, which may replace and terminate it"]


OF_OTHERS: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}],
}
"""What others may have written under the name of a restriction."""


def _with_role(shop: Shop) -> Any:
    """Give the database an instance profile with a role, restrict it at containment, and return the client of IAM."""
    shop.set(instance_profile="restrict")
    iam = shop.client("iam")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="app")
    iam.add_role_to_instance_profile(InstanceProfileName="app", RoleName="app")
    shop.ec2.associate_iam_instance_profile(IamInstanceProfile={"Name": "app"}, InstanceId=shop.database)
    return iam


def _policy_name(shop: Shop) -> dict[str, str]:
    return {"RoleName": "app", "PolicyName": f"tapstack-containment-{shop.database}"}


def _policy(shop: Shop) -> dict[str, Any]:
    document = shop.client("iam").get_role_policy(**_policy_name(shop))["PolicyDocument"]
    found: dict[str, Any] = json.loads(document) if isinstance(document, str) else document
    return found


def _write_policy(shop: Shop, document: dict[str, Any]) -> None:
    shop.client("iam").put_role_policy(**_policy_name(shop), PolicyDocument=json.dumps(document))


class TestFailures:
    def test_when_standby_is_refused_then_the_instance_is_isolated_and_the_refusal_is_reported(
        self, shop: Shop
    ) -> None:
        web = shop.company.instances["web-1"]
        incident = asked(web)
        real = OF_KIND["standby"].change

        def refused(instance: str, original: object, to: object) -> None:
            shop.client("autoscaling").exit_standby(AutoScalingGroupName="web", InstanceIds=[web])

        shop.monkeypatch.setattr(OF_KIND["standby"], "change", refused)
        assert isolation.contain(incident) == {"status": "contained"}
        assert shop.is_isolated(web)
        warnings = [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "warning"]
        assert [line.partition(":")[0] for line in warnings] == [
            "the Auto Scaling group web launches a replacement, which stays after the release",
            "not done",
        ]
        assert warnings[1].startswith("not done: Auto Scaling state of web: ValidationError")
        assert item(incident)["containment"]["not_done"] == [warnings[0], warnings[1].removeprefix("not done: ")]
        shop.monkeypatch.setattr(OF_KIND["standby"], "change", real)
        assert release(incident) == "released"

    def test_when_evidence_calls_are_throttled_then_the_instance_is_isolated_and_the_step_is_retried(
        self, shop: Shop
    ) -> None:
        incident = asked(shop.database)
        shop.site.account.faults.add(Fault("ModifyInstanceAttribute", "throttled", call=0))
        with pytest.raises(TryAgain, match="RequestLimitExceeded"):
            isolation.contain(incident)
        assert shop.is_isolated(shop.database)
        shop.site.account.faults.clear()
        assert isolation.contain(incident) == {"status": "contained"}
        assert shop.protected(shop.database) == (True, "stop", [False])

    def test_fails_when_the_quarantine_group_is_gone_and_names_what_is_not_isolated(self, shop: Shop) -> None:
        incident = asked(shop.database)
        shop.ec2.delete_security_group(GroupId=shop.quarantine)
        with pytest.raises(ContainmentFailed, match="is NOT isolated: InvalidGroup"):
            isolation.contain(incident)
        assert item(incident)["containment"]["changed"] != []
        ask_again(incident, "failed")
        assert release(incident) == "released"
        assert shop.protected(shop.database) == (False, "stop", [True])

    def test_when_evidence_takes_long_then_isolation_does_not_wait(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(isolation, "HEAD_START_SECONDS", 0.1)
        cut, waited = threading.Event(), []
        real = OF_KIND["groups"].change

        def change(instance: str, original: PriorState, to: object) -> None:
            real(instance, original, to)
            cut.set()

        monkeypatch.setattr(OF_KIND["groups"], "change", change)
        monkeypatch.setattr(OF_KIND["termination"], "change", lambda *_: waited.append(cut.wait(10)))
        contained(shop.database)
        assert waited == [True]
