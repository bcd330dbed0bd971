"""The settings of containment, each with its default and its range; and what a policy action means for it.

The deployment file validates into them, the construct writes them, the functions read them.

Sources: Amazon EC2 User Guide, "Amazon EC2 security group connection tracking" (the idle timeout of
established TCP connections: 60 to 432000 seconds); AWS Step Functions Developer Guide, "Wait" states.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final, Literal, get_args

from tapstack.domain.arguments import check_fields, check_range
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.renamed import names_old_arguments
from tapstack.domain.tags import check_sought_tag_key, check_tag_value
from tapstack.domain.tokens import is_token

Mode = Literal["approval", "now"]
"""With approval first, or without."""
Requested = Literal["none", "approval", "now"]
"""The containment that a request to open an incident may ask for."""
ApprovalDefault = Literal["leave", "contain"]
ContainmentState = Literal[
    "pending", "containing", "contained", "releasing", "released", "rejected", "failed", "blocked"
]
"""`pending` waits for approval; `blocked` is a release that would overwrite what others changed."""
OperatorDecision = Literal["approved", "overridden", "rejected"]
"""`overridden`: approved without another person, by a caller with the right to override."""
Decision = OperatorDecision | Literal["default"]
"""`default`: there was no answer before the deadline."""

MODES: Final[tuple[Mode, ...]] = get_args(Mode)
REQUESTED: Final[tuple[Requested, ...]] = get_args(Requested)
STATES: Final[tuple[ContainmentState, ...]] = get_args(ContainmentState)
DECISIONS: Final[tuple[Decision, ...]] = (*get_args(OperatorDecision), "default")

APPROVAL_MINUTES: Final = (1, 1440)
ROLE_NAME: Final = r"[A-Za-z0-9_+=,.@-]+"
ROLE_NAME_LENGTH: Final = (1, 64)
"""IAM User Guide, "IAM and AWS STS quotas": a role's name, without its path."""
PER_HOUR: Final = (1, 1000)
WAIT_FOR_PACKETS_SECONDS: Final = (60, 3600)
TWO_STEP_SECONDS: Final = (1, 3600)
TCP_ESTABLISHED_SECONDS: Final = (60, 432_000)
FURTHER_VPCS: Final = 9
PROTECTED_INSTANCES: Final = 80
PROTECTED_TAGS: Final = 25
SOURCE_IDENTITY_ROLES: Final = 10
"""These four are in the functions' environment, which holds 4 KB, and in the inline policy of a role, which holds
10,240 characters (IAM User Guide, "IAM and AWS STS quotas")."""


@dataclass(frozen=True, slots=True)
class Approval:
    """How long a pending containment may be approved or rejected, and what happens without an answer.

    Attributes:
        minutes: How long a containment stays pending, 1 to 1440.
        default: What happens without an answer: `leave` the instance connected, or `contain` it.
        other_person: Whoever requested a containment may not approve it. On by default.
        source_identity_roles: Names of roles whose sessions IAM lets call the API only where their name is their
            source identity; at most 10. The sessions of every other role count as one person.
    """

    minutes: int = 15
    default: ApprovalDefault = "leave"
    other_person: bool = True
    source_identity_roles: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check what can be checked before AWS is asked."""
        check_fields(self)
        check_range("approval.minutes", self.minutes, APPROVAL_MINUTES)
        roles = self.source_identity_roles
        if len(roles) > SOURCE_IDENTITY_ROLES:
            raise RuleViolation(
                f"approval.source_identity_roles has at most {SOURCE_IDENTITY_ROLES} names, got {len(roles)}"
            )
        for name in roles:
            if not is_token(name) and not (re.fullmatch(ROLE_NAME, name) and len(name) <= ROLE_NAME_LENGTH[1]):
                raise RuleViolation(
                    f"approval.source_identity_roles: {name!r} is not the name of a role: expected 1 to 64 letters, "
                    "digits and _+=,.@-, without path and ARN"
                )
        if pair := same_names(roles):
            raise RuleViolation(
                f"approval.source_identity_roles has {pair[0]} and {pair[1]}, which IAM takes for one name: keep one"
            )
        if roles and not self.other_person:
            raise RuleViolation("approval.source_identity_roles has no effect without other_person true")


def same_names(roles: Sequence[str]) -> tuple[str, str] | None:
    """Return the first two names of roles that IAM takes for one; None where all are different.

    Source: IAM User Guide, "IAM and AWS STS quotas": names of roles are unique without regard to case.
    """
    first: dict[str, str] = {}
    for name in roles:
        if is_token(name):
            continue
        if (before := first.get(name.casefold())) is not None:
            return before, name
        first[name.casefold()] = name
    return None


def why_no_source_identities(roles: Sequence[str], *, tokens: bool) -> str | None:
    """Return why the roles whose sessions have source identities are given in vain; None where they are not.

    Args:
        roles: their names.
        tokens: callers of the API have tokens, and no AWS credentials.
    """
    if roles and tokens:
        return "has no effect with authorization.jwt: a token names its person by issuer and subject"
    return None


@dataclass(frozen=True, slots=True)
class Protect:
    """What is not contained, besides the appliance.

    Attributes:
        tags: An instance that has one of these tags is contained only where two persons override that; `*` in a
            value stands for any text. At most 25.
        instance_ids: Instances that are never contained; at most 80, so protect more by a tag.
    """

    tags: Mapping[str, str] = field(default_factory=lambda: {"tapstack-protected": "*"})
    instance_ids: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check what can be checked before AWS is asked."""
        check_fields(self)
        if len(self.tags) > PROTECTED_TAGS:
            raise RuleViolation(f"at most {PROTECTED_TAGS} tags can protect instances, got {len(self.tags)}")
        if len(self.instance_ids) > PROTECTED_INSTANCES:
            raise RuleViolation(
                f"at most {PROTECTED_INSTANCES} instances can be protected by their ids, got {len(self.instance_ids)}: "
                "protect them by a tag"
            )
        for key, value in self.tags.items():
            check_sought_tag_key(key)
            check_tag_value(value)
        for instance_id in self.instance_ids:
            check_identifier("instance", instance_id)


@dataclass(frozen=True, slots=True)
class TwoStep:
    """First an all-open group, then the quarantine group.

    Also ends connections that are tracked only because of security group rules. Those through a NAT gateway and the
    like continue.

    Attributes:
        enabled: First an all-open security group, then the quarantine group. The instance is open to all traffic in
            between.
        seconds: How long the instance has the all-open group, 1 to 3600.
    """

    enabled: bool = False
    seconds: int = 60

    def __post_init__(self) -> None:
        """Check what can be checked before AWS is asked."""
        check_fields(self)
        check_range("two_step.seconds", self.seconds, TWO_STEP_SECONDS)


@dataclass(frozen=True, slots=True)
class AutoScaling:
    """Auto Scaling groups, which terminate and replace unhealthy instances.

    Attributes:
        standby: Put contained instances into standby, so that their group does not terminate them as unhealthy. By
            default the group launches a replacement.
        decrement_desired_capacity: Lower the desired capacity by one for each of them, so that the group launches no
            replacement, unless it is at its minimum.
    """

    standby: bool = True
    decrement_desired_capacity: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked before AWS is asked."""
        check_fields(self)
        if self.decrement_desired_capacity and not self.standby:
            raise RuleViolation("decrement_desired_capacity needs standby true, got false")


@dataclass(frozen=True, slots=True)
class LoadBalancers:
    """Load balancers that the instance is a target of.

    Attributes:
        deregister: Deregister contained instances, and register them again at release.
    """

    deregister: bool = True

    def __post_init__(self) -> None:
        """Check what can be checked before AWS is asked."""
        check_fields(self)


@dataclass(frozen=True, slots=True)
class WaitForPackets:
    """A containment waits until packets are seen, so that what the attacker sends is captured before it stops.

    Attributes:
        at_most_seconds: How long it waits at most, counted from the decision to contain, 60 to 3600.

    CloudWatch counts mirrored packets one to five minutes late, and the first start of a launched appliance takes up
    to ten minutes.
    """

    at_most_seconds: int = 900

    def __post_init__(self) -> None:
        """Check what can be checked before AWS is asked."""
        check_fields(self)
        check_range("wait_for_packets.at_most_seconds", self.at_most_seconds, WAIT_FOR_PACKETS_SECONDS)


@names_old_arguments
@dataclass(frozen=True, slots=True)
class ContainmentSettings:
    """How an instance is isolated, and how evidence is protected. A release restores all of it.

    Attributes:
        modes: `approval`: only after a responder approved; `now`: at once. Only `approval` by default.
        approval: How long approval may take, and what happens without an answer.
        protect: What is never contained.
        vpc_ids: VPCs of the account and Region that are in scope besides the site's; at most 9.
        per_hour: How many instances the policy may contain in a clock hour, and how many responders may besides, 1 to
            1000; more are refused, with a notification.
        wait_for_packets: Wait with containing until packets of the instance are seen, at most so long; an attacker
            stays connected meanwhile. Not by default.
        two_step: Also end connections that are tracked only because of security group rules; those through a NAT
            gateway and the like continue.
        tcp_established_seconds: How long an idle TCP connection stays tracked while contained, 60 to 432000; on
            instances of the Nitro System only. Unchanged by default.
        auto_scaling: What is done about Auto Scaling groups.
        load_balancers: What is done about load balancers.
        termination_protection: Protect the instance from termination; a Spot Instance cannot be.
        stop_on_shutdown: Stop the instance on shutdown, in place of terminating it.
        keep_volumes: Keep the volumes on termination.
        snapshots: Take snapshots of the volumes; they stay.
        instance_profile: `restrict` denies every call that this instance makes with its role; unchanged by default.

    Raises:
        RuleViolation: any of these is of the wrong form or out of range.

    See the runbook AWSSupport-ContainEC2Instance, and "Security group connection tracking" in the Amazon EC2 User
    Guide.
    """

    modes: Sequence[Mode] = ("approval",)
    approval: Approval = Approval()
    protect: Protect = field(default_factory=Protect)
    vpc_ids: Sequence[str] = ()
    per_hour: int = 5
    wait_for_packets: WaitForPackets | None = None
    two_step: TwoStep = TwoStep()
    tcp_established_seconds: int | None = None
    auto_scaling: AutoScaling = AutoScaling()
    load_balancers: LoadBalancers = LoadBalancers()
    termination_protection: bool = True
    stop_on_shutdown: bool = True
    keep_volumes: bool = True
    snapshots: bool = False
    instance_profile: Literal["restrict"] | None = None

    def __post_init__(self) -> None:
        """Check what can be checked before AWS is asked."""
        check_fields(self)
        if not self.modes:
            raise RuleViolation(f"modes is empty: expected one or both of {', '.join(MODES)}")
        for vpc_id in self.vpc_ids:
            check_identifier("vpc", vpc_id)
        if len(self.vpc_ids) > FURTHER_VPCS:
            raise RuleViolation(f"at most {FURTHER_VPCS} further VPCs can be in scope, got {len(self.vpc_ids)}")
        for name, values in (("modes", self.modes), ("vpc_ids", self.vpc_ids)):
            if twice := [value for position, value in enumerate(values) if value in values[:position]]:
                raise RuleViolation(f"{name} has {twice[0]} twice: keep one")
        check_range("per_hour", self.per_hour, PER_HOUR)
        if self.tcp_established_seconds is not None:
            check_range("tcp_established_seconds", self.tcp_established_seconds, TCP_ESTABLISHED_SECONDS)


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
class DeployedContainment(ContainmentSettings):
    """How instances are contained where it is deployed.

    Attributes:
        groups: the security groups of each VPC in scope, by its id.
    """

    groups: Mapping[str, QuarantineGroups] = field(default_factory=dict)

    @staticmethod
    def of(settings: ContainmentSettings, groups: Mapping[str, QuarantineGroups]) -> DeployedContainment:
        """Return settings with the groups that were deployed for them, which name the VPCs in scope."""
        given = {each.name: getattr(settings, each.name) for each in fields(settings) if each.name != "vpc_ids"}
        return DeployedContainment(**given, groups=groups)


def planned_changes(settings: ContainmentSettings) -> list[str]:
    """Return in words what these settings change where it applies, in the order of containment's steps, a line each."""
    evidence = {
        "stop on shutdown": settings.stop_on_shutdown,
        "keep volumes on termination": settings.keep_volumes,
        "protect from termination": settings.termination_protection,
        "standby in its Auto Scaling group": settings.auto_scaling.standby,
    }
    first = f"first an all-open one for {settings.two_step.seconds} s, then " if settings.two_step.enabled else ""
    after = {
        "deny calls with credentials of its role": settings.instance_profile == "restrict",
        "deregister from load balancers": settings.load_balancers.deregister,
        "shorten the tracking of idle connections": settings.tcp_established_seconds is not None,
        "take snapshots of its volumes": settings.snapshots,
    }
    steps = [
        ("to preserve evidence", ", ".join(words for words, wanted in evidence.items() if wanted)),
        ("to isolate it", f"each network interface in scope gets {first}the quarantine security group alone"),
        ("after that", ", ".join(words for words, wanted in after.items() if wanted)),
    ]
    done = [f"{why}: {what}" for why, what in steps if what]
    return [f"{number}. {line}" for number, line in enumerate(done, 1)]


MODE_OF_ACTION: Final[dict[str, Mode]] = {"contain_on_approval": "approval", "contain_now": "now"}
"""The mode that an action of the policy contains in; both capture as well."""


def check_action(action: str, modes: tuple[str, ...] | None) -> None:
    """Refuse an action of the policy that the deployment's containment does not allow.

    Args:
        action: of a rule.
        modes: that are allowed; None where containment is not configured.
    """
    mode = MODE_OF_ACTION.get(action)
    if mode is None or mode in (modes or ()):
        return
    if modes is None:
        raise RuleViolation(f"{action} needs containment, which is not configured here")
    raise RuleViolation(f"{action} needs the mode {mode}: containment.modes has {', '.join(modes)}")


def contain_command(incident_id: str, mode: Mode) -> str:
    """Return the command that contains the instance of an incident, now or on approval."""
    return f"tapstack incident contain {incident_id} --mode {mode}"


def override_command(incident_id: str) -> str:
    """Return the command that approves a containment without another person."""
    return f'tapstack incident override {incident_id} --reason "no other person is available"'


def check_groups_command(instance_id: str, region: str) -> str:
    """Return the command that shows which security groups the network interfaces of an instance have now."""
    return (
        f"aws ec2 describe-network-interfaces --region {region} "
        f"--filters Name=attachment.instance-id,Values={instance_id} "
        "--query 'NetworkInterfaces[].[NetworkInterfaceId, Groups[].[GroupId, GroupName]]' --output json"
    )


def undo_containment_command(incident_id: str) -> str:
    """Return the command that restores what a containment changed."""
    return f"tapstack incident release {incident_id}"
