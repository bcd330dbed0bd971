"""What would change, for those who ask before they press: the plans of containing and releasing, as the API has them.

The same planner makes them that the functions follow, with rights that only look. What looks is imported when it is
asked for: most requests do without.
"""

from __future__ import annotations

from typing import Any

from tapstack.domain.containment import Plan
from tapstack.responder.errors import Conflict, ContainmentRefused
from tapstack.responder.store.incidents import Incident


def to_contain(incident: Incident) -> dict[str, Any]:
    """Return what cutting the incident's instance off would change.

    Raises:
        Conflict: the incident names no instance.
    """
    try:
        return _planned(incident).as_dict()
    except ContainmentRefused as refused:
        return Plan(incident["instance_id"], refused=str(refused)).as_dict()


def check(incident: Incident) -> bool:
    """Tell whether cutting the incident's instance off would change anything.

    Raises:
        Conflict: the incident names no instance.
        ContainmentRefused: a guard rail forbids it.
    """
    plan = _planned(incident)
    if plan.refused is not None:
        raise ContainmentRefused(plan.refused)
    return bool(plan.changes)


def to_release(incident: Incident, *, overwrite: bool, keep: bool, everybody: bool) -> dict[str, Any]:
    """Return what a release would change, and what others changed meanwhile."""
    from tapstack.responder.containment import releasing

    return releasing.plan(incident["id"], overwrite=overwrite, keep=keep, everybody=everybody).as_dict()


def nothing(incident: Incident) -> dict[str, Any]:
    """Return a plan that changes nothing."""
    return Plan(incident["instance_id"]).as_dict()


def _planned(incident: Incident) -> Plan:
    from tapstack.responder.containment import containing

    if not incident["instance_id"]:
        raise Conflict("the incident names network interfaces: open one for the instance, and contain that")
    return containing.plan(incident["instance_id"])
