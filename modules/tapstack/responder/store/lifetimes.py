"""How long items of the table are kept, by their `ttl`, in seconds of the epoch.

Every item that is not the only one of its kind goes in the end. What is needed now has no `ttl`: an open incident, one
whose instance is contained, a containment, a capture. DynamoDB deletes what has expired within days, not at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from tapstack.domain.incidents import MINUTES, utc_now
from tapstack.responder.environment import environment

UNUSED: Final = timedelta(days=30)
"""Of what no incident needs any more, and of what came of an alert: longer than a queue keeps its messages, and than
senders try again. Generations begin with the time, so that none is used twice."""
REPEATS: Final = timedelta(hours=24)
"""Of an Idempotency-Key."""
UNDELIVERED: Final = timedelta(days=7)
"""Of a notification that a topic does not take: so long sweeps try to deliver it."""
_LONGEST_INCIDENT: Final = timedelta(minutes=MINUTES[1], days=1)
"""From its opening to its closing, which may take a while; one that lasts longer, or is kept longer, has its timeline
and its marks kept longer too (`retention.keep_belongings`)."""


def epoch(moment: datetime) -> int:
    """Return a time as `ttl` has it."""
    return int(moment.timestamp())


def now() -> int:
    """Return the time: what has an earlier `ttl` is not kept any more, though it may still be there."""
    return epoch(utc_now())


def after(kept: timedelta) -> int:
    """Return the `ttl` of an item that is kept for so long from now."""
    return epoch(utc_now() + kept)


def of_closed_incident(closed_at: datetime) -> int:
    """Return when an incident is deleted, from when it was closed."""
    return epoch(closed_at + timedelta(days=environment().retention_days))


def of_belongings() -> int:
    """Return when what is written now for an incident is deleted: not before the incident, however it is extended.

    That is its timeline, the marks of its notifications, and the keys of its alerts. Those are not written again
    where the incident is kept longer: an alert that is sent again after this time may open another one.
    """
    return after(_LONGEST_INCIDENT + timedelta(days=environment().retention_days))
