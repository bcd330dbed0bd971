"""What people do about a release: ask that everything is put back, whether the incident is open or closed.

The state is changed on condition of the one before, so that of two who ask at once one does. The work is an execution
of its own.
"""

from __future__ import annotations

from typing import Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import as_text, utc_now
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.errors import Conflict, TryAgain
from tapstack.responder.outbound import executions
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident

_TRIES: Final = 5


def release(
    incident_id: str, *, by: str, overwrite: bool = False, keep: bool = False, everybody: bool = False
) -> Incident:
    """Ask that everything is put back. Saying so twice is fine.

    Args:
        incident_id: which.
        by: who asks.
        overwrite: put back the originals where others changed something meanwhile.
        keep: leave what others changed as it is.
        everybody: even where other incidents hold the instance too.

    Raises:
        UnknownIncident: there is none of that id.
        Conflict: there is nothing to put back, or it is being contained right now.
        RuleViolation: overwrite and keep together.
    """
    containment_requests.configured()
    check_flags(overwrite=overwrite, keep=keep)
    given = {"overwrite": overwrite, "keep": keep, "all": everybody}
    for _ in range(_TRIES):
        incident = containment_requests.in_time(incidents.get(incident_id))
        state = containment_requests.state_of(incident)
        if state == "released" and not everybody:
            return incident
        if state == "releasing":
            executions.ensure(incident, "release", **given)
            return incident
        check_can_be_released(incident)
        changed = executions.ask(
            incident,
            "release",
            "containment.#state = :to, containment.released_by = :by, containment.released_at = :at",
            condition="containment.#state = :state",
            to="releasing",
            by=by,
            at=as_text(utc_now()),
            state=state,
        )
        if changed is not None:
            flags = ", ".join(name for name, chosen in given.items() if chosen)
            incidents.say(incident_id, by, "release asked for", flags)
            executions.ensure(changed, "release", **given)
            return changed
    raise TryAgain("others change the incident at the same time")


def check_flags(*, overwrite: bool, keep: bool) -> None:
    """Refuse two answers to the question what becomes of what others changed."""
    if overwrite and keep:
        raise RuleViolation("overwrite and keep exclude each other")


def check_can_be_released(incident: Incident) -> None:
    """Refuse to release what is not contained, or is being contained.

    Raises:
        Conflict: with the reason.
    """
    containment_requests.configured()
    state = containment_requests.state_of(incident)
    if state in (None, "rejected"):
        raise Conflict(f"nothing of incident {incident['id']} is contained")
    if state == "pending":
        raise Conflict(f"the containment of incident {incident['id']} waits for approval: reject it")
    if state == "containing" and executions.is_under_way(incident, "contain"):
        raise Conflict(f"incident {incident['id']} is being contained: release it in a moment")
