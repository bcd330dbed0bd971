"""The sizes of an Auto Scaling group, and which instances it terminates to keep them.

moto takes any sizes and a name that is taken, deletes a group with its instances, and terminates any instance when it
scales in, whatever its state.

Sources: Auto Scaling API Reference, CreateAutoScalingGroup (AlreadyExists), DeleteAutoScalingGroup (ResourceInUse),
SetDesiredCapacity and UpdateAutoScalingGroup; Auto Scaling User Guide, "Temporarily remove instances from your Auto
Scaling group" (what is in standby does not count in the desired capacity, nor is it terminated) and "Scaling policies"
(a policy stays within the sizes).
"""

from __future__ import annotations

import functools
from typing import Any

from moto.autoscaling import models
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.responses import AutoScalingResponse as _Response

from strictmoto.autoscaling.members import deregister

# moto has types, but none for what is replaced at run time.
Group: Any = models.FakeAutoScalingGroup
Backend: Any = models.AutoScalingBackend
Response: Any = _Response


@functools.cache
def install() -> None:
    """Make the moto of this process do so. A second call changes nothing."""
    _scale_without_standby()
    _check_groups()
    _check_capacity()


def _scale_without_standby() -> None:
    scale = Group.set_desired_capacity

    @functools.wraps(scale)
    def set_desired_capacity(self: Any, new_capacity: int | None) -> None:
        before = list(self.instance_states)
        shielded = [one for one in before if one.lifecycle_state == "Standby" and not one.protected_from_scale_in]
        for state in shielded:
            state.protected_from_scale_in = True
        try:
            scale(self, new_capacity)
        finally:
            for state in shielded:
                state.protected_from_scale_in = False
        after = set(self.instance_states)
        # moto mixes up their order.
        self.instance_states = [state for state in before if state in after] + [
            state for state in self.instance_states if state not in before
        ]
        deregister(self.autoscaling_backend, self, [one.instance.id for one in before if one not in after])

    Group.set_desired_capacity = set_desired_capacity


def _check_groups() -> None:
    create, update, delete = (
        Backend.create_auto_scaling_group,
        Group.update,
        Backend.delete_auto_scaling_group,
    )
    deleted = Response.delete_auto_scaling_group

    @functools.wraps(create)
    def create_auto_scaling_group(self: Any, name: str, **named: Any) -> Any:
        if name in self.autoscaling_groups:
            raise AutoscalingClientError(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists",
            )
        for size, needed in (("min_size", True), ("max_size", True), ("desired_capacity", False)):
            named[size] = number(size, named.get(size), needed=needed)
        check_sizes(named["min_size"], named["max_size"], named["desired_capacity"])
        return create(self, name=name, **named)

    @functools.wraps(update)
    def updated(
        self: Any, *, min_size: int | None, max_size: int | None, desired_capacity: int | None, **named: Any
    ) -> None:
        least = self.min_size if min_size is None else min_size
        most = self.max_size if max_size is None else max_size
        check_sizes(least, most, desired_capacity)
        if desired_capacity is None:
            within = _within(least, most, self.desired_capacity)
            desired_capacity = None if within == self.desired_capacity else within
        self.min_size, self.max_size = least, most
        # moto derives the capacity from the sizes and all instances, those in standby included.
        update(self, min_size=None, max_size=None, desired_capacity=desired_capacity, **named)

    @functools.wraps(delete)
    def delete_auto_scaling_group(self: Any, group_name: str) -> None:
        if group := self.autoscaling_groups.get(group_name):
            group.min_size = 0
            for state in group.instance_states:
                state.lifecycle_state, state.protected_from_scale_in = "InService", False
        delete(self, group_name)

    @functools.wraps(deleted)
    def delete_as_asked(self: Any) -> Any:
        group = self.autoscaling_backend.autoscaling_groups.get(self._get_param("AutoScalingGroupName"))
        if group and group.instance_states and not self._get_bool_param("ForceDelete", False):
            raise AutoscalingClientError(
                "ResourceInUse",
                "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
                "still in the group.",
            )
        return deleted(self)

    Backend.create_auto_scaling_group = create_auto_scaling_group
    Group.update = updated
    Backend.delete_auto_scaling_group = delete_auto_scaling_group
    Response.delete_auto_scaling_group = delete_as_asked


def _check_capacity() -> None:
    scale, answer = Backend.set_desired_capacity, Response.set_desired_capacity

    @functools.wraps(scale)
    def set_desired_capacity(self: Any, group_name: str, desired_capacity: int | None) -> None:
        group = self.autoscaling_groups[group_name]
        if desired_capacity is not None:
            desired_capacity = _within(group.min_size, group.max_size, desired_capacity)
        scale(self, group_name, desired_capacity)

    @functools.wraps(answer)
    def answered(self: Any) -> Any:
        group = self.autoscaling_backend.autoscaling_groups[self._get_param("AutoScalingGroupName")]
        given = self._get_int_param("DesiredCapacity")
        for beyond, bound, limit in (
            (given > group.max_size, "above max", group.max_size),
            (given < group.min_size, "below min", group.min_size),
        ):
            if beyond:
                raise ValidationError(
                    f"New SetDesiredCapacity value {given} is {bound} value {limit} for the AutoScalingGroup."
                )
        return answer(self)

    Backend.set_desired_capacity = set_desired_capacity
    Response.set_desired_capacity = answered


def number(name: str, value: Any, *, needed: bool) -> int | None:
    """Return a size, which templates give as text, too.

    Args:
        name: of the parameter, as moto writes it.
        value: as it was given.
        needed: whether it may not be left out.
    """
    if value is None and not needed:
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        shown = "".join(part.capitalize() for part in name.split("_"))
        raise ValidationError(f"{shown} must be a whole number, not {value!r}") from None


def _within(least: int, most: int, capacity: int) -> int:
    return max(least, min(most, capacity))


def check_sizes(least: Any, most: Any, desired: int | None) -> None:
    """Refuse sizes of which one is out of place; `desired` may be left open."""
    if least < 0:
        raise ValidationError(f"Min bound, {least}, must be at least 0")
    if least > most:
        raise ValidationError(f"Max bound, {most}, must be greater than or equal to min bound, {least}")
    if desired is not None and not least <= desired <= most:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{least} and max size:{most}"
        )
