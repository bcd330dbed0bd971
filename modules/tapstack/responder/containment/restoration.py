"""An instance is connected again: what was there comes back, and what others did is not overwritten unasked.

Every change is inspected first. Where others changed something, or a group is gone, nothing at all is restored until
an operator decides; otherwise it goes in this order: the role and the network, load balancers, Auto Scaling, and what
protects the evidence last. An instance that is checked before its network is back would be found unhealthy, and ended
by its group.

Killed between any two calls and done again, it goes on: what is back is noted one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
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
    set_by_containment,
    text_of,
)
from tapstack.domain.containment_release import RELEASE_ORDER, Step, plan_release, steps_of_release
from tapstack.responder.aws.errors import is_transient, message_of
from tapstack.responder.aws.parallel import each
from tapstack.responder.containment.changes import OF_KIND, groups, tracking
from tapstack.responder.containment.changes.gone import Gone, NotManaged
from tapstack.responder.containment.inspect import as_interfaces, attached, described
from tapstack.responder.errors import ContainmentFailed, TryAgain, UnknownIncident
from tapstack.responder.store import containments, incidents, requests, retention
from tapstack.responder.store.containments import Containment
from tapstack.responder.store.incidents import Incident

AWS_REFUSES: Final = "Change what AWS names, then release again; --keep leaves it as it is"
"""What to do about something that AWS refuses to restore: to overwrite it is refused as well."""


def plan(incident_id: str, *, overwrite: bool = False, keep: bool = False, all_incidents: bool = False) -> Plan:
    """Return what a release would change, and what others have changed since.

    Args:
        incident_id: whose instance.
        overwrite: restore the prior state, whatever was changed outside Tapstack.
        keep: leave what others did meanwhile.
        all_incidents: other incidents that want the instance contained do not count.
    """
    incident = incidents.get(incident_id)
    instance_id = incident.named_instance_id
    held = containments.get(instance_id, incident.where)
    if held is None or not held.in_place:
        return Plan(instance_id, refused=f"instance {instance_id} is not contained")
    if others := _others(held, incident_id, all_incidents):
        return Plan(
            instance_id, refused=f"it stays contained for {', '.join(others)}: all of them release it with --all"
        )
    view = _inspect(held)
    steps = steps_of_release(view.waiting, view.now, missing_groups=view.missing, overwrite=overwrite, keep=keep)
    known = {one.key for one in view.prior_states if one.kind == "groups" and one.generation == held.generation}
    return plan_release(instance_id, steps, view.now, attached=view.attached, known=known)


def release(
    incident_id: str, *, overwrite: bool = False, keep: bool = False, all_incidents: bool = False
) -> dict[str, Any]:
    """Release an instance for an incident; restore its prior state where no other incident holds it.

    Args:
        incident_id: whose instance.
        overwrite: restore the prior state, whatever was changed outside Tapstack.
        keep: leave what others did meanwhile.
        all_incidents: for all incidents that want it contained.

    Returns:
        `status`: `released`, `blocked` (others changed something, or AWS refuses something: nothing more is put
        back before an operator decides) or `held` (other incidents want it contained).

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
        stays = f"{instance_id} is STILL CONTAINED by {', '.join(others)}"
        _after_writing(incident_id, "released", stays, requests.record_not_contained(incident_id, [stays]))
        return {"status": "held"}
    return _Releasing(incident, held, overwrite=overwrite, keep=keep).run()


def _others(held: Containment, incident_id: str, all_incidents: bool) -> list[str]:
    return [] if all_incidents else sorted(held.holders - {incident_id})


@dataclass(frozen=True, slots=True)
class _View:
    """What is written down of a containment, and what is there.

    Attributes:
        prior_states: all that is remembered of the instance.
        waiting: of them: what is not back yet.
        now: what is there.
        missing: security groups of prior states that are gone.
        attached: interfaces that the instance has.
    """

    prior_states: list[PriorState]
    waiting: list[PriorState]
    now: dict[tuple[Kind, str], Value]
    missing: set[str]
    attached: tuple[Interface, ...] = ()


def _inspect(held: Containment) -> _View:
    remembered = containments.prior_states(held.instance_id, held.where)
    waiting = containments.waiting(held, remembered)
    instance = described(held.instance_id)
    now = _now(instance, waiting)
    wanted = {group for one in waiting if one.kind == "groups" for group in one.before}
    there = as_interfaces(attached(held.instance_id)) if instance else ()
    return _View(remembered, waiting, now, groups.missing(wanted) if wanted else set(), there)


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
    """One run of it."""

    incident: Incident
    held: Containment
    overwrite: bool
    keep: bool
    refused: list[Difference] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        view = _inspect(self.held)
        steps = steps_of_release(
            view.waiting, view.now, missing_groups=view.missing, overwrite=self.overwrite, keep=self.keep
        )
        if blocking := [step.difference for step in steps if step.do == "block" and step.difference]:
            return self._blocked(blocking)
        self.held = containments.begin_release(self.held)
        self._check_nothing_was_missed(view)
        for _, same_kind in groupby(steps, key=lambda step: step.prior.kind):
            each(lambda step: self._take(step, view), list(same_kind))
            if self.refused:
                return self._blocked(self.refused)
        for one in view.waiting:
            if one.kind not in RELEASE_ORDER:
                containments.mark_restored(self.held, one)
        self._record()
        containments.finish_release(self.held)
        return {"status": "released"}

    def _check_nothing_was_missed(self, view: _View) -> None:
        """Inspect again where more was isolated since then, for an incident that held the instance already.

        From here on nothing can be written down: the containment is in our hands.

        Raises:
            TryAgain: there is more to restore.
        """
        waiting = containments.waiting(self.held, containments.prior_states(self.held.instance_id, self.held.where))
        if {(one.kind, one.key) for one in waiting} != {(one.kind, one.key) for one in view.waiting}:
            raise TryAgain(f"more of {self.held.instance_id} was isolated meanwhile")

    def _take(self, step: Step, view: _View) -> None:
        prior = step.prior
        note = _note_of(step)
        if step.do == "restore":
            there = view.now.get((prior.kind, prior.key))
            try:
                OF_KIND[prior.kind].restore(self.held.instance_id, prior, step.to)
                note = note or _inexact(prior, there)
            except Gone as gone:
                note = f"it is gone: {gone}"
            except NotManaged as found:
                note = str(found)
            except ClientError as error:
                if is_transient(error):
                    raise
                note = f"AWS refuses to put it back: {message_of(error)}"
                if not self.keep:
                    self.refused.append(
                        Difference(
                            prior.kind,
                            prior.key,
                            prior.before,
                            prior.after,
                            there,
                            note,
                            advice=AWS_REFUSES,
                        )
                    )
                    return
        containments.mark_restored(self.held, prior, note)

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
    """Return what is said of something that does not come back exactly as it was."""
    if step.difference is None:
        return ""
    if step.do == "restore":
        return f"{step.difference.why}; the others are back" if step.to != step.prior.before else ""
    if step.prior.kind == "groups" and step.difference.now == step.prior.after:
        return f"{step.difference.why}; it STAYS IN QUARANTINE: {text_of(step.difference.now)}"
    left = f"; left as it is: {text_of(step.difference.now)}" if step.difference.blocks else ""
    return f"{step.difference.why}{left}"


def _inexact(prior: PriorState, there: Value) -> str:
    """Return what AWS cannot restore."""
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
    """Say in the timeline how a containment stands, where that is news."""
    if written:
        incidents.add_event(incident_id, "containment", state, detail)
    if state == "released":
        # One that was deleted by hand is kept no longer anyway.
        with suppress(UnknownIncident):
            retention.keep(incident_id)


def restore_again(incident_id: str) -> dict[str, Any]:
    """Restore what is as containment left it although a release has restored it.

    EC2 knows no condition, so calls of a containment that was overtaken may land after the release. It can write
    nothing down any more, so it ends as `overtaken`, and this comes next, in the same execution: the prior state is
    still there.

    Nothing is done where an incident wants the instance contained again, and nothing about what others changed since.

    Returns:
        `status`: `wanted`, or `restored`.

    Raises:
        ContainmentFailed: AWS refuses to put something back; everything else is.
    """
    incident = incidents.get(incident_id)
    instance_id = incident.named_instance_id
    held = containments.get(instance_id, incident.where)
    if held is None or held.wanted:
        return {"status": "wanted"}
    returned = [
        replace(one, restored=False)
        for one in containments.prior_states(instance_id, held.where)
        if one.restored and not one.note and one.generation == _last_generation(held)
    ]
    now = _now(described(instance_id), returned)
    late = [one for one in returned if _is_as_we_left_it(one, now)]
    refused = [left for step in steps_of_release(late, now) if (left := _restore_late(incident_id, instance_id, step))]
    if refused:
        raise ContainmentFailed(
            f"{instance_id} was changed once more after its release, by what was under way, and NOT restored: "
            + "; ".join(refused)
        )
    return {"status": "restored"}


def _restore_late(incident_id: str, instance_id: str, step: Step) -> str:
    """Put one thing back; return why it is not, empty where it is."""
    one = step.prior
    what = f"{change_name(one.kind, one.key)}: {text_of(step.to)}"
    try:
        OF_KIND[one.kind].restore(instance_id, one, step.to)
    except (Gone, NotManaged):
        return ""
    except ClientError as error:
        if is_transient(error):
            raise
        return f"{what}: AWS refuses: {message_of(error)}"
    incidents.add_event(incident_id, "containment", "restored once more", what)
    return ""


def _last_generation(held: containments.Containment) -> int:
    """The generation that was released last: the next one is counted when a release ends."""
    return held.generation if held.in_place else held.generation - 1


def _is_as_we_left_it(one: PriorState, now: dict[Any, Any]) -> bool:
    there = now.get((one.kind, one.key))
    return there is not None and there != one.before and set_by_containment(there, one.after, one.interim)
