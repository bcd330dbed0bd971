"""The steps of the workflow that wait for an incident's end, and record it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from tapstack.domain.counts import counted
from tapstack.domain.incidents import Because, as_text, as_time, undo_command, utc_now
from tapstack.responder.capture import places
from tapstack.responder.outbound import executions, notifications
from tapstack.responder.outbound.notifications import TRIED_AGAIN
from tapstack.responder.store import appliance, captures, incidents, lifetimes, retention
from tapstack.responder.store.incidents import Incident

_OFTEN: Final = 100
"""Waits of a workflow, after which the end of its capture is moved by `_STEP` at least."""
_STEP: Final = timedelta(hours=1)


def remaining(incident_id: str, waited_until: str | None = None) -> dict[str, Any]:
    """Return whether the workflow waits longer, and for how long.

    A later expiry ends no wait: it is read when the wait is over. So there is another wait each time that the end has
    come and was moved before: some 20,000 in a week for whoever moves it by a minute at a time. An execution has 25,000
    events at most, and each wait has 20 (`response.workflow`). After `_OFTEN` waits the incident is therefore extended
    to `_STEP` from then at least: 100 waits, and 168 in a capture of a week, make 5,360 events.

    Args:
        incident_id: which.
        waited_until: until when the workflow has waited. When that is still the time of expiry, the incident has
            expired: the clock is not read again.

    Returns:
        `status` `wait` with `seconds` (1 or more) and `until`, or `status` `close` with `because`.
    """
    incident = incidents.get(incident_id)
    if incident.close_requested:
        return {"status": "close", "because": "closed"}
    if waited_until == incident.expires_at or _seconds_left(incident) <= 0:
        return {"status": "close", "because": "expired"}
    if incident.waits >= _OFTEN:
        incident = _extended(incident)
    incidents.note_wait(incident_id)
    return {"status": "wait", "seconds": max(1, _seconds_left(incident)), "until": incident.expires_at}


def _seconds_left(incident: Incident) -> int:
    return int((as_time(incident.expires_at) - utc_now()).total_seconds())


def _extended(incident: Incident) -> Incident:
    """Return an incident with its end `_STEP` from now at least, as far as a capture may last."""
    until = min(as_text(utc_now() + _STEP), incidents.latest_end(incident))
    if until <= incident.expires_at:
        return incident
    if (extended := incidents.extend(incident, until)) is None:
        return incidents.get(incident.id)
    said = f"its end has come {incident.waits} times, and was moved before; now it is by an hour at least"
    incidents.add_event(incident.id, "incident", "extended", f"until {until}: {said}")
    return extended


def wait(incident_id: str, token: str) -> dict[str, Any]:
    """Store the task token, with which closing ends the wait; end it at once where that was requested before."""
    if not incidents.store_token(incident_id, token):
        executions.end_wait(token, "close requested")
    return {}


def notify(incident_id: str, *, tries: int = TRIED_AGAIN) -> dict[str, Any]:
    """Notify that mirroring has started, where packets are shown, and whose places at the mirror target it took.

    The sweeper does so, too, where the step failed.

    Args:
        incident_id: which.
        tries: as `notify_once` has it.
    """
    incident = incidents.get(incident_id)
    notifications.notify_once(incident, notifications.STARTED, *notifications.capturing(incident), tries=tries)
    for displaced in incident.displaced:
        if (less_severe := incidents.read(displaced)) is not None:
            places.notify_of_displacements(less_severe)
    return {}


def close(incident_id: str, because: Because | None = None) -> dict[str, Any]:
    """Record that the incident is closed, and notify.

    Args:
        incident_id: which.
        because: `closed` or `expired`; by default `closed` if closing was requested.
    """
    incident = incidents.get(incident_id)
    if because is None:
        because = "closed" if incident.close_requested else "expired"
    now = utc_now()
    ttl = None if retention.still_contained(incident) else lifetimes.of_closed_incident(now)
    incidents.record_closed(incident, because, as_text(now), ttl)
    # Its containment may have been approved, or released, at the same moment.
    incident = retention.keep(incident_id)
    notifications.notify_once(
        incident, "closed", *notifications.closed(incident, retention.still_contained(incident)), tries=TRIED_AGAIN
    )
    return {}


def fail(incident_id: str, error: str, cause: str) -> dict[str, Any]:
    """Record that the workflow failed, what is still in place and how to undo it; notify.

    An incident that is closed stays closed: only a later step has failed.

    Args:
        incident_id: which.
        error: the error's name.
        cause: the error's message, as Step Functions passes it.
    """
    incident = incidents.get(incident_id)
    failure = executions.failure(error, cause)
    if incident.state == "closed":
        incidents.add_event(incident_id, "incident", "cleanup failed", failure)
        notifications.notify_once(
            incident, f"cleanup failed {error}", *notifications.cleanup_failed(incident, failure), tries=TRIED_AGAIN
        )
        return {}
    started = len(incident.execution_arns)
    incident = incidents.record_failed(
        incident, failure, in_place=what_is_in_place(incident), undo=undo_command(incident_id)
    )
    # One notification for each execution that fails.
    notifications.notify_once(
        incident,
        f"failed {started}",
        *notifications.failed(incident, failure, retention.still_contained(incident)),
        tries=TRIED_AGAIN,
    )
    return {}


def what_is_in_place(incident: Incident) -> list[str]:
    """Return the resources of an incident that may still exist, by the table, a line each."""
    incident_id = incident.id
    held = captures.get_all(incident.interface_ids(), incident.where)
    said = [
        f"traffic mirror session {capture.session_id or 'of unknown id'} on {eni}"
        + (f", shared with {counted(len(capture.holders) - 1, 'other incident')}" if len(capture.holders) > 1 else "")
        for eni, capture in sorted(held.items())
        if incident_id in capture.holders
    ]
    launched = appliance.get(incident.where)
    if incident_id in launched.holders and launched.state != "absent":
        stack = incident.appliance.stack_name if incident.appliance else None
        said.append(f"CloudFormation stack {stack}, which is {launched.state}")
    return said
