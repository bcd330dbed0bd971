"""Notifications of the watch on packets: none are seen, or they are seen after all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tapstack.domain.packet_watch import MEASURED
from tapstack.responder.outbound.notifications import subject, text
from tapstack.responder.store.incidents import Incident
from tapstack.responder.store.records import IncidentPackets

WARNED: Final = "no packets seen"
SEEN: Final = "packets seen"


def missing(incident: Incident, found: IncidentPackets, causes: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: sessions exist, and no packets were counted."""
    return subject(incident, "NO PACKETS SEEN"), text(
        incident,
        f"Traffic mirror sessions exist since {found.since}, and CloudWatch counts no mirrored packets of "
        f"{', '.join(found.missing)}. {MEASURED}",
        ["Likely causes:", *(f"  {cause}" for cause in causes)],
        ["The sweeper goes on watching, every 15 minutes, and notifies when packets are seen."],
        ["What to run next:", f"  tapstack incident show {incident.id}"],
    )


def seen(incident: Incident, found: IncidentPackets) -> tuple[str, str]:
    """Return subject and text: packets were counted, after a warning that there were none."""
    return subject(incident, "packets seen"), text(
        incident,
        f"CloudWatch counts mirrored packets in the five minutes from {found.seen_at}. {MEASURED}",
        ["What to run next:", f"  tapstack incident show {incident.id}"],
    )
