"""The instances of an Auto Scaling group: attached and detached as AWS does, and refused where they are no members.

moto attaches what is in a group already or is not running, detaches and protects what is in none, goes below the
minimum, and leaves what has left the group with its target groups.

Sources: Auto Scaling API Reference, AttachInstances, DetachInstances, SetInstanceProtection and
TerminateInstanceInAutoScalingGroup; Auto Scaling User Guide, "Detach or attach instances".
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from moto.autoscaling import models
from moto.autoscaling.exceptions import ValidationError

# moto has types, but none for what is replaced at run time.
Backend: Any = models.AutoScalingBackend


@functools.cache
def install() -> None:
    """Make the moto of this process do so. A second call changes nothing."""
    detach, protect, terminate = Backend.detach_instances, Backend.set_instance_protection, Backend.terminate_instance

    def attach_instances(self: Any, group_name: str, instance_ids: list[str]) -> None:
        group = self.autoscaling_groups[group_name]
        added = [_attachable(self, group, instance_id) for instance_id in dict.fromkeys(instance_ids)]
        after = (group.desired_capacity or 0) + len(added)
        if after > group.max_size:
            raise ValidationError(f"{sizes_of(group)} To attach {len(added)} more instance, {UPDATE}")
        group.desired_capacity = after
        for instance in added:
            # moto keeps the group that an instance was detached from.
            instance.autoscaling_group = group
            self.ec2_backend.create_tags([instance.id], {models.ASG_NAME_TAG: group.name})
            group.instance_states.append(
                models.InstanceState(instance, protected_from_scale_in=group.new_instances_protected_from_scale_in)
            )
        self.update_attached_elbs(group_name)
        self.update_attached_target_groups(group_name)

    @functools.wraps(detach)
    def detach_instances(self: Any, group_name: str, instance_ids: list[str], should_decrement: bool) -> Any:
        instance_ids = list(dict.fromkeys(instance_ids))
        group, found = members_of(self, group_name, instance_ids)
        if should_decrement:
            counted = sum(state.lifecycle_state != "Standby" for state in found)
            if group.desired_capacity - counted < group.min_size:
                raise ValidationError(f"{sizes_of(group)} To detach {counted} instance, {UPDATE}")
            # What is in standby does not count in the capacity, and moto takes off all.
            group.desired_capacity += len(found) - counted
        activities = detach(self, group_name, instance_ids, should_decrement)
        deregister(self, group, instance_ids)
        return activities

    @functools.wraps(terminate)
    def terminate_instance(self: Any, instance_id: str, should_decrement: bool) -> Any:
        group, state = _held(self, instance_id)
        if should_decrement and state.lifecycle_state != "Standby" and group.desired_capacity <= group.min_size:
            raise ValidationError(
                f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement "
                "will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false "
                "or lower group's min size."
            )
        return terminate(self, instance_id, should_decrement)

    @functools.wraps(protect)
    def set_instance_protection(self: Any, group_name: str, instance_ids: list[str], protected: bool | None) -> None:
        members_of(self, group_name, instance_ids)
        protect(self, group_name, instance_ids, protected)

    Backend.attach_instances = attach_instances
    Backend.detach_instances = detach_instances
    Backend.terminate_instance = terminate_instance
    Backend.set_instance_protection = set_instance_protection


UPDATE = "please update the AutoScalingGroup sizes appropriately."


def sizes_of(group: Any) -> str:
    """Return what refusals say of a group's sizes."""
    return (
        f"AutoScalingGroup {group.name} has min-size={group.min_size}, max-size={group.max_size}, "
        f"and desired-size={group.desired_capacity}."
    )


def members_of(backend: Any, group_name: str, instance_ids: Iterable[str]) -> tuple[Any, list[Any]]:
    """Return a group and the states of its instances; refuse what there is not."""
    group = backend.autoscaling_groups.get(group_name)
    if group is None:
        raise ValidationError(f"AutoScalingGroup name not found - {group_name}")
    states = {state.instance.id: state for state in group.instance_states}
    for instance_id in instance_ids:
        if instance_id not in states:
            raise ValidationError(f"The instance {instance_id} is not part of Auto Scaling group {group_name}.")
    return group, [states[instance_id] for instance_id in instance_ids]


def deregister(backend: Any, group: Any, instance_ids: Iterable[str]) -> None:
    """Take instances out of the group's target groups."""
    targets = [{"Id": instance_id} for instance_id in instance_ids]
    for arn in group.target_group_arns:
        if (balanced := backend.elbv2_backend.target_groups.get(arn)) is not None:
            balanced.deregister(targets)


def _held(backend: Any, instance_id: str) -> Any:
    """Return the group that an instance is in, and its state there; None where it is in none."""
    for group in backend.autoscaling_groups.values():
        for state in group.instance_states:
            if state.instance.id == instance_id:
                return group, state
    return None


def _attachable(backend: Any, group: Any, instance_id: str) -> Any:
    instance = backend.ec2_backend.get_instance_by_id(instance_id)
    if instance is None:
        raise ValidationError(f"Invalid Instances found in attach request: {instance_id} does not exist.")
    if held := _held(backend, instance_id):
        raise ValidationError(f"Instance {instance_id} is already part of AutoScalingGroup:{held[0].name}.")
    if instance.state != "running":
        raise ValidationError(
            f"Instance {instance_id} is not in correct state. Instance(s) must be in 'running' state."
        )
    if instance.placement.zone not in group.availability_zones:
        raise ValidationError(
            f"Instance {instance_id} is not in an Availability Zone of AutoScalingGroup:{group.name}."
        )
    return instance
