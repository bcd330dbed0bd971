"""Requests of operators about containment: contain, approve, reject, release; and what each would change.

The incident's `containment` says what was requested and decided; which incidents hold an instance contained, and its
prior state, are items of their own. A state is changed on condition of the one before, so that only one of two
concurrent decisions takes effect. After the deadline the deployment's default decides, whichever function finds it. An
execution of its own contains or releases: a capture that is slow, or fails, delays no containment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from tapstack.domain.callers import BY_DEFAULT, Caller, is_policy, is_same_person
from tapstack.domain.containment import Plan, tags_word
from tapstack.domain.containment_settings import (
    ContainmentState,
    DeployedContainment,
    Mode,
    OperatorDecision,
    contain_command,
    override_command,
)
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import as_text, as_time, can_be_extended, utc_now
from tapstack.domain.outside_text import LONG, quoted, word
from tapstack.responder.containment import isolation, restoration
from tapstack.responder.containment.other_requests import other_requests, withdraw_requests
from tapstack.responder.environment import environment
from tapstack.responder.errors import Conflict, ContainmentRefused, OtherPersonNeeded
from tapstack.responder.outbound import executions, telemetry
from tapstack.responder.store import containments, incidents
from tapstack.responder.store import requests as store
from tapstack.responder.store.containments import LastRelease
from tapstack.responder.store.incidents import Incident, IncidentContainment
from tapstack.responder.store.retry import retried

_STATE_OF: Final[Mapping[str, ContainmentState]] = {
    "approved": "containing",
    "overridden": "containing",
    "rejected": "rejected",
    "contain": "containing",
    "leave": "rejected",
}
_HOLDS: Final[Mapping[str, tuple[ContainmentState, ...]]] = {
    "approved": ("containing", "contained"),
    "overridden": ("containing", "contained"),
    "rejected": ("rejected",),
}
"""The states of a containment while a decision holds: it is not released, failed or requested anew since."""


def configured() -> DeployedContainment:
    """Return the settings of containment.

    Raises:
        Conflict: containment is not configured.
    """
    settings = environment().containment
    if settings is None:
        raise Conflict("containment is not configured for this site")
    return settings


def allowed(mode: Mode | None) -> Mode:
    """Return the mode of a containment; by default `approval` where it is allowed, else `now`.

    Raises:
        Conflict: containment is not configured, or not in this mode.
    """
    modes = configured().modes
    if mode is not None and mode not in modes:
        do = "" if mode == "now" else "; contain at once (--mode now), which needs a separate permission"
        raise Conflict(f"mode {mode} is not allowed: containment.modes has {', '.join(modes)}{do}")
    return mode or ("approval" if "approval" in modes else "now")


def record(
    before: IncidentContainment | None,
    mode: Mode,
    by: Caller,
    *,
    as_of: str | None = None,
    overridden: Sequence[str] = (),
    reason: str | None = None,
) -> IncidentContainment:
    """Return what an incident says of its containment once that is requested.

    One that failed in part goes on as it was decided, whoever requests it, and in whichever mode: asked anew, the
    instance would wait with what is changed already, which may be the group that is open to all traffic. A person who
    requests it decides again: a release of another incident that began before, and has not ended, does not end it. So
    does the policy about activity that is newer than what was decided.

    Args:
        before: the containment that the incident has; none where none was requested.
        mode: it waits for approval, or does not.
        by: who requests it.
        as_of: when what the policy decided about was last seen; none for the decision of an operator.
        overridden: the tags that protect the instance, and that are overridden.
        reason: why they are.
    """
    if before is not None and before.failed_in_part:
        goes_on = replace(before, state="containing", failure=None)
        if not is_policy(by.name):
            return replace(goes_on, asked_again_at=as_text(utc_now()))
        # From then on it is about that activity, also where a person decided it first.
        is_newer = as_of is not None and as_of > (before.decided_as_of or "")
        return replace(goes_on, as_of=as_of, asked_again_at=None) if is_newer else goes_on
    settings = configured()
    now = utc_now()
    waits = mode == "approval"
    return IncidentContainment(
        mode=mode,
        state="pending" if waits else "containing",
        asked_by=by.name,
        asked_at=as_text(now),
        requester=by.person,
        deadline=as_text(now + timedelta(minutes=settings.approval.minutes)) if waits else None,
        # What protects an instance is overridden by persons, never by silence.
        default=("leave" if overridden else settings.approval.default) if waits else None,
        # Without an answer, nothing new is decided at the deadline.
        as_of=as_of or (as_text(now) if waits else None),
        overridden_tags=tuple(overridden),
        override_reason=reason if overridden else None,
        two_step=settings.two_step.enabled,
        # What a release that failed has not restored.
        changed=before.changed if before is not None and before.may_be_changed else (),
    )


def contain(incident_id: str, mode: Mode | None, *, by: Caller, skip_wait: bool = False) -> Incident:
    """Request containment of an incident's instance. Idempotent; `now` approves what is pending.

    Requested again, it also isolates the interfaces that were attached since, or goes on where it failed in part.

    Args:
        incident_id: which.
        mode: `approval` or `now`; by default `approval` where it is allowed, else `now`.
        by: who requests it.
        skip_wait: with `now`: do not wait for packets to be seen, and end such a wait.

    Raises:
        UnknownIncident: there is none of that id.
        Conflict: not configured, not in this mode, or nothing that could be contained now.
        ContainmentRefused: a rule of the settings forbids it.
    """
    chosen = allowed(mode)
    doing = "others change the incident at the same time"
    contained = _settled(retried(lambda: _contain_once(incident_id, chosen, by, skip_wait), doing))
    return _without_wait(contained, by) if skip_wait else contained


def _settled(incident: Incident) -> Incident:
    """Emit what happened by a request, and return its incident."""
    telemetry.settle(incident)
    return incident


def _without_wait(incident: Incident, by: Caller) -> Incident:
    """End the wait for packets of a containment, also one that has not begun; the workflow looks every 15 seconds."""
    asked = incident.containment
    waits = asked is not None and asked.state == "containing" and asked.packets_wait is None
    if configured().wait_for_packets is None or not waits:
        return incident
    store.end_packets_wait(incident, f"no longer, as {word(by.name)} requested")
    return incidents.get(incident.id)


def _contain_once(incident_id: str, chosen: Mode, by: Caller, skip_wait: bool) -> Incident | None:
    incident = in_time(incidents.get(incident_id))
    state = incident.containment_state
    if state == "pending" and chosen == "now":
        # Which needs no approval: containing at once needs a separate permission.
        return _decide_once(incident_id, "approved", by, at_once=True)
    if state in ("pending", "containing"):
        executions.ensure(incident, "contain")
        return incident
    if state in ("releasing", "blocked"):
        raise Conflict(f"incident {incident_id} is being released: its containment is {state}")
    if state == "contained":
        if not would_change(incident):
            return incident
        asked, said = None, "again, for what is not done yet"
    else:
        _check_can_be_contained(incident)
        if not incident.failed_in_part:
            would_change(incident)
        asked = record(incident.containment, chosen, by)
        said = asked_words(asked, incident.containment)
    changed = _ask(incident, asked)
    if changed is not None:
        incidents.add_event(incident_id, by.name, "containment requested", said)
        # Before the workflow begins to wait.
        changed = _without_wait(changed, by) if skip_wait else changed
        executions.ensure(changed, "contain")
    return changed


def _ask(incident: Incident, asked: IncidentContainment | None) -> Incident | None:
    """Record the request; only its count where the instance is contained already."""
    if asked is None:
        return store.request_containment_again(incident, of_person=True)
    return store.request_containment(incident, asked)


def contain_protected(incident_id: str, reason: str, *, by: Caller) -> Incident:
    """Request the containment of an instance that tags protect; another person approves it. Idempotent for one caller.

    Args:
        incident_id: which.
        reason: why the protection is overridden.
        by: who requests it.

    Raises:
        UnknownIncident: there is none of that id.
        Conflict: not configured, no tag protects the instance, or nothing that could be contained now.
        ContainmentRefused: a rule of the settings forbids it, which nothing overrides.
    """
    allowed("approval")
    doing = "others change the incident at the same time"
    return _settled(retried(lambda: _contain_protected_once(incident_id, reason, by), doing))


def _contain_protected_once(incident_id: str, reason: str, by: Caller) -> Incident | None:
    incident = in_time(incidents.get(incident_id))
    before = incident.containment
    if before is not None and before.state == "pending" and before.overridden_tags and before.asked_by == by.name:
        executions.ensure(incident, "contain")
        return incident
    asked = record(before, "approval", by, overridden=protected_by(incident), reason=reason)
    changed = _ask(incident, asked)
    if changed is not None:
        incidents.add_event(incident_id, by.name, "containment requested", asked_words(asked, before))
        executions.ensure(changed, "contain")
    return changed


def protected_by(incident: Incident) -> tuple[str, ...]:
    """Return the tags that protect the instance of an incident, where a containment that overrides them is possible.

    Raises:
        Conflict: no tag protects it, or nothing that could be contained now.
        ContainmentRefused: a rule of the settings forbids it, which nothing overrides.
    """
    if incident.containment_state == "pending":
        raise Conflict(
            f"the containment of incident {incident.id} is pending already: reject it first (tapstack incident reject "
            f"{incident.id})"
        )
    if incident.containment_state in ("containing", "contained", "releasing", "blocked"):
        raise Conflict(f"the containment of incident {incident.id} is {incident.containment_state} already")
    if incident.failed_in_part:
        raise Conflict(
            f"the containment of incident {incident.id} failed in part, and no tag protects the instance from its end: "
            f"{contain_command(incident.id, 'approval')}, which needs no approval"
        )
    _check_can_be_contained(incident)
    plan = _planned(incident, override_tags=True)
    if plan.refused is not None:
        raise ContainmentRefused(plan.refused)
    if not plan.overridden:
        raise Conflict(
            f"no tag protects {incident.instance_id}: {contain_command(incident.id, 'approval')}, which overrides none"
        )
    return plan.overridden


def plan_to_contain_protected(incident: Incident) -> dict[str, Any]:
    """Return what containing the incident's instance would change, in spite of the tags that protect it."""
    allowed("approval")
    try:
        protected_by(incident)
    except ContainmentRefused as refused:
        return Plan(incident.named_instance_id, refused=str(refused)).as_dict()
    return _planned(incident, override_tags=True).as_dict()


def asked_words(asked: IncidentContainment, before: IncidentContainment | None = None) -> str:
    """Return how a containment is requested, for the timeline.

    Args:
        asked: as it is requested.
        before: the containment that the incident had; none where none was requested.
    """
    if before is not None and before.failed_in_part:
        return "again, as decided before it failed in part"
    if asked.state != "pending":
        return "now"
    overrides = (
        f"; OVERRIDES its protection by {tags_word(asked.overridden_tags)}: {quoted(asked.override_reason, LONG)}"
        if asked.overridden_tags
        else ""
    )
    return f"on approval until {asked.deadline}; {asked.default} without an answer{overrides}"


def _check_can_be_contained(incident: Incident) -> None:
    if not incident.instance_id:
        raise Conflict("this incident is for network interfaces: open an incident for the instance and contain it")
    if not incidents.is_open(incident) and not incident.failed_in_part:
        state = incident.state if incident.state in ("closing", "closed") else "closing"
        raise Conflict(f"incident {incident.id} is {state}: open another one, and contain that")


def decide(
    incident_id: str,
    decision: OperatorDecision,
    *,
    by: Caller,
    reason: str = "",
) -> Incident:
    """Approve or reject a pending containment; override, which is to approve without another person.

    Idempotent for one caller, while the incident is open and the decision holds.

    Args:
        incident_id: which.
        decision: which.
        by: who decides.
        reason: why, for the timeline.

    Raises:
        UnknownIncident: there is none of that id.
        Conflict: nothing is pending, the deadline is over, or containment is not configured.
        OtherPersonNeeded: the caller requested it, and another person must approve it.
        ContainmentRefused: a rule of the settings forbids it.
    """
    doing = "others change the incident at the same time"
    return _settled(retried(lambda: _decide_once(incident_id, decision, by, reason), doing))


def why_not_approved_by(incident: Incident, by: Caller, *, alone: bool = False) -> str | None:
    """Return why a caller may not approve a pending containment; None where it may.

    Args:
        incident: whose containment is pending.
        by: who would approve it.
        alone: with a right that needs no other person; what overrides a protection needs one all the same.
    """
    containment = incident.requested_containment
    if not configured().approval.other_person or (alone and not containment.overridden_tags):
        return None
    if not is_same_person(containment.asked_by, containment.requester, by):
        return None
    name = word(containment.asked_by)
    as_one = (
        f" All sessions of the role {word(by.sessions_of)} count as one person, because the name of a session is its "
        "caller's own choice."
        if by.sessions_of is not None
        else ""
    )
    if containment.overridden_tags:
        return (
            f"{name} requested to override what protects {incident.instance_id}. A person other than {name} must "
            f"approve it, and {name} cannot, not even with the right to override (approval.other_person).{as_one} "
            "Where there is no other person, an administrator may delete its "
            f"{tags_word(containment.overridden_tags)}; then run contain again without --override-protection"
        )
    requested = f"{name} requested the containment of incident {incident.id}"
    if is_policy(containment.asked_by):
        requested += ", for an alert you sent"
    return (
        f"{requested}, and whoever requested it does not approve it "
        f"(approval.other_person).{as_one} Any other person with the right to approve may. Where there is none: "
        f"{override_command(incident.id)}, which needs a separate permission"
    )


def _decide_once(
    incident_id: str,
    decision: OperatorDecision,
    by: Caller,
    reason: str = "",
    *,
    at_once: bool = False,
) -> Incident | None:
    """Decide what is pending; None where that was requested anew since it was read."""
    configured()
    incident = incidents.get(incident_id)
    contains = _STATE_OF[decision] == "containing"
    if contains and _waits(incident):
        why = why_not_approved_by(incident, by, alone=at_once or decision == "overridden")
        if why is not None:
            raise OtherPersonNeeded(why)
        would_change(incident)
    if decision == "rejected" and incident.waits_for_packets:
        return _reject_waiting(incident, by.name, reason)
    changed = store.answer(incident, decision, _STATE_OF[decision], by.name, reason)
    if changed is None:
        changed = in_time(incidents.get(incident_id))
        if changed.containment_state == "pending":
            return None
        if not _is_repeated(changed, decision, by.name):
            raise Conflict(_nothing_waits(changed))
    else:
        incidents.add_event(incident_id, by.name, f"containment {decision}", "now" if at_once else reason)
    if contains and changed.containment_state == "containing":
        executions.ensure(changed, "contain")
    elif not contains and changed.approval_token:
        executions.end_wait(changed.approval_token, decision)
    return changed


def _reject_waiting(incident: Incident, by: str, reason: str = "") -> Incident | None:
    """Reject a containment that waits for packets; None where it waits no longer."""
    changed = store.reject_waiting(incident, by, reason)
    if changed is not None:
        incidents.add_event(incident.id, by, "containment rejected", reason)
    return changed


def _is_repeated(incident: Incident, decision: OperatorDecision, by: str) -> bool:
    """Return whether this is the decision of this caller again, whose response may have been lost, and it holds."""
    decided = incident.containment
    return (
        decided is not None
        and (decided.decision, decided.decided_by) == (decision, by)
        and decided.state in _HOLDS[decision]
        and can_be_extended(incident.state)
        and not incident.close_requested
    )


def in_time(incident: Incident) -> Incident:
    """Return an incident, after applying the default where there was no answer before the deadline.

    The workflow applies the default at the deadline. A containment is pending later only where its execution was
    stopped from outside; then this starts another.
    """
    if incident.containment_state != "pending" or not _is_late(incident):
        return incident
    incident = by_default(incident)
    executions.ensure(incident, "contain")
    return incident


def by_default(incident: Incident) -> Incident:
    """Decide a pending containment by the default of the deployment; return the incident afterwards."""
    default = incident.requested_containment.default or "leave"
    released = released_since(incident) if default == "contain" else None
    settled = store.decide_by_default(incident, "rejected" if released else _STATE_OF[default], BY_DEFAULT)
    if settled is None:
        return incidents.get(incident.id)
    said = f"leave: no answer, and {released.said}" if released else f"{default}: no answer"
    incidents.add_event(incident.id, "incident", "containment by default", said)
    return settled


def released_since(incident: Incident) -> LastRelease | None:
    """Return the release of the instance since its containment was requested; None where there is none."""
    containment = incident.requested_containment
    there = containments.get(incident.named_instance_id, incident.where)
    return None if there is None else containments.released_since(there, containment.as_of or containment.asked_at)


def _waits(incident: Incident) -> bool:
    return incident.containment_state == "pending" and not _is_late(incident)


def _is_late(incident: Incident) -> bool:
    """Return whether the deadline is over."""
    return as_time(str(incident.requested_containment.deadline)) <= utc_now()


def check_waits(incident: Incident) -> None:
    """Refuse a decision where nothing is pending.

    Raises:
        Conflict: with the reason.
    """
    configured()
    if not _waits(incident) and not incident.waits_for_packets:
        raise Conflict(_nothing_waits(incident))


def _nothing_waits(incident: Incident) -> str:
    incident_id, containment = incident.id, incident.containment
    if not containment:
        return f"no containment was requested for incident {incident_id}"
    state, decision = containment.state, containment.decision
    if decision == "default" or state == "pending":
        why = f"no answer by {containment.deadline}, and the default is to {containment.default} it"
        why += "" if state == "pending" else f"; it is {state}"
    else:
        decided = f"{decision} by {word(str(containment.decided_by))}" if decision else ""
        why = f"it is {decided}" if decision == state else f"it is {state}" + (f", {decided}" if decided else "")
    if not can_be_extended(incident.state):
        why += f"; the incident is {incident.state}"
    return f"no containment of incident {incident_id} waits for approval: {why}"


def drop(incident: Incident, *, by: str) -> None:
    """Reject a pending containment, because its incident is closed."""
    if incident.containment_state != "pending":
        return
    why = "the incident is closed"
    changed = store.answer(incident, "rejected", "rejected", by, why)
    if changed is not None:
        incidents.add_event(incident.id, by, "containment rejected", why)
        telemetry.settle(changed)
        if changed.approval_token:
            executions.end_wait(changed.approval_token, "rejected")


def release(
    incident_id: str, *, by: str, overwrite: bool = False, keep: bool = False, all_incidents: bool = False
) -> Incident:
    """Request the release. Idempotent.

    Args:
        incident_id: which.
        by: who requests it.
        overwrite: restore the prior state also where it was changed outside Tapstack.
        keep: leave what others changed as it is.
        all_incidents: even where other incidents contain the instance too; what is pending for it, or waits for
            packets, is withdrawn.

    Raises:
        UnknownIncident: there is none of that id.
        Conflict: there is nothing to restore, or it is being contained right now.
        RuleViolation: overwrite and keep together.
    """
    configured()
    check_flags(overwrite=overwrite, keep=keep)
    given = {"overwrite": overwrite, "keep": keep, "all": all_incidents}
    doing = "others change the incident at the same time"
    return _settled(retried(lambda: _release_once(incident_id, by, given), doing))


def _release_once(incident_id: str, by: str, given: dict[str, bool]) -> Incident | None:
    incident = in_time(incidents.get(incident_id))
    state = incident.containment_state
    if state == "released" and not given["all"]:
        return incident
    check_can_be_released(incident)
    # After the check, so that nothing is withdrawn from others where it fails.
    withdrawn = withdraw_requests(incident, by=by) if given["all"] else []
    if incident.waits_for_packets and not _is_to_be_restored(incident, all_incidents=given["all"]):
        return store.release_waiting(incident, by)
    if state == "releasing":
        executions.ensure(incident, "release", **given)
        return incident
    changed = store.request_release(incident, by)
    if changed is not None:
        if state == "pending" and changed.approval_token:
            executions.end_wait(changed.approval_token, "released")
        flags = [name for name, chosen in given.items() if chosen]
        flags += [f"withdrew what was pending for {other}" for other in withdrawn]
        incidents.add_event(incident_id, by, "release requested", ", ".join(flags))
        executions.ensure(changed, "release", **given)
    return changed


def check_flags(*, overwrite: bool, keep: bool) -> None:
    """Refuse overwrite and keep together."""
    if overwrite and keep:
        raise RuleViolation("overwrite and keep exclude each other")


def check_can_be_released(incident: Incident) -> None:
    """Refuse to release what is not contained, or is being contained; what waits for packets is not yet.

    Whatever was requested since, what is recorded as changed for an incident can be released.

    Raises:
        Conflict: with the reason.
    """
    configured()
    if incident.waits_for_packets:
        return
    state = incident.containment_state
    # After a release that failed it may have been requested anew: what that left changed can be released all the same.
    if state in ("pending", "rejected") and _is_to_be_restored(incident, all_incidents=False):
        return
    if state in (None, "rejected"):
        raise Conflict(f"nothing of incident {incident.id} is contained{_contained_for_others(incident)}")
    if state == "pending":
        raise Conflict(f"the containment of incident {incident.id} waits for approval: reject it")
    if state == "containing" and executions.is_under_way(incident, "contain"):
        raise Conflict(f"incident {incident.id} is being contained: release it in a moment")


def _is_to_be_restored(incident: Incident, *, all_incidents: bool) -> bool:
    """Return whether a release of an incident has something to restore: also where it waits for packets, others may
    hold the instance, or its own containment may have failed before.
    """
    there = containments.get(incident.named_instance_id, incident.where)
    if there is None or not there.in_place:
        return False
    return all_incidents or there.is_for(incident.id)


def _contained_for_others(incident: Incident) -> str:
    """Return which incidents hold the instance contained; nothing where none does."""
    there = containments.get(incident.instance_id, incident.where) if incident.instance_id else None
    if there is None or not there.wanted or not there.holders:
        return ""
    commands = " or ".join(f"tapstack incident release {holder}" for holder in sorted(there.holders))
    return f"; {incident.instance_id} is contained by {', '.join(sorted(there.holders))}: {commands}"


def plan_to_override(incident: Incident, *, by: Caller) -> dict[str, Any]:
    """Return what approving a pending containment without another person would change, and why the caller may not."""
    if (why := why_not_approved_by(incident, by, alone=True)) is not None:
        return Plan(incident.named_instance_id, refused=why).as_dict()
    return plan_to_contain(incident)


def plan_to_contain(incident: Incident) -> dict[str, Any]:
    """Return what containing the incident's instance would change.

    Raises:
        Conflict: the incident names no instance.
    """
    try:
        return _planned(incident).as_dict()
    except ContainmentRefused as refused:
        return Plan(incident.named_instance_id, refused=str(refused)).as_dict()


def plan_to_approve(incident: Incident, *, by: Caller) -> dict[str, Any]:
    """Return what approving a pending containment would change, and why the caller may not approve it."""
    if (why := why_not_approved_by(incident, by)) is not None:
        return Plan(incident.named_instance_id, refused=why).as_dict()
    return plan_to_contain(incident)


def would_change(incident: Incident) -> bool:
    """Return whether containing the incident's instance would change anything.

    Raises:
        Conflict: the incident names no instance.
        ContainmentRefused: a rule of the settings forbids it.
    """
    plan = _planned(incident)
    if plan.refused is not None:
        raise ContainmentRefused(plan.refused)
    return bool(plan.changes)


def plan_to_release(incident: Incident, *, overwrite: bool, keep: bool, all_incidents: bool) -> dict[str, Any]:
    """Return what a release would change, what others changed meanwhile, and what would contain the instance again."""
    if incident.waits_for_packets and not _is_to_be_restored(incident, all_incidents=all_incidents):
        plan = Plan(incident.named_instance_id)
    else:
        plan = restoration.plan(incident.id, overwrite=overwrite, keep=keep, all_incidents=all_incidents)
    others = [one for one in other_requests(incident) if not all_incidents or not one.holds]
    return replace(plan, warnings=(*plan.warnings, *map(str, others))).as_dict()


def plan_nothing(incident: Incident) -> dict[str, Any]:
    """Return a plan that changes nothing."""
    return Plan(incident.named_instance_id).as_dict()


def _planned(incident: Incident, *, override_tags: bool = False) -> Plan:
    if not incident.instance_id:
        raise Conflict("this incident is for network interfaces: open an incident for the instance and contain it")
    return isolation.plan(
        incident.instance_id,
        incident.where,
        override_tags=override_tags or isolation.overrides_tags(incident),
        begun=isolation.has_begun(incident),
    )
