"""Auto Scaling's standby as AWS has it: refused where it cannot be, and out of the load balancers meanwhile.

moto moves any instance from any state, below the group's minimum and above its maximum, and leaves it registered. A
caller that relied on that would take an instance for isolated, and raise the capacity twice by leaving standby twice.

Sources: Auto Scaling API Reference, EnterStandby and ExitStandby; Auto Scaling User Guide, "Temporarily remove
instances from your Auto Scaling group".
"""

from __future__ import annotations

import functools
from typing import Any

from moto.autoscaling import models
from moto.autoscaling.exceptions import ValidationError

from strictmoto.autoscaling.members import UPDATE, deregister, members_of, sizes_of

# moto has types, but none for what is replaced at run time.
AutoScalingBackend: Any = models.AutoScalingBackend


@functools.cache
def install() -> None:
    """Make the moto of this process do so. A second call changes nothing."""
    enter, leave = AutoScalingBackend.enter_standby_instances, AutoScalingBackend.exit_standby_instances

    @functools.wraps(enter)
    def enter_standby_instances(self: Any, group_name: str, instance_ids: list[str], should_decrement: bool) -> Any:
        group = _checked(self, group_name, instance_ids, "InService")
        after = (group.desired_capacity or 0) - len(instance_ids)
        if should_decrement and after < group.min_size:
            raise ValidationError(f"{sizes_of(group)} To place into standby {len(instance_ids)} instance, {UPDATE}")
        activities = enter(self, group_name, instance_ids, should_decrement)
        deregister(self, group, instance_ids)
        return activities

    @functools.wraps(leave)
    def exit_standby_instances(self: Any, group_name: str, instance_ids: list[str]) -> Any:
        group = _checked(self, group_name, instance_ids, "Standby")
        if (group.desired_capacity or 0) + len(instance_ids) > group.max_size:
            raise ValidationError(f"{sizes_of(group)} To remove from standby {len(instance_ids)} instance, {UPDATE}")
        return leave(self, group_name, instance_ids)

    def update_attached_target_groups(self: Any, group_name: str) -> None:
        group = self.autoscaling_groups[group_name]
        for arn in group.target_group_arns:
            if (balanced := self.elbv2_backend.target_groups.get(arn)) is not None:
                active = [state.instance.id for state in group.active_instances()]
                balanced.register([{"Id": instance_id, "Port": balanced.port} for instance_id in active])

    AutoScalingBackend.enter_standby_instances = enter_standby_instances
    AutoScalingBackend.exit_standby_instances = exit_standby_instances
    AutoScalingBackend.update_attached_target_groups = update_attached_target_groups


def _checked(backend: Any, group_name: str, instance_ids: list[str], expected: str) -> Any:
    group, states = members_of(backend, group_name, instance_ids)
    for state in states:
        if state.lifecycle_state != expected:
            raise ValidationError(f"The instance {state.instance.id} is not in {expected}.")
    return group
