"""Incidents that are opened: once for each request. The keys of requests name their incident."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from tapstack.domain.incidents import Source, as_time, utc_now
from tapstack.domain.regions import AccountRegion
from tapstack.responder.environment import environment
from tapstack.responder.store import incidents, table
from tapstack.responder.store.keys import incident_key, pack_item, request_key, unscoped_request_key
from tapstack.responder.store.records import Incident, incident_of, new_item

REPEATS_KEPT: Final = timedelta(hours=24)
"""How long an Idempotency-Key is kept."""
_SESSION: Final = re.compile(r"(arn:[^:]+:sts::[^:]*:assumed-role/.+)/[^/]+")


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
            return self.scope == alert_scope(incident.source, incident.where)
        return self.scope == caller_scope(incident.opened_by)


def alert_scope(source: Source, where: AccountRegion) -> tuple[str, ...]:
    """Return within what the id of an alert is unique: nothing that the API is sent stands for a finding."""
    return (source, where.account_id, where.region)


def caller_scope(caller: str) -> tuple[str, ...]:
    """Return within what an Idempotency-Key is unique: its caller.

    The sessions of a role are one caller: a program that sends a request again may have another session by then.
    """
    found = _SESSION.fullmatch(caller)
    return (found[1] if found else caller,)


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


def _read(key: dict[str, Any]) -> Known | None:
    item = table.read(key)
    if item is None or item["ttl"] < incidents.epoch(utc_now()):
        return None
    found = table.read(incident_key(item["incident_id"]))
    return Known(item["incident_id"], None if found is None else incident_of(found), item["fingerprint"])


def put(incident: Incident, keys: Mapping[RequestKey, str | None]) -> bool:
    """Write a new incident with its keys; return whether it was written.

    It is not written when one of the keys belongs to another incident meanwhile; `find` returns that.

    Args:
        incident: what `incidents.new` returned.
        keys: of its request, each with the incident that it named until now; None where that is none.
    """
    writes = [
        table.put({**incident_key(incident.id), **pack_item(new_item(incident))}, "attribute_not_exists(pk)"),
        incidents.event(incident.id, incident.opened_by, "opened", incident.reason),
        *(_put_key(key, incident, before) for key, before in keys.items()),
    ]
    # A retry after a lost response finds what the first call wrote.
    return table.write_together(writes) or table.read(incident_key(incident.id)) is not None


def _put_key(key: RequestKey, incident: Incident, before: str | None) -> dict[str, Any]:
    now = utc_now()
    # An alert opens no other incident while its incident is kept.
    kept = {
        "idempotency-key": REPEATS_KEPT,
        "alert": timedelta(minutes=incident.minutes, days=environment().retention_days),
    }
    item = {
        "incident_id": incident.id,
        "fingerprint": key.fingerprint,
        "ttl": incidents.epoch(as_time(incident.opened_at) + kept[key.kind]),
    }
    # DynamoDB deletes what has expired within days, not at once.
    condition = "attribute_not_exists(pk) OR #ttl < :now" + (" OR incident_id = :before" if before else "")
    values = {"now": incidents.epoch(now), **({"before": before} if before else {})}
    place = request_key(key.kind, key.scope, key.value)
    return table.put({**place, **pack_item(item)}, condition, values, {"ttl": "ttl"})
