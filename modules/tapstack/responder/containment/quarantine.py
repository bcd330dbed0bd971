"""The groups that isolate have no rules: a caller that may change security groups can add some, and connect instances.

The sweeper runs it. It deletes no rules: it reports, notifies of each contained instance once for the same rules, and
keeps what its incidents say of them as it is now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from tapstack.domain.containment import is_of_rules, rules_warning
from tapstack.domain.quarantine import has_rules
from tapstack.responder.containment.changes import groups
from tapstack.responder.containment.inspect import as_interfaces, attached
from tapstack.responder.containment.notifications import not_isolating
from tapstack.responder.environment import environment
from tapstack.responder.outbound import notifications
from tapstack.responder.store import containments, incidents, requests
from tapstack.responder.store.containments import Containment
from tapstack.responder.store.incidents import Incident


def check() -> list[str]:
    """Return a line for each group that isolates and has rules, and for each contained instance with such a group."""
    settings = environment().containment
    if settings is None:
        return []
    found = groups.rules(one.quarantine for one in settings.groups.values())
    lines = [has_rules(group, rules) for group, rules in sorted(found.items())]
    for one in containments.listed():
        if one.state == "contained":
            lines += _of_instance(one, found)
    return lines


def _of_instance(one: Containment, found: Mapping[str, tuple[str, ...]]) -> list[str]:
    holders = incidents.get_all(one.holders)
    if not found and not any(_said_of_rules(holder) for holder in holders.values()):
        return []
    interfaces = as_interfaces(attached(one.instance_id))
    has = {group: found[group] for interface in interfaces for group in interface.group_ids if group in found}
    for holder in holders.values():
        _keep(holder, has)
    lines = [
        f"{one.instance_id} is contained, but {interface.id} is NOT ISOLATED: {has_rules(group, found[group])}"
        for interface in interfaces
        for group in interface.group_ids
        if group in found
    ]
    if not lines:
        return []
    mark = hashlib.sha256("; ".join(lines).encode()).hexdigest()[:16]
    for name in sorted(holders)[:1]:
        notifications.notify_once(
            holders[name],
            "the quarantine group has rules",
            *not_isolating(holders[name], lines, has),
            once=f"rules {one.generation} {mark}",
        )
    return lines


def _said_of_rules(incident: Incident) -> list[str]:
    """Return the lines of what a containment does not cover that are about rules of its quarantine groups."""
    containment = incident.containment
    return [] if containment is None else [line for line in containment.not_done if is_of_rules(line)]


def _keep(incident: Incident, has: Mapping[str, tuple[str, ...]]) -> None:
    """Record in an incident which rules the groups that isolate its instance have now."""
    before = _said_of_rules(incident)
    region = incident.where.region
    now = [rules_warning(group, rules, region) for group, rules in sorted(has.items())]
    if incident.containment_state != "contained" or before == now:
        return
    others = [line for line in incident.requested_containment.not_done if line not in before]
    if requests.record_not_done(incident, [*others, *now]):
        said = "; ".join(now) or "the quarantine group has no rules any more"
        incidents.add_event(incident.id, "sweeper", "warning" if now else "isolated", said)
