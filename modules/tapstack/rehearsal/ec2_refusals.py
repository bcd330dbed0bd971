"""What EC2 refuses of instances that ended and of attachments of network interfaces, and moto does.

Source: Amazon EC2 API Reference, "Error codes for the Amazon EC2 API" (IncorrectInstanceState, OperationNotPermitted,
InvalidParameterValue). Its page has codes; the words of the messages are inferred.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
_ENDED: Final = ("shutting-down", "terminated")


@functools.cache
def install() -> None:
    """Make the moto of this process refuse. A second call changes nothing."""
    _refuse_of_ended_instances()
    _refuse_attachments()


def _state(instance: Any) -> str:
    return str(instance._state.name)


def _refuse_of_ended_instances() -> None:
    def refusing(verb: str, done: Any) -> Any:
        @functools.wraps(done)
        def refused(self: Any, instance_ids: list[str]) -> Any:
            # All are looked at before one is changed.
            for instance in self.get_multi_instances_by_id(instance_ids):
                if _state(instance) in _ENDED:
                    raise EC2ClientError(
                        "IncorrectInstanceState",
                        f"The instance '{instance.id}' is not in a state from which it can be {verb}.",
                    )
            return done(self, instance_ids)

        return refused

    EC2Backend.start_instances = refusing("started", EC2Backend.start_instances)
    EC2Backend.stop_instances = refusing("stopped", EC2Backend.stop_instances)
    EC2Backend.reboot_instances = refusing("rebooted", EC2Backend.reboot_instances)


def _refuse_attachments() -> None:
    attach, detach = EC2Backend.attach_network_interface, EC2Backend.detach_network_interface

    @functools.wraps(attach)
    def attach_network_interface(self: Any, eni_id: str, instance_id: str, device_index: int) -> Any:
        interface, instance = self.get_network_interface(eni_id), self.get_instance(instance_id)
        if _state(instance) in _ENDED:
            raise EC2ClientError(
                "IncorrectInstanceState", f"The instance '{instance_id}' is not in the 'running' or 'stopped' state."
            )
        if interface.instance is None and int(device_index) in instance.nics:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Instance '{instance_id}' already has an interface attached at device index '{device_index}'.",
            )
        return attach(self, eni_id, instance_id, device_index)

    @functools.wraps(detach)
    def detach_network_interface(self: Any, attachment_id: str) -> None:
        for interface in self.enis.values():
            if interface.attachment_id == attachment_id and interface.instance and int(interface.device_index) == 0:
                raise EC2ClientError(
                    "OperationNotPermitted", "The network interface at device index 0 cannot be detached."
                )
        detach(self, attachment_id)

    EC2Backend.attach_network_interface = attach_network_interface
    EC2Backend.detach_network_interface = detach_network_interface
