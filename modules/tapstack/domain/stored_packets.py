"""Where the packets of a launched appliance are, in words: for notifications, and for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tapstack.domain.counts import counted
from tapstack.domain.outside_text import word

OFF: Final = "evidence.appliance_snapshots of the response is null"
_READING: Final = "to read them: docs/incidents.md, Packets of a deleted appliance"


def where_stored(packets: Mapping[str, Any]) -> str:
    """Return in one line where packets are, until when, what will become of them, and what snapshots of them cost.

    Args:
        packets: `stored_packets` as the API has it: `state`, `snapshots`, `until` and `keep_days`.
    """
    state, keep_days = packets.get("state"), packets.get("keep_days")
    snapshots = packets.get("snapshots") or ()
    if state == "appliance" and keep_days:
        return (
            "on the appliance; before that is deleted, its volumes are snapshotted, and the snapshots kept for "
            f"{counted(int(keep_days), 'day')}, billed by the GB-month, at most the size of the volumes; {_READING}"
        )
    if state == "appliance":
        return f"on the appliance, and LOST when that is deleted: {OFF}"
    if state == "snapshots":
        listed = ", ".join(snapshot_words(one) for one in snapshots)
        # Snapshots are incremental: AWS bills what they store, which is at most the volumes.
        most = sum(size for one in snapshots if isinstance(size := one.get("size_gib"), int))
        return (
            f"in {counted(len(snapshots), 'EBS snapshot')} until {word(str(packets.get('until')))}: {listed}; billed "
            f"by the GB-month, at most {most} GB; {_READING}"
        )
    if state == "deleted":
        return f"deleted: they were kept in snapshots until {word(str(packets.get('until')))}"
    return f"lost with the appliance: no snapshot was taken of it{'' if keep_days else f', because {OFF}'}"


def snapshot_words(one: Mapping[str, Any]) -> str:
    """Return a snapshot in words."""
    encrypted = "encrypted" if one.get("encrypted") else "NOT encrypted"
    named = word(str(one.get("snapshot_id"))), word(str(one.get("volume_id")))
    return f"{named[0]} ({named[1]}, {one.get('size_gib')} GiB, {encrypted})"
