"""What people do with an incident once it is open: make its capture longer, close it."""

from __future__ import annotations

from typing import Final

from tapstack.domain.incidents import as_text, can_be_extended, expiry, utc_now
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.errors import Conflict, TryAgain
from tapstack.responder.outbound import executions
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident

_TRIES: Final = 5


def extend(incident_id: str, minutes: int, *, by: str) -> Incident:
    """Capture until `minutes` from now, or for as long as before where that is later.

    Raises:
        UnknownIncident: there is none of that id.
        Conflict: it ends, or has ended.
    """
    for _ in range(_TRIES):
        incident = incidents.get(incident_id)
        if not can_be_extended(incident["state"]) or incident["close_requested"]:
            state = "closing" if can_be_extended(incident["state"]) else incident["state"]
            raise Conflict(f"incident {incident_id} is {state}: its capture cannot be extended any more")
        until = as_text(expiry(utc_now(), minutes))
        if until <= incident["expires_at"]:
            return incident
        changed = incidents.change(
            incident_id,
            "SET expires_at = :until",
            condition="expires_at = :before AND close_requested = :no AND #state = :state",
            until=until,
            before=incident["expires_at"],
            no=False,
            state=incident["state"],
        )
        if changed is not None:
            incidents.say(incident_id, by, "extended", f"until {until}")
            if changed.get("token"):
                executions.end_wait(changed["token"], "extended")
            return changed
    raise TryAgain("others change the incident at the same time")


def close(incident_id: str, *, by: str, reason: str = "") -> Incident:
    """Ask that an incident ends. Where its workflow has failed, another execution ends it.

    Raises:
        UnknownIncident: there is none of that id.
    """
    before = incidents.get(incident_id)
    if before["state"] == "closed":
        return before
    incident = incidents.change(incident_id, "SET close_requested = :yes", yes=True) or before
    if not before["close_requested"]:
        incidents.say(incident_id, by, "close requested", reason)
    containment_requests.drop(incident, by=by)
    if incident["state"] == "failed":
        executions.start_closing(incident)
    elif not incident.get("execution_arns"):
        executions.start(incident_id)
    elif incident.get("token"):
        executions.end_wait(incident["token"], "close requested")
    return incident
