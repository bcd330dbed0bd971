"""Notifications that a topic did not take, and events that the bus did not: the sweeper delivers them later.

Whoever notifies goes on, as what it did or decided does not depend on the delivery.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from tapstack.domain.incidents import as_text, utc_now
from tapstack.domain.table_names import TO_DELIVER
from tapstack.responder.store import lifetimes, table
from tapstack.responder.store.keys import undelivered_key

_NAMES = {"destination": "destination", "subject": "subject", "text": "text", "topics": "topics", "ttl": "ttl"}


@dataclass(frozen=True, slots=True)
class Undelivered:
    """What was not delivered.

    Attributes:
        destination: the ARN of a topic, or the name of the event bus.
        subject: of the notification, or the type of the event.
        text: of the notification, or the detail of the event as JSON.
        topics: all that a notification was for: each took it, or has it kept for it, too. None of an event.
        since: when it was to be delivered; none before it is kept.
        until: when it is given up; likewise.
    """

    destination: str
    subject: str
    text: str
    topics: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None


def keep(one: Undelivered) -> None:
    """Keep it for the sweeper."""
    table.change(
        undelivered_key(one.destination, one.subject, one.text),
        "SET #destination = :destination, #subject = :subject, #text = :text, #topics = :topics, listing = :listing, "
        "opened_at = if_not_exists(opened_at, :since), #ttl = :ttl",
        values={
            "destination": one.destination,
            "subject": one.subject,
            "text": one.text,
            "topics": list(one.topics),
            "listing": TO_DELIVER,
            "since": one.since or as_text(utc_now()),
            "ttl": lifetimes.after(lifetimes.UNDELIVERED),
        },
        names=_NAMES,
    )


def listed() -> Iterator[Undelivered]:
    """Yield what is to be delivered, the oldest first; eventually consistent."""
    now = lifetimes.now()
    for item in table.listed(TO_DELIVER):
        # DynamoDB deletes what has expired within days.
        if item["ttl"] > now:
            # An earlier version did not keep for which topics it was: for this one at least.
            topics = item.get("topics", [item["destination"]] if item["destination"].startswith("arn:") else [])
            until = as_text(datetime.fromtimestamp(int(item["ttl"]), UTC))
            of = (item["destination"], item["subject"], item["text"])
            yield Undelivered(*of, tuple(topics), item["opened_at"], until)


def forget(one: Undelivered) -> None:
    """Record that it is delivered, or has no destination any more: it is listed no more."""
    table.change(
        undelivered_key(one.destination, one.subject, one.text),
        "SET #ttl = :now REMOVE listing, opened_at, #destination, #subject, #text, #topics",
        values={"now": lifetimes.now()},
        names=_NAMES,
    )
