"""Notifications of the watch on packets: none are seen, or they are seen after all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tapstack.domain.capture_plan import MORE_PLACES
from tapstack.domain.incidents import SWEEP_MINUTES
from tapstack.domain.packet_watch import MEASURED
from tapstack.responder.outbound.notifications import subject, text
from tapstack.responder.store.incidents import Incident
from tapstack.responder.store.records import IncidentPackets

WARNED: Final = "no packets seen"
SEEN: Final = "packets seen"


def _run_next(incident: Incident, *before: str) -> list[str]:
    return ["What to run next:", *(f"  {command}" for command in before), f"  tapstack incident show {incident.id}"]


def repaired(incident: Incident, lines: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: sessions were changed by others, and are as before."""
    return subject(incident, "mirroring repaired"), text(
        incident,
        "Traffic mirror sessions of this incident were changed outside Tapstack. What is possible is changed back. "
        "Packets in between may be missing.",
        [f"  {line}" for line in lines],
        ["CloudTrail says who changed them.", *_run_next(incident)],
    )


def _delete(incident: Incident, session_id: str) -> str:
    return (
        f"  aws ec2 delete-traffic-mirror-session --region {incident.where.region} "
        f"--traffic-mirror-session-id {session_id}"
    )


def preceded(incident: Incident, lines: Sequence[str], session_ids: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: sessions of others that take packets of this incident were created, or changed.

    Args:
        incident: whose packets.
        lines: about its interfaces.
        session_ids: of the sessions of others.
    """
    return subject(incident, "PACKETS GO TO ANOTHER MIRROR SESSION"), text(
        incident,
        "Mirror sessions that Tapstack did not create, with a lower number, take packets of this incident. AWS sends "
        "a packet to one session only: the one with the lowest number whose filter accepts it.",
        [f"  {line}" for line in lines],
        [
            "CloudTrail says who created them. What to run next, if they are not needed:",
            *(_delete(incident, session_id) for session_id in session_ids),
            f"  tapstack incident show {incident.id}",
        ],
    )


def lost(incident: Incident, lines: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: sessions are gone, and could not be made again."""
    return subject(incident, "MIRRORING LOST"), text(
        incident,
        "Network interfaces of this incident are mirrored no longer, and could not be mirrored again. The sweeper "
        f"tries every {SWEEP_MINUTES} minutes.",
        [f"  {line}" for line in lines],
        _run_next(incident),
    )


def deleted(incident: Incident, lines: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: network interfaces no longer exist, and their capture has ended."""
    return subject(incident, "network interface deleted"), text(
        incident,
        "Network interfaces of this incident were deleted, and AWS deleted their mirror sessions with them. What was "
        "mirrored until then is captured.",
        [f"  {line}" for line in lines],
        [] if incident.in_state("mirrored") else ["NOTHING of this incident is mirrored now."],
        ["CloudTrail says who deleted them.", *_run_next(incident)],
    )


def displaced(incident: Incident, lines: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: interfaces of this incident gave their places to more severe incidents."""
    then = f"is NOT mirrored again: this incident is {incident.state}. To capture it, open another incident."
    if incident.state == "capturing":
        then = f"is mirrored again once the target has a place for it: the sweeper tries every {SWEEP_MINUTES} minutes."
    return subject(incident, "place given to a more severe incident"), text(
        incident,
        "The mirror target takes no more sources, and a more severe incident needed a place. "
        f"Each interface below {then}",
        [f"  {line}" for line in lines],
        ["The instance stays contained."] if incident.containment_state == "contained" else [],
        ["Its containment goes on, and is not completed."] if incident.containment_state == "containing" else [],
        [f"To capture all: {MORE_PLACES}."],
        _run_next(incident, "tapstack incident list"),
    )


def placed(incident: Incident, lines: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: interfaces that waited are mirrored."""
    return subject(incident, "mirrored after waiting"), text(
        incident,
        "Network interfaces of this incident that waited, for a place at the mirror target or for AWS to accept a "
        "session, are mirrored. What they sent and received meanwhile is not captured.",
        [f"  {line}" for line in lines],
        _run_next(incident),
    )


def instance_changed(incident: Incident, said: str) -> tuple[str, str]:
    """Return subject and text: the instance stopped, started or was terminated."""
    return subject(incident, "instance changed"), text(incident, f"{said}.", _run_next(incident))


def appliance_stopped(incident: Incident, said: str, commands: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: the launched appliance does not run."""
    return subject(incident, "THE APPLIANCE DOES NOT RUN"), text(
        incident,
        f"{said}. Packets that are mirrored meanwhile are lost.",
        ["CloudTrail says who stopped it.", *_run_next(incident, *commands)],
    )


def attached(incident: Incident, lines: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: network interfaces were attached to the instance while it is captured."""
    return subject(incident, "interface attached"), text(
        incident,
        "Network interfaces were attached to the instance since mirroring began. Packets before now are not captured.",
        [f"  {line}" for line in lines],
        ["CloudTrail says who attached them.", *_run_next(incident)],
    )


def unknown(incident: Incident, session_id: str, network_interface_id: str) -> tuple[str, str]:
    """Return subject and text: a session has the tags of this incident, which did not create it."""
    return subject(incident, "unknown mirror session"), text(
        incident,
        f"{session_id} on {network_interface_id} has the tags of this incident, but no incident created it. It is "
        "neither used nor deleted, because any caller with ec2:CreateTags can write these tags. CloudTrail says "
        "who created it.",
        [
            "What to run next, if it is not needed:",
            _delete(incident, session_id),
        ],
    )


def missing(incident: Incident, found: IncidentPackets, causes: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: sessions exist, and no packets were counted."""
    return subject(incident, "NO PACKETS SEEN"), text(
        incident,
        f"Traffic mirror sessions exist since {found.since}, and CloudWatch counts no mirrored packets of "
        f"{', '.join(found.missing)}. {MEASURED}",
        ["Likely causes:", *(f"  {cause}" for cause in causes)],
        [f"The sweeper goes on watching, every {SWEEP_MINUTES} minutes, and notifies when packets are seen."],
        _run_next(incident),
    )


def seen(incident: Incident, found: IncidentPackets) -> tuple[str, str]:
    """Return subject and text: packets were counted, after a warning that there were none."""
    return subject(incident, "packets seen"), text(
        incident,
        f"CloudWatch counts mirrored packets in the five minutes from {found.seen_at}. {MEASURED}",
        _run_next(incident),
    )
