"""Attributes of instances that moto does not know how to change, and devices that an instance does not have.

Sources: EC2 API Reference, ModifyInstanceAttribute and DescribeInstanceAttribute; EC2 User Guide, "Change the
shutdown behavior" and "Change instance termination protection" (not of Spot Instances). The code of that refusal is
the one that Terraform's AWS provider expects.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import instances

# moto has types, but none for what is replaced at run time.
InstanceResponse: Any = instances.InstanceResponse

_BEHAVIORS: Final = ("stop", "terminate")
# What Spot Instances cannot have: by the attribute's name, and by the parameter's.
_PROTECTIONS: Final = {"disableApiTermination": "DisableApiTermination", "disableApiStop": "DisableApiStop"}


@functools.cache
def install() -> None:
    """Make the moto of this process change them. A second call changes nothing."""
    modify = InstanceResponse.modify_instance_attribute

    @functools.wraps(modify)
    def modify_instance_attribute(self: Any) -> Any:
        instance_id = self._get_param("InstanceId")
        attribute = self._get_param("Attribute")
        for name, member in _PROTECTIONS.items():
            if (self._get_param(f"{member}.Value") is not None or attribute == name) and is_spot(
                self.ec2_backend.get_instance(instance_id)
            ):
                raise EC2ClientError("UnsupportedOperation", f"Modifying '{name}' is not supported for spot instances.")
        behavior = self._get_param("InstanceInitiatedShutdownBehavior.Value")
        if behavior is not None:
            if behavior not in _BEHAVIORS:
                raise EC2ClientError(
                    "InvalidParameterValue",
                    f"Invalid value '{behavior}' for InstanceInitiatedShutdownBehavior.",
                )
            self.ec2_backend.modify_instance_attribute(instance_id, "instance_initiated_shutdown_behavior", behavior)
            return EmptyResult()
        for mapping in self._get_param("BlockDeviceMappings", []):
            devices = self.ec2_backend.get_instance(instance_id).block_device_mapping
            if (device := mapping.get("DeviceName")) not in devices:
                raise EC2ClientError("InvalidInstanceAttributeValue", f"No device is currently mapped at {device}")
        return modify(self)

    describe = InstanceResponse.describe_instance_attribute

    @functools.wraps(describe)
    def describe_instance_attribute(self: Any) -> Any:
        if self._get_param("Attribute") != "blockDeviceMapping":
            return describe(self)
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        return ActionResult({"InstanceId": instance.id, "BlockDeviceMappings": instance.block_device_mappings})

    run = InstanceResponse.run_instances

    @functools.wraps(run)
    def run_instances(self: Any) -> Any:
        if (self._get_param("InstanceMarketOptions") or {}).get("MarketType") == "spot":
            for name, member in _PROTECTIONS.items():
                if self._get_param(member):
                    raise EC2ClientError("UnsupportedOperation", f"'{name}' is not supported for spot instances.")
        return run(self)

    InstanceResponse.describe_instance_attribute = describe_instance_attribute
    InstanceResponse.modify_instance_attribute = modify_instance_attribute
    InstanceResponse.run_instances = run_instances


def is_spot(instance: Any) -> bool:
    """Return whether an instance is a Spot Instance."""
    return bool(instance.lifecycle == "spot")
