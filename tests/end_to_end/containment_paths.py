"""The courses of containments, from asking for one to where everything is back.

The incidents beside are those whose instances are contained: other paths have all else of an incident.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.lambda_.service import service
from strictmoto.recorder import Record
from tapstack.responder.containment.changes.snapshots import TAG_CONTAINMENT
from tests.end_to_end.deployed import LEFT_ALONE, DeployedResponse, Incident, NotThereError, wait_for
from tests.end_to_end.payments import PAYMENTS
from tests.end_to_end.walking import Walk

_SHORTER: Final = 0.05
"""An hour without a decision takes a second, where an hour of waiting takes 18."""
_DENIES: Final = "denied-by-others"
_DENIAL: Final = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Deny", "Action": "ec2:ModifyNetworkInterfaceAttribute", "Resource": "*"},
}
_PROTECTS: Final = {"Key": "tapstack-protected", "Value": "yes"}


def now(walk: Walk) -> Incident:
    """Containment without approval, and a release."""
    response, [incident] = walk.response, walk.beside
    response.contain(incident)
    response.until_settled(incident, "contained")
    _check_isolated(response, PAYMENTS)
    return _released(response, incident)


def approved(walk: Walk) -> Incident:
    """Containment is requested and approved."""
    response, [incident] = walk.response, walk.beside
    response.contain(incident, "approval")
    response.until_asked(incident)
    response.approve(incident)
    response.until_settled(incident, "contained")
    _check_isolated(response, "database")
    return _released(response, incident)


def overridden(walk: Walk) -> Incident:
    """Containment is requested, and approved without another person."""
    response, [incident] = walk.response, walk.beside
    response.contain(incident, "approval")
    response.until_asked(incident)
    alone = {"reason": "no other responder is awake"}
    response.api.post(f"/incidents/{incident['id']}/override", alone, repeatable=True)
    response.until_settled(incident, "contained")
    _check_isolated(response, "database")
    return _released(response, incident)


def protected(walk: Walk) -> Incident:
    """A tag protects the instance: one person requests to override it, another one approves."""
    response, [incident] = walk.response, walk.beside
    response.account.client("ec2").create_tags(Resources=[response.company.instances["database"]], Tags=[_PROTECTS])
    attacked = {"reason": "the attacker set it"}
    response.api.post(f"/incidents/{incident['id']}/contain-protected", attacked, repeatable=True)
    response.until_asked(incident)
    response.approve(incident)
    response.until_settled(incident, "contained")
    _check_isolated(response, "database")
    return _released(response, incident)


def rejected(walk: Walk) -> Incident:
    """Containment is requested and rejected."""
    response, [incident] = walk.response, walk.beside
    response.contain(incident, "approval")
    response.until_asked(incident)
    response.reject(incident)
    response.until_settled(incident, "rejected")
    return incident


def by_default(walk: Walk) -> Incident:
    """A responder asks, the deadline passes, and the default of the deployment applies."""
    response, [incident] = walk.response, walk.beside
    with _waits_shorter(response):
        response.contain(incident, "approval")
        wait_for(
            lambda: response.containment(incident)["state"] != "pending" or not response.runs_of(incident),
            lambda: f"it is not decided: {response.containment(incident)}",
        )
    response.until_settled(incident, "contained")
    _check_isolated(response, "database")
    assert response.containment(incident)["decision"] == "default"
    return _released(response, incident)


def with_the_alert(walk: Walk) -> Incident:
    """An alert asks for it at once; the capture begins beside it, and ends before the release."""
    response = walk.response
    incident = response.open(PAYMENTS, headers=walk.headers, containment="now")
    response.until_settled(incident, "contained")
    _check_isolated(response, PAYMENTS)
    response.until(incident, "capturing")
    response.until_waiting(incident)
    response.end(incident)
    return _released(response, incident)


def overwritten(walk: Walk) -> Incident:
    """Others give an interface other groups, and the release overwrites that."""
    response, [incident] = walk.response, walk.beside
    _changed_by_others(response, incident)
    return _released(response, incident, overwrite=True)


def kept(walk: Walk) -> Incident:
    """Others give an interface other groups, and the release keeps them."""
    response, [incident] = walk.response, walk.beside
    _changed_by_others(response, incident)
    _released(response, incident, keep=True)
    first = response.company.interfaces["database"][0]
    assert response.groups_of("database")[first] == _groups_of_others(response)
    return incident


def shared(walk: Walk) -> Incident:
    """Another incident contains the same instance, lets go, joins again, and the first one releases for both."""
    response, [first, second] = walk.response, walk.beside
    for incident in (first, second):
        response.contain(incident)
        response.until_settled(incident, "contained")
    _released(response, second)
    _check_isolated(response, "database")
    response.contain(second)
    response.until_settled(second, "contained")
    _released(response, first, all=True)
    response.until_settled(second, "released")
    return first


def overtaken(walk: Walk) -> Incident:
    """While one incident is about to contain the instance, another one does, and releases for both.

    The change that the first one was about to make comes after that, and is restored.
    """
    response, [first, second] = walk.response, walk.beside
    with _about_to_change(response) as reached:
        response.contain(first)
        wait_for(reached, lambda: f"it is not about to change anything: {response.containment(first)}")
        response.contain(second)
        response.until_settled(second, "contained")
        _released(response, second, all=True)
    response.until_settled(first, "released")
    return second


def denied(walk: Walk) -> Incident:
    """The function is denied the second of the two steps: the changes are reported, and a release restores them."""
    response, [incident] = walk.response, walk.beside
    response.contain(incident)
    wait_for(
        lambda: (
            _containment_item(response, "database").get("untracked_at") is not None or not response.runs_of(incident)
        ),
        lambda: f"the first step is not made: {response.containment(incident)}",
    )
    response.account.client("iam").put_role_policy(
        RoleName=response.role("containment").rpartition("/")[2], PolicyName=_DENIES, PolicyDocument=json.dumps(_DENIAL)
    )
    response.until_settled(incident, "failed")
    failed = response.containment(incident)
    assert "NOT isolated" in failed["failure"], failed
    assert any(line.startswith("security groups of ") for line in failed["changed"]), failed
    return _released(response, incident)


def allow_again(response: DeployedResponse) -> None:
    """Take the denial away, where it is in place."""
    iam, role = response.account.client("iam"), response.role("containment").rpartition("/")[2]
    if _DENIES in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=_DENIES)


def give_back(response: DeployedResponse) -> None:
    """Take back what others did, where it is in place."""
    first = response.company.interfaces["database"][0]
    if response.groups_of("database")[first] == _groups_of_others(response):
        groups = response.company.security_groups
        response.give(first, groups["database"], groups["backup"])


def unprotect(response: DeployedResponse) -> None:
    """Take the instance's protection away."""
    response.account.client("ec2").delete_tags(Resources=[response.company.instances["database"]], Tags=[_PROTECTS])


def bring_back(response: DeployedResponse, beside: Collection[Incident], error: NotThereError) -> str:
    """Release what a walk left that did not come to its end, and return what its incidents say has failed.

    Args:
        response: whose incidents they are.
        beside: incidents that stay open.
        error: why it did not come to its end.

    Raises:
        NotThereError: an incident does not say that it failed, or what is changed; or a release does not help.
    """
    response.account.faults.clear()
    failures = []
    for item in response.items():
        if item["sk"]["S"] != "INCIDENT":
            continue
        incident = {"id": item["id"]["S"]}
        found = response.containment(incident)
        if found.get("state") not in LEFT_ALONE:
            failures.append(_said(response, incident, found, error))
            response.release_fully(incident)
        if incident["id"] not in [other["id"] for other in beside] and response.read(incident)["state"] != "closed":
            response.end(incident)
    if not failures:
        raise error
    return "; ".join(failures)


def _said(response: DeployedResponse, incident: Incident, found: dict[str, Any], error: NotThereError) -> str:
    if found["state"] != "failed" or not found["failure"]:
        raise error
    instance = response.read(incident)["instance_id"]
    written = [
        item
        for item in response.items_of(instance)
        if item["sk"]["S"].startswith("ORIGINAL#") and not item["restored"]["BOOL"]
    ]
    if len(found["changed"]) < len(written):
        raise NotThereError(f"{incident['id']} does not say all that is changed: {found}")
    return str(found["failure"])


def _released(response: DeployedResponse, incident: Incident, **flags: bool) -> Incident:
    response.release(incident, **flags)
    response.until_settled(incident, "released")
    return incident


def _changed_by_others(response: DeployedResponse, incident: Incident) -> None:
    """Contain, have others change something, and try to release."""
    response.contain(incident)
    response.until_settled(incident, "contained")
    first, second = response.company.interfaces["database"]
    response.give(first, *_groups_of_others(response))
    before = response.groups_of("database")
    response.release(incident)
    response.until_settled(incident, "blocked")
    assert response.groups_of("database") == before
    [difference] = response.containment(incident)["differences"]
    assert (difference["key"], difference["now"]) == (first, _groups_of_others(response))
    assert before[second] == [_containment_item(response, "database")["quarantine_group_id"]["S"]]


def _groups_of_others(response: DeployedResponse) -> list[str]:
    return [response.company.security_groups["web"]]


def _containment_item(response: DeployedResponse, name: str) -> dict[str, Any]:
    items = response.items_of(response.company.instances[name])
    return next((item for item in items if item["sk"]["S"] == "CONTAINMENT"), {})


def _check_isolated(response: DeployedResponse, name: str) -> None:
    """Look whether everything is done, which no record need be believed about."""
    instance, account = response.company.instances[name], response.account
    containment = _containment_item(response, name)
    quarantine = [containment["quarantine_group_id"]["S"]]
    assert set(map(tuple, response.groups_of(name).values())) == {tuple(quarantine)}
    ec2 = account.client("ec2")
    answer = ec2.describe_instance_attribute(InstanceId=instance, Attribute="disableApiTermination")
    assert answer["DisableApiTermination"]["Value"]
    [reservation] = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    [described] = reservation["Instances"]
    devices = [mapping["Ebs"] for mapping in described["BlockDeviceMappings"]]
    assert not any(device["DeleteOnTermination"] for device in devices)
    found = ec2.describe_snapshots(
        Filters=[{"Name": f"tag:{TAG_CONTAINMENT}", "Values": [f"{instance} {containment['generation']['N']}"]}]
    )["Snapshots"]
    assert Counter(snapshot["VolumeId"] for snapshot in found) == Counter(device["VolumeId"] for device in devices)
    members = account.client("autoscaling").describe_auto_scaling_instances(InstanceIds=[instance])
    assert {member["LifecycleState"] for member in members["AutoScalingInstances"]} <= {"Standby"}
    assert not _balanced(response, {instance, described["PrivateIpAddress"]})
    if name == PAYMENTS:
        assert account.client("iam").list_role_policies(RoleName=PAYMENTS)["PolicyNames"] == [
            f"tapstack-containment-{instance}"
        ]


def _balanced(response: DeployedResponse, names: set[str]) -> list[str]:
    elbv2, elb = response.account.client("elbv2"), response.account.client("elb")
    found = [
        group["TargetGroupName"]
        for group in elbv2.describe_target_groups()["TargetGroups"]
        for item in elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
        if item["Target"]["Id"] in names
    ]
    balancers = elb.describe_load_balancers()["LoadBalancerDescriptions"]
    return found + [
        balancer["LoadBalancerName"]
        for balancer in balancers
        if names & {item["InstanceId"] for item in balancer["Instances"]}
    ]


@contextmanager
def _about_to_change(response: DeployedResponse) -> Iterator[Callable[[], bool]]:
    """Stop the next containment between its record and its first change, until the end.

    What is yielded returns whether it has come so far. Its process is stopped, because a client that waited for an
    answer would ask again, and get the state of that time.
    """
    role, read = response.role("containment"), itertools.count(1)
    reached = threading.Event()

    def stop(record: Record) -> None:
        # It reads the record when it inspects the instance, and again when it has recorded what it changes.
        if (record.principal, record.call.action) == (role, "Query") and next(read) == 2:
            stopped.enter_context(service().paused(ACCOUNT_ID, REGION, response.function("containment")))
            reached.set()

    with ExitStack() as stopped, response.account.recorder.heard_by(stop):
        yield reached.is_set


@contextmanager
def _waits_shorter(response: DeployedResponse) -> Iterator[None]:
    """Let waits that begin meanwhile be over soon."""
    waits = response.account.waits
    scale, waits.scale = waits.scale, waits.scale * _SHORTER
    try:
        yield
    finally:
        waits.scale = scale
