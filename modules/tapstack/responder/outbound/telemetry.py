"""Emits what happened to incidents, once each, as events on the bus: the contract is `domain.incident_events`.

What happened is recorded in the incident before it is emitted, and removed after that. A function that is killed in
between leaves it to the next one that has the incident, at the latest to the sweeper: the event is the same then, of
the same id and time, and shows the incident as it is at that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tapstack.domain.console import instance_page
from tapstack.domain.incident_events import DETAIL_TYPE, VERSION, Occurrence, read_recorded, tactic
from tapstack.domain.regions import partition_of
from tapstack.responder.aws.errors import said_by
from tapstack.responder.observability import logger
from tapstack.responder.outbound import notifications
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident, IncidentInterface


def emit_recorded(incident: Incident, *, of_others: bool = False) -> None:
    """Emit what happened to an incident and is not emitted yet, oldest first.

    Args:
        incident: as it is now.
        of_others: also what other functions have just recorded, and may be about to emit.

    Raises:
        ClientError, BotoCoreError, TryAgain: the bus did not take an event.
    """
    now = datetime.now(UTC)
    left = {text: one for text, one in read_recorded(incident.unemitted).items() if of_others or one.is_left(now)}
    for one in left.values():
        # What the bus does not take stays recorded in the incident.
        notifications.emit_or_raise(DETAIL_TYPE, event(incident, one))
    if left:
        incidents.mark_emitted(incident.id, left)


def settle(incident: Incident, *, of_others: bool = False) -> None:
    """Emit what is not emitted yet; where that fails, the sweeper does it later: no response waits for telemetry."""
    try:
        emit_recorded(incident, of_others=of_others)
    except Exception as error:
        # Whatever it is: an event that cannot be built fails no request about its incident either.
        why = f"{type(error).__name__}: {said_by(error)}"
        logger.warning({"message": "telemetry is left to the sweeper", "incident": incident.id, "why": why})


def event(incident: Incident, occurrence: Occurrence) -> dict[str, Any]:
    """Return an event of version 1, without the deployment and site."""
    where = incident.where
    joined = occurrence.facts.get("alert")
    alert = joined or _alert(incident)
    return {
        "version": VERSION,
        "id": f"{incident.id}-{occurrence.id}",
        "what": occurrence.what,
        "time": occurrence.at,
        "by": occurrence.by or _by(incident, occurrence),
        "message": _message(incident, occurrence),
        "detail": occurrence.detail,
        "severity": incident.severity,
        **where.as_dict(),
        "part": occurrence.facts.get("part"),
        "decision": occurrence.facts.get("decision"),
        "techniques": list(joined["techniques"] if joined else incident.techniques),
        "tactics": [tactic(name) for name in (joined["tactics"] if joined else incident.tactics)],
        "alert": {"source": alert["source"], "id": alert["id"]} if alert else None,
        "incident": {
            "id": incident.id,
            "state": incident.state,
            "reason": incident.reason,
            "source": incident.source,
            "opened_at": incident.opened_at,
            "opened_by": incident.opened_by,
            "expires_at": incident.expires_at,
            "closed_at": incident.closed_at,
            "closed_because": incident.closed_because,
        },
        "entities": _entities(incident),
        "packets": _members(incident.packets, "state", "since", "seen_at"),
        "containment": _members(
            incident.containment,
            *("mode", "state", "asked_by", "asked_at", "deadline", "default"),
            *("decision", "decided_by", "decided_at", "released_by", "released_at"),
        ),
        "links": {
            "console": instance_page(where.region, incident.instance_id) if incident.instance_id else None,
            "appliance": appliance.portal_url if (appliance := incidents.appliance_now(incident)) else None,
        },
    }


def alert(source: str, alert_id: str | None, techniques: Sequence[str], tactics: Sequence[str]) -> dict[str, Any]:
    """Return the alert of an occurrence, as `facts` have it."""
    return {"source": source, "id": alert_id, "techniques": list(techniques), "tactics": list(tactics)}


def _alert(incident: Incident) -> dict[str, Any] | None:
    return {"source": incident.source, "id": incident.alert_id} if incident.alert_id else None


def _by(incident: Incident, occurrence: Occurrence) -> str | None:
    """Return who did what an incident records by itself."""
    containment = incident.containment
    if occurrence.what == "opened":
        return incident.opened_by
    if containment is not None and occurrence.what == "contained":
        return containment.decided_by or containment.asked_by
    if containment is not None and occurrence.what == "released":
        return containment.released_by
    return None


def _message(incident: Incident, occurrence: Occurrence) -> str:
    """Return what happened, in one line of ours: ids are all that it has of others."""
    about = incident.instance_id or ", ".join(incident.network_interface_ids)
    facts = occurrence.facts
    match occurrence.what:
        case "opened":
            return f"An incident about {about} was opened"
        case "joined":
            return f"Another alert about {about} joined its incident"
        case "refused":
            return f"The {facts['part']} of {about} was refused, and nothing was changed"
        case "mirroring":
            return f"Packets of {about} are being mirrored"
        case "packets_seen":
            return f"Mirrored packets of {about} were counted"
        case "approval_asked":
            return f"The containment of {about} waits for approval"
        case "decided":
            decision = facts["decision"]
            said = "decided by default" if decision == "default" else decision
            return f"The containment of {about} was {said}"
        case "contained":
            return f"{about} is contained"
        case "released":
            return f"{about} is released for this incident"
        case "failed":
            return f"The {facts['part']} of {about} failed"
        case "closed":
            return f"The incident about {about} is closed"


def _entities(incident: Incident) -> dict[str, Any]:
    interfaces = [_interface(incident, one) for one in incident.interfaces]
    return {
        "instance": {
            "id": incident.instance_id,
            "arn": _arn(incident, "instance", incident.instance_id),
            "state": incidents.instance_state(incident),
        }
        if incident.instance_id
        else None,
        # Before the interfaces are found, those that were named.
        "network_interfaces": interfaces
        or [_interface(incident, IncidentInterface(eni, "eligible")) for eni in incident.network_interface_ids],
        "addresses": sorted({address for one in interfaces for address in one["addresses"]}),
        "vpc_ids": sorted({one["vpc_id"] for one in interfaces if one["vpc_id"]}),
    }


def _interface(incident: Incident, one: IncidentInterface) -> dict[str, Any]:
    place = incident.places.get(one.network_interface_id, {})
    return {
        "id": one.network_interface_id,
        "arn": _arn(incident, "network-interface", one.network_interface_id),
        "vpc_id": place.get("vpc_id"),
        "addresses": list(place.get("addresses", ())),
        "state": one.state,
        "session_id": one.session_id,
    }


def _arn(incident: Incident, kind: str, name: str) -> str:
    partition = partition_of(incident.where.region)
    where = f"{incident.where.region}:{incident.where.account_id}"
    return f"arn:{partition.name if partition else 'aws'}:ec2:{where}:{kind}/{name}"


def _members(record: Any, *names: str) -> dict[str, Any] | None:
    return None if record is None else {name: getattr(record, name) for name in names}
