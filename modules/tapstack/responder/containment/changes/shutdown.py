"""The shutdown behavior of an instance: it stops when it shuts itself down, and its volumes are kept.

Source: Amazon EC2 User Guide, "Change instance initiated shutdown behavior".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapstack.domain.containment import PriorState, Value
from tapstack.responder.aws.clients import client
from tapstack.responder.containment.changes.gone import gone_when


def read(instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
    """Return the instance's behavior."""
    return {} if instance is None else {instance["InstanceId"]: behavior_of(instance["InstanceId"])}


def change(instance_id: str, prior: PriorState, to: Value) -> None:
    """Set it to `stop` or `terminate`."""
    with gone_when("InvalidInstanceID.NotFound"):
        client("ec2").modify_instance_attribute(
            InstanceId=instance_id, InstanceInitiatedShutdownBehavior={"Value": str(to)}
        )


restore = change


def behavior_of(instance_id: str) -> str:
    """Return the shutdown behavior of an instance."""
    answer = client("ec2").describe_instance_attribute(
        InstanceId=instance_id, Attribute="instanceInitiatedShutdownBehavior"
    )
    return str(answer["InstanceInitiatedShutdownBehavior"]["Value"])
