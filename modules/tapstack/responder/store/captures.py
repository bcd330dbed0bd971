"""The incidents that hold the capture of an interface: they share one session, and the last one ends it.

A capture has a generation, which is part of the client token of its session. Once its last
holder releases it, it is `ending`, and no incident can hold it before the session is deleted
and the generation incremented.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tapstack.domain.incidents import as_text, utc_now
from tapstack.domain.regions import AccountRegion
from tapstack.domain.table_names import CAPTURES
from tapstack.responder.environment import environment
from tapstack.responder.store import lifetimes, table
from tapstack.responder.store.keys import capture_key, named, where_of


@dataclass(frozen=True, slots=True)
class Capture:
    """The capture of an interface.

    Attributes:
        network_interface_id: whose packets.
        where: account and Region of the interface, and of its session.
        generation: number of the capture; the first is the time.
        holders: the incidents that need it.
        session_id: of the session that mirrors; none while it is not known.
        session_since: when the session was recorded, in seconds of the epoch.
        session_number: of the session, as it was created; none where an earlier version recorded it.
        virtual_network_id: of the session, as it was created; none likewise.
        ending: the session is being deleted.
        ended_sessions: the last ones that were deleted, which EC2 may still show for a while.
        begun: the creations of a session that were begun, each as `begin` was given it, until a session is recorded: a
            function may be killed before. Those of the capture before are among them.
    """

    network_interface_id: str
    where: AccountRegion
    generation: int
    holders: frozenset[str] = frozenset()
    session_id: str | None = None
    session_since: int = 0
    session_number: int | None = None
    virtual_network_id: int | None = None
    ending: bool = False
    ended_sessions: frozenset[str] = frozenset()
    begun: frozenset[str] = frozenset()


def name_of(capture: Capture) -> str:
    """Return the name of the interface among those of all accounts and Regions."""
    return named(capture.network_interface_id, capture.where)


def acquire(network_interface_id: str, incident_id: str, where: AccountRegion | None = None) -> Capture | None:
    """Hold the capture of an interface; None while it is ending, which the caller then finishes."""
    now, there = int(time.time()), where or environment().home
    item = table.change(
        capture_key(network_interface_id, there),
        "ADD holders :incident SET generation = if_not_exists(generation, :now), network_interface_id = :eni, "
        "account_id = :account, #region = :region, listing = :listing, "
        "opened_at = if_not_exists(opened_at, :opened) REMOVE #ttl",
        condition="attribute_not_exists(ending)",
        values={
            "incident": {incident_id},
            "now": now,
            "eni": network_interface_id,
            "account": there.account_id,
            "region": there.region,
            "listing": CAPTURES,
            "opened": as_text(utc_now()),
        },
        names={"ttl": "ttl", "region": "region"},
    )
    return None if item is None else _capture(item)


def begin(network_interface_id: str, creation: str, where: AccountRegion | None = None) -> None:
    """Record that a session is about to be created, before it is: tags alone prove of no session whose it is.

    Args:
        network_interface_id: whose packets it mirrors; it has a capture.
        creation: what tells the session from others.
        where: account and Region of the interface; the site's own by default.
    """
    table.change(capture_key(network_interface_id, where), "ADD begun :begun", values={"begun": {creation}})


def record(capture: Capture, session_id: str, created: Mapping[str, int] | None = None) -> bool:
    """Record the session of a capture; False when the capture has ended meanwhile, or has another session.

    Args:
        capture: which.
        session_id: of the session.
        created: `session_number` and `virtual_network_id` that it was created with; none where it is used, not created.
    """
    given = dict(created or {})
    return (
        table.change(
            capture_key(capture.network_interface_id, capture.where),
            ", ".join(["SET session_id = :session, session_since = :now", *(f"{name} = :{name}" for name in given)])
            # One generation has one session: what was begun in it makes no other one known.
            + " REMOVE begun",
            condition="generation = :generation AND attribute_not_exists(ending) AND attribute_exists(holders) "
            "AND (attribute_not_exists(session_id) OR session_id = :session)",
            values={"session": session_id, "now": int(time.time()), "generation": capture.generation, **given},
        )
        is not None
    )


def record_numbers(capture: Capture, session_number: int, virtual_network_id: int) -> None:
    """Record which numbers the session of a capture has from now on."""
    table.change(
        capture_key(capture.network_interface_id, capture.where),
        "SET session_number = :number, virtual_network_id = :vni",
        condition="generation = :generation AND session_id = :session AND attribute_not_exists(ending)",
        values={
            "number": session_number,
            "vni": virtual_network_id,
            "generation": capture.generation,
            "session": capture.session_id,
        },
    )


def forget_session(capture: Capture) -> None:
    """Record that the session was deleted although it is needed: the next one gets a new generation."""
    table.change(
        capture_key(capture.network_interface_id, capture.where),
        "SET generation = generation + :one "
        "REMOVE session_id, session_since, session_number, virtual_network_id, begun",
        condition="generation = :generation AND session_id = :session AND attribute_not_exists(ending)",
        values={"one": 1, "generation": capture.generation, "session": capture.session_id},
    )


def replace_token(capture: Capture) -> Capture | None:
    """Begin a new generation, and so a new client token, of a capture without a session; None where it has changed."""
    item = table.change(
        capture_key(capture.network_interface_id, capture.where),
        "SET generation = generation + :one",
        condition="generation = :generation AND attribute_not_exists(session_id) AND attribute_not_exists(ending)",
        values={"one": 1, "generation": capture.generation},
    )
    return None if item is None else _capture(item)


def release(
    network_interface_id: str, incident_ids: Iterable[str], where: AccountRegion | None = None
) -> Capture | None:
    """Release a capture for these incidents; return it afterwards, None when it was never held.

    When no holder is left, it is `ending` in what is returned, and the caller deletes the
    session and finishes.
    """
    item = table.change(
        capture_key(network_interface_id, where),
        "DELETE holders :incidents",
        condition="attribute_exists(generation)",
        values={"incidents": set(incident_ids)},
    )
    if item is None:
        return None
    capture = _capture(item)
    return capture if capture.holders or capture.ending else end(capture)


def end(capture: Capture) -> Capture:
    """Mark a capture without a holder as ending; return it afterwards, unchanged when it is held again."""
    item = table.change(
        capture_key(capture.network_interface_id, capture.where),
        "SET ending = :yes, listing = :listing",
        condition="attribute_exists(generation) AND attribute_not_exists(holders)",
        values={"yes": True, "listing": CAPTURES},
    )
    # Where it is held again, its new holder decides.
    return capture if item is None else _capture(item)


def displaced(capture: Capture) -> dict[str, Any]:
    """Return for a transaction that a capture ends although it is held, on condition that it is as it was read.

    The caller then deletes the session and finishes.
    """
    return table.part(
        capture_key(capture.network_interface_id, capture.where),
        "SET ending = :yes, listing = :listing REMOVE holders",
        "generation = :generation AND session_id = :session AND holders = :holders AND attribute_not_exists(ending)",
        {
            "yes": True,
            "listing": CAPTURES,
            "generation": capture.generation,
            "session": capture.session_id,
            "holders": set(capture.holders),
        },
    )


def finish(capture: Capture, ended_sessions: Iterable[str] = ()) -> None:
    """Record that an ending capture has ended, and which sessions were deleted."""
    ended = set(ended_sessions)
    begun = set(capture.begun)
    table.change(
        capture_key(capture.network_interface_id, capture.where),
        "SET generation = generation + :one, #ttl = :ttl"
        + (", ended_sessions = :ended" if ended else "")
        + (", begun_before = :begun" if begun else "")
        + " REMOVE begun, ending, session_id, session_since, session_number, virtual_network_id, listing, opened_at",
        condition="generation = :generation AND ending = :yes",
        values={
            "one": 1,
            "generation": capture.generation,
            "yes": True,
            "ttl": lifetimes.after(lifetimes.UNUSED),
            **({"ended": ended} if ended else {}),
            **({"begun": begun} if begun else {}),
        },
        names={"ttl": "ttl"},
    )


def get(network_interface_id: str, where: AccountRegion | None = None) -> Capture | None:
    """Return the capture of an interface as it is now."""
    item = table.read(capture_key(network_interface_id, where))
    return None if item is None else _capture(item)


def get_all(network_interface_ids: Iterable[str], where: AccountRegion | None = None) -> dict[str, Capture]:
    """Return those of many captures that exist, by interface."""
    keys = [capture_key(interface, where) for interface in sorted(set(network_interface_ids))]
    return {item["network_interface_id"]: _capture(item) for item in table.read_all(keys)}


def listed() -> list[Capture]:
    """Return the captures that are held or ending, as they are now; new ones may be missing."""
    items = table.listed(CAPTURES)
    keys = {(item["network_interface_id"], where_of(item)) for item in items}
    return [_capture(item) for item in table.read_all([capture_key(*key) for key in sorted(keys)])]


def _capture(item: dict[str, Any]) -> Capture:
    return Capture(
        network_interface_id=item["network_interface_id"],
        where=where_of(item),
        generation=item["generation"],
        holders=frozenset(item.get("holders", ())),
        session_id=item.get("session_id"),
        session_since=item.get("session_since", 0),
        session_number=item.get("session_number"),
        virtual_network_id=item.get("virtual_network_id"),
        ending=item.get("ending", False),
        ended_sessions=frozenset(item.get("ended_sessions", ())),
        begun=frozenset((*item.get("begun", ()), *item.get("begun_before", ()))),
    )
