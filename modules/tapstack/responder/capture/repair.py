"""The sessions of incidents stay what they were created as: what others did to them is undone, or reported.

The sweeper runs it. A session that others deleted, or took our tags off, is made again; one that they truncated is
modified. A session that has our tags, but that no incident created, is reported, and neither used nor deleted.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from botocore.exceptions import ClientError

from tapstack.domain import limits
from tapstack.domain.appliance_settings import DeployedLaunch
from tapstack.domain.incidents import SEVERITIES, TAG_EXPIRES, TAG_INCIDENT
from tapstack.domain.own_names import STACK_NAME_TAG
from tapstack.responder.appliance.mirror_target import current_mirror_target
from tapstack.responder.aws.errors import message_of
from tapstack.responder.capture import packet_notices, sessions
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.capture.sessions import LATE_SECONDS, Described
from tapstack.responder.environment import environment
from tapstack.responder.errors import TryAgain
from tapstack.responder.outbound import notifications
from tapstack.responder.store import captures, incidents
from tapstack.responder.store.captures import Capture
from tapstack.responder.store.incidents import Incident, IncidentInterface

_WHOLE: Final = (None, limits.PACKET_LENGTH_LOAD_BALANCER[1])
"""The packet lengths of a session that was created without one; the second behind a Network Load Balancer."""
_Notice = Callable[[Incident, Sequence[str]], tuple[str, str]]


@dataclass(slots=True)
class Repairs:
    """What was repaired, and what could not be, a line each."""

    done: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def repair() -> Repairs:
    """Make lost sessions again, and undo what others changed of the rest."""
    report = Repairs()
    # Without a session where a sweep was killed after it gave the lost one up.
    held = [one for one in captures.listed() if one.holders and not one.ending]
    if not held or current_mirror_target() is None:
        return report
    found = sessions.on_interfaces([capture.network_interface_id for capture in held])
    shown = {session["TrafficMirrorSessionId"]: session for session in found}
    lost: defaultdict[str, dict[str, str]] = defaultdict(dict)
    known = incidents.get_all({holder for capture in held for holder in capture.holders})
    for capture in held:
        session = shown.get(str(capture.session_id))
        if session is not None and sessions.has_our_tags(session):
            _restore(session, capture, report)
            for holder in capture.holders & known.keys():
                if (former := _former_session(known[holder], capture)) is not None:
                    lost[holder][capture.network_interface_id] = f"{former} was deleted outside Tapstack"
        elif (why := _how_lost(capture, session)) is not None:
            for holder in capture.holders:
                lost[holder][capture.network_interface_id] = why
    for holder, interfaces in sorted(lost.items()):
        if holder in known:
            _renew(holder, interfaces, report)
    return report


def _former_session(incident: Incident, capture: Capture) -> str | None:
    """Return the session that an incident says of a capture's interface, where it is not the capture's any more.

    Another incident that began meanwhile found it lost, and made another one.
    """
    entry = incident.entry_of(capture.network_interface_id)
    if entry is None or entry.state != "mirrored" or entry.session_id == capture.session_id:
        return None
    return entry.session_id


def _how_lost(capture: Capture, session: Described | None) -> str | None:
    """Return how a session was lost; None where EC2 may only show it late."""
    if capture.session_id is None:
        return "its session was lost, and a sweep that made another one was interrupted"
    if time.time() - capture.session_since < LATE_SECONDS:
        return None
    if session is None:
        return f"{capture.session_id} was deleted outside Tapstack"
    return packet_notices.untagged(str(capture.session_id))


def _renew(incident_id: str, interfaces: dict[str, str], report: Repairs) -> None:
    try:
        renewed = capture_steps.renew(incident_id, interfaces)
    except TryAgain as again:
        report.problems.append(f"{incident_id}: {again}")
        return
    mirrored, lost = [], []
    for entry in renewed:
        eni = entry.network_interface_id
        if entry.state == "mirrored":
            mirrored.append(f"{eni} is mirrored by {entry.session_id}: {interfaces[eni]}")
        else:
            lost.append(f"{eni} is not mirrored: {entry.note}; {interfaces[eni]}")
    mark = _mark_of(renewed)
    _say(incident_id, "mirroring repaired", packet_notices.repaired, mirrored, mark, report)
    _say(incident_id, "mirroring lost", packet_notices.lost, lost, mark, report)


def _mark_of(entries: Iterable[IncidentInterface]) -> str:
    return " ".join(sorted(entry.session_id or entry.network_interface_id for entry in entries))


def _say(incident_id: str, what: str, notice: _Notice, lines: Sequence[str], mark: str, report: Repairs) -> None:
    """Enter lines in the timeline, and notify of them once for each mark."""
    if lines:
        incidents.add_event(incident_id, "sweeper", what, "; ".join(lines))
        incident = incidents.get(incident_id)
        notifications.notify_once(incident, what, *notice(incident, lines), once=f"{what} {mark}")
        report.done += [f"{incident_id}: {line}" for line in lines]


def mirror_waiting() -> Repairs:
    """Mirror what waits for a place at the mirror target, the most severe incidents first, of these the oldest."""
    report = Repairs()
    waiting = [one for one in incidents.listed("open") if one.state == "capturing" and one.interface_ids("waiting")]
    if not waiting or current_mirror_target() is None:
        return report
    for incident in sorted(waiting, key=lambda one: (-SEVERITIES.index(one.severity), one.opened_at)):
        try:
            renewed = capture_steps.renew(incident.id, incident.interface_ids("waiting"))
        except TryAgain as again:
            report.problems.append(f"{incident.id}: {again}")
            continue
        mirrored = [one for one in renewed if one.state == "mirrored"]
        lines = [f"{one.network_interface_id} is mirrored by {one.session_id}" for one in mirrored]
        _say(incident.id, "mirrored after waiting", packet_notices.placed, lines, _mark_of(mirrored), report)
    return report


def _restore(session: Described, capture: Capture, report: Repairs) -> None:
    """Undo what others changed of a session, but for its target: the length of packets, and tags."""
    session_id, wanted = session["TrafficMirrorSessionId"], environment().capture.packet_length
    changed = []
    try:
        if (length := session.get("PacketLength")) != wanted and not (wanted is None and length in _WHOLE):
            sessions.set_packet_length(session_id, wanted)
            changed.append(f"it mirrored {f'{length} bytes of each packet' if length else 'whole packets'}")
        if _tags_are_wrong(session, capture.holders) and (heir := incidents.read(min(capture.holders))) is not None:
            sessions.retag([session_id], {TAG_INCIDENT: heir.id, TAG_EXPIRES: heir.expires_at})
            changed.append("its tags were changed")
    except ClientError as error:
        if not sessions.is_gone(error, session_id):
            report.problems.append(f"{session_id}: {message_of(error)}")
        return
    if changed:
        line = f"{session_id} on {capture.network_interface_id}: {', and '.join(changed)}"
        for holder in sorted(capture.holders):
            mark = f"{session_id} {int(time.time())}"
            _say(holder, "mirroring repaired", packet_notices.repaired, [line], mark, report)


def _tags_are_wrong(session: Described, holders: Collection[str]) -> bool:
    tags = sessions.tags_of(session)
    # The stack of an appliance gives its session no time.
    return tags.get(TAG_INCIDENT) not in holders or (TAG_EXPIRES not in tags and not is_of_stack(session))


def is_of_stack(session: Described) -> bool:
    """Return whether the stack of the launched appliance creates a session: only CloudFormation sets that tag."""
    appliance = environment().appliance
    if not isinstance(appliance, DeployedLaunch):
        return False
    stack = sessions.tags_of(session).get(STACK_NAME_TAG, "")
    return stack == appliance.stack_name or stack.startswith(f"{appliance.stack_name}-")


def report_unknown(unknown: Iterable[Described]) -> None:
    """Notify once of each session that has the tags of an open incident, and that no incident created."""
    found = [(sessions.tags_of(session)[TAG_INCIDENT], session) for session in unknown]
    known = incidents.get_all(incident_id for incident_id, _ in found)
    for incident_id, session in found:
        incident: Incident | None = known.get(incident_id)
        mark = f"unknown {session['TrafficMirrorSessionId']}"
        if incident is None or incident.state == "closed" or mark in incident.notified:
            continue
        session_id, eni = session["TrafficMirrorSessionId"], session["NetworkInterfaceId"]
        what = "unknown mirror session"
        incidents.add_event(incident_id, "sweeper", what, f"{session_id} on {eni}")
        notifications.notify_once(incident, what, *packet_notices.unknown(incident, session_id, eni), once=mark)
