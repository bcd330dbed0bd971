"""What a release would change: compares the prior state, the values of containment, and the present ones.

Where the present value is that of containment, the prior state is restored. Where others have changed it meanwhile,
nothing is changed before an operator decides: overwrite the change, or keep it.

Source: Amazon EC2 API Reference, ModifyNetworkInterfaceAttribute (an interface has at least one group, all exist).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from tapstack.domain.containment import (
    Change,
    Difference,
    Interface,
    Kind,
    Plan,
    PriorState,
    Value,
    change_name,
    names_of,
    set_by_containment,
    with_name,
)

RELEASE_ORDER: Final[tuple[Kind, ...]] = (
    "profile",
    "groups",
    "tracking",
    "target-group",
    "classic-balancer",
    "standby",
    "volume",
    "shutdown",
    "termination",
)
"""Permissions and network first, so that health checks succeed. Then load balancers, then Auto Scaling, which
terminates unhealthy instances. The protection of evidence comes last. Snapshots are kept."""

SETTING_OF_KIND: Final[Mapping[Kind, str]] = {
    "shutdown": "stop_on_shutdown",
    "volume": "keep_volumes",
    "termination": "termination_protection",
    "standby": "auto_scaling.standby",
    "profile": "instance_profile",
    "target-group": "load_balancers.deregister",
    "classic-balancer": "load_balancers.deregister",
}
"""The setting of containment that each kind depends on, at release too: without it the role of the release function
lacks the permission. Groups and tracking are restored with all settings, and snapshots never."""

NO_GROUP_LEFT: Final = (
    "All prior security groups are deleted: --overwrite cannot help. Give the interface a group by hand, then release "
    "with --keep. --keep alone leaves it in quarantine"
)
"""Advice for an interface whose prior security groups are all deleted."""

AWS_REFUSES: Final = "Change what AWS names, then release again; --keep leaves it as it is"
"""Advice for what AWS refuses to restore, with --overwrite too."""

RELEASE_FIRST: Final = (
    "Release that instance first, then this one again. --keep leaves the interface in quarantine; --overwrite "
    "reconnects it until a sweep isolates it for that instance"
)
"""Advice for an isolated interface that is attached to another contained instance now."""

OUTSIDE: Final = "changed outside Tapstack"
_NO_NAMES: Final[Mapping[str, str]] = {}
_REFUSAL: Final = "AWS refuses to restore it: "

Now = Mapping[tuple[Kind, str], Value]
"""The present values; resources that no longer exist are left out."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a release.

    Attributes:
        prior: its recorded prior state.
        do: `restore`, `give up` (the resource no longer exists, or the change is kept) or `block`.
        to: the value to restore.
        difference: what blocks it, or is to be reported.
    """

    prior: PriorState
    do: Literal["restore", "give up", "block"]
    to: Value = None
    difference: Difference | None = None


def steps_of_release(
    prior_states: Iterable[PriorState],
    now: Now,
    *,
    missing_groups: Collection[str] = (),
    group_names: Mapping[str, str] = _NO_NAMES,
    moved: Mapping[str, str] = _NO_NAMES,
    overwrite: bool = False,
    keep: bool = False,
) -> tuple[Step, ...]:
    """Return the steps for all prior states that are not restored yet, in the order of a release.

    Args:
        prior_states: of the containment.
        now: the present values.
        missing_groups: security groups of prior states that do not exist any more.
        group_names: of the security groups that the interfaces have now, by id.
        moved: the interfaces that are attached to other contained instances now, by id, with the ids of these.
        overwrite: restore the prior state also where others changed it meanwhile.
        keep: keep what others changed meanwhile.
    """
    waiting = [one for one in prior_states if not one.restored and one.kind in RELEASE_ORDER]
    waiting.sort(key=lambda one: (RELEASE_ORDER.index(one.kind), one.key))
    missing = set(missing_groups)
    return tuple(_step(one, now, missing, group_names, moved.get(one.key, ""), overwrite, keep) for one in waiting)


def _step(
    prior: PriorState,
    now: Now,
    missing: set[str],
    group_names: Mapping[str, str],
    other: str,
    overwrite: bool,
    keep: bool,
) -> Step:
    place = (prior.kind, prior.key)
    if place not in now:
        return Step(prior, "give up", difference=_difference(prior, None, "it is gone", blocks=False))
    there = now[place]
    to = prior.before
    gone = [group for group in to if group in missing] if prior.kind == "groups" else []
    left = [group for group in to if group not in missing] if gone else to
    advice = "" if left or not gone else NO_GROUP_LEFT
    difference = None
    if not _same(there, to) and not set_by_containment(there, prior.after, prior.interim):
        difference = _difference(prior, there, OUTSIDE, advice=advice, group_names=group_names)
    elif other and not _same(there, to):
        why = f"it is attached to {other} now, which is contained"
        difference = _difference(prior, there, why, advice=RELEASE_FIRST, group_names=group_names)
    if difference is not None:
        if keep:
            return Step(prior, "give up", difference=difference)
        if not overwrite:
            return Step(prior, "block", difference=difference)
    if gone:
        words = "security group does" if len(gone) == 1 else "security groups do"
        deleted = ", ".join(with_name(group, names_of(prior)) for group in gone)
        why = f"{deleted}: the {words} not exist any more"
        difference = _difference(prior, there, why, advice=advice, group_names=group_names)
        if not left:
            return Step(prior, "give up" if keep else "block", difference=difference)
        return Step(prior, "restore" if overwrite or keep else "block", left, difference)
    return Step(prior, "restore", to)


def _same(there: Value, before: Value) -> bool:
    """Return whether two values are equal; the order of security groups does not matter."""
    if isinstance(there, list) and isinstance(before, list):
        return sorted(there) == sorted(before)
    return bool(there == before)


def plan_release(
    instance_id: str,
    steps: Iterable[Step],
    now: Now,
    *,
    attached: Iterable[Interface] = (),
    known: Collection[str] = (),
) -> Plan:
    """Return the plan of these steps.

    Args:
        instance_id: its id.
        steps: of the release.
        now: the present values.
        attached: present interfaces of the instance.
        known: interfaces whose prior groups are recorded.
    """
    listed = tuple(steps)
    changes = tuple(
        Change(
            step.prior.kind,
            step.prior.key,
            now.get((step.prior.kind, step.prior.key)),
            step.to,
            detail=step.prior.detail,
        )
        for step in listed
        if step.do == "restore"
    )
    since = tuple(
        Difference(
            "groups",
            one.id,
            None,
            None,
            list(one.group_ids),
            "it was attached since: left as it is",
            False,
            names=one.group_names,
        )
        for one in attached
        if one.id not in known
    )
    return Plan(instance_id, changes, differences=tuple(step.difference for step in listed if step.difference) + since)


def refusal(prior: PriorState, now: Value, message: str) -> Difference:
    """Return what blocks a release because AWS refuses to restore it.

    Args:
        prior: what is not restored.
        now: the present value.
        message: of AWS.
    """
    return _difference(prior, now, f"{_REFUSAL}{message}", advice=AWS_REFUSES)


def refusals(differences: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what AWS refuses to restore and why, a line for each, of differences as the API has them.

    A release is blocked by these, after it has begun, or by changes outside Tapstack, before anything is restored.
    """
    return [
        f"{change_name(str(one.get('what')), str(one.get('key')))}: {why.removeprefix(_REFUSAL)}"
        for one in differences
        if (why := str(one.get("why"))).startswith(_REFUSAL)
    ]


def network_is_restored(differences: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a release that AWS refuses restored all security groups before: it stops at the kind that is refused."""
    first = min(
        (RELEASE_ORDER.index(one["what"]) for one in differences if one.get("what") in RELEASE_ORDER), default=0
    )
    return first > RELEASE_ORDER.index("groups")


def _difference(
    prior: PriorState,
    now: Value,
    why: str,
    *,
    blocks: bool = True,
    advice: str = "",
    group_names: Mapping[str, str] = _NO_NAMES,
) -> Difference:
    listed = {*prior.before, *prior.after, *(now or ())} if prior.kind == "groups" else set()
    # What containment calls its own groups, before their names.
    names = {group: name for group, name in {**group_names, **names_of(prior)}.items() if group in listed}
    return Difference(prior.kind, prior.key, prior.before, prior.after, now, why, blocks, advice, names)
