"""What a function is told by its environment, read once a cold start."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Capture:
    """How packets are captured.

    Attributes:
        minutes: when a request names no time.
        max_minutes: that a request may name.
        packet_length: bytes kept of each packet after the VXLAN header; whole packets when None.
        virtual_network_id: VXLAN network identifier; chosen by AWS when None.
        accept_unsupported_instance_types: sources are not checked against AWS's list.
    """

    minutes: int
    max_minutes: int
    packet_length: int | None = None
    virtual_network_id: int | None = None
    accept_unsupported_instance_types: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """An appliance that is always there.

    Attributes:
        target_id: traffic mirror target.
        filter_id: traffic mirror filter.
        portal_url: where packets are looked at; none where nobody said.
        target_interface_id: the interface behind the target; none for load balancers, or where unknown.
        max_sources: distinct sources the target takes; no limit when None.
    """

    target_id: str
    filter_id: str
    portal_url: str | None = None
    target_interface_id: str | None = None
    max_sources: int | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """An appliance that is made when the first incident needs it.

    Attributes:
        stack_name: of the CloudFormation stack.
        template_url: of the product's template.
        role_arn: the service role that CloudFormation makes it with; the caller's own rights when None.
        parameters: of the template, apart from the source and its session number.
        capabilities: that CloudFormation is told to accept.
        timeout_minutes: after which CloudFormation gives up.
        retire_after_minutes: without an incident; kept for ever when None.
    """

    stack_name: str
    template_url: str
    role_arn: str | None
    parameters: Mapping[str, str]
    capabilities: tuple[str, ...]
    timeout_minutes: int
    retire_after_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """What happens while nobody has said yes or no.

    Attributes:
        minutes: how long people are waited for.
        default: what happens then: `contain` or `leave`.
    """

    minutes: int = 15
    default: str = "leave"


@dataclass(frozen=True, slots=True)
class Protect:
    """What is never contained.

    Attributes:
        tags: an instance with one of these is refused; `*` in a value stands for any text.
        instance_ids: instances that are refused.
    """

    tags: Mapping[str, str] = field(default_factory=lambda: {"tapstack-protected": "*"})
    instance_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TwoStep:
    """An all-open group first, so that connections are no longer tracked, and the quarantine group then.

    Attributes:
        enabled: whether.
        seconds: between the two.
    """

    enabled: bool = False
    seconds: int = 60


@dataclass(frozen=True, slots=True)
class AutoScaling:
    """What becomes of instances of an Auto Scaling group.

    Attributes:
        standby: they go into standby, so that nobody replaces and terminates them.
        decrement_desired_capacity: the group does not launch another one in their place.
    """

    standby: bool = True
    decrement_desired_capacity: bool = False


@dataclass(frozen=True, slots=True)
class LoadBalancers:
    """What becomes of targets of load balancers.

    Attributes:
        deregister: they are taken out, and registered again at release.
    """

    deregister: bool = True


@dataclass(frozen=True, slots=True)
class QuarantineGroups:
    """The security groups of a VPC that contain.

    Attributes:
        quarantine: has no rules at all.
        untrack: open both ways, for the first of two steps; none where there is one step.
    """

    quarantine: str
    untrack: str | None = None


@dataclass(frozen=True, slots=True)
class Containment:
    """How instances are cut off.

    Attributes:
        modes: that are allowed: `approval`, `now`.
        groups: the groups of each VPC in scope, by its id.
        approval: what happens while nobody has decided.
        protect: what is never contained.
        per_hour: how many instances are contained in an hour at most.
        two_step: whether tracked connections are untracked first.
        tcp_established_seconds: how long idle TCP connections stay tracked while contained; as it is when None.
        auto_scaling: what becomes of instances of an Auto Scaling group.
        load_balancers: what becomes of targets of load balancers.
        termination_protection: switch it on.
        shutdown_behavior: an instance that shuts itself down is stopped, not terminated.
        keep_volumes: volumes outlive the instance.
        snapshots: take some of the volumes.
        instance_profile: `restrict` denies the role what this one instance asks for; left alone when None.
    """

    modes: tuple[str, ...]
    groups: Mapping[str, QuarantineGroups]
    approval: Approval = Approval()
    protect: Protect = field(default_factory=Protect)
    per_hour: int = 5
    two_step: TwoStep = TwoStep()
    tcp_established_seconds: int | None = None
    auto_scaling: AutoScaling = AutoScaling()
    load_balancers: LoadBalancers = LoadBalancers()
    termination_protection: bool = True
    shutdown_behavior: bool = True
    keep_volumes: bool = True
    snapshots: bool = False
    instance_profile: str | None = None

    @property
    def vpc_ids(self) -> tuple[str, ...]:
        """The VPCs in scope."""
        return tuple(self.groups)


@dataclass(frozen=True, slots=True)
class Environment:
    """All that a function is told.

    Attributes:
        deployment: name of the deployment, a tag of whatever is made.
        site: name of the site, the other tag.
        table: DynamoDB table.
        state_machine_arn: of the workflow.
        topic_arns: SNS topics that people listen to.
        event_bus: EventBridge bus that programs listen to.
        vpc_id: of the site.
        capture: how packets are captured.
        appliance: what receives them.
        retention_days: how long a closed incident is kept.
        containment: how instances are cut off; they are not when None.
        policy: what is done about findings, as JSON.
    """

    deployment: str
    site: str
    table: str
    state_machine_arn: str
    topic_arns: tuple[str, ...]
    event_bus: str
    vpc_id: str
    capture: Capture
    appliance: Standing | Launch
    retention_days: int
    containment: Containment | None = None
    policy: str = field(default="[]", repr=False)


def read_environment(variables: Mapping[str, str]) -> Environment:
    """Read the variables that the stack sets.

    Raises:
        KeyError: one is missing.
        ValueError: TAPSTACK_SETTINGS is no JSON.
        TypeError: a setting is missing, or not known here.
    """
    settings = json.loads(variables["TAPSTACK_SETTINGS"])
    return Environment(
        deployment=variables["TAPSTACK_DEPLOYMENT"],
        site=variables["TAPSTACK_SITE"],
        table=variables["TAPSTACK_TABLE"],
        # A state machine names its functions, so those cannot all name it.
        state_machine_arn=variables.get("TAPSTACK_STATE_MACHINE_ARN", ""),
        topic_arns=tuple(filter(None, variables.get("TAPSTACK_TOPIC_ARN", "").split(","))),
        event_bus=variables.get("TAPSTACK_EVENT_BUS", "default"),
        vpc_id=settings["vpc_id"],
        capture=Capture(**settings["capture"]),
        appliance=_appliance(settings["appliance"]),
        retention_days=int(settings["retention_days"]),
        containment=_containment(settings.get("containment")),
        policy=variables.get("TAPSTACK_POLICY", "[]"),
    )


def _containment(settings: Mapping[str, Any] | None) -> Containment | None:
    """Read how instances are cut off; what is not said is as the dataclasses have it."""
    if settings is None:
        return None
    parts: dict[str, Any] = {
        "modes": tuple(settings["modes"]),
        "groups": {vpc_id: QuarantineGroups(**groups) for vpc_id, groups in settings["groups"].items()},
    }
    if "protect" in settings:
        protect = dict(settings["protect"])
        parts["protect"] = Protect(**{**protect, "instance_ids": tuple(protect.get("instance_ids", ()))})
    for name, kind in _PARTS.items():
        if name in settings:
            parts[name] = kind(**settings[name])
    return Containment(**{**settings, **parts})


_PARTS: Final[Mapping[str, type[Any]]] = {
    "approval": Approval,
    "two_step": TwoStep,
    "auto_scaling": AutoScaling,
    "load_balancers": LoadBalancers,
}


def _appliance(settings: Mapping[str, Any]) -> Standing | Launch:
    if "standing" in settings:
        return Standing(**settings["standing"])
    launch = settings["launch"]
    # CloudFormation takes texts; JSON may have numbers and truth values.
    parameters = {key: _text(value) for key, value in launch["parameters"].items()}
    return Launch(**{**launch, "parameters": parameters, "capabilities": tuple(launch["capabilities"])})


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@functools.cache
def environment() -> Environment:
    """Return what this function was told."""
    return read_environment(os.environ)
