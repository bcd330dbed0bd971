"""The sessions of incidents stay what they were created as: what others did to them is undone, or reported.

The sweeper runs it. A session that others deleted, or took our tags off, is made again; one that they truncated is
modified. A session that has our tags, but that no incident created, is reported, and neither used nor deleted.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from botocore.exceptions import ClientError

from tapstack.domain import limits
from tapstack.domain.incidents import TAG_EXPIRES, TAG_INCIDENT
from tapstack.responder.appliance.mirror_target import current_mirror_target
from tapstack.responder.aws.errors import message_of
from tapstack.responder.capture import packet_notices, sessions
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.capture.sessions import LATE_SECONDS, Described
from tapstack.responder.environment import Launch, environment
from tapstack.responder.errors import TryAgain
from tapstack.responder.outbound import notifications
from tapstack.responder.store import captures, incidents
from tapstack.responder.store.captures import Capture
from tapstack.responder.store.incidents import Incident

_WHOLE: Final = (None, limits.PACKET_LENGTH_LOAD_BALANCER[1])
"""The packet lengths of a session that was created without one; the second behind a Network Load Balancer."""
_STACK_TAG: Final = "aws:cloudformation:stack-name"


@dataclass(slots=True)
class Repairs:
    """What was repaired, and what could not be, a line each."""

    done: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def repair() -> Repairs:
    """Make lost sessions again, and undo what others changed of the rest."""
    report = Repairs()
    held = [one for one in captures.listed() if one.session_id and one.holders and not one.ending]
    if not held or current_mirror_target() is None:
        return report
    found = sessions.on_interfaces([capture.network_interface_id for capture in held])
    shown = {session["TrafficMirrorSessionId"]: session for session in found}
    lost: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for capture in held:
        session = shown.get(str(capture.session_id))
        if session is not None and sessions.has_our_tags(session):
            _restore(session, capture, report)
        elif (why := _how_lost(capture, session)) is not None:
            for holder in capture.holders:
                lost[holder][capture.network_interface_id] = why
    known = incidents.get_all(lost)
    for holder, interfaces in sorted(lost.items()):
        if holder in known:
            _renew(holder, interfaces, report)
    return report


def _how_lost(capture: Capture, session: Described | None) -> str | None:
    """Return how a session was lost; None where EC2 may only show it late."""
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
    mark = " ".join(sorted(entry.session_id or entry.network_interface_id for entry in renewed))
    _say(incident_id, mirrored, mark, report)
    if lost:
        incidents.add_event(incident_id, "sweeper", "mirroring lost", "; ".join(lost))
        incident = incidents.get(incident_id)
        notice = packet_notices.lost(incident, lost)
        notifications.notify_once(incident, "mirroring lost", *notice, once=f"mirroring lost {mark}")
        report.done += [f"{incident_id}: {line}" for line in lost]


def _say(incident_id: str, lines: Sequence[str], mark: str, report: Repairs) -> None:
    if lines:
        incidents.add_event(incident_id, "sweeper", "mirroring repaired", "; ".join(lines))
        incident = incidents.get(incident_id)
        notice = packet_notices.repaired(incident, lines)
        notifications.notify_once(incident, "mirroring repaired", *notice, once=f"mirroring repaired {mark}")
        report.done += [f"{incident_id}: {line}" for line in lines]


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
            _say(holder, [line], f"{session_id} {int(time.time())}", report)


def _tags_are_wrong(session: Described, holders: Collection[str]) -> bool:
    tags = sessions.tags_of(session)
    # The stack of an appliance gives its session no time.
    return tags.get(TAG_INCIDENT) not in holders or (TAG_EXPIRES not in tags and not is_of_stack(session))


def is_of_stack(session: Described) -> bool:
    """Return whether the stack of the launched appliance creates a session: only CloudFormation sets that tag."""
    appliance = environment().appliance
    if not isinstance(appliance, Launch):
        return False
    stack = sessions.tags_of(session).get(_STACK_TAG, "")
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
