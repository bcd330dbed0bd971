"""Notifications of containment: what was changed, what continues, how to release.

Sources: Amazon EC2 User Guide, "Amazon EC2 security group connection tracking"; Amazon VPC User Guide, "Control
traffic to your AWS resources using security groups" (what security groups do not filter).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tapstack.domain.callers import is_policy
from tapstack.domain.containment import difference_line
from tapstack.domain.containment_release import network_is_restored, refusals
from tapstack.domain.containment_settings import contain_command, override_command, undo_containment_command
from tapstack.domain.outside_text import word
from tapstack.responder.containment.wanting import Wanting
from tapstack.responder.environment import environment
from tapstack.responder.errors import is_refusal
from tapstack.responder.outbound.notifications import subject, text
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident, IncidentContainment
from tapstack.responder.store.requests import NOTHING_CHANGED

SURVIVES: Final = (
    "TCP, UDP and ICMP flows that EC2 tracks, while they are used; those through gateways, load balancers,",
    "  PrivateLink and the like are always tracked",
    "DNS by the Route 53 Resolver, and the instance metadata service",
    "role credentials copied off the instance earlier, unless this deployment restricts the role",
)
"""Traffic that security groups do not end."""


def approval(incident: Incident) -> tuple[str, str]:
    """Return subject and text: a containment is pending."""
    containment, name = incident.requested_containment, incident.id
    default = {"contain": "it is contained", "leave": "it is not contained"}[containment.default or "leave"]
    what = "containment pending, of PROTECTED" if containment.overridden_tags else "containment pending approval"
    return subject(incident, what), text(
        incident,
        f"{word(containment.asked_by)} requests containment of {incident.instance_id}. "
        f"Without an answer by {containment.deadline}, {default}.",
        who_may_approve(incident),
        [
            "What to run next:",
            f"  tapstack incident approve {name} --dry-run   (shows what would change)",
            f"  tapstack incident approve {name}",
            f"  tapstack incident reject {name}",
        ],
        # The way out of a responder who is alone; what protects an instance takes two.
        ["Without another approver, with the right to override:", f"  {override_command(name)}"]
        if not containment.overridden_tags
        else [],
    )


def who_may_approve(incident: Incident) -> list[str]:
    """Return lines: who may approve a pending containment, besides having the right to."""
    settings = environment().containment
    asked = incident.requested_containment
    if settings is not None and not settings.approval.other_person:
        return ["Whoever may approve may approve what they requested, too: approval.other_person is off."]
    if asked.requester is None and is_policy(asked.asked_by):
        return ["The policy requested it: any person with the right to approve may."]
    if is_policy(asked.asked_by):
        return [
            "The policy requested it, for an alert that a caller of the API sent: another person than the sender "
            "approves it. The sessions of one role count as one person."
        ]
    also = ", also with the right to override" if asked.overridden_tags else ""
    return [
        f"Another person than {word(asked.asked_by)} approves it{also}. The sessions of one role count as one person."
    ]


def left(incident: Incident, others: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: the instance is not contained, at least not for this incident.

    Args:
        incident: for which it is not contained.
        others: the incidents that hold it contained.
    """
    containment = incident.requested_containment
    why = "no answer before the deadline" if containment.decision == "default" else _rejected(containment)
    if containment.decision == "default" and containment.default == "contain":
        why += ", and it was released since this was requested"
    commands = [f"  {contain_command(incident.id, mode)}" for mode in incidents.containment_modes(incident)]
    if others:
        return subject(incident, "rejected, contained for others"), text(
            incident,
            f"{incident.instance_id} is not contained for this incident: {why}. Nothing was changed: it stays "
            f"contained for {', '.join(others)}.",
            ["What to run next:", f"  tapstack incident show {incident.id}"],
        )
    return subject(incident, "NOT contained"), text(
        incident,
        f"{incident.instance_id} is not contained: {why}. Nothing was changed.",
        ["What to run next, to contain it anyway:", *commands] if commands else [],
    )


def _rejected(containment: IncidentContainment) -> str:
    if containment.rejected or containment.released_by is None:
        return f"rejected by {word(str(containment.decided_by))}"
    return f"its request was withdrawn when {word(containment.released_by)} released it for all incidents"


def contained(incident: Incident) -> tuple[str, str]:
    """Return subject and text: the instance is contained."""
    containment = incident.requested_containment
    decided = {
        "approved": f", approved by {word(str(containment.decided_by))}",
        "overridden": f", approved WITHOUT ANOTHER PERSON by {word(str(containment.decided_by))} (override)",
        "default": ", by the deployment's default",
    }
    agreed = decided.get(containment.decision or "", "")
    return subject(incident, "CONTAINED"), text(
        incident,
        f"{incident.instance_id} is contained, as {word(containment.asked_by)} requested{agreed}.",
        [f"Waited for packets: {containment.packets_wait}."] if containment.packets_wait else [],
        _changed(incident),
        ["Not done:", *(f"  {line}" for line in containment.not_done)] if containment.not_done else [],
        ["What continues:", *(f"  {line}" for line in SURVIVES)],
        [
            "It stays contained until it is released: neither closing the incident nor its expiry releases it.",
            "What to run next:",
            f"  tapstack incident show {incident.id}",
            f"  {undo_containment_command(incident.id)} --dry-run",
            f"  {undo_containment_command(incident.id)}",
        ],
    )


def released(incident: Incident, others: Sequence[Wanting] = ()) -> tuple[str, str]:
    """Return subject and text: the prior state is restored, but for what is listed.

    Args:
        incident: that was released.
        others: the other incidents that want the instance contained.
    """
    lost = [str(line) for line in incident.requested_containment.not_restored]
    return subject(incident, "released" if not lost else "released, not all restored"), text(
        incident,
        f"{incident.instance_id} was released by {word(str(incident.requested_containment.released_by))}.",
        ["Not restored:", *(f"  {line}" for line in lost)] if lost else [],
        [f"{NOTHING_CHANGED.capitalize()}."] if incident.requested_containment.released_before_change else [],
        _wanted_by(others),
        ["What to run next:", f"  tapstack incident show {incident.id}"],
    )


def _wanted_by(others: Sequence[Wanting]) -> list[str]:
    return ["Other incidents want it contained:", *(f"  {one}" for one in others)] if others else []


def held(incident: Incident, others: Sequence[Wanting]) -> tuple[str, str]:
    """Return subject and text: released for this incident, while others kept the instance contained.

    Args:
        incident: for which it is released.
        others: the other incidents that want it contained; none of them holds it where they released it since.
    """
    holders = [one.incident.id for one in others if one.holds]
    if not holders:
        return released(incident, others)
    return subject(incident, "released for this incident only"), text(
        incident,
        f"{word(str(incident.requested_containment.released_by))} released {incident.instance_id} for this incident.",
        [f"Its containment is NOT RELEASED for {', '.join(holders)}."],
        _wanted_by([one for one in others if not one.holds]),
        [
            "What to run next, to release it for all incidents:",
            f"  {undo_containment_command(incident.id)} --all",
        ],
    )


def blocked(incident: Incident) -> tuple[str, str]:
    """Return subject and text: something was changed outside Tapstack, or AWS refuses to restore something."""
    name, differences = incident.id, incident.requested_containment.differences
    if refused := refusals(differences):
        return _refused(incident, refused)
    advice = dict.fromkeys(one["advice"] for one in differences if one.get("advice"))
    return subject(incident, "release BLOCKED"), text(
        incident,
        f"The containment of {incident.instance_id} is NOT RELEASED, at least in part: something was changed outside "
        "Tapstack, and is not overwritten without --overwrite.",
        ["Changed outside Tapstack:", *(f"  {difference_line({**one, 'advice': ''})}" for one in differences)],
        [f"{line}." for line in advice],
        [
            "What to run next:",
            f"  {undo_containment_command(name)} --dry-run     (shows prior state, containment, present state)",
            *([] if advice else [f"  {undo_containment_command(name)} --overwrite   (restores the prior state)"]),
            f"  {undo_containment_command(name)} --keep        (keeps what was changed)",
        ],
    )


def _refused(incident: Incident, refused: list[str]) -> tuple[str, str]:
    command = undo_containment_command(incident.id)
    restored = network_is_restored(incident.requested_containment.differences)
    return subject(incident, "release NOT COMPLETED"), text(
        incident,
        f"The release of {incident.instance_id} is not completed: AWS refuses a part of it. "
        + ("Its network is restored." if restored else "Its network may still be isolated, at least in part."),
        ["AWS refuses to restore:", *(f"  {line}" for line in refused)],
        [
            "What to run next, after changing what AWS names:",
            f"  {command}",
            f"  {command} --keep        (leaves that as it is)",
        ],
    )


def failed(incident: Incident, failure: str) -> tuple[str, str]:
    """Return subject and text: a containment, or a release, failed; what is changed, how to undo it."""
    changed = _changed(incident)
    refused = is_refusal(failure)
    containment = incident.requested_containment
    task = "release" if containment.released_at else "containment"
    which = f"The {task}" if containment.state == "failed" else f"A step after the {task}"
    again = _contain_again(incident) if containment.state == "contained" else []
    undo = undo_containment_command(incident.id)
    return subject(incident, f"{task} {'REFUSED' if refused else 'FAILED'}"), text(
        incident,
        f"{which} of {incident.instance_id} failed: {failure}",
        changed or ["No change of the instance is recorded for this incident."],
        [f"What to run next, to {'try it again, or to ' if again else ''}restore the prior state:", *again, f"  {undo}"]
        if changed
        else ["What to run next:", f"  tapstack incident show {incident.id}"],
    )


def _contain_again(incident: Incident) -> list[str]:
    settings = environment().containment
    modes = settings.modes if settings is not None else ()
    return [f"  {contain_command(incident.id, mode)}" for mode in modes]


def isolating(incident: Incident, network_interface_id: str) -> tuple[str, str]:
    """Return subject and text: an interface was attached to the contained instance, and is isolated now."""
    return subject(incident, "interface attached to a contained instance"), text(
        incident,
        f"{network_interface_id} was attached to {incident.instance_id} since that was contained. It is NOT ISOLATED "
        "yet: that is requested, because the instance's containment was decided, and again at each sweep until it is.",
        ["CloudTrail says who attached it."],
        ["What to run next:", f"  tapstack incident show {incident.id}"],
    )


def staying_connected(incident: Incident, network_interface_id: str, why: str) -> tuple[str, str]:
    """Return subject and text: an interface was attached to the contained instance, and cannot be isolated."""
    return subject(incident, "attached interface STAYS CONNECTED"), text(
        incident,
        f"{network_interface_id} was attached to {incident.instance_id} since that was contained, and is not isolated.",
        [f"{why}."],
        ["CloudTrail says who attached it."],
        ["What to run next:", f"  tapstack incident show {incident.id}"],
    )


def not_isolating(incident: Incident, lines: Sequence[str]) -> tuple[str, str]:
    """Return subject and text: the instance is contained, but the group that should isolate it has rules."""
    return subject(incident, "contained, but NOT ISOLATED"), text(
        incident,
        f"{incident.instance_id} is contained, but its quarantine group has rules, which Tapstack did not add.",
        list(lines),
        ["CloudTrail says who added them. Tapstack does not delete them: other instances may have the group."],
        [
            "What to run next, to see the rules, and then to delete them by their ids:",
            *(
                f"  aws ec2 describe-security-group-rules --filters Name=group-id,Values={group}"
                for group in sorted({line.split("quarantine group ")[1].split()[0] for line in lines})
            ),
        ],
    )


def left_open(instance_id: str) -> str:
    """Return a warning that only the first of two steps was made: the instance is open to all traffic."""
    return (
        f"{instance_id} has the all-open security group (two_step did not finish): contain it again or release it now"
    )


def _changed(incident: Incident) -> list[str]:
    changed = incident.requested_containment.changed
    return ["Changed:", *(f"  {line}" for line in changed)] if changed else []
