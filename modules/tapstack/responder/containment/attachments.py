"""Interfaces that are attached to a contained instance are isolated too: the decision was about the instance.

The sweeper runs it. It requests the containment again, as `contain` does, at each sweep until an interface was isolated
once, is detached, or the instance is released. What cannot be isolated stays connected, and responders are notified.
What others changed afterwards is for operators, and the audit goes on reporting it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from tapstack.domain.containment import (
    Interface,
    connected_interface,
    stays_connected,
    why_it_stays_connected,
    with_connected,
)
from tapstack.responder.aws.errors import reporting
from tapstack.responder.containment.inspect import as_interfaces, attached
from tapstack.responder.containment.notifications import isolating, staying_connected
from tapstack.responder.environment import environment
from tapstack.responder.outbound import executions, notifications
from tapstack.responder.store import containments, incidents, notified, requests
from tapstack.responder.store.containments import Containment
from tapstack.responder.store.incidents import Incident

_REQUESTED: Final = "it was attached since, and its isolation is requested"


def isolate() -> tuple[list[str], list[str]]:
    """Have interfaces isolated that were attached to contained instances.

    Returns:
        A line for each interface, and one for each instance of which not everything could be done.
    """
    lines, problems = list[str](), list[str]()
    for one in containments.listed():
        if one.state == "contained" and one.holders:
            with reporting(problems, one.instance_id):
                lines += _of_instance(one)
    return lines, problems


def _of_instance(one: Containment) -> list[str]:
    holders = incidents.get_all(one.holders)
    holding = [holders[name] for name in sorted(holders) if holders[name].containment_state == "contained"]
    settings = environment().containment
    if not holding or settings is None:
        return []
    isolated = {line for incident in holding for line in incident.requested_containment.changed}
    connected = _connected(one)
    new = [interface for interface in connected if not _was_isolated(one, interface.id, isolated)]
    staying = {interface.id: why for interface in new if (why := why_it_stays_connected(interface, settings))}
    ids = [interface.id for interface in new if interface.id not in staying]
    lines = _isolate(holding[0], one, ids) if ids else []
    for eni, why in staying.items():
        _record_staying(holding[0], one, eni, why)
        lines.append(f"{holding[0].id}: attached to {one.instance_id}, which is contained: {why}")
    for incident in holding:
        _keep(incident, {interface.id for interface in connected}, {**staying, **dict.fromkeys(ids)})
    # Last: where a notification fails, all of the above is done.
    for eni, why in staying.items():
        notice = staying_connected(holding[0], eni, why)
        mark = _staying(one, eni)
        notifications.notify_once(holding[0], "an attached interface stays connected", *notice, once=mark)
    for incident in holding:
        _notify_of_isolating(incident.id, one, ids)
    return lines


def _keep(incident: Incident, connected: Collection[str], new: Mapping[str, str | None]) -> None:
    """Record in an incident which interfaces stay connected now: `show` says so until they do not.

    Args:
        incident: whose instance is contained.
        connected: its interfaces that are connected.
        new: those of them that were not isolated since the containment began, each with the reason; none where its
            isolation is requested, which may have failed for a reason that is recorded.
    """
    # What was requested, or has failed, since it was read is recorded too.
    now = incidents.get(incident.id)
    if now.containment_state != "contained":
        return
    before = now.requested_containment.not_done
    recorded = {eni: line for line in before if (eni := connected_interface(line)) is not None}
    lines = {eni: why or recorded.get(eni) or stays_connected(eni, _REQUESTED) for eni, why in new.items()}
    ended = sorted(recorded.keys() - set(connected))
    others = [line for line in before if connected_interface(line) not in ended]
    kept = with_connected(others, {eni: line for eni, line in lines.items() if recorded.get(eni) != line})
    # What was not isolated, for a reason that is recorded as the failure, is not connected any more.
    over = bool(ended) and all(new.values())
    if kept != list(before) and requests.record_not_done(now, kept, over=over) and ended:
        said = f"{', '.join(ended)}: isolated or detached since"
        incidents.add_event(incident.id, "sweeper", "isolated", said)


def _connected(one: Containment) -> list[Interface]:
    """Return the interfaces that have other groups than those that isolate."""
    settings = environment().containment
    quarantines = {groups.quarantine for groups in settings.groups.values()} if settings is not None else set()
    found = as_interfaces(attached(one.instance_id))
    return [interface for interface in found if not set(interface.group_ids) <= quarantines]


def _was_isolated(one: Containment, network_interface_id: str, isolated: Iterable[str]) -> bool:
    """Return whether this containment has isolated an interface once: others may have connected it again since.

    A prior state alone does not say so: it is recorded before the interface is changed, which AWS may have refused.
    """
    prior = containments.prior_state(one.instance_id, "groups", network_interface_id)
    recorded = prior is not None and not prior.restored and prior.generation == one.generation
    return recorded and str(prior) in isolated


def _isolate(incident: Incident, one: Containment, ids: list[str]) -> list[str]:
    new = [eni for eni in ids if not _is_known(incident, one, eni)]
    if not new and executions.is_under_way(incident, "contain"):
        return []
    asked = requests.request_containment_again(incident, attached=new)
    if asked is None:
        return []
    if new:
        incidents.add_event(incident.id, "sweeper", "containment requested", f"again, for {', '.join(new)}")
    executions.ensure(asked, "contain")
    return [
        f"{incident.id}: {eni} was attached to {one.instance_id}, which is contained: its isolation is requested"
        + ("" if eni in new else " again")
        for eni in ids
    ]


def _is_known(incident: Incident, one: Containment, network_interface_id: str) -> bool:
    """Return whether the isolation of an interface was requested before."""
    mark = _isolating(one, network_interface_id)
    return network_interface_id in incident.isolation_requested or notified.is_notified(incident, mark)


def _isolating(one: Containment, network_interface_id: str) -> str:
    """Return what is recorded of a notification that the isolation of an attached interface is requested."""
    return f"isolating {one.generation} {network_interface_id}"


def _notify_of_isolating(incident_id: str, one: Containment, connected: Collection[str]) -> None:
    """Notify of the interfaces whose isolation was requested, also by a sweep that was killed before it notified.

    Args:
        incident_id: of which incident.
        one: its containment.
        connected: the interfaces that are to be isolated and are not yet.
    """
    incident = incidents.get(incident_id)
    if not incident.isolation_requested:
        return
    for eni in sorted(incident.isolation_requested):
        notice = isolating(incident, eni, connected=eni in connected)
        mark = _isolating(one, eni)
        notifications.notify_once(incident, "isolating an attached interface", *notice, once=mark)
    requests.record_notified_of_isolating(incident)


def mark_staying_notified(incident: Incident) -> None:
    """Record that a notification about the contained instance named the interfaces that stay connected."""
    one = containments.get(str(incident.instance_id), incident.where)
    if one is None:
        return
    for line in incident.requested_containment.not_done:
        if (eni := connected_interface(line)) is not None:
            notified.mark_notified(incident.id, _staying(one, eni))


def _staying(one: Containment, network_interface_id: str) -> str:
    """Return what is recorded of a notification that an interface of a contained instance stays connected."""
    return f"staying {one.generation} {network_interface_id}"


def _record_staying(incident: Incident, one: Containment, network_interface_id: str, why: str) -> None:
    """Add it to the timeline, unless a containment that saw it first did."""
    if why in incident.requested_containment.not_done:
        return
    if not notified.is_notified(incident, _staying(one, network_interface_id)):
        incidents.add_event(incident.id, "sweeper", "warning", why)
