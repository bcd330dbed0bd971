"""Mirroring between accounts: targets that others share, and the sessions of others to one's own.

Source: VPC Traffic Mirroring guide, "Cross-account traffic mirror targets": accounts that a target is
shared with see it, only its owner modifies or deletes it, and the owner sees the sessions to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from moto.ec2.models import ec2_backends

from strictmoto.ec2.mirroring.operations import Core
from strictmoto.ec2.mirroring.state import Session, Target
from strictmoto.ram.access import shared_arns

ATTRIBUTE: Final = "_strictmoto_mirroring"
"""Where the mirroring of an account and Region hangs on moto's EC2 backend."""


def others(core: Core) -> Iterator[Core]:
    """Return the mirroring of all other accounts in this Region."""
    region = core.backend.region_name
    for account, regions in list(ec2_backends.items()):
        if account != core.backend.account_id and region in list(regions):
            found: Any = vars(regions[region]).get(ATTRIBUTE)
            if found is not None:
                yield found


def arn_of(owner: Core, target: Target) -> str:
    """Return the ARN that a target is shared by."""
    backend = owner.backend
    return f"arn:{backend.partition}:ec2:{backend.region_name}:{backend.account_id}:{target.kind}/{target.id}"


def shared_targets(core: Core) -> dict[str, tuple[Core, Target]]:
    """Return the targets that others share with this account, with their owners, by id."""
    shared = shared_arns(core.backend.account_id, core.backend.region_name)
    if not shared:
        return {}
    return {
        target.id: (owner, target)
        for owner in others(core)
        for target in list(owner.state.targets.values())
        if arn_of(owner, target) in shared
    }


def target_for(core: Core, target_id: str) -> tuple[Core, Target]:
    """Return a target that this account may use, and its owner.

    Raises:
        EC2ClientError: InvalidTrafficMirrorTargetId.NotFound.
    """
    if target_id not in core.state.targets and (found := shared_targets(core).get(target_id)):
        return found
    return core, core.find(Target, target_id)


def any_target(core: Core, target_id: str) -> Target | None:
    """Return a target whoever owns it, shared or no longer; None where it does not exist."""
    for owner in (core, *others(core)):
        if target_id in owner.state.targets:
            return owner.state.targets[target_id]
    return None


def sessions_of_others_to(core: Core, target_ids: Iterable[str]) -> list[tuple[Core, Session]]:
    """Return the sessions of other accounts to targets, with their owners, oldest first."""
    wanted = list(target_ids)
    found = [(other, session) for other in others(core) for one in wanted for session in other.state.sessions_to(one)]
    return sorted(found, key=lambda pair: pair[1].serial)
