"""Places at a mirror target that one incident takes from others, in one transaction.

Source: Amazon DynamoDB API Reference, TransactWriteItems (at most 100 items).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tapstack.responder.store import captures, incidents, table
from tapstack.responder.store.captures import Capture
from tapstack.responder.store.records import Incident, IncidentInterface

HOLDERS: Final = 20
"""Incidents that a place can be taken from at once: each has two items in the transaction."""


@dataclass(frozen=True, slots=True)
class PlaceLoss:
    """What an incident loses with a place.

    Attributes:
        incident: as it was read.
        interface: its entry from now on.
        said: for its timeline, and for the notification.
    """

    incident: Incident
    interface: IncidentInterface
    said: str


def take(capture: Capture, losses: Sequence[PlaceLoss], incident: Incident, said: str) -> bool:
    """Record that an incident takes the place of a capture, which is ending then; False where one of them has changed.

    Args:
        capture: that has the place, as it was read.
        losses: of the incidents that hold it, at most `HOLDERS`.
        incident: that takes the place.
        said: for its timeline.
    """
    parts = [captures.displaced(capture)]
    for loss in losses:
        parts += incidents.displaced(loss.incident, loss.interface, loss.said)
    return table.write_together([*parts, *incidents.took_places(incident, [loss.incident.id for loss in losses], said)])
