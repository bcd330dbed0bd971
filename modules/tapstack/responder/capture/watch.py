"""The watch on packets: whether AWS mirrors any for the incidents that capture.

The sweeper runs it. Each incident is watched until packets are seen; ten minutes without any are one warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tapstack.domain import packet_watch
from tapstack.domain.incidents import MINUTES, as_text, as_time, utc_now
from tapstack.responder.appliance.mirror_target import current_mirror_target
from tapstack.responder.aws.errors import reporting
from tapstack.responder.capture import interfaces, metrics, packet_notices, sessions
from tapstack.responder.environment import environment
from tapstack.responder.outbound import notifications
from tapstack.responder.store import containments, incidents, notified, packets
from tapstack.responder.store.incidents import Incident
from tapstack.responder.store.records import IncidentPackets


def watch() -> tuple[list[str], list[str]]:
    """Record of which incidents packets were seen, and warn of those without any.

    Returns:
        A line for each change, and one for each incident that could not be judged or notified of.
    """
    watched = [incident for incident in incidents.listed("open") if _is_watched(incident)]
    if not watched:
        return [], []
    named = interfaces.instances_of({eni for one in watched if not one.instance_id for eni in _mirrored(one)})
    of_incident = {one.id: _instances(one, named) for one in watched}
    instances = sorted({instance for found in of_incident.values() for instance in found})
    now = utc_now()
    # No capture lasts longer: an item that says so does not make CloudWatch answer for years.
    since = max(min(map(begun_at, watched)), now - timedelta(minutes=MINUTES[1]))
    counted = metrics.counted(instances, since, now) if instances else {}
    lines, problems = list[str](), list[str]()
    for one in watched:
        with reporting(problems, one.id):
            lines += _judge(one, of_incident[one.id], counted, now)
    return lines, problems


def _is_watched(incident: Incident) -> bool:
    if incident.state != "capturing" or incident.close_requested or not _mirrored(incident):
        return False
    # A function may have been killed before it notified.
    return incident.packets is None or incident.packets.state != "packets seen" or _corrects_a_warning(incident)


def _corrects_a_warning(incident: Incident) -> bool:
    """Return whether responders were warned that there are no packets, and not notified of packets since."""
    return notified.is_notified(incident, packet_notices.WARNED) and not notified.is_notified(
        incident, packet_notices.SEEN
    )


def begun_at(incident: Incident) -> datetime:
    """Return when an incident began to mirror."""
    # Incidents of earlier versions do not say since when.
    return as_time(incident.packets.since if incident.packets is not None else incident.opened_at)


def _mirrored(incident: Incident) -> list[str]:
    return incident.interface_ids("mirrored")


def _instances(incident: Incident, named: dict[str, str]) -> list[str]:
    if incident.instance_id:
        return [incident.instance_id]
    return sorted({named[eni] for eni in _mirrored(incident) if eni in named})


def _judge(
    incident: Incident, instances: Sequence[str], counted: dict[str, list[datetime]], now: datetime
) -> list[str]:
    since = begun_at(incident)
    before = incident.packets or IncidentPackets("mirroring", as_text(since))
    first = {
        instance: times[0]
        for instance in instances
        if (times := [at for at in counted.get(instance, ()) if at >= before.first_period])
    }
    state, missing = packet_watch.judge(instances, first, since=max(since, before.first_period), now=now)
    if state == "mirroring":
        return []
    seen_at = as_text(max(first.values())) if state == "packets seen" else None
    found = replace(before, state=state, seen_at=seen_at, missing=missing)
    if incident.packets is not None and (before.state, before.missing) == (found.state, found.missing):
        # Recorded, and perhaps not notified of.
        _notify(incident)
        return []
    others = _others(incident)
    detail = _seen(found, others) if seen_at else _unseen(incident, found, others)
    recorded = packets.record(incident, found, detail)
    if recorded is None:
        return []
    _notify(recorded)
    return [f"{incident.id}: {detail}"]


def _notify(incident: Incident) -> None:
    found = incident.packets
    if found is None:
        return
    if found.state == "no packets seen" and not notified.is_notified(incident, packet_notices.WARNED):
        causes = _causes(incident, found, _others(incident))
        notifications.notify_once(incident, packet_notices.WARNED, *packet_notices.missing(incident, found, causes))
    elif found.state == "packets seen" and _corrects_a_warning(incident):
        notifications.notify_once(incident, packet_notices.SEEN, *packet_notices.seen(incident, found))


def _others(incident: Incident) -> list[tuple[int, str, str]]:
    """Return number, id and interface of the sessions of others on mirrored interfaces, by number."""
    ours = {one.session_id for one in incident.in_state("mirrored")}
    there = sessions.on_interfaces(_mirrored(incident))
    return sorted(
        (session["SessionNumber"], session["TrafficMirrorSessionId"], session["NetworkInterfaceId"])
        for session in there
        if session["TrafficMirrorSessionId"] not in ours
    )


def _earlier(incident: Incident, others: Iterable[tuple[int, str, str]]) -> list[str]:
    """Return the sessions of others that AWS evaluates before an incident's, with their numbers."""
    numbers = {one.network_interface_id: one.session_number for one in incident.in_state("mirrored")}
    return [
        f"{session_id} (number {number})"
        for number, session_id, eni in others
        if (ours := numbers.get(eni)) is not None and number < ours
    ]


def _seen(found: IncidentPackets, others: Iterable[tuple[int, str, str]]) -> str:
    said = f"CloudWatch counts mirrored packets in the five minutes from {found.seen_at}"
    theirs = ", ".join(session_id for _, session_id, _ in others)
    return (
        f"{said}; those of {theirs}, other mirror sessions on the same interfaces, are counted too" if theirs else said
    )


def _unseen(incident: Incident, found: IncidentPackets, others: Iterable[tuple[int, str, str]]) -> str:
    causes = "; ".join(_causes(incident, found, others))
    return f"CloudWatch counts none of {', '.join(found.missing)} since {found.since}. Likely causes: {causes}"


def _causes(incident: Incident, found: IncidentPackets, others: Iterable[tuple[int, str, str]]) -> tuple[str, ...]:
    states = {one["InstanceId"]: one["State"]["Name"] for one in interfaces.existing_instances(found.missing)}
    to = current_mirror_target()
    return packet_watch.likely_causes(
        found.missing,
        states=states,
        contained=_contained(incident, found.missing),
        earlier=_earlier(incident, others),
        filter_id=to.filter_id if to is not None else "of the sessions",
    )


def _contained(incident: Incident, instances: Iterable[str]) -> list[str]:
    # Without containment the function lacks the permission to read any.
    if environment().containment is None:
        return []
    found = {one: containments.get(one, incident.where) for one in instances}
    return [one for one, there in found.items() if there is not None and there.state == "contained"]
