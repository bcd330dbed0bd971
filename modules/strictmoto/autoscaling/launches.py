"""Instances of Auto Scaling groups have what their launch template or launch configuration says.

moto takes the image, the type, user data and groups of both, tags of instances from the template's default version, and
leaves out the rest. Termination protection does not keep a group from terminating its instances, and none of them has
it here.

Sources: Auto Scaling API Reference, LaunchConfiguration and LaunchTemplateSpecification (Version); Amazon EC2 Auto
Scaling User Guide, "Create a launch template for an Auto Scaling group" (the group's subnets count for interfaces).
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Mapping
from typing import Any, Final

from moto.autoscaling import models
from moto.autoscaling.exceptions import ValidationError
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.utils import convert_tag_spec

from strictmoto.ec2.launches import check_profile, complete

# moto has types, but none for what is replaced at run time.
Group: Any = models.FakeAutoScalingGroup
EC2Backend: Any = _Backend

_launching: contextvars.ContextVar[Any] = contextvars.ContextVar("launching", default=None)
_INVALID: Final = "You must use a valid fully-formed launch template. {}"
_BEHAVIOR: Final = "InstanceInitiatedShutdownBehavior"


@functools.cache
def install() -> None:
    """Make the moto of this process launch so. A second call changes nothing."""
    launch, run = Group.replace_autoscaling_group_instances, EC2Backend.run_instances

    @functools.wraps(launch)
    def launched(self: Any, *given: Any, **named: Any) -> Any:
        former = _launching.set(self)
        try:
            return launch(self, *given, **named)
        finally:
            _launching.reset(former)

    @functools.wraps(run)
    def run_instances(self: Any, *given: Any, **named: Any) -> Any:
        if (group := _launching.get()) is None:
            return run(self, *given, **named)
        settings = _settings_of(group)
        try:
            check_profile(self, settings.get("IamInstanceProfile"))
        except EC2ClientError as error:
            raise ValidationError(_INVALID.format(error.message)) from error
        if template := named.get("launch_template"):
            named["launch_template"] = {**template, "Version": group.launch_template_version}
        reservation = run(self, *given, **{**named, **_arguments(settings, named)})
        complete(self, reservation.instances, settings)
        return reservation

    Group.replace_autoscaling_group_instances = launched
    EC2Backend.run_instances = run_instances


def _settings_of(group: Any) -> Mapping[str, Any]:
    """Return what a group's instances are launched with, as launch templates have it."""
    if group.ec2_launch_template:
        found: Mapping[str, Any] = group.ec2_launch_template.get_version(group.launch_template_version).data
        return found
    held = group.launch_config
    if held is None:
        return {}
    profile = held.iam_instance_profile
    return {
        "EbsOptimized": bool(held.ebs_optimized),
        "IamInstanceProfile": {"Arn" if str(profile).startswith("arn:") else "Name": profile} if profile else {},
        "KeyName": held.key_name,
        "MetadataOptions": held.metadata_options or {},
        "Monitoring": {"Enabled": bool(held.instance_monitoring_enabled)},
    }


def _arguments(settings: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments for moto that it does not derive itself."""
    tags = convert_tag_spec(settings.get("TagSpecifications") or [])
    found: dict[str, Any] = {
        "ebs_optimized": settings.get("EbsOptimized") or False,
        "hibernation_options": settings.get("HibernationOptions") or {},
        "instance_initiated_shutdown_behavior": settings.get(_BEHAVIOR),
        "key_name": settings.get("KeyName"),
        "metadata_options": settings.get("MetadataOptions") or {},
        "monitoring_state": "enabled" if (settings.get("Monitoring") or {}).get("Enabled") else "disabled",
        "tags": {**named.get("tags", {}), "volume": tags.get("volume", {})},
    }
    if nics := settings.get("NetworkInterfaces"):
        subnet = {"SubnetId": named["subnet_id"]} if named.get("subnet_id") else {}
        found["nics"] = [{"DeviceIndex": 0, **nic, **subnet} for nic in nics]
    return found
