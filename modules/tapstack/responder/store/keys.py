"""Keys of the table's items, and where an item's resource is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from tapstack.domain import table_names
from tapstack.domain.regions import AccountRegion
from tapstack.domain.table_names import (
    APPLIANCE,
    CAPTURE,
    CONTAINMENT,
    CONTAINMENTS,
    EVENT,
    INCIDENT,
    INSTANCE,
    NOTIFICATION,
    PRIOR_STATE,
    REQUEST,
    SNAPSHOTS,
    UNDELIVERED,
)
from tapstack.responder.environment import environment
from tapstack.responder.store.items import pack


def incident_key(incident_id: str) -> dict[str, Any]:
    """Return the key of an incident."""
    return _key(table_names.key(INCIDENT, incident_id), INCIDENT)


def event_key(incident_id: str, event: str) -> dict[str, Any]:
    """Return the key of an entry of an incident's timeline."""
    return _key(table_names.key(INCIDENT, incident_id), table_names.key(EVENT, event))


def notification_key(incident_id: str, what: str) -> dict[str, Any]:
    """Return the key of a published notification of an incident; what it was may be longer than a key can be."""
    digest = hashlib.sha256(what.encode()).hexdigest()
    return _key(table_names.key(INCIDENT, incident_id), table_names.key(NOTIFICATION, digest))


def capture_key(network_interface_id: str, where: AccountRegion | None = None) -> dict[str, Any]:
    """Return the key of the capture of an interface, in the site's own account and Region by default."""
    return _key(table_names.key(CAPTURE, named(network_interface_id, where)), CAPTURE)


def appliance_key(where: AccountRegion | None = None) -> dict[str, Any]:
    """Return the key of the appliance that was launched somewhere; in the site's own account and Region by default."""
    return _key(APPLIANCE, APPLIANCE if _is_home(where) else named(APPLIANCE, where))


def snapshots_key(retirement: str) -> dict[str, Any]:
    """Return the key of the snapshots that were taken when an appliance was retired."""
    return _key(table_names.key(SNAPSHOTS, retirement), SNAPSHOTS)


def containment_key(instance_id: str, where: AccountRegion | None = None) -> dict[str, Any]:
    """Return the key of the containment of an instance, in the site's own account and Region by default."""
    return _key(table_names.key(CONTAINMENT, named(instance_id, where)), CONTAINMENT)


def prior_state_key(instance_id: str, kind: str, key: str, where: AccountRegion | None = None) -> dict[str, Any]:
    """Return the key of the prior state of a change of an instance's containment."""
    return _key(table_names.key(CONTAINMENT, named(instance_id, where)), table_names.key(PRIOR_STATE, kind, key))


def instance_key(instance_id: str, where: AccountRegion | None = None) -> dict[str, Any]:
    """Return the key of the list of incidents that are open about an instance, at home by default."""
    return _key(table_names.key(INSTANCE, named(instance_id, where)), INSTANCE)


def containments_key(hour: str) -> dict[str, Any]:
    """Return the key of the instances that were contained in an hour, such as 2026-01-02T03."""
    return _key(table_names.key(CONTAINMENTS, hour), CONTAINMENTS)


def undelivered_key(destination: str, subject: str, text: str) -> dict[str, Any]:
    """Return the key of what one topic, or the bus, did not take: the same is kept once."""
    digest = hashlib.sha256(json.dumps([destination, subject, text]).encode()).hexdigest()
    return _key(table_names.key(UNDELIVERED, digest), UNDELIVERED)


def named(resource_id: str, where: AccountRegion | None) -> str:
    """Return the name of a resource in keys: its id, with account and Region where those are not the site's.

    The id alone is what earlier versions wrote: their items are found, and no key changes.
    """
    if where is None or _is_home(where):
        return resource_id
    return f"{where.account_id}#{where.region}#{resource_id}"


def where_of(item: dict[str, Any]) -> AccountRegion:
    """Return where an item's resource is. Earlier versions wrote neither account nor Region."""
    home = environment().home
    return AccountRegion(item.get("account_id") or home.account_id, item.get("region") or home.region)


def _is_home(where: AccountRegion | None) -> bool:
    return where is None or where == environment().home


def request_key(kind: str, scope: Sequence[str], value: str) -> dict[str, Any]:
    """Return the key of an item of what others send: the incident of an Idempotency-Key or an alert, an outcome.

    Args:
        kind: such as `idempotency-key` or `alert`.
        scope: within which the value is unique.
        value: what the caller sent; only the hash of all is kept.
    """
    return _hashed(json.dumps([kind, *scope, value]))


def unscoped_request_key(kind: str, value: str) -> dict[str, Any]:
    """Return that key as earlier versions wrote it, for all sources, accounts and callers."""
    return _hashed(f"{kind}:{value}")


def _hashed(text: str) -> dict[str, Any]:
    return _key(table_names.key(REQUEST, hashlib.sha256(text.encode()).hexdigest()), REQUEST)


def _key(partition: str, sort: str) -> dict[str, Any]:
    return {table_names.PARTITION_KEY: pack(partition), table_names.SORT_KEY: pack(sort)}
