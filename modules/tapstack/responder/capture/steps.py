"""The steps of the workflow that create, extend and delete mirror sessions.

Several incidents may capture the same interface, at the same time too: they share one
session. Calls of EC2 for N interfaces: one describe for all, one more where the target's
sources are limited, and N creations, 8 at a time. Where a place at the target is taken from a
less severe incident, two more for each.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from botocore.exceptions import ClientError

from tapstack.domain import capture_plan
from tapstack.domain.capture_plan import Interface, Session, Step
from tapstack.domain.counts import counted
from tapstack.domain.incident_events import Occurrence
from tapstack.domain.incidents import (
    TAG_EXPIRES,
    TAG_INCIDENT,
    InterfaceState,
    as_text,
    as_time,
    can_be_extended,
    expiry,
    is_before_capture,
    utc_now,
)
from tapstack.domain.packet_watch import first_period
from tapstack.responder.appliance.mirror_target import MirrorTarget, mirror_target
from tapstack.responder.aws.errors import code_of, is_transient, message_of, said_by
from tapstack.responder.aws.parallel import each
from tapstack.responder.aws.tags import has_our_tags
from tapstack.responder.capture import places, sessions
from tapstack.responder.capture.interfaces import refusals
from tapstack.responder.environment import environment
from tapstack.responder.errors import NothingMirrored, TryAgain
from tapstack.responder.outbound import notifications
from tapstack.responder.store import captures, incidents
from tapstack.responder.store.captures import Capture
from tapstack.responder.store.incidents import Incident, IncidentInterface
from tapstack.responder.store.records import IncidentPackets
from tapstack.responder.store.retry import TRIES, retried

_PATIENT_TURNS: Final = 2
"""How many refusals to wait for another function that is creating the session to record it."""
_PLANS: Final = 4
"""How often it is planned again where others take the last places at the same time."""
_FULL: Final = "TrafficMirrorSourcesPerTargetLimitExceeded"
_GONE: Final = "invalidnetworkinterfaceid.notfound"
"""In small letters: EC2 writes ID in some operations, and Id in others."""
_NOT_THERE_YET: Final = ("InvalidTrafficMirrorTargetId.NotFound", "InvalidTrafficMirrorFilterId.NotFound")


def start(incident_id: str) -> dict[str, int]:
    """Mirror every eligible interface of an incident, or use the session of another incident that mirrors it.

    Returns:
        How many interfaces are `mirrored`, and how many are not (`refused`), those that wait included.

    Raises:
        NothingMirrored: none is mirrored; the incident says why for each.
        TryAgain: throttled, or something that EC2 does not show yet; or none is mirrored, and less severe incidents
            that begin or end at this moment have the places.
    """
    incident = _counted_from_now(incident_id)
    if not can_be_extended(incident.state):
        raise NothingMirrored(f"the incident is {incident.state}")
    begun = incident.state == "capturing"
    # What waits since it captures is left to the sweeper.
    wanted = incident.interface_ids("eligible", "mirrored", *(() if begun else ("waiting",)))
    outcome = _mirror(incident, wanted)
    goes_on = begun or outcome.moving or outcome.transient
    if goes_on or any(item.state == "mirrored" for item in outcome.entries.values()):
        outcome.try_refused_again()
    entries = _entries(incident, outcome.entries)
    if incidents.record_interfaces(incident, entries) is None:
        raise TryAgain("the interfaces of the incident were changed meanwhile")
    outcome.raise_transient()
    mirrored = sum(item.state == "mirrored" for item in entries)
    if not mirrored and not begun:
        why = "; ".join(f"{item.network_interface_id}: {item.note}" for item in entries)
        if outcome.moving:
            raise TryAgain(f"less severe incidents begin or end: {why}")
        raise NothingMirrored(f"AWS mirrors none of the network interfaces: {why}")
    refused = sum(item.state == "refused" for item in entries)
    waiting = sum(item.state == "waiting" for item in entries)
    detail = f"{counted(mirrored, 'network interface')} mirrored" + (f", {refused} refused" if refused else "")
    detail += f", {waiting} waiting" if waiting else ""
    remarks = [
        f"{item.network_interface_id}: {item.note}" for item in entries if item.state == "mirrored" and item.note
    ]
    detail = "; ".join([detail, *remarks])
    now = utc_now()
    # CloudWatch counts all interfaces of an instance, also those that the incident does not name.
    counted_from = first_period(now, ended=outcome.ended or not incident.instance_id)
    known = IncidentPackets("mirroring", as_text(now), counted_from=as_text(counted_from))
    incidents.transition(
        incident_id,
        "capturing",
        by="capture",
        detail=detail,
        sets={"packets": known.as_dict()},
        occurrences=[Occurrence("mirroring", detail=detail)],
    )
    return {"mirrored": mirrored, "refused": len(entries) - mirrored}


@dataclass(slots=True)
class _Outcome:
    """What became of interfaces that were to be mirrored.

    Attributes:
        entries: of the incident, by interface; none where the next attempt will tell.
        transient: the errors of those.
        moving: whether less severe incidents that begin or end at this moment have places that are needed.
        again: the interfaces to plan again, because others took their places.
        full: whether AWS refused one because the target takes no more sources.
        ended: whether a session of ours on the interfaces was deleted before, of which that is known.
    """

    entries: dict[str, IncidentInterface] = field(default_factory=dict)
    transient: list[TryAgain] = field(default_factory=list)
    moving: bool = False
    again: list[str] = field(default_factory=list)
    full: bool = False
    ended: bool = False

    def try_refused_again(self) -> None:
        """Leave what was refused to the next attempt, or sweep: sessions of others, for one, may be gone by then."""
        for eni, entry in self.entries.items():
            if entry.state == "refused":
                self.entries[eni] = replace(entry, state="waiting")

    def raise_transient(self) -> None:
        """Raise an error that the next attempt may not have."""
        if self.transient:
            raise self.transient[0]


def _entries(incident: Incident, outcomes: Mapping[str, IncidentInterface]) -> list[IncidentInterface]:
    """Return the interfaces of an incident with what became of some of them."""
    return [
        before if outcome is None else _still_waiting(before, outcome)
        for before in incident.interfaces
        for outcome in [outcomes.get(before.network_interface_id)]
    ]


def _still_waiting(before: IncidentInterface, now: IncidentInterface) -> IncidentInterface:
    """Return what became of an interface; of one that waits on, also what is known from before.

    When AWS refused it is known until it is mirrored. That there is no place says less than which incident has the
    place, or than what AWS refused.
    """
    if not before.state == now.state == "waiting":
        return now
    has_no_place = now.refused_by_aws_at is None and now.note != capture_plan.IN_ALL_SESSIONS
    says_more = before.refused_by_aws_at is not None or places.is_given(before.note)
    note = before.note if has_no_place and says_more else now.note
    return replace(now, note=note, refused_by_aws_at=now.refused_by_aws_at or before.refused_by_aws_at)


def _mirror(incident: Incident, wanted: list[str]) -> _Outcome:
    """Mirror interfaces for an incident, or use the sessions of others that mirror them.

    Where others take the last places at the same time, it is planned again.
    """
    to = mirror_target()
    whole, left, limit = _Outcome(), wanted, to.max_sources
    for turn in range(_PLANS):
        time.sleep(turn * random.uniform(0.2, 0.6))
        outcome = _mirror_once(incident, left, to, limit)
        whole = _Outcome(
            whole.entries | outcome.entries,
            whole.transient + outcome.transient,
            outcome.moving,
            ended=whole.ended or outcome.ended,
        )
        left = outcome.again
        if not left:
            break
        # A session that was deleted just now may count for a moment.
        if outcome.full and (limit is None or turn):
            limit = _as_refused(limit, to)
    return whole


def _mirror_once(incident: Incident, wanted: list[str], to: MirrorTarget, limit: int | None) -> _Outcome:
    held = {capture.network_interface_id: capture for capture in _acquire_all(wanted, incident)}
    # EC2 may still show sessions that were deleted just now.
    ended = {session_id for capture in held.values() for session_id in capture.ended_sessions}
    described = [s for s in sessions.on_interfaces(wanted) if s["TrafficMirrorSessionId"] not in ended]
    held |= captures.get_all(_begun_since(described, held), incident.where)
    held = {eni: _without_lost_session(capture, described) for eni, capture in held.items()}
    there = sessions.facts(described, held)
    # The others have the free places first.
    free_only = _free_only(incident)
    wanted = sorted(wanted, key=lambda eni: eni in free_only)
    found = places.at_target(to, incident, [eni for eni in wanted if eni not in free_only], limit)
    steps = capture_plan.plan(
        wanted,
        there,
        known={eni: capture.session_id for eni, capture in held.items() if capture.session_id},
        sources_of_target=found.taken,
        max_sources=limit,
        reserved=places.reserved(incident),
        displaceable=list(found.displaceable),
        free_only=free_only,
    )
    lost = {step.network_interface_id for step in steps if not _has_place(step, found, incident)}
    steps = tuple(replace(one, do="wait", note=_LOST) if one.network_interface_id in lost else one for one in steps)
    work = _Start(incident, to)
    outcome = _Outcome(moving=found.moving, ended=bool(ended))
    for step, done in zip(steps, each(lambda step: work.carry_out(step, held), steps), strict=True):
        eni = step.network_interface_id
        if isinstance(done, TryAgain):
            outcome.transient.append(done)
            continue
        outcome.entries[eni] = _remarked(done, step, there, to)
        if eni in free_only:
            continue
        if done.state == "waiting" and (found.moving or step.do == "create" or eni in lost):
            outcome.again.append(eni)
            outcome.full |= step.do == "create"
    return outcome


def _free_only(incident: Incident) -> set[str]:
    """Return which interfaces of an incident take free places only: AWS refused them.

    Each try takes a place in vain while AWS refuses it still. What refused it, such as a service control policy or a
    quota, may be gone after a while: then one of them competes for places again, the one that was refused first.
    """
    waiting = [one for one in incident.interfaces if one.state == "waiting"]
    refused = {one.network_interface_id: one.refused_by_aws_at for one in waiting if one.refused_by_aws_at is not None}
    if refused and as_time(max(refused.values())) + _COMPETES_AGAIN_AFTER <= utc_now():
        del refused[min(refused, key=refused.__getitem__)]
    return set(refused)


_COMPETES_AGAIN_AFTER: Final = timedelta(hours=1)
_LOST: Final = "another incident took the place at the mirror target at the same time"


def _has_place(step: Step, found: places.Places, incident: Incident) -> bool:
    """Take the place that a step needs; return whether it has one."""
    if step.instead_of is None:
        return True
    return places.take(found.displaceable[step.instead_of], incident, step.network_interface_id)


def _as_refused(limit: int | None, to: MirrorTarget) -> int:
    """Return the limit of a target that has just refused another source: it may be lower than is known."""
    sources = {session["NetworkInterfaceId"] for session in sessions.to_targets([to.target_id])}
    return min(limit or len(sources), max(len(sources), 1))


def _counted_from_now(incident_id: str) -> Incident:
    """Return an incident, with its minutes counted from now where mirroring starts only now."""

    def attempt() -> Incident | None:
        incident = incidents.get(incident_id)
        until = as_text(expiry(utc_now(), incident.minutes))
        if not is_before_capture(incident.state) or until <= incident.expires_at or incident.close_requested:
            return incident
        return incidents.extend(incident, until)

    return retried(attempt, "others change the incident at the same time")


def _remarked(entry: IncidentInterface, step: Step, there: list[Session], to: MirrorTarget) -> IncidentInterface:
    """Return an entry with remarks: whose place it has, and where sessions of others take packets, or lose some."""
    if entry.state != "mirrored":
        return entry
    eni, number = entry.network_interface_id, entry.session_number
    remarks = [
        _PLACE_OF.format(step.instead_of) if step.instead_of is not None else "",
        ""
        if number is None
        else capture_plan.other_sessions(
            eni, number, there, target_id=to.target_id, packet_length=environment().capture.packet_length
        ),
    ]
    return replace(entry, note="; ".join(filter(None, remarks)))


_PLACE_OF: Final = "it has the place of {} at the mirror target, of a less severe incident"


def with_remark(note: str, remark: str) -> str:
    """Return the note of a mirrored interface with another remark about sessions of others."""
    place = note.partition("; ")[0] if note.startswith(_PLACE_OF.partition("{")[0]) else ""
    return "; ".join(filter(None, [place, remark]))


def renew(
    incident_id: str,
    interface_ids: Collection[str],
    notices: Callable[[Collection[IncidentInterface]], Collection[str]] = lambda _: (),
) -> list[IncidentInterface]:
    """Mirror interfaces again whose sessions are lost, or that waited; return the entry of each.

    Args:
        incident_id: of which incident.
        interface_ids: the interfaces.
        notices: of what operators are to be notified, by these entries: it is recorded with them.

    Raises:
        TryAgain: throttled, or something that EC2 does not show yet, for one of them; the others are recorded.
    """
    return retried(lambda: _renew_once(incident_id, interface_ids, notices), _CHANGED)


_CHANGED: Final = "the interfaces of the incident are changed at the same time"


def _renew_once(
    incident_id: str,
    interface_ids: Collection[str],
    notices: Callable[[Collection[IncidentInterface]], Collection[str]],
) -> list[IncidentInterface] | None:
    incident = incidents.get(incident_id)
    wanted = [eni for eni in incident.interface_ids("mirrored", "waiting") if eni in interface_ids]
    if incident.state != "capturing" or incident.close_requested or not wanted:
        # Closing releases all its captures.
        return []
    outcome = _mirror(incident, wanted)
    outcome.try_refused_again()
    entries = _entries(incident, outcome.entries)
    owed = notices(outcome.entries.values())
    changed = owed or tuple(entries) != incident.interfaces
    if changed and incidents.record_interfaces(incident, entries, unnotified=owed) is None:
        return None
    outcome.raise_transient()
    return list(outcome.entries.values())


def add(incident_id: str, found: Collection[Interface]) -> None:
    """Mirror interfaces that were attached since the incident began.

    Raises:
        TryAgain: throttled, or something that EC2 does not show yet: the entry stays eligible, and is tried again.
    """
    if found:
        retried(lambda: _add_once(incident_id, found), _CHANGED)


def _add_once(incident_id: str, found: Collection[Interface]) -> Incident | None:
    """Return the incident afterwards; None where others have changed it meanwhile."""
    incident = incidents.get(incident_id)
    if incident.state != "capturing" or incident.close_requested:
        return incident
    refused = refusals(found)
    wanted = [one.id for one in found if one.id not in refused]
    # In the incident first: what it does not list would not be released at its end.
    others = [one for one in incident.interfaces if one.network_interface_id not in {new.id for new in found}]
    new = [
        IncidentInterface(one.id, "refused" if one.id in refused else "eligible", note=refused.get(one.id, ""))
        for one in found
    ]
    # With that, the notification of them is owed: this function may be killed before it.
    known = {one.network_interface_id for one in incident.interfaces}
    listed = incidents.record_interfaces(
        incident,
        (*others, *new),
        {one.id: one.place for one in found},
        attached=[one.id for one in found if one.id not in known],
    )
    if listed is None:
        return None
    outcome = _mirror(listed, wanted)
    outcome.try_refused_again()
    after = incidents.record_interfaces(listed, _entries(listed, outcome.entries))
    if after is not None:
        outcome.raise_transient()
    return after


def extend(incident_id: str) -> dict[str, int]:
    """Tag the sessions of an incident with the present time of expiry; return how many were `extended`.

    Mirror as well what waits for a place: an alert that joined may have raised the severity. The workflow does this
    after each wait; where the expiry was moved meanwhile, the sweeper tags them before.
    """
    incident = incidents.get(incident_id)
    session_ids = [str(item.session_id) for item in incident.in_state("mirrored")]
    sessions.retag(session_ids, {TAG_EXPIRES: incident.expires_at})
    # Where that fails, the next sweep tries again.
    with suppress(TryAgain):
        for entry in renew(incident_id, incident.interface_ids("waiting")):
            if entry.state == "mirrored":
                said = f"{entry.network_interface_id} is mirrored by {entry.session_id}"
                incidents.add_event(incident_id, "capture", "mirrored after waiting", said)
            elif entry.state == "ended":
                incidents.add_event(incident_id, "capture", DELETED, ended_line(entry))
    return {"extended": len(session_ids)}


DELETED: Final = "interface deleted"
"""What the timeline says of an interface that no longer exists."""


def ended_line(entry: IncidentInterface) -> str:
    """Return that the capture of an interface has ended, and why."""
    return f"{entry.network_interface_id} is not mirrored any more: {entry.note}"


def stop(incident_id: str) -> dict[str, int]:
    """Release every interface of an incident, and delete sessions that no other one uses; return how many `ended`."""
    incident = incidents.get(incident_id)
    incidents.transition(incident_id, "closing", by="capture", detail="mirroring stops")
    released = [
        capture
        for capture in each(lambda eni: captures.release(eni, [incident_id], incident.where), incident.interface_ids())
        if capture
    ]
    _hand_over(incident_id, [capture for capture in released if not capture.ending])
    recorded = {one.network_interface_id: one.session_id for one in incident.in_state("mirrored") if one.session_id}
    left = {session_id: notifications.untagged(session_id) for session_id in sessions.finish(released, recorded)}
    for said in left.values():
        incidents.add_event(incident_id, "capture", "session left", said)
    entries = [
        replace(item, state="ended", note=left.get(str(item.session_id), item.note))
        if item.state in ("mirrored", "eligible", "waiting")
        else item
        for item in incident.interfaces
    ]
    incidents.record_ended(incident_id, entries)
    return {"ended": len(incident.in_state("mirrored"))}


def _hand_over(incident_id: str, shared: list[Capture]) -> None:
    """Tag sessions that continue with another incident that uses them."""
    heirs: defaultdict[str, list[str]] = defaultdict(list)
    for capture in shared:
        if capture.session_id and capture.holders:
            heirs[min(capture.holders)].append(capture.session_id)
    for heir, session_ids in heirs.items():
        known = incidents.read(heir)
        until = {} if known is None else {TAG_EXPIRES: known.expires_at}
        sessions.retag(session_ids, {TAG_INCIDENT: heir, **until})


def _acquire_all(interface_ids: list[str], incident: Incident) -> list[Capture]:
    """Hold the captures of all interfaces; those that are ending are ended first."""
    found: dict[str, Capture] = {}
    missing = interface_ids

    def attempt() -> list[Capture] | None:
        nonlocal missing
        for eni, capture in zip(
            missing, each(lambda eni: captures.acquire(eni, incident.id, incident.where), missing), strict=True
        ):
            if capture is not None:
                found[eni] = capture
        missing = [eni for eni in missing if eni not in found]
        if not missing:
            return list(found.values())
        sessions.finish(captures.get_all(missing, incident.where).values())
        return None

    return retried(attempt, lambda: f"the capture of {missing[0]} is ending", pause=(0.2, 0.2))


def _begun_since(described: list[sessions.Described], held: Mapping[str, Capture]) -> set[str]:
    """Return the interfaces with a session that another incident may have created since the captures were read."""
    return {
        session["NetworkInterfaceId"]
        for session in described
        if has_our_tags(session) and not sessions.is_known(session, held[session["NetworkInterfaceId"]])
    }


def _without_lost_session(capture: Capture, described: list[sessions.Described]) -> Capture:
    """Return the capture; with a new generation when others deleted its session, or took our tags off it.

    No function may change or delete a session without our tags.
    """
    shown = {session["TrafficMirrorSessionId"] for session in described if has_our_tags(session)}
    late = time.time() - capture.session_since < sessions.LATE_SECONDS
    if capture.session_id is None or capture.session_id in shown or late:
        return capture
    captures.forget_session(capture)
    return captures.get(capture.network_interface_id, capture.where) or capture


@dataclass(slots=True)
class _Wanted:
    """A session to create.

    Attributes:
        capture: that it belongs to.
        number: its session number.
        taken: numbers of other sessions on the interface.
        turn: how often EC2 refused it.
        refused: why, the last time.
    """

    capture: Capture
    number: int
    taken: set[int] = field(default_factory=set)
    turn: int = 0
    refused: str = ""


@dataclass(frozen=True, slots=True)
class _Start:
    """Creates the sessions of one incident; used by many threads."""

    incident: Incident
    to: MirrorTarget

    def carry_out(self, step: Step, held: dict[str, Capture]) -> IncidentInterface | TryAgain:
        """Carry out the plan for an interface; return the entry of the incident for it."""
        eni = step.network_interface_id
        try:
            if step.do == "create":
                return self._create(held[eni], step.session_number or 1)
            if step.do == "keep" and step.session_id is not None:
                return self._mirrored(held[eni], step.session_id, step.session_number)
        except ClientError as error:
            if is_transient(error) or code_of(error) in _NOT_THERE_YET:
                return TryAgain(f"{eni}: {message_of(error)}")
            if code_of(error).casefold() == _GONE and self._was_there(eni):
                # AWS deletes the sessions of an interface with it.
                return self._not_mirrored(eni, "it does not exist any more", "ended")
            full = code_of(error) == _FULL
            return self._not_mirrored(eni, message_of(error), "waiting" if full else "refused", by_aws=not full)
        except TryAgain as again:
            return again
        except Exception as error:
            if is_transient(error):
                return TryAgain(f"{eni}: {said_by(error)}")
            raise
        return self._not_mirrored(eni, step.note, "waiting" if step.do == "wait" else "refused")

    def _was_there(self, network_interface_id: str) -> bool:
        """Return whether an interface was tried before: EC2 may not know a new one yet."""
        before = self.incident.entry_of(network_interface_id)
        if before is None or before.state not in ("mirrored", "waiting"):
            return False
        # What waits because AWS refused it may wait because EC2 did not know it.
        return before.state == "mirrored" or before.refused_by_aws_at is None

    def _create(self, capture: Capture, number: int) -> IncidentInterface:
        wanted = _Wanted(capture, number)
        return retried(
            lambda: self._create_once(wanted),
            lambda: (
                f"{capture.network_interface_id}: others created sessions on it at the same time, {TRIES} times; "
                f"the last refusal: {wanted.refused}"
            ),
        )

    def _create_once(self, wanted: _Wanted) -> IncidentInterface | None:
        capture = wanted.capture
        try:
            session = sessions.create(
                capture,
                incident_id=self.incident.id,
                expires_at=self.incident.expires_at,
                target_id=self.to.target_id,
                filter_id=self.to.filter_id,
                number=wanted.number,
            )
        except ClientError as error:
            if is_transient(error) or code_of(error) in _NOT_THERE_YET:
                raise
            wanted.turn += 1
            wanted.refused = message_of(error)
            return self._after_refusal(wanted, error)
        created = {"session_number": wanted.number, "virtual_network_id": session["VirtualNetworkId"]}
        return self._mirrored(capture, session["TrafficMirrorSessionId"], wanted.number, created)

    def _after_refusal(self, wanted: _Wanted, error: ClientError) -> IncidentInterface | None:
        """Use the session that another incident created first; None to try again, with another number or token."""
        capture, eni = wanted.capture, wanted.capture.network_interface_id
        # Another session was first: one of another incident, or one with the same number. The table has it before EC2.
        if code_of(error) == "IdempotentParameterMismatch":
            time.sleep((wanted.turn - 1) * 0.2)
            if (known := captures.get(eni, capture.where)) is not None and known.session_id is not None:
                return self._mirrored(known, known.session_id, None)
        there = sessions.on_interfaces([eni])
        now = captures.get(eni, capture.where) or capture
        ended = now.ended_sessions
        # With another refusal this generation has no session: one like that which was asked for is of others.
        by_id = code_of(error) != "IdempotentParameterMismatch"
        ours = [
            s
            for s in there
            if has_our_tags(s)
            and (s["TrafficMirrorSessionId"] == now.session_id if by_id else sessions.is_known(s, now))
            and s["TrafficMirrorSessionId"] not in ended
        ]
        if ours:
            return self._mirrored(capture, ours[0]["TrafficMirrorSessionId"], ours[0]["SessionNumber"])
        if code_of(error) == "IdempotentParameterMismatch":
            if wanted.turn > _PATIENT_TURNS:
                # The token was used, but its session does not exist: no call can use the token again.
                wanted.capture = captures.replace_token(capture) or captures.get(eni, capture.where) or capture
            return None
        wanted.taken |= {session["SessionNumber"] for session in there}
        if wanted.number not in wanted.taken and "session number" not in message_of(error).lower():
            raise error
        wanted.number = capture_plan.first_free_number(wanted.taken | {wanted.number})
        return None

    def _mirrored(
        self, capture: Capture, session_id: str, number: int | None, created: Mapping[str, int] | None = None
    ) -> IncidentInterface:
        eni = capture.network_interface_id
        if not captures.record(capture, session_id, created):
            now = captures.get(eni, capture.where)
            recorded = now.session_id if now is not None and self.incident.id in now.holders else None
            if recorded is None or (now is not None and now.ending):
                # All incidents have released the capture, and nothing else would delete this session.
                sessions.delete(session_id)
                raise TryAgain(f"{eni}: its capture ended while the session was created")
            if recorded != session_id:
                sessions.delete(session_id)
                session_id, number = recorded, None
        return IncidentInterface(eni, "mirrored", session_id=session_id, session_number=number)

    def _not_mirrored(self, eni: str, note: str, state: InterfaceState, *, by_aws: bool = False) -> IncidentInterface:
        released = captures.release(eni, [self.incident.id], self.incident.where)
        if released is not None and released.ending and released.session_id is None:
            # EC2 has just shown that there is no session of this deployment.
            captures.finish(released)
        refused_at = as_text(utc_now()) if by_aws else None
        return IncidentInterface(eni, state, note=note, refused_by_aws_at=refused_at)
