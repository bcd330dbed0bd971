"""The audit of containments: forgotten or incomplete ones, which the sweeper reports and does not change.

It records in incidents that their contained instance was terminated.

No schedule contains or releases an instance: both are decisions of operators.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from tapstack.domain.containment import PriorState, change_name, text_of
from tapstack.domain.containment_settings import DeployedContainment
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import as_time, utc_now
from tapstack.responder.containment.changes import groups
from tapstack.responder.containment.inspect import as_interfaces, attached, described
from tapstack.responder.containment.notifications import left_open
from tapstack.responder.environment import environment
from tapstack.responder.store import containments, incidents
from tapstack.responder.store.containments import Containment
from tapstack.responder.store.incidents import Incident

UNDER_WAY: Final = timedelta(minutes=30)
"""How long a containment, or a release, may take before it is reported as not completed."""
BETWEEN_STEPS: Final = timedelta(minutes=5)
"""How much longer than configured an instance may have the all-open group of the first of two steps."""


def findings() -> list[str]:
    """Return a line for each containment that an operator should inspect."""
    settings = environment().containment
    found = {one.instance_id: one for one in containments.listed() if one.in_place}
    known = incidents.get_all(incident for one in found.values() for incident in (*one.holders, *one.releasing_for))
    prior_states = list(containments.listed_prior_states())
    quarantines = {one.quarantine for one in settings.groups.values()} if settings is not None else set()
    lines: list[str] = []
    for instance_id, one in sorted(found.items()):
        lines += _about(one, known)
        if one.state == "contained" and settings is not None:
            holders = [known[incident] for incident in sorted(one.holders) if incident in known]
            lines += _not_isolated(instance_id, quarantines, holders)
    lines += _without_record(found, prior_states)
    return lines if settings is None else lines + sorted(_unexplained_interfaces(found, prior_states, settings))


def _about(one: Containment, known: Mapping[str, Incident]) -> Iterator[str]:
    instance = one.instance_id
    wanted = sorted(one.holders | one.releasing_for)
    live = [incident for incident in wanted if incident in known and known[incident].state != "closed"]
    if not live:
        names = f": its incidents are closed ({', '.join(wanted)})" if wanted else ", and no incident says why"
        yield f"{instance} is {one.state} without an open incident{names}"
    if one.state == "containing" and 0 < one.untracked_at < time.time() - _two_steps() - BETWEEN_STEPS.total_seconds():
        yield left_open(instance)
    if one.state != "contained" and _since(one) >= UNDER_WAY:
        yield f"{instance} is {one.state} since {one.since}: it has not completed"


def _two_steps() -> int:
    settings = environment().containment
    return settings.two_step.seconds if settings is not None else 0


def _since(one: Containment) -> timedelta:
    try:
        return utc_now() - as_time(one.since)
    except RuleViolation:
        return UNDER_WAY


def _not_isolated(instance_id: str, quarantines: set[str], holders: Iterable[Incident]) -> Iterator[str]:
    if described(instance_id) is None:
        for incident in holders:
            if incidents.instance_state(incident) != "gone":
                incidents.record_terminated(incident, f"{instance_id} was terminated while it was contained")
        yield f"{instance_id} is contained, but terminated: release it to restore what remains"
        return
    for interface in as_interfaces(attached(instance_id)):
        if not set(interface.group_ids) <= quarantines:
            groups = ", ".join(interface.group_ids)
            yield f"{instance_id} is contained, but its interface {interface.id} is NOT isolated: it has {groups}"


def _without_record(found: Mapping[str, Containment], prior_states: Iterable[tuple[str, PriorState]]) -> Iterator[str]:
    """Report prior states that no release would restore."""
    lost: defaultdict[str, list[str]] = defaultdict(list)
    for instance_id, prior in prior_states:
        if instance_id in found and found[instance_id].generation == prior.generation:
            continue
        now = containments.get(instance_id)
        if now is None or not now.in_place or now.generation != prior.generation:
            lost[instance_id].append(change_name(prior.kind, prior.key))
    for instance_id, things in sorted(lost.items()):
        yield f"{instance_id} is not contained, but its prior state is not restored: {', '.join(sorted(things))}"


def _unexplained_interfaces(
    found: Mapping[str, Containment], prior_states: Iterable[tuple[str, PriorState]], settings: DeployedContainment
) -> Iterator[str]:
    """Report interfaces that are isolated, or open between two steps, without a record in the table."""
    ours = {group for one in settings.groups.values() for group in (one.quarantine, one.untrack) if group}
    waiting = {prior.key for _, prior in prior_states}
    for item in groups.members(ours):
        instance_id = item.get("Attachment", {}).get("InstanceId", "")
        # The listing is eventually consistent.
        if instance_id and (instance_id in found or _is_in_place(instance_id)):
            continue
        known = containments.prior_state(instance_id, "groups", item["NetworkInterfaceId"])
        if known is not None and known.lately:
            continue
        if item["NetworkInterfaceId"] in waiting:
            continue  # detached since it was isolated
        yield _unexplained(item, instance_id, known)


def _is_in_place(instance_id: str) -> bool:
    there = containments.get(instance_id)
    return there is not None and there.in_place


def _unexplained(item: dict[str, Any], instance_id: str, known: PriorState | None) -> str:
    has = ", ".join(group["GroupId"] for group in item["Groups"])
    had = f"; before its last containment it had {text_of(known.before)}" if known is not None else ""
    whose = f"{item['NetworkInterfaceId']} of {instance_id}" if instance_id else item["NetworkInterfaceId"]
    return f"{whose} has the group {has}, and no containment is recorded: restore its security groups{had}"
