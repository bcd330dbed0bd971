"""Interfaces that are attached to a contained instance are isolated too: the decision was about the instance.

The sweeper runs it. It requests the containment again, as `contain` does, once for each interface: what is refused, or
changed by others afterwards, is for operators, and the audit goes on reporting it.
"""

from __future__ import annotations

from tapstack.domain.containment import Interface
from tapstack.responder.containment.inspect import as_interfaces, attached
from tapstack.responder.containment.notifications import isolating
from tapstack.responder.environment import environment
from tapstack.responder.outbound import executions, notifications
from tapstack.responder.store import containments, incidents, requests
from tapstack.responder.store.containments import Containment
from tapstack.responder.store.incidents import Incident


def isolate() -> list[str]:
    """Have interfaces isolated that were attached to contained instances; return a line for each."""
    lines = []
    for one in containments.listed():
        if one.state == "contained" and one.holders and (new := _attached_since(one)):
            lines += _isolate(one, new)
    return lines


def _attached_since(one: Containment) -> list[Interface]:
    """Return the interfaces that this containment has not isolated yet: others may have connected the rest again."""
    settings = environment().containment
    quarantines = {groups.quarantine for groups in settings.groups.values()} if settings is not None else set()
    return [
        interface
        for interface in as_interfaces(attached(one.instance_id))
        if not interface.requester_managed
        and not set(interface.group_ids) <= quarantines
        and not _is_recorded(one, interface.id)
    ]


def _is_recorded(one: Containment, network_interface_id: str) -> bool:
    prior = containments.prior_state(one.instance_id, "groups", network_interface_id)
    return prior is not None and not prior.restored and prior.generation == one.generation


def _isolate(one: Containment, new: list[Interface]) -> list[str]:
    holders = incidents.get_all(one.holders)
    incident = next((holders[name] for name in sorted(holders) if _holds(holders[name])), None)
    if incident is None:
        return []
    ids = [interface.id for interface in new if _mark(interface) not in incident.notified]
    if not ids:
        return []
    asked = requests.request_containment_again(incident)
    if asked is None:
        return []
    incidents.add_event(incident.id, "sweeper", "containment requested", f"again, for {', '.join(ids)}")
    executions.ensure(asked, "contain")
    for interface in new:
        if interface.id in ids:
            notice = isolating(incident, interface.id)
            notifications.notify_once(incident, "isolating an attached interface", *notice, once=_mark(interface))
    return [
        f"{incident.id}: {eni} was attached to {one.instance_id}, which is contained: it is isolated" for eni in ids
    ]


def _holds(incident: Incident) -> bool:
    return incident.containment_state == "contained"


def _mark(interface: Interface) -> str:
    return f"isolating {interface.id}"
