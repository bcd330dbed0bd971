"""What people are told about containment: what was cut, what survives it, how to put everything back.

Sources: Amazon EC2 User Guide, "Amazon EC2 security group connection tracking"; Amazon VPC User Guide, "Control
traffic to your AWS resources using security groups" (what security groups do not filter).
"""

from __future__ import annotations

from typing import Final

from tapstack.domain.containment_settings import undo_containment_command
from tapstack.responder.outbound.notifications import subject, text
from tapstack.responder.store.incidents import Incident

SURVIVES: Final = (
    "connections that are being tracked, until they are idle; through a NAT gateway, a load balancer, a transit",
    "  gateway or PrivateLink they always are",
    "DNS by the VPC's resolver, and the instance metadata service",
    "credentials of its role that were taken elsewhere before",
)
"""What security groups do not cut."""


def approval(incident: Incident) -> tuple[str, str]:
    """Return subject and text: somebody has to say yes or no."""
    containment, name = incident["containment"], incident["id"]
    default = {"contain": "it is CONTAINED then", "leave": "it is left alone then"}[containment["default"]]
    return subject(incident, "CONTAIN? answer needed"), text(
        incident,
        f"{containment['asked_by']} asks to cut {incident['instance_id']} off. "
        f"Without an answer by {containment['deadline']}, {default}.",
        [
            "What to run next:",
            f"  tapstack incident approve {name} --dry-run   (shows what would change)",
            f"  tapstack incident approve {name}",
            f"  tapstack incident reject {name}",
        ],
    )


def left(incident: Incident) -> tuple[str, str]:
    """Return subject and text: the instance is left alone."""
    containment = incident["containment"]
    why = "nobody answered in time" if containment["decision"] == "default" else f"{containment['decided_by']} said no"
    return subject(incident, "NOT contained"), text(
        incident,
        f"{incident['instance_id']} is not cut off: {why}. Nothing was changed.",
        ["What to run next, to contain it all the same:", f"  tapstack incident contain {incident['id']}"],
    )


def contained(incident: Incident) -> tuple[str, str]:
    """Return subject and text: the instance is cut off."""
    containment = incident["containment"]
    agreed = f", {containment['decision']} by {containment['decided_by']}" if containment["decision"] else ""
    return subject(incident, "CONTAINED"), text(
        incident,
        f"{incident['instance_id']} is cut off, as {containment['asked_by']} asked{agreed}.",
        _changed(incident),
        ["What survives it:", *(f"  {line}" for line in SURVIVES)],
        [
            "It stays so until somebody releases it: neither closing the incident nor its expiry does.",
            "What to run next:",
            f"  tapstack incident show {incident['id']}",
            f"  {undo_containment_command(incident['id'])} --dry-run",
            f"  {undo_containment_command(incident['id'])}",
        ],
    )


def released(incident: Incident) -> tuple[str, str]:
    """Return subject and text: everything is put back, but for what is listed."""
    lost = [str(line) for line in incident["containment"]["not_restored"]]
    return subject(incident, "released" if not lost else "released, not all restored"), text(
        incident,
        f"{incident['instance_id']} is released by {incident['containment'].get('released_by')}.",
        ["Not restored:", *(f"  {line}" for line in lost)] if lost else [],
        ["What to run next:", f"  tapstack incident show {incident['id']}"],
    )


def held(incident: Incident) -> tuple[str, str]:
    """Return subject and text: this incident lets go, and others keep the instance cut off."""
    return subject(incident, "let go, STAYS CONTAINED"), text(
        incident,
        f"{incident['containment'].get('released_by')} released {incident['instance_id']} for this incident.",
        [str(line) for line in incident["containment"]["not_restored"]],
        [
            "What to run next, to put everything back for all of them:",
            f"  {undo_containment_command(incident['id'])} --all",
        ],
    )


def blocked(incident: Incident) -> tuple[str, str]:
    """Return subject and text: others changed something meanwhile, so nothing of it was overwritten."""
    name = incident["id"]
    return subject(incident, "release BLOCKED"), text(
        incident,
        f"{incident['instance_id']} is STILL CONTAINED, at least in part: others changed something meanwhile, "
        "and it is not overwritten unasked.",
        [
            "What to run next:",
            f"  {undo_containment_command(name)} --dry-run     (shows what was, what we set, what is now)",
            f"  {undo_containment_command(name)} --overwrite   (puts back what was)",
            f"  {undo_containment_command(name)} --keep        (leaves what others changed)",
        ],
    )


def failed(incident: Incident, failure: str) -> tuple[str, str]:
    """Return subject and text: it failed, what is changed already, how to undo it."""
    changed = _changed(incident)
    refused = failure.startswith("ContainmentRefused")
    return subject(incident, "containment REFUSED" if refused else "containment FAILED"), text(
        incident,
        f"{incident['instance_id']} is not contained, or not released, as asked: {failure}",
        changed or ["As far as is recorded, nothing of the instance is changed."],
        ["What to run next, which takes back all of it:", f"  {undo_containment_command(incident['id'])}"]
        if changed
        else ["What to run next:", f"  tapstack incident show {incident['id']}"],
    )


def left_open(instance_id: str) -> str:
    """Say that only the first of two steps was made: the instance is worse off than before."""
    return f"{instance_id} is LEFT OPEN, in the group of the first of two steps: contain again, or release"


def _changed(incident: Incident) -> list[str]:
    changed = incident["containment"]["changed"]
    return ["Changed:", *(f"  {line}" for line in changed)] if changed else []
