"""What comes in each other's way: each incident says in the end what is so, and ends. Found by random sequences."""

from __future__ import annotations

import json

import pytest

from tapstack.domain.containment import Change, PriorState, Value
from tapstack.responder.containment import isolation, restoration, steps
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.containment.changes import groups, tracking
from tapstack.responder.containment.changes.gone import Gone
from tapstack.responder.errors import ContainmentFailed, TryAgain
from tapstack.responder.handlers import release as release_function
from tapstack.responder.incident import commands
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.outbound import executions
from tapstack.responder.store import containments, incidents
from tapstack.responder.sweeper import sweep
from tests.responder.callers import CALLER, OTHER
from tests.responder.conftest import item, opened
from tests.responder.containment.conftest import Shop, ask_again, asked, contained, release


def test_when_a_release_for_all_is_overtaken_then_the_next_one_notifies_the_remaining_incidents(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.all()
    first, second = contained(shop.database), contained(shop.database)
    third = asked(shop.database)
    looked = restoration._inspect
    ask_again(second)

    def overtaken(held: containments.Containment) -> restoration._View:
        # The release has begun when containment is requested anew.
        containments.begin_release(held)
        ask_again(third, "containing")
        isolation.contain(third)
        return looked(held)

    monkeypatch.setattr(restoration, "_inspect", overtaken)
    with pytest.raises(TryAgain):
        restoration.release(second, all_incidents=True)
    monkeypatch.setattr(restoration, "_inspect", looked)
    assert shop.is_isolated(shop.database)
    ask_again(third)
    assert restoration.release(third) == {"status": "released"}
    assert {shop.state(incident) for incident in (first, second, third)} == {"released"}
    assert shop.changed_since(before) == []


def test_when_a_release_was_overtaken_and_another_has_begun_then_the_first_can_write_nothing(shop: Shop) -> None:
    incident = contained(shop.database)
    one = containments.prior_states(shop.database)[0]
    first = containments.begin_release(there(shop))
    ask_again(incident, "containing")
    isolation.contain(incident)
    # The generation, the holders and the state are those of before: only the turn is not.
    second = containments.begin_release(there(shop))
    assert (second.generation, second.state) == (first.generation, first.state)
    for write in (
        lambda: containments.mark_restored(first, one),
        lambda: containments.begin_release(first),
        lambda: containments.finish_release(first),
    ):
        with pytest.raises(TryAgain):
            write()
    assert there(shop) == second
    assert not any(original.restored for original in containments.prior_states(shop.database))


def test_when_a_containment_was_overtaken_and_another_has_begun_then_the_first_can_write_nothing(shop: Shop) -> None:
    incident = contained(shop.database)
    first = there(shop)
    containments.begin_release(first)
    ask_again(incident, "containing")
    second = containments.hold(incidents.get(incident), vpc_id="vpc-1", quarantine_group_id=shop.quarantine)
    assert second is not None
    assert (second.generation, second.holders) == (first.generation, first.holders)
    remembered = containments.prior_states(shop.database)
    for write in (
        lambda: containments.record(first, [Change("groups", "eni-0new", ["sg-1"], ["sg-2"])], remembered),
        lambda: containments.mark_untracked(first),
        lambda: containments.finish_containing(first),
        lambda: containments.begin_release(first),
    ):
        with pytest.raises(TryAgain):
            write()
    assert there(shop) == second
    assert containments.prior_states(shop.database) == remembered


class TestRestoreAgain:
    def test_when_calls_take_effect_after_a_release_then_what_they_changed_is_restored(self, shop: Shop) -> None:
        before = shop.all()
        incident = contained(shop.database)
        assert release(incident) == "released"
        [first, *_] = shop.company.interfaces["database"]
        shop.give(first, shop.quarantine)
        shop.ec2.modify_instance_attribute(InstanceId=shop.database, DisableApiTermination={"Value": True})
        assert restoration.restore_again(incident) == {"status": "restored"}
        assert shop.changed_since(before) == []
        said = [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "restored once more"]
        assert len(said) == 2
        # Done again, it finds nothing.
        assert restoration.restore_again(incident) == {"status": "restored"}
        assert shop.changed_since(before) == []

    def test_when_a_call_of_the_first_of_two_steps_takes_effect_late_then_its_change_is_restored(
        self, shop: Shop
    ) -> None:
        shop.set(two_step={"enabled": True, "seconds": 60})
        before = shop.all()
        incident = asked(shop.database)
        assert isolation.contain(incident)["status"] == "wait"
        assert release(incident) == "released"
        shop.give(shop.company.interfaces["database"][0], shop.untrack)
        restoration.restore_again(incident)
        assert shop.changed_since(before) == []

    def test_when_what_aws_restores_inexactly_is_changed_late_then_that_is_restored_too(self, shop: Shop) -> None:
        shop.set(tcp_established_seconds=60)
        web = shop.company.instances["web-1"]
        [interface] = shop.company.interfaces["web-1"]
        incident = contained(web)
        assert release(incident) == "released"
        assert len(item(incident)["containment"]["not_restored"]) == 2
        shop.client("autoscaling").enter_standby(
            AutoScalingGroupName="web", InstanceIds=[web], ShouldDecrementDesiredCapacity=False
        )
        shop.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=interface, ConnectionTrackingSpecification={"TcpEstablishedTimeout": 60}
        )
        assert restoration.restore_again(incident) == {"status": "restored"}
        assert shop.lifecycle(web) == "InService"
        [found] = shop.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
        assert found["ConnectionTrackingConfiguration"]["TcpEstablishedTimeout"] == tracking.DEFAULT_SECONDS
        said = [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == "restored once more"]
        assert sorted(line.partition(";")[0] for line in said) == [
            "Auto Scaling state of web: InService",
            f"tracked TCP timeout of {interface}: not set",
        ]

    def test_when_a_part_of_the_groups_was_deleted_before_the_release_then_the_rest_is_restored_again(
        self, shop: Shop
    ) -> None:
        [first, *_] = shop.company.interfaces["database"]
        gone = shop.ec2.create_security_group(GroupName="gone", Description="x", VpcId=shop.site.vpc)["GroupId"]
        before = shop.groups_of(first)
        shop.give(first, *before, gone)
        incident = contained(shop.database)
        shop.ec2.delete_security_group(GroupId=gone)
        assert release(incident, overwrite=True) == "released"
        assert shop.groups_of(first) == before
        shop.give(first, shop.quarantine)
        assert restoration.restore_again(incident) == {"status": "restored"}
        assert shop.groups_of(first) == before

    def test_when_the_release_kept_something_as_it_was_then_that_stays(self, shop: Shop) -> None:
        [first, *_] = shop.company.interfaces["database"]
        gone = shop.ec2.create_security_group(GroupName="gone", Description="x", VpcId=shop.site.vpc)["GroupId"]
        shop.give(first, gone)
        incident = contained(shop.database)
        shop.ec2.delete_security_group(GroupId=gone)
        assert release(incident, keep=True) == "released"
        assert shop.groups_of(first) == [shop.quarantine]
        assert restoration.restore_again(incident) == {"status": "restored"}
        assert shop.groups_of(first) == [shop.quarantine]

    def test_when_the_release_is_under_way_then_it_waits_until_that_is_over(self, shop: Shop) -> None:
        incident, overtaken = contained(shop.database), contained(shop.database)
        before = there(shop)
        ask_again(incident)
        containments.begin_release(before)
        # No failure: the state of the incident is that of the release.
        assert restoration.restore_again(overtaken) == {"status": "wait", "seconds": 60, "waited": 60}
        assert restoration.restore_again(overtaken, 60) == {"status": "wait", "seconds": 60, "waited": 120}
        assert restoration.release(incident) == {"status": "released"}
        assert restoration.restore_again(overtaken, 120) == {"status": "restored"}

    def test_fails_when_the_release_has_not_ended_for_hours(self, shop: Shop) -> None:
        incident, overtaken = contained(shop.database), contained(shop.database)
        before = there(shop)
        ask_again(incident)
        containments.begin_release(before)
        # An execution of Step Functions ends at 25,000 events, and one that was ended so records nothing.
        with pytest.raises(ContainmentFailed, match="has not ended within 6 hours"):
            restoration.restore_again(overtaken, 6 * 3600)

    def test_when_another_incident_asks_anew_after_its_own_release_failed_then_the_release_keeps_that(
        self, shop: Shop
    ) -> None:
        first, second = contained(shop.database), contained(shop.database)
        containment_requests.release(first, by=CALLER.name, all_incidents=True)
        containments.begin_release(there(shop))
        steps.fail(first, "ReleaseFailed", json.dumps({"errorMessage": "no"}))
        containment_requests.contain(first, "approval", by=CALLER)
        assert item(first)["containment"]["changed"]
        assert release(second) == "released"
        assert (shop.state(first), shop.state(second)) == ("pending", "released")
        assert item(first)["containment"]["changed"] == []
        containment_requests.decide(first, "approved", by=OTHER)
        assert isolation.contain(first) == {"status": "contained"}
        assert shop.is_isolated(shop.database)

    def test_when_the_release_is_blocked_then_it_does_not_wait(self, shop: Shop) -> None:
        incident = contained(shop.database)
        containments.begin_release(there(shop))
        ask_again(incident, "blocked")
        assert restoration.restore_again(incident) == {"status": "restored"}

    def test_when_others_changed_it_since_then_that_stays(self, shop: Shop) -> None:
        incident = contained(shop.database)
        assert release(incident) == "released"
        [first, *_] = shop.company.interfaces["database"]
        shop.give(first, shop.company.security_groups["web"])
        restoration.restore_again(incident)
        assert shop.groups_of(first) == [shop.company.security_groups["web"]]

    def test_when_aws_refuses_one_change_then_the_others_are_restored_and_a_notification_is_published(
        self, shop: Shop
    ) -> None:
        first, second = shop.company.interfaces["database"]
        gone = shop.ec2.create_security_group(GroupName="gone", Description="x", VpcId=shop.site.vpc)["GroupId"]
        shop.give(first, gone)
        before = shop.groups_of(second)
        incident = contained(shop.database)
        assert release(incident) == "released"
        for interface in (first, second):
            shop.give(interface, shop.quarantine)
        shop.ec2.delete_security_group(GroupId=gone)
        with pytest.raises(
            ContainmentFailed,
            match=f"NOT restored: security groups of {first}: {gone} .gone.: .*InvalidGroup.NotFound",
        ):
            restoration.restore_again(incident)
        assert shop.groups_of(second) == before

    def test_when_one_resource_is_gone_then_the_others_are_restored(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = shop.company.interfaces["database"]
        before = shop.groups_of(second)
        incident = contained(shop.database)
        assert release(incident) == "released"
        for interface in (first, second):
            shop.give(interface, shop.quarantine)
        restored = groups.restore

        def deleted_meanwhile(instance: str, one: PriorState, to: Value) -> None:
            if one.key == first:
                raise Gone(first)
            restored(instance, one, to)

        monkeypatch.setattr(groups, "restore", deleted_meanwhile)
        assert restoration.restore_again(incident) == {"status": "restored"}
        assert shop.groups_of(second) == before

    def test_when_it_is_requested_to_be_contained_again_then_it_stays_contained(self, shop: Shop) -> None:
        first = contained(shop.database)
        assert release(first) == "released"
        contained(shop.database)
        assert restoration.restore_again(first) == {"status": "wanted"}
        assert shop.is_isolated(shop.database)

    @pytest.mark.parametrize("action", ["restore_again", "put_back"])
    def test_when_an_execution_asks_by_its_versions_word_then_the_function_restores(
        self, shop: Shop, action: str
    ) -> None:
        incident = contained(shop.database)
        assert release(incident) == "released"
        [first, *_] = shop.company.interfaces["database"]
        before = shop.groups_of(first)
        shop.give(first, shop.quarantine)
        assert release_function.handler({"action": action, "incident_id": incident}, None) == {"status": "restored"}
        assert shop.groups_of(first) == before

    def test_when_it_was_never_contained_then_nothing_is_done(self, shop: Shop) -> None:
        assert restoration.restore_again(opened(shop.database)) == {"status": "wanted"}


def there(shop: Shop) -> containments.Containment:
    found = containments.get(shop.database)
    assert found is not None
    return found


def test_when_executions_that_close_are_ended_from_outside_then_the_sweeper_starts_another(shop: Shop) -> None:
    incident = opened(shop.database)
    workflow = shop.client("stepfunctions")
    incident_steps.fail(incident, "ApplianceFailed", "no capacity")
    workflow.stop_execution(executionArn=item(incident)["execution_arn"])
    commands.close(incident, by="ann")
    for _ in range(2):
        ended = item(incident)["execution_arn"]
        workflow.stop_execution(executionArn=ended)
        assert sweep().started == [f"{incident}: its execution had ended"]
        started = item(incident)["execution_arn"]
        assert started != ended
        assert executions.is_running(started)
