"""Which notifications were published, and how many of what may come often.

Those of an incident are an item each, beside the incident's: there may be any number of them, because each alert that
joins is one, and an item of DynamoDB has 400 KB at most.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from tapstack.domain.incidents import as_text, utc_now
from tapstack.responder.store import lifetimes, table
from tapstack.responder.store.items import pack_item
from tapstack.responder.store.keys import notification_key, request_key
from tapstack.responder.store.records import Incident


def is_notified(incident: Incident, what: str) -> bool:
    """Return whether a notification was published.

    Args:
        incident: of which.
        what: as `mark_notified` recorded it.
    """
    return taken_by(incident, what) is None


def taken_by(incident: Incident, what: str) -> frozenset[str] | None:
    """Return which destinations took a notification that is tried again for the others; None where it was published."""
    # An earlier version recorded it in the incident.
    if what in incident.notified:
        return None
    item = table.read(notification_key(incident.id, what))
    if item is None:
        return frozenset()
    return frozenset(item.get("taken_by", ())) if "tries" in item else None


def may_try_again(incident_id: str, what: str, taken: Collection[str], *, most: int) -> bool:
    """Record that not all destinations took a notification; return whether it may be tried again.

    Args:
        incident_id: of which.
        what: as `mark_notified` will record it.
        taken: the destinations that took it.
        most: how often it may be tried again.
    """
    values = {"what": what, "ttl": lifetimes.of_belongings(), "one": 1, "most": most}
    changed = table.change(
        notification_key(incident_id, what),
        f"SET what = :what, #ttl = :ttl ADD tries :one{', taken_by :taken' if taken else ''}",
        # Another function may have published it meanwhile.
        condition="attribute_not_exists(what) OR tries < :most",
        values=values | ({"taken": set(taken)} if taken else {}),
        names={"ttl": "ttl"},
    )
    return changed is not None


def mark_notified(incident_id: str, what: str) -> None:
    """Record that a notification was published."""
    table.change(
        notification_key(incident_id, what),
        "SET what = :what, #ttl = :ttl REMOVE tries, taken_by",
        values={"what": what, "ttl": lifetimes.of_belongings()},
        names={"ttl": "ttl"},
    )


def recorded(incident_id: str, what: str) -> dict[str, Any]:
    """Return for a transaction what `is_notified` then knows, before anything is published."""
    return table.put(
        {**notification_key(incident_id, what), **pack_item({"what": what, "ttl": lifetimes.of_belongings()})}
    )


def count(incident_id: str, what: str, of: str, *, most: int) -> int | None:
    """Count one more of something that operators are notified of so often at most; once, however often it is asked for.

    Args:
        incident_id: of which.
        what: is counted.
        of: what this one is known by.
        most: how many are counted.

    Returns:
        How many there are; None where this one is not among the first `most`.
    """
    return _counted(notification_key(incident_id, what), what, lifetimes.of_belongings(), of, most)


def count_alert(source: str, kind: str, of: str, *, most: int) -> int | None:
    """Count one more alert of a source that operators would be notified of, as `count`; return how many in this hour.

    Args:
        source: of the alert.
        kind: what is counted apart, such as its level of severity.
        of: what this one is known by.
        most: how many are counted.
    """
    hour = this_hour()
    key, day = request_key("notified", (source, kind), hour), lifetimes.after(timedelta(days=1))
    return _counted(key, f"{kind} of {source} in {hour}", day, of, most)


def was_published(source: str, of: str) -> bool:
    """Return whether operators were notified of an alert of a source.

    Args:
        source: of the alert.
        of: what it is known by, as `count_alert` counts it.
    """
    return table.read(_published_key(source, of)) is not None


def mark_published(source: str, of: str) -> None:
    """Record that operators were notified of an alert of a source, for as long as the outcome of a delivery is kept."""
    item = {"ttl": lifetimes.after(lifetimes.UNUSED)}
    table.write_together([table.put({**_published_key(source, of), **pack_item(item)})])


def _published_key(source: str, of: str) -> dict[str, Any]:
    return request_key("published", (source,), of)


def _counted(key: dict[str, Any], what: str, until: int, of: str, most: int) -> int | None:
    counted = table.change(
        key,
        "SET what = :what, #ttl = :ttl ADD marks :marks",
        condition="attribute_not_exists(marks) OR size(marks) < :most OR contains(marks, :of)",
        values={"what": what, "ttl": until, "marks": {of}, "of": of, "most": most},
        names={"ttl": "ttl"},
    )
    return None if counted is None else len(counted["marks"])


def this_hour() -> str:
    """Return the clock hour, such as 2026-01-02T03."""
    return as_text(utc_now())[:13]
