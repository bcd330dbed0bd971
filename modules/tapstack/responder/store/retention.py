"""How long an incident is kept: `retention_days` after it is closed, and while its instance is contained.

What belongs to it is kept at least as long.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from tapstack.domain.incidents import as_time
from tapstack.domain.proposals import proposal
from tapstack.domain.table_names import OPEN
from tapstack.responder.store import incidents, lifetimes
from tapstack.responder.store.incidents import Incident
from tapstack.responder.store.retry import retried

_SOON: Final = timedelta(days=7)
"""Shorter than what is written for an incident is kept, and long enough for sweeps that fail."""


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
    return incidents.expire(
        incident, None if contained else lifetimes.of_closed_incident(as_time(str(incident.closed_at)))
    )


def keep_belongings() -> None:
    """Keep the timelines, and the marks of notifications, of incidents that are kept longer than these.

    The sweeper runs it. Of an incident that is not deleted yet, because it is open or its instance is contained, they
    are written again a week before their time is over. Of any other they are kept until it is deleted, also where
    `retention_days` was raised before it was closed.
    """
    soon = lifetimes.after(_SOON)
    for incident in (*incidents.listed(OPEN), *incidents.closed_and_kept_longer()):
        needed, until = (soon, lifetimes.of_belongings()) if incident.ttl is None else (incident.ttl, incident.ttl)
        if incident.kept_until is None or incident.kept_until < needed:
            incidents.keep_belongings(incident, needed=needed, until=until)


def still_contained(incident: Incident) -> list[str]:
    """Return the lines of a notification about a containment that is not released; none where there is none.

    They say what is recorded: whether the instance still exists is not known here.
    """
    containment = incident.containment
    if containment is None or not containment.may_be_changed:
        return []
    return [
        f"The containment of {incident.instance_id} is NOT RELEASED ({containment.state}). Closing does not release",
        "it; this does:",
        f"  {proposal(incident.id, 'release')}",
    ]
