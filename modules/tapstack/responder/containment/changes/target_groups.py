"""Targets of Application, Network and Gateway Load Balancers.

AWS has no way to ask which target groups an instance is in: all of its VPC are asked, 8 at a time.

Source: Elastic Load Balancing API Reference, version 2015-12-01, DescribeTargetGroups, DescribeTargetHealth,
DeregisterTargets and RegisterTargets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from tapstack.domain.containment import DEREGISTERED, REGISTERED, PriorState, Registration, Value
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.parallel import each
from tapstack.responder.containment.changes.gone import Gone, gone_when

_KINDS: Final = frozenset({"instance", "ip"})
_UDP: Final = frozenset({"UDP", "TCP_UDP"})
_LEAVING: Final = frozenset({"Target.NotRegistered", "Target.DeregistrationInProgress"})


def read(instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
    """Return whether each target is registered; those whose instance or target group is deleted are left out."""
    if instance is None:
        return {}

    def of_group(arn: str) -> tuple[str, list[Registration] | None]:
        try:
            return arn, targets(arn)
        except Gone:
            return arn, None

    found = dict(each(of_group, sorted({one.detail["arn"] for one in prior_states})))
    states: dict[str, Value] = {}
    for one in prior_states:
        there = found[one.detail["arn"]]
        if there is not None:
            named = (one.detail["id"], one.detail["port"])
            registered = any((target.target_id, target.port) == named for target in there)
            states[one.key] = REGISTERED if registered else DEREGISTERED
    return states


def change(instance_id: str, prior: PriorState, to: Value) -> None:
    """Deregister a target; one that is not registered is fine."""
    with gone_when("TargetGroupNotFound"):
        client("elbv2").deregister_targets(TargetGroupArn=prior.detail["arn"], Targets=[_target(prior)])


def restore(instance_id: str, prior: PriorState, to: Value) -> None:
    """Register a target again."""
    with gone_when("TargetGroupNotFound"):
        client("elbv2").register_targets(TargetGroupArn=prior.detail["arn"], Targets=[_target(prior)])


def _target(prior: PriorState) -> dict[str, Any]:
    detail = prior.detail
    zone = {"AvailabilityZone": detail["zone"]} if detail.get("zone") else {}
    return {"Id": detail["id"], "Port": detail["port"], **zone}


def registrations(names: Collection[str], vpc_ids: Collection[str]) -> tuple[Registration, ...]:
    """Return all targets that are one of these instance ids or addresses, in target groups of these VPCs."""
    pages = client("elbv2").get_paginator("describe_target_groups").paginate()
    asked = [
        group["TargetGroupArn"]
        for page in pages
        for group in page["TargetGroups"]
        if group.get("TargetType") in _KINDS and group.get("VpcId") in vpc_ids
    ]
    return tuple(_named(each(_targets_if_there, sorted(asked)), names))


def _targets_if_there(arn: str) -> list[Registration]:
    try:
        return targets(arn)
    except Gone:
        return []


def _named(found: Iterable[list[Registration]], names: Collection[str]) -> Iterable[Registration]:
    return (target for listed in found for target in listed if target.target_id in names)


def targets(arn: str) -> list[Registration]:
    """Return the targets that are registered in a target group, without those that are draining.

    Raises:
        Gone: there is no such target group.
    """
    with gone_when("TargetGroupNotFound"):
        answer = client("elbv2").describe_target_health(TargetGroupArn=arn)
    return [
        Registration(arn, item["Target"]["Id"], item["Target"]["Port"], item["Target"].get("AvailabilityZone"))
        for item in answer["TargetHealthDescriptions"]
        if item["TargetHealth"].get("Reason") not in _LEAVING and "Port" in item["Target"]
    ]


def mirroring_targets(arn: str) -> list[tuple[str, Registration]]:
    """Return the targets to which a load balancer forwards mirrored packets, each with the VPC of its target group.

    Mirrored packets are VXLAN, which is UDP. Targets of all UDP listeners count: a listener may forward port 4789 to
    any port, so the port of a target group does not say which listener forwards to it. An appliance that is contained
    by mistake ends all captures; a UDP service behind the same load balancer that is not contained is one instance,
    which is contained once it has another load balancer. There are none where the load balancer, or its target groups,
    no longer exist.
    """
    pages = client("elbv2").get_paginator("describe_target_groups")
    try:
        with gone_when("LoadBalancerNotFound", "TargetGroupNotFound"):
            groups = [group for page in pages.paginate(LoadBalancerArn=arn) for group in page["TargetGroups"]]
    except Gone:
        return []
    return [
        (str(group.get("VpcId")), target)
        for group in groups
        if group.get("Protocol") in _UDP
        for target in _targets_if_there(group["TargetGroupArn"])
    ]
