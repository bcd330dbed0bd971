"""What cutting an instance off would change, and when it is refused: from facts and settings to a plan.

Nothing here calls AWS. A plan names every change with what is there now, because that is written down before
anything is changed.

Sources: Amazon EC2 User Guide, "Amazon EC2 security groups" (a group belongs to one VPC) and "Security group
connection tracking"; Auto Scaling User Guide, "Temporarily remove instances"; AWS Systems Manager Automation
runbook reference, AWSSupport-ContainEC2Instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

from tapstack.domain.containment_settings import DeployedContainment
from tapstack.domain.globs import matches

Kind = Literal[
    "shutdown",
    "volume",
    "termination",
    "standby",
    "groups",
    "tracking",
    "profile",
    "target-group",
    "classic-balancer",
    "snapshots",
]
"""In the order in which an instance is cut off: what keeps the evidence, what keeps others from replacing the
instance, the cut itself, and what is slower or only tidies up."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NAMES: Final[Mapping[str, str]] = {
    "shutdown": "shutdown behavior",
    "volume": "delete on termination",
    "termination": "termination protection",
    "standby": "Auto Scaling state",
    "groups": "security groups",
    "tracking": "tracked TCP timeout",
    "profile": "permissions",
    "target-group": "registration in the target group",
    "classic-balancer": "registration in the load balancer",
}
"""What EC2's console and API call what is changed, where the kind alone says something else."""
_TARGET_GROUP: Final = ":targetgroup/"
GONE_STATES: Final = frozenset({"terminated", "shutting-down"})
REGISTERED: Final = "registered"
DEREGISTERED: Final = "deregistered"
IN_SERVICE: Final = "InService"
STANDBY: Final = "Standby"
ENTERING_STANDBY: Final = "EnteringStandby"
ALLOWED: Final = "allowed"
DENIED: Final = "denied"
OTHER_POLICY: Final = "another policy of that name"

Value = Any
"""As JSON has it: a text, a number, a truth value, None, or a list of texts."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of the instance.

    Attributes:
        id: its id.
        vpc_id: where it lies; an instance may have interfaces in several VPCs.
        group_ids: its security groups, in AWS's order.
        tcp_established_seconds: how long idle TCP connections stay tracked, where that was set.
        requester_managed: an AWS service made it, and nobody else may change it.
        addresses: its private addresses, IPv4 and IPv6.
    """

    id: str
    vpc_id: str
    group_ids: tuple[str, ...]
    tcp_established_seconds: int | None = None
    requester_managed: bool = False
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of the instance.

    Attributes:
        device: such as /dev/xvda.
        volume_id: which.
        delete_on_termination: whether it ends with the instance.
    """

    device: str
    volume_id: str
    delete_on_termination: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """The instance's place in an Auto Scaling group.

    Attributes:
        group: the group's name.
        lifecycle_state: such as InService.
        desired: capacity that the group has.
        minimum: below which the group does not go.
        target_group_arns: that the group registers its instances in, and takes them out of in standby.
    """

    group: str
    lifecycle_state: str
    desired: int
    minimum: int
    target_group_arns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Registration:
    """The instance, or an address of it, as a target.

    Attributes:
        target_group_arn: where.
        target_id: instance id or address.
        port: of the target.
        zone: Availability Zone, where one was given.
    """

    target_group_arn: str
    target_id: str
    port: int
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an instance.

    Attributes:
        instance_id: which.
        state: AWS's word, such as running.
        vpc_id: where its primary interface lies.
        interfaces: all of them, the primary one first.
        arn: of the instance.
        tags: of the instance.
        volumes: EBS volumes.
        termination_protection: whether it may not be terminated by the API.
        shutdown_behavior: stop or terminate, when it shuts itself down.
        membership: in an Auto Scaling group, if any.
        registrations: as a target; empty where nobody has looked.
        classic_balancers: names of those that it is registered with.
        role: name of the role of its instance profile.
        role_access: what that role has for this instance: ALLOWED, DENIED by containment, or OTHER_POLICY.
        is_mirror_target: it receives mirrored packets: the appliance.
        spot: it is a Spot Instance, which AWS protects from no termination.
    """

    instance_id: str
    state: str
    vpc_id: str
    interfaces: tuple[Interface, ...]
    arn: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    termination_protection: bool = False
    shutdown_behavior: str = "stop"
    membership: Membership | None = None
    registrations: tuple[Registration, ...] = ()
    classic_balancers: tuple[str, ...] = ()
    role: str | None = None
    role_access: str = ALLOWED
    is_mirror_target: bool = False
    spot: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is changed.

    Attributes:
        what: the kind.
        key: the thing: an interface, a device, a target.
        before: what is there now, and comes back at release.
        after: what containment puts there.
        interim: what it puts there between two steps; None where nothing.
        detail: what else is needed to change it and to put it back.
        in_another: another change of the plan brings it about as well, and is what a plan shows.
    """

    what: Kind
    key: str
    before: Value
    after: Value
    interim: Value = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    in_another: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {"what": self.what, "key": self.key, "from": self.before, "to": self.after}

    def __str__(self) -> str:
        """Return it as text."""
        return f"{change_name(self.what, self.key)}: {text_of(self.before)} -> {text_of(self.after)}"


@dataclass(frozen=True, slots=True)
class PriorState:
    """What was there before containment changed it, as it is written down.

    Attributes:
        kind: what kind of thing.
        key: the thing.
        before: what was there.
        after: what containment put there.
        interim: what it put there between two steps; None where nothing.
        detail: what else is needed to put it back.
        generation: of the containment it belongs to.
        restored: it is back, or was given up.
        lately: that was a moment ago, and AWS may still show what was there before.
        note: what is to be said about that; empty where it is back exactly.
    """

    kind: Kind
    key: str
    before: Value
    after: Value
    interim: Value = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    generation: int = 0
    restored: bool = False
    lately: bool = False
    note: str = ""

    def __str__(self) -> str:
        """Return what containment changed, as text."""
        return f"{change_name(self.kind, self.key)}: {text_of(self.before)} -> {text_of(self.after)}"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is neither as it was nor as containment left it, or that is not there any more.

    Attributes:
        what: the kind.
        key: the thing.
        before: what was there before; None where nothing was written down.
        after: what containment put there.
        now: what is there now; None where it is gone.
        why: in words.
        blocks: an operator has to decide before it is released.
        advice: what to do where overwriting restores nothing; empty where it does.
    """

    what: Kind
    key: str
    before: Value
    after: Value
    now: Value
    why: str
    blocks: bool = True
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "what": self.what,
            "key": self.key,
            "original": self.before,
            "ours": self.after,
            "now": self.now,
            "why": self.why,
            "blocks": self.blocks,
            "advice": self.advice,
        }

    def __str__(self) -> str:
        """Return it as a line of text."""
        return f"{change_name(self.what, self.key)}: {self.why}" + (f". {self.advice}" if self.advice else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done about an instance.

    Attributes:
        instance_id: which.
        changes: in the order in which they are made.
        refused: why nothing is done; None when it is done.
        differences: of a release: what stands against it, or is only said.
        warnings: of a containment: what it does not reach.
    """

    instance_id: str
    changes: tuple[Change, ...] = ()
    refused: str | None = None
    differences: tuple[Difference, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def blocked(self) -> bool:
        """Whether somebody has to decide first."""
        return any(difference.blocks for difference in self.differences)

    def as_dict(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "instance_id": self.instance_id,
            "changes": [change.as_dict() for change in self.changes if not change.in_another],
            "refused": self.refused,
            "differences": [difference.as_dict() for difference in self.differences],
            "warnings": list(self.warnings),
        }


def plan_containment(facts: Facts, settings: DeployedContainment, recorded: Iterable[PriorState] = ()) -> Plan:
    """Say what cutting an instance off would change.

    What is changed already is no change any more: a plan made during containment names what came since.

    Args:
        facts: about the instance.
        settings: of the deployment.
        recorded: what the table remembers of this instance, from earlier containments too.
    """
    known = {(one.kind, one.key): one for one in recorded}
    refused = refusal(facts, settings, known.values())
    if refused is not None:
        return Plan(facts.instance_id, refused=refused)
    changes = [_with_prior_state(change, known) for change in _wanted(facts, settings)]
    ordered = sorted(
        (change for change in changes if change is not None), key=lambda c: (KINDS.index(c.what), _position(c, facts))
    )
    return Plan(facts.instance_id, tuple(ordered), warnings=tuple(_warnings(facts, settings)))


def refusal(facts: Facts, settings: DeployedContainment, recorded: Iterable[PriorState] = ()) -> str | None:
    """Say why an instance must not, or cannot, be cut off; None when nothing stands against it."""
    instance = facts.instance_id
    if facts.state in GONE_STATES:
        return f"instance {instance} is {facts.state}: it cannot be contained"
    if facts.is_mirror_target:
        return f"instance {instance} is a mirror target: isolating it would end captures"
    if instance in settings.protect.instance_ids:
        return f"instance {instance} is protected by the deployment's settings"
    for key, pattern in sorted(settings.protect.tags.items()):
        for tag, value in sorted(facts.tags.items()):
            # In any case, as the conditions of IAM take a tag's key: it would refuse what is planned here.
            if tag.casefold() == key.casefold() and matches(pattern, value):
                return f"instance {instance} is protected by its tag {tag}={value}"
    for vpc_id in dict.fromkeys((facts.vpc_id, *(interface.vpc_id for interface in facts.interfaces))):
        if vpc_id not in settings.groups:
            return f"instance {instance} has an interface in {vpc_id}, which is not in the scope of this deployment"
    changeable = [interface for interface in facts.interfaces if not interface.requester_managed]
    if not changeable:
        return f"instance {instance} has no network interface whose security groups could be changed"
    mine = {one.key for one in recorded if one.kind == "groups" and (not one.restored or one.lately)}
    if all(_is_isolated(interface, settings) and interface.id not in mine for interface in changeable):
        return (
            f"all interfaces of instance {instance} are in the quarantine group already, and no prior state is "
            "recorded: it was done outside Tapstack"
        )
    return None


def _is_isolated(interface: Interface, settings: DeployedContainment) -> bool:
    return interface.group_ids == (settings.groups[interface.vpc_id].quarantine,)


def _wanted(facts: Facts, settings: DeployedContainment) -> Iterator[Change]:
    """Yield what shall be there, whether it is there already or not."""
    instance = facts.instance_id
    if settings.stop_on_shutdown:
        yield Change("shutdown", instance, facts.shutdown_behavior, "stop")
    if settings.keep_volumes:
        for volume in facts.volumes:
            detail = {"volume_id": volume.volume_id}
            yield Change("volume", volume.device, volume.delete_on_termination, False, detail=detail)
    if settings.termination_protection and not facts.spot:
        yield Change("termination", instance, facts.termination_protection, True)
    if settings.auto_scaling.standby and (member := facts.membership) is not None:
        yield from _standby(member, settings)
    for interface in facts.interfaces:
        if not interface.requester_managed:
            yield from _isolate(interface, settings)
    if settings.instance_profile == "restrict" and facts.role is not None and facts.role_access != OTHER_POLICY:
        yield Change("profile", facts.role, facts.role_access, DENIED, detail={"instance_arn": facts.arn})
    if settings.load_balancers.deregister:
        for target in facts.registrations:
            key = f"{target.target_group_arn} {target.target_id}:{target.port}"
            covered = _goes_with_standby(target, facts, settings)
            yield Change("target-group", key, REGISTERED, DEREGISTERED, detail=_as_detail(target), in_another=covered)
        for name in facts.classic_balancers:
            yield Change("classic-balancer", name, REGISTERED, DEREGISTERED)
    if settings.snapshots:
        yield Change("snapshots", instance, None, "taken", detail={"volumes": [v.volume_id for v in facts.volumes]})


def _standby(member: Membership, settings: DeployedContainment) -> Iterator[Change]:
    if member.lifecycle_state in (IN_SERVICE, STANDBY, ENTERING_STANDBY):
        # AWS refuses to go below the minimum: then the group launches another instance.
        decrement = settings.auto_scaling.decrement_desired_capacity and member.desired > member.minimum
        now = IN_SERVICE if member.lifecycle_state == IN_SERVICE else STANDBY
        detail = {"decrement": decrement, "desired": member.desired}
        yield Change("standby", member.group, now, STANDBY, detail=detail)


def _goes_with_standby(target: Registration, facts: Facts, settings: DeployedContainment) -> bool:
    """Tell whether the Auto Scaling group takes the instance out of the target group when it goes into standby."""
    member = facts.membership
    return (
        member is not None
        and settings.auto_scaling.standby
        and member.lifecycle_state == IN_SERVICE
        and target.target_group_arn in member.target_group_arns
        and target.target_id == facts.instance_id
    )


def _isolate(interface: Interface, settings: DeployedContainment) -> Iterator[Change]:
    groups = settings.groups[interface.vpc_id]
    interim = [groups.untrack] if settings.two_step.enabled and groups.untrack else None
    yield Change("groups", interface.id, list(interface.group_ids), [groups.quarantine], interim)
    if (seconds := settings.tcp_established_seconds) is not None:
        yield Change("tracking", interface.id, interface.tcp_established_seconds, seconds)


def _as_detail(target: Registration) -> dict[str, Any]:
    return {"arn": target.target_group_arn, "id": target.target_id, "port": target.port, "zone": target.zone}


def _with_prior_state(change: Change, known: Mapping[tuple[Kind, str], PriorState]) -> Change | None:
    """Return the change with what was there before containment; None where nothing is left to change."""
    remembered = known.get((change.what, change.key))
    if change.what == "snapshots" and remembered is not None and not remembered.restored:
        # Nobody looks for them: what is written down is taken, or about to be.
        return None
    if not set_by_containment(change.before, change.after, change.interim):
        return change
    if remembered is None or (remembered.restored and not remembered.lately):
        # It has always been so: nothing to change, and nothing to put back.
        return None if change.before == change.after else change
    if not remembered.restored and change.before == change.after:
        return None
    # EC2 may still show what was released just now. What the table remembers was there in truth.
    return replace(change, before=remembered.before, detail=remembered.detail)


def set_by_containment(now: Value, after: Value, interim: Value) -> bool:
    """Tell whether what is there is what containment puts there, in the end or for a moment."""
    return bool(now == after or (interim is not None and now == interim))


def _position(change: Change, facts: Facts) -> tuple[int, str]:
    order = [interface.id for interface in facts.interfaces]
    return (order.index(change.key) if change.key in order else len(order), change.key)


def _warnings(facts: Facts, settings: DeployedContainment) -> Iterator[str]:
    for interface in facts.interfaces:
        if interface.requester_managed:
            yield f"{interface.id} is managed by an AWS service, and stays connected"
    if settings.termination_protection and facts.spot:
        yield "a Spot Instance cannot be protected from termination"
    if settings.instance_profile == "restrict" and facts.role_access == OTHER_POLICY:
        yield (
            f"the role {facts.role} is not restricted: it has {OTHER_POLICY} as the restriction of "
            f"{facts.instance_id} would have"
        )
    member = facts.membership
    if member is None:
        return
    if not settings.auto_scaling.standby:
        yield f"it stays in service in the Auto Scaling group {member.group}, which may replace and terminate it"
    elif member.lifecycle_state not in (IN_SERVICE, STANDBY, ENTERING_STANDBY):
        yield (
            f"it is {member.lifecycle_state} in the Auto Scaling group {member.group}, and cannot go into standby: "
            "the group may terminate it"
        )
    elif not settings.auto_scaling.decrement_desired_capacity:
        if member.lifecycle_state == IN_SERVICE:
            yield (
                f"the Auto Scaling group {member.group} launches a replacement, which stays after the release: "
                "decrement_desired_capacity is false"
            )
    elif member.desired <= member.minimum:
        yield f"the Auto Scaling group {member.group} is at its minimum: it launches a replacement"


def change_name(kind: str, key: str) -> str:
    """Return what a kind of change is about, for example `termination protection of i-0a1b2c3d4e5f60718`."""
    return f"{NAMES.get(kind, kind)} of {short_key(key)}"


def short_key(key: str) -> str:
    """Return the key of a change without what is the same for all target groups of the account."""
    return key.partition(_TARGET_GROUP)[2] or key


def text_of(value: Value) -> str:
    """Return a value as text."""
    match value:
        case None:
            return "not set"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(str(item) for item in value) or "none"
    return str(value)
