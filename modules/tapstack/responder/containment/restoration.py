"""Releasing an instance: its prior state is restored, and nothing that others changed is overwritten without a command.

Every change is inspected first. Where others changed something, or a security group was deleted, nothing is restored
until an operator decides. Otherwise the order is: the role and the network, load balancers, Auto Scaling, and the
protection of evidence last. If its health were checked before its network is restored, the instance would be found
unhealthy, and its group would terminate it.

A function that is killed between any two calls can be run again: each restored change is recorded at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final

from botocore.exceptions import ClientError

from tapstack.domain.containment import (
    STANDBY,
    Difference,
    Interface,
    Kind,
    Plan,
    PriorState,
    Value,
    change_name,
    held_for,
    names_of,
    set_by_containment,
    text_of,
)
from tapstack.domain.containment_release import RELEASE_ORDER, Step, plan_release, refusal, steps_of_release
from tapstack.responder.aws.errors import is_transient, message_of
from tapstack.responder.aws.parallel import each
from tapstack.responder.containment.changes import OF_KIND, groups, tracking
from tapstack.responder.containment.changes.gone import Gone, NotManaged
from tapstack.responder.containment.inspect import as_interfaces, attached, described
from tapstack.responder.errors import ContainmentFailed, TryAgain, UnknownIncident
from tapstack.responder.store import containments, incidents, requests, retention
from tapstack.responder.store.containments import Containment
from tapstack.responder.store.incidents import Incident

_WAIT_SECONDS: Final = 60
"""After this an overtaken containment asks again whether the release is over, which may take many minutes."""
_WAIT_AT_MOST_SECONDS: Final = 6 * 3600
"""An execution of Step Functions ends at 25,000 events."""


def plan(incident_id: str, *, overwrite: bool = False, keep: bool = False, all_incidents: bool = False) -> Plan:
    """Return what a release would change, and what others have changed since.

    Args:
        incident_id: whose instance.
        overwrite: restore the prior state, whatever was changed outside Tapstack.
        keep: leave what others changed meanwhile.
        all_incidents: whether to ignore other incidents that contain the instance.
    """
    incident = incidents.get(incident_id)
    instance_id = incident.named_instance_id
    held = containments.get(instance_id, incident.where)
    if held is None or not held.in_place:
        return Plan(instance_id, refused=f"instance {instance_id} is not contained")
    if others := _others(held, incident_id, all_incidents):
        return Plan(
            instance_id,
            refused=f"{held_for(others, completed=held.completed)}: all of them release it with --all",
        )
    view = _inspect(held)
    steps = _steps(view, overwrite=overwrite, keep=keep)
    known = {one.key for one in view.prior_states if one.kind == "groups" and one.generation == held.generation}
    return plan_release(instance_id, steps, view.now, attached=view.attached, known=known)


def release(
    incident_id: str, *, overwrite: bool = False, keep: bool = False, all_incidents: bool = False
) -> dict[str, Any]:
    """Release an instance for an incident; restore its prior state where no other incident holds it.

    Args:
        incident_id: whose instance.
        overwrite: restore the prior state, whatever was changed outside Tapstack.
        keep: leave what others changed meanwhile.
        all_incidents: release it for all incidents that contain it.

    Returns:
        `status`: `released`, `blocked` (others changed something, or AWS refuses something: nothing more is
        restored before an operator decides) or `held` (other incidents contain it).

    Raises:
        TryAgain: throttled, or overtaken by others.
    """
    incident = incidents.get(incident_id)
    instance_id = incident.named_instance_id
    held = containments.get(instance_id, incident.where)
    if held is None or not held.in_place:
        written = requests.record_not_contained(incident_id)
        _after_writing(incident_id, "released", "it is not contained any more", written)
        return {"status": "released"}
    if held.state != "releasing" and (others := _others(held, incident_id, all_incidents)):
        if containments.remove_holder(held, incident_id) is None:
            raise TryAgain(f"the containment of {instance_id} was changed by others")
        stays = f"{instance_id} stayed contained then, for {', '.join(others)}"
        if not held.completed:
            stays = f"{instance_id} was held then for {', '.join(others)}, whose containment was not completed"
        _after_writing(incident_id, "released", stays, requests.record_not_contained(incident_id, [stays]))
        return {"status": "held"}
    return _Releasing(incident, held, overwrite=overwrite, keep=keep).run()


def _others(held: Containment, incident_id: str, all_incidents: bool) -> list[str]:
    return [] if all_incidents else sorted(held.holders - {incident_id})


@dataclass(frozen=True, slots=True)
class _View:
    """What is recorded of a containment, and the present state.

    Attributes:
        prior_states: all that are recorded for the instance.
        waiting: those of this containment that are not restored yet.
        now: the present state.
        missing: security groups of prior states that were deleted.
        attached: interfaces of the instance.
        moved: of the prior states, the interfaces that are attached to other contained instances now, with their ids.
    """

    prior_states: list[PriorState]
    waiting: list[PriorState]
    now: dict[tuple[Kind, str], Value]
    missing: set[str]
    attached: tuple[Interface, ...] = ()
    moved: Mapping[str, str] = field(default_factory=dict)

    @property
    def group_names(self) -> dict[str, str]:
        """Names of the security groups that the instance's interfaces have, by id."""
        return {group: name for one in self.attached for group, name in one.group_names.items()}


def _inspect(held: Containment) -> _View:
    remembered = containments.prior_states(held.instance_id, held.where)
    waiting = containments.waiting(held, remembered)
    instance = described(held.instance_id)
    now = _now(instance, waiting)
    wanted = {group for one in waiting if one.kind == "groups" for group in one.before}
    there = as_interfaces(attached(held.instance_id)) if instance else ()
    missing = groups.missing(wanted) if wanted else set()
    return _View(remembered, waiting, now, missing, there, _moved(held, waiting))


def _moved(held: Containment, waiting: Iterable[PriorState]) -> dict[str, str]:
    """Return the interfaces that are attached to other instances by now, which are contained, with the ids of these."""
    isolated = [one.key for one in waiting if one.kind == "groups"]
    found = {}
    for item in groups.interfaces(isolated):
        instance_id = item.get("Attachment", {}).get("InstanceId", held.instance_id)
        other = containments.get(instance_id, held.where) if instance_id != held.instance_id else None
        if other is not None and other.wanted:
            found[item["NetworkInterfaceId"]] = instance_id
    return found


def _steps(view: _View, *, overwrite: bool, keep: bool) -> tuple[Step, ...]:
    return steps_of_release(
        view.waiting,
        view.now,
        missing_groups=view.missing,
        group_names=view.group_names,
        moved=view.moved,
        overwrite=overwrite,
        keep=keep,
    )


def _now(instance: Any, prior_states: Iterable[PriorState]) -> dict[tuple[Kind, str], Value]:
    by_kind: defaultdict[Kind, list[PriorState]] = defaultdict(list)
    for one in prior_states:
        by_kind[one.kind].append(one)

    def of_kind(kind: Kind) -> dict[tuple[Kind, str], Value]:
        found = OF_KIND[kind].read(instance, by_kind[kind])
        return {(kind, key): value for key, value in found.items()}

    now: dict[tuple[Kind, str], Value] = {}
    for found in each(of_kind, by_kind):
        now |= found
    return now


@dataclass(slots=True)
class _Releasing:
    """One attempt to release an instance."""

    incident: Incident
    held: Containment
    overwrite: bool
    keep: bool
    refused: list[Difference] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        view = _inspect(self.held)
        steps = _steps(view, overwrite=self.overwrite, keep=self.keep)
        if blocking := [step.difference for step in steps if step.do == "block" and step.difference]:
            return self._blocked(blocking)
        self.held = containments.begin_release(self.held)
        self._check_nothing_was_missed(view)
        for _, same_kind in groupby(steps, key=lambda step: step.prior.kind):
            each(lambda step: self._restore(step, view), list(same_kind))
            if self.refused:
                return self._blocked(self.refused)
        for one in view.waiting:
            if one.kind not in RELEASE_ORDER:
                containments.mark_restored(self.held, one)
        self._record()
        containments.finish_release(self.held)
        return {"status": "released"}

    def _check_nothing_was_missed(self, view: _View) -> None:
        """Require another inspection where more was isolated since, for an incident that held the instance already.

        After this nothing more can be recorded: this release holds the containment.

        Raises:
            TryAgain: there is more to restore.
        """
        waiting = containments.waiting(self.held, containments.prior_states(self.held.instance_id, self.held.where))
        if {(one.kind, one.key) for one in waiting} != {(one.kind, one.key) for one in view.waiting}:
            raise TryAgain(f"more of {self.held.instance_id} was isolated meanwhile")

    def _restore(self, step: Step, view: _View) -> None:
        prior = step.prior
        note, given_up = _note_of(step), True
        if step.do == "restore":
            there = view.now.get((prior.kind, prior.key))
            try:
                OF_KIND[prior.kind].restore(self.held.instance_id, prior, step.to)
                note, given_up = note or _inexact(prior, there), False
            except Gone as gone:
                note = f"it is gone: {gone}"
            except NotManaged as found:
                note = str(found)
            except ClientError as error:
                if is_transient(error):
                    raise
                refused = refusal(prior, there, message_of(error))
                if not self.keep:
                    self.refused.append(refused)
                    return
                note = refused.why
        containments.mark_restored(self.held, prior, note, given_up=given_up)

    def _blocked(self, differences: Iterable[Difference]) -> dict[str, Any]:
        listed = list(differences)
        written = requests.record_blocked(self.incident.id, [one.as_dict() for one in listed])
        _after_writing(self.incident.id, "blocked", "; ".join(str(one) for one in listed), written)
        return {"status": "blocked"}

    def _record(self) -> None:
        """Record it in every incident that wanted the instance contained, before the table forgets which did."""
        notes = [
            f"{change_name(one.kind, one.key)}: {one.note}"
            for one in containments.prior_states(self.held.instance_id, self.held.where)
            if one.generation == self.held.generation and one.note
        ]
        for incident_id in sorted({self.incident.id, *self.held.releasing_for}):
            detail = "; ".join(notes) or f"everything of {self.held.instance_id} is as it was"
            _after_writing(incident_id, "released", detail, requests.record_released(self.held, incident_id, notes))


def _note_of(step: Step) -> str:
    """Return the note about something that is not restored exactly; empty where it is."""
    if step.difference is None:
        return ""
    if step.do == "restore":
        return f"{step.difference.why}; the others are back" if step.to != step.prior.before else ""
    now = text_of(step.difference.now, step.difference.names)
    if step.prior.kind == "groups" and step.difference.now == step.prior.after:
        return f"{step.difference.why}; it STAYS IN QUARANTINE: {now}"
    left = f"; left as it is: {now}" if step.difference.blocks else ""
    return f"{step.difference.why}{left}"


def _inexact(prior: PriorState, there: Value) -> str:
    """Return a note about what AWS cannot restore; empty where it can."""
    if prior.kind == "tracking" and prior.before is None:
        return (
            f"it was not set, and cannot be unset: it is {tracking.DEFAULT_SECONDS} s now, AWS's default except on "
            f"Nitro v6 instances, where that is {tracking.NITRO_V6_SECONDS} s"
        )
    if prior.kind == "standby" and there == STANDBY and not prior.detail["decrement"]:
        return (
            "the instance is back in service; the one that the group launched in its place stays, and the group's "
            f"desired capacity, which was {prior.detail['desired']}, is one more"
        )
    return ""


def _after_writing(incident_id: str, state: requests.End, detail: str, written: bool) -> None:
    """Add the state of a containment to the timeline, where it has changed."""
    if written:
        incidents.add_event(incident_id, "containment", state, detail)
    if state == "released":
        # An incident that was deleted by hand cannot be kept.
        with suppress(UnknownIncident):
            retention.keep(incident_id)


def restore_again(incident_id: str, waited: int = 0) -> dict[str, Any]:
    """Restore what an overtaken containment changed after a release had restored it.

    EC2 has no conditional calls, so calls of a containment that was overtaken may take effect after the release. That
    containment can no longer record anything, so it ends as `overtaken`, and the workflow calls this next, in the same
    execution. The prior state is still in the table.

    Nothing is changed where an incident contains the instance again, nor what others changed since, nor what the
    release has left as it was.

    Args:
        incident_id: which.
        waited: for how many seconds the workflow has waited.

    Returns:
        `status`: `wanted` or `restored`; or `wait` with `seconds`, and `waited` afterwards, while the release is not
        over: what it restores now may be changed late, too.

    Raises:
        ContainmentFailed: AWS refuses to restore something, and everything else is restored; or the release does not
            end.
    """
    incident = incidents.get(incident_id)
    instance_id = incident.named_instance_id
    held = containments.get(instance_id, incident.where)
    if held is None or held.wanted:
        return {"status": "wanted"}
    if containments.is_release_under_way(held):
        if waited >= _WAIT_AT_MOST_SECONDS:
            raise ContainmentFailed(
                f"the release of {instance_id} has not ended within {_WAIT_AT_MOST_SECONDS // 3600} hours: what was "
                "changed after it began may not be restored. Release it again"
            )
        return {"status": "wait", "seconds": _WAIT_SECONDS, "waited": waited + _WAIT_SECONDS}
    returned = [
        replace(one, restored=False)
        for one in containments.prior_states(instance_id, held.where)
        if one.restored and not one.given_up and one.generation == _last_generation(held)
    ]
    now = _now(described(instance_id), returned)
    moved = _moved(held, returned)
    late = [one for one in returned if one.key not in moved and _is_as_contained(one, now)]
    wanted = {group for one in late if one.kind == "groups" for group in one.before}
    gone = groups.missing(wanted) if wanted else set()
    # What is left of deleted groups is restored, as that release did.
    steps = steps_of_release(late, now, missing_groups=gone, overwrite=True)
    refused = [left for step in steps if (left := _restore_late(incident_id, instance_id, step, now))]
    if refused:
        raise ContainmentFailed(
            f"{instance_id} was changed once more after its release, by what was under way, and NOT restored: "
            + "; ".join(refused)
        )
    return {"status": "restored"}


def _restore_late(incident_id: str, instance_id: str, step: Step, now: Mapping[tuple[Kind, str], Value]) -> str:
    """Restore one change; return why it is not restored, empty where it is."""
    one = step.prior
    # Where no prior group is left, AWS says so.
    to = step.to if step.do == "restore" else one.before
    what = f"{change_name(one.kind, one.key)}: {text_of(to, names_of(one))}"
    try:
        OF_KIND[one.kind].restore(instance_id, one, to)
    except (Gone, NotManaged):
        return ""
    except ClientError as error:
        if is_transient(error):
            raise
        return f"{what}: AWS refuses: {message_of(error)}"
    note = _inexact(one, now.get((one.kind, one.key)))
    incidents.add_event(incident_id, "containment", "restored once more", "; ".join(filter(None, (what, note))))
    return ""


def _last_generation(held: containments.Containment) -> int:
    """Return the generation that was released last: a release increments it at its end."""
    return held.generation if held.in_place else held.generation - 1


def _is_as_contained(one: PriorState, now: dict[Any, Any]) -> bool:
    there = now.get((one.kind, one.key))
    return there is not None and there != one.before and set_by_containment(there, one.after, one.interim)
