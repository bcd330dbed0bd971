"""Snapshots of all volumes at one moment, as evidence. A release does not delete them.

Source: Amazon EC2 API Reference, CreateSnapshots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tapstack.domain.containment import PriorState, Value
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_SITE, as_moment, as_text, utc_now
from tapstack.responder.aws.clients import client, client_without_retries
from tapstack.responder.capture.interfaces import existing_instances
from tapstack.responder.containment.changes.gone import gone_when
from tapstack.responder.containment.changes.volumes import volumes_of
from tapstack.responder.environment import environment

TAG_CONTAINMENT: Final = "tapstack:containment"
"""Instance and generation of the containment that a snapshot was taken for."""


def read(instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
    """Return nothing: snapshots are not restored."""
    return {}


def change(instance_id: str, prior: PriorState, to: Value) -> str | None:
    """Create the snapshots, once for a containment; return when they were requested, None where they are taken."""
    if not prior.detail["volumes"]:
        return None
    named = environment()
    tag = {"Key": TAG_CONTAINMENT, "Value": f"{instance_id} {prior.generation}"}
    # CreateSnapshots accepts no client token, so existing snapshots are searched for first.
    if _are_taken(instance_id, prior, tag):
        return None
    tags = [
        tag,
        {"Key": "Name", "Value": f"containment of {instance_id}"},
        {"Key": TAG_DEPLOYMENT, "Value": named.deployment},
        {"Key": TAG_SITE, "Value": named.site},
    ]
    requested_at = as_text(utc_now())
    with gone_when("InvalidInstanceID.NotFound"):
        client_without_retries("ec2").create_snapshots(
            InstanceSpecification={"InstanceId": instance_id},
            Description=f"Tapstack: {instance_id} contained",
            TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}],
        )
    return requested_at


def _are_taken(instance_id: str, prior: PriorState, tag: dict[str, str]) -> bool:
    """Return whether all volumes that are still attached have a snapshot that was taken for this containment.

    A tag alone proves nothing: any caller may set it, and the generation of a containment can be foreseen. So each
    volume needs one that was begun since the containment recorded that it takes them, and that did not fail. Where it
    is recorded that they were taken, what EC2 does not show yet is there: then only those that failed are missing, of
    the latest that were requested.
    """
    volumes = set(prior.detail["volumes"])
    pages = client("ec2").get_paginator("describe_snapshots")
    filters = [
        {"Name": f"tag:{tag['Key']}", "Values": [tag["Value"]]},
        {"Name": "volume-id", "Values": sorted(volumes)},
    ]
    since, latest = as_moment(prior.recorded_at), as_moment(prior.made_at or prior.recorded_at)
    taken, failed = set[str](), set[str]()
    for page in pages.paginate(OwnerIds=["self"], Filters=filters):
        for one in page["Snapshots"]:
            if since is not None and one["StartTime"] >= since and one["State"] in ("pending", "completed"):
                taken.add(one["VolumeId"])
            if latest is not None and one["StartTime"] >= latest and one["State"] == "error":
                failed.add(one["VolumeId"])
    missing = failed if prior.made else volumes
    left_out = missing - taken
    # A volume that was detached meanwhile gets none from CreateSnapshots, however often that is called.
    return not left_out or (bool(taken or prior.made) and left_out.isdisjoint(_attached(instance_id)))


def _attached(instance_id: str) -> set[str]:
    """Return the volumes that are attached to an instance; none where it does not exist."""
    return {volume.volume_id for one in existing_instances([instance_id]) for volume in volumes_of(one)}


def restore(instance_id: str, prior: PriorState, to: Value) -> None:
    """Do nothing: they are evidence."""
