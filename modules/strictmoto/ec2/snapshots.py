"""Snapshots that take their time: they are pending first, and can be copied and made volumes of when complete.

Those of AWS's images are AWS's: an account that describes its own does not see them.

How long they are pending is the account's own: AWS documents no duration, which depends on the data.

Sources: Amazon EC2 API Reference, Snapshot (status: pending, completed, error, and more; progress), DescribeSnapshots
(OwnerIds), CreateVolume and "Error codes for the Amazon EC2 API" (IncorrectState); Amazon EBS User Guide, "Create
Amazon EBS snapshots" (pending until all modified blocks are transferred) and "Copy an Amazon EBS snapshot" (it must be
completed).
"""

from __future__ import annotations

import functools
import time
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_block_store import EBSBackend as _Backend
from moto.ec2.models.elastic_block_store import Snapshot as _Snapshot
from moto.ec2.responses.elastic_block_store import ElasticBlockStore as _Responses

from strictmoto.ec2.images import WITHOUT_PUBLIC
from strictmoto.running import running

# moto has types, but none for what is replaced at run time.
Backend: Any = _Backend
Snapshot: Any = _Snapshot
Responses: Any = _Responses

PENDING_SECONDS: Final = 10.0
"""How long a snapshot is pending, where waits are not scaled."""
_COMPLETED: Final = "completed"


@functools.cache
def install() -> None:
    """Let the snapshots of this process's moto be pending first. A second call changes nothing."""
    init, copy, create_volume = Snapshot.__init__, Backend.copy_snapshot, Backend.create_volume
    describe = Responses.describe_snapshots

    @functools.wraps(init)
    def begun(self: Any, *given: Any, **named: Any) -> None:
        init(self, *given, **named)
        # An image is available at once, and so are its snapshots.
        if self.from_ami is None:
            self.pending_from = time.monotonic()
            self.pending_for = running().waits.of(PENDING_SECONDS)

    @functools.wraps(describe)
    def describe_snapshots(self: Any) -> Any:
        owners = self._get_param("OwnerIds", [])
        # To make the public images takes longer than all else.
        listing = WITHOUT_PUBLIC.set(owners == ["self"] or bool(self._get_param("SnapshotIds", [])))
        try:
            answer = describe(self)
        finally:
            WITHOUT_PUBLIC.reset(listing)
        if owners:
            own = self.ec2_backend.account_id if "self" in owners else None
            answer.result["Snapshots"] = [
                one
                for one in answer.result["Snapshots"]
                if one.owner_id in (own, *owners) or ("amazon" in owners and _is_of_amazon(self.ec2_backend, one))
            ]
        return answer

    @functools.wraps(copy)
    def copy_snapshot(self: Any, source_snapshot_id: str, source_region: str, *given: Any, **named: Any) -> Any:
        from moto.ec2.models import ec2_backends

        _check_complete(ec2_backends[self.account_id][source_region], source_snapshot_id)
        return copy(self, source_snapshot_id, source_region, *given, **named)

    @functools.wraps(create_volume)
    def volume_of_snapshot(self: Any, *given: Any, snapshot_id: str | None = None, **named: Any) -> Any:
        if snapshot_id:
            _check_complete(self, snapshot_id)
        return create_volume(self, *given, snapshot_id=snapshot_id, **named)

    Snapshot.__init__ = begun
    Snapshot.pending_from = Snapshot.pending_for = 0.0
    Snapshot.status = property(_status, _set_status)
    # CreateSnapshots answers with another word for it, which moto leaves out.
    Snapshot.state = property(_status)
    Snapshot.progress = property(_progress)
    Responses.describe_snapshots = describe_snapshots
    Backend.copy_snapshot = copy_snapshot
    Backend.create_volume = volume_of_snapshot


def _is_of_amazon(backend: Any, snapshot: Any) -> bool:
    image = backend.amis.get(snapshot.from_ami)
    return image is not None and image.owner_alias == "amazon"


def _status(snapshot: Any) -> str:
    return "pending" if _is_pending(snapshot) else str(snapshot.final_status)


def _set_status(snapshot: Any, status: str) -> None:
    # As if all were transferred, or given up, now.
    snapshot.final_status, snapshot.pending_for = status, 0.0


def _is_pending(snapshot: Any) -> bool:
    return bool(time.monotonic() < snapshot.pending_from + snapshot.pending_for)


def _progress(snapshot: Any) -> str:
    if not _is_pending(snapshot):
        return "100%" if snapshot.final_status == _COMPLETED else ""
    return f"{100 * (time.monotonic() - snapshot.pending_from) / snapshot.pending_for:.0f}%"


def _check_complete(backend: Any, snapshot_id: str) -> None:
    [snapshot] = backend.describe_snapshots(snapshot_ids=[snapshot_id])
    if snapshot.status != _COMPLETED:
        raise EC2ClientError("IncorrectState", f"Snapshot is in invalid state - {snapshot.status}")
