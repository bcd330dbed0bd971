"""What belongs to an Auto Scaling group: refused where there is no such group or instance, and kept as it is given.

moto puts hooks, policies and actions of groups that there are not, fails at other calls about them, and shows every
lifecycle hook with the same role and target.

Source: Auto Scaling API Reference, PutLifecycleHook, DescribeLifecycleHooks, SetInstanceHealth,
SuspendProcesses and TerminateInstanceInAutoScalingGroup; "Common errors" (ValidationError).
"""

from __future__ import annotations

import functools
from typing import Any, Final

from moto.autoscaling import models
from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse as _Response

# moto has types, but none for what is replaced at run time.
Backend: Any = models.AutoScalingBackend
Response: Any = _Response

_OF_A_GROUP: Final = (
    "delete_lifecycle_hook",
    "delete_scheduled_action",
    "delete_warm_pool",
    "describe_lifecycle_hooks",
    "describe_load_balancer_target_groups",
    "describe_load_balancers",
    "describe_warm_pool",
    "detach_load_balancer_target_groups",
    "detach_load_balancers",
    "attach_instances",
    "attach_load_balancer_target_groups",
    "attach_load_balancers",
    "detach_instances",
    "enable_metrics_collection",
    "put_lifecycle_hook",
    "put_scaling_policy",
    "put_scheduled_update_group_action",
    "put_warm_pool",
    "resume_processes",
    "set_desired_capacity",
    "set_instance_protection",
    "suspend_processes",
)
_OF_AN_INSTANCE: Final = ("set_instance_health", "terminate_instance_in_auto_scaling_group")
_PROCESSES: Final = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)
_LONGEST: Final = 172_800
"""Seconds that an instance waits at most: 48 hours, or 100 times the timeout."""


@functools.cache
def install() -> None:
    """Make the moto of this process do so. A second call changes nothing."""
    for name in _OF_A_GROUP:
        setattr(Response, name, _where_there_is(getattr(Response, name), _check_group))
    for name in _OF_AN_INSTANCE:
        setattr(Response, name, _where_there_is(getattr(Response, name), _check_instance))
    _check_processes()
    _keep_hooks()


def _where_there_is(answer: Any, check: Any) -> Any:
    @functools.wraps(answer)
    def checked(self: Any) -> Any:
        check(self)
        return answer(self)

    return checked


def _check_group(response: Any) -> None:
    if response._get_param("AutoScalingGroupName") not in response.autoscaling_backend.autoscaling_groups:
        raise ValidationError("AutoScalingGroup name not found - null")


def _check_instance(response: Any) -> None:
    instance_id = response._get_param("InstanceId")
    groups = response.autoscaling_backend.autoscaling_groups.values()
    if not any(state.instance.id == instance_id for group in groups for state in group.instance_states):
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")


def _check_processes() -> None:
    for name in ("suspend_processes", "resume_processes"):
        setattr(Response, name, _where_there_is(getattr(Response, name), _check_names))


def _check_names(response: Any) -> None:
    if unknown := [name for name in response._get_param("ScalingProcesses", []) if name not in _PROCESSES]:
        raise ValidationError(f"Invalid scaling process: {', '.join(unknown)}. Valid are {', '.join(_PROCESSES)}.")


def _keep_hooks() -> None:
    put = Response.put_lifecycle_hook

    @functools.wraps(put)
    def put_lifecycle_hook(self: Any) -> Any:
        hooks = self.autoscaling_backend.lifecycle_hooks
        key = f"{self._get_param('AutoScalingGroupName')}_{self._get_param('LifecycleHookName')}"
        before = hooks.get(key)
        answered = put(self)
        hook = hooks[key]
        # What is left out stays as it was.
        for attribute, name in (
            ("lifecycle_transition", "LifecycleTransition"),
            ("heartbeat_timeout", "HeartbeatTimeout"),
            ("default_result", "DefaultResult"),
            ("role_arn", "RoleARN"),
            ("notification_target_arn", "NotificationTargetARN"),
            ("notification_metadata", "NotificationMetadata"),
        ):
            given = self._get_param(name)
            if given is None and before is not None:
                setattr(hook, attribute, getattr(before, attribute))
            elif attribute.startswith(("role", "notification")):
                setattr(hook, attribute, given)
        hook.global_timeout = min(_LONGEST, 100 * hook.heartbeat_timeout)
        return answered

    Response.put_lifecycle_hook = put_lifecycle_hook
