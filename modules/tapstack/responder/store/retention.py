"""How long an incident is kept: `retention_days` after it is closed, and while its instance is contained."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from tapstack.domain.incidents import as_time
from tapstack.domain.proposals import proposal
from tapstack.responder.environment import environment
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident
from tapstack.responder.store.retry import retried

IN_PLACE: Final = frozenset({"containing", "contained", "releasing", "blocked", "failed"})
"""States in which an instance is, or may be, contained."""


def deletion_time(closed_at: datetime) -> int:
    """Return when an incident is deleted, from when it was closed, in seconds of the epoch."""
    return int((closed_at + timedelta(days=environment().retention_days)).timestamp())


def keep(incident_id: str) -> Incident:
    """Set when a closed incident is deleted, or keep it while its instance is contained, as a release needs it.

    Call it after every write that may change that; the last caller sees the writes of the others. Idempotent.

    Args:
        incident_id: which.

    Returns:
        The incident.

    Raises:
        UnknownIncident: there is none of that id.
        TryAgain: others change its containment at the same time.
    """
    said = f"others change the containment of incident {incident_id} at the same time"
    return retried(lambda: _keep_once(incident_id), said)


def _keep_once(incident_id: str) -> Incident | None:
    incident = incidents.get(incident_id)
    contained = bool(still_contained(incident))
    if incident.state != "closed" or (incident.ttl is not None) != contained:
        return incident
    return incidents.expire(incident, None if contained else deletion_time(as_time(str(incident.closed_at))))


def still_contained(incident: Incident) -> list[str]:
    """Return the lines of a notification about a containment that is not released; none where there is none.

    They say what is recorded: whether the instance still exists is not known here.
    """
    containment = incident.containment
    if containment is None or containment.state not in IN_PLACE:
        return []
    if containment.state == "failed" and not containment.changed:
        return []
    return [
        f"The containment of {incident.instance_id} is NOT RELEASED ({containment.state}). Closing does not release",
        "it; this does:",
        f"  {proposal(incident.id, 'release')}",
    ]
