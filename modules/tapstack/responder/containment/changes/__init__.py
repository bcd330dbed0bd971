"""The kinds of settings that containment changes: a module each, all with the same three functions.

`read` returns the present values of settings whose prior state is recorded, and leaves out resources that no longer
exist. `change` sets what containment needs, `restore` what was there before. Both may be called twice, and raise Gone
where the resource no longer exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from tapstack.domain.containment import Kind, PriorState, Value
from tapstack.responder.containment.changes import (
    classic_balancers,
    groups,
    profile,
    shutdown,
    snapshots,
    standby,
    target_groups,
    termination,
    tracking,
    volumes,
)


class ChangeOfOneKind(Protocol):
    """What each of the modules has."""

    def read(self, instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
        """Return the present values by key.

        Args:
            instance: as EC2 describes it; None where it no longer exists.
            prior_states: of this kind, at least one.
        """

    def change(self, instance_id: str, prior: PriorState, to: Value) -> str | None:
        """Set what containment needs; return when that was requested, where it must not be made again."""

    def restore(self, instance_id: str, prior: PriorState, to: Value) -> None:
        """Set what was there before."""


OF_KIND: Final[Mapping[Kind, ChangeOfOneKind]] = {
    "shutdown": shutdown,
    "volume": volumes,
    "termination": termination,
    "standby": standby,
    "groups": groups,
    "tracking": tracking,
    "profile": profile,
    "target-group": target_groups,
    "classic-balancer": classic_balancers,
    "snapshots": snapshots,
}
