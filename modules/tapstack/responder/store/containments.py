"""The incidents that hold an instance contained, and its prior state, which is recorded before anything is changed.

A containment has a generation, and a turn that is incremented when another function takes it over: a function that was
overtaken, by a release or by a new containment, can no longer write. Prior states are written once in a generation,
and kept for a while after the release, for operators to inspect.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tapstack.domain.containment import Change, Kind, PriorState
from tapstack.domain.incidents import as_text, utc_now
from tapstack.domain.regions import AccountRegion
from tapstack.domain.table_names import CONTAINED, PRIOR_STATE, PRIOR_STATES
from tapstack.responder.errors import TryAgain
from tapstack.responder.store import incidents, lifetimes, table
from tapstack.responder.store.items import pack_item
from tapstack.responder.store.keys import containment_key, containments_key, named, prior_state_key, where_of
from tapstack.responder.store.records import Incident
from tapstack.responder.store.retry import retried

_RESTORED_LATELY_SECONDS: Final = 60
"""How long EC2 may still show what was there before a change."""
_TOGETHER: Final = 99
"""Items that one transaction takes besides its check (Amazon DynamoDB API Reference, TransactWriteItems: 100)."""


@dataclass(frozen=True, slots=True)
class Containment:
    """The containment of an instance, as the table has it.

    Attributes:
        instance_id: which instance.
        where: its account and Region.
        state: `containing`, `contained`, `releasing`, or `absent` after the release.
        generation: number of the containment of this instance.
        turn: how often another function took it over.
        holders: the incidents for which it is contained.
        releasing_for: the incidents that held it when a release began, in which its end is not recorded yet.
        since: when it began.
        untracked_at: when the first of two steps was made, in seconds of the epoch; 0 before.
        released_at: when it was released last; none where it never was, or an earlier version released it.
        release_began_at: when that release, or the one that is under way, began; likewise.
    """

    instance_id: str
    where: AccountRegion
    state: str
    generation: int
    turn: int
    holders: frozenset[str] = frozenset()
    releasing_for: frozenset[str] = frozenset()
    since: str = ""
    untracked_at: int = 0
    released_at: str | None = None
    release_began_at: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether an incident wants the instance contained, and it is not being released."""
        return self.state in incidents.WANTED_CONTAINMENT

    @property
    def completed(self) -> bool:
        """Whether the instance is contained: nothing of the containment goes on, or has failed in part."""
        return self.state == "contained"

    @property
    def in_place(self) -> bool:
        """Whether something of it may not be restored yet."""
        return self.state != "absent"

    def is_for(self, incident_id: str) -> bool:
        """Return whether an incident holds the instance, or its release for that incident has not ended."""
        return self.in_place and incident_id in self.holders | self.releasing_for

    def release_began_after(self, moment: str) -> bool:
        """Return whether its last release, which may be under way, began after a moment."""
        began = self.release_began_at if not self.wanted else None
        return began is not None and began > moment


@dataclass(frozen=True, slots=True)
class LastRelease:
    """The last release of an instance.

    Attributes:
        until: what was seen, or decided by the policy, until then contains the instance no more.
        said: how far it is, as a clause.
    """

    until: str
    said: str


def get(instance_id: str, where: AccountRegion | None = None) -> Containment | None:
    """Return the containment of an instance as it is now; None when there never was one."""
    item = table.read(containment_key(instance_id, where))
    return None if item is None else _containment(item)


def last_release(containment: Containment) -> LastRelease | None:
    """Return the last release of an instance, which may not be over; None where it never was released.

    It ends what was seen until it is over. One that is blocked, or has failed, may never be: it ends what was seen
    before it began.
    """
    if containment.state != "releasing":
        return None if containment.released_at is None else released_at(containment.released_at)
    began = containment.release_began_at
    if began is None or is_release_under_way(containment):
        return LastRelease(as_text(utc_now()), "it is being released")
    return LastRelease(began, f"its release began at {began}, and is not completed")


def released_at(moment: str) -> LastRelease:
    """Return a release that was over at a moment."""
    return LastRelease(moment, f"it was released at {moment}")


def released_since(containment: Containment, moment: str) -> LastRelease | None:
    """Return the last release of an instance, where it ends what was decided at a moment."""
    released = last_release(containment)
    return released if released is not None and released.until >= moment else None


def is_release_under_way(containment: Containment) -> bool:
    """Return whether a release restores something now: not where it is blocked, or has failed."""
    if containment.state != "releasing":
        return False
    known = map(incidents.read, containment.releasing_for)
    return any(incident is not None and incident.containment_state == "releasing" for incident in known)


def count(instance_id: str, limit: int, where: AccountRegion | None = None, *, by_policy: bool) -> bool:
    """Count an instance before it is contained; False when the limit of this clock hour is reached.

    Those that the policy contains are counted apart: a flood of findings leaves responders what they may contain.
    """
    now, name = utc_now(), named(instance_id, where)
    counter = "instances" if by_policy else "by_responders"
    counted = table.change(
        containments_key(f"{now:%Y-%m-%dT%H}"),
        f"ADD {counter} :instances SET #ttl = :ttl",
        condition=f"attribute_not_exists({counter}) OR size({counter}) < :limit OR contains({counter}, :instance)",
        values={
            "instances": {name},
            "instance": name,
            "limit": limit,
            "ttl": lifetimes.after(lifetimes.UNUSED),
        },
        names={"ttl": "ttl"},
    )
    return counted is not None


def hold(incident: Incident, *, vpc_id: str, quarantine_group_id: str) -> Containment | None:
    """Hold an instance contained for an incident: join its containment, or begin one.

    None is begun where the instance was released since the decision. What a person decides overtakes a release that
    began before; what the policy decided, or the default, is about activity, which a release ends until it is over. One
    that is blocked, or has failed, is overtaken where the activity is newer than its beginning.

    Args:
        incident: for which it is contained.
        vpc_id: of the instance.
        quarantine_group_id: that it gets.

    Returns:
        The containment; None where the incident no longer requests it, or a release ended its request. Its request and
        the containment are checked in one transaction: a release for all incidents that ends at the same moment either
        has recorded that in the incident, or sees it as a holder.

    Raises:
        TryAgain: others change it at the same time.
        UnknownIncident: there is none of that id.
    """
    instance_id, incident_id, there = incident.named_instance_id, incident.id, incident.where
    asked = incident.requested_containment
    as_of, decided_at = asked.as_of or "", asked.decided_by_person_at
    wants = incidents.check(
        incident_id,
        "containment.#state IN (:containing, :contained)",
        containing="containing",
        contained="contained",
    )
    join = _update(
        instance_id,
        there,
        "ADD holders :incident",
        "#state IN (:containing, :contained)",
        incident={incident_id},
        containing="containing",
        contained="contained",
    )

    def may_begin() -> tuple[str, dict[str, Any]]:
        # What an earlier version released has no times.
        if decided_at is not None:
            condition = "#state IN (:absent, :releasing) AND (attribute_not_exists(release_began_at) OR "
            condition += "release_began_at <= :decided_at)"
            return condition, {"releasing": "releasing", "decided_at": decided_at}
        condition = "#state = :absent AND (attribute_not_exists(released_at) OR released_at < :as_of)"
        found = get(instance_id, there)
        if found is None or found.state != "releasing" or is_release_under_way(found):
            return condition, {"as_of": as_of}
        # Its turn is another one where the release was requested again since.
        condition += " OR (#state = :releasing AND turn = :turn AND release_began_at < :as_of)"
        return condition, {"as_of": as_of, "releasing": "releasing", "turn": found.turn}

    def attempt() -> tuple[Containment | None] | None:
        condition, moments = may_begin()
        begin = _update(
            instance_id,
            there,
            "SET #state = :containing, instance_id = :instance, account_id = :account, #region = :region, "
            "generation = if_not_exists(generation, :one), "
            "turn = if_not_exists(turn, :zero) + :one, vpc_id = :vpc, quarantine_group_id = :group, since = :now, "
            "listing = :listing, opened_at = :now REMOVE untracked_at, #ttl ADD holders :incident",
            f"attribute_not_exists(#state) OR ({condition})",
            incident={incident_id},
            containing="containing",
            absent="absent",
            **moments,
            instance=instance_id,
            account=there.account_id,
            region=there.region,
            vpc=vpc_id,
            group=quarantine_group_id,
            now=as_text(utc_now()),
            listing=CONTAINED,
            one=1,
            zero=0,
        )
        if table.write_together([wants, join]) or table.write_together([wants, begin]):
            found = get(instance_id, there)
            if found is not None and incident_id in found.holders and found.wanted:
                return (found,)
        elif incidents.get(incident_id).containment_state not in incidents.WANTED_CONTAINMENT or is_ended():
            return (None,)
        return None

    def is_ended() -> bool:
        if (found := get(instance_id, there)) is None:
            return False
        if decided_at is not None:
            return found.release_began_after(decided_at)
        return released_since(found, as_of) is not None

    [held] = retried(attempt, f"the containment of {instance_id} is changed by others")
    return held


def being_released(containment: Containment) -> dict[str, Any]:
    """Return a check for a transaction: the containment is being released, and was not overtaken."""
    return _check(containment, "#state = :releasing", releasing="releasing")


def prior_states(instance_id: str, where: AccountRegion | None = None) -> list[PriorState]:
    """Return all prior states of an instance, of its earlier containments too."""
    items = table.beginning_with(containment_key(instance_id, where), PRIOR_STATE)
    return [_prior_state(item) for item in items]


def prior_state(instance_id: str, kind: Kind, key: str, where: AccountRegion | None = None) -> PriorState | None:
    """Return the prior state of the last containment that changed a setting; None where none is recorded."""
    item = table.read(prior_state_key(instance_id, kind, key, where))
    return None if item is None else _prior_state(item)


def waiting(containment: Containment, remembered: Iterable[PriorState]) -> list[PriorState]:
    """Return the prior states of a containment that are not restored yet."""
    return [one for one in remembered if one.generation == containment.generation and not one.restored]


def record(containment: Containment, changes: Sequence[Change], remembered: Iterable[PriorState]) -> None:
    """Record prior states before anything is changed; recorded ones are not overwritten.

    Args:
        containment: that they belong to.
        changes: that will be made.
        remembered: prior states that are recorded already.

    Raises:
        TryAgain: the containment was overtaken.
    """
    known = {(one.kind, one.key) for one in waiting(containment, remembered)}
    missing = [change for change in changes if (change.what, change.key) not in known]
    for start in range(0, len(missing), _TOGETHER):
        some = missing[start : start + _TOGETHER]
        if not _write(containment, some):
            # Another function has recorded one of them meanwhile, which serves as well.
            _write_each(containment, some)


def _write(containment: Containment, changes: Sequence[Change]) -> bool:
    check = _check(containment, "#state IN (:containing, :contained)", containing="containing", contained="contained")
    return table.write_together([check, *(_put(containment, change) for change in changes)])


def _write_each(containment: Containment, changes: Sequence[Change]) -> None:
    for change in changes:
        if _write(containment, [change]):
            continue
        written = table.read(prior_state_key(containment.instance_id, change.what, change.key, containment.where))
        if written is None or written["generation"] != containment.generation or written["restored"]:
            raise TryAgain(f"the containment of {containment.instance_id} was overtaken")


def mark_made(instance_id: str, prior: PriorState, where: AccountRegion, made_at: str | None) -> None:
    """Record that a change is made; nothing where its containment has ended meanwhile.

    Args:
        instance_id: which was changed.
        prior: of the change.
        where: the instance is.
        made_at: when it was requested; none where an earlier attempt made it.
    """
    table.change(
        prior_state_key(instance_id, prior.kind, prior.key, where),
        "SET made = :yes" + ("" if made_at is None else ", made_at = :at"),
        condition="generation = :generation AND restored = :no",
        values={
            "yes": True,
            "no": False,
            "generation": prior.generation,
            **({} if made_at is None else {"at": made_at}),
        },
    )


def mark_untracked(containment: Containment) -> Containment:
    """Note that the first of two steps was made.

    Raises:
        TryAgain: the containment was overtaken.
    """
    return _own(
        containment,
        "SET untracked_at = if_not_exists(untracked_at, :now)",
        "containing",
        now=int(time.time()),
    )


def finish_containing(containment: Containment) -> Containment:
    """Record that all changes are made.

    Raises:
        TryAgain: the containment was overtaken.
    """
    return _own(containment, "SET #state = :to", "containing", "contained", to="contained")


def remove_holder(containment: Containment, incident_id: str) -> Containment | None:
    """Remove an incident from the holders of a containment; None when there is no other holder."""
    return _change(
        containment,
        "DELETE holders :incident, releasing_for :incident",
        # The last holder is not removed: it releases the containment.
        "attribute_exists(holders) AND holders <> :incident AND #state IN (:containing, :contained)",
        incident={incident_id},
        containing="containing",
        contained="contained",
    )


def begin_release(containment: Containment) -> Containment:
    """Begin the release of a containment.

    Args:
        containment: as it was read; its holders are released.

    Raises:
        TryAgain: an incident has joined or released it since.
    """
    if containment.state == "releasing":
        return _own(containment, "SET turn = turn + :one", "releasing", one=1)
    holders = containment.holders
    return _own(
        containment,
        "SET #state = :to, turn = turn + :one, release_began_at = :now REMOVE holders, untracked_at"
        # The incidents of a release that was overtaken are kept: this release is recorded in them as well.
        + (" ADD releasing_for :holders" if holders else ""),
        "containing",
        "contained",
        and_also="holders = :holders" if holders else "attribute_not_exists(holders)",
        to="releasing",
        one=1,
        now=as_text(utc_now()),
        **({"holders": holders} if holders else {}),
    )


def mark_restored(containment: Containment, prior: PriorState, note: str = "", *, given_up: bool = False) -> None:
    """Record that a change is restored, or that restoring it was given up.

    Args:
        containment: that it belongs to.
        prior: the prior state.
        note: a remark for the incident.
        given_up: it is not restored.

    Raises:
        TryAgain: the containment was overtaken.
    """
    now = int(time.time())
    update = table.part(
        prior_state_key(containment.instance_id, prior.kind, prior.key, containment.where),
        "SET restored = :yes, restored_at = :now, note = :note, given_up = :given_up, #ttl = :ttl "
        "REMOVE listing, opened_at",
        "generation = :generation",
        {
            "yes": True,
            "now": now,
            "note": note,
            "given_up": given_up,
            "ttl": lifetimes.after(lifetimes.UNUSED),
            "generation": containment.generation,
        },
        {"ttl": "ttl"},
    )
    if not table.write_together([being_released(containment), update]):
        raise TryAgain(f"the release of {containment.instance_id} was overtaken")


def finish_release(containment: Containment) -> None:
    """Record that everything is released.

    Raises:
        TryAgain: the release was overtaken.
    """
    _own(
        containment,
        "SET #state = :to, generation = generation + :one, turn = turn + :one, released_at = :now, #ttl = :ttl "
        "REMOVE holders, releasing_for, untracked_at, listing, opened_at",
        "releasing",
        to="absent",
        one=1,
        now=as_text(utc_now()),
        ttl=lifetimes.after(lifetimes.UNUSED),
    )


def listed() -> Iterator[Containment]:
    """Yield the containments that are in place; eventually consistent."""
    for item in table.listed(CONTAINED):
        yield _containment(item)


def listed_prior_states() -> Iterator[tuple[str, PriorState]]:
    """Yield the prior states that are not restored yet, with their instance; eventually consistent."""
    for item in table.listed(PRIOR_STATES):
        yield item["instance_id"], _prior_state(item)


def _check(containment: Containment, condition: str, **values: Any) -> dict[str, Any]:
    both = f"{condition} AND generation = :generation AND turn = :turn"
    given = {**values, "generation": containment.generation, "turn": containment.turn}
    return table.part(
        containment_key(containment.instance_id, containment.where), None, both, given, {"state": "state"}
    )


def _put(containment: Containment, change: Change) -> dict[str, Any]:
    item = {
        "instance_id": containment.instance_id,
        **containment.where.as_dict(),
        "kind": change.what,
        "key": change.key,
        "original": change.before,
        "ours": change.after,
        "passing": change.interim,
        "detail": dict(change.detail),
        "generation": containment.generation,
        "restored": False,
        "listing": PRIOR_STATES,
        "opened_at": as_text(utc_now()),
    }
    key = prior_state_key(containment.instance_id, change.what, change.key, containment.where)
    condition = "attribute_not_exists(pk) OR generation < :generation OR restored = :yes"
    values = {"generation": containment.generation, "yes": True}
    return table.put({**key, **pack_item(item)}, condition, values)


def _update(instance_id: str, where: AccountRegion, update: str, condition: str, **values: Any) -> dict[str, Any]:
    return table.part(containment_key(instance_id, where), update, condition, values, _names(update + condition))


def _own(containment: Containment, update: str, *states: str, and_also: str = "", **values: Any) -> Containment:
    """Change the containment unless it was overtaken."""
    named = {f"s{n}": state for n, state in enumerate(states)}
    condition = f"generation = :g AND turn = :t AND #state IN ({', '.join(f':{name}' for name in named)})"
    if and_also:
        condition += f" AND {and_also}"
    given = {**values, **named, "g": containment.generation, "t": containment.turn}
    changed = _change(containment, update, condition, **given)
    if changed is None:
        raise TryAgain(f"the containment of {containment.instance_id} was overtaken")
    return changed


def _change(containment: Containment, update: str, condition: str, **values: Any) -> Containment | None:
    names, key = _names(update + condition), containment_key(containment.instance_id, containment.where)
    item = table.change(key, update, condition=condition, values=values, names=names)
    return None if item is None else _containment(item)


def _names(text: str) -> dict[str, str]:
    return {name: name for name in ("state", "ttl", "region") if f"#{name}" in text}


def _containment(item: dict[str, Any]) -> Containment:
    sets = {name: frozenset(item.get(name, ())) for name in ("holders", "releasing_for")}
    known = {name: item[name] for name in Containment.__slots__ if name in item}
    return Containment(**{**known, **sets, "where": where_of(item)})


_RENAMED: Final = {"before": "original", "after": "ours", "interim": "passing", "recorded_at": "opened_at"}
_ATTRIBUTES: Final = {name: _RENAMED.get(name, name) for name in PriorState.__slots__ if name != "lately"}
"""Attributes of a prior state's item by field: four have other names, which earlier versions write and read."""


def _prior_state(item: dict[str, Any]) -> PriorState:
    known = {name: item[attribute] for name, attribute in _ATTRIBUTES.items() if attribute in item}
    # An earlier version restored again nothing that has a note.
    known.setdefault("given_up", bool(known.get("note")))
    return PriorState(**known, lately=time.time() - item.get("restored_at", 0) < _RESTORED_LATELY_SECONDS)
