"""A containment waits until packets of its instance are seen, where the deployment says so, and no longer than that.

Nothing is changed meanwhile: rejecting it ends it at once. A capture that has ended, or failed, ends the wait.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from tapstack.domain.containment_settings import WaitForPackets
from tapstack.domain.incidents import as_text, as_time, can_be_extended, utc_now
from tapstack.responder.aws.errors import message_of
from tapstack.responder.capture import metrics
from tapstack.responder.environment import environment
from tapstack.responder.store import incidents, packets, requests
from tapstack.responder.store.incidents import Incident

_POLL_SECONDS: Final = 15


def wait(incident_id: str, waited: int) -> dict[str, Any]:
    """Return whether a containment waits longer for packets.

    Args:
        incident_id: which.
        waited: for how many seconds the workflow has waited.

    Returns:
        `status` `wait` with `seconds` (1 or more) and `waited` afterwards; `contain`; or `decide` where the containment
        is requested no longer.
    """
    incident = incidents.get(incident_id)
    settings = environment().containment
    how = settings.wait_for_packets if settings is not None else None
    asked = incident.containment
    if asked is None or asked.state != "containing":
        # What is contained already waits for nothing: interfaces were attached since.
        return {"status": "contain" if asked is not None and asked.state == "contained" else "decide", "waited": waited}
    if how is None or asked.packets_wait is not None:
        return {"status": "contain", "waited": waited}
    if asked.packets_until is None:
        until = as_text(utc_now() + timedelta(seconds=how.at_most_seconds))
        incident = requests.begin_packets_wait(incident, until) or incidents.get(incident_id)
    left = _seconds_left(incident, how, waited)
    said = _outcome(incident, how, left)
    if said is None:
        seconds = min(_POLL_SECONDS, left)
        return {"status": "wait", "seconds": seconds, "waited": waited + seconds}
    ended = requests.end_packets_wait(incident, said)
    return {"status": "contain" if ended else "decide", "waited": waited}


def _seconds_left(incident: Incident, how: WaitForPackets, waited: int) -> int:
    # An execution that replaces one that was stopped has waited for nothing; the time has passed all the same.
    until = incident.requested_containment.packets_until
    by_clock = int((as_time(until) - utc_now()).total_seconds()) if until is not None else how.at_most_seconds
    return min(by_clock, how.at_most_seconds - waited)


def _outcome(incident: Incident, how: WaitForPackets, left: int) -> str | None:
    """Return why the wait is over; None where it is not."""
    waited = f"{how.at_most_seconds - max(left, 0)} seconds"
    if not can_be_extended(incident.state) or incident.close_requested:
        state = "closing" if can_be_extended(incident.state) else incident.state
        return f"no packets to wait for: the incident is {state}; contained after {waited}"
    if incident.state == "capturing" and not incident.in_state("mirrored"):
        return f"no packets to wait for: no network interface is mirrored; contained after {waited}"
    if incident.packets is not None and incident.packets.state == "packets seen":
        return f"packets were seen from {incident.packets.seen_at}; contained after {waited}"
    seen, problem = _seen(incident)
    if seen is not None:
        return f"packets were seen from {seen}; contained after {waited}"
    if left > 0:
        return None
    why = f" ({problem})" if problem else ""
    return f"NO packets were seen within {how.at_most_seconds} seconds{why}; contained all the same"


def _seen(incident: Incident) -> tuple[str | None, str | None]:
    """Return when packets were seen first, and why that could not be read; record it in the incident."""
    if incident.state != "capturing" or incident.packets is None:
        return None, None
    instance, since = incident.named_instance_id, as_time(incident.packets.since)
    try:
        times = metrics.counted([instance], since, utc_now()).get(instance, [])
    except (BotoCoreError, ClientError) as error:
        return None, f"CloudWatch: {message_of(error) if isinstance(error, ClientError) else error}"
    first = next((at for at in times if at >= incident.packets.first_period), None)
    if first is None:
        return None, None
    seen = as_text(first)
    found = replace(incident.packets, state="packets seen", seen_at=seen, missing=())
    packets.record(
        incident, found, f"CloudWatch counts mirrored packets in the five minutes from {seen}", by="incident"
    )
    return seen, None
