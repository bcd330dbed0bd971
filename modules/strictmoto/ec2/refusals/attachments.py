"""Attachments of network interfaces that cannot be made or ended.

Source: Amazon EC2 API Reference, AttachNetworkInterface and DetachNetworkInterface, and "Error codes for the Amazon EC2
API" (IncorrectInstanceState, InvalidParameterValue, InvalidParameterCombination, OperationNotPermitted).
"""

from __future__ import annotations

import functools
from typing import Any

from moto.ec2.exceptions import EC2ClientError, LastEniDetachError
from moto.ec2.models import EC2Backend as _Backend

from strictmoto.ec2.refusals.states import has_ended

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend


def install() -> None:
    """Refuse them."""
    attach, detach = EC2Backend.attach_network_interface, EC2Backend.detach_network_interface

    @functools.wraps(attach)
    def attach_network_interface(self: Any, eni_id: str, instance_id: str, device_index: int) -> Any:
        if int(device_index) < 0:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Value ({device_index}) for parameter deviceIndex is invalid. It must not be negative.",
            )
        interface, instance = self.get_network_interface(eni_id), self.get_instance(instance_id)
        if has_ended(instance):
            raise EC2ClientError(
                "IncorrectInstanceState", f"The instance '{instance_id}' is not in the 'running' or 'stopped' state."
            )
        # That an interface is in use is refused by what is wrapped.
        if interface.instance is None:
            if int(device_index) in instance.nics:
                raise EC2ClientError(
                    "InvalidParameterValue",
                    f"Instance '{instance_id}' already has an interface attached at device index '{device_index}'.",
                )
            if interface.availability_zone != instance.availability_zone:
                raise EC2ClientError(
                    "InvalidParameterCombination",
                    "You may not attach a network interface to an instance if they are not in the same availability "
                    "zone",
                )
        return attach(self, eni_id, instance_id, device_index)

    @functools.wraps(detach)
    def detach_network_interface(self: Any, attachment_id: str) -> None:
        for interface in self.enis.values():
            if interface.attachment_id == attachment_id and interface.instance and int(interface.device_index) == 0:
                raise LastEniDetachError
        detach(self, attachment_id)

    EC2Backend.attach_network_interface = attach_network_interface
    EC2Backend.detach_network_interface = detach_network_interface
