"""Instances that ended start, stop and reboot no more; those that are protected are not stopped or terminated.

moto does what it can before it meets an instance that is protected.

Sources: Amazon EC2 API Reference, TerminateInstances (what is done in which Availability Zone) and "Error codes for the
Amazon EC2 API" (IncorrectInstanceState, OperationNotPermitted); Amazon EC2 User Guide, "Enable stop protection for your
EC2 instances" (which protects from termination, too).
"""

from __future__ import annotations

import functools
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
_ENDED: Final = ("shutting-down", "terminated")


def state_of(instance: Any) -> str:
    """Return the name of an instance's state."""
    return str(instance._state.name)


def has_ended(instance: Any) -> bool:
    """Return whether an instance is terminated, or about to be."""
    return state_of(instance) in _ENDED


def install() -> None:
    """Refuse to change the state of what has ended, or is protected."""
    EC2Backend.start_instances = _refusing("started", EC2Backend.start_instances)
    EC2Backend.stop_instances = _refusing("stopped", EC2Backend.stop_instances)
    EC2Backend.reboot_instances = _refusing("rebooted", EC2Backend.reboot_instances)
    EC2Backend.terminate_instances = _sparing_protected(EC2Backend.terminate_instances)


def _refusing(verb: str, done: Any) -> Any:
    @functools.wraps(done)
    def refused(self: Any, instance_ids: list[str]) -> Any:
        # All are inspected before one is changed.
        for instance in self.get_multi_instances_by_id(instance_ids):
            if has_ended(instance):
                raise EC2ClientError(
                    "IncorrectInstanceState",
                    f"The instance '{instance.id}' is not in a state from which it can be {verb}.",
                )
            if verb == "stopped" and instance.disable_api_stop is True:
                raise _protected(instance, "stopped", "disableApiStop")
        return done(self, instance_ids)

    return refused


def _sparing_protected(terminate: Any) -> Any:
    """Return the termination that spares the Availability Zones of protected instances, and then is refused."""

    @functools.wraps(terminate)
    def terminate_instances(self: Any, instance_ids: list[str]) -> Any:
        if not instance_ids:
            return terminate(self, instance_ids)
        found = self.get_multi_instances_by_id(instance_ids)
        protected = [instance for instance in found if _is_protected(instance)]
        spared = {instance.availability_zone for instance in protected}
        # As moto does it, which would find them all once more.
        ended = [(instance, instance.terminate()) for instance in found if instance.availability_zone not in spared]
        if not protected:
            return ended
        attribute = "disableApiTermination" if protected[0].disable_api_termination is True else "disableApiStop"
        raise _protected(protected[0], "terminated", attribute)

    return terminate_instances


def _is_protected(instance: Any) -> bool:
    return not has_ended(instance) and True in (instance.disable_api_termination, instance.disable_api_stop)


def _protected(instance: Any, done: str, attribute: str) -> Any:
    return EC2ClientError(
        "OperationNotPermitted",
        f"The instance '{instance.id}' may not be {done}. Modify its '{attribute}' instance attribute and try again.",
    )
