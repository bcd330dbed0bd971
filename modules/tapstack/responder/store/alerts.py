"""What came of alerts that were received: once for each, by the id that their sender gave them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from tapstack.domain.incidents import utc_now
from tapstack.domain.table_names import ALERTS, LISTING, OPENED_AT
from tapstack.responder.store import incidents, table
from tapstack.responder.store.items import pack_item
from tapstack.responder.store.keys import request_key

KEPT: Final = timedelta(days=30)
"""How long an outcome is kept: longer than a queue keeps its messages, and than senders try again."""


def outcome(source: str, delivery: str) -> dict[str, Any] | None:
    """Return what came of an alert; None where it was not received yet, or its outcome is not kept any more.

    Args:
        source: that it came from.
        delivery: the id that its sender gave it; of an event, the event's.
    """
    item = table.read(_key(source, delivery))
    if item is None or item["ttl"] < incidents.epoch(utc_now()):
        return None
    return dict(item["outcome"])


def record(source: str, delivery: str, received_at: str, outcome: dict[str, Any]) -> None:
    """Record what came of an alert; the first record stays.

    Args:
        source: that it came from.
        delivery: the id that its sender gave it.
        received_at: when it came.
        outcome: as JSON, without fractions.
    """
    item = {
        LISTING: ALERTS,
        OPENED_AT: received_at,
        "source": source,
        "delivery": delivery,
        "outcome": outcome,
        "ttl": incidents.epoch(utc_now() + KEPT),
    }
    now = {"now": incidents.epoch(utc_now())}
    place = {**_key(source, delivery), **pack_item(item)}
    table.write_together([table.put(place, "attribute_not_exists(pk) OR #ttl < :now", now, {"ttl": "ttl"})])


def was_notified(source: str, hour: str) -> bool:
    """Return whether operators were notified of an unmatched alert of a source in an hour, such as 2026-01-02T03."""
    return table.read(request_key("unmatched", (source,), hour)) is not None


def mark_notified(source: str, hour: str) -> None:
    """Record that operators were notified of an unmatched alert of a source in an hour."""
    item = {"ttl": incidents.epoch(utc_now() + timedelta(days=1))}
    table.write_together([table.put({**request_key("unmatched", (source,), hour), **pack_item(item)})])


def _key(source: str, delivery: str) -> dict[str, Any]:
    return request_key("alert-received", (source,), delivery)
