"""Which other incidents contain an instance, or have requested its containment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tapstack.domain.containment import held_for
from tapstack.domain.containment_settings import ContainmentState
from tapstack.responder.outbound import executions, telemetry
from tapstack.responder.store import containments, incidents, requests
from tapstack.responder.store.incidents import Incident


@dataclass(frozen=True, slots=True)
class OtherRequest:
    """Another incident that contains an instance, or has requested its containment.

    Attributes:
        incident: as it is now.
        holds: whether it holds the instance too, until it is released for this one.
        completed: whether the instance is contained for those that hold it.
    """

    incident: Incident
    holds: bool
    completed: bool

    @property
    def state(self) -> ContainmentState:
        """The state of its containment."""
        return self.incident.requested_containment.state

    def as_dict(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {"incident_id": self.incident.id, "state": self.state, "holds": self.holds, "note": str(self)}

    def __str__(self) -> str:
        """Return it as a line of text."""
        name = self.incident.id
        if self.holds and self.completed:
            return f"it is contained for {name} too, until that is released, or all are (--all)"
        if self.holds:
            return f"{held_for([name], completed=False)}, until that is released, or all are (--all)"
        if self.state == "pending":
            until = self.incident.requested_containment.deadline
            return (
                f"its containment is pending for {name} until {until}: approving that contains it again. The default "
                "does not, after a release. --all withdraws it"
            )
        if self.incident.requested_containment.waits_for_packets:
            return (
                f"its containment for {name} waits for packets, and contains it again: release that too. --all "
                "withdraws it"
            )
        return f"it is being contained for {name}, which contains it again: release that too"


def other_requests(incident: Incident) -> list[OtherRequest]:
    """Return the other incidents that contain an incident's instance, and then those that have requested that.

    Those that do not hold it yet are found by listings, which are eventually consistent.
    """
    instance_id, where = incident.named_instance_id, incident.where
    there = containments.get(instance_id, where)
    holders = there.holders if there is not None else frozenset()
    listed = {
        one.id for one in incidents.with_ongoing_containment() if (one.instance_id, one.where) == (instance_id, where)
    }
    known = (incidents.read(incident_id) for incident_id in (listed | holders) - {incident.id})
    completed = there is not None and there.completed
    found = (
        OtherRequest(one, one.id in holders, completed)
        for one in known
        if one is not None and one.containment is not None
    )
    ongoing = [one for one in found if one.holds or one.state in ("pending", "containing")]
    return sorted(ongoing, key=lambda one: (not one.holds, one.incident.id))


def withdraw_requests(incident: Incident, *, by: str) -> list[str]:
    """Withdraw what other incidents requested for the instance, because it is released for all; return which.

    What is pending is rejected, and what waits for packets is released. What is being contained already is not
    withdrawn: the release ends it, or the time of its decision does.
    """
    withdrawn = []
    for one in other_requests(incident):
        if (changed := _withdraw(one, by, f"released for all incidents, by {incident.id}")) is None:
            continue
        if changed.approval_token:
            executions.end_wait(changed.approval_token, "rejected")
        telemetry.settle(changed)
        withdrawn.append(changed.id)
    return withdrawn


def _withdraw(one: OtherRequest, by: str, why: str) -> Incident | None:
    if one.state == "pending":
        changed, what = requests.withdraw(one.incident, by), "containment rejected"
    elif one.incident.requested_containment.waits_for_packets:
        changed, what = requests.release_waiting(one.incident, by), "release requested"
    else:
        return None
    if changed is not None:
        incidents.add_event(changed.id, by, what, why)
    return changed
