"""Instances that ended start, stop and reboot no more.

Source: Amazon EC2 API Reference, "Error codes for the Amazon EC2 API" (IncorrectInstanceState).
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
    """Tell whether an instance is terminated, or about to be."""
    return state_of(instance) in _ENDED


def install() -> None:
    """Refuse to change the state of what has ended."""
    EC2Backend.start_instances = _refusing("started", EC2Backend.start_instances)
    EC2Backend.stop_instances = _refusing("stopped", EC2Backend.stop_instances)
    EC2Backend.reboot_instances = _refusing("rebooted", EC2Backend.reboot_instances)


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
        return done(self, instance_ids)

    return refused
