"""Events of incidents as telemetry: what happened to an incident, once each, as one JSON object that is read alone.

A function that changes an incident writes into the same item, in the same write, what happened: an occurrence, with an
id and its time. It stays there until it is emitted. A function that is killed in between leaves it to the next one, and
what is emitted twice is the same event, of the same id.

The contract is version 1, `docs/schemas/incident-event-1.json`. It only grows: readers ignore members, and values of
`what`, that they do not know.

Sources: MITRE ATT&CK for Enterprise (ids and names of tactics, ids of techniques).
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, get_args

from tapstack.domain.incidents import ID_PATTERN
from tapstack.domain.threats import TACTICS

VERSION: Final = 1
DETAIL_TYPE: Final = "Tapstack Incident Telemetry"
"""Of the event on the bus, whose detail is the JSON object."""
What = Literal[
    "opened",
    "joined",
    "refused",
    "mirroring",
    "packets_seen",
    "approval_asked",
    "decided",
    "contained",
    "released",
    "failed",
    "closed",
]
WHATS: Final[tuple[What, ...]] = get_args(What)
Part = Literal["capture", "containment", "release"]
"""The part of the response that failed, or was refused."""

EVENT_ID_PATTERN: Final = f"{ID_PATTERN[:-1]}-[0-9a-f]{{8}}$"
TIME_PATTERN: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"
WHAT_PATTERN: Final = r"^[a-z]+(_[a-z]+)*$"
ORIGIN: Final = secrets.token_hex(4)
"""Of this process, in all that it records: it emits its own, and leaves what others have just recorded to them."""
LEFT_SECONDS: Final = 60
"""After so long, what another process recorded and did not emit is emitted by whoever finds it."""
RECORDED_AT_MOST: Final = 200
"""Alerts that join are no longer recorded where so much is not emitted yet: an item of DynamoDB has 400 KB at most, and
no alert is refused because events cannot be emitted."""
DETAIL_LENGTH: Final = 2000
"""Characters of the text of others, or of a failure, that an event has at most."""
JOINED_LENGTH: Final = 100
"""Likewise, of an alert that joined: an incident has as many of them as `RECORDED_AT_MOST`, all in its one item."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to an incident.

    Attributes:
        what: happened.
        by: the caller, or the policy; none where Tapstack did it by itself,
            or the incident says who.
        detail: of others, such as a reason, or the failure.
        facts: further members of the event, such as the alert that joined.
        at: when, in UTC and to the millisecond; set when it is recorded.
        id: 8 hexadecimal digits, of which no two of an incident are the same; set when it is recorded.
        origin: of the process that recorded it.
    """

    what: What
    by: str | None = None
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""
    id: str = ""
    origin: str = ""

    def is_left(self, now: datetime) -> bool:
        """Return whether this process is to emit it: it recorded it, or another one did and has not emitted it."""
        return self.origin == ORIGIN or self.at < as_precise_text(now - timedelta(seconds=LEFT_SECONDS))


def recorded(occurrences: Iterable[Occurrence], now: datetime | None = None) -> frozenset[str]:
    """Return occurrences of one moment as the table has them, until they are emitted; ids keep their order."""
    at = as_precise_text(now or datetime.now(UTC))
    return frozenset(
        json.dumps(
            {
                "id": f"{number:x}{secrets.token_hex(4)[:7]}",
                "what": one.what,
                "at": at,
                "by": one.by,
                "detail": _storable(one.detail[: JOINED_LENGTH if one.what == "joined" else DETAIL_LENGTH]),
                "facts": dict(one.facts),
                "origin": ORIGIN,
            },
            sort_keys=True,
            # An item is measured in UTF-8: an escape takes twice as much.
            ensure_ascii=False,
        )
        for number, one in enumerate(occurrences)
    )


def _storable(text: str) -> str:
    """Return text without what UTF-8 cannot hold: half of a pair of surrogates."""
    return text.encode(errors="replace").decode()


def read_recorded(texts: Iterable[str]) -> dict[str, Occurrence]:
    """Return what `recorded` wrote, by its text, in the order of time."""
    found = {text: Occurrence(**json.loads(text)) for text in texts}
    return dict(sorted(found.items(), key=lambda one: (one[1].at, one[1].id)))


def as_precise_text(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC to the millisecond, such as 2026-01-02T03:04:05.678Z."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def tactic(name: str) -> dict[str, str]:
    """Return a tactic of ATT&CK with its id, by its name in one word.

    >>> tactic("CommandAndControl")
    {'id': 'TA0011', 'name': 'Command and Control'}
    """
    return {"id": TACTICS[name], "name": re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace(" And ", " and ")}


def failed_or_refused(part: Part, failure: str, *, refused: bool) -> Occurrence:
    """Return that a part of the response failed, or that a rule refused it and nothing was changed."""
    return Occurrence("refused" if refused else "failed", detail=failure, facts={"part": part})


def decided(decision: str, by: str, reason: str = "") -> Occurrence:
    """Return that a containment was approved, overridden or rejected, or that the default was applied."""
    return Occurrence("decided", by=by, detail=reason, facts={"decision": decision})
