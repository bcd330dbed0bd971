"""What people do about containment: ask for it, agree, refuse.

The incident's `containment` says what was asked for and decided; who holds an instance cut off,
and what it was before, are items of their own. A state is changed on condition of the one before, so that
of two who decide at once one does. Once the time to answer is over, nobody's answer counts but the deployment's
default, whoever notices. Work is an execution of its own: a capture that takes its time, or fails, keeps nobody from
cutting an instance off.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, Literal

from tapstack.domain.containment_settings import Mode
from tapstack.domain.incidents import as_text, as_time, can_be_extended, utc_now
from tapstack.responder.environment import Containment, environment
from tapstack.responder.errors import Conflict, TryAgain
from tapstack.responder.outbound import executions, waking
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident

Record = dict[str, Any]
Decision = Literal["approved", "rejected", "default"]
_TRIES: Final = 5
_STATE_OF: Final = {"approved": "containing", "rejected": "rejected", "contain": "containing", "leave": "rejected"}
BY_DEFAULT: Final = "the deployment's default"
"""Who decided where nobody did."""


def configured() -> Containment:
    """Return how instances are cut off.

    Raises:
        Conflict: they are not, here.
    """
    settings = environment().containment
    if settings is None:
        raise Conflict("containment is not configured for this site")
    return settings


def allowed(mode: Mode | None) -> Mode:
    """Return the mode to contain in; where none is named, the more careful one of those that are allowed.

    Raises:
        Conflict: containment is not configured, or not in this mode.
    """
    modes = configured().modes
    if mode is not None and mode not in modes:
        raise Conflict(f"containment by {mode} is not allowed here, only by {' or '.join(modes)}")
    return mode or ("approval" if "approval" in modes else "now")


def record(mode: Mode, by: str) -> Record:
    """Return what a new containment says in its incident.

    Args:
        mode: it waits for somebody's yes, or does not.
        by: who asks for it.
    """
    settings = configured()
    now = utc_now()
    waits = mode == "approval"
    return {
        "mode": mode,
        "state": "pending" if waits else "containing",
        "asked_by": by,
        "asked_at": as_text(now),
        "decided_by": None,
        "decided_at": None,
        "decision": None,
        "deadline": as_text(now + timedelta(minutes=settings.approval.minutes)) if waits else None,
        "default": settings.approval.default if waits else None,
        "two_step": settings.two_step.enabled,
        "released_by": None,
        "released_at": None,
        "changed": [],
        "not_restored": [],
        "differences": [],
        "failure": None,
    }


def state_of(incident: Incident) -> str | None:
    """Return the state of an incident's containment; None where nobody asked for any."""
    containment = incident.get("containment")
    return str(containment["state"]) if containment else None


def contain(incident_id: str, mode: Mode | None, *, by: str, check: Callable[[Incident], bool]) -> Incident:
    """Ask that an incident's instance is cut off. Saying so twice is fine; `now` agrees to what waits for approval.

    Asked for again, what was attached since is cut off as well.

    Args:
        incident_id: which.
        mode: `approval` or `now`; the more careful one that is allowed by default.
        by: who asks.
        check: tells whether anything would be changed; raises ContainmentRefused where a guard rail forbids it.

    Raises:
        UnknownIncident: there is none of that id.
        Conflict: not configured, not in this mode, or nothing that could be contained now.
        ContainmentRefused: a guard rail forbids it.
    """
    chosen = allowed(mode)
    for _ in range(_TRIES):
        incident = in_time(incidents.get(incident_id))
        state = state_of(incident)
        if state == "pending" and chosen == "now":
            return decide(incident_id, "approved", by=by, refuse=check)
        if state in ("pending", "containing"):
            executions.ensure(incident, "contain")
            return incident
        if state in ("releasing", "blocked"):
            raise Conflict(f"incident {incident_id} is being released: its containment is {state}")
        if state == "contained":
            if not check(incident):
                return incident
            asked, said = None, "again, for what was attached since"
        else:
            _check_can_be_contained(incident)
            check(incident)
            asked = record(chosen, by)
            said = _asked_words(asked)
        changed = _ask(incident, asked)
        if changed is not None:
            incidents.say(incident_id, by, "containment asked for", said)
            executions.ensure(changed, "contain")
            return changed
    raise TryAgain("others change the incident at the same time")


def _ask(incident: Incident, asked: Record | None) -> Incident | None:
    """Write down what is asked for; nothing new where the instance is contained, and is contained again."""
    state = state_of(incident)
    same = {"condition": "containment.#state = :state", "state": state} if state else {}
    if asked is None:
        return executions.ask(incident, "contain", **same)
    if state == "failed":
        # What was changed before it failed is changed still.
        asked["changed"] = incident["containment"]["changed"]
    return executions.ask(
        incident,
        "contain",
        # A closed incident whose instance is cut off is kept until it is released.
        "containment = :asked REMOVE approval_token" + (", #ttl" if asked["state"] == "containing" else ""),
        asked=asked,
        **same,
    )


def _asked_words(asked: Record) -> str:
    if asked["state"] != "pending":
        return "now"
    return f"on approval until {asked['deadline']}; {asked['default']} without an answer"


def _check_can_be_contained(incident: Incident) -> None:
    if not incident["instance_id"]:
        raise Conflict("the incident names network interfaces: open one for the instance, and contain that")
    if incident["close_requested"] or not (can_be_extended(incident["state"]) or incident["state"] == "failed"):
        state = incident["state"] if incident["state"] in ("closing", "closed") else "closing"
        raise Conflict(f"incident {incident['id']} is {state}: open another one, and contain that")


def decide(
    incident_id: str,
    decision: Literal["approved", "rejected"],
    *,
    by: str,
    reason: str = "",
    refuse: Callable[[Incident], object] | None = None,
) -> Incident:
    """Say yes or no to a containment that waits for it. The same person may say the same twice.

    Args:
        incident_id: which.
        decision: yes or no.
        by: who says it.
        reason: why, for the timeline.
        refuse: raises ContainmentRefused where a guard rail forbids it.

    Raises:
        UnknownIncident: there is none of that id.
        Conflict: nothing waits, the time to answer is over, or containment is not configured.
    """
    configured()
    incident = incidents.get(incident_id)
    if refuse is not None and _waits(incident):
        refuse(incident)
    changed = _answer(incident_id, decision, by=by)
    if changed is None:
        changed = in_time(incidents.get(incident_id))
        containment = changed.get("containment") or {}
        if (containment.get("decision"), containment.get("decided_by")) != (decision, by):
            raise Conflict(_nothing_waits(changed))
    else:
        incidents.say(incident_id, by, f"containment {decision}", reason)
    if changed.get("approval_token"):
        waking.wake(changed["approval_token"], decision)
    if decision == "approved" and state_of(changed) == "containing":
        executions.ensure(changed, "contain")
    return changed


def in_time(incident: Incident) -> Incident:
    """Return an incident as it is: with the default decided where nobody has answered in time.

    The workflow does so at the deadline; who comes later finds a question only where its execution was ended from
    outside, and starts another.
    """
    if state_of(incident) != "pending" or not _is_late(incident):
        return incident
    incident = by_default(incident)
    executions.ensure(incident, "contain")
    return incident


def by_default(incident: Incident) -> Incident:
    """Decide a containment that waits as the deployment does where nobody answers; return the incident as it is."""
    default, deadline = incident["containment"]["default"], incident["containment"]["deadline"]
    settled = _settle(
        incident["id"],
        "default",
        _STATE_OF[default],
        by=BY_DEFAULT,
        # Not a question that was asked since.
        condition="containment.deadline = :deadline",
        deadline=deadline,
    )
    if settled is None:
        return incidents.get(incident["id"])
    incidents.say(incident["id"], "incident", "containment by default", f"{default}: no answer")
    return settled


def _answer(incident_id: str, decision: Literal["approved", "rejected"], *, by: str) -> Incident | None:
    """Write down somebody's answer; None where nothing waits for it any more."""
    return _settle(incident_id, decision, _STATE_OF[decision], by=by, condition="containment.deadline > :now")


def _settle(
    incident_id: str, decision: Decision, state: str, *, by: str, condition: str, **values: Any
) -> Incident | None:
    return incidents.change(
        incident_id,
        "SET containment.#state = :to, containment.decision = :decision, containment.decided_by = :by, "
        "containment.decided_at = :now" + (" REMOVE #ttl" if state == "containing" else ""),
        condition=f"containment.#state = :pending AND {condition}",
        to=state,
        decision=decision,
        by=by,
        now=as_text(utc_now()),
        pending="pending",
        **values,
    )


def _waits(incident: Incident) -> bool:
    return state_of(incident) == "pending" and not _is_late(incident)


def _is_late(incident: Incident) -> bool:
    """Tell whether the time to answer is over."""
    return as_time(incident["containment"]["deadline"]) <= utc_now()


def check_waits(incident: Incident) -> None:
    """Refuse to decide where nothing waits for it.

    Raises:
        Conflict: with the reason.
    """
    configured()
    if not _waits(incident):
        raise Conflict(_nothing_waits(incident))


def _nothing_waits(incident: Incident) -> str:
    incident_id, containment = incident["id"], incident.get("containment")
    if not containment:
        return f"nobody asked for containment of incident {incident_id}"
    state, decision = containment["state"], containment["decision"]
    if decision == "default" or state == "pending":
        why = f"nobody answered by {containment['deadline']}, and the default is to {containment['default']} it"
        why += "" if state == "pending" else f"; it is {state}"
    else:
        why = f"it is {state}" + (f", {decision} by {containment['decided_by']}" if decision else "")
    return f"no containment of incident {incident_id} waits for approval: {why}"


def drop(incident: Incident, *, by: str) -> None:
    """Take back the question whether to contain: whoever closes the incident in time has answered it."""
    if state_of(incident) != "pending":
        return
    changed = _answer(incident["id"], "rejected", by=by)
    if changed is not None:
        incidents.say(incident["id"], by, "containment rejected", "the incident is closed")
        if changed.get("approval_token"):
            waking.wake(changed["approval_token"], "rejected")
