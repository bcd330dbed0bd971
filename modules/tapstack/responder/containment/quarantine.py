"""The groups that isolate have no rules: a caller that may change security groups can add some, and connect instances.

The sweeper runs it. It changes nothing: it reports, and notifies of each contained instance once for the same rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from tapstack.domain.quarantine import has_rules
from tapstack.responder.containment.changes import groups
from tapstack.responder.containment.inspect import as_interfaces, attached
from tapstack.responder.containment.notifications import not_isolating
from tapstack.responder.environment import environment
from tapstack.responder.outbound import notifications
from tapstack.responder.store import containments, incidents
from tapstack.responder.store.containments import Containment


def check() -> list[str]:
    """Return a line for each group that isolates and has rules, and for each contained instance with such a group."""
    settings = environment().containment
    if settings is None:
        return []
    found = groups.rules(one.quarantine for one in settings.groups.values())
    lines = [has_rules(group, rules) for group, rules in sorted(found.items())]
    if found:
        for one in containments.listed():
            if one.state == "contained":
                lines += _of_instance(one, found)
    return lines


def _of_instance(one: Containment, found: Mapping[str, tuple[str, ...]]) -> list[str]:
    lines = [
        f"{one.instance_id} is contained, but {interface.id} is NOT ISOLATED: {has_rules(group, found[group])}"
        for interface in as_interfaces(attached(one.instance_id))
        for group in interface.group_ids
        if group in found
    ]
    if not lines:
        return []
    holders = incidents.get_all(one.holders)
    mark = hashlib.sha256("; ".join(lines).encode()).hexdigest()[:16]
    for name in sorted(holders)[:1]:
        notifications.notify_once(
            holders[name],
            "the quarantine group has rules",
            *not_isolating(holders[name], lines),
            once=f"rules {one.generation} {mark}",
        )
    return lines
