"""Keys and attributes of the table's items, and DynamoDB's attribute values.

Source: Amazon DynamoDB Developer Guide, "DynamoDB low-level API" (data type descriptors).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from tapstack.domain.regions import AccountRegion
from tapstack.responder.environment import environment

INCIDENT: Final = "INCIDENT"
CAPTURE: Final = "CAPTURE"
APPLIANCE: Final = "APPLIANCE"
KEY: Final = "KEY"
INSTANCE: Final = "INSTANCE"
EVENT: Final = "EVENT#"
CONTAINMENT: Final = "CONTAINMENT"
PRIOR_STATE: Final = "ORIGINAL#"
CONTAINMENTS: Final = "CONTAINMENTS"
BY_STATE: Final = "by-state"
"""The index: hash key `listing`, range key `opened_at`."""
CAPTURES_LISTING: Final = "capture"
"""The `listing` of captures that are held or ending: the sweeper finds them by it."""

CONTAINMENTS_LISTING: Final = "containment"
"""The `listing` of containments that are in place."""
PRIOR_STATES_LISTING: Final = "original"
"""The `listing` of prior states that are not restored yet."""
ALERTS_LISTING: Final = "alert"
"""The `listing` of outcomes of alerts, by the time at which they came."""
SNAPSHOTS: Final = "SNAPSHOTS"
SNAPSHOTS_LISTING: Final = "snapshots"
"""The `listing` of snapshots of appliances: the sweeper deletes them when their time is over."""


def incident_key(incident_id: str) -> dict[str, Any]:
    """Return the key of an incident."""
    return _key(f"INCIDENT#{incident_id}", INCIDENT)


def event_key(incident_id: str, event: str) -> dict[str, Any]:
    """Return the key of an entry of an incident's timeline."""
    return _key(f"INCIDENT#{incident_id}", f"{EVENT}{event}")


def capture_key(network_interface_id: str, where: AccountRegion | None = None) -> dict[str, Any]:
    """Return the key of the capture of an interface, in the site's own account and Region by default."""
    return _key(f"CAPTURE#{named(network_interface_id, where)}", CAPTURE)


def appliance_key(where: AccountRegion | None = None) -> dict[str, Any]:
    """Return the key of the appliance that was launched somewhere; in the site's own account and Region by default."""
    # The functions' roles name this partition key.
    return _key(APPLIANCE, APPLIANCE if _is_home(where) else named(APPLIANCE, where))


def snapshots_key(retirement: str) -> dict[str, Any]:
    """Return the key of the snapshots that were taken when an appliance was retired."""
    return _key(f"{SNAPSHOTS}#{retirement}", SNAPSHOTS)


def containment_key(instance_id: str, where: AccountRegion | None = None) -> dict[str, Any]:
    """Return the key of the containment of an instance, in the site's own account and Region by default."""
    return _key(f"{CONTAINMENT}#{named(instance_id, where)}", CONTAINMENT)


def prior_state_key(instance_id: str, kind: str, key: str, where: AccountRegion | None = None) -> dict[str, Any]:
    """Return the key of the prior state of a change of an instance's containment."""
    return _key(f"{CONTAINMENT}#{named(instance_id, where)}", f"{PRIOR_STATE}{kind}#{key}")


def instance_key(instance_id: str, where: AccountRegion | None = None) -> dict[str, Any]:
    """Return the key of the list of incidents that are open about an instance, at home by default."""
    return _key(f"{INSTANCE}#{named(instance_id, where)}", INSTANCE)


def containments_key(hour: str) -> dict[str, Any]:
    """Return the key of the instances that were contained in an hour, such as 2026-01-02T03."""
    return _key(f"{CONTAINMENTS}#{hour}", CONTAINMENTS)


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
    return _key(f"KEY#{hashlib.sha256(text.encode()).hexdigest()}", KEY)


def _key(partition: str, sort: str) -> dict[str, Any]:
    return {"pk": {"S": partition}, "sk": {"S": sort}}


def pack(value: Any) -> dict[str, Any]:
    """Return a JSON value, or a set of strings, as a DynamoDB attribute value."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case set() | frozenset():
            return {"SS": sorted(value)}
        case list() | tuple():
            return {"L": [pack(item) for item in value]}
        case dict():
            return {"M": pack_item(value)}
    raise TypeError(f"no attribute of a table can be {type(value).__name__}")


def pack_item(item: dict[str, Any]) -> dict[str, Any]:
    """Return all values of a dict as DynamoDB attribute values."""
    return {name: pack(value) for name, value in item.items()}


def unpack(value: dict[str, Any]) -> Any:
    """Return a DynamoDB attribute value as a JSON value; a set of strings as a sorted list, a number as an int."""
    [(kind, inner)] = value.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(inner)
        case "SS":
            return sorted(inner)
        case "L":
            return [unpack(item) for item in inner]
        case "M":
            return unpack_item(inner)
    return inner


def unpack_item(item: dict[str, Any]) -> dict[str, Any]:
    """Return all values of a DynamoDB item as JSON values."""
    return {name: unpack(value) for name, value in item.items()}
