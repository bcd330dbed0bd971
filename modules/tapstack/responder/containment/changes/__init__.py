"""The kinds of things that containment changes: a file each, all with the same three functions.

`look` says what is there now, for things whose prior state is written down; what it leaves out is gone. `change` puts
there what containment wants, `restore` what was there before. Both may be done twice, and raise Gone where there is
nothing any more to change.
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
    """What each of the files has."""

    def read(self, instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
        """Return what is there now, by key.

        Args:
            instance: as EC2 describes it; None where it is gone.
            prior_states: of this kind, at least one.
        """

    def change(self, instance_id: str, prior: PriorState, to: Value) -> None:
        """Put there what containment wants."""

    def restore(self, instance_id: str, prior: PriorState, to: Value) -> None:
        """Put there what was before."""


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
