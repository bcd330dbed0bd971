"""Everything comes back, exactly; what others did meanwhile is shown, and not overwritten unasked."""

from __future__ import annotations

import pytest

from strictmoto.faults import Fault
from tapstack.domain.containment_release import AWS_REFUSES, NO_GROUP_LEFT
from tapstack.domain.proposals import proposal
from tapstack.responder.containment import isolation, notifications, restoration
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.containment import steps as containment_steps
from tapstack.responder.containment.changes import OF_KIND
from tapstack.responder.containment.inspect import inspect_instance
from tapstack.responder.errors import TryAgain
from tapstack.responder.handlers.release import handler
from tapstack.responder.store import containments, incidents
from tests.responder.callers import CALLER
from tests.responder.conftest import change, item, opened
from tests.responder.containment.conftest import Shop, ask_again, asked, contained, item_of, release
from tests.responder.containment.test_attached import attach
from tests.sampling import sampled


@sampled("name", ["database", "legacy", "web-1"], every=3)
def test_when_it_is_released_then_the_account_is_as_it_was(shop: Shop, name: str) -> None:
    shop.fit_group()
    instance = shop.company.instances[name]
    before = shop.all()
    incident = contained(instance)
    assert shop.changed_since(before) != []
    assert release(incident) == "released"
    assert shop.changed_since(before) == []
    assert shop.state(incident) == "released"
    assert item(incident)["containment"]["not_restored"] == []
    held = containments.get(instance)
    assert held is not None
    assert (held.state, held.holders) == ("absent", frozenset())
    assert shop.prior_states(instance) == {}


def test_when_it_is_behind_load_balancers_then_it_is_registered_as_it_was(shop: Shop) -> None:
    shop.behind_everything(shop.database)
    before = shop.all()
    assert release(contained(shop.database)) == "released"
    assert shop.changed_since(before) == []


def test_when_it_is_released_then_the_network_is_restored_before_health_checks_begin(shop: Shop) -> None:
    shop.behind_everything(shop.company.instances["web-1"])
    incident = contained(shop.company.instances["web-1"])
    shop.site.account.recorder.clear()
    release(incident)
    order = [
        record.call.action
        for record in shop.site.account.recorder.records()
        if record.call.action.startswith(("Modify", "Register", "Exit"))
    ]
    assert list(dict.fromkeys(order)) == [
        "ModifyNetworkInterfaceAttribute",
        "RegisterTargets",
        "RegisterInstancesWithLoadBalancer",
        "ExitStandby",
        "ModifyInstanceAttribute",
    ]


def test_when_auto_scaling_launched_a_replacement_then_the_release_says_that_it_stays(shop: Shop) -> None:
    web = shop.company.instances["web-1"]
    incident = contained(web)
    assert release(incident) == "released"
    assert shop.lifecycle(web) == "InService"
    [said] = item(incident)["containment"]["not_restored"]
    assert said.startswith(
        "Auto Scaling state of web: the instance is back in service; the one that the group launched"
    )


def test_when_it_is_released_twice_then_the_second_changes_nothing(shop: Shop) -> None:
    incident = contained(shop.database)
    release(incident)
    before = shop.all()
    shop.give(shop.company.interfaces["database"][0], shop.company.security_groups["web"])
    assert release(incident) == "released"
    shop.give(shop.company.interfaces["database"][0], *_groups_in(before, shop))
    assert shop.changed_since(before) == []


def _groups_in(before: object, shop: Shop) -> list[str]:
    groups = shop.company.security_groups
    return [groups["database"], groups["backup"]]


def test_when_it_is_contained_again_then_a_release_restores_the_state_of_that_time(shop: Shop) -> None:
    first = shop.company.interfaces["database"][0]
    release(contained(shop.database))
    shop.give(first, shop.company.security_groups["web"])
    before = shop.all()
    assert release(contained(shop.database)) == "released"
    assert shop.changed_since(before) == []


def test_when_ec2_still_shows_the_quarantine_after_a_release_then_the_true_prior_state_is_recorded(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.all()
    incident = contained(shop.database)
    stale = inspect_instance(shop.database, balancers=False)
    release(incident)
    monkeypatch.setattr(isolation, "inspect_instance", lambda *_, **__: stale)
    again = asked(shop.database)
    isolation.contain(again)
    assert shop.is_isolated(shop.database)
    assert release(again) == "released"
    assert [line for line in shop.changed_since(before) if "NetworkInterface" in line] == []


class TestSecondIncident:
    def test_when_two_incidents_hold_it_then_the_last_release_restores_everything(self, shop: Shop) -> None:
        before = shop.all()
        first = contained(shop.database)
        second = contained(shop.database)
        assert release(first) == "held"
        assert shop.is_isolated(shop.database)
        stays = f"{shop.database} stayed contained then, for {second}"
        assert item(first)["containment"]["not_restored"] == [stays]
        containment_steps.notify(first, "held")
        assert f"Its containment is NOT RELEASED for {second}." in shop.site.messages()[-1]["Message"]
        assert release(second) == "released"
        assert shop.changed_since(before) == []

    def test_when_another_contains_it_before_the_notification_then_that_does_not_say_released(self, shop: Shop) -> None:
        first = contained(shop.database)
        assert release(first) == "released"
        second = contained(shop.database)
        containment_steps.notify(first, "released")
        message = shop.site.messages()[-1]
        assert message["Subject"].endswith(": released for this incident only")
        assert f"Its containment is NOT RELEASED for {second}." in message["Message"]

    def test_when_it_is_rejected_while_another_holds_it_then_the_notification_says_that_it_stays(
        self, shop: Shop
    ) -> None:
        first = contained(shop.database)
        second = opened(shop.database, containment="approval")
        containment_requests.decide(second, "rejected", by=CALLER)
        assert containment_steps.decide(second) == {"status": "leave"}
        message = shop.site.messages()[-1]
        assert message["Subject"].endswith(": rejected; still contained")
        assert f"it stays contained for {first}." in message["Message"]

    def test_when_one_releases_for_all_incidents_then_each_is_notified(self, shop: Shop) -> None:
        before = shop.all()
        first, second = contained(shop.database), contained(shop.database)
        assert release(first, all_incidents=True) == "released"
        assert shop.changed_since(before) == []
        assert (shop.state(first), shop.state(second)) == ("released", "released")

    @pytest.mark.long
    def test_when_it_is_contained_while_it_is_released_then_it_stays_isolated_and_no_prior_state_is_lost(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = shop.all()
        first = contained(shop.database)
        real = OF_KIND["groups"].restore

        def overtaken(*args: object) -> None:
            real(*args)  # type: ignore[arg-type]
            monkeypatch.setattr(OF_KIND["groups"], "restore", real)
            # Decided after the release began: what was decided before it, its end ends.
            ask_again(second, "containing")
            isolation.contain(second)

        second = asked(shop.database)
        monkeypatch.setattr(OF_KIND["groups"], "restore", overtaken)
        with pytest.raises(TryAgain, match="overtaken"):
            release(first)
        isolation.contain(second)
        assert shop.is_isolated(shop.database)
        assert release(first) == "held"
        assert shop.is_isolated(shop.database)
        assert release(second) == "released"
        assert shop.changed_since(before) == []


class TestOthers:
    def test_when_others_changed_groups_then_nothing_is_restored_and_the_difference_is_shown(self, shop: Shop) -> None:
        first = shop.company.interfaces["database"][0]
        incident = contained(shop.database)
        prior_states = shop.prior_states(shop.database)
        shop.give(first, shop.company.security_groups["web"])
        before = shop.all()
        assert release(incident) == "blocked"
        assert shop.changed_since(before) == []
        assert shop.state(incident) == "blocked"
        expected = {
            "what": "groups",
            "key": first,
            "original": prior_states["groups", first],
            "ours": [shop.quarantine],
            "now": [shop.company.security_groups["web"]],
            "why": "changed outside Tapstack",
            "blocks": True,
            "advice": "",
            "names": {
                **{shop.company.security_groups[name]: name for name in ("backup", "database", "web")},
                shop.quarantine: "quarantine",
            },
        }
        assert item(incident)["containment"]["differences"] == [expected]
        plan = restoration.plan(incident)
        assert plan.blocked
        assert [difference.as_dict() for difference in plan.differences] == [expected]

    def test_when_overwrite_is_asked_for_then_the_prior_state_is_restored(self, shop: Shop) -> None:
        before = shop.all()
        incident = contained(shop.database)
        shop.give(shop.company.interfaces["database"][0], shop.company.security_groups["web"])
        assert release(incident, overwrite=True) == "released"
        assert shop.changed_since(before) == []

    def test_when_keep_is_asked_for_then_it_stays_and_the_rest_is_restored(self, shop: Shop) -> None:
        first, second = shop.company.interfaces["database"]
        second_before = shop.groups_of(second)
        incident = contained(shop.database)
        shop.give(first, shop.company.security_groups["web"])
        assert release(incident, keep=True) == "released"
        assert shop.groups_of(first) == [shop.company.security_groups["web"]]
        assert shop.groups_of(second) == second_before
        assert item(incident)["containment"]["not_restored"] == [
            f"security groups of {first}: changed outside Tapstack; left as it is: "
            f"{shop.company.security_groups['web']} (web)"
        ]

    @pytest.mark.long
    def test_when_others_restored_the_prior_state_then_the_release_is_not_blocked(self, shop: Shop) -> None:
        before = shop.all()
        incident = contained(shop.database)
        prior_states = shop.prior_states(shop.database)
        for interface in shop.company.interfaces["database"]:
            shop.give(interface, *prior_states["groups", interface])
        assert release(incident) == "released"
        assert shop.changed_since(before) == []

    def test_when_a_group_is_gone_then_only_overwrite_restores_the_others(self, shop: Shop) -> None:
        groups = shop.company.security_groups
        extra = shop.ec2.create_security_group(GroupName="extra", Description="x", VpcId=shop.company.shop.id)[
            "GroupId"
        ]
        first = shop.company.interfaces["database"][0]
        shop.give(first, extra, groups["database"])
        incident = contained(shop.database)
        shop.ec2.delete_security_group(GroupId=extra)
        assert release(incident) == "blocked"
        assert release(incident, overwrite=True) == "released"
        assert shop.groups_of(first) == [groups["database"]]
        assert item(incident)["containment"]["not_restored"] == [
            f"security groups of {first}: {extra} (extra): the security group does not exist any more; the others are "
            "back"
        ]

    def test_when_all_groups_of_an_interface_are_gone_then_only_keep_releases_it(self, shop: Shop) -> None:
        extra = shop.ec2.create_security_group(GroupName="extra", Description="x", VpcId=shop.company.shop.id)[
            "GroupId"
        ]
        first = shop.company.interfaces["database"][0]
        shop.give(first, extra)
        incident = contained(shop.database)
        shop.ec2.delete_security_group(GroupId=extra)
        assert release(incident, overwrite=True) == "blocked"
        _, notified = notifications.blocked(incidents.get(incident))
        assert f"{NO_GROUP_LEFT}." in notified
        assert f"{incident} --keep" in notified
        assert f"{incident} --overwrite" not in notified
        assert release(incident, keep=True) == "released"
        assert shop.groups_of(first) == [shop.quarantine]
        [said] = item(incident)["containment"]["not_restored"]
        assert said.endswith(f"does not exist any more; it STAYS IN QUARANTINE: {shop.quarantine} (quarantine)")

    def test_when_all_groups_are_gone_and_one_is_added_by_hand_then_keep_releases_it(self, shop: Shop) -> None:
        extra = shop.ec2.create_security_group(GroupName="extra", Description="x", VpcId=shop.company.shop.id)[
            "GroupId"
        ]
        first = shop.company.interfaces["database"][0]
        shop.give(first, extra)
        incident = contained(shop.database)
        shop.ec2.delete_security_group(GroupId=extra)
        shop.give(first, web := shop.company.security_groups["web"])
        assert release(incident) == "blocked"
        [difference] = item(incident)["containment"]["differences"]
        assert (difference["why"], difference["advice"]) == ("changed outside Tapstack", NO_GROUP_LEFT)
        assert release(incident, keep=True) == "released"
        assert shop.groups_of(first) == [web]

    def test_when_the_release_was_blocked_by_an_earlier_version_then_it_is_read(self, shop: Shop) -> None:
        incident = contained(shop.database)
        shop.give(shop.company.interfaces["database"][0], shop.company.security_groups["web"])
        assert release(incident) == "blocked"
        change(incident, "REMOVE containment.differences[0].advice")
        _, notified = notifications.blocked(incidents.get(incident))
        assert f"{incident} --overwrite" in notified

    def test_when_an_interface_was_detached_then_its_groups_are_restored_all_the_same(self, shop: Shop) -> None:
        second = shop.company.interfaces["database"][1]
        before = shop.groups_of(second)
        incident = contained(shop.database)
        [found] = shop.ec2.describe_network_interfaces(NetworkInterfaceIds=[second])["NetworkInterfaces"]
        shop.ec2.detach_network_interface(AttachmentId=found["Attachment"]["AttachmentId"])
        assert release(incident) == "released"
        assert shop.groups_of(second) == before

    def test_when_an_interface_is_deleted_then_the_rest_is_restored_and_it_is_reported(self, shop: Shop) -> None:
        first, second = shop.company.interfaces["database"]
        before = shop.groups_of(first)
        incident = contained(shop.database)
        [found] = shop.ec2.describe_network_interfaces(NetworkInterfaceIds=[second])["NetworkInterfaces"]
        shop.ec2.detach_network_interface(AttachmentId=found["Attachment"]["AttachmentId"])
        shop.ec2.delete_network_interface(NetworkInterfaceId=second)
        assert release(incident) == "released"
        assert shop.groups_of(first) == before
        assert item(incident)["containment"]["not_restored"] == [f"security groups of {second}: it is gone"]

    def test_when_an_interface_was_attached_since_then_it_is_shown_and_left_alone(self, shop: Shop) -> None:
        incident = contained(shop.database)
        web = shop.company.security_groups["web"]
        added = shop.ec2.create_network_interface(SubnetId=shop.company.shop.private[0], Groups=[web])
        added_id = added["NetworkInterface"]["NetworkInterfaceId"]
        shop.ec2.attach_network_interface(NetworkInterfaceId=added_id, InstanceId=shop.database, DeviceIndex=2)
        plan = restoration.plan(incident)
        assert not plan.blocked
        [difference] = plan.differences
        assert (difference.key, difference.now, difference.blocks) == (added_id, [web], False)
        assert release(incident) == "released"
        assert shop.groups_of(added_id) == [web]

    def test_when_the_instance_is_terminated_then_what_is_left_of_it_is_restored(self, shop: Shop) -> None:
        second = shop.company.interfaces["database"][1]
        before = shop.groups_of(second)
        incident = contained(shop.database)
        shop.ec2.modify_instance_attribute(InstanceId=shop.database, DisableApiTermination={"Value": False})
        shop.ec2.terminate_instances(InstanceIds=[shop.database])
        assert release(incident) == "released"
        # It was attached later, and so outlives the instance.
        assert shop.groups_of(second) == before
        gone = item(incident)["containment"]["not_restored"]
        assert [line for line in gone if not line.endswith("it is gone")] == []
        assert len(gone) == 3

    def test_when_a_load_balancer_is_gone_then_the_rest_is_restored_and_it_is_reported(self, shop: Shop) -> None:
        shop.behind_everything(shop.database)
        incident = contained(shop.database)
        elbv2 = shop.client("elbv2")
        [group] = elbv2.describe_target_groups(Names=["by-address"])["TargetGroups"]
        elbv2.delete_target_group(TargetGroupArn=group["TargetGroupArn"])
        shop.client("elb").delete_load_balancer(LoadBalancerName="old")
        assert release(incident) == "released"
        gone = item(incident)["containment"]["not_restored"]
        assert [line.partition(" of ")[0] for line in gone] == [
            "registration in the load balancer",
            "registration in the target group",
        ]

    def test_when_auto_scaling_refuses_then_the_release_is_blocked_until_that_is_mended(self, shop: Shop) -> None:
        shop.fit_group()
        web = shop.company.instances["web-1"]
        before = shop.all()
        incident = contained(web)
        scaling = shop.client("autoscaling")
        scaling.update_auto_scaling_group(AutoScalingGroupName="web", MaxSize=1)
        assert release(incident) == "blocked"
        [difference] = item(incident)["containment"]["differences"]
        assert difference["why"].startswith("AWS refuses to restore it: ValidationError: 'AutoScalingGroup web has")
        assert difference["advice"] == AWS_REFUSES
        subject, notified = notifications.blocked(incidents.get(incident))
        assert subject.endswith(f"{incident}: release NOT COMPLETED")
        assert "AWS refuses a part of it. Its network is restored." in notified
        assert f"\n  {proposal(incident, 'release')}\n" in notified
        assert "NOT RELEASED" not in notified
        assert not shop.is_isolated(web)
        assert shop.protected(web)[0]
        scaling.update_auto_scaling_group(AutoScalingGroupName="web", MaxSize=4)
        assert release(incident) == "released"
        assert shop.changed_since(before) == []


def test_when_a_release_is_blocked_then_groups_carry_their_names_everywhere(shop: Shop) -> None:
    first, second = shop.company.interfaces["database"]
    groups = shop.company.security_groups
    incident = contained(shop.database)
    shop.give(first, groups["web"])
    shop.give(second, groups["administration"], groups["web"])
    assert release(incident) == "blocked"
    found = item(incident)["containment"]["differences"]
    for one in found:
        named = {**one["names"]}
        assert named[shop.quarantine] == "quarantine"
        assert {named[group] for group in one["now"]} <= {"web", "administration"}
        assert set(named) == {*one["original"], *one["ours"], *one["now"]}
    text = notifications.blocked(incidents.get(incident))[1]
    line = f"security groups of {first}: changed outside Tapstack; it is {groups['web']} (web) now"
    assert f"  {line}" in text.splitlines()
    assert any(line in entry["detail"] for entry in incidents.timeline(incident))
    assert restoration.plan(incident).as_dict()["differences"] == found
    assert release(incident, keep=True) == "released"
    assert any(f"{groups['web']} (web)" in one for one in item(incident)["containment"]["not_restored"])


def test_when_a_plan_is_asked_for_then_it_shows_what_will_be_restored_and_changes_nothing(shop: Shop) -> None:
    incident = contained(shop.database)
    before = shop.all()
    plan = restoration.plan(incident)
    assert [(change.what, change.before, change.after) for change in plan.changes if change.what != "groups"] == [
        ("volume", False, True),
        ("termination", True, False),
    ]
    assert all(change.before == [shop.quarantine] for change in plan.changes if change.what == "groups")
    assert shop.changed_since(before) == []
    release(incident)
    assert restoration.plan(incident).refused == f"instance {shop.database} is not contained"


def test_when_ec2_throttles_then_the_release_is_retried_and_completes(shop: Shop) -> None:
    before = shop.all()
    incident = contained(shop.database)
    shop.site.account.faults.add(Fault("ModifyInstanceAttribute", "throttled", call=0))
    ask_again(incident)
    with pytest.raises(TryAgain, match="RequestLimitExceeded"):
        _served(incident)
    shop.site.account.faults.clear()
    assert _served(incident) == {"status": "released"}
    assert shop.changed_since(before) == []


def _served(incident: str) -> object:
    return handler(
        {"action": "release", "incident_id": incident, "overwrite": False, "keep": False, "all": False}, None
    )


def test_when_tapstack_is_down_then_the_table_has_the_prior_state(shop: Shop) -> None:
    first = shop.company.interfaces["database"][0]
    before = shop.groups_of(first)
    contained(shop.database)
    item = item_of(shop.database, f"ORIGINAL#groups#{first}", shop.client("dynamodb"))
    assert [group["S"] for group in item["original"]["L"]] == before
    assert [group["S"] for group in item["ours"]["L"]] == [shop.quarantine]
    assert item["restored"] == {"BOOL": False}


class TestMoved:
    """An isolated interface is detached, and attached to another instance."""

    @pytest.fixture
    def other(self, shop: Shop) -> str:
        """In the same Availability Zone."""
        [like] = shop.ec2.describe_instances(InstanceIds=[shop.database])["Reservations"][0]["Instances"]
        named = {name: like[name] for name in ("ImageId", "InstanceType", "SubnetId")}
        [made] = shop.ec2.run_instances(**named, MinCount=1, MaxCount=1)["Instances"]
        return str(made["InstanceId"])

    def move(self, shop: Shop, interface: str, to: str) -> None:
        [found] = shop.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
        shop.ec2.detach_network_interface(AttachmentId=found["Attachment"]["AttachmentId"])
        shop.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=to, DeviceIndex=3)

    def test_when_that_is_contained_too_then_it_blocks_until_that_is_released(self, shop: Shop, other: str) -> None:
        interface = attach(shop)
        before = shop.groups_of(interface)
        first = contained(shop.database)
        self.move(shop, interface, other)
        second = contained(other)
        why = (
            f"security groups of {interface}: it is attached to {other} now, which is contained. Release that instance"
        )
        [difference] = restoration.plan(first).differences
        assert str(difference).startswith(why)
        assert difference.blocks
        isolated = {eni: shop.groups_of(eni) for eni in shop.company.interfaces["database"]}
        assert release(first) == "blocked"
        assert {eni: shop.groups_of(eni) for eni in isolated} == isolated
        assert release(second) == "released"
        assert shop.groups_of(interface) == [shop.quarantine]
        assert release(first) == "released"
        assert shop.groups_of(interface) == before
        assert not item(first)["containment"].get("not_restored")

    def test_when_that_is_kept_then_it_stays_in_quarantine_and_the_incident_says_so(
        self, shop: Shop, other: str
    ) -> None:
        interface = attach(shop)
        first = contained(shop.database)
        self.move(shop, interface, other)
        contained(other)
        assert release(first, keep=True) == "released"
        assert shop.groups_of(interface) == [shop.quarantine]
        [line] = item(first)["containment"]["not_restored"]
        kept = f"it is attached to {other} now, which is contained; it STAYS IN QUARANTINE"
        assert line.startswith(f"security groups of {interface}: {kept}")
        # A call of a containment that the release overtook changes nothing of that either.
        assert restoration.restore_again(first) == {"status": "restored"}
        assert shop.groups_of(interface) == [shop.quarantine]

    def test_when_that_is_overwritten_then_it_is_restored(self, shop: Shop, other: str) -> None:
        interface = attach(shop)
        before = shop.groups_of(interface)
        first = contained(shop.database)
        self.move(shop, interface, other)
        contained(other)
        assert release(first, overwrite=True) == "released"
        assert shop.groups_of(interface) == before

    def test_when_others_reconnected_it_too_then_that_is_what_blocks(self, shop: Shop, other: str) -> None:
        interface = attach(shop)
        first = contained(shop.database)
        self.move(shop, interface, other)
        contained(other)
        shop.give(
            interface, shop.ec2.create_security_group(GroupName="o", Description="x", VpcId=shop.site.vpc)["GroupId"]
        )
        [difference] = restoration.plan(first).differences
        assert difference.why == "changed outside Tapstack"

    @pytest.mark.long
    def test_when_that_is_attached_and_contained_after_the_release_then_what_is_late_leaves_it_isolated(
        self, shop: Shop, other: str
    ) -> None:
        interface = attach(shop)
        first = contained(shop.database)
        assert release(first) == "released"
        self.move(shop, interface, other)
        contained(other)
        assert restoration.restore_again(first) == {"status": "restored"}
        assert shop.groups_of(interface) == [shop.quarantine]

    def test_when_that_is_not_contained_then_it_is_restored(self, shop: Shop, other: str) -> None:
        interface = attach(shop)
        before = shop.groups_of(interface)
        first = contained(shop.database)
        self.move(shop, interface, other)
        assert release(first) == "released"
        assert shop.groups_of(interface) == before
