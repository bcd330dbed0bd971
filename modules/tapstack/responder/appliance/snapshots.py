"""Snapshots of the volumes of a launched appliance: its packets are kept before it is deleted.

Its instance is stopped first, so that all that it wrote is on its volumes. CreateSnapshots accepts no client token: a
call whose response was lost, or two functions at once, take snapshots twice. All of them are recorded, and all are
deleted when their time is over; the second snapshot of a volume stores only what changed since the first, which is
nothing.

Sources: Amazon EC2 API Reference, StopInstances, CreateSnapshots, DescribeSnapshots and DeleteSnapshot; Amazon EBS User
Guide, "Amazon EBS snapshots" (they are incremental; the snapshot of an encrypted volume is encrypted).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final, Literal

from botocore.exceptions import ClientError

from tapstack.domain.appliance_settings import DeployedLaunch
from tapstack.domain.evidence_settings import TAG_APPLIANCE, ApplianceSnapshots, incident_tags, notice_before
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_SITE, as_time, utc_now
from tapstack.responder.appliance.instances import TAGS_NEEDED, Described, instances_of
from tapstack.responder.aws.clients import client, client_without_retries
from tapstack.responder.aws.errors import code_of, is_transient, message_of, reporting
from tapstack.responder.environment import environment
from tapstack.responder.outbound import snapshot_notices
from tapstack.responder.store import incidents
from tapstack.responder.store import snapshots as stored
from tapstack.responder.store.appliance import Appliance
from tapstack.responder.store.records import Snapshot, StoredPackets
from tapstack.responder.store.snapshots import Kept

Progress = Literal["complete", "wait", "failed"]
_STOPPED_WITHIN: Final = timedelta(minutes=30)
"""How long an instance may be stopping. AWS offers to force it; that could lose what is not written yet."""
_SEEN_WITHIN: Final = timedelta(minutes=15)
"""How long EC2 may not show a snapshot that it has answered with."""


def retirement_of(settings: DeployedLaunch, appliance: Appliance) -> str:
    """Return the name of the present retirement of an appliance, such as `tap-production-epb 1767323045.0`."""
    return f"{settings.stack_name} {appliance.generation}.{appliance.resumed}"


def keep(
    settings: DeployedLaunch,
    keeping: ApplianceSnapshots,
    appliance: Appliance,
    *,
    stack_gone: bool = False,
    again: bool = False,
) -> Progress:
    """Take the next action towards a snapshot of each volume of the appliance that is retired.

    While its stack exists, an instance or a volume that is not found is a failure: deleting the stack could delete it.

    Args:
        settings: of the appliance.
        keeping: how long the snapshots are kept.
        appliance: what the table knows.
        stack_gone: whether its stack is deleted: then what was taken before is all there is.
        again: whether to repeat what failed before: its cause may be fixed.

    Returns:
        `complete`; `wait` to be called again; or `failed`, and the reason is recorded. The appliance must stay then.
    """
    retirement = retirement_of(settings, appliance)
    kept = stored.get(retirement)
    if kept is not None and (kept.complete or (kept.failure and not again and not stack_gone)):
        return "complete" if kept.complete else "failed"
    try:
        return _keep(settings, keeping, appliance, retirement, stack_gone)
    except ClientError as error:
        if is_transient(error):
            raise
        lost_tags = f"; {TAGS_NEEDED}" if code_of(error) == "UnauthorizedOperation" else ""
        stored.fail(retirement, f"{message_of(error)}{lost_tags}")
        return "failed"


def _keep(
    settings: DeployedLaunch, keeping: ApplianceSnapshots, appliance: Appliance, retirement: str, stack_gone: bool
) -> Progress:
    instances = instances_of(settings.stack_name)
    volumes = {volume_id: one["InstanceId"] for one in instances for volume_id in _volumes(one)}
    days = timedelta(days=keeping.keep_days)
    kept = stored.begin(retirement, appliance.where, days, appliance.captured_for, volumes)
    if not stack_gone and (why := _not_found(settings, instances, kept.volume_ids - set(volumes))):
        stored.fail(retirement, why)
        return "failed"
    running = [one["InstanceId"] for one in instances if one["State"]["Name"] == "running"]
    if running:
        # A snapshot that others begin now may lack what it still writes.
        kept = stored.not_stopped(retirement)
        client("ec2").stop_instances(InstanceIds=running)
        instances = instances_of(settings.stack_name)
    if busy := [one["InstanceId"] for one in instances if one["State"]["Name"] != "stopped"]:
        if utc_now() - as_time(kept.opened_at) > _STOPPED_WITHIN:
            stored.fail(retirement, f"{', '.join(busy)} is not stopped after {_STOPPED_WITHIN}")
            return "failed"
        return "wait"
    if kept.stopped_at is None:
        kept = stored.stopped(retirement)
    found = _found(kept)
    if failed := [one for one in found if one["State"] == "error"]:
        # A later attempt takes others of these volumes.
        said = ", ".join(f"{one['SnapshotId']} ({one.get('StateMessage') or 'AWS does not say why'})" for one in failed)
        if not kept.failure:
            stored.fail(retirement, f"snapshots failed: {said}")
            return "failed"
    missing = set(volumes) - {one["VolumeId"] for one in _good(found)}
    # EC2 may show a new snapshot late. One that is never shown was deleted.
    unseen = kept.snapshot_ids - {one["SnapshotId"] for one in found}
    if missing and not (unseen and utc_now() - as_time(kept.opened_at) < _SEEN_WITHIN):
        for instance_id in sorted({volumes[volume_id] for volume_id in missing}):
            kept = stored.add(retirement, _create(instance_id, settings, retirement, kept))
        found = _found(kept)
    # Where the stack is gone, what was taken before is all there is.
    wanted = set(volumes) or {one["VolumeId"] for one in _good(found)}
    completed = {one["VolumeId"]: one for one in reversed(_good(found)) if one["State"] == "completed"}
    if wanted - set(completed):
        return "wait"
    kept = stored.complete(retirement, [_snapshot(completed[volume_id]) for volume_id in sorted(wanted)], days)
    _record(kept)
    return "complete"


def _not_found(settings: DeployedLaunch, instances: Sequence[Described], detached: Collection[str]) -> str | None:
    """Return what of an appliance whose stack exists is not there; None where nothing is missing."""
    region = environment().home.region
    if not instances:
        return (
            f"the stack {settings.stack_name} exists, and no instance of it: it was terminated outside Tapstack. A "
            f"volume of it may still exist: aws ec2 describe-volumes --region {region} --filters "
            "Name=status,Values=available"
        )
    if without := [one["InstanceId"] for one in instances if not _volumes(one)]:
        return f"{', '.join(without)} of the stack {settings.stack_name} has no EBS volume: attach its volumes again"
    if detached:
        missing = ", ".join(sorted(detached))
        return f"{missing} was detached from the appliance of the stack {settings.stack_name}: attach it again"
    return None


def _volumes(instance: Described) -> list[str]:
    return [one["Ebs"]["VolumeId"] for one in instance.get("BlockDeviceMappings", ()) if "Ebs" in one]


def _create(instance_id: str, settings: DeployedLaunch, retirement: str, kept: Kept) -> list[str]:
    named = environment()
    tags = {
        "Name": f"packets of {settings.stack_name}",
        TAG_APPLIANCE: retirement,
        TAG_DEPLOYMENT: named.deployment,
        TAG_SITE: named.site,
        **incident_tags(kept.incidents),
    }
    answer = client_without_retries("ec2").create_snapshots(
        InstanceSpecification={"InstanceId": instance_id},
        Description=f"Tapstack: packets of {settings.stack_name}, before it is deleted",
        TagSpecifications=[
            {"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )
    return [str(one["SnapshotId"]) for one in answer["Snapshots"]]


def _found(kept: Kept) -> list[Described]:
    """Return the snapshots of a retirement, the newest first, and record those that were not recorded yet."""
    found = {one["SnapshotId"]: one for one in _tagged([kept]) if _is_of(one, kept)}
    # Others may have taken the tag off.
    if unseen := sorted(kept.snapshot_ids - found.keys()):
        found |= {one["SnapshotId"]: one for one in _described("snapshot-id", unseen)}
    if unknown := found.keys() - kept.snapshot_ids:
        stored.add(kept.retirement, unknown)
    return sorted(found.values(), key=lambda one: str(one["StartTime"]), reverse=True)


def _is_of(snapshot: Described, kept: Kept) -> bool:
    """Return whether a snapshot with the tag of a retirement has the packets of the appliance.

    A tag alone proves nothing: any caller may set it, and the name of a retirement can be foreseen. Either
    CreateSnapshots answered with the snapshot; or it is of the appliance's volumes, and was begun after the instance
    was stopped for this retirement.
    """
    if snapshot["SnapshotId"] in kept.snapshot_ids:
        return True
    begun_after = kept.stopped_at is not None and snapshot["StartTime"] >= as_time(kept.stopped_at)
    return begun_after and snapshot["VolumeId"] in kept.volume_ids


def _tagged(all_kept: Sequence[Kept]) -> list[Described]:
    return _described(f"tag:{TAG_APPLIANCE}", sorted({kept.retirement for kept in all_kept}))


def _described(name: str, values: Sequence[str]) -> list[Described]:
    pages = client("ec2").get_paginator("describe_snapshots")
    return [
        one
        for start in range(0, len(values), 100)
        for page in pages.paginate(OwnerIds=["self"], Filters=[{"Name": name, "Values": values[start : start + 100]}])
        for one in page["Snapshots"]
    ]


def _retirement(snapshot: Described) -> str:
    return next((str(tag["Value"]) for tag in snapshot.get("Tags", ()) if tag["Key"] == TAG_APPLIANCE), "")


def _good(found: Sequence[Described]) -> list[Described]:
    return [one for one in found if one["State"] in ("pending", "completed")]


def _snapshot(described: Described) -> Snapshot:
    return Snapshot(
        snapshot_id=described["SnapshotId"],
        volume_id=described["VolumeId"],
        size_gib=int(described["VolumeSize"]),
        encrypted=bool(described.get("Encrypted")),
    )


def _record(kept: Kept) -> None:
    """Record in the incidents where their packets are."""
    packets = StoredPackets("snapshots", kept.snapshots, kept.expires_at) if kept.snapshots else StoredPackets("lost")
    for incident_id in sorted(kept.incidents):
        incidents.record_stored_packets(incident_id, packets)


def record_lost(appliance: Appliance) -> None:
    """Record in the incidents that used an appliance that their packets are deleted with it."""
    for incident_id in sorted(appliance.captured_for - appliance.holders):
        incidents.record_stored_packets(incident_id, StoredPackets("lost"))


def record_loss(settings: DeployedLaunch, appliance: Appliance) -> None:
    """Record that an appliance was deleted although incidents use it; the sweeper notifies operators."""
    if settings.snapshots is None:
        return
    days = timedelta(days=settings.snapshots.keep_days)
    retirement = retirement_of(settings, appliance)
    stored.begin(retirement, appliance.where, days, appliance.captured_for | appliance.holders, ())
    stored.complete(retirement, (), days)
    record_lost(appliance)


def supervise(current: str | None) -> tuple[list[str], list[str]]:
    """Notify about snapshots, and delete those whose time is over, after operators were notified of that.

    Args:
        current: the retirement that is in progress; None without one.

    Returns:
        What was done, and what failed, a line each.
    """
    done: list[str] = []
    problems: list[str] = []
    known = list(stored.listed())
    # A call whose response was lost, or that another function made at the same time, may have taken more.
    for described in _tagged(known) if known else ():
        for kept in known:
            new = described["SnapshotId"] not in kept.snapshot_ids
            if new and _retirement(described) == kept.retirement and _is_of(described, kept):
                stored.add(kept.retirement, [described["SnapshotId"]])
    for each in known:
        # The listing may be late.
        now = stored.get(each.retirement) or each
        with reporting(problems, f"snapshots of {each.retirement}"):
            done += _supervise(now, now.retirement == current)
    return done, problems


def _supervise(kept: Kept, current: bool) -> list[str]:
    done = []
    if kept.failure and current:
        if snapshot_notices.notify_once(kept, f"failed {kept.failure}", *snapshot_notices.failed(kept)):
            done.append(f"{kept.retirement}: its snapshots failed, operators were notified")
        return done
    if kept.complete and snapshot_notices.notify_once(kept, "kept", *snapshot_notices.kept(kept)):
        done.append(f"{kept.retirement}: operators were notified of {len(kept.snapshots)} snapshots")
    if current and not kept.complete:
        return done
    ends = as_time(kept.expires_at)
    before = notice_before(ends - as_time(kept.opened_at))
    if utc_now() < ends - before:
        return done
    if kept.snapshot_ids and kept.warned_at is None:
        snapshot_notices.notify_once(kept, "warned", *snapshot_notices.about_to_be_deleted(kept))
        kept = stored.warned(kept.retirement)
        done.append(f"{kept.retirement}: operators were notified that its snapshots will be deleted")
    # Never less than a day after the notification, or half of a shorter time.
    warned = [as_time(kept.warned_at) + min(before, timedelta(days=1))] if kept.warned_at else []
    if utc_now() < max([ends, *warned]):
        return done
    return [*done, *_delete(kept)]


def _delete(kept: Kept) -> list[str]:
    for snapshot_id in sorted(kept.snapshot_ids):
        try:
            client("ec2").delete_snapshot(SnapshotId=snapshot_id)
        except ClientError as error:
            if code_of(error) != "InvalidSnapshot.NotFound":
                raise
    packets = StoredPackets("deleted", kept.snapshots, kept.expires_at)
    if kept.complete:
        for incident_id in incidents.get_all(kept.incidents):
            incidents.record_stored_packets(incident_id, packets, instead_of=kept.expires_at)
    stored.forget(kept.retirement)
    return [f"{kept.retirement}: {len(kept.snapshot_ids)} snapshots deleted, whose time was over"]
