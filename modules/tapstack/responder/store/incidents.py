"""Incidents in the table: opened once, changed on conditions, each with a timeline."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from tapstack.domain.appliance_settings import DeployedLaunch
from tapstack.domain.containment_settings import ContainmentState, Mode
from tapstack.domain.incident_events import Occurrence, failed_or_refused, recorded
from tapstack.domain.incidents import (
    Because,
    InstanceState,
    OpenRequest,
    Source,
    State,
    as_text,
    as_time,
    can_be_extended,
    expiry,
    is_before_capture,
    may_become,
    new_id,
    utc_now,
)
from tapstack.domain.regions import AccountRegion
from tapstack.domain.table_names import (
    CLOSED,
    EVENT,
    LISTING,
    NOTIFICATION,
    OPEN,
    OPENED_AT,
    PARTITION_KEY,
    SORT_KEY,
    TTL,
)
from tapstack.responder.aws.parallel import each
from tapstack.responder.environment import environment
from tapstack.responder.errors import UnknownIncident
from tapstack.responder.store import lifetimes, table
from tapstack.responder.store.items import pack, pack_item
from tapstack.responder.store.keys import event_key, incident_key, instance_key
from tapstack.responder.store.records import (
    PUBLIC,
    Incident,
    IncidentAppliance,
    IncidentContainment,
    IncidentInterface,
    StoredPackets,
    incident_of,
    public,
)

__all__ = ["PUBLIC", "Incident", "IncidentAppliance", "IncidentContainment", "IncidentInterface", "StoredPackets"]

ONGOING_CONTAINMENT: Final[tuple[ContainmentState, ...]] = ("pending", "containing", "releasing")
"""States of a containment in which an execution runs."""
_UNCONTAINED: Final[tuple[ContainmentState | None, ...]] = (None, "rejected", "released", "failed")
WANTED_CONTAINMENT: Final[tuple[ContainmentState, ...]] = ("containing", "contained")
"""States of a containment in which its incident holds the instance contained."""


def new(
    request: OpenRequest,
    *,
    source: Source,
    opened_by: str,
    techniques: Sequence[str] = (),
    tactics: Sequence[str] = (),
) -> Incident:
    """Return a new incident, which is not in the table yet.

    Args:
        request: that opens it.
        source: by which way it came.
        opened_by: who sent it.
        techniques: of MITRE ATT&CK.
        tactics: likewise, by their names in one word.
    """
    now = utc_now()
    return Incident(
        id=new_id(now),
        where=environment().home,
        state="opening",
        reason=request.reason,
        minutes=request.minutes,
        source=source,
        opened_by=opened_by,
        opened_at=as_text(now),
        expires_at=as_text(expiry(now, request.minutes)),
        severity=request.severity,
        techniques=tuple(techniques),
        tactics=tuple(tactics),
        alert_id=request.alert_id,
        instance_id=request.instance_id,
        network_interface_ids=request.network_interface_ids,
        kept_until=lifetimes.of_belongings(),
    )


def get(incident_id: str) -> Incident:
    """Return an incident as it is now.

    Raises:
        UnknownIncident: there is none of that id.
    """
    if (found := read(incident_id)) is None:
        raise UnknownIncident(f"there is no incident {incident_id}")
    return found


def read(incident_id: str) -> Incident | None:
    """Return an incident as it is now; None where there is none of that id."""
    found = table.read(incident_key(incident_id))
    return None if found is None else incident_of(found)


def get_all(incident_ids: Iterable[str]) -> dict[str, Incident]:
    """Return those of many incidents that exist, by id."""
    found = table.read_all([incident_key(incident_id) for incident_id in sorted(set(incident_ids))])
    return {item["id"]: incident_of(item) for item in found}


def extend(incident: Incident, until: str, minutes: int | None = None) -> Incident | None:
    """Set a later end of a capture; None where others have changed or closed the incident since it was read.

    Args:
        incident: which.
        until: the end.
        minutes: how long it captures from when mirroring starts; by default as long as before.
    """
    return changed(
        incident.id,
        "SET expires_at = :until, minutes = :minutes",
        condition="expires_at = :before AND minutes = :minutes_before AND close_requested = :no AND #state = :state",
        until=until,
        minutes=incident.minutes if minutes is None else minutes,
        before=incident.expires_at,
        minutes_before=incident.minutes,
        no=False,
        state=incident.state,
    )


def request_close(incident_id: str) -> Incident | None:
    """Record that closing was requested; None where there is no incident of that id."""
    return changed(
        incident_id,
        "SET close_requested = :yes, close_requested_at = if_not_exists(close_requested_at, :now)",
        yes=True,
        now=as_text(utc_now()),
    )


def note_wait(incident_id: str) -> None:
    """Record that the workflow waits once more; the token of its last wait is of no use any more."""
    changed(incident_id, "SET waits = if_not_exists(waits, :nought) + :one REMOVE #token", nought=0, one=1)


def store_token(incident_id: str, token: str) -> bool:
    """Store the token of the waiting task; False where the incident is to close: there is nothing to wait for."""
    stored = changed(incident_id, "SET #token = :token", condition="close_requested = :no", token=token, no=False)
    return stored is not None


_INTERFACES: Final = "interfaces = :interfaces, interfaces_written = if_not_exists(interfaces_written, :nought) + :one"
"""Every writing of the interfaces is counted."""


def _written(interfaces: Iterable[IncidentInterface]) -> dict[str, Any]:
    return {"interfaces": [one.as_item() for one in interfaces], "nought": 0, "one": 1}


def _as_read(incident: Incident) -> tuple[str, dict[str, Any]]:
    """Return the condition, and its values, that nothing has written the interfaces of an incident since it was read.

    Nor has its state changed.
    """
    before = incident.interfaces_written
    unwritten = "interfaces_written = :before" if before else "attribute_not_exists(interfaces_written)"
    return f"#state = :state AND {unwritten}", {"state": incident.state, **({"before": before} if before else {})}


def record_interfaces(
    incident: Incident,
    interfaces: Iterable[IncidentInterface],
    places: Mapping[str, Any] | None = None,
    attached: Iterable[str] = (),
    unnotified: Iterable[str] = (),
) -> Incident | None:
    """Record the states of the interfaces of an incident; return the incident afterwards.

    None where they were written, or its state has changed, since it was read.

    Args:
        incident: which.
        interfaces: all of them.
        places: VPC and addresses of those that are new, by id.
        attached: ids of those that were attached later: operators are to be notified of them.
        unnotified: of what else they are to be notified, as `capture.repair` has it.
    """
    condition, values = _as_read(incident)
    update = f"SET {_INTERFACES}"
    if places:
        update, values = f"{update}, places = :places", {**values, "places": {**incident.places, **places}}
    added: dict[str, Any] = {
        name: set(given) for name, given in (("attached", attached), ("unnotified", unnotified)) if given
    }
    if added:
        update = f"{update} ADD {', '.join(f'{name} :{name}' for name in added)}"
    return changed(incident.id, update, condition=condition, **_written(interfaces), **values, **added)


def record_ended(incident_id: str, interfaces: Iterable[IncidentInterface]) -> None:
    """Record the states of the interfaces of an incident that is closing."""
    changed(incident_id, f"SET {_INTERFACES}", **_written(interfaces))


def displaced(incident: Incident, interface: IncidentInterface, said: str) -> list[dict[str, Any]]:
    """Return for a transaction that an interface gives its place at the mirror target to a more severe incident.

    On condition that nothing has written the interfaces of its incident since it was read.

    Args:
        incident: which loses the place.
        interface: its entry from now on.
        said: for its timeline, and for the notification.
    """
    condition, values = _as_read(incident)
    named = interface.network_interface_id
    entries = [interface if one.network_interface_id == named else one for one in incident.interfaces]
    write = update(
        incident.id,
        f"SET {_INTERFACES}, in_place = :left, displacements = list_append(if_not_exists(displacements, :none), :said)",
        f"{condition} AND close_requested = :no",
        **_written(entries),
        **values,
        left=[line for line in incident.in_place if named not in line],
        none=[],
        said=[said],
        no=False,
    )
    return [write, event(incident.id, "capture", "place given", said)]


def took_places(incident: Incident, of: Iterable[str], said: str) -> list[dict[str, Any]]:
    """Return for a transaction that an incident takes the place of an interface of others at the mirror target."""
    write = update(incident.id, "ADD displaced :these", "attribute_exists(pk)", these=set(of))
    return [write, event(incident.id, "capture", "place taken", said)]


def record_attached(incident_id: str, interface_ids: Collection[str], said: str) -> None:
    """Record that operators were notified of interfaces that were attached, with an entry in the timeline."""
    named: dict[str, Any] = {f"eni{number}": eni for number, eni in enumerate(sorted(interface_ids))}
    write = update(
        incident_id,
        "DELETE attached :these",
        # Of two sweeps at once, one makes the entry.
        " AND ".join(f"contains(attached, :{name})" for name in named),
        these=set(interface_ids),
        **named,
    )
    table.write_together([write, event(incident_id, "sweeper", "interface attached", said)])


def owe_notice(incident_id: str, notice: str) -> None:
    """Record that operators are to be notified of what is about to be repaired, as `capture.repair` has it."""
    changed(incident_id, "ADD unnotified :these", these={notice})


def drop_notice(incident_id: str, notice: str) -> None:
    """Record that there is nothing to notify of: it could not be repaired."""
    changed(incident_id, "DELETE unnotified :these", these={notice})


def record_notified(incident_id: str, notice: str, what: str, said: str) -> None:
    """Record that operators were notified of what was repaired, with an entry in the timeline."""
    # Of two sweeps at once, one makes the entry.
    write = update(incident_id, "DELETE unnotified :these", "contains(unnotified, :this)", these={notice}, this=notice)
    table.write_together([write, event(incident_id, "sweeper", what, said)])


def record_instance_state(incident: Incident, now: str, said: str | None, once: str) -> bool:
    """Record the state of an incident's instance; False where it was closed, or this was recorded, since it was read.

    Args:
        incident: which.
        now: the state.
        said: what the timeline says of the change, and operators are to be notified of; None where the state was not
            known before.
        once: the mark of that notification.
    """
    before = incident.instance_state
    known: dict[str, Any] = {} if before is None else {"before": before}
    notice: dict[str, Any] = {} if said is None else {"notice": {"said": said, "once": once}}
    write = update(
        incident.id,
        "SET instance_state = :now" + ("" if said is None else ", instance_notice = :notice"),
        "#state = :capturing AND "
        + ("attribute_not_exists(instance_state)" if before is None else "instance_state = :before"),
        now=now,
        capturing="capturing",
        **known,
        **notice,
    )
    entry = [] if said is None else [event(incident.id, "sweeper", "instance changed", said)]
    return table.write_together([write, *entry])


def instance_notified(incident: Incident) -> None:
    """Record that operators were notified of the last change of the state of an incident's instance."""
    changed(
        incident.id,
        "REMOVE instance_notice",
        condition="instance_notice = :notice",
        notice=dict(incident.instance_notice or {}),
    )


def record_gone(incident_id: str) -> None:
    """Record that the instance of an incident does not exist, or not any more."""
    changed(incident_id, "SET instance_gone = :yes", yes=True)


def record_terminated(incident: Incident, said: str) -> bool:
    """Record that the instance of an incident, open or closed, was terminated; False where that is recorded already.

    Args:
        incident: which.
        said: what the timeline says.
    """
    write = update(incident.id, "SET instance_gone = :yes", "attribute_not_exists(instance_gone)", yes=True)
    return table.write_together([write, event(incident.id, "sweeper", "instance changed", said)])


def record_prepared(
    incident_id: str,
    interfaces: Iterable[IncidentInterface],
    source: tuple[str | None, int | None],
    places: Mapping[str, Any],
) -> None:
    """Record which interfaces an incident has.

    Args:
        incident_id: which.
        interfaces: all of them.
        source: interface and session number that the stack of a launched appliance mirrors itself.
        places: VPC and addresses of the interfaces, by id.
    """
    changed(
        incident_id,
        f"SET {_INTERFACES}, places = :places, source_interface = :source, source_number = :number",
        **_written(interfaces),
        places=dict(places),
        source=source[0],
        number=source[1],
    )


def record_appliance(incident: Incident, appliance: IncidentAppliance) -> Incident:
    """Record which appliance receives the packets of an incident; return the incident with it."""
    if incident.appliance == appliance:
        return incident
    changed(incident.id, "SET appliance = :appliance", appliance=appliance.as_dict())
    return replace(incident, appliance=appliance)


def record_stored_packets(incident_id: str, packets: StoredPackets, *, instead_of: str | None = None) -> None:
    """Record where the packets are that a launched appliance captured for an incident.

    Args:
        incident_id: which; where it is deleted already, nothing is recorded.
        packets: where they are.
        instead_of: only where those are recorded that are kept until then.
    """
    given: dict[str, Any] = {} if instead_of is None else {"before": instead_of}
    condition = "stored_packets.#until = :before" if given else None
    changed(incident_id, "SET stored_packets = :packets", condition=condition, packets=packets.as_dict(), **given)


def wait_for_launch(incident: Incident, generation: int) -> None:
    """Record that an incident waits for the appliance, and of which launch that is."""
    if incident.waits_for_launch != generation:
        changed(incident.id, "SET waits_for_launch = :generation", generation=generation)


def mark_emitted(incident_id: str, emitted: Iterable[str]) -> None:
    """Record that some of what happened to an incident was emitted."""
    changed(incident_id, "DELETE owed :emitted", emitted=set(emitted))


def with_unemitted() -> Iterator[Incident]:
    """Yield the incidents, open or closed, of which something is not emitted yet; eventually consistent."""
    for listing in (OPEN, CLOSED):
        yield from map(incident_of, table.listed(listing, FilterExpression="attribute_exists(owed)"))


def closed_and_kept_longer() -> Iterator[Incident]:
    """Yield the closed incidents that are not deleted yet, or later than their timeline; eventually consistent."""
    later = "attribute_not_exists(#ttl) OR kept_until < #ttl"
    found = table.listed(CLOSED, FilterExpression=later, ExpressionAttributeNames={"#ttl": TTL})
    yield from map(incident_of, found)


def record_closed(incident: Incident, because: Because, closed_at: str, ttl: int | None) -> None:
    """Close an incident, with an entry in its timeline; it is no longer listed as one of its instance.

    Args:
        incident: which.
        because: why.
        closed_at: when.
        ttl: when it is deleted, in seconds of the epoch; None where it is kept.
    """
    transition(
        incident.id,
        "closed",
        by="incident",
        detail=because,
        sets={
            "closed_because": because,
            "closed_at": closed_at,
            LISTING: CLOSED,
            **({} if ttl is None else {"ttl": ttl}),
            "in_place": [],
            "undo": None,
        },
        remove=("token",),
        occurrences=[Occurrence("closed", detail=because)],
        besides=[] if incident.instance_id is None else [_no_longer_listed(incident)],
    )


def _no_longer_listed(incident: Incident) -> dict[str, Any]:
    return table.part(
        instance_key(incident.named_instance_id, incident.where),
        # An incident that an earlier version opened is not listed, and its instance may have no item yet.
        "SET #ttl = if_not_exists(#ttl, :ttl) DELETE open_incidents :this",
        "",
        {"ttl": lifetimes.after(lifetimes.UNUSED), "this": {incident.id}},
        _names("#ttl"),
    )


def released_before_change(incident: Incident, at: str) -> dict[str, Any]:
    """Return a write for a transaction: the instance of an incident was released before it was contained."""
    return table.part(
        instance_key(incident.named_instance_id, incident.where),
        "SET released_at = :at, #ttl = :ttl, instance_id = :instance, account_id = :account, #region = :region",
        "",
        {
            "at": at,
            "ttl": lifetimes.after(lifetimes.UNUSED),
            "instance": incident.named_instance_id,
            "account": incident.where.account_id,
            "region": incident.where.region,
        },
        {"ttl": "ttl", "region": "region"},
    )


def last_release_before_change(instance_id: str, where: AccountRegion) -> str | None:
    """Return when an instance was released last before it was contained; None where it was not."""
    released_at: str | None = (table.read(instance_key(instance_id, where)) or {}).get("released_at")
    return released_at


def record_failed(incident: Incident, detail: str, *, in_place: Sequence[str], undo: str) -> Incident:
    """Record that an execution of an incident failed, with an entry in its timeline; return the incident afterwards.

    Args:
        incident: which.
        detail: why.
        in_place: the resources that remain.
        undo: the command that deletes them.
    """
    transition(
        incident.id,
        "failed",
        by="incident",
        detail=detail,
        sets={
            "in_place": list(in_place),
            "undo": undo,
            "closed_because": "failed",
            "failed_executions": len(incident.execution_arns),
            "failed_at": as_text(utc_now()),
        },
        remove=("token",),
        occurrences=[failed_or_refused("capture", detail, refused=False)],
    )
    return get(incident.id)


def expire(incident: Incident, at: int | None) -> Incident | None:
    """Let a closed incident be deleted at a time, or never; None where its containment has changed since it was read.

    Args:
        incident: which.
        at: in seconds of the epoch; None to keep it.
    """
    state = incident.containment_state
    values: dict[str, Any] = {} if at is None else {"ttl": at}
    if state:
        values["state"] = state
    return changed(
        incident.id,
        "REMOVE #ttl" if at is None else "SET #ttl = :ttl",
        condition="containment.#state = :state" if state else "attribute_not_exists(containment.#state)",
        **values,
    )


def changed(
    incident_id: str,
    update: str,
    *,
    condition: str | None = None,
    occurrences: Iterable[Occurrence] = (),
    **values: Any,
) -> Incident | None:
    """Change an incident and return it; None when the condition does not hold. For the store alone.

    Args:
        incident_id: which; it must exist.
        update: DynamoDB's update expression; `#state` and `#token` stand for those attributes.
        condition: DynamoDB's condition expression.
        occurrences: what happens with that, to be emitted; the update has no ADD of its own then.
        **values: of both.
    """
    update, values = _recording(update, occurrences, values)
    both = "attribute_exists(pk)" + (f" AND ({condition})" if condition else "")
    item = table.change(
        incident_key(incident_id), update, condition=both, values=values, names=_names(f"{update} {both}")
    )
    return None if item is None else incident_of(item)


def check(incident_id: str, condition: str, **values: Any) -> dict[str, Any]:
    """Return a check of an incident for a transaction; names as in `changed`."""
    return table.part(incident_key(incident_id), None, condition, values, _names(condition))


def update(
    incident_id: str, update: str, condition: str, *, occurrences: Iterable[Occurrence] = (), **values: Any
) -> dict[str, Any]:
    """Return an update of an incident for a transaction; names, and `occurrences`, as in `changed`."""
    update, values = _recording(update, occurrences, values)
    return table.part(incident_key(incident_id), update, condition, values, _names(f"{update} {condition}"))


def transition(
    incident_id: str,
    state: State,
    *,
    by: str,
    what: str | None = None,
    detail: str = "",
    sets: Mapping[str, Any] | None = None,
    remove: Sequence[str] = (),
    occurrences: Iterable[Occurrence] = (),
    besides: Sequence[dict[str, Any]] = (),
) -> bool:
    """Change the state of an incident, with an entry in its timeline; return whether this call changed it.

    Args:
        incident_id: which.
        state: the new one.
        by: the caller, or the step.
        what: for the timeline; the state by default.
        detail: for the timeline.
        sets: further attributes to set.
        remove: attributes to remove.
        occurrences: what happens with that, to be emitted.
        besides: what else is written in the same transaction.
    """
    given = {"state": state, **(sets or {})}
    before = [name for name in may_become(state) if name != state]
    values = {f"v{n}": value for n, value in enumerate(given.values())}
    update = "SET " + ", ".join(f"#n{n} = :v{n}" for n in range(len(given)))
    if remove:
        update += " REMOVE " + ", ".join(f"#r{n}" for n in range(len(remove)))
    names = {f"n{n}": name for n, name in enumerate(given)} | {f"r{n}": name for n, name in enumerate(remove)}
    condition = "attribute_exists(pk) AND #n0 IN (" + ", ".join(f":s{n}" for n in range(len(before))) + ")"
    values |= {f"s{n}": name for n, name in enumerate(before)}
    update, values = _recording(update, occurrences, values)
    write = table.part(incident_key(incident_id), update, condition, values, names)
    return table.write_together([write, event(incident_id, by, what or state, detail), *besides])


def _recording(update: str, occurrences: Iterable[Occurrence], values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return an update, and its values, with what happens by it."""
    happened = recorded(occurrences)
    return (f"{update} ADD owed :happened", {**values, "happened": happened}) if happened else (update, values)


def add_event(incident_id: str, by: str, what: str, detail: str = "") -> None:
    """Add an entry to an incident's timeline."""
    table.write_together([event(incident_id, by, what, detail)])


def keep_belongings(incident: Incident, *, needed: int, until: int) -> None:
    """Keep the timeline of an incident, and the marks of its notifications.

    What is kept long enough is not written again, so that a call continues one that was killed.

    Args:
        incident: which.
        needed: until when they must be kept, in seconds of the epoch.
        until: until when those are kept that would go before that, likewise; not earlier.
    """
    key = incident_key(incident.id)
    found = [one for beginning in (EVENT, NOTIFICATION) for one in table.beginning_with(key, beginning)]
    kept = [one[TTL] for one in found if one.get(TTL, 0) >= needed]
    each(lambda one: _keep(one, until), [one for one in found if one.get(TTL, 0) < needed])
    changed(incident.id, "SET kept_until = :until", until=min([until, *kept]))


def _keep(item: Mapping[str, Any], until: int) -> None:
    table.change(
        {name: pack(item[name]) for name in (PARTITION_KEY, SORT_KEY)},
        "SET #ttl = :until",
        # DynamoDB may delete it meanwhile.
        condition="attribute_exists(pk) AND (attribute_not_exists(#ttl) OR #ttl < :until)",
        values={"until": until},
        names=_names("#ttl"),
    )


def timeline(incident_id: str) -> list[dict[str, str]]:
    """Return an incident's timeline, oldest entry first."""
    items = table.beginning_with(incident_key(incident_id), EVENT)
    return [{name: item[name] for name in ("at", "by", "what", "detail")} for item in items]


def listed(listing: str) -> Iterator[Incident]:
    """Yield the incidents of a listing, newest first; eventually consistent."""
    yield from map(incident_of, table.listed(listing, ScanIndexForward=False))


def with_ongoing_containment() -> Iterator[Incident]:
    """Yield the incidents, open or closed, whose containment is in progress; eventually consistent."""
    for listing in (OPEN, CLOSED):
        found = table.listed(
            listing,
            FilterExpression=f"containment.#state IN ({', '.join(f':{state}' for state in ONGOING_CONTAINMENT)})",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={f":{state}": pack(state) for state in ONGOING_CONTAINMENT},
        )
        yield from map(incident_of, found)


def page(listing: str, limit: int, after: tuple[str, str] | None) -> tuple[list[Incident], tuple[str, str] | None]:
    """Return some incidents of a listing, newest first, and where the next page begins.

    Args:
        listing: `open` or `closed`.
        limit: how many at most.
        after: opening time and id of the last incident of the page before.
    """
    start: dict[str, Any] = {}
    if after is not None:
        opened_at, incident_id = after
        key = {**incident_key(incident_id), LISTING: pack(listing), OPENED_AT: pack(opened_at)}
        start = {"ExclusiveStartKey": key}
    incidents: list[Incident] = []
    for item in table.listed(listing, ScanIndexForward=False, **start):
        if len(incidents) == limit:
            last = incidents[-1]
            return incidents, (last.opened_at, last.id)
        incidents.append(incident_of(item))
    return incidents, None


def shown(incident: Incident) -> dict[str, Any]:
    """Return what operators and subscribers see of an incident."""
    latest = latest_end(incident) if can_be_extended(incident.state) and not incident.close_requested else None
    return {
        **public(incident),
        "appliance": None if (appliance := appliance_now(incident)) is None else appliance.as_dict(),
        "instance_state": instance_state(incident),
        "stored_packets": stored_packets(incident),
        "containment_modes": containment_modes(incident),
        "containment_failed_in_part": incident.failed_in_part,
        "containment_wait_seconds": containment_wait(incident),
        "extendable_until": latest,
    }


def instance_state(incident: Incident) -> InstanceState | None:
    """Return the state of an incident's instance, as it was seen last; None where it is not known."""
    if incident.instance_gone or incident.instance_state == "terminated":
        return "gone"
    if incident.instance_state is None:
        return None
    return "stopped" if incident.instance_state == "stopped" else "running"


def appliance_now(incident: Incident) -> IncidentAppliance | None:
    """Return the appliance of an incident as it is now: a launched one does not run once its packets are kept, or lost.

    Its stack may still exist then: `record_gone_appliance` says when it does not.
    """
    appliance, packets = incident.appliance, incident.stored_packets
    if appliance is None or packets is None or packets.state == "appliance":
        return appliance
    return replace(appliance, state="gone" if appliance.state == "gone" else "retiring", portal_url=None)


def record_gone_appliance(incident_ids: Iterable[str], generation: int) -> None:
    """Record in the incidents that used a launched appliance that its stack is deleted.

    Args:
        incident_ids: which; those that are deleted already, or use a later launch, are left out.
        generation: of the launch.
    """
    for incident_id in sorted(incident_ids):
        incident = read(incident_id)
        appliance = incident.appliance if incident is not None else None
        if incident is None or appliance is None or not appliance.launched_by_us:
            continue
        if appliance.generation in (generation, None):
            record_appliance(incident, replace(appliance, state="gone"))


def keep_days() -> int | None:
    """Return for how many days snapshots of a launched appliance are kept; None where none are taken."""
    settings = environment().appliance
    snapshots = settings.snapshots if isinstance(settings, DeployedLaunch) else None
    return snapshots.keep_days if snapshots else None


def stored_packets(incident: Incident) -> dict[str, Any] | None:
    """Return what the API says of where packets are; None with an existing appliance, or before a launch."""
    appliance, found = incident.appliance, incident.stored_packets
    if found is None and appliance is not None and appliance.launched_by_us:
        if appliance.state in ("launching", "failed"):
            return None
        # An appliance that was retired without snapshots took them with it: so did earlier versions.
        found = StoredPackets("lost" if appliance.state == "gone" else "appliance")
    return None if found is None else {**found.as_dict(), "keep_days": keep_days()}


def containment_modes(incident: Incident) -> list[Mode]:
    """Return in which modes the instance of an incident can be contained now; none where it cannot be.

    Contained already, it can be contained again, for what is not isolated, after the incident is closed, too; and so
    can one that failed in part. While it waits for packets, `now` ends that wait.
    """
    settings, state = environment().containment, incident.containment_state
    if settings is None or not incident.instance_id or incident.instance_gone:
        return []
    if incident.waits_for_packets:
        return [mode for mode in settings.modes if mode == "now"]
    if state == "contained" or incident.failed_in_part or (state in _UNCONTAINED and is_open(incident)):
        return list(settings.modes)
    return []


def containment_wait(incident: Incident) -> int | None:
    """Return how many seconds a containment that is decided now waits for packets at most; None where it does not."""
    settings = environment().containment
    how = settings.wait_for_packets if settings is not None else None
    if how is None or not incident.instance_id or not can_be_extended(incident.state) or incident.close_requested:
        return None
    if incident.state == "capturing" and not incident.in_state("mirrored"):
        # There are none to wait for.
        return None
    seen = incident.packets is not None and incident.packets.state == "packets seen"
    return None if seen else how.at_most_seconds


def is_open(incident: Incident) -> bool:
    """Return whether an incident is neither closed nor closing: alerts can join it, and containment be requested."""
    return not incident.close_requested and (can_be_extended(incident.state) or incident.state == "failed")


def ended_at(incident: Incident) -> str | None:
    """Return from when an incident captures nothing new: it failed, was to close, or is closed; None where it captures.

    An earlier version did not record when it failed, or was to close: then it is when its time is over.
    """
    if can_be_extended(incident.state) and not incident.close_requested:
        return None
    known = [incident.failed_at, incident.close_requested_at, incident.closed_at]
    return min((moment for moment in known if moment is not None), default=incident.expires_at)


def lengthened(incident: Incident, minutes: int) -> tuple[str, int] | None:
    """Return end and minutes of a capture that lasts so long from now; None where that makes it no longer.

    Before mirroring starts, what counts is how long it lasts from then, and the end is an estimate.
    """
    until = as_text(expiry(utc_now(), minutes))
    if is_before_capture(incident.state):
        return (max(until, incident.expires_at), minutes) if minutes > incident.minutes else None
    return (until, incident.minutes) if until > incident.expires_at else None


def latest_end(incident: Incident) -> str:
    """Return when a capture ends at the latest, extensions included; before mirroring starts, an estimate."""
    # An earlier version did not record since when packets are mirrored.
    began = incident.packets.since if incident.packets is not None else incident.opened_at
    return as_text(expiry(as_time(began), environment().capture.max_minutes))


def add_execution(incident_id: str, execution_arn: str) -> None:
    """Note that an execution of the workflow was started for an incident; the newest one counts."""
    changed(incident_id, "SET execution_arn = :arn ADD execution_arns :arns", arn=execution_arn, arns={execution_arn})


def _names(text: str) -> dict[str, str]:
    return {name: name for name in ("state", "token", "ttl", "until") if f"#{name}" in text}


def event(incident_id: str, by: str, what: str, detail: str) -> dict[str, Any]:
    """Return an entry of an incident's timeline for a transaction."""
    now = datetime.now(UTC)
    # Entries of one transaction stay in their order. Two of one microsecond must not be one.
    sort = f"{now:%Y-%m-%dT%H:%M:%S.%f}Z#{secrets.token_hex(3)}"
    entry = {"at": as_text(now), "by": by, "what": what, "detail": detail, "ttl": lifetimes.of_belongings()}
    return table.put({**event_key(incident_id, sort), **pack_item(entry)})
