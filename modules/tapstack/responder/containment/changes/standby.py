"""An instance in standby in its Auto Scaling group: the group does not terminate it as unhealthy.

By default the group launches a replacement; it does not where its desired capacity is decremented.

Auto Scaling takes it out of the group's load balancers by itself, and puts it back after. Leaving standby raises the
group's desired capacity by one, which is what entering took away, where it did.

Source: Auto Scaling API Reference, EnterStandby, ExitStandby and DescribeAutoScalingInstances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from tapstack.domain.containment import ENTERING_STANDBY, IN_SERVICE, STANDBY, Membership, PriorState, Value
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of
from tapstack.responder.containment.changes.gone import Gone
from tapstack.responder.errors import TryAgain


def read(instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
    """Return the instance's state in its group."""
    found = None if instance is None else _described(instance["InstanceId"])
    if found is None:
        return {}
    state = found["LifecycleState"]
    return {found["AutoScalingGroupName"]: STANDBY if state == ENTERING_STANDBY else state}


def change(instance_id: str, prior: PriorState, to: Value) -> None:
    """Bring the instance into standby, unless it is in standby already."""
    try:
        client("autoscaling").enter_standby(
            AutoScalingGroupName=prior.key,
            InstanceIds=[instance_id],
            ShouldDecrementDesiredCapacity=bool(prior.detail["decrement"]),
        )
    except ClientError as error:
        _ignore_repeated(error, instance_id, prior.key, (STANDBY, ENTERING_STANDBY))


def restore(instance_id: str, prior: PriorState, to: Value) -> None:
    """Bring the instance back into service, unless it is in service already.

    Raises:
        TryAgain: it is still on its way into standby.
    """
    try:
        client("autoscaling").exit_standby(AutoScalingGroupName=prior.key, InstanceIds=[instance_id])
    except ClientError as error:
        # Pending is the state between the two.
        _ignore_repeated(error, instance_id, prior.key, (IN_SERVICE, "Pending", "Pending:Wait", "Pending:Proceed"))


def _ignore_repeated(error: ClientError, instance_id: str, group: str, wanted: tuple[str, ...]) -> None:
    """Ignore the refusal of a second call, where the instance is in one of the wanted states already."""
    if code_of(error) != "ValidationError":
        raise error
    found = _described(instance_id)
    if found is None or found["AutoScalingGroupName"] != group:
        raise Gone(f"{instance_id} is not in the Auto Scaling group {group} any more") from error
    state = found["LifecycleState"]
    if state == ENTERING_STANDBY and state not in wanted:
        raise TryAgain(f"{instance_id} is still on its way into standby") from error
    if state not in wanted:
        raise error


def membership(instance_id: str) -> Membership | None:
    """Return the instance's membership in an Auto Scaling group; None where it has none."""
    found = _described(instance_id)
    if found is None:
        return None
    name = found["AutoScalingGroupName"]
    groups = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    if not groups:
        return None
    group = groups[0]
    arns = tuple(group.get("TargetGroupARNs", ()))
    return Membership(name, found["LifecycleState"], group["DesiredCapacity"], group["MinSize"], arns)


def _described(instance_id: str) -> dict[str, Any] | None:
    answer = client("autoscaling").describe_auto_scaling_instances(InstanceIds=[instance_id])
    found: list[dict[str, Any]] = answer["AutoScalingInstances"]
    return found[0] if found else None
