"""Places at a mirror target that takes a limited number of sources: the most severe incidents have them.

An incident that needs a place takes that of a less severe one where the target has no other. Only sessions that the
table knows give their place, never those of others. What gives it waits, and is mirrored again once there is a place.

Source: VPC Traffic Mirroring guide, "Traffic Mirroring quotas" (distinct sources of a target).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from tapstack.domain.incidents import API, SEVERITIES, InterfaceState, Severity, as_time, highest, is_less_severe
from tapstack.responder.appliance.mirror_target import MirrorTarget
from tapstack.responder.aws.tags import has_our_tags
from tapstack.responder.capture import packet_notices, sessions
from tapstack.responder.capture.sessions import Described
from tapstack.responder.environment import environment
from tapstack.responder.outbound import notifications
from tapstack.responder.store import captures, incidents, notified
from tapstack.responder.store import places as store
from tapstack.responder.store.captures import Capture
from tapstack.responder.store.incidents import Incident


@dataclass(frozen=True, slots=True)
class DisplaceablePlace:
    """A place that a more severe incident may take.

    Attributes:
        capture: that has it.
        holders: the incidents that hold the capture.
    """

    capture: Capture
    holders: tuple[Incident, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """The places at a target.

    Attributes:
        taken: the interfaces that have one.
        displaceable: what may give its place, by interface, in this order.
        moving: whether less severe incidents that begin or end at this moment have more of them.
    """

    taken: frozenset[str] = frozenset()
    displaceable: dict[str, DisplaceablePlace] = field(default_factory=dict)
    moving: bool = False


def reserved(incident: Incident) -> int:
    """Return how many places an incident leaves to others: a flood of alerts leaves some to responders."""
    return environment().capture.reserved_sources if incident.source != API else 0


def at_target(to: MirrorTarget, incident: Incident, wanted: Collection[str], limit: int | None) -> Places:
    """Return the places at a target, and which of them an incident may take.

    Args:
        to: the target.
        incident: that needs places.
        wanted: for these interfaces, but for those that take free places only.
        limit: of the target; no limit when None.
    """
    if limit is None:
        return Places()
    described = sessions.to_targets([to.target_id])
    taken = frozenset(session["NetworkInterfaceId"] for session in described)
    if len(taken.union(wanted)) <= limit - reserved(incident):
        return Places(taken)
    held = captures.get_all(taken - set(wanted), incident.where)
    ending = [capture for capture in held.values() if capture.ending]
    # The function that deletes them may have been killed.
    sessions.finish(ending)
    known = _holders_of(held.values())
    found, moving = [], bool(ending)
    for capture in held.values():
        holders = tuple(known[one] for one in sorted(capture.holders) if one in known)
        if capture.ending or not holders or not is_less_severe(_severity(holders), than=incident.severity):
            continue
        if _gives_way(capture, holders, described):
            found.append(DisplaceablePlace(capture, holders))
        elif any(_moves(one, capture) for one in holders):
            moving = True
    found.sort(key=_order)
    if incident.source != API:
        found = list(_sparing_responders(found, held.values(), known))
    return Places(taken, {one.capture.network_interface_id: one for one in found}, moving)


def _holders_of(held: Collection[Capture]) -> dict[str, Incident]:
    ids = {holder for capture in held for holder in capture.holders}
    return {one: incident for one in sorted(ids) if (incident := incidents.read(one)) is not None}


def _severity(holders: Collection[Incident]) -> Severity:
    return highest(*(one.severity for one in holders))


def _gives_way(capture: Capture, holders: Collection[Incident], described: Collection[Described]) -> bool:
    """Return whether the session of a capture can be deleted, and its place is free then."""
    there = [one for one in described if one["NetworkInterfaceId"] == capture.network_interface_id]
    return (
        # A capture with more holders keeps its place.
        len(capture.holders) == len(holders) <= store.HOLDERS
        # A session of others with the same source and target would keep the place.
        and [one["TrafficMirrorSessionId"] for one in there] == [capture.session_id]
        and has_our_tags(there[0])
        and all(_is_settled(one, capture) for one in holders)
    )


def _is_settled(incident: Incident, capture: Capture) -> bool:
    """Return whether nothing else is about to change what an incident says of its interface."""
    if incident.state not in ("capturing", "failed") or incident.close_requested:
        return False
    entry = incident.entry_of(capture.network_interface_id)
    if entry is None:
        return False
    # One that failed in the middle of its start may not have recorded the session.
    return incident.state == "failed" or (entry.state, entry.session_id) == ("mirrored", capture.session_id)


def _moves(incident: Incident, capture: Capture) -> bool:
    """Return whether an incident begins or ends its capture of an interface at this moment."""
    if incident.state == "closed" or (incident.state == "failed" and not incident.close_requested):
        return False
    return not _is_settled(incident, capture)


def _order(place: DisplaceablePlace) -> tuple[int, bool, float]:
    """Return what places are sorted by: the least severe first, of these secondary interfaces, of these the newest."""
    eni = place.capture.network_interface_id
    opened = min(as_time(one.opened_at).timestamp() for one in place.holders)
    primary = any(_is_primary(one, eni) for one in place.holders)
    return SEVERITIES.index(_severity(place.holders)), primary, -opened


def _is_primary(incident: Incident, network_interface_id: str) -> bool:
    """Return whether an interface is the first one of an instance; each that an incident names is one."""
    return incident.instance_id is None or incident.interface_ids()[:1] == [network_interface_id]


def _sparing_responders(
    found: list[DisplaceablePlace], held: Collection[Capture], known: dict[str, Incident]
) -> Iterator[DisplaceablePlace]:
    """Yield the places that a finding may take: as many captures of responders stay as are reserved for them."""
    of_responders = {
        capture.network_interface_id
        for capture in held
        if any(known[one].source == API for one in capture.holders if one in known)
    }
    left = len(of_responders) - environment().capture.reserved_sources
    for place in found:
        if place.capture.network_interface_id in of_responders:
            left -= 1
            if left < 0:
                continue
        yield place


_GIVEN: Final = "its place at the mirror target went to "


def is_given(note: str) -> bool:
    """Return whether the note of an interface says which incident has its place."""
    return note.startswith(_GIVEN)


def take(place: DisplaceablePlace, incident: Incident, network_interface_id: str) -> bool:
    """Give an interface of an incident the place of a less severe one; False where that has changed meanwhile.

    First the table, then the session: a function that is killed in between leaves a capture that is ending, which the
    next one, or the sweeper, finishes.
    """
    capture = place.capture
    lost = capture.network_interface_id
    # Another of its interfaces may have given its place just now.
    holders = _holders_of([capture]).values()
    if len(holders) != len(capture.holders) or not all(_is_settled(one, capture) for one in holders):
        return False
    if not is_less_severe(_severity(holders), than=incident.severity):
        return False
    why = f"{_GIVEN}{network_interface_id} of {incident.id}, which is more severe"
    losses = []
    for holder in holders:
        entry = holder.entry_of(lost)
        assert entry is not None
        state: InterfaceState = "waiting" if holder.state == "capturing" else "ended"
        after = replace(entry, state=state, session_id=None, session_number=None, note=why)
        said = f"{lost} is not mirrored any more: {why} ({incident.severity}, this one is {holder.severity})"
        losses.append(store.PlaceLoss(holder, after, said))
    named = " and ".join(f"{one.id}, which is less severe ({one.severity})" for one in holders)
    said = f"{network_interface_id} has the place of {lost} at the mirror target, of {named}"
    # Where the answer was lost, another call finds the table changed, by this one.
    if not store.take(capture, losses, incident, said) and not _is_noted(holders, lost, why):
        return False
    sessions.finish([replace(capture, holders=frozenset(), ending=True)])
    return True


def _is_noted(holders: Collection[Incident], network_interface_id: str, why: str) -> bool:
    now = [one for holder in holders for one in incidents.get(holder.id).interfaces]
    return any((one.network_interface_id, one.note) == (network_interface_id, why) for one in now)


def notify_of_displacements(incident: Incident) -> None:
    """Notify of the interfaces of an incident that gave their places, once of each.

    The function that takes a place may not notify: the one that notifies of the more severe incident does, or the
    sweeper.
    """
    mark = "places given "
    every = len(incident.displacements)
    known = next((one for one in range(every, 0, -1) if notified.is_notified(incident, f"{mark}{one}")), 0)
    if lines := incident.displacements[known:]:
        notice = packet_notices.displaced(incident, lines)
        now = f"{mark}{every}"
        notifications.notify_once(incident, "place given to a more severe incident", *notice, once=now)
