"""The steps of the workflow that wait for an incident's end, and record it."""

from __future__ import annotations

from typing import Any

from tapstack.domain.counts import counted
from tapstack.domain.incidents import Because, as_text, as_time, undo_command, utc_now
from tapstack.responder.capture import places
from tapstack.responder.outbound import executions, notifications
from tapstack.responder.store import appliance, captures, incidents, retention
from tapstack.responder.store.incidents import Incident


def remaining(incident_id: str, waited_until: str | None = None) -> dict[str, Any]:
    """Return whether the workflow waits longer, and for how long.

    Args:
        incident_id: which.
        waited_until: until when the workflow has waited. When that is still the time of expiry, the incident has
            expired: the clock is not read again.

    Returns:
        `status` `wait` with `seconds` (1 or more) and `until`, or `status` `close` with `because`.
    """
    incident = incidents.get(incident_id)
    while True:
        if incident.close_requested:
            return {"status": "close", "because": "closed"}
        until = incident.expires_at
        seconds = int((as_time(until) - utc_now()).total_seconds())
        if waited_until == until or seconds <= 0:
            return {"status": "close", "because": "expired"}
        # `wait` compares with this, so that an extension in between is noticed.
        if incidents.note_wait(incident_id, until):
            return {"status": "wait", "seconds": seconds, "until": until}
        incident = incidents.get(incident_id)


def wait(incident_id: str, token: str) -> dict[str, Any]:
    """Store the task token, with which closing and extending end the wait; end it at once if either came first."""
    if not incidents.store_token(incident_id, token):
        executions.end_wait(token, "changed")
    return {}


def notify(incident_id: str) -> dict[str, Any]:
    """Notify that mirroring has started, where packets are shown, and whose places at the mirror target it took."""
    incident = incidents.get(incident_id)
    notifications.notify_once(incident, "capturing", *notifications.capturing(incident))
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
    ttl = None if retention.still_contained(incident) else retention.deletion_time(now)
    incidents.record_closed(incident, because, as_text(now), ttl)
    # Its containment may have been approved, or released, at the same moment.
    incident = retention.keep(incident_id)
    notifications.notify_once(incident, "closed", *notifications.closed(incident, retention.still_contained(incident)))
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
        notifications.notify_once(incident, f"cleanup failed {error}", *notifications.cleanup_failed(incident, failure))
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
