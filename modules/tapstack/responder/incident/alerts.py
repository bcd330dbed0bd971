"""Alerts of other tools: each is decided as GuardDuty's findings are, or it is unmatched.

Whatever delivers alerts may deliver one twice, and a function may be killed after any call: the id of the delivery
makes it one. What is done on the way is idempotent, and the outcome is recorded last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from tapstack.domain.alert_mappings import Mapped, map_alerts, map_security_hub
from tapstack.domain.alerts import SECURITY_HUB, Alert
from tapstack.domain.incidents import as_moment, as_text, as_time, utc_now
from tapstack.domain.json_documents import read_document
from tapstack.domain.kept_alerts import KeptAlert
from tapstack.domain.outside_text import quoted
from tapstack.domain.own_names import ALERTS_UNMATCHED
from tapstack.domain.telemetry import UNMATCHED
from tapstack.responder.alert_sources import alert_sources
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import said_by
from tapstack.responder.environment import environment
from tapstack.responder.incident import finding_notices, findings
from tapstack.responder.incident.targets import Unresolved, resolved
from tapstack.responder.observability import count, logger
from tapstack.responder.outbound import notifications
from tapstack.responder.store import alerts as store

_EVENT_REASONS: Final = 10
"""How many reasons an event, and the record of an outcome, has: an event holds 256 KB."""


def receive_security_hub(event: Mapping[str, Any]) -> dict[str, Any]:
    """Decide about the findings of an event of Security Hub; see `receive_kept`."""
    came, document = as_moment(str(event.get("time"))) or utc_now(), json.dumps(event)
    # EventBridge gives every event an id; what has none is known by its content.
    delivery = event.get("id") or hashlib.sha256(document.encode()).hexdigest()
    return receive_kept(KeptAlert(SECURITY_HUB, str(delivery), as_text(came), document))


def receive_kept(kept: KeptAlert) -> dict[str, Any]:
    """Decide about the alerts of a document, keep what is unmatched, and record what came of it.

    The same delivery again changes nothing, and returns the first outcome.

    Returns:
        `alerts`, each with its id, type and decisions, as events have them; `left_out`, how many decisions besides,
        which an event does not hold; `unmatched`, the reasons; `kept_as`, the object that an unmatched document is kept
        as, or None.

    Raises:
        Exception: of the bucket, or of the first alert that failed, once the others are decided about and operators are
            notified; the same delivery again continues.
    """
    if (before := store.outcome(kept)) is not None:
        return before
    mapped = _mapped(kept)
    alerts, decided, unmatched, delivery = [], [], list(mapped.unmatched), store.delivery_of(kept)
    errors = list[Exception]()
    for position, alert in enumerate(mapped.alerts):
        try:
            alert, there = resolved(replace(alert, last_seen=_last_seen(alert, kept)))
            decisions = findings.decide(alert, delivery, there, position=position, sender=kept.person)
        except Unresolved as why:
            unmatched.append(f"{alert.noun} {alert.shown_id}: {why}")
        except Exception as error:
            # Whatever is wrong with one alert, the others of the document are decided about.
            logger.exception("an alert could not be decided about", alert=alert.shown_id)
            errors.append(error)
        else:
            about: dict[str, Any] = {"alert": alert.shown_id, "type": alert.type, "decisions": []}
            alerts.append(about)
            decided += [(about, one) for one in decisions]
    # Before a failure is raised: the same alert may fail each time.
    kept_as = _keep(kept, unmatched, again=bool(errors)) if unmatched else None
    if errors:
        raise errors[0]
    # A document has 100 alerts at most, each about 100 instances at most.
    fits, left_out = notifications.fitting(decided)
    for about, decision in fits:
        about["decisions"].append(decision)
    result = {
        "source": kept.source,
        "delivery": kept.delivery,
        "caller": kept.caller,
        "received_at": kept.received_at,
        "alerts": [about for about in alerts if about["decisions"]],
        "left_out": left_out,
        "unmatched": unmatched[:_EVENT_REASONS],
        "kept_as": kept_as,
    }
    notifications.emit(notifications.ALERT_EVENT, result)
    if store.record(kept, result) and unmatched:
        count(ALERTS_UNMATCHED)
    return result


def _last_seen(alert: Alert, kept: KeptAlert) -> str:
    """Return when an alert was seen last: not later than it was received, which it was where it does not say.

    It may be decided about days later, from the dead letters: by then another instance may have the interface.
    A time to come would be newer than every release that responders request.
    """
    seen, received = as_moment(alert.last_seen), as_time(kept.received_at)
    return kept.received_at if seen is None or seen > received else as_text(seen)


def _mapped(kept: KeptAlert) -> Mapped:
    try:
        document = read_document(kept.document)
    except (ValueError, RecursionError) as error:
        return Mapped(unmatched=(f"it is no JSON: {quoted(str(error))}",))
    home = environment().home
    if kept.source == SECURITY_HUB:
        return map_security_hub(document, home=home)
    source = alert_sources().get(kept.source)
    if source is None:
        return Mapped(unmatched=(f"the deployment has no source {kept.source} any more",))
    return map_alerts(kept.source, source, document, home=home)


def _keep(kept: KeptAlert, reasons: list[str], *, again: bool) -> str | None:
    """Keep an unmatched document in the landing, and notify of it, at most once an hour for each source.

    What the bucket refuses is notified of apart, at most once an hour as well: who was notified that further ones are
    kept is otherwise not notified that they are not.

    Raises:
        Exception: the bucket did not take it; operators are notified all the same, because it may never do.
    """
    address, bucket, refused = None, environment().landing_bucket, None
    if bucket is not None:
        key = _key(kept)
        content = json.dumps({**asdict(kept), "unmatched": reasons})
        address = f"s3://{bucket}/{key}"
        try:
            client("s3").put_object(Bucket=bucket, Key=key, Body=content.encode(), ContentType="application/json")
        except Exception as error:
            refused = error
    # The hour of the delivery: one that comes again is of the same.
    hour = kept.received_at[:13] if refused is None else f"{kept.received_at[:13]}, refused"
    if not store.was_notified(kept.source, hour):
        why = None if refused is None else said_by(refused)
        notice = finding_notices.unmatched(kept.source, kept.document, reasons, address, why, again=again)
        notifications.publish(*notice)
        store.mark_notified(kept.source, hour)
    if refused is not None:
        raise refused
    return address


def _key(kept: KeptAlert) -> str:
    """Return the key of an unmatched document: keys sort by time, and the same delivery has the same one."""
    day, time = kept.received_at[:10].split("-"), "".join(sign for sign in kept.received_at if sign.isalnum())
    name = hashlib.sha256("\n".join(filter(None, (kept.delivery, kept.caller))).encode()).hexdigest()[:16]
    return f"{UNMATCHED}{kept.source}/{'/'.join(day)}/{time}-{name}.json"
