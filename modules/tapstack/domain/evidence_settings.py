"""What is kept of what incidents captured, each setting with its default and its range.

The deployment file validates into them, the construct writes them, the functions read them.

Sources: Amazon EC2 API Reference, CreateSnapshots; Amazon EC2 User Guide, "Tag your Amazon EC2 resources" (50 tags,
values of up to 256 characters).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from tapstack.domain.arguments import check_fields, check_range
from tapstack.domain.retention import RETENTION_DAYS

KEEP_DAYS: Final = RETENTION_DAYS
NOTICE: Final = timedelta(days=7)
"""How long before snapshots are deleted operators are notified; half of the time where they are kept for less than 14
days."""
TAG_APPLIANCE: Final = "tapstack:appliance"
"""On a snapshot: the stack whose volumes it was taken of, and which of its retirements."""
TAG_INCIDENTS: Final = "tapstack:incidents"
"""On a snapshot: the incidents that the appliance captured for; more of them in `tapstack:incidents-2` and so on."""
_TAG_VALUE: Final = 256
_INCIDENT_TAGS: Final = 20


@dataclass(frozen=True, slots=True)
class ApplianceSnapshots:
    """Snapshots of the volumes of a launched appliance, which are taken before it is deleted.

    Attributes:
        keep_days: How many days the snapshots are kept, 1 to 3653.

    Raises:
        RuleViolation: a number out of its range.
    """

    keep_days: int = 90

    def __post_init__(self) -> None:
        """Check the number."""
        check_fields(self)
        check_range("keep_days", self.keep_days, KEEP_DAYS)


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """What is kept of what incidents captured.

    Attributes:
        appliance_snapshots: Snapshots of the volumes of a launched appliance, before it is deleted; `null`: what it
            captured is lost with it.
    """

    appliance_snapshots: ApplianceSnapshots | None = field(default_factory=ApplianceSnapshots)

    def __post_init__(self) -> None:
        """Check the types."""
        check_fields(self)


def notice_before(keep: timedelta) -> timedelta:
    """Return how long before snapshots are deleted operators are notified, from how long they are kept."""
    return min(NOTICE, keep / 2)


def incident_tags(incident_ids: Iterable[str]) -> dict[str, str]:
    """Return the tags of a snapshot that name incidents: as many as fit into 20 tags of 256 characters each."""
    values = [""]
    for incident_id in sorted(incident_ids):
        longer = f"{values[-1]} {incident_id}".strip()
        if len(longer) <= _TAG_VALUE:
            values[-1] = longer
        else:
            values.append(incident_id)
    named = [value for value in values if value][:_INCIDENT_TAGS]
    return {TAG_INCIDENTS + (f"-{number}" if number > 1 else ""): value for number, value in enumerate(named, 1)}
