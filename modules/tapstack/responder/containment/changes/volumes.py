"""Whether volumes are deleted with their instance.

Source: Amazon EC2 User Guide, "Preserve data when an instance is terminated".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapstack.domain.containment import PriorState, Value, Volume
from tapstack.responder.aws.clients import client
from tapstack.responder.containment.changes.gone import gone_when


def read(instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
    """Return the attribute of each device that still has the same volume."""
    there = {volume.device: volume for volume in volumes_of(instance or {})}
    return {
        one.key: there[one.key].delete_on_termination
        for one in prior_states
        if one.key in there and there[one.key].volume_id == one.detail["volume_id"]
    }


def change(instance_id: str, prior: PriorState, to: Value) -> None:
    """Set the attribute of a device."""
    with gone_when("InvalidInstanceID.NotFound", "InvalidInstanceAttributeValue"):
        client("ec2").modify_instance_attribute(
            InstanceId=instance_id,
            BlockDeviceMappings=[{"DeviceName": prior.key, "Ebs": {"DeleteOnTermination": bool(to)}}],
        )


restore = change


def volumes_of(instance: dict[str, Any]) -> tuple[Volume, ...]:
    """Return the EBS volumes of an instance as EC2 describes it."""
    return tuple(
        Volume(item["DeviceName"], item["Ebs"]["VolumeId"], bool(item["Ebs"]["DeleteOnTermination"]))
        for item in instance.get("BlockDeviceMappings", [])
        if "Ebs" in item
    )
