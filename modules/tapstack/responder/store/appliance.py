"""The launched appliance, of which there is one at most: the incidents that use it, and the state of its stack.

States: absent, launching, ready, retiring, resuming. Every launch has a generation of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tapstack.domain.regions import AccountRegion
from tapstack.responder.environment import environment
from tapstack.responder.store import table
from tapstack.responder.store.keys import appliance_key, where_of


@dataclass(frozen=True, slots=True)
class Appliance:
    """The appliance as the table has it.

    Attributes:
        where: its account and Region.
        state: absent, launching, ready, retiring, or resuming: its instance was stopped, and is started again.
        generation: number of the launch; the first is the time.
        holders: the incidents that need it.
        launched_by: the incident it was launched for.
        stack_id: CloudFormation's id of its stack; none before it is known.
        target_id: traffic mirror target, once ready.
        filter_id: traffic mirror filter, once ready.
        portal_url: of the portal, once ready.
        source_interface: the interface that its stack mirrors itself; none without one.
        launched_at: when the launch began, in seconds of the epoch.
        released_at: when the last incident released it, in seconds of the epoch; 0 while it is held.
        released_by: the last holder.
        failed_generation: the last launch that failed; 0 when none did.
        failure: why.
        served: the incidents that released it since its launch.
        resumed: how often its retirement was given up, because an incident needed it.
    """

    where: AccountRegion
    state: str = "absent"
    generation: int = 0
    holders: frozenset[str] = frozenset()
    launched_by: str | None = None
    stack_id: str | None = None
    target_id: str | None = None
    filter_id: str | None = None
    portal_url: str | None = None
    source_interface: str | None = None
    launched_at: int = 0
    released_at: int = 0
    released_by: str | None = None
    failed_generation: int = 0
    failure: str = ""
    served: frozenset[str] = frozenset()
    resumed: int = 0

    @property
    def captured_for(self) -> frozenset[str]:
        """The incidents whose packets it has. Earlier versions recorded the first one and the last one only."""
        return self.served | {one for one in (self.launched_by, self.released_by) if one is not None}


def hold(incident_id: str, where: AccountRegion | None = None) -> Appliance | None:
    """Hold the appliance for an incident; None while it is being retired."""
    there = where or environment().home
    return _change(
        there,
        "ADD holders :incident SET account_id = :account, #region = :region, "
        "generation = if_not_exists(generation, :now), #state = if_not_exists(#state, :absent) "
        "REMOVE released_at, released_by",
        "attribute_not_exists(#state) OR #state <> :retiring",
        incident={incident_id},
        account=there.account_id,
        region=there.region,
        now=int(time.time()),
        absent="absent",
        retiring="retiring",
    )


def get(where: AccountRegion | None = None) -> Appliance:
    """Return the appliance as it is now."""
    item = table.read(appliance_key(where))
    return Appliance(where or environment().home) if item is None else _appliance(item)


def begin_launch(appliance: Appliance, incident_id: str, source_interface: str | None) -> Appliance | None:
    """Record that an incident launches it; None when another one does already."""
    return _change(
        appliance.where,
        "SET #state = :launching, launched_by = :incident, launched_at = :now, source_interface = :source "
        "REMOVE stack_id, target_id, filter_id, portal_url",
        "generation = :generation AND #state = :absent",
        generation=appliance.generation,
        launching="launching",
        absent="absent",
        now=int(time.time()),
        incident=incident_id,
        source=source_interface,
    )


def record_stack(appliance: Appliance, stack_id: str) -> Appliance | None:
    """Record which stack is being created."""
    return _change(
        appliance.where,
        "SET stack_id = :stack",
        "generation = :generation AND #state = :launching",
        generation=appliance.generation,
        launching="launching",
        stack=stack_id,
    )


def record_ready(appliance: Appliance, *, target_id: str, filter_id: str, portal_url: str | None) -> Appliance | None:
    """Record that the stack is complete, and its target, filter and portal."""
    return _change(
        appliance.where,
        "SET #state = :ready, target_id = :target, filter_id = :filter, portal_url = :portal",
        "generation = :generation AND #state IN (:launching, :ready)",
        generation=appliance.generation,
        launching="launching",
        ready="ready",
        target=target_id,
        filter=filter_id,
        portal=portal_url,
    )


def record_failure(appliance: Appliance, reason: str) -> None:
    """Record that the launch failed, for all incidents that wait for it; the next incident launches it again."""
    _change(
        appliance.where,
        "SET #state = :absent, failed_generation = :generation, failure = :reason, generation = generation + :one "
        "REMOVE holders, stack_id, served",
        "generation = :generation AND #state IN (:launching, :ready)",
        generation=appliance.generation,
        launching="launching",
        ready="ready",
        absent="absent",
        reason=reason,
        one=1,
    )


def record_lost(appliance: Appliance) -> None:
    """Record that the stack was deleted although incidents need it: the next call launches it again."""
    _change(
        appliance.where,
        "SET #state = :absent, generation = generation + :one "
        "REMOVE stack_id, target_id, filter_id, portal_url, served, resumed, deleting",
        "generation = :generation AND #state IN (:ready, :resuming)",
        generation=appliance.generation,
        ready="ready",
        resuming="resuming",
        absent="absent",
        one=1,
    )


def release(incident_ids: Iterable[str], where: AccountRegion | None = None) -> Appliance:
    """Release it for these incidents; return it afterwards."""
    leaving = sorted(set(incident_ids))
    there = where or environment().home
    left = _change(
        there, "DELETE holders :incidents ADD served :incidents", "attribute_exists(#state)", incidents=set(leaving)
    )
    if left is None:
        return Appliance(there)
    if left.holders or left.released_at:
        return left
    return _change(
        there,
        "SET released_at = :now, released_by = :incident",
        "attribute_not_exists(holders) AND attribute_not_exists(released_at)",
        now=int(time.time()),
        incident=leaving[-1],
    ) or get(there)


def begin_retirement(appliance: Appliance) -> Appliance | None:
    """Begin to retire it; None when an incident needs it again."""
    return _change(
        appliance.where,
        "SET #state = :retiring",
        "generation = :generation AND #state IN (:launching, :ready, :retiring, :resuming) "
        "AND attribute_not_exists(holders)",
        generation=appliance.generation,
        launching="launching",
        ready="ready",
        retiring="retiring",
        resuming="resuming",
    )


def begin_deletion(appliance: Appliance) -> Appliance | None:
    """Record that its stack is about to be deleted; None where its retirement was given up since it was read."""
    return _change(
        appliance.where,
        "SET deleting = :yes",
        "generation = :generation AND #state = :retiring",
        generation=appliance.generation,
        retiring="retiring",
        yes=True,
    )


def resume(appliance: Appliance, incident_id: str) -> Appliance | None:
    """Give up its retirement for an incident, which holds it then; None where its deletion may have begun."""
    return _change(
        appliance.where,
        "ADD holders :incident SET #state = :resuming, resumed = if_not_exists(resumed, :none) + :one "
        "REMOVE released_at, released_by",
        "generation = :generation AND #state = :retiring AND attribute_not_exists(deleting)",
        generation=appliance.generation,
        incident={incident_id},
        resuming="resuming",
        retiring="retiring",
        none=0,
        one=1,
    )


def record_resumed(appliance: Appliance) -> Appliance | None:
    """Record that its instance runs again."""
    return _change(
        appliance.where,
        "SET #state = :ready",
        "generation = :generation AND #state = :resuming",
        generation=appliance.generation,
        ready="ready",
        resuming="resuming",
    )


def record_gone(appliance: Appliance) -> None:
    """Record that its stack is deleted."""
    _change(
        appliance.where,
        "SET #state = :absent, generation = generation + :one "
        "REMOVE stack_id, target_id, filter_id, portal_url, source_interface, launched_by, "
        "released_at, released_by, served, resumed, deleting",
        "generation = :generation AND #state = :retiring",
        generation=appliance.generation,
        retiring="retiring",
        absent="absent",
        one=1,
    )


def _change(where: AccountRegion, update: str, condition: str, **values: Any) -> Appliance | None:
    names = {name: name for name in ("state", "region") if f"#{name}" in update + condition}
    item = table.change(appliance_key(where), update, condition=condition, values=values, names=names)
    return None if item is None else _appliance(item)


def _appliance(item: dict[str, Any]) -> Appliance:
    sets: dict[str, Any] = {name: frozenset(item.get(name, ())) for name in ("holders", "served")}
    known = {name: item[name] for name in Appliance.__slots__ if name in item and name not in sets}
    return Appliance(where_of(item), **known, **sets)
