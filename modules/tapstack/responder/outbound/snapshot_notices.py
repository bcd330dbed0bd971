"""Notifications about the snapshots of an appliance: taken, not taken, about to be deleted."""

from __future__ import annotations

from typing import Final

from tapstack.domain.counts import counted
from tapstack.domain.incidents import SWEEP_MINUTES
from tapstack.domain.outside_text import one_line, quoted
from tapstack.domain.stored_packets import snapshot_words
from tapstack.responder.outbound import notifications
from tapstack.responder.store import snapshots as stored
from tapstack.responder.store.records import Snapshot
from tapstack.responder.store.snapshots import Kept

_INCIDENTS: Final = 50
_DOCS: Final = "docs/incidents.md, 'Packets of a deleted appliance'"


def notify_once(kept: Kept, what: str, subject: str, text: str) -> bool:
    """Notify operators, once for each `what`; return whether this call did.

    Where no topic takes it, it is not notified of, and the next sweep tries again: snapshots are not deleted before.
    A function that is killed before the notification is recorded sends it again.
    """
    if what in kept.notified:
        return False
    notifications.publish_to_any(subject, text)
    stored.mark_notified(kept.retirement, what)
    return True


def kept(its: Kept) -> tuple[str, str]:
    """Return subject and text: the appliance is deleted, and its packets are in snapshots; or there were none."""
    if not its.snapshots:
        return notifications.headed("packets LOST with the appliance"), _text(
            its,
            "No snapshot could be taken of the appliance: it had no instance or no volume any more. What it captured "
            "until then is lost. Its stack was deleted outside Tapstack; AWS CloudTrail shows by whom.",
        )
    size = sum(one.size_gib for one in its.snapshots)
    return notifications.headed("packets kept in snapshots"), _text(
        its,
        f"The appliance was stopped, and snapshots of its volumes are complete. They are deleted at {its.expires_at}; "
        "another notification comes before.",
        ["Snapshots:", *_listed(its.snapshots)],
        [
            f"Cost: EBS snapshots are billed by the GB-month that they store, here at most {size} GB: docs/costs.md.",
            "To keep one for longer, copy it; this encrypts the copy, too:",
            *_copies(its),
        ],
        [f"How to read them again, and what AWS limits for products of AWS Marketplace: {_DOCS}"],
    )


def failed(its: Kept) -> tuple[str, str]:
    """Return subject and text: snapshots cannot be taken, so the appliance stays."""
    region = its.where.region
    return notifications.headed("packets NOT KEPT yet, the appliance stays"), _text(
        its,
        f"Snapshots of the appliance could not be taken: {quoted(its.failure, 1000)}",
        [
            "The appliance is not deleted: its volumes hold the packets, and cost money, as does its instance if it is",
            f"not stopped. The sweeper tries again every {SWEEP_MINUTES} minutes. A new incident starts it again, and "
            "uses it.",
        ],
        [
            "What to do, one of:",
            "  remove the cause that is named above; the next attempt then succeeds",
            "  give the packets up: deploy with evidence: {appliance_snapshots: null} in the response, or run",
            f"  aws cloudformation delete-stack --region {region} --stack-name {its.retirement.split()[0]}",
        ],
    )


def about_to_be_deleted(its: Kept) -> tuple[str, str]:
    """Return subject and text: the time of snapshots is nearly over."""
    return notifications.headed("packets will be DELETED"), _text(
        its,
        f"The snapshots with the packets of these incidents are deleted at {its.expires_at}, or a day after this "
        "notification, if that is later.",
        ["Snapshots:", *_listed(its.snapshots)],
        ["To keep one, copy it before; Tapstack does not delete copies:", *_copies(its)],
    )


def _text(its: Kept, first: str, *parts: list[str]) -> str:
    named = sorted(its.incidents)
    more = len(named) - _INCIDENTS
    about = [
        first,
        "",
        f"Appliance: {its.retirement.split()[0]}",
        f"Account:   {its.where.account_id}, {its.where.region}",
        f"Incidents: {', '.join(named[:_INCIDENTS]) or 'none'}{f' and {more} more' if more > 0 else ''}",
    ]
    lines = [*about, *(line for part in parts for line in ("", *part))]
    return "\n".join(map(one_line, lines)) + "\n"


def _listed(snapshots: tuple[Snapshot, ...]) -> list[str]:
    plain = [one for one in snapshots if not one.encrypted]
    warning = [
        f"  {counted(len(plain), 'snapshot')} NOT encrypted, because the volumes are not: enable encryption by default "
        "for EBS in this account and Region, so that the next appliance's are",
    ]
    return [*(f"  {snapshot_words(one.as_dict())}" for one in snapshots), *(warning if plain else ())]


def _copies(its: Kept) -> list[str]:
    region = its.where.region
    return [
        f"  aws ec2 copy-snapshot --region {region} --source-region {region} --encrypted "
        f"--source-snapshot-id {one.snapshot_id}"
        for one in its.snapshots
    ]
