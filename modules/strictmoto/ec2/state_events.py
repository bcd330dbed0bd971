"""What EventBridge hears of instances: each of their states, those that moto passes over at once, too.

Source: Amazon EC2 User Guide, "Monitor Amazon EC2 instances with EventBridge" (state change events: a state may be
pending, running, stopping, stopped, shutting-down or terminated).
"""

from __future__ import annotations

import functools
from typing import Any, Final

from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.models import instances

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
Instance: Any = instances.Instance

_CHANGES: Final = {
    "start": ("pending", "running"),
    "stop": ("stopping", "stopped"),
    "terminate": ("shutting-down", "terminated"),
}


@functools.cache
def install() -> None:
    """Let the instances of this process's moto say so. A second call changes nothing."""
    run = EC2Backend.run_instances

    @functools.wraps(run)
    def run_instances(self: Any, *given: Any, **named: Any) -> Any:
        reservation = run(self, *given, **named)
        for instance in reservation.instances:
            _publish(instance, _CHANGES["start"])
        return reservation

    EC2Backend.run_instances = run_instances
    for name, states in _CHANGES.items():
        setattr(Instance, name, _saying(getattr(Instance, name), states))


def _saying(change: Any, states: tuple[str, ...]) -> Any:
    @functools.wraps(change)
    def changed(self: Any) -> Any:
        before = self.state
        answered = change(self)
        if self.state != before:
            _publish(self, states)
        return answered

    return changed


def arn_of(instance: Any) -> str:
    """Return the ARN of an instance."""
    backend = instance.ec2_backend
    return f"arn:{backend.partition}:ec2:{backend.region_name}:{backend.account_id}:instance/{instance.id}"


def _publish(instance: Any, states: tuple[str, ...]) -> None:
    # Late: most accounts that launch instances have no rules.
    from strictmoto.events import bus

    backend = instance.ec2_backend
    for state in states:
        bus.publish(
            backend.account_id,
            backend.region_name,
            source="aws.ec2",
            detail_type="EC2 Instance State-change Notification",
            detail={"instance-id": instance.id, "state": state},
            resources=[arn_of(instance)],
        )
