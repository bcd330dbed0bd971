"""Scaling policies: of one group each, named by their names within it or by their ARNs.

moto keeps one policy of a name, whichever group it is of, and none that is named by its ARN.

Source: Auto Scaling API Reference, PutScalingPolicy, DeletePolicy and ExecutePolicy (AutoScalingGroupName; PolicyName
is a name or an ARN), DescribePolicies and DeleteAutoScalingGroup (its policies go with it). Inferred are the texts, and
that a name that several groups have is refused without its group.
"""

from __future__ import annotations

import functools
from typing import Any

from moto.autoscaling import models
from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse as _Response
from moto.core.responses import ActionResult, EmptyResult

# moto has types, but none for what is replaced at run time.
Backend: Any = models.AutoScalingBackend
Response: Any = _Response


@functools.cache
def install() -> None:
    """Make the moto of this process keep them so. A second call changes nothing."""
    _keep_by_arn()
    answer = Response.put_scaling_policy

    @functools.wraps(answer)
    def put_scaling_policy(self: Any) -> ActionResult:
        answer(self)
        # As clients read it: moto writes PolicyArn.
        return ActionResult({"PolicyARN": _named(self).arn})

    def delete_policy(self: Any) -> EmptyResult:
        del self.autoscaling_backend.policies[_named(self).arn]
        return EmptyResult()

    def execute_policy(self: Any) -> EmptyResult:
        _named(self).execute()
        return EmptyResult()

    Response.put_scaling_policy = put_scaling_policy
    Response.delete_policy = delete_policy
    Response.execute_policy = execute_policy


def _keep_by_arn() -> None:
    put, describe, delete = Backend.put_scaling_policy, Backend.describe_policies, Backend.delete_auto_scaling_group

    @functools.wraps(put)
    def put_scaling_policy(self: Any, name: str, **given: Any) -> Any:
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
