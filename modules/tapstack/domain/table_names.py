"""Names of the table of incidents: what its partition keys begin with, its index, and the listings in that.

The functions write them, their roles are limited to them, and a deploy is checked by them. IAM denies a partition key
that begins otherwise.
"""

from __future__ import annotations

from typing import Final

PARTITION_KEY: Final = "pk"
SORT_KEY: Final = "sk"
TTL: Final = "ttl"
"""The attribute with the time of the item's deletion."""

INCIDENT: Final = "INCIDENT"
INSTANCE: Final = "INSTANCE"
REQUEST: Final = "KEY"
CAPTURE: Final = "CAPTURE"
APPLIANCE: Final = "APPLIANCE"
"""Also the whole partition key."""
SNAPSHOTS: Final = "SNAPSHOTS"
CONTAINMENT: Final = "CONTAINMENT"
"""Prior states are in the partition of their containment."""
CONTAINMENTS: Final = "CONTAINMENTS"
"""The instances that were contained in an hour."""
UNDELIVERED: Final = "UNDELIVERED"
"""A notification for one topic that did not take it, or an event for the bus."""

EVENT: Final = "EVENT"
NOTIFICATION: Final = "NOTIFICATION"
PRIOR_STATE: Final = "ORIGINAL"
"""Of these sort keys have the beginnings."""

BY_STATE: Final = "by-state"
"""The index."""
LISTING: Final = "listing"
"""Its hash key."""
OPENED_AT: Final = "opened_at"
"""Its range key."""

OPEN: Final = "open"
CLOSED: Final = "closed"
"""Listings of incidents."""
CAPTURES: Final = "capture"
"""The listing of captures that are held or ending: the sweeper finds them by it."""
CONTAINED: Final = "containment"
"""The listing of containments that are in place."""
PRIOR_STATES: Final = "original"
"""The listing of prior states that are not restored yet."""
ALERTS: Final = "alert"
"""The listing of outcomes of alerts, by the time at which they came."""
KEPT_SNAPSHOTS: Final = "snapshots"
"""The listing of snapshots of appliances: the sweeper deletes them when their time is over."""
TO_DELIVER: Final = "undelivered"
"""The listing of what was not delivered: the sweeper delivers it."""


def key(beginning: str, *names: str) -> str:
    """Return a partition key or a sort key: its beginning, and what it names."""
    return "#".join((beginning, *names))


def all_of(beginning: str) -> str:
    """Return the pattern of all keys with a beginning, for a condition of IAM."""
    return key(beginning, "*")
