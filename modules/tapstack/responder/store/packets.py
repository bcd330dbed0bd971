"""What is known of the packets of an incident, in the table."""

from __future__ import annotations

from tapstack.domain.incident_events import Occurrence
from tapstack.responder.store import incidents, table
from tapstack.responder.store.records import Incident, IncidentPackets


def record(incident: Incident, found: IncidentPackets, detail: str, *, by: str = "sweeper") -> Incident | None:
    """Record what is known of an incident's packets, with an entry in its timeline; return the incident afterwards.

    None where it was closed, or something else was recorded, since it was read.
    """
    before = incident.packets
    # Incidents of earlier versions lack the attribute, or have none in it.
    known = "packets.#state = :before" if before is not None else "attribute_not_exists(packets.#state)"
    write = incidents.update(
        incident.id,
        "SET packets = :packets",
        f"attribute_exists(pk) AND #state = :capturing AND {known}",
        occurrences=[Occurrence("packets_seen", detail=detail)] if found.state == "packets seen" else (),
        packets=found.as_dict(),
        capturing="capturing",
        **({"before": before.state} if before is not None else {}),
    )
    entry = incidents.event(incident.id, by, found.state, detail)
    return incidents.get(incident.id) if table.write_together([write, entry]) else None
