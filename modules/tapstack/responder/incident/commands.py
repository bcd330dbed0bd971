"""Commands of operators on an open incident: extend its capture, close it."""

from __future__ import annotations

from datetime import datetime

from tapstack.domain.counts import counted
from tapstack.domain.incidents import (
    as_time,
    can_be_extended,
    expiry,
    is_before_capture,
    lasting,
    minutes_left,
    utc_now,
)
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.environment import environment
from tapstack.responder.errors import Conflict
from tapstack.responder.outbound import executions
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident
from tapstack.responder.store.retry import retried


def extend(incident_id: str, minutes: int, *, by: str) -> Incident:
    """Capture until `minutes` from now, or for as long as before where that is later.

    Before mirroring starts, the minutes count from when it does. A capture lasts at most `max_minutes` from then,
    extensions included.

    Raises:
        UnknownIncident: there is none of that id.
        Conflict: it is closing or closed, or would last longer than that.
    """
    return retried(lambda: _extend_once(incident_id, minutes, by), "others change the incident at the same time")


def _extend_once(incident_id: str, minutes: int, by: str) -> Incident | None:
    incident = incidents.get(incident_id)
    if not can_be_extended(incident.state) or incident.close_requested:
        state = "closing" if can_be_extended(incident.state) else incident.state
        raise Conflict(f"incident {incident_id} is {state}: its capture cannot be extended any more")
    if (longer := incidents.lengthened(incident, minutes)) is None:
        return incident
    if not is_before_capture(incident.state):
        _check_length(incident, minutes, utc_now())
    until, _ = longer
    changed = incidents.extend(incident, *longer)
    if changed is not None:
        incidents.add_event(incident_id, by, "extended", lasting(incident.state, until, minutes))
    return changed


def _check_length(incident: Incident, minutes: int, now: datetime) -> None:
    """Refuse an extension with which the capture would last too long, and name the longest one."""
    most, end = environment().capture.max_minutes, incidents.latest_end(incident)
    if expiry(now, minutes) <= as_time(end):
        return
    said = (
        f"incident {incident.id} captures until {incident.expires_at}; its capture may last until "
        f"{end}, {counted(most, 'minute')} after mirroring started (capture.max_minutes)"
    )
    left = minutes_left(now, incident.expires_at, end)
    raise Conflict(
        f"{said}: extend it by at most {counted(left, 'minute')} from now" if left else f"{said}: open another incident"
    )


def close(incident_id: str, *, by: str, reason: str = "") -> Incident:
    """Ask that an incident ends. Where its workflow has failed, another execution ends it.

    Raises:
        UnknownIncident: there is none of that id.
    """
    before = incidents.get(incident_id)
    if before.state == "closed":
        return before
    incident = incidents.request_close(incident_id) or before
    if not before.close_requested:
        incidents.add_event(incident_id, by, "close requested", reason)
    containment_requests.drop(incident, by=by)
    if incident.state == "failed":
        executions.start_closing(incident)
    elif not incident.execution_arns:
        executions.start(incident_id)
    elif incident.token:
        executions.end_wait(incident.token, "close requested")
    return incident
