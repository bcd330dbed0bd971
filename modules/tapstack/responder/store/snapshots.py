"""The snapshots of appliances in the table: one item for each retirement of which snapshots were taken.

What is deleted in the end is what these items list, never what merely has the tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from tapstack.domain.incidents import as_text, utc_now
from tapstack.domain.regions import AccountRegion
from tapstack.domain.table_names import KEPT_SNAPSHOTS
from tapstack.responder.store import lifetimes, table
from tapstack.responder.store.keys import snapshots_key, where_of
from tapstack.responder.store.records import Snapshot


@dataclass(frozen=True, slots=True)
class Kept:
    """The snapshots of one retirement.

    Attributes:
        retirement: stack and number of the retirement, which the tag of the snapshots has too.
        where: account and Region.
        opened_at: when the retirement began.
        expires_at: when the snapshots are deleted; the notification about that comes before.
        stopped_at: since when its instance was stopped for that; none before.
        incidents: the incidents that the appliance captured for.
        volume_ids: the volumes of the appliance; none where it had none any more.
        snapshot_ids: all snapshots that were taken, repeated ones included.
        snapshots: those that are complete, once there is one of each volume.
        complete: whether the packets are kept, so that the appliance can be deleted.
        failure: why they could not be taken yet; empty where nothing failed.
        notified: which notifications were published.
        warned_at: when operators were notified that the snapshots will be deleted; none before.
    """

    retirement: str
    where: AccountRegion
    opened_at: str
    expires_at: str
    stopped_at: str | None = None
    incidents: frozenset[str] = frozenset()
    volume_ids: frozenset[str] = frozenset()
    snapshot_ids: frozenset[str] = frozenset()
    snapshots: tuple[Snapshot, ...] = ()
    complete: bool = False
    failure: str = ""
    notified: frozenset[str] = frozenset()
    warned_at: str | None = None


def get(retirement: str) -> Kept | None:
    """Return what is known of a retirement; None before it began."""
    item = table.read(snapshots_key(retirement))
    return None if item is None else _kept(item)


def begin(
    retirement: str, where: AccountRegion, keep: timedelta, incident_ids: Iterable[str], volume_ids: Iterable[str]
) -> Kept:
    """Record that snapshots of these volumes are about to be taken; return what is known then. Repeating it is safe."""
    now = utc_now()
    sets: dict[str, set[str]] = {"incidents": set(incident_ids), "volume_ids": set(volume_ids)}
    given = {name: values for name, values in sets.items() if values}
    added = f" ADD {', '.join(f'{name} :{name}' for name in given)}" if given else ""
    return _changed(
        retirement,
        "SET retirement = :retirement, account_id = :account, #region = :region, listing = :listing, "
        "opened_at = if_not_exists(opened_at, :now), expires_at = if_not_exists(expires_at, :expires), "
        f"complete = if_not_exists(complete, :no){added}",
        retirement=retirement,
        account=where.account_id,
        region=where.region,
        listing=KEPT_SNAPSHOTS,
        now=as_text(now),
        expires=as_text(now + keep),
        no=False,
        **given,
    )


def stopped(retirement: str) -> Kept:
    """Record that its instance is stopped; a repetition does not change the time."""
    return _changed(retirement, "SET stopped_at = if_not_exists(stopped_at, :now)", now=as_text(utc_now()))


def not_stopped(retirement: str) -> Kept:
    """Record that its instance runs."""
    return _changed(retirement, "REMOVE stopped_at")


def add(retirement: str, snapshot_ids: Iterable[str]) -> Kept:
    """Record snapshots that were taken, or found."""
    return _changed(retirement, "ADD snapshot_ids :ids", ids=set(snapshot_ids))


def complete(retirement: str, snapshots: Iterable[Snapshot], keep: timedelta) -> Kept:
    """Record that the packets are kept, in which snapshots, and how long from now."""
    return _changed(
        retirement,
        "SET complete = :yes, failure = :none, snapshots = :snapshots, expires_at = :expires",
        yes=True,
        none="",
        snapshots=[one.as_dict() for one in snapshots],
        expires=as_text(utc_now() + keep),
    )


def fail(retirement: str, why: str) -> Kept:
    """Record why the snapshots cannot be taken."""
    return _changed(retirement, "SET failure = :why", why=why)


def mark_notified(retirement: str, what: str) -> Kept:
    """Record that a notification was published."""
    return _changed(retirement, "ADD told :what", what={what})


def warned(retirement: str) -> Kept:
    """Record that operators were notified that the snapshots will be deleted."""
    return _changed(retirement, "SET warned_at = if_not_exists(warned_at, :now)", now=as_text(utc_now()))


def forget(retirement: str) -> None:
    """Record that the snapshots are deleted: they are listed no more."""
    _changed(retirement, "SET #ttl = :ttl REMOVE listing", ttl=lifetimes.after(lifetimes.UNUSED))


def listed() -> Iterator[Kept]:
    """Yield the retirements whose snapshots exist, or are being taken; eventually consistent."""
    yield from map(_kept, table.listed(KEPT_SNAPSHOTS))


def _changed(retirement: str, update: str, /, **values: Any) -> Kept:
    names = {name: name for name in ("region", "ttl") if f"#{name}" in update}
    item = table.change(snapshots_key(retirement), update, values=values, names=names)
    assert item is not None  # there is no condition
    return _kept(item)


def _kept(item: dict[str, Any]) -> Kept:
    sets: dict[str, Any] = {name: frozenset(item.get(name, ())) for name in ("incidents", "volume_ids", "snapshot_ids")}
    names = {field.name for field in fields(Kept)} - sets.keys() - {"where", "snapshots", "notified"}
    return Kept(
        where=where_of(item),
        snapshots=tuple(Snapshot(**one) for one in item.get("snapshots", ())),
        notified=frozenset(item.get("told", ())),
        **{name: item[name] for name in names if name in item},
        **sets,
    )
