"""How instances are cut off, as whoever deploys a response says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tapstack.domain import containment_settings as domain
from tapstack.domain.arguments import check_fields
from tapstack.domain.containment_settings import Mode, WhenNobodyAnswers
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.tags import check_sought_tag_key, check_tag_value


@dataclass(frozen=True)
class Containment:
    """How an instance is cut off, and what is kept from undoing or spoiling it; all of it is put back at release.

    Attributes:
        modes: `approval`: somebody has to agree; `now`: nobody has to. Approval only, by default.
        approval_minutes: how long people may answer, 1 to 1440.
        without_answer: what happens then: `leave` or `contain`.
        protected_tags: an instance that has one of these is refused; `*` in a value stands for any text.
            The tag `tapstack-protected` by default, whatever its value.
        protected_instance_ids: instances that are refused. The appliance always is.
        vpc_ids: VPCs of the account and Region in scope besides the response's; at most 9.
        per_hour: at most so many instances are contained in an hour, 1 to 1000.
        two_step_seconds: put on an all-open group for so long first, 1 to 3600, so that connections are no longer
            tracked and end with the cut. Off by default: the instance is open to everybody meanwhile.
        tcp_established_seconds: how long an idle TCP connection stays tracked while contained, 60 to 432000;
            unchanged by default.
        standby: put members of Auto Scaling groups into standby, so that nobody replaces and terminates them.
        decrement_desired_capacity: have the group launch none in their place.
        deregister: take targets out of load balancers.
        termination_protection: switch it on.
        shutdown_behavior: an instance that shuts itself down is stopped, not terminated.
        keep_volumes: volumes outlive the instance.
        snapshots: take snapshots of the volumes; they stay. Off by default.
        restrict_instance_profile: deny the role of the instance what this one instance asks for. Off by default.

    Raises:
        RuleViolation: any of these is of the wrong form or out of range.

    See the runbook AWSSupport-ContainEC2Instance, and "Security group connection tracking" in the Amazon EC2 User
    Guide.
    """

    modes: Sequence[Mode] = ("approval",)
    approval_minutes: int = 15
    without_answer: WhenNobodyAnswers = "leave"
    protected_tags: Mapping[str, str] = field(default_factory=lambda: {"tapstack-protected": "*"})
    protected_instance_ids: Sequence[str] = ()
    vpc_ids: Sequence[str] = ()
    per_hour: int = 5
    two_step_seconds: int | None = None
    tcp_established_seconds: int | None = None
    standby: bool = True
    decrement_desired_capacity: bool = False
    deregister: bool = True
    termination_protection: bool = True
    shutdown_behavior: bool = True
    keep_volumes: bool = True
    snapshots: bool = False
    restrict_instance_profile: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked before AWS is asked."""
        check_fields(self)
        if not self.modes:
            raise RuleViolation(f"modes is empty: expected one or both of {', '.join(domain.MODES)}")
        _check_range("approval_minutes", self.approval_minutes, domain.APPROVAL_MINUTES)
        for key, value in self.protected_tags.items():
            check_sought_tag_key(key)
            check_tag_value(value)
        for instance_id in self.protected_instance_ids:
            check_identifier("instance", instance_id)
        for vpc_id in self.vpc_ids:
            check_identifier("vpc", vpc_id)
        if len(self.vpc_ids) > domain.FURTHER_VPCS:
            raise RuleViolation(f"at most {domain.FURTHER_VPCS} further VPCs can be in scope, got {len(self.vpc_ids)}")
        _check_range("per_hour", self.per_hour, domain.PER_HOUR)
        if self.two_step_seconds is not None:
            _check_range("two_step_seconds", self.two_step_seconds, domain.TWO_STEP_SECONDS)
        if self.tcp_established_seconds is not None:
            _check_range("tcp_established_seconds", self.tcp_established_seconds, domain.TCP_ESTABLISHED_SECONDS)
        if self.decrement_desired_capacity and not self.standby:
            raise RuleViolation("decrement_desired_capacity goes with standby")

    def settings(self, groups: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
        """Return what the functions are told of it, without what is as they take it to be: their environment is small.

        Args:
            groups: of each VPC in scope: `quarantine`, and `untrack` for the first of two steps.
        """
        return {
            "modes": list(dict.fromkeys(self.modes)),
            "groups": {vpc_id: dict(pair) for vpc_id, pair in groups.items()},
            **{name: value for name, value in self._told().items() if value != _USUAL[name]},
        }

    def _told(self) -> dict[str, Any]:
        return {
            "approval": {"minutes": self.approval_minutes, "default": self.without_answer},
            "protect": {
                "tags": dict(self.protected_tags),
                **({"instance_ids": list(ids)} if (ids := self.protected_instance_ids) else {}),
            },
            "per_hour": self.per_hour,
            "two_step": {"enabled": True, "seconds": self.two_step_seconds} if self.two_step_seconds else {},
            "tcp_established_seconds": self.tcp_established_seconds,
            "auto_scaling": {
                "standby": self.standby,
                "decrement_desired_capacity": self.decrement_desired_capacity,
            },
            "load_balancers": {"deregister": self.deregister},
            "termination_protection": self.termination_protection,
            "shutdown_behavior": self.shutdown_behavior,
            "keep_volumes": self.keep_volumes,
            "snapshots": self.snapshots,
            "instance_profile": "restrict" if self.restrict_instance_profile else None,
        }


def _check_range(what: str, value: int, allowed: tuple[int, int]) -> None:
    low, high = allowed
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RuleViolation(f"{what} must be a whole number from {low} to {high}, got {value!r}")


_USUAL: Final = Containment()._told()
