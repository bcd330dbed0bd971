"""An alert as it came, while it waits to be decided about."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class KeptAlert:
    """An alert as it came, from the moment that it is promised to its sender.

    Attributes:
        source: that it came from: a name of `response.alerts.sources`, or `securityhub`.
        delivery: the id that its sender gave it; sent again it is the same alert.
        received_at: when it came, as `as_text` writes it.
        document: what came, as text.
        caller: whom the gateway says that it came from; None where it knew none, as of webhooks and of events.
        person: who that is, as `domain.callers` has it; likewise.
    """

    source: str
    delivery: str
    received_at: str
    document: str
    caller: str | None = None
    person: str | None = None

    def as_json(self) -> str:
        """Return it as a queue holds it."""
        return json.dumps(asdict(self))


def kept_alert(text: str) -> KeptAlert:
    """Read what `KeptAlert.as_json` wrote.

    Raises:
        ValueError: it is something else.
        TypeError: likewise.
    """
    return KeptAlert(**json.loads(text))
