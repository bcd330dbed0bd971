"""What people do about containment: ask for it, agree, refuse, and put everything back.

The incident's `containment` says what was asked for and decided; who holds an instance cut off,
and what it was before, are items of their own. A state is changed on condition of the one before, so that
of two who decide at once one does. Work is an execution of its own: a capture that takes its time, or fails,
keeps nobody from cutting an instance off.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, Literal

from tapstack.domain.containment_settings import Mode
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import as_text, can_be_extended, utc_now
from tapstack.responder import waking
from tapstack.responder.environment import Containment, environment
from tapstack.responder.errors import Conflict, TryAgain
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident

Record = dict[str, Any]
Decision = Literal["approved", "rejected", "default"]
_TRIES: Final = 5
_STATE_OF: Final = {"approved": "containing", "rejected": "rejected"}


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
        incident = incidents.get(incident_id)
        state = state_of(incident)
        if state == "pending" and chosen == "now":
            return decide(incident_id, "approved", by=by, refuse=check)
        if state in ("pending", "containing"):
            ensure_running(incident, "contain")
            return incident
        if state == "contained":
            if not check(incident):
                return incident
            if (again := _again(incident, by)) is not None:
                return again
            continue
        if state in ("releasing", "blocked"):
            raise Conflict(f"incident {incident_id} is being released: its containment is {state}")
        _check_can_be_contained(incident)
        check(incident)
        asked = record(chosen, by)
        if state == "failed":
            # What was changed before it failed is changed still.
            asked["changed"] = incident["containment"]["changed"]
        run = incident.get("contain_runs", 0)
        changed = incidents.change(
            incident_id,
            # A closed incident whose instance is cut off is kept until it is released.
            "SET containment = :asked, contain_runs = :next REMOVE approval_token"
            + (", #ttl" if asked["state"] == "containing" else ""),
            condition=_same("contain_runs", run) + (" AND containment.#state = :state" if state else ""),
            asked=asked,
            next=run + 1,
            **({"run": run} if run else {}),
            **({"state": state} if state else {}),
        )
        if changed is not None:
            incidents.say(incident_id, by, "containment asked for", _asked_words(asked))
            ensure_running(changed, "contain")
            return changed
    raise TryAgain("others change the incident at the same time")


def _again(incident: Incident, by: str) -> Incident | None:
    """Have what was attached since cut off as well; None where others change it at the same time."""
    run = incident.get("contain_runs", 0)
    changed = incidents.change(
        incident["id"],
        "SET contain_runs = :next",
        condition=f"containment.#state = :contained AND {_same('contain_runs', run)}",
        contained="contained",
        next=run + 1,
        **({"run": run} if run else {}),
    )
    if changed is not None:
        incidents.say(incident["id"], by, "containment asked for", "again, for what was attached since")
        ensure_running(changed, "contain")
    return changed


def _same(runs: str, run: int) -> str:
    """Return the condition that nobody has asked for it since."""
    return f"{runs} = :run" if run else f"attribute_not_exists({runs})"


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
        Conflict: nothing waits, or containment is not configured.
    """
    configured()
    incident = incidents.get(incident_id)
    if refuse is not None and state_of(incident) == "pending":
        refuse(incident)
    changed = settle(incident_id, decision, _STATE_OF[decision], by=by)
    if changed is None:
        changed = incidents.get(incident_id)
        containment = changed.get("containment") or {}
        if (containment.get("decision"), containment.get("decided_by")) != (decision, by):
            raise Conflict(_nothing_waits(incident_id, containment))
    else:
        incidents.say(incident_id, by, f"containment {decision}", reason)
    if changed.get("approval_token"):
        waking.wake(changed["approval_token"], decision)
    if decision == "approved" and state_of(changed) == "containing":
        ensure_running(changed, "contain")
    return changed


def settle(incident_id: str, decision: Decision, state: str, *, by: str) -> Incident | None:
    """Write down the decision about a containment that waits; None where it does not wait any more.

    Args:
        incident_id: which.
        decision: how it was decided.
        state: that the containment comes into.
        by: who decided.
    """
    return incidents.change(
        incident_id,
        "SET containment.#state = :to, containment.decision = :decision, containment.decided_by = :by, "
        "containment.decided_at = :at" + (" REMOVE #ttl" if state == "containing" else ""),
        condition="containment.#state = :pending",
        to=state,
        decision=decision,
        by=by,
        at=as_text(utc_now()),
        pending="pending",
    )


def check_waits(incident: Incident) -> None:
    """Refuse to decide where nothing waits for it.

    Raises:
        Conflict: with the reason.
    """
    configured()
    if state_of(incident) != "pending":
        raise Conflict(_nothing_waits(incident["id"], incident.get("containment") or {}))


def _nothing_waits(incident_id: str, containment: Record) -> str:
    if not containment:
        return f"nobody asked for containment of incident {incident_id}"
    by = f", {containment['decision']} by {containment['decided_by']}" if containment.get("decision") else ""
    return f"no containment of incident {incident_id} waits for approval: it is {containment['state']}{by}"


def release(
    incident_id: str, *, by: str, overwrite: bool = False, keep: bool = False, everybody: bool = False
) -> Incident:
    """Ask that everything is put back, whether the incident is open or closed. Saying so twice is fine.

    Args:
        incident_id: which.
        by: who asks.
        overwrite: put back the originals where others changed something meanwhile.
        keep: leave what others changed as it is.
        everybody: even where other incidents hold the instance too.

    Raises:
        UnknownIncident: there is none of that id.
        Conflict: there is nothing to put back, or it is being contained right now.
        RuleViolation: overwrite and keep together.
    """
    configured()
    check_flags(overwrite=overwrite, keep=keep)
    given = {"overwrite": overwrite, "keep": keep, "all": everybody}
    for _ in range(_TRIES):
        incident = incidents.get(incident_id)
        state = state_of(incident)
        if state == "released" and not everybody:
            return incident
        if state == "releasing":
            ensure_running(incident, "release", **given)
            return incident
        check_can_be_released(incident)
        run = incident.get("release_runs", 0)
        changed = incidents.change(
            incident_id,
            "SET containment.#state = :to, containment.released_by = :by, containment.released_at = :at, "
            "release_runs = :next",
            condition=f"containment.#state = :state AND {_same('release_runs', run)}",
            to="releasing",
            by=by,
            at=as_text(utc_now()),
            state=state,
            next=run + 1,
            **({"run": run} if run else {}),
        )
        if changed is not None:
            flags = ", ".join(name for name, chosen in given.items() if chosen)
            incidents.say(incident_id, by, "release asked for", flags)
            ensure_running(changed, "release", **given)
            return changed
    raise TryAgain("others change the incident at the same time")


def check_flags(*, overwrite: bool, keep: bool) -> None:
    """Refuse two answers to the question what becomes of what others changed."""
    if overwrite and keep:
        raise RuleViolation("overwrite and keep exclude each other")


def check_can_be_released(incident: Incident) -> None:
    """Refuse to release what is not contained, or is being contained.

    Raises:
        Conflict: with the reason.
    """
    configured()
    state = state_of(incident)
    if state in (None, "rejected"):
        raise Conflict(f"nothing of incident {incident['id']} is contained")
    if state == "pending":
        raise Conflict(f"the containment of incident {incident['id']} waits for approval: reject it")
    if state == "containing" and waking.is_running(
        waking.run_arn(incident["id"], "contain", incident.get("contain_runs", 1))
    ):
        raise Conflict(f"incident {incident['id']} is being contained: release it in a moment")


def ensure_running(incident: Incident, task: Literal["contain", "release"], **given: bool) -> None:
    """Start the execution that does it, unless it runs; one that ended before it was done gets a successor."""
    runs = f"{task}_runs"
    for _ in range(_TRIES):
        run = incident[runs]
        if waking.start_run(incident["id"], task, run, **given):
            return
        changed = incidents.change(
            incident["id"],
            f"SET {runs} = :next",
            condition=_same(runs, run),
            next=run + 1,
            **({"run": run} if run else {}),
        )
        incident = changed or incidents.get(incident["id"])
    raise TryAgain("others start the same execution")


def ensure_begun(incident: Incident) -> None:
    """Start the execution of a containment that an incident was opened with, unless it was started."""
    if state_of(incident) in ("pending", "containing"):
        ensure_running(incident, "contain")


def drop(incident: Incident, *, by: str) -> None:
    """Take back the question whether to contain: whoever closes the incident has answered it."""
    if state_of(incident) != "pending":
        return
    changed = settle(incident["id"], "rejected", "rejected", by=by)
    if changed is not None:
        incidents.say(incident["id"], by, "containment rejected", "the incident is closed")
        if changed.get("approval_token"):
            waking.wake(changed["approval_token"], "rejected")
