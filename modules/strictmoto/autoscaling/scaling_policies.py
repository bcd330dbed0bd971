"""Scaling policies: of one group each, named by their names within it or by their ARNs.

moto keeps one policy of a name, whichever group it is of, and none that is named by its ARN. It executes no steps.

Source: Auto Scaling API Reference, PutScalingPolicy (PolicyType; what a type requires; of an exact capacity, not less
than 0), DeletePolicy and ExecutePolicy (AutoScalingGroupName; PolicyName is a name or an ARN; MetricValue,
BreachThreshold), StepAdjustment (the rules for its bounds), TargetTrackingConfiguration ("either a predefined metric or
a customized metric"), DescribePolicies and DeleteAutoScalingGroup (its policies go with it); Auto Scaling User Guide,
"Scaling adjustment types". Inferred are the texts, that a name that several groups have is refused without its group,
that no policy is put under an ARN, and that policies without an adjustment are not executed.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping
from typing import Any, Final

from moto.autoscaling import models
from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse as _Response
from moto.core.responses import ActionResult, EmptyResult

# moto has types, but none for what is replaced at run time.
Backend: Any = models.AutoScalingBackend
Response: Any = _Response

_ADJUSTMENTS: Final = ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity")
_REQUIRED: Final[Mapping[str, str]] = {
    "PredictiveScalingConfiguration": "PredictiveScaling",
    "ScalingAdjustment": "SimpleScaling",
    "StepAdjustments": "StepScaling",
    "TargetTrackingConfiguration": "TargetTrackingScaling",
}
"""What one type of policy requires, and no other takes."""
_METRICS: Final = ("PredefinedMetricSpecification", "CustomizedMetricSpecification")


@functools.cache
def install() -> None:
    """Make the moto of this process keep them so. A second call changes nothing."""
    _keep_by_arn()
    answer = Response.put_scaling_policy

    @functools.wraps(answer)
    def put_scaling_policy(self: Any) -> ActionResult:
        _check_required(self)
        answer(self)
        # As clients read it: moto writes PolicyArn.
        return ActionResult({"PolicyARN": _named(self).arn})

    def delete_policy(self: Any) -> EmptyResult:
        del self.autoscaling_backend.policies[_named(self).arn]
        return EmptyResult()

    def execute_policy(self: Any) -> EmptyResult:
        policy = _named(self)
        adjustment = _adjustment_of(policy, self._get_param("MetricValue"), self._get_param("BreachThreshold"))
        group = self.autoscaling_backend.autoscaling_groups[policy.auto_scaling_group_name]
        capacity = _capacity_after(policy, group.desired_capacity, adjustment)
        self.autoscaling_backend.set_desired_capacity(group.name, capacity)
        return EmptyResult()

    Response.put_scaling_policy = put_scaling_policy
    Response.delete_policy = delete_policy
    Response.execute_policy = execute_policy


def _check_required(response: Any) -> None:
    """Refuse a policy without what its type requires, or with what another type requires.

    Raises:
        ValidationError: with the parameter.
    """
    kind = response._get_param("PolicyType") or "SimpleScaling"
    if kind not in _REQUIRED.values():
        raise ValidationError(f"PolicyType must be one of: {', '.join(sorted(_REQUIRED.values()))}, not {kind}")
    adjusting = kind in ("SimpleScaling", "StepScaling")
    if adjusting and response._get_param("AdjustmentType") not in _ADJUSTMENTS:
        raise ValidationError(f"AdjustmentType of a policy of type {kind} must be one of: {', '.join(_ADJUSTMENTS)}")
    for name, of in _REQUIRED.items():
        given = response._get_param(name) not in (None, [], {})
        if given is not (kind == of):
            must = "is required for" if kind == of else "cannot be used with"
            raise ValidationError(f"{name} {must} a policy of type {kind}")
    _check_adjustments(response, kind)


def _check_adjustments(response: Any, kind: str) -> None:
    """Refuse adjustments and metrics that a policy of a type cannot have.

    Raises:
        ValidationError: with what is wrong.
    """
    if kind == "TargetTrackingScaling":
        tracking = response._get_param("TargetTrackingConfiguration")
        if sum(name in tracking for name in _METRICS) != 1:
            raise ValidationError(f"TargetTrackingConfiguration must have exactly one of: {', '.join(_METRICS)}")
        return
    steps = response._get_param("StepAdjustments") if kind == "StepScaling" else []
    adjustments = [response._get_param("ScalingAdjustment")] if kind == "SimpleScaling" else []
    adjustments += [step["ScalingAdjustment"] for step in steps]
    if response._get_param("AdjustmentType") == "ExactCapacity" and any(int(one) < 0 for one in adjustments):
        raise ValidationError("ScalingAdjustment must not be negative for an AdjustmentType of ExactCapacity")
    if steps:
        _check_steps([_bounds(step) for step in steps])


def _check_steps(ranges: list[tuple[float, float]]) -> None:
    """Refuse steps that are no ranges, or that overlap or have a gap, in whatever order they are given."""
    ordered = sorted(ranges)
    for lower, upper in ordered:
        if (lower, upper) == (-math.inf, math.inf):
            raise ValidationError("The upper and lower bound of a step adjustment cannot both be null")
        if lower >= upper:
            raise ValidationError(f"The upper bound of a step adjustment must be above its lower bound {lower:g}")
    for (_, end), (start, _) in itertools.pairwise(ordered):
        if end != start:
            what = "overlap" if end > start else "have a gap"
            raise ValidationError(f"Step adjustments cannot {what}: one ends at {end:g}, the next begins at {start:g}")
    first, last = ordered[0][0], ordered[-1][1]
    if -math.inf < first < 0:
        raise ValidationError("A step adjustment must have a null lower bound, as one has a negative lower bound")
    if any(lower > 0 for lower, _ in ordered) and last < math.inf:
        raise ValidationError("A step adjustment must have a null upper bound, as one has a positive lower bound")


def _adjustment_of(policy: Any, metric: Any, threshold: Any) -> int:
    """Return by how much a policy scales; of steps, by the one that a value of the metric is in.

    Raises:
        ValidationError: the policy has no adjustments, the value is in no step, or is given where there are none.
    """
    if policy.policy_type == "SimpleScaling":
        if (metric, threshold) != (None, None):
            raise ValidationError("MetricValue and BreachThreshold are only supported for policies of type StepScaling")
        return int(policy.scaling_adjustment)
    if policy.policy_type != "StepScaling":
        raise ValidationError(f"A policy of type {policy.policy_type} cannot be executed")
    if metric is None or threshold is None:
        raise ValidationError("MetricValue and BreachThreshold are required for policies of type StepScaling")
    beyond = float(metric) - float(threshold)
    for step in policy.step_adjustments:
        if _is_in(step, beyond):
            return int(step["ScalingAdjustment"])
    raise ValidationError(f"There is no step adjustment for MetricValue {metric} with BreachThreshold {threshold}")


def _is_in(step: Mapping[str, Any], beyond: float) -> bool:
    """Return whether a metric that is so far beyond the threshold, or below it, is in a step.

    Of steps above the threshold the lower bound is included, of those below it the upper one. The threshold itself is
    in a step that begins or ends with it.
    """
    lower, upper = _bounds(step)
    if beyond > 0 or (beyond == 0 and lower == 0):
        return lower <= beyond < upper
    return lower < beyond <= upper


def _bounds(step: Mapping[str, Any]) -> tuple[float, float]:
    """Return the lower and the upper bound of a step; null means without end."""
    least, most = step.get("MetricIntervalLowerBound"), step.get("MetricIntervalUpperBound")
    return -math.inf if least is None else float(least), math.inf if most is None else float(most)


def _capacity_after(policy: Any, capacity: int, adjustment: int) -> int:
    """Return the desired capacity that an adjustment asks for, whatever the sizes of the group are."""
    if policy.adjustment_type == "ExactCapacity":
        return adjustment
    if policy.adjustment_type == "ChangeInCapacity":
        return capacity + adjustment
    # Towards zero, but by one at least.
    change = int(abs(capacity * adjustment) / 100)
    change = max(change, 1 if capacity * adjustment else 0, int(policy.min_adjustment_magnitude or 0))
    return capacity + (change if adjustment > 0 else -change)


def _keep_by_arn() -> None:
    put, describe, delete = Backend.put_scaling_policy, Backend.describe_policies, Backend.delete_auto_scaling_group

    @functools.wraps(put)
    def put_scaling_policy(self: Any, name: str, **given: Any) -> Any:
        if name.startswith("arn:"):
            raise ValidationError(f"PolicyName must be the name of the policy, not an ARN: {name}")
        policy = put(self, name, **given)
        del self.policies[name]
        self.policies[policy.arn] = policy
        return policy

    @functools.wraps(describe)
    def describe_policies(self: Any, *, policy_names: list[str] | None = None, **given: Any) -> list[Any]:
        return [one for one in describe(self, **given) if not policy_names or {one.name, one.arn} & set(policy_names)]

    @functools.wraps(delete)
    def delete_auto_scaling_group(self: Any, group_name: str) -> None:
        delete(self, group_name)
        self.policies = {arn: one for arn, one in self.policies.items() if one.auto_scaling_group_name != group_name}

    Backend.put_scaling_policy = put_scaling_policy
    Backend.describe_policies = describe_policies
    Backend.delete_auto_scaling_group = delete_auto_scaling_group


def _named(response: Any) -> Any:
    """Return the one policy that a call names.

    Raises:
        ValidationError: there is none, or one of several groups.
    """
    name, group = response._get_param("PolicyName"), response._get_param("AutoScalingGroupName")
    found = [
        policy
        for policy in response.autoscaling_backend.policies.values()
        if name in (policy.name, policy.arn) and group in (None, policy.auto_scaling_group_name)
    ]
    if len(found) > 1:
        raise ValidationError(f"Group name must be provided when policy name {name} is that of several groups")
    if not found:
        raise ValidationError(f"Policy {name} not found")
    return found[0]
