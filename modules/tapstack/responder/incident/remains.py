"""What still exists of an incident whose instance is gone, by the table."""

from __future__ import annotations

from collections.abc import Iterator

from tapstack.domain.containment import change_name
from tapstack.domain.containment_settings import undo_containment_command
from tapstack.domain.incidents import can_be_extended
from tapstack.responder.store import containments, incidents
from tapstack.responder.store.incidents import Incident


def still_exists(incident: Incident) -> list[str]:
    """Return what may still exist, a line each; nothing where the instance is not known to be gone."""
    if incidents.instance_state(incident) != "gone":
        return []
    return [*_capture(incident), *(_containment(incident) if incident.containment is not None else ())]


def _capture(incident: Incident) -> Iterator[str]:
    if (sessions := [one.session_id for one in incident.in_state("mirrored") if one.session_id]) and can_be_extended(
        incident.state
    ):
        yield (
            f"traffic mirror sessions {', '.join(sessions)}, where their network interfaces were not deleted with it: "
            f"tapstack incident close {incident.id}"
        )


def _containment(incident: Incident) -> Iterator[str]:
    there = containments.get(incident.named_instance_id, incident.where)
    if there is None or not there.is_for(incident.id):
        return
    waiting = containments.waiting(there, containments.prior_states(there.instance_id, there.where))
    if kept := sorted(str(one.detail["volume_id"]) for one in waiting if one.kind == "volume"):
        yield f"volumes {', '.join(kept)}, which its containment kept on termination: they are billed"
    if any(one.kind == "snapshots" for one in waiting):
        yield "snapshots of its volumes, which its containment took"
    changed = sorted(change_name(one.kind, one.key) for one in waiting if one.kind in ("groups", "profile"))
    if changed:
        yield f"as its containment left them, where they exist: {', '.join(changed)}"
    yield f"the record of its containment: {undo_containment_command(incident.id)} restores what exists, and ends it"
