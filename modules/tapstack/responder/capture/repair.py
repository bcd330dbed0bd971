"""The sessions of incidents stay what they were created as: what others did to them is undone, or reported.

The sweeper runs it. A session that others deleted, or took our tags off, is made again; one that they truncated is
modified. A session that has our tags, but that no incident created, is reported, and neither used nor deleted.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from tapstack.domain import capture_plan
from tapstack.domain.appliance_settings import DeployedLaunch
from tapstack.domain.capture_plan import Session
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import SEVERITIES, TAG_EXPIRES, TAG_INCIDENT, as_time
from tapstack.domain.own_names import STACK_NAME_TAG
from tapstack.responder.appliance import stacks
from tapstack.responder.appliance.mirror_target import MirrorTarget, current_mirror_target
from tapstack.responder.aws.errors import message_of, reporting, said_by
from tapstack.responder.aws.tags import has_our_tags, tags_of
from tapstack.responder.capture import packet_notices, sessions
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.capture.sessions import LATE_SECONDS, Described
from tapstack.responder.environment import environment
from tapstack.responder.outbound import notifications
from tapstack.responder.store import captures, incidents, notified
from tapstack.responder.store.captures import Capture
from tapstack.responder.store.incidents import Incident, IncidentInterface
from tapstack.responder.store.retry import retried

_REPAIRED: Final = "mirroring repaired"
_LOST: Final = "mirroring lost"
_PLACED: Final = "mirrored after waiting"
_PRECEDED: Final = "packets go to others"
_NOTICES: Final[Mapping[str, Callable[..., tuple[str, str]]]] = {
    _REPAIRED: packet_notices.repaired,
    _LOST: packet_notices.lost,
    _PLACED: packet_notices.placed,
    _PRECEDED: packet_notices.preceded,
    capture_steps.DELETED: packet_notices.deleted,
}


@dataclass(slots=True)
class Repairs:
    """What was repaired, and what could not be, a line each.

    Attributes:
        done: of which operators were notified.
        problems: what failed.
        unsettled: what is to be undone still, or may be: operators are not notified of it yet.
    """

    done: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unsettled: set[str] = field(default_factory=set)


def repair() -> Repairs:
    """Make lost sessions again, undo what others changed of the rest, and notify of that."""
    report = Repairs()
    _repair(report)
    # Last: by now it is known what was undone of what an interrupted sweep, or the part before, began to undo.
    _notify([one.id for one in incidents.listed("open")], report)
    return report


def _repair(report: Repairs) -> None:
    # Without a session where a sweep was killed after it gave the lost one up.
    held = [one for one in captures.listed() if one.holders and not one.ending]
    to = current_mirror_target() if held else None
    if to is None:
        return
    found = sessions.on_interfaces([capture.network_interface_id for capture in held])
    shown = {session["TrafficMirrorSessionId"]: session for session in found}
    lost: defaultdict[str, dict[str, str]] = defaultdict(dict)
    beside: defaultdict[str, list[_Beside]] = defaultdict(list)
    known = incidents.get_all({holder for capture in held for holder in capture.holders})
    for capture in held:
        session = shown.get(str(capture.session_id))
        if session is not None and has_our_tags(session):
            eni = capture.network_interface_id
            others = [one for one in found if one is not session and one["NetworkInterfaceId"] == eni]
            if not goes_to(session, to):
                report.unsettled.add(_redirected(session, known_holders(capture, known)))
            seen = _restore(session, capture, others, known, report)
            for holder in capture.holders & known.keys():
                beside[holder].append(seen)
            for holder in capture.holders & known.keys():
                if (former := _former_session(known[holder], capture)) is not None:
                    lost[holder][capture.network_interface_id] = f"{former} was deleted outside Tapstack"
        elif (why := _how_lost(capture, session)) is not None:
            for holder in capture.holders:
                lost[holder][capture.network_interface_id] = why
    for holder, interfaces in sorted(lost.items()):
        if holder in known:
            _renew(holder, interfaces, report)
    for holder, there in sorted(beside.items()):
        if _with_remarks(known[holder], there) != known[holder].interfaces:
            _remark(holder, there, report)


@dataclass(frozen=True, slots=True)
class _Beside:
    """A session of an incident, and those of others on its interface.

    Attributes:
        session_id: of the incident's.
        number: its session number.
        remark: which of the others take packets before it, or lose some to it.
        earlier: the part of that about those that take packets.
        takers: the ids of those.
    """

    session_id: str
    number: int
    remark: str
    earlier: str
    takers: tuple[str, ...]


def _with_remarks(incident: Incident, there: Collection[_Beside]) -> tuple[IncidentInterface, ...]:
    by_id = {one.session_id: one for one in there}
    return tuple(
        replace(entry, session_number=seen.number, note=capture_steps.with_remark(entry.note, seen.remark))
        if entry.state == "mirrored" and (seen := by_id.get(str(entry.session_id))) is not None
        else entry
        for entry in incident.interfaces
    )


def _remark(incident_id: str, there: Collection[_Beside], report: Repairs) -> None:
    """Record the numbers of an incident's sessions, and that others take packets that did not before."""
    by_id = {one.session_id: one for one in there}

    def attempt() -> bool | None:
        incident = incidents.get(incident_id)
        entries = _with_remarks(incident, there)
        if incident.state != "capturing" or entries == incident.interfaces:
            return False
        new = [
            (f"{before.network_interface_id}: {seen.earlier}", seen)
            for before in incident.in_state("mirrored")
            if (seen := by_id.get(str(before.session_id))) is not None
            and seen.earlier
            and seen.earlier not in before.note
        ]
        takers = list(dict.fromkeys(session_id for _, seen in new for session_id in seen.takers))
        notices = _notice(_PRECEDED, [line for line, _ in new], _moment(), session_ids=takers)
        return None if incidents.record_interfaces(incident, entries, unnotified=notices) is None else True

    with reporting(report.problems, incident_id):
        retried(attempt, "the interfaces of the incident are changed at the same time")


def _moment() -> str:
    """Return a mark for what may happen again: each time is notified of."""
    return str(int(time.time()))


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
    return notifications.untagged(str(capture.session_id))


def _renew(incident_id: str, interfaces: dict[str, str], report: Repairs) -> None:
    def notices(renewed: Collection[IncidentInterface]) -> list[str]:
        mirrored, lost = [], []
        for entry in renewed:
            eni = entry.network_interface_id
            if entry.state == "mirrored":
                mirrored.append(f"{eni} is mirrored by {entry.session_id}: {interfaces[eni]}")
            elif entry.state != "ended":
                lost.append(f"{eni} is not mirrored: {entry.note}; {interfaces[eni]}")
        mark = _mark_of(renewed)
        return [
            *_notice(_REPAIRED, mirrored, mark),
            *_notice(_LOST, lost, f"{mark} {_moment()}"),
            *_deleted(renewed),
        ]

    _mirror_again(incident_id, interfaces, notices, report)


def _mirror_again(
    incident_id: str,
    interface_ids: Collection[str],
    notices: Callable[[Collection[IncidentInterface]], Collection[str]],
    report: Repairs,
) -> None:
    with reporting(report.problems, incident_id):
        capture_steps.renew(incident_id, interface_ids, notices)


def _deleted(renewed: Iterable[IncidentInterface]) -> list[str]:
    """Return what is recorded of a notification of the interfaces that no longer exist."""
    ended = [entry for entry in renewed if entry.state == "ended"]
    return _notice(capture_steps.DELETED, list(map(capture_steps.ended_line, ended)), _mark_of(ended))


def _mark_of(entries: Iterable[IncidentInterface]) -> str:
    return " ".join(sorted(entry.session_id or entry.network_interface_id for entry in entries))


def _notice(what: str, lines: Sequence[str], mark: str, **more: Sequence[str]) -> list[str]:
    """Return what an incident records of a notification of these lines, sent once for each mark; nothing without any.

    It is recorded with, or before, what was repaired: the function may be killed before it notifies.
    """
    return [json.dumps({"what": what, "mark": mark, "lines": list(lines), **more})] if lines else []


def _notify(incident_ids: Collection[str], report: Repairs, which: Collection[str] = _NOTICES) -> None:
    """Notify of what incidents record, with entries in their timelines, but not of what is unsettled.

    A notification that fails keeps back neither those of other incidents nor the rest of a sweep; the next one tries
    it again.

    Args:
        incident_ids: of these incidents.
        report: gets a line for each thing.
        which: kinds of notifications.
    """
    for _, incident in sorted(incidents.get_all(incident_ids).items()):
        with reporting(report.problems, incident.id):
            for recorded in sorted(incident.unnotified):
                given = json.loads(recorded)
                what, mark, lines = given.pop("what"), given.pop("mark"), given.pop("lines")
                if what not in which or not report.unsettled.isdisjoint(lines):
                    continue
                notice = _NOTICES[what](incident, lines, **given)
                notifications.notify_once(incident, what, *notice, once=f"{what} {mark}")
                incidents.record_notified(incident.id, recorded, what, "; ".join(lines))
                report.done += [f"{incident.id}: {line}" for line in lines]


def mirror_waiting() -> Repairs:
    """Mirror what waits for a place, or was refused: the most severe incidents first, of these the oldest."""
    report = Repairs()
    waiting = [one for one in incidents.listed("open") if one.state == "capturing" and one.interface_ids("waiting")]
    if not waiting or current_mirror_target() is None:
        return report
    for incident in sorted(waiting, key=lambda one: (-SEVERITIES.index(one.severity), one.opened_at)):
        _mirror_again(incident.id, incident.interface_ids("waiting"), _placed, report)
    _notify([one.id for one in waiting], report, [_PLACED, capture_steps.DELETED])
    return report


def _placed(renewed: Collection[IncidentInterface]) -> list[str]:
    mirrored = [one for one in renewed if one.state == "mirrored"]
    lines = [f"{one.network_interface_id} is mirrored by {one.session_id}" for one in mirrored]
    return [*_notice(_PLACED, lines, _mark_of(mirrored)), *_deleted(renewed)]


def _restore(
    session: Described,
    capture: Capture,
    others: Sequence[Described],
    known: Mapping[str, Incident],
    report: Repairs,
) -> _Beside:
    """Undo what others changed of a session, but for its target: packet length, numbers and tags."""
    session_id, eni = session["TrafficMirrorSessionId"], capture.network_interface_id
    there = sessions.facts(others)
    number = session["SessionNumber"]
    fields, changed = _undoing(session, _numbers(session, capture, known), there)
    tags, said = _tags_to_set(session, capture, known)
    what = ", and ".join(filter(None, [*changed, said]))
    line = f"{session_id} on {eni}: {what}" if what else ""
    owed = _owe(known_holders(capture, known), line, session_id)
    try:
        if fields:
            sessions.change(session_id, fields)
            number = fields.get("SessionNumber", number)
        if tags:
            sessions.retag([session_id], tags)
    except ClientError as error:
        if not sessions.is_gone(error, session_id):
            report.problems.append(f"{session_id}: {message_of(error)}")
        _drop(owed)
        tags = {}
    except BotoCoreError as error:
        # It may be done: the next sweep sees whether it is.
        report.problems.append(f"{session_id}: {said_by(error)}")
        report.unsettled.add(line)
        tags = {}
    else:
        vni = {**session, **fields}["VirtualNetworkId"]
        if (capture.session_number, capture.virtual_network_id) != (number, vni):
            captures.record_numbers(capture, number, vni)
    if tags and not what:
        report.done.append(f"{session_id} on {eni}: {TAG_EXPIRES} is {tags[TAG_EXPIRES]}")
    target_id = session["TrafficMirrorTargetId"]
    length = environment().capture.packet_length
    before = capture_plan.preceding(number, there, target_id=target_id, packet_length=length)
    remark, earlier = (
        capture_plan.other_sessions(eni, number, some, target_id=target_id, packet_length=length)
        for some in (there, before)
    )
    return _Beside(session_id, number, remark, earlier, tuple(one.id for one in before))


def known_holders(capture: Capture, known: Mapping[str, Incident]) -> list[Incident]:
    """Return the incidents that hold a capture, ordered by id, without those of which nothing is known."""
    return [known[one] for one in sorted(capture.holders & known.keys())]


def _numbers(session: Described, capture: Capture, known: Mapping[str, Incident]) -> tuple[int, int]:
    """Return the session number and the virtual network id that a session was created with.

    An earlier version recorded the first one in the incident only, and the other one nowhere.
    """
    entries = [one.entry_of(capture.network_interface_id) for one in known_holders(capture, known)]
    recorded = [
        entry.session_number
        for entry in entries
        if entry is not None and entry.session_id == capture.session_id and entry.session_number is not None
    ]
    number = next((one for one in (capture.session_number, *recorded) if one is not None), session["SessionNumber"])
    vni = capture.virtual_network_id or environment().capture.virtual_network_id or session["VirtualNetworkId"]
    return number, vni


def _undoing(
    session: Described, numbers: tuple[int, int], others: Sequence[Session]
) -> tuple[dict[str, Any], list[str]]:
    """Return the fields that are to be changed of a session, and what others changed."""
    wanted, fields, changed = environment().capture.packet_length, dict[str, Any](), []
    if (length := session.get("PacketLength")) != wanted and not (wanted is None and length in sessions.WHOLE):
        fields |= {"RemoveFields": ["packet-length"]} if wanted is None else {"PacketLength": wanted}
        changed.append(f"it mirrored {f'{length} bytes of each packet' if length else 'whole packets'}")
    number, vni = numbers
    now = session["SessionNumber"]
    best = _number(now, number, others, session["TrafficMirrorTargetId"])
    if best != now:
        fields["SessionNumber"] = best
    if now != number:
        changed.append(
            f"its session number was changed from {number} to {now}" + ("" if best == number else f", it is {best}")
        )
    elif best != now:
        changed.append(f"other mirror sessions took its packets, its session number is {best} instead of {now}")
    if (found := session["VirtualNetworkId"]) != vni:
        fields["VirtualNetworkId"] = vni
        changed.append(f"its virtual network id was {found}")
    return fields, changed


def _number(now: int, created: int, others: Sequence[Session], target_id: str) -> int:
    """Return the number that a session should have: that of its creation, or the lowest one where that is taken.

    Args:
        now: the number that it has.
        created: the one that it was created with.
        others: the other sessions on its interface.
        target_id: its target.
    """
    taken = {one.number for one in others}
    free = capture_plan.first_free_number(taken)
    best = min(now, free) if created in taken else created
    length = environment().capture.packet_length
    takers = capture_plan.preceding(best, others, target_id=target_id, packet_length=length)
    return min(best, free) if takers and free < takers[0].number else best


def _tags_to_set(session: Described, capture: Capture, known: Mapping[str, Incident]) -> tuple[dict[str, str], str]:
    """Return the tags that a session should have, none where it has them, and what others changed of them.

    A session may still have the time of its expiry from before an extension: others need not have changed that.
    """
    tags, eni = tags_of(session), capture.network_interface_id
    holders = known_holders(capture, known)
    if not holders:
        return {}, ""
    heir, stack = holders[0], is_of_stack(session)
    named = tags.get(TAG_INCIDENT, "")
    # An incident that has ended may have been interrupted before it handed its session over.
    stale = named not in capture.holders and _has_captured(named, eni, known)
    wrong = [] if stale or named in capture.holders else [TAG_INCIDENT]
    until = tags.get(TAG_EXPIRES, "")
    # The stack of an appliance gives its session no time, and a name of its own.
    late = stale or (not stack and until not in {one.expires_at for one in holders})
    if late and not stale and not any(_was_its_end(one, until) for one in holders):
        wrong.append(TAG_EXPIRES)
    if not stack and not _names(tags.get("Name", ""), eni, known):
        wrong.append("Name")
    if not wrong and not late:
        return {}, ""
    wanted = {TAG_INCIDENT: heir.id, TAG_EXPIRES: heir.expires_at}
    if "Name" in wrong:
        wanted["Name"] = sessions.name_of(heir.id, eni)
    return wanted, f"its tags were changed ({', '.join(wrong)})" if wrong else ""


def _was_its_end(incident: Incident, until: str) -> bool:
    try:
        return as_time(incident.opened_at) <= as_time(until) <= as_time(incident.expires_at)
    except RuleViolation:
        return False


def _names(name: str, network_interface_id: str, known: Mapping[str, Incident]) -> bool:
    """Return whether a Name is that of an incident that has captured an interface: it stays with the session."""
    incident_id = name.removesuffix(f" {network_interface_id}")
    if name != sessions.name_of(incident_id, network_interface_id):
        return False
    return _has_captured(incident_id, network_interface_id, known)


def _has_captured(incident_id: str, network_interface_id: str, known: Mapping[str, Incident]) -> bool:
    found = known.get(incident_id) or incidents.read(incident_id)
    return found is not None and found.entry_of(network_interface_id) is not None


def is_of_stack(session: Described) -> bool:
    """Return whether the stack of the launched appliance, or one nested in it, creates a session."""
    appliance = environment().appliance
    if not isinstance(appliance, DeployedLaunch):
        return False
    # All sessions of this deployment have its tags, or were given them: those tell nothing here.
    return bool(stacks.parts_of(appliance.stack_name, {tags_of(session).get(STACK_NAME_TAG, "")}))


def _owe(holders: Iterable[Incident], line: str, mark: str) -> list[tuple[str, str]]:
    """Record that operators are to be notified of what is about to be undone; return what each incident records of it.

    What an interrupted sweep began to undo is recorded already: it may have been killed before it did.

    Args:
        holders: the incidents that use the session.
        line: what is undone; nothing is recorded without one.
        mark: of the session.
    """
    owed = []
    for incident in holders if line else ():
        recorded = next((one for one in incident.unnotified if _says(one, line)), None)
        if recorded is None:
            [recorded] = _notice(_REPAIRED, [line], f"{mark} {_moment()}")
            incidents.owe_notice(incident.id, recorded)
        owed.append((incident.id, recorded))
    return owed


def _says(recorded: str, line: str) -> bool:
    given = json.loads(recorded)
    return (given["what"], given["lines"]) == (_REPAIRED, [line])


def _drop(owed: Iterable[tuple[str, str]]) -> None:
    for incident_id, recorded in owed:
        incidents.drop_notice(incident_id, recorded)


def goes_to(session: Described, to: MirrorTarget) -> bool:
    """Return whether a session mirrors to a target, through its filter."""
    return (session["TrafficMirrorTargetId"], session["TrafficMirrorFilterId"]) == (to.target_id, to.filter_id)


def redirect(session: Described, to: MirrorTarget, holders: Sequence[Incident]) -> bool:
    """Send a session to the present mirror target; `repair` notifies where others had redirected it.

    Args:
        session: as EC2 describes it.
        to: the present target.
        holders: the incidents that use the session.

    Returns:
        Whether the session was there.

    Raises:
        ClientError: EC2 refused it.
        BotoCoreError: EC2 did not answer; it may be done.
    """
    session_id = session["TrafficMirrorSessionId"]
    owed = _owe(holders, _redirected(session, holders), f"{session_id} to {session['TrafficMirrorTargetId']}")
    try:
        sessions.modify(session_id, target_id=to.target_id, filter_id=to.filter_id)
    except ClientError as error:
        _drop(owed)
        if sessions.is_gone(error, session_id):
            return False
        raise
    return True


def _redirected(session: Described, holders: Sequence[Incident]) -> str:
    """Return the line that others redirected a session; none where they did not.

    Where the appliance was replaced, it went to the one that an incident was begun with: others did nothing then.
    """
    went = (session["TrafficMirrorTargetId"], session["TrafficMirrorFilterId"])
    begun_with = [one.appliance for one in holders if one.appliance is not None]
    if not begun_with or went in [(one.target_id, one.filter_id) for one in begun_with]:
        return ""
    session_id = session["TrafficMirrorSessionId"]
    return f"{session_id} on {session['NetworkInterfaceId']}: it mirrored to {went[0]} through {went[1]}"


def report_unknown(unknown: Iterable[Described]) -> None:
    """Notify once of each session that has the tags of an open incident, and that no incident created."""
    found = [(tags_of(session)[TAG_INCIDENT], session) for session in unknown]
    known = incidents.get_all(incident_id for incident_id, _ in found)
    for incident_id, session in found:
        incident: Incident | None = known.get(incident_id)
        mark = f"unknown {session['TrafficMirrorSessionId']}"
        if incident is None or incident.state == "closed" or notified.is_notified(incident, mark):
            continue
        session_id, eni = session["TrafficMirrorSessionId"], session["NetworkInterfaceId"]
        what = "unknown mirror session"
        incidents.add_event(incident_id, "sweeper", what, f"{session_id} on {eni}")
        notifications.notify_once(incident, what, *packet_notices.unknown(incident, session_id, eni), once=mark)
