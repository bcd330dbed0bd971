"""Notifications of containment: what was changed, what continues, how to release.

Sources: Amazon EC2 User Guide, "Amazon EC2 security group connection tracking"; Amazon VPC User Guide, "Control
traffic to your AWS resources using security groups" (what security groups do not filter).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tapstack.domain.callers import is_policy
from tapstack.domain.containment import difference_line, held_for, isolation_gap
from tapstack.domain.containment_release import network_is_restored, refusals
from tapstack.domain.containment_settings import check_groups_command, planned_changes
from tapstack.domain.outside_text import word
from tapstack.domain.proposals import (
    CHOOSE,
    DOES_THE_REST,
    GOES_ON,
    LEAVES_REFUSED,
    contain_commands,
    pending_commands,
    proposal,
)
from tapstack.domain.quarantine import delete_rules_commands
from tapstack.responder.containment.other_requests import OtherRequest
from tapstack.responder.environment import environment
from tapstack.responder.errors import is_refusal, without_name
from tapstack.responder.outbound.notifications import evidence, subject, text
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident, IncidentContainment
from tapstack.responder.store.requests import NOTHING_CHANGED

_IDLE_TCP: Final = "5 days (350 s on Nitro v6)"
_SURVIVES: Final = (
    "  those through gateways, load balancers, PrivateLink and the like are always tracked",
    "DNS by the Route 53 Resolver, and the instance metadata service",
    "role credentials copied off the instance earlier, unless this deployment restricts the role",
)
"""Traffic that security groups do not end, besides the flows that EC2 tracks."""


def approval(incident: Incident) -> tuple[str, str]:
    """Return subject and text: a containment is pending."""
    containment = incident.requested_containment
    default = {"contain": "it is contained", "leave": "it is not contained"}[containment.default or "leave"]
    what = "containment pending, of PROTECTED" if containment.overridden_tags else "containment pending approval"
    return subject(incident, what), text(
        incident,
        f"{word(containment.asked_by)} requests containment of {incident.instance_id}. "
        f"If it is neither approved nor rejected by {containment.deadline}, {default}.",
        evidence(incident),
        _plan(incident),
        who_may_approve(incident),
        _proposals(incident, pending_commands(overrides=bool(containment.overridden_tags))),
    )


def _plan(incident: Incident) -> list[str]:
    """Return lines: what a containment changes by the settings; what it finds, the dry run of `approve` shows."""
    settings = environment().containment
    if settings is None:
        return []
    wait = incidents.containment_wait(incident)
    return [
        *(
            [f"If it is contained, it waits for packets first, at most {wait} seconds. The attacker stays connected."]
            if wait is not None
            else []
        ),
        "If it is contained, this is changed where it applies (approve --dry-run shows each change):",
        *(f"  {line}" for line in planned_changes(settings)),
    ]


def _proposals(incident: Incident, commands: Iterable[str]) -> list[str]:
    wait = incidents.containment_wait(incident)
    lines = [f"  {proposal(incident.id, one, effect=_effect(incident, one), wait=wait)}" for one in commands]
    return [CHOOSE, *lines] if lines else []


def _effect(incident: Incident, command: str) -> str | None:
    """Return the effect of a command where it is another than usual."""
    if command.startswith("contain ") and _is_decided(incident):
        return DOES_THE_REST if incident.containment_state == "contained" else GOES_ON
    return LEAVES_REFUSED if command == "release --keep" and _is_refused(incident) else None


def _is_refused(incident: Incident) -> bool:
    return bool(refusals(incident.requested_containment.differences))


def _contain_commands(incident: Incident) -> list[str]:
    modes = incidents.containment_modes(incident)
    if _is_decided(incident):
        # None needs an approval, and none waits.
        return contain_commands(modes[:1])
    return contain_commands(modes, wait=incidents.containment_wait(incident))


def _is_decided(incident: Incident) -> bool:
    return incident.containment_state == "contained" or incident.requested_containment.failed_in_part


def who_may_approve(incident: Incident) -> list[str]:
    """Return lines: who may approve a pending containment, besides having the right to."""
    settings = environment().containment
    asked = incident.requested_containment
    if settings is not None and not settings.approval.other_person:
        return ["approval.other_person is off: the requester may approve it too."]
    if asked.requester is None and is_policy(asked.asked_by):
        return ["The policy requested it: any person with the right to approve may."]
    if is_policy(asked.asked_by):
        return [
            "The policy requested it, for an alert that a caller of the API sent: a person other than the sender must "
            "approve it. The sessions of one role count as one person."
        ]
    name = word(asked.asked_by)
    neither = f" {name} cannot approve it, not even with the right to override." if asked.overridden_tags else ""
    return [f"A person other than {name} must approve it.{neither} The sessions of one role count as one person."]


def left(incident: Incident, others: Sequence[OtherRequest]) -> tuple[str, str]:
    """Return subject and text: the instance is not contained, at least not for this incident.

    Args:
        incident: for which it is not contained.
        others: the incidents that hold it.
    """
    containment = incident.requested_containment
    completed = all(one.completed for one in others)
    stays = held_for([one.incident.id for one in others], completed=completed)
    why = "no answer before the deadline" if containment.decision == "default" else _rejected(containment)
    if containment.decision == "default" and containment.default == "contain":
        why += ", and its release began or ended since this was requested"
    if containment.changed:
        return subject(incident, "rejected, NOT RESTORED"), text(
            incident,
            f"{incident.instance_id} is not contained again: {why}. What was changed for this incident before is NOT "
            "RESTORED: it may still be isolated, or open to all traffic.",
            _started(incident, "release"),
            [f"{stays[0].upper()}{stays[1:]}."] if others else [],
            _proposals(incident, ("show", *_contain_commands(incident), "release")),
        )
    if others:
        also = "still contained" if completed else "another NOT COMPLETED"
        shown = [incident.id] if completed else [incident.id, *(one.incident.id for one in others)]
        return subject(incident, f"rejected; {also}"), text(
            incident,
            f"{incident.instance_id} is not contained for this incident: {why}. Nothing was changed: {stays}.",
            ["What to run next:", *(f"  tapstack incident show {one}" for one in shown)],
        )
    return subject(incident, "NOT contained"), text(
        incident,
        f"{incident.instance_id} is not contained: {why}. Nothing was changed.",
        _proposals(incident, _contain_commands(incident)),
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
    gap = isolation_gap(containment.not_done)
    return subject(incident, f"CONTAINED{gap and f', {gap}'}"), text(
        incident,
        f"{incident.instance_id} is contained{gap and f', {gap}'}, as {word(containment.asked_by)} requested{agreed}.",
        ["Not done:", *(f"  {line}" for line in containment.not_done)] if containment.not_done else [],
        [f"Waited for packets: {containment.packets_wait}."] if containment.packets_wait else [],
        ["Changed:", *(f"  {line}" for line in containment.changed)] if containment.changed else [],
        ["What continues:", *(f"  {line}" for line in _survives())],
        [
            "Check it: each network interface must have the quarantine group alone.",
            f"  {check_groups_command(incident.named_instance_id, incident.where.region)}",
        ],
        [
            "It stays contained until it is released: neither closing the incident nor its expiry releases it.",
            *_proposals(incident, ("show", "release --dry-run", "release")),
        ],
    )


def _survives() -> list[str]:
    """Return lines: which traffic continues, by the settings."""
    settings = environment().containment
    seconds = settings.tcp_established_seconds if settings is not None else None
    idle = _IDLE_TCP if seconds is None else f"{seconds} s where this was changed, otherwise {_IDLE_TCP}"
    return [f"TCP, UDP and ICMP flows that EC2 tracks: while they are used, and idle TCP up to {idle};", *_SURVIVES]


def released(incident: Incident, others: Sequence[OtherRequest] = ()) -> tuple[str, str]:
    """Return subject and text: the prior state is restored, but for what is listed.

    Args:
        incident: that was released.
        others: the other incidents that contain the instance, or have requested it.
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


def _wanted_by(others: Sequence[OtherRequest]) -> list[str]:
    return ["Other incidents that contain it, or have requested it:", *(f"  {one}" for one in others)] if others else []


def held(incident: Incident, others: Sequence[OtherRequest]) -> tuple[str, str]:
    """Return subject and text: released for this incident, while others kept the instance contained.

    Args:
        incident: for which it is released.
        others: the other incidents that contain it, or have requested it; none of them holds it where they released it
            since.
    """
    holders = [one.incident.id for one in others if one.holds]
    if not holders:
        return released(incident, others)
    return subject(incident, "released for this incident only"), text(
        incident,
        f"{word(str(incident.requested_containment.released_by))} released {incident.instance_id} for this incident.",
        [f"Its containment is NOT RELEASED for {', '.join(holders)}."],
        _wanted_by([one for one in others if not one.holds]),
        _proposals(incident, ("show", "release --all")),
    )


def blocked(incident: Incident) -> tuple[str, str]:
    """Return subject and text: something was changed outside Tapstack, or AWS refuses to restore something."""
    differences = incident.requested_containment.differences
    if refused := refusals(differences):
        return _refused(incident, refused)
    advice = dict.fromkeys(one["advice"] for one in differences if one.get("advice"))
    return subject(incident, "release BLOCKED"), text(
        incident,
        f"The containment of {incident.instance_id} is NOT RELEASED, at least in part: something was changed outside "
        "Tapstack, and is not overwritten without --overwrite.",
        ["Changed outside Tapstack:", *(f"  {difference_line({**one, 'advice': ''})}" for one in differences)],
        [f"{line}." for line in advice],
        _proposals(incident, ("release --dry-run", *(() if advice else ("release --overwrite",)), "release --keep")),
    )


def _refused(incident: Incident, refused: list[str]) -> tuple[str, str]:
    restored = network_is_restored(incident.requested_containment.differences)
    return subject(incident, "release NOT COMPLETED"), text(
        incident,
        f"The release of {incident.instance_id} is not completed: AWS refuses a part of it. "
        + ("Its network is restored." if restored else "Its network may still be isolated, at least in part."),
        ["AWS refuses to restore:", *(f"  {line}" for line in refused)],
        ["Change what AWS names first.", *_proposals(incident, ("release", "release --keep"))],
    )


def failed(incident: Incident, failure: str) -> tuple[str, str]:
    """Return subject and text: a containment, or a release, failed; what is changed, how to go on and to undo it."""
    refused = is_refusal(failure)
    containment = incident.requested_containment
    task = "release" if containment.released_at else "containment"
    which = f"The {task}" if containment.state == "failed" else f"A step after the {task}"
    if containment.state == "contained" and containment.failure is not None:
        which = "What was to be done after the containment"
    again = _contain_commands(incident) if task == "containment" else []
    return subject(incident, f"{task} {'REFUSED' if refused else 'FAILED'}"), text(
        incident,
        f"{which} of {incident.instance_id} {'was refused' if refused else 'failed'}: {without_name(failure)}",
        _started(incident, task) or ["No change of the instance is recorded for this incident."],
        _proposals(incident, ("show", *again, *(("release",) if containment.changed else ()))),
    )


def _started(incident: Incident, task: str) -> list[str]:
    """Return the changes that are recorded where one of the instance, or its release, failed.

    They are recorded before they begin.
    """
    containment = incident.requested_containment
    if not containment.changed:
        return []
    changed = [f"  {line}" for line in containment.changed]
    if containment.state == "contained":
        return ["Changed:", *changed]
    heading = (
        "Changes that may not be restored yet:"
        if task == "release"
        else "Changes that were started (some may not have taken effect):"
    )
    check = check_groups_command(incident.named_instance_id, incident.where.region)
    return [heading, *changed, "The security groups that it has now:", f"  {check}"]


def isolating(incident: Incident, network_interface_id: str, *, connected: bool) -> tuple[str, str]:
    """Return subject and text: an interface was attached to the contained instance, and its isolation is requested.

    Args:
        incident: whose instance is contained.
        network_interface_id: of the interface.
        connected: it is not isolated yet.
    """
    now = (
        "It is NOT ISOLATED yet: its isolation is requested now, and again at each sweep until it is isolated."
        if connected
        else "It was isolated, or detached, since then."
    )
    return subject(incident, "interface attached while contained"), text(
        incident,
        f"{network_interface_id} was attached to {incident.instance_id} since that was contained. {now}",
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


def not_isolating(incident: Incident, lines: Sequence[str], groups: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Return subject and text: the instance is contained, but the group that should isolate it has rules.

    Args:
        incident: whose instance it is.
        lines: about its interfaces.
        groups: the rules of these groups, by id.
    """
    return subject(incident, "contained, but NOT ISOLATED"), text(
        incident,
        f"{incident.instance_id} is contained, but its quarantine group has rules, which Tapstack did not add.",
        list(lines),
        ["CloudTrail says who added them. Tapstack does not delete them: other instances may have the group."],
        [
            "What to run next, to delete the rules; it is isolated once they are deleted:",
            *(
                f"  {command}"
                for group, rules in sorted(groups.items())
                for command in delete_rules_commands(group, rules, incident.where.region)
            ),
        ],
    )


def left_open(instance_id: str) -> str:
    """Return a warning that only the first of two steps was made: the instance is open to all traffic."""
    return (
        f"{instance_id} IS OPEN TO ALL TRAFFIC: it has the all-open security group (two_step did not finish). Contain "
        "it again now, which isolates it; or release it, which restores its prior groups"
    )
