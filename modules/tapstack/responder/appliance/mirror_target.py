"""The mirror target that packets go to now: of the existing appliance, or of the launched one."""

from __future__ import annotations

from dataclasses import dataclass

from tapstack.domain import limits
from tapstack.domain.appliance_settings import ExistingAppliance
from tapstack.domain.incidents import ApplianceState
from tapstack.responder.environment import environment
from tapstack.responder.errors import TryAgain
from tapstack.responder.store import appliance as stored
from tapstack.responder.store.appliance import Appliance
from tapstack.responder.store.incidents import IncidentAppliance


@dataclass(frozen=True, slots=True)
class MirrorTarget:
    """What sessions need to know of the appliance.

    Attributes:
        target_id: traffic mirror target.
        filter_id: traffic mirror filter.
        max_sources: distinct sources that the target accepts; None where there is no limit, or it is not known.
    """

    target_id: str
    filter_id: str
    max_sources: int | None = None


def mirror_target() -> MirrorTarget:
    """Return where packets go.

    Raises:
        TryAgain: the launched appliance is not ready.
    """
    found = current_mirror_target()
    if found is None:
        raise TryAgain("the appliance is not ready")
    return found


def current_mirror_target() -> MirrorTarget | None:
    """Return where packets go; None while no appliance is ready."""
    appliance = environment().appliance
    if isinstance(appliance, ExistingAppliance):
        return MirrorTarget(appliance.target_id, appliance.filter_id, appliance.max_sources)
    launched = stored.get()
    if launched.state != "ready" or launched.target_id is None or launched.filter_id is None:
        return None
    # Packet Basics is an xlarge: its interface is none of the largest targets.
    return MirrorTarget(launched.target_id, launched.filter_id, limits.SOURCES_PER_INTERFACE_TARGET)


def existing(appliance: ExistingAppliance) -> IncidentAppliance:
    """Return an existing appliance as incidents show it."""
    return IncidentAppliance(
        stack_name=None,
        state="standing",
        portal_url=appliance.portal_url,
        target_id=appliance.target_id,
        filter_id=appliance.filter_id,
        launched_by_us=False,
    )


def launched(stack_name: str, appliance: Appliance, state: ApplianceState) -> IncidentAppliance:
    """Return a launched appliance as incidents show it.

    Args:
        stack_name: of its stack.
        appliance: what the table knows.
        state: launching, ready, retiring, gone or failed.
    """
    return IncidentAppliance(
        stack_name=stack_name,
        state=state,
        portal_url=appliance.portal_url,
        target_id=appliance.target_id,
        filter_id=appliance.filter_id,
        launched_by_us=True,
        generation=appliance.generation,
    )
