"""The workflow's steps around a containment: waiting for approval, notifying, recording a failure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from tapstack.domain.incidents import as_time, utc_now
from tapstack.domain.own_names import CONTAINMENTS_FAILED, RELEASES_BLOCKED
from tapstack.responder.containment import notifications as containment_notifications
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.containment.attachments import mark_staying_notified
from tapstack.responder.containment.other_requests import other_requests
from tapstack.responder.observability import count
from tapstack.responder.outbound import executions, notifications
from tapstack.responder.outbound.notifications import TRIED_AGAIN
from tapstack.responder.store import containments, incidents, notified, requests, retention
from tapstack.responder.store.incidents import Incident


def decide(incident_id: str, waited_until: str | None = None) -> dict[str, Any]:
    """Return whether the workflow contains the instance, leaves it, or waits for approval.

    Args:
        incident_id: which.
        waited_until: until when the workflow has waited. When that is still the deadline, the deadline is over: the
            clock is not read again.

    Returns:
        `status` `contain` or `leave`; or `wait` with `seconds` (1 or more) and `until`.
    """
    incident = incidents.get(incident_id)
    while incident.containment_state == "pending":
        deadline = str(incident.requested_containment.deadline)
        seconds = int((as_time(deadline) - utc_now()).total_seconds())
        if waited_until == deadline or seconds <= 0:
            incident = containment_requests.by_default(incident)
            continue
        noted = requests.note_approval_wait(incident)
        if noted is not None:
            _notify(noted, "approval", containment_notifications.approval)
            return {"status": "wait", "seconds": seconds, "until": deadline}
        incident = incidents.get(incident_id)
    if incident.containment_state in incidents.WANTED_CONTAINMENT:
        return {"status": "contain"}
    if incident.containment_state == "rejected":
        others = [one for one in other_requests(incident) if one.holds]
        _notify(incident, "left", lambda found: containment_notifications.left(found, others))
    elif incident.containment_state == "released":
        # While it waited for packets; another release has notified already.
        notify(incident_id)
    return {"status": "leave"}


def approval(incident_id: str, token: str) -> dict[str, Any]:
    """Store the task token, with which a decision ends the wait; end the wait at once if it is decided already."""
    if not requests.store_approval_token(incident_id, token):
        executions.end_wait(token, "decided")
    return {}


def notify(incident_id: str, outcome: str | None = None) -> dict[str, Any]:
    """Notify how a containment, or a release, ended.

    Args:
        incident_id: which.
        outcome: of a release: `released`, `blocked` or `held`.
    """
    incident = incidents.get(incident_id)
    state = incident.containment_state
    if state == "contained":
        if _notify(incident, "contained", containment_notifications.contained):
            mark_staying_notified(incident)
    elif state == "released":
        # Another incident may have contained it again since, or its containment may be pending.
        others = other_requests(incident)
        _notify(
            incident, f"released {incident.release_runs}", lambda found: containment_notifications.held(found, others)
        )
    elif state == "blocked" and _notify(
        incident, f"blocked {incident.release_runs}", containment_notifications.blocked
    ):
        count(RELEASES_BLOCKED)
    return {}


def fail(incident_id: str, error: str, cause: str) -> dict[str, Any]:
    """Record that a containment, or a release, failed, what is changed, and how to undo it; notify operators.

    It counts when it notifies: the step may be repeated.

    Args:
        incident_id: which.
        error: the error's name.
        cause: the error's message, as Step Functions passes it.
    """
    before = incidents.get(incident_id)
    failure = f"{executions.failure(error, cause)}{_left_open(before)}"
    mark = f"containment failed {_mark(before, failure)}"
    ongoing = before.containment_state in incidents.ONGOING_CONTAINMENT
    recorded = ongoing and requests.record_failure(before, failure, what_is_changed(before))
    tried_again = before.containment_state == "contained" and _was_tried_again(before, failure)
    if not (recorded or _is_recorded(before, failure) or notified.is_notified(before, mark)):
        # Otherwise only a later step, such as notifying, has failed.
        what = "containment failed" if ongoing else "not done after containment" if tried_again else "after containment"
        incidents.add_event(incident_id, "containment", what, failure)
    incident = retention.keep(incident_id)
    if notifications.notify_once(
        incident, mark, *containment_notifications.failed(incident, failure), tries=TRIED_AGAIN
    ):
        count(CONTAINMENTS_FAILED)
    return {}


def _was_tried_again(incident: Incident, failure: str) -> bool:
    """Record why what was requested again is not done; return whether it is that which failed."""
    return requests.record_not_isolated(incident, failure) or incident.requested_containment.failure == failure


def _is_recorded(incident: Incident, failure: str) -> bool:
    """Return whether an earlier attempt of this step has recorded the failure."""
    return incident.containment_state == "failed" and incident.requested_containment.failure == failure


def _mark(incident: Incident, failure: str) -> str:
    """Return what is recorded of a failure that was notified of.

    A contained instance is contained again at each sweep while an interface that was attached is not isolated: of the
    same failure it notifies once.
    """
    if incident.containment_state != "contained":
        return f"{incident.contain_runs}-{incident.release_runs}"
    asked_at = incident.requested_containment.asked_at
    return f"{asked_at} {hashlib.sha256(failure.encode()).hexdigest()[:16]}"


def _left_open(incident: Incident) -> str:
    """Return a warning where only the first of two steps was made; else nothing."""
    instance_id = str(incident.instance_id)
    there = containments.get(instance_id, incident.where)
    if there is None or there.state != "containing" or not there.untracked_at:
        return ""
    return f"; {containment_notifications.left_open(instance_id)}"


def what_is_changed(incident: Incident) -> list[str]:
    """Return what containment may have changed for an incident: the prior states in the table, a line each.

    Nothing where only other incidents hold the instance: they release it.
    """
    instance_id = str(incident.instance_id)
    there = containments.get(instance_id, incident.where)
    if there is None or not there.is_for(incident.id):
        return []
    return [str(one) for one in containments.waiting(there, containments.prior_states(instance_id, there.where))]


def _notify(incident: Incident, what: str, message: Callable[[Incident], tuple[str, str]]) -> bool:
    """Notify once for each request of containment; return whether this call did."""
    return notifications.notify_once(
        incident, f"{what} {incident.requested_containment.asked_at}", *message(incident), tries=TRIED_AGAIN
    )
