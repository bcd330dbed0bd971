"""What becomes of the instances of incidents that capture: interfaces that are attached later, stops and starts.

The sweeper runs it. An interface that was attached later is mirrored too. When the instance stops, starts or is
terminated, the timeline says what the capture has and lacks. Both are notified of.

Sources: VPC Traffic Mirroring guide, "Traffic mirror sessions" (a session stays while its source is stopped, and goes
with its network interface); Amazon EC2 API Reference, Instance (LaunchTime, StateTransitionReason).
"""

from __future__ import annotations

import re
from typing import Any, Final

from tapstack.domain.incidents import as_text
from tapstack.domain.instance_states import GONE_STATES, RUNNING_STATES
from tapstack.domain.outside_text import quoted
from tapstack.responder.aws.errors import reporting
from tapstack.responder.capture import interfaces, packet_notices
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.outbound import notifications
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident, IncidentInterface

Described = dict[str, Any]

_REASON: Final = 200
_RUNNING: Final = "running since "


def follow() -> tuple[list[str], list[str]]:
    """Mirror what was attached since, and record what became of the instances.

    Returns:
        A line for each change, and one for each incident of which not everything could be done.
    """
    watched = [one for one in incidents.listed("open") if one.state == "capturing" and not one.close_requested]
    named = sorted({one.instance_id for one in watched if one.instance_id})
    if not named:
        return [], []
    found = {one["InstanceId"]: one for one in interfaces.existing_instances(named)}
    lines, problems = list[str](), list[str]()
    for incident in watched:
        if not incident.instance_id:
            continue
        instance = found.get(incident.instance_id)
        with reporting(problems, incident.id):
            lines += _changed_state(incident, instance)
        if instance is not None and instance["State"]["Name"] not in GONE_STATES:
            with reporting(problems, incident.id):
                lines += _attached(incident, instance)
    return lines, problems


def _changed_state(incident: Incident, instance: Described | None) -> list[str]:
    # A sweep may have been killed before it notified.
    _notify_of_change(incident)
    now = _state_of(instance)
    before = incident.instance_state
    if before == now:
        return []
    said = _said(incident, before, now, instance) if _is_change(incident, before, now) else None
    # What it was before has the time of its last start: it may stop again.
    if not incidents.record_instance_state(incident, now, said, f"instance {now} after {before}"):
        return []
    if said is None:
        return []
    _notify_of_change(incidents.get(incident.id))
    return [f"{incident.id}: {said}"]


def _is_change(incident: Incident, before: str | None, now: str) -> bool:
    """Whether an instance is not as it was; where no sweep has seen it before, as it was when mirroring began."""
    if before is not None or not now.startswith(_RUNNING):
        return True
    began = incident.opened_at if incident.packets is None else incident.packets.since
    return now.removeprefix(_RUNNING) > began


def _notify_of_change(incident: Incident) -> None:
    owed = incident.instance_notice
    if owed is not None:
        notice = packet_notices.instance_changed(incident, owed["said"])
        notifications.notify_once(incident, "instance changed", *notice, once=owed["once"])
        incidents.instance_notified(incident)


def _state_of(instance: Described | None) -> str:
    """Return the state of an instance, with the time of its last start where it runs."""
    if instance is None or instance["State"]["Name"] in GONE_STATES:
        return "terminated"
    if instance["State"]["Name"] in RUNNING_STATES:
        return f"{_RUNNING}{as_text(instance['LaunchTime'])}"
    return "stopped"


def _said(incident: Incident, before: str | None, now: str, instance: Described | None) -> str:
    """Return what the capture has and lacks after a change of the instance's state."""
    reason = str((instance or {}).get("StateTransitionReason") or "")
    at = re.search(r"\((\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) GMT\)", reason)
    when = f" at {at[1]}T{at[2]}Z" if at else ""
    why = f" ({quoted(reason, _REASON)})" if reason else ""
    name = incident.instance_id
    if now == "terminated":
        return (
            f"{name} was terminated{when}{why}: the capture ends with it, and has what was mirrored until then. What "
            "replaces it is another instance: open an incident for that"
        )
    if now == "stopped":
        return (
            f"{name} was stopped{when}{why}: nothing is captured while it is stopped, and its memory is lost, "
            "unless it hibernates. The sessions stay, and are billed"
        )
    began = now.removeprefix(_RUNNING)
    if before is None:
        # It may have been stopped before mirroring began: then it is captured from its first packet.
        since = f"{name} was started at {began}, after mirroring began"
        return f"{since}: the capture has no packets from while it was stopped"
    gap = "while it was stopped" if before == "stopped" else "between stop and start"
    return f"{name} was started at {began}: it is captured again from then, and the capture lacks packets {gap}"


def _attached(incident: Incident, instance: Described) -> list[str]:
    known = {one.network_interface_id for one in incident.interfaces if one.state != "eligible"}
    new = [one for one in interfaces.of_instance(instance) if one.id not in known]
    capture_steps.add(incident.id, new)
    # A sweep may have been killed before it notified.
    after = incidents.get(incident.id) if new else incident
    owed = [one for one in after.interfaces if one.network_interface_id in after.attached and one.state != "eligible"]
    lines = [f"{one.network_interface_id} was attached to {incident.instance_id}: {_mirrored(one)}" for one in owed]
    if lines:
        ids = sorted(one.network_interface_id for one in owed)
        notice = packet_notices.attached(after, lines)
        notifications.notify_once(after, "interface attached", *notice, once=f"attached {' '.join(ids)}")
        incidents.record_attached(incident.id, ids, "; ".join(lines))
    return [f"{incident.id}: {line}" for line in lines]


def _mirrored(entry: IncidentInterface) -> str:
    if entry.state == "mirrored":
        return f"it is mirrored by {entry.session_id} from now on"
    again = ", which each sweep tries again" if entry.state == "waiting" else ""
    return f"NOT mirrored{again}: {entry.note}"
