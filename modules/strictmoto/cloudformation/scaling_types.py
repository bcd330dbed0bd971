"""What belongs to an Auto Scaling group: hooks, policies, scheduled actions and its warm pool.

Source: CloudFormation Template Reference, "AWS::AutoScaling".
"""

from __future__ import annotations

from typing import Any, ClassVar

from strictmoto.cloudformation.api_types import ApiResource, FailedError


class LifecycleHook(ApiResource):
    """A lifecycle hook, whose Ref is its name."""

    TYPE = "AWS::AutoScaling::LifecycleHook"
    SERVICE = "autoscaling"
    NAME = "LifecycleHookName"

    def create(self) -> None:
        """Put it."""
        named = {"LifecycleHookNames": [self.name], **self.of("AutoScalingGroupName")}
        self.refuse_existing("describe_lifecycle_hooks", "LifecycleHooks", **named)
        self._put()

    def update(self, old: dict[str, Any]) -> None:
        """Put it anew."""
        if gone := sorted(set(old) - set(self.properties)):
            raise FailedError(f"strictmoto does not take {', '.join(gone)} off a lifecycle hook")
        self._put()

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_lifecycle_hook", LifecycleHookName=self.name, **self.of("AutoScalingGroupName"))

    def _put(self) -> None:
        given = self.of("AutoScalingGroupName", "LifecycleTransition", "DefaultResult", "HeartbeatTimeout")
        given |= self.of("NotificationMetadata", "NotificationTargetARN", "RoleARN")
        self.call("put_lifecycle_hook", LifecycleHookName=self.name, **given)
        self.ref = self.name


class ScalingPolicy(ApiResource):
    """A scaling policy, whose Ref is its ARN."""

    TYPE = "AWS::AutoScaling::ScalingPolicy"
    SERVICE = "autoscaling"

    def create(self) -> None:
        """Put it."""
        given = self.of(
            "AutoScalingGroupName",
            "PolicyType",
            "AdjustmentType",
            "MinAdjustmentMagnitude",
            "ScalingAdjustment",
            "Cooldown",
            "MetricAggregationType",
            "StepAdjustments",
            "EstimatedInstanceWarmup",
            "TargetTrackingConfiguration",
            "PredictiveScalingConfiguration",
        )
        self.ref = self.call("put_scaling_policy", PolicyName=self.name, **given)["PolicyARN"]
        self.attributes = {"Arn": self.ref, "PolicyName": self.name}

    def update(self, old: dict[str, Any]) -> None:
        """Put it anew: what is left out is its default again."""
        self.create()

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_policy", PolicyName=self.name, **self.of("AutoScalingGroupName"))


class ScheduledAction(ApiResource):
    """A scheduled action, whose Ref is its name."""

    TYPE = "AWS::AutoScaling::ScheduledAction"
    SERVICE = "autoscaling"
    _SETTINGS: ClassVar = ("DesiredCapacity", "EndTime", "MaxSize", "MinSize", "Recurrence", "StartTime", "TimeZone")

    def create(self) -> None:
        """Put it."""
        given = self.of("AutoScalingGroupName", *self._SETTINGS)
        self.call("put_scheduled_update_group_action", ScheduledActionName=self.name, **given)
        self.ref, self.attributes = self.name, {"ScheduledActionName": self.name}

    def update(self, old: dict[str, Any]) -> None:
        """Put it anew."""
        if gone := sorted(set(old) - set(self.properties)):
            raise FailedError(f"strictmoto does not take {', '.join(gone)} off a scheduled action")
        self.create()

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_scheduled_action", ScheduledActionName=self.name, **self.of("AutoScalingGroupName"))


class WarmPool(ApiResource):
    """The warm pool of a group, whose Ref is the group's name."""

    TYPE = "AWS::AutoScaling::WarmPool"
    SERVICE = "autoscaling"

    def create(self) -> None:
        """Put it."""
        given = self.of(
            "AutoScalingGroupName", "InstanceReusePolicy", "MaxGroupPreparedCapacity", "MinSize", "PoolState"
        )
        self.call("put_warm_pool", **given)
        self.ref = self.properties["AutoScalingGroupName"]

    def update(self, old: dict[str, Any]) -> None:
        """Put it anew."""
        self.create()

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_warm_pool", ForceDelete=True, **self.of("AutoScalingGroupName"))


def install() -> None:
    """Do nothing: the types are registered as they are defined."""
