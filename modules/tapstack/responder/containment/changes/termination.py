"""Termination protection: no call deletes the evidence. Auto Scaling ignores it: see standby.

Source: Amazon EC2 User Guide, "Change instance termination protection".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapstack.domain.containment import PriorState, Value
from tapstack.responder.aws.clients import client
from tapstack.responder.containment.changes.gone import gone_when


def read(instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
    """Return whether the instance is protected."""
    return {} if instance is None else {instance["InstanceId"]: is_protected(instance["InstanceId"])}


def change(instance_id: str, prior: PriorState, to: Value) -> None:
    """Switch it on or off."""
    with gone_when("InvalidInstanceID.NotFound"):
        client("ec2").modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": bool(to)})


restore = change


def is_protected(instance_id: str) -> bool:
    """Return whether an instance may not be terminated by the API."""
    answer = client("ec2").describe_instance_attribute(InstanceId=instance_id, Attribute="disableApiTermination")
    return bool(answer["DisableApiTermination"]["Value"])
