"""Classic Load Balancers, which have instances without ports.

Source: Elastic Load Balancing API Reference, version 2012-06-01, DescribeLoadBalancers,
DeregisterInstancesFromLoadBalancer and RegisterInstancesWithLoadBalancer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapstack.domain.containment import DEREGISTERED, REGISTERED, PriorState, Value
from tapstack.responder.aws.clients import client
from tapstack.responder.containment.changes.gone import gone_when


def read(instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
    """Return whether the instance is registered with each that exists."""
    if instance is None:
        return {}
    instance_id, wanted = instance["InstanceId"], {one.key for one in prior_states}
    # All are asked for, because one unknown name fails the call.
    return {
        item["LoadBalancerName"]: REGISTERED if _has(item, instance_id) else DEREGISTERED
        for item in _all()
        if item["LoadBalancerName"] in wanted
    }


def change(instance_id: str, prior: PriorState, to: Value) -> None:
    """Deregister the instance; one that is not registered is fine."""
    with gone_when("LoadBalancerNotFound"):
        client("elb").deregister_instances_from_load_balancer(
            LoadBalancerName=prior.key, Instances=[{"InstanceId": instance_id}]
        )


def restore(instance_id: str, prior: PriorState, to: Value) -> None:
    """Register the instance again."""
    with gone_when("LoadBalancerNotFound"):
        client("elb").register_instances_with_load_balancer(
            LoadBalancerName=prior.key, Instances=[{"InstanceId": instance_id}]
        )


def balancers(instance_id: str) -> tuple[str, ...]:
    """Return the names of those that an instance is registered with."""
    return tuple(sorted(item["LoadBalancerName"] for item in _all() if _has(item, instance_id)))


def _all() -> list[dict[str, Any]]:
    pages = client("elb").get_paginator("describe_load_balancers").paginate()
    return [item for page in pages for item in page["LoadBalancerDescriptions"]]


def _has(balancer: dict[str, Any], instance_id: str) -> bool:
    return any(item["InstanceId"] == instance_id for item in balancer.get("Instances", []))
