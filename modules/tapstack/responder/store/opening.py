"""Incidents that are opened, once for each request, and requests that join one that is open about their instance.

The key of a request names its incident. An item of an instance lists the incidents that are open about it: an alert
opens one on condition that the list is as it was read, so that of two alerts at once only one opens an incident.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tapstack.domain.alerts import GUARDDUTY
from tapstack.domain.callers import without_session
from tapstack.domain.incident_events import Occurrence, decided
from tapstack.domain.incidents import API, Severity, Source
from tapstack.domain.regions import AccountRegion
from tapstack.responder.store import incidents, lifetimes, requests, table
from tapstack.responder.store.items import pack_item
from tapstack.responder.store.keys import incident_key, instance_key, request_key, unscoped_request_key
from tapstack.responder.store.records import Incident, IncidentContainment, new_item


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What a request is known by when it is sent again.

    Attributes:
        kind: of key.
        value: what the caller sent.
        scope: within which the value is unique; another scope's same value is another key.
        fingerprint: of the request.
    """

    kind: Literal["idempotency-key", "alert"]
    value: str
    scope: tuple[str, ...]
    fingerprint: str

    def is_of(self, incident: Incident) -> bool:
        """Return whether a key that an earlier version wrote, which had no scope, is this one: its incident says so."""
        if self.kind == "alert":
            return self.scope == alert_scope(incident.source, incident.where, incident.instance_id)
        return self.scope == caller_scope(incident.opened_by)


def alert_scope(source: Source, where: AccountRegion, instance_id: str | None) -> tuple[str, ...]:
    """Return within what the id of an alert is unique: nothing that the API is sent stands for what a policy decides.

    Alerts that a policy decides about share a scope, whichever way they come: a GuardDuty finding is the same one by
    Security Hub, and the ids of other sources begin with the source's name. Such an alert may be about several
    instances, each with an incident. The API refuses an alert id for another instance.
    """
    if source == API:
        return (source, where.account_id, where.region)
    return (GUARDDUTY, where.account_id, where.region, *([instance_id] if instance_id is not None else ()))


def caller_scope(caller: str) -> tuple[str, ...]:
    """Return within what an Idempotency-Key is unique: its caller.

    The sessions of a role are one caller: a program that sends a request again may have another session by then.
    """
    return (without_session(caller),)


@dataclass(frozen=True, slots=True)
class Known:
    """What the table has of a key.

    Attributes:
        incident_id: that it names.
        incident: of that id; none where it was deleted.
        fingerprint: of the request that it was sent with.
    """

    incident_id: str
    incident: Incident | None
    fingerprint: str


def find(key: RequestKey) -> Known | None:
    """Return what the table has of a key; None where it is not kept, or not any more."""
    if (known := _read(request_key(key.kind, key.scope, key.value))) is not None:
        return known
    before = _read(unscoped_request_key(key.kind, key.value))
    return before if before is not None and before.incident is not None and key.is_of(before.incident) else None


def knows_alert(alert_id: str, where: AccountRegion, instance_id: str) -> bool:
    """Return whether an alert that a policy decides about has an incident of an instance, or had one lately."""
    return _read(request_key("alert", alert_scope(GUARDDUTY, where, instance_id), alert_id)) is not None


def _read(key: dict[str, Any]) -> Known | None:
    item = table.read(key)
    if item is None or item["ttl"] < lifetimes.now():
        return None
    return Known(item["incident_id"], incidents.read(item["incident_id"]), item["fingerprint"])


@dataclass(frozen=True, slots=True)
class OfInstance:
    """The incidents that are open about an instance.

    Attributes:
        listed: their ids, as the instance's item has them; some may be closing.
        incidents: the oldest first.
    """

    listed: frozenset[str]
    incidents: tuple[Incident, ...]

    @property
    def failed(self) -> frozenset[str]:
        """Those that failed, and are not closing."""
        return frozenset(one.id for one in self.incidents if one.state == "failed" and incidents.is_open(one))


def of_instance(instance_id: str, where: AccountRegion) -> OfInstance:
    """Return the incidents that are open about an instance, in its account and Region."""
    item = table.read(instance_key(instance_id, where)) or {}
    listed = frozenset(item.get("open_incidents", ()))
    return OfInstance(listed, _read_all(listed))


def unlisted(instance_id: str, where: AccountRegion, listed: Collection[str]) -> tuple[Incident, ...]:
    """Return the incidents that are open about an instance and that its item does not list, the oldest first.

    An earlier version opened such. They are found by a listing, which is eventually consistent.
    """
    found = {one.id for one in incidents.listed("open") if (one.instance_id, one.where) == (instance_id, where)}
    return _read_all(found.difference(listed))


def _read_all(ids: Iterable[str]) -> tuple[Incident, ...]:
    # Ids sort by time.
    return tuple(incident for incident in map(incidents.read, sorted(ids)) if incident is not None)


def put(
    incident: Incident,
    keys: Mapping[RequestKey, str | None],
    *,
    only_after: frozenset[str] | None,
    beside: frozenset[str] = frozenset(),
    entries: Sequence[tuple[str, str]] = (),
    besides: Sequence[dict[str, Any]] = (),
) -> bool:
    """Write a new incident with its keys; return whether it was written.

    It is not written when one of the keys belongs to another incident meanwhile, which `find` returns, or another one
    was opened about its instance.

    Args:
        incident: what `incidents.new` returned.
        keys: of its request, each with the incident that it named until now; None where that is none.
        only_after: the incidents that the list of its instance had, none of which can be joined; None where it is
            opened whatever others are open.
        beside: those of them that stay in the list: they failed, and are not closing.
        entries: further ones of its timeline: what, and details.
        besides: what else is written in the same transaction.
    """
    writes = [
        *(_list_of_instance(incident, only_after, beside) if incident.instance_id else ()),
        table.put({**incident_key(incident.id), **pack_item(new_item(incident))}, "attribute_not_exists(pk)"),
        incidents.event(incident.id, incident.opened_by, "opened", incident.reason),
        *(incidents.event(incident.id, incident.opened_by, what, detail) for what, detail in entries),
        *(_put_key(key, incident.id, before) for key, before in keys.items()),
        *besides,
    ]
    # A retry after a lost response finds what the first call wrote.
    return table.write_together(writes) or incidents.read(incident.id) is not None


def _list_of_instance(
    incident: Incident, only_after: frozenset[str] | None, beside: frozenset[str] = frozenset()
) -> Iterator[dict[str, Any]]:
    values: dict[str, Any] = {
        "these": {incident.id, *beside},
        "instance": incident.instance_id,
        "account": incident.where.account_id,
        "region": incident.where.region,
        "ttl": lifetimes.after(lifetimes.UNUSED),
    }
    sets = "#ttl = :ttl, instance_id = :instance, account_id = :account, #region = :region"
    update, condition = f"SET {sets} ADD open_incidents :these", ""
    if only_after is not None:
        # What it lists besides is closing.
        update, condition = f"SET {sets}, open_incidents = :these", "attribute_not_exists(open_incidents)"
        if only_after:
            condition += " OR open_incidents = :listed"
            values["listed"] = only_after
    yield table.part(
        instance_key(incident.named_instance_id, incident.where),
        update,
        condition,
        values,
        {"ttl": "ttl", "region": "region"},
    )


@dataclass(frozen=True, slots=True)
class Joining:
    """What an incident becomes when an alert joins it.

    Attributes:
        severity: the higher one.
        expires_at: the later one.
        minutes: how long it captures from when mirroring starts: the longer time, where it has not started.
        containment: that is requested; none where that does not change.
        anew: whether it is requested anew, for which there is another execution; otherwise it is approved.
        how: it is requested, or approved, in words.
    """

    severity: Severity
    expires_at: str
    minutes: int
    containment: IncidentContainment | None = None
    anew: bool = False
    how: str = ""


def join(
    incident: Incident,
    joining: Joining,
    keys: Mapping[RequestKey, str | None],
    *,
    by: str,
    entries: Sequence[tuple[str, str]],
    is_listed: bool,
    occurrences: Sequence[Occurrence] = (),
    besides: Sequence[dict[str, Any]] = (),
) -> bool:
    """Let an alert join an incident; return whether it is as it was read, so that it did.

    Args:
        incident: as it was read; it is neither closed nor closing.
        joining: what it becomes.
        keys: of the request, which name it from now on; each with the incident that it named until now.
        by: who sent it.
        entries: of the timeline: what, and details.
        is_listed: whether the item of its instance has it already.
        occurrences: what happens with that, to be emitted, besides what is asked or decided about its containment.
        besides: what else is written in the same transaction.
    """
    before = incident.containment
    sets = ["severity = :severity", "expires_at = :until", "minutes = :minutes"]
    conditions = [
        "attribute_exists(pk) AND #state = :state AND close_requested = :no",
        "severity = :severity_before AND expires_at = :until_before AND minutes = :minutes_before",
        "containment.asked_at = :asked_at AND containment.#state = :contained"
        if before
        else "attribute_not_exists(containment.asked_at)",
    ]
    values = {
        "severity": joining.severity,
        "until": joining.expires_at,
        "minutes": joining.minutes,
        "state": incident.state,
        "no": False,
        "severity_before": incident.severity,
        "until_before": incident.expires_at,
        "minutes_before": incident.minutes,
        **({"asked_at": before.asked_at, "contained": before.state} if before else {}),
    }
    if joining.containment is not None:
        sets.append("containment = :containment")
        values["containment"] = joining.containment.as_dict()
    if joining.anew:
        runs = incident.contain_runs
        sets.append("contain_runs = :runs, contain_runs_before = :runs_were")
        conditions.append("contain_runs = :runs_before" if runs else "attribute_not_exists(contain_runs)")
        values |= {"runs": runs + 1, "runs_were": runs, **({"runs_before": runs} if runs else {})}
    update = f"SET {', '.join(sets)}" + (" REMOVE approval_token" if joining.anew else "")
    happens = [*occurrences, *_of_containment(joining, by)]
    return table.write_together(
        [
            incidents.update(incident.id, update, " AND ".join(conditions), occurrences=happens, **values),
            *(incidents.event(incident.id, by, what, detail) for what, detail in entries),
            *(_put_key(key, incident.id, named) for key, named in keys.items()),
            *(() if is_listed else _list_of_instance(incident, None)),
            *besides,
        ]
    )


def _of_containment(joining: Joining, by: str) -> Sequence[Occurrence]:
    if joining.containment is None:
        return ()
    if joining.anew:
        return requests.asked_for_approval(joining.containment)
    return [decided("approved", by, joining.how)]


def _put_key(key: RequestKey, incident_id: str, before: str | None) -> dict[str, Any]:
    is_alert = key.kind == "alert"
    item = {
        "incident_id": incident_id,
        "fingerprint": key.fingerprint,
        "ttl": lifetimes.of_belongings() if is_alert else lifetimes.after(lifetimes.REPEATS),
    }
    # DynamoDB deletes what has expired within days, not at once.
    condition = "attribute_not_exists(pk) OR #ttl < :now" + (" OR incident_id = :before" if before else "")
    values = {"now": lifetimes.now(), **({"before": before} if before else {})}
    place = request_key(key.kind, key.scope, key.value)
    return table.put({**place, **pack_item(item)}, condition, values, {"ttl": "ttl"})
