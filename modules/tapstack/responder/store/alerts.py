"""What came of alerts that were received: once for each, by the id that their sender gave them.

What a delivery does to an incident is recorded with the change itself: a function may be killed before the outcome is
recorded, and then finds the change made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from tapstack.domain.containment_settings import Requested
from tapstack.domain.kept_alerts import KeptAlert
from tapstack.domain.table_names import ALERTS, LISTING, OPENED_AT
from tapstack.responder.store import lifetimes, table
from tapstack.responder.store.items import pack_item
from tapstack.responder.store.keys import request_key
from tapstack.responder.store.opening import caller_scope


def outcome(alert: KeptAlert) -> dict[str, Any] | None:
    """Return what came of an alert; None where it was not received yet, or its outcome is not kept any more."""
    item = table.read(_key(alert))
    if item is None or item["ttl"] < lifetimes.now():
        return None
    return dict(item["outcome"])


def record(alert: KeptAlert, outcome: dict[str, Any]) -> bool:
    """Record what came of an alert, as JSON without fractions; False where it was recorded before, which stays."""
    item = {
        LISTING: ALERTS,
        OPENED_AT: alert.received_at,
        "source": alert.source,
        "delivery": alert.delivery,
        "outcome": outcome,
        "ttl": lifetimes.after(lifetimes.UNUSED),
    }
    now = {"now": lifetimes.now()}
    place = {**_key(alert), **pack_item(item)}
    return table.write_together([table.put(place, "attribute_not_exists(pk) OR #ttl < :now", now, {"ttl": "ttl"})])


Did = Literal["opened", "joined", "updated"]


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What a delivery did to an incident.

    Attributes:
        incident_id: which.
        how: it opened it, joined it, or the incident took over something new.
        containment: that was requested when it was opened.
    """

    incident_id: str
    how: Did
    containment: Requested = "none"


def outcome_of(delivery: Sequence[str], alert_id: str | None, instance_id: str | None) -> DeliveryOutcome | None:
    """Return what a delivery did about an alert and an instance, if it did anything before."""
    item = table.read(_outcome_key(delivery, alert_id, instance_id))
    return None if item is None else DeliveryOutcome(item["incident_id"], item["how"], item["containment"])


def recorded(
    delivery: Sequence[str], alert_id: str | None, instance_id: str | None, outcome: DeliveryOutcome
) -> dict[str, Any]:
    """Return for a transaction what a delivery does with it.

    Args:
        delivery: as `delivery_of` returns it.
        alert_id: of the incident's request.
        instance_id: likewise.
        outcome: what it does.
    """
    item = {
        "incident_id": outcome.incident_id,
        "how": outcome.how,
        "containment": outcome.containment,
        "ttl": lifetimes.after(lifetimes.UNUSED),
    }
    return table.put({**_outcome_key(delivery, alert_id, instance_id), **pack_item(item)})


def _outcome_key(delivery: Sequence[str], alert_id: str | None, instance_id: str | None) -> dict[str, Any]:
    return request_key("delivered", (*delivery, alert_id or ""), instance_id or "")


def was_notified(source: str, hour: str) -> bool:
    """Return whether operators were notified of an unmatched alert of a source in an hour, such as 2026-01-02T03.

    Those that the bucket refused have an hour of their own, such as `2026-01-02T03, refused`.
    """
    return table.read(request_key("unmatched", (source,), hour)) is not None


def mark_notified(source: str, hour: str) -> None:
    """Record that operators were notified of an unmatched alert of a source in an hour."""
    item = {"ttl": lifetimes.after(timedelta(days=1))}
    table.write_together([table.put({**request_key("unmatched", (source,), hour), **pack_item(item)})])


def delivery_of(alert: KeptAlert) -> tuple[str, ...]:
    """Return by what a delivery is known when it comes again: its source, its caller where there is one, and its id."""
    scope = () if alert.caller is None else caller_scope(alert.caller)
    return (alert.source, *scope, alert.delivery)


def _key(alert: KeptAlert) -> dict[str, Any]:
    *scope, delivery = delivery_of(alert)
    return request_key("alert-received", scope, delivery)
