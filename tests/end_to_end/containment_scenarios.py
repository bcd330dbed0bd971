"""What can happen to a contained instance: together, the scenarios make every call that containment may make."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.faults import Fault
from strictmoto.lambda_.service import service
from strictmoto.recorder import Record
from tapstack.cli.incident_api import UserError
from tests.end_to_end.containment_paths import overtaken
from tests.end_to_end.deployed import DeployedResponse, Incident, wait_for
from tests.end_to_end.payments import PAYMENTS
from tests.end_to_end.scenarios import Scenarios, find, find_sequence, heard_by, opened
from tests.end_to_end.walking import Walk

_USUAL: Final = frozenset(
    {"shutdown", "volume", "termination", "standby", "groups", "target-group", "classic-balancer"}
)
_OFF_BY_DEFAULT: Final = frozenset({"tracking", "profile", "snapshots"})
_LOST: Final = "i-0123456789abcdef0"
_TRIES: Final = 5


def everything_of_an_instance_is_changed_and_restored(its: Scenarios) -> None:
    """Evidence, Auto Scaling, two interfaces, its role, target groups by instance and by address, snapshots."""
    response = its.response
    before = response.groups_of(PAYMENTS)
    incident = response.open(PAYMENTS)
    planned = dry_run(response, incident, "contain-now")
    assert {change["what"] for change in planned["changes"]} == _USUAL | (_OFF_BY_DEFAULT if _thorough(its) else set())
    with _without_replacement(response):
        contain(response, incident)
        assert is_isolated(response, PAYMENTS)
        assert dry_run(response, incident, "release")["changes"]
        release(response, incident)
    assert response.groups_of(PAYMENTS) == before


def a_responder_approves(its: Scenarios) -> None:
    response = its.response
    incident = response.open("database")
    # A second request gets the pending one.
    for _ in range(2):
        response.contain(incident, "approval")
    response.until_asked(incident)
    assert not is_isolated(response, "database")
    path = f"/incidents/{incident['id']}/approve"
    plan = response.approver.post(path, {"dry_run": True}, repeatable=True)
    assert (plan["refused"], bool(plan["changes"])) == (None, True)
    # Who requested it does not approve it.
    own = dry_run(response, incident, "approve")
    assert "other_person" in own["refused"]
    assert not own["changes"]
    response.approve(incident)
    response.until_settled(incident, "contained")
    assert is_isolated(response, "database")
    release(response, incident)


def a_responder_rejects(its: Scenarios) -> None:
    response = its.response
    before = response.groups_of("database")
    incident = response.open("database", containment="approval")
    response.until_asked(incident)
    assert not dry_run(response, incident, "reject")["changes"]
    response.reject(incident)
    response.until_settled(incident, "rejected")
    assert response.groups_of("database") == before


def the_deadline_passes(its: Scenarios) -> None:
    """The deployment's default decides: one site contains, the other leaves the instance alone."""
    response, contains = its.response, _thorough(its)
    incident = response.open("database")
    response.contain(incident, "approval")
    response.until_settled(incident, "contained" if contains else "rejected")
    assert response.containment(incident)["decision"] == "default"
    assert is_isolated(response, "database") is contains
    if contains:
        release(response, incident)


def the_incident_is_closed_before_a_decision(its: Scenarios) -> None:
    response = its.response
    incident = response.open("database")
    response.contain(incident, "approval")
    response.until_asked(incident)
    response.end(incident)
    assert response.containment(incident)["state"] == "rejected"
    assert not is_isolated(response, "database")


def a_finding_contains(its: Scenarios) -> None:
    """What receives it dies with the execution that it has just started; Lambda invokes it again, and it goes on."""
    response = its.response
    # What was started must not have come to its end before it is stopped, however busy this machine is.
    response.account.faults.add(Fault("Invoke", "slow", seconds=5, principal=response.role("incidents-workflow")))
    dying = _killed_after(response, "findings", "StartExecution", times=1, besides=response.stop_executions)
    with heard_by(response), dying:
        find(response, response.company.instances["database"], "worst", severity=9.5)
        wait_for(lambda: len(opened(response)) == 1, lambda: f"opened: {opened(response)}")
        [incident] = opened(response)
        response.until_waiting(incident)
    response.until_settled(incident, "contained")
    assert _executions(response, "contain") == [f"{incident['id']}-contain-{run}" for run in (1, 2)]
    release(response, incident)


def a_finding_approves_what_waits_for_an_answer(its: Scenarios) -> None:
    """Its rule contains without asking: the execution that waits goes on."""
    response = its.response
    incident = response.open("database")
    with heard_by(response):
        response.contain(incident, "approval")
        response.until_asked(incident)
        find(response, response.company.instances["database"], "approves", severity=9.5)
        response.until_settled(incident, "contained")
    assert response.containment(incident)["decided_by"] == "guardduty"
    release(response, incident)


def an_attack_sequence_contains_each_of_its_instances(its: Scenarios) -> None:
    response, names = its.response, ("database", PAYMENTS)
    before = [response.groups_of(name) for name in names]
    arns = [f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/{response.company.instances[name]}" for name in names]
    with heard_by(response), _without_replacement(response):
        # The same id in another Region is another's instance.
        find_sequence(response, "sequence", *arns, arns[0].replace(REGION, "us-west-2"))
        wait_for(lambda: len(opened(response)) == len(names), lambda: f"opened: {opened(response)}")
        incidents = opened(response)
        for incident in incidents:
            response.until_waiting(incident)
            response.until_settled(incident, "contained")
        assert {incident["severity"] for incident in incidents} == {"critical"}
        assert all(is_isolated(response, name) for name in names)
        for incident in incidents:
            release(response, incident)
    assert [response.groups_of(name) for name in names] == before


def two_incidents_contain_it_and_each_releases(its: Scenarios) -> None:
    response = its.response
    before = response.groups_of("database")
    first, second = _wanted_twice(response)
    assert "stays contained" in dry_run(response, first, "release")["refused"]
    release(response, first)
    assert is_isolated(response, "database")
    release(response, second)
    assert response.groups_of("database") == before


def two_incidents_contain_it_and_one_releases_for_both(its: Scenarios) -> None:
    response = its.response
    before = response.groups_of("database")
    first, second = _wanted_twice(response)
    release(response, first, all=True)
    assert response.groups_of("database") == before
    assert response.containment(second)["state"] == "released"


def others_changed_something_and_it_is_overwritten(its: Scenarios) -> None:
    response = its.response
    before = response.groups_of("database")
    incident = _blocked(response)
    release(response, incident, overwrite=True)
    assert response.groups_of("database") == before


def others_changed_something_and_it_is_kept(its: Scenarios) -> None:
    response = its.response
    before = response.groups_of("database")
    incident = _blocked(response)
    release(response, incident, keep=True)
    [theirs, other] = response.company.interfaces["database"]
    assert response.groups_of("database") == {
        theirs: [response.company.security_groups["web"]],
        other: before[other],
    }
    response.give(theirs, *before[theirs])


def an_interface_is_attached_after_isolation(its: Scenarios) -> None:
    """The sweeper has it isolated too, and a release restores what it had."""
    response = its.response
    incident = response.open("database", minutes=600)
    contain(response, incident)
    with attached(response, "database") as interface:
        groups = groups_of(response, interface)
        # It is mirrored as well, where the incident captures already.
        assert response.sweep()["instances"] in (1, 2)
        response.until_settled(incident, "contained")
        assert groups_of(response, interface) == [quarantine(response)]
        assert response.sweep()["audit"] == 0
        release(response, incident)
        assert groups_of(response, interface) == groups


def every_try_to_contain_fails_and_a_responder_asks_again(its: Scenarios) -> None:
    """The function is killed whenever it has cut an interface off: the incident says what is changed already."""
    response = its.response
    incident = response.open("database")
    with _killed_after(response, "containment", "ModifyNetworkInterfaceAttribute"):
        response.contain(incident)
        with pytest.raises(UserError, match="is being contained"):
            response.release(incident)
        response.until_settled(incident, "failed")
    assert [line for line in response.containment(incident)["changed"] if line.startswith("security groups of ")]
    contain(response, incident)
    assert is_isolated(response, "database")
    release(response, incident)


def guard_rails_refuse(its: Scenarios) -> None:
    """An instance that receives packets, one in another VPC, and a protected one."""
    response = its.response
    ec2, database = response.account.client("ec2"), response.company.instances["database"]
    tag = {"Key": "tapstack-protected", "Value": "yes"}
    ec2.create_tags(Resources=[database], Tags=[tag])
    used = _used_target(response, response.company.interfaces["legacy"][0])
    try:
        for name, why in (
            ("legacy", "is a mirror target"),
            ("desktop", "not in the scope"),
            ("database", "protected by its tag"),
        ):
            incident = response.open(name)
            refused = dry_run(response, incident, "contain")["refused"]
            assert why in refused, refused
            with pytest.raises(UserError, match=why):
                response.contain(incident)
            assert not response.containment(incident)
            assert not is_isolated(response, name)
            # An instance that cannot be mirrored fails the capture: what is closed before that, the sweeper ends.
            response.until(incident, "failed" if name == "legacy" else "capturing")
    finally:
        # Otherwise every later test is refused too.
        ec2.delete_tags(Resources=[database], Tags=[tag])
        used()


def a_protected_instance_is_contained_by_two_persons(its: Scenarios) -> None:
    response = its.response
    ec2, database = response.account.client("ec2"), response.company.instances["database"]
    tag = {"Key": "tapstack-protected", "Value": "by an attacker"}
    incident = response.open("database")
    ec2.create_tags(Resources=[database], Tags=[tag])
    try:
        reason = {"reason": "the instance gave that to itself"}
        assert dry_run(response, incident, "contain-protected", **reason)["overridden"]
        response.api.post(f"/incidents/{incident['id']}/contain-protected", reason, repeatable=True)
        response.until_asked(incident)
        for what in ("approve", "override", "contain-now"):
            with pytest.raises(UserError, match="must approve it, and"):
                response.api.post(
                    f"/incidents/{incident['id']}/{what}", reason if what == "override" else {}, repeatable=True
                )
        response.approve(incident)
        response.until_settled(incident, "contained")
        assert is_isolated(response, "database")
        release(response, incident)
    finally:
        ec2.delete_tags(Resources=[database], Tags=[tag])


def a_mirror_target_that_mirrors_no_other_instance_does_not_protect(its: Scenarios) -> None:
    response = its.response
    ec2 = response.account.client("ec2")
    with attached(response, "database") as interface:
        made = ec2.create_traffic_mirror_target(NetworkInterfaceId=interface)["TrafficMirrorTarget"]
        target = made["TrafficMirrorTargetId"]
        try:
            incident = response.open("database")
            [said] = [line for line in dry_run(response, incident, "contain")["warnings"] if target in line]
            contain(response, incident)
            assert is_isolated(response, "database")
            assert said in response.containment(incident)["not_done"]
            release(response, incident)
        finally:
            ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=target)


def the_sweeper_reports_forgotten_containments(its: Scenarios) -> None:
    """A closed incident whose instance stays isolated, prior state without a containment, isolation by hand."""
    response = its.response
    [by_hand] = response.company.interfaces["web-1"]
    [had] = response.groups_of("web-1").values()
    incident = response.open("database")
    contain(response, incident)
    response.end(incident)
    stored = response.items_of(response.company.instances["database"])
    original = next(item for item in stored if item["sk"]["S"].startswith("ORIGINAL#"))
    lost = {**original, "pk": {"S": f"CONTAINMENT#{_LOST}"}, "instance_id": {"S": _LOST}}
    response.put(lost)
    assert response.sweep()["audit"] == 2
    key = {name: lost[name] for name in ("pk", "sk")}
    response.account.client("dynamodb").delete_item(TableName=response.table, Key=key)
    # Closed or not, it can be released.
    release(response, incident)
    assert response.sweep()["audit"] == 0
    response.give(by_hand, quarantine(response))
    assert response.sweep()["audit"] == 1
    response.give(by_hand, *had)


def the_sweeper_goes_on_with_a_question_whose_execution_was_ended(its: Scenarios) -> None:
    response = its.response
    incident = response.open("database")
    response.contain(incident, "approval")
    response.until_asked(incident)
    token = response.read(incident)["approval_token"]
    [waiting] = [name for name in response.running() if "-contain-" in name]
    response.stop_execution(waiting)
    response.asked_long_ago(incident)
    assert response.sweep()["started"] == 1
    wait_for(
        lambda: response.read(incident).get("approval_token", token) != token,
        lambda: f"nothing contains it again: {response.containment(incident)}",
    )
    response.approve(incident)
    response.until_settled(incident, "contained")
    release(response, incident)


def the_sweeper_continues_what_was_approved_by_a_function_that_was_killed(its: Scenarios) -> None:
    response = its.response
    incident = response.open("database")
    response.contain(incident, "approval")
    response.until_asked(incident)
    response.approved_and_killed(incident)
    response.asked_long_ago(incident)
    assert response.sweep()["started"] == 0
    response.until_settled(incident, "contained")
    release(response, incident)


def a_release_for_all_overtakes_a_containment(its: Scenarios) -> None:
    response = its.response
    # A containment is held for some seconds only. Where other programs run, the release may take longer.
    for _ in range(_TRIES):
        both = (response.open("database"), response.open("database"))
        first, _ = both
        overtaken(Walk(response, "overtaken", both))
        assert not is_isolated(response, "database")
        if "restored once more" in [entry["what"] for entry in response.show(first)["timeline"]]:
            return
    raise AssertionError(f"in {_TRIES} tries no release was in time to overtake a containment")


CONTAINING: Final = (
    everything_of_an_instance_is_changed_and_restored,
    a_responder_approves,
    a_responder_rejects,
    the_deadline_passes,
    the_incident_is_closed_before_a_decision,
    a_finding_contains,
    a_finding_approves_what_waits_for_an_answer,
    an_attack_sequence_contains_each_of_its_instances,
    two_incidents_contain_it_and_each_releases,
    two_incidents_contain_it_and_one_releases_for_both,
    a_release_for_all_overtakes_a_containment,
    others_changed_something_and_it_is_overwritten,
    others_changed_something_and_it_is_kept,
    an_interface_is_attached_after_isolation,
    every_try_to_contain_fails_and_a_responder_asks_again,
    guard_rails_refuse,
    a_mirror_target_that_mirrors_no_other_instance_does_not_protect,
    a_protected_instance_is_contained_by_two_persons,
    the_sweeper_reports_forgotten_containments,
    the_sweeper_goes_on_with_a_question_whose_execution_was_ended,
    the_sweeper_continues_what_was_approved_by_a_function_that_was_killed,
)


def _thorough(its: Scenarios) -> bool:
    """Whether the site does all that is off by default, and contains when the deadline passes."""
    return its.response.launches


def dry_run(response: DeployedResponse, incident: Incident, what: str, **given: Any) -> dict[str, Any]:
    body = {"dry_run": True, **given}
    plan: dict[str, Any] = response.api.post(f"/incidents/{incident['id']}/{what}", body, repeatable=True)
    return plan


def contain(response: DeployedResponse, incident: Incident) -> None:
    response.contain(incident)
    response.until_settled(incident, "contained")


def release(response: DeployedResponse, incident: Incident, **flags: bool) -> None:
    response.release(incident, **flags)
    response.until_settled(incident, "released")


def _wanted_twice(response: DeployedResponse) -> tuple[Incident, Incident]:
    """Contain the database for two incidents, the second one when it is contained already."""
    wanted = []
    for _ in range(2):
        wanted.append(response.open("database", containment="now"))
        response.until_settled(wanted[-1], "contained")
    return wanted[0], wanted[1]


def _blocked(response: DeployedResponse) -> Incident:
    """Contain the database, have others change the groups of its first interface, and try to release it."""
    incident = response.open("database")
    contain(response, incident)
    response.give(response.company.interfaces["database"][0], response.company.security_groups["web"])
    [difference] = dry_run(response, incident, "release")["differences"]
    assert difference["blocks"]
    response.release(incident)
    response.until_settled(incident, "blocked")
    return incident


def quarantine(response: DeployedResponse) -> str:
    functions = response.account.client("lambda")
    configuration = functions.get_function_configuration(FunctionName=response.function("containment"))["Environment"]
    groups = json.loads(configuration["Variables"]["TAPSTACK_SETTINGS"])["containment"]["groups"]
    return str(groups[response.company.shop.id]["quarantine"])


def is_isolated(response: DeployedResponse, name: str) -> bool:
    return set(map(tuple, response.groups_of(name).values())) == {(quarantine(response),)}


def groups_of(response: DeployedResponse, interface: str) -> list[str]:
    found = response.account.client("ec2").describe_network_interfaces(NetworkInterfaceIds=[interface])
    return [group["GroupId"] for group in found["NetworkInterfaces"][0]["Groups"]]


def _executions(response: DeployedResponse, task: str) -> list[str]:
    states = response.account.client("stepfunctions")
    found = states.list_executions(stateMachineArn=response.state_machine_arn)["executions"]
    started = {record.requested.get("name") for record in response.account.recorder.records(action="StartExecution")}
    return sorted(one["name"] for one in found if f"-{task}-" in one["name"] and one["name"] in started)


@contextmanager
def attached(response: DeployedResponse, name: str, **other: Any) -> Iterator[str]:
    """Give an instance another network interface, for a while; of another kind, or elsewhere, where that is given."""
    ec2, company = response.account.client("ec2"), response.company
    usual = {
        "SubnetId": company.shop.private[0],
        "Groups": [company.security_groups["administration"], company.security_groups["backup"]],
    }
    made = ec2.create_network_interface(**{**usual, **other})["NetworkInterface"]["NetworkInterfaceId"]
    attachment = ec2.attach_network_interface(
        NetworkInterfaceId=made, InstanceId=company.instances[name], DeviceIndex=2
    )["AttachmentId"]
    try:
        yield made
    finally:
        ec2.detach_network_interface(AttachmentId=attachment)
        ec2.delete_network_interface(NetworkInterfaceId=made)


def _used_target(response: DeployedResponse, interface: str) -> Callable[[], None]:
    """Have others mirror to the target of an interface; return what ends that."""
    ec2 = response.account.client("ec2")
    filters = [{"Name": "network-interface-id", "Values": [interface]}]
    [target] = ec2.describe_traffic_mirror_targets(Filters=filters)["TrafficMirrorTargets"]
    source = ec2.create_network_interface(SubnetId=response.company.shop.private[0])["NetworkInterface"]
    filter_id = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    session = ec2.create_traffic_mirror_session(
        NetworkInterfaceId=source["NetworkInterfaceId"],
        TrafficMirrorTargetId=target["TrafficMirrorTargetId"],
        TrafficMirrorFilterId=filter_id,
        SessionNumber=1,
    )["TrafficMirrorSession"]["TrafficMirrorSessionId"]

    def end() -> None:
        ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)
        ec2.delete_traffic_mirror_filter(TrafficMirrorFilterId=filter_id)
        ec2.delete_network_interface(NetworkInterfaceId=source["NetworkInterfaceId"])

    return end


@contextmanager
def _without_replacement(response: DeployedResponse) -> Iterator[None]:
    """End what the Auto Scaling group launches in the instance's place, where it does: a release leaves it."""
    yield
    scaling = response.account.client("autoscaling")
    [group] = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[PAYMENTS])["AutoScalingGroups"]
    others = {member["InstanceId"] for member in group["Instances"]} - {response.company.instances[PAYMENTS]}
    assert bool(others) is not response.launches
    for instance in others:
        scaling.terminate_instance_in_auto_scaling_group(InstanceId=instance, ShouldDecrementDesiredCapacity=True)


@contextmanager
def _killed_after(
    response: DeployedResponse,
    function: str,
    action: str,
    *,
    times: int = 100,
    besides: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Have a function's processes die when they have made a call, so many times; and something else happen then."""
    role = response.role(function)
    left = [None] * times

    def kill(record: Record) -> None:
        if (record.principal, record.call.action) == (role, action) and left:
            left.pop()
            service().kill(ACCOUNT_ID, REGION, response.function(function))
            besides()

    with response.account.recorder.heard_by(kill):
        yield
