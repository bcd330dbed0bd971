"""The containment in an incident: what was requested and decided, and how it ended.

A state is changed on condition of the one before: only one of two concurrent decisions takes effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from tapstack.domain.callers import BY_RELEASE
from tapstack.domain.containment import difference_line
from tapstack.domain.containment_settings import ContainmentState, Decision, OperatorDecision
from tapstack.domain.incident_events import Occurrence, decided, failed_or_refused
from tapstack.domain.incidents import as_text, utc_now
from tapstack.responder.errors import TryAgain, is_refusal
from tapstack.responder.store import containments, incidents, table
from tapstack.responder.store.containments import Containment
from tapstack.responder.store.records import Incident, IncidentContainment, Task

End = Literal["released", "blocked"]
"""How a release ends."""
NOTHING_CHANGED: Final = "it waited for packets: nothing had been changed"


def request_execution(incident: Incident, task: Task) -> Incident | None:
    """Count that one more execution of a task was requested; None where others have requested it since."""
    return _requested(incident, task)


def asked_for_approval(asked: IncidentContainment) -> tuple[Occurrence, ...]:
    """Return that a requested containment waits for approval; nothing where it does not."""
    if asked.state != "pending":
        return ()
    return (Occurrence("approval_asked", by=asked.asked_by, detail=asked.override_reason or ""),)


def request_containment(incident: Incident, asked: IncidentContainment) -> Incident | None:
    """Record that containment was requested; None where others have requested or changed it since."""
    # A closed incident whose instance is contained is kept until it is released.
    kept = ", #ttl" if asked.state == "containing" else ""
    return _requested(
        incident,
        "contain",
        f"containment = :asked, contain_runs_before = :before REMOVE approval_token{kept}",
        condition=_same(incident),
        occurrences=asked_for_approval(asked),
        asked=asked.as_dict(),
        before=incident.contain_runs,
    )


def request_containment_again(
    incident: Incident, *, of_person: bool = False, attached: Iterable[str] = ()
) -> Incident | None:
    """Record that a contained instance is to be contained again, for new interfaces; None as for the first time.

    Args:
        incident: whose instance.
        of_person: a person decided that now; otherwise what was decided before holds.
        attached: ids of the new interfaces of which operators are to be notified.
    """
    begins = "containment.isolating = :yes, containment.failure = :nothing"
    given: dict[str, Any] = {"yes": True, "nothing": None}
    if of_person:
        begins, given = f"{begins}, containment.asked_again_at = :at", {**given, "at": as_text(utc_now())}
    if attached := set(attached):
        begins, given = f"{begins} ADD isolation_requested :attached", {**given, "attached": attached}
    return _requested(incident, "contain", begins, condition=_same(incident), **given)


def record_notified_of_isolating(incident: Incident) -> None:
    """Record that operators were notified of the interfaces whose isolation an incident lists as requested."""
    incidents.changed(incident.id, "DELETE isolation_requested :these", these=set(incident.isolation_requested))


def request_release(incident: Incident, by: str) -> Incident | None:
    """Record that the release was requested; None where others have requested or changed it since.

    It ends a wait for packets, and is none where that is over: the instance is being contained then.
    """
    waits = incident.requested_containment.waits_for_packets
    return _requested(
        incident,
        "release",
        "containment.#state = :to, containment.released_by = :by, containment.released_at = :at, "
        "containment.packets_until = :nothing, containment.isolating = :no",
        condition=_same(incident) + (f" AND {_NO_VALUE.format('packets_wait')}" if waits else ""),
        nothing=None,
        no=False,
        to="releasing",
        by=by,
        at=as_text(utc_now()),
    )


def answer(
    incident: Incident,
    decision: OperatorDecision,
    to: ContainmentState,
    by: str,
    reason: str = "",
) -> Incident | None:
    """Record an operator's decision; None where nothing is pending any more, or the deadline is over.

    An approval is about the request as it was read: who may approve it depends on who requested it, and what.
    """
    condition, given = "containment.deadline > :now", {}
    if decision != "rejected" and (asked := incident.containment) is not None:
        condition += " AND containment.asked_at = :asked_at AND containment.asked_by = :asked_by"
        given = {"asked_at": asked.asked_at, "asked_by": asked.asked_by}
    # It is about the instance as it is now, whatever was requested before.
    as_now = ", containment.as_of = :none"
    return _settle(incident.id, decision, to, by, condition, reason=reason, sets=as_now, none=None, **given)


def decide_by_default(incident: Incident, to: ContainmentState, by: str) -> Incident | None:
    """Record the default as the decision; None where nothing is pending any more, or it was requested again."""
    deadline = incident.requested_containment.deadline
    return _settle(incident.id, "default", to, by, "containment.deadline = :deadline", deadline=deadline)


def withdraw(incident: Incident, released_by: str | None = None) -> Incident | None:
    """Record that a release ends a requested containment before it was begun; None where it has changed since.

    Args:
        incident: whose containment is pending, or decided.
        released_by: who releases the instance for all incidents; none where it is released already.
    """
    now = as_text(utc_now())
    return incidents.changed(
        incident.id,
        "SET containment.#state = :to, containment.decision = :to, containment.decided_by = :release, "
        "containment.decided_at = :now, containment.released_by = :by, containment.released_at = :at",
        condition="containment.#state = :before AND containment.asked_at = :asked_at",
        occurrences=[decided("rejected", released_by or BY_RELEASE)],
        to="rejected",
        release=BY_RELEASE,
        now=now,
        by=released_by,
        at=now if released_by is not None else None,
        before=incident.containment_state,
        asked_at=incident.requested_containment.asked_at,
    )


def begin_packets_wait(incident: Incident, until: str) -> Incident | None:
    """Record until when a containment waits for packets at most; None where it is requested no longer, or waits."""
    return incidents.changed(
        incident.id,
        "SET containment.packets_until = :until",
        condition=f"{_WANTED} AND {_NO_VALUE.format('packets_until')}",
        containing="containing",
        asked_at=incident.requested_containment.asked_at,
        until=until,
        nothing=None,
    )


def end_packets_wait(incident: Incident, said: str) -> bool:
    """Record what came of the wait for packets, with an entry in the timeline; False where it has ended already."""
    write = incidents.update(
        incident.id,
        "SET containment.packets_wait = :said",
        f"{_WANTED} AND {_NO_VALUE.format('packets_wait')}",
        containing="containing",
        asked_at=incident.requested_containment.asked_at,
        said=said,
        nothing=None,
    )
    return table.write_together([write, incidents.event(incident.id, "incident", "waited for packets", said)])


def reject_waiting(incident: Incident, by: str, reason: str = "") -> Incident | None:
    """Reject a containment that waits for packets; None where it waits no longer, or was requested anew."""
    return incidents.changed(
        incident.id,
        "SET containment.#state = :to, containment.decision = :to, containment.decided_by = :by, "
        "containment.decided_at = :now, containment.decision_reason = :reason",
        condition=f"{_WANTED} AND {_NO_VALUE.format('packets_wait')}",
        occurrences=[decided("rejected", by, reason)],
        containing="containing",
        asked_at=incident.requested_containment.asked_at,
        nothing=None,
        to="rejected",
        by=by,
        reason=reason or None,
        now=as_text(utc_now()),
    )


def release_waiting(incident: Incident, by: str) -> Incident | None:
    """Record that a containment that waits for packets is released; None as in `reject_waiting`.

    Nothing is changed yet, and nothing to restore. As after any release, only what is newer contains the instance.
    """
    now = as_text(utc_now())
    write = incidents.update(
        incident.id,
        "SET containment.#state = :to, containment.released_by = :by, containment.released_at = :now",
        f"{_WANTED} AND {_NO_VALUE.format('packets_wait')}",
        occurrences=[Occurrence("released", by=by, detail=NOTHING_CHANGED)],
        containing="containing",
        asked_at=incident.requested_containment.asked_at,
        nothing=None,
        to="released",
        by=by,
        now=now,
    )
    entry = incidents.event(incident.id, by, "released", NOTHING_CHANGED)
    written = table.write_together([write, incidents.released_before_change(incident, now), entry])
    return incidents.get(incident.id) if written else None


_WANTED: Final = "containment.#state = :containing AND containment.asked_at = :asked_at"
_NO_VALUE: Final = "(attribute_not_exists(containment.{0}) OR containment.{0} = :nothing)"
"""Items of earlier versions lack the attribute."""


def note_approval_wait(incident: Incident) -> Incident | None:
    """Record that the workflow waits for approval, without the token of an earlier wait; None where it is decided."""
    return incidents.changed(
        incident.id,
        "REMOVE approval_token",
        condition="containment.#state = :pending AND containment.deadline = :deadline",
        pending="pending",
        deadline=incident.requested_containment.deadline,
    )


def store_approval_token(incident_id: str, token: str) -> bool:
    """Store the token of the task that waits for approval; False where nothing is pending any more."""
    stored = incidents.changed(
        incident_id,
        "SET approval_token = :mine",
        condition="containment.#state = :pending",
        mine=token,
        pending="pending",
    )
    return stored is not None


def record_changes(incident_id: str, changed: Sequence[str]) -> None:
    """Record what is about to be changed: operators find it in the incident if that fails."""
    incidents.changed(
        incident_id,
        "SET containment.changed = :changed",
        condition="containment.#state = :containing",
        containing="containing",
        changed=list(changed),
    )


def record_contained(incident_id: str, changed: Sequence[str], not_done: Sequence[str]) -> bool:
    """Record that the instance is contained; False where the incident no longer requests it."""
    happens = [Occurrence("contained", detail="; ".join(changed))]
    conditions: tuple[tuple[str, Sequence[Occurrence], dict[str, str]], ...] = (
        ("containment.#state = :containing", happens, {"containing": "containing"}),
        # It is contained already where new interfaces are isolated.
        ("containment.#state = :contained AND containment.changed <> :changed", happens, {}),
        # This function was killed after it had recorded that.
        ("containment.#state = :contained", (), {}),
    )
    for condition, occurrences, values in conditions:
        recorded = incidents.changed(
            incident_id,
            "SET containment.#state = :contained, containment.changed = :changed, containment.not_done = :not_done, "
            "containment.isolating = :no, containment.failure = :nothing",
            condition=condition,
            occurrences=occurrences,
            no=False,
            nothing=None,
            contained="contained",
            changed=list(changed),
            not_done=list(not_done),
            **values,
        )
        if recorded is not None:
            return True
    return False


def record_not_done(incident: Incident, not_done: Sequence[str], *, over: bool = False) -> bool:
    """Record what a containment does not cover now; False where that, or its state, has changed since it was read.

    Args:
        incident: whose instance is contained.
        not_done: the lines.
        over: no interface that was attached since is connected any more: the reason why one was is no longer recorded.
    """
    nothing: dict[str, Any] = {"nothing": None} if over else {}
    recorded = incidents.changed(
        incident.id,
        "SET containment.not_done = :not_done" + (", containment.failure = :nothing" if over else ""),
        condition="containment.#state = :contained AND containment.not_done = :before",
        contained="contained",
        before=list(incident.requested_containment.not_done),
        not_done=list(not_done),
        **nothing,
    )
    return recorded is not None


def record_not_isolated(incident: Incident, failure: str) -> bool:
    """Record why what was requested of a contained instance again is not done; False where nothing was."""
    recorded = incidents.changed(
        incident.id,
        "SET containment.isolating = :no, containment.failure = :failure",
        condition="containment.#state = :contained AND containment.isolating = :yes",
        contained="contained",
        yes=True,
        no=False,
        failure=failure,
    )
    return recorded is not None


def record_failure(incident: Incident, failure: str, changed: Sequence[str]) -> bool:
    """Record that a containment or release failed, with an entry in the timeline; False where its state has changed."""
    part: Literal["containment", "release"] = "release" if incident.containment_state == "releasing" else "containment"
    refused = is_refusal(failure)
    write = incidents.update(
        incident.id,
        "SET containment.#state = :failed, containment.failure = :failure, containment.changed = :changed",
        "containment.#state = :before",
        occurrences=[failed_or_refused(part, failure, refused=refused)],
        failed="failed",
        failure=failure,
        changed=list(changed),
        before=incident.containment_state,
    )
    entry = incidents.event(incident.id, "containment", "containment failed", failure)
    return table.write_together([write, entry])


def record_not_contained(incident_id: str, not_restored: Sequence[str] | None = None) -> bool:
    """Record that the instance is no longer contained for an incident; False where that is recorded already.

    Args:
        incident_id: which.
        not_restored: lines about what is not restored; by default those of the incident are kept.
    """
    said = {} if not_restored is None else {"not_restored": list(not_restored)}
    return _end(incident_id, "released", **said, **_NOTHING_LEFT)


def record_blocked(incident_id: str, differences: Sequence[dict[str, Any]]) -> bool:
    """Record what blocks a release; False where it is recorded as blocked already."""
    return _end(incident_id, "blocked", differences=list(differences))


def record_released(containment: Containment, incident_id: str, not_restored: Sequence[str]) -> bool:
    """Record in an incident that its instance is released; False where that is recorded already.

    A containment that was requested anew since the release began stays as it is: nothing is changed for it any more.

    Args:
        containment: that is released.
        incident_id: which.
        not_restored: lines about what is not restored.

    Raises:
        TryAgain: the release was overtaken: another incident may contain the instance again.
    """
    given = {"not_restored": list(not_restored), **_NOTHING_LEFT}
    incident = incidents.read(incident_id)
    anew = incident is not None and _is_requested_anew(incident, containment)
    if incident is not None and anew:
        asked, occurrences = incident.requested_containment, list[Occurrence]()
        if not asked.changed:
            return False
        update = "SET " + ", ".join(f"containment.{name} = :{name}" for name in given)
        condition = "containment.#state = :state AND containment.asked_at = :asked_at"
        values: dict[str, Any] = {"state": asked.state, "asked_at": asked.asked_at, **given}
    else:
        update, condition, values = _ending("released", **given)
        occurrences = _ended("released", **given)
    check = containments.being_released(containment)
    if table.write_together(
        [check, incidents.update(incident_id, update, condition, occurrences=occurrences, **values)]
    ):
        return True
    now = containments.get(containment.instance_id, containment.where)
    if now is None or (now.generation, now.turn) != (containment.generation, containment.turn):
        raise TryAgain(f"the release of {containment.instance_id} was overtaken")
    if anew:
        raise TryAgain(f"the containment of incident {incident_id} was decided meanwhile")
    return False


def _is_requested_anew(incident: Incident, containment: Containment) -> bool:
    """Return whether an incident requests a containment since the release of its instance began."""
    asked, began = incident.containment, containment.release_began_at
    if asked is None or asked.state not in ("pending", "containing"):
        return False
    if asked.state == "pending":
        # Of what held the instance, a release that failed before came first.
        return True
    decided = asked.decided_as_of
    return began is not None and decided is not None and decided > began


_NOTHING_LEFT: Final[Mapping[str, Any]] = {"differences": [], "changed": [], "isolating": False}
"""What a released containment says."""


def _requested(
    incident: Incident,
    task: Task,
    update: str = "",
    *,
    condition: str = "",
    occurrences: Iterable[Occurrence] = (),
    **values: Any,
) -> Incident | None:
    run = incident.runs(task)
    same = f"{task}_runs = :run" if run else f"attribute_not_exists({task}_runs)"
    state = incident.containment_state
    return incidents.changed(
        incident.id,
        f"SET {task}_runs = :next" + (f", {update}" if update else ""),
        condition=same + (f" AND {condition}" if condition else ""),
        occurrences=occurrences,
        next=run + 1,
        **({"run": run} if run else {}),
        **({"state": state} if condition and state else {}),
        **values,
    )


def _same(incident: Incident) -> str:
    return "containment.#state = :state" if incident.containment_state else ""


def _settle(
    incident_id: str,
    decision: Decision,
    to: ContainmentState,
    by: str,
    condition: str,
    *,
    reason: str = "",
    sets: str = "",
    **values: Any,
) -> Incident | None:
    return incidents.changed(
        incident_id,
        "SET containment.#state = :to, containment.decision = :decision, containment.decided_by = :by, "
        f"containment.decided_at = :now, containment.decision_reason = :reason{sets}"
        + (" REMOVE #ttl" if to == "containing" else ""),
        condition=f"containment.#state = :pending AND {condition}",
        occurrences=[decided(decision, by, reason)],
        to=to,
        decision=decision,
        by=by,
        now=as_text(utc_now()),
        reason=reason or None,
        pending="pending",
        **values,
    )


def _end(incident_id: str, state: End, **values: Any) -> bool:
    update, condition, given = _ending(state, **values)
    occurrences = _ended(state, **values)
    return incidents.changed(incident_id, update, condition=condition, occurrences=occurrences, **given) is not None


def _ended(state: End, not_restored: Sequence[str] = (), differences: Sequence[Any] = (), **_: Any) -> list[Occurrence]:
    if state == "released":
        return [Occurrence("released", detail="; ".join(not_restored))]
    said = "; ".join(difference_line(one) for one in differences)
    return [failed_or_refused("release", f"blocked: {said}", refused=False)]


def _ending(state: End, **values: Any) -> tuple[str, str, dict[str, Any]]:
    return (
        "SET containment.#state = :to" + "".join(f", containment.{name} = :{name}" for name in values),
        "attribute_exists(containment.#state) AND containment.#state <> :to",
        {"to": state, **values},
    )
