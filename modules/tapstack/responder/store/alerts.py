"""What came of alerts that were received: once for each, by the id that their sender gave them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from tapstack.domain.incidents import utc_now
from tapstack.domain.kept_alerts import KeptAlert
from tapstack.domain.table_names import ALERTS, LISTING, OPENED_AT
from tapstack.responder.store import incidents, table
from tapstack.responder.store.items import pack_item
from tapstack.responder.store.keys import request_key
from tapstack.responder.store.opening import caller_scope

KEPT: Final = timedelta(days=30)
"""How long an outcome is kept: longer than a queue keeps its messages, and than senders try again."""


def outcome(alert: KeptAlert) -> dict[str, Any] | None:
    """Return what came of an alert; None where it was not received yet, or its outcome is not kept any more."""
    item = table.read(_key(alert))
    if item is None or item["ttl"] < incidents.epoch(utc_now()):
        return None
    return dict(item["outcome"])


def record(alert: KeptAlert, outcome: dict[str, Any]) -> None:
    """Record what came of an alert, as JSON without fractions; the first record stays."""
    item = {
        LISTING: ALERTS,
        OPENED_AT: alert.received_at,
        "source": alert.source,
        "delivery": alert.delivery,
        "outcome": outcome,
        "ttl": incidents.epoch(utc_now() + KEPT),
    }
    now = {"now": incidents.epoch(utc_now())}
    place = {**_key(alert), **pack_item(item)}
    table.write_together([table.put(place, "attribute_not_exists(pk) OR #ttl < :now", now, {"ttl": "ttl"})])


def was_notified(source: str, hour: str) -> bool:
    """Return whether operators were notified of an unmatched alert of a source in an hour, such as 2026-01-02T03."""
    return table.read(request_key("unmatched", (source,), hour)) is not None


def mark_notified(source: str, hour: str) -> None:
    """Record that operators were notified of an unmatched alert of a source in an hour."""
    item = {"ttl": incidents.epoch(utc_now() + timedelta(days=1))}
    table.write_together([table.put({**request_key("unmatched", (source,), hour), **pack_item(item)})])


def _key(alert: KeptAlert) -> dict[str, Any]:
    scope = () if alert.caller is None else caller_scope(alert.caller)
    return request_key("alert-received", (alert.source, *scope), alert.delivery)
