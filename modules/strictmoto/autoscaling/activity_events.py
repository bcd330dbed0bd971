"""What EventBridge hears of Auto Scaling groups: instances that they have launched and terminated.

Source: Amazon EC2 Auto Scaling User Guide, "Amazon EC2 Auto Scaling event reference" (EC2 Instance Launch Successful,
EC2 Instance Terminate Successful). Lifecycle actions are not published: hooks hold no instance back here.
"""

from __future__ import annotations

import functools
import uuid
from typing import Any

from moto.autoscaling import models
from moto.ec2.models import EC2Backend as _Backend

from strictmoto.ec2.state_events import arn_of

# moto has types, but none for what is replaced at run time.
Group: Any = models.FakeAutoScalingGroup
Backend: Any = models.AutoScalingBackend
EC2Backend: Any = _Backend


@functools.cache
def install() -> None:
    """Let the groups of this process's moto say so. A second call changes nothing."""
    launch, leave, end = (
        Group.replace_autoscaling_group_instances,
        Backend.terminate_instance,
        EC2Backend.terminate_instances,
    )

    @functools.wraps(launch)
    def launched(self: Any, *given: Any, **named: Any) -> Any:
        before = {state.instance.id for state in self.instance_states}
        answered = launch(self, *given, **named)
        for state in self.instance_states:
            if state.instance.id not in before:
                _publish(self, state.instance, launched=True)
        return answered

    @functools.wraps(leave)
    def terminate_instance(self: Any, instance_id: str, should_decrement: bool) -> Any:
        activity = leave(self, instance_id, should_decrement)
        instance = self.ec2_backend.get_instance(instance_id)
        _publish(instance.autoscaling_group, instance, launched=False)
        return activity

    @functools.wraps(end)
    def terminate_instances(self: Any, instance_ids: list[str]) -> Any:
        held = [one for one in map(self.get_instance, instance_ids) if _is_held(one)]
        answered = end(self, instance_ids)
        for instance in held:
            _publish(instance.autoscaling_group, instance, launched=False)
        return answered

    Group.replace_autoscaling_group_instances = launched
    Backend.terminate_instance = terminate_instance
    EC2Backend.terminate_instances = terminate_instances


def _is_held(instance: Any) -> bool:
    group = getattr(instance, "autoscaling_group", None)
    return group is not None and any(state.instance is instance for state in group.instance_states)


def _publish(group: Any, instance: Any, *, launched: bool) -> None:
    # Late: most accounts that have groups have no rules.
    from strictmoto.events import bus

    backend = group.autoscaling_backend
    verb, said = ("Launch", "Launching a new") if launched else ("Terminate", "Terminating")
    ends = ("EC2", "AutoScalingGroup") if launched else ("AutoScalingGroup", "EC2")
    now = bus.timestamp()
    bus.publish(
        backend.account_id,
        backend.region_name,
        source="aws.autoscaling",
        detail_type=f"EC2 Instance {verb} Successful",
        detail={
            "StatusCode": "InProgress",
            "Description": f"{said} EC2 instance: {instance.id}",
            "AutoScalingGroupName": group.name,
            "ActivityId": str(uuid.uuid4()),
            "Details": {"Availability Zone": instance.placement.zone, "Subnet ID": instance.subnet_id or ""},
            "RequestId": str(uuid.uuid4()),
            "StatusMessage": "",
            "EndTime": now,
            "EC2InstanceId": instance.id,
            "StartTime": now,
            "Cause": f"At {now} the desired capacity of the group was {group.desired_capacity}.",
            "Origin": ends[0],
            "Destination": ends[1],
        },
        resources=[group.arn, arn_of(instance)],
    )
