"""What containing an instance would change, and when it is refused: from facts and settings to a plan.

Nothing here calls AWS. A plan has the present value of every change, because that is recorded before anything is
changed.

Sources: Amazon EC2 User Guide, "Amazon EC2 security groups" (a group belongs to one VPC) and "Security group
connection tracking"; Auto Scaling User Guide, "Temporarily remove instances"; AWS Systems Manager Automation
runbook reference, AWSSupport-ContainEC2Instance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import Any, Final, Literal, get_args

from tapstack.domain.containment_settings import DeployedContainment
from tapstack.domain.globs import matches
from tapstack.domain.instance_states import GONE_STATES
from tapstack.domain.outside_text import word
from tapstack.domain.quarantine import HAS_RULES, delete_rules_commands, has_rules

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
"""In the order of a containment: protection of evidence, standby in the Auto Scaling group, isolation, and slower
changes."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
NAMES: Final[Mapping[str, str]] = {
    "shutdown": "shutdown behavior",
    "volume": "delete on termination",
    "termination": "termination protection (DisableApiTermination)",
    "standby": "Auto Scaling state",
    "groups": "security groups",
    "tracking": "tracked TCP timeout",
    "profile": "permissions",
    "target-group": "registration in the target group",
    "classic-balancer": "registration in the load balancer",
}
"""Names of the kinds, as in EC2's console and API; a kind without one is its own name."""
_STAYS_CONNECTED: Final = "STAYS CONNECTED"
_STAY_CONNECTED: Final = "STAY CONNECTED"
_UNCHECKED: Final = "has rules is not known"
_TARGET_GROUP: Final = ":targetgroup/"
_NAMES_IN_DETAIL: Final = "names"
"""Where the detail of a change has the names of security groups, by id."""
REGISTERED: Final = "registered"
DEREGISTERED: Final = "deregistered"
IN_SERVICE: Final = "InService"
STANDBY: Final = "Standby"
ENTERING_STANDBY: Final = "EnteringStandby"
ALLOWED: Final = "allowed"
DENIED: Final = "denied"
OTHER_POLICY: Final = "another policy of that name"

Value = Any
"""A JSON value: a string, a number, a boolean, None, or a list of strings."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of the instance.

    Attributes:
        id: its id.
        vpc_id: its VPC; an instance may have interfaces in several VPCs.
        group_ids: its security groups, in AWS's order.
        group_names: the names of these groups, by id, where they are known.
        branches: the branch interfaces of a trunk, of pods with security groups of their own; none known for others.
        trunk: it is a trunk.
        tcp_established_seconds: how long idle TCP connections stay tracked; None where it is not set.
        requester_managed: an AWS service created it, and only that may change it.
        addresses: its private addresses, IPv4 and IPv6.
    """

    id: str
    vpc_id: str
    group_ids: tuple[str, ...]
    tcp_established_seconds: int | None = None
    requester_managed: bool = False
    addresses: tuple[str, ...] = ()
    group_names: Mapping[str, str] = field(default_factory=dict)
    branches: tuple[str, ...] = ()
    trunk: bool = False


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of the instance.

    Attributes:
        device: such as /dev/xvda.
        volume_id: its id.
        delete_on_termination: whether it is deleted with the instance.
    """

    device: str
    volume_id: str
    delete_on_termination: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """The instance's membership in an Auto Scaling group.

    Attributes:
        group: the group's name.
        lifecycle_state: such as InService.
        desired: desired capacity of the group.
        minimum: minimum size of the group.
        target_group_arns: of the target groups in which the group registers its instances, except in standby.
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
        target_group_arn: of the target group.
        target_id: instance id or address.
        port: of the target.
        zone: Availability Zone, if the target was registered with one.
    """

    target_group_arn: str
    target_id: str
    port: int
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """From where the security groups of a mirror target admit mirrored packets.

    Attributes:
        groups: security groups of sources, each with the target's group that admits it.
        blocks: CIDR blocks, whose addresses are admitted whatever security groups they have.
        unknown: why it could not be read; none where it was.
    """

    groups: Mapping[str, str] = field(default_factory=dict)
    blocks: tuple[str, ...] = ()
    unknown: str | None = None

    def admits(self, address: str) -> bool:
        """Return whether packets from an address are admitted, whatever security groups it has."""
        return any(ip_address(address) in ip_network(block, strict=False) for block in self.blocks)


@dataclass(frozen=True, slots=True)
class OtherTarget:
    """A mirror target on an interface of the instance, which is not the one of this response.

    Attributes:
        id: its id.
        interface_id: the network interface that is the target.
        sessions: the sessions of this account that mirror other instances to it. Those of other accounts, which use a
            shared target, cannot be described.
    """

    id: str
    interface_id: str
    sessions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about an instance.

    Attributes:
        instance_id: its id.
        state: in EC2, such as running.
        vpc_id: VPC of its primary interface.
        interfaces: all of them, the primary one first.
        arn: of the instance.
        region: where it is, for the commands that warnings name.
        tags: of the instance.
        volumes: EBS volumes.
        termination_protection: whether it may not be terminated by the API.
        shutdown_behavior: stop or terminate, when it shuts itself down.
        membership: in an Auto Scaling group, if any.
        registrations: as a target; empty where load balancers were not inspected.
        classic_balancers: names of those that it is registered with.
        role: name of the role of its instance profile.
        role_access: whether the role is restricted for this instance: ALLOWED, DENIED by containment, or OTHER_POLICY.
        is_appliance: it receives the packets that this response mirrors.
        mirrored_through: as which targets of the load balancer that is the mirror target, where only these make it one.
        other_targets: the other mirror targets that its interfaces are.
        spot: it is a Spot Instance, which cannot be protected from termination.
        open_groups: the rules of the quarantine groups that have any, by id: they should have none.
        unchecked_groups: why it is not known whether they have; none where it is.
        admission: to the network interface that its packets are mirrored to; empty where it has none.
    """

    instance_id: str
    state: str
    vpc_id: str
    interfaces: tuple[Interface, ...]
    arn: str = ""
    region: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    termination_protection: bool = False
    shutdown_behavior: str = "stop"
    membership: Membership | None = None
    registrations: tuple[Registration, ...] = ()
    classic_balancers: tuple[str, ...] = ()
    role: str | None = None
    role_access: str = ALLOWED
    is_appliance: bool = False
    mirrored_through: tuple[Registration, ...] = ()
    other_targets: tuple[OtherTarget, ...] = ()
    spot: bool = False
    open_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unchecked_groups: str | None = None
    admission: Admission = field(default_factory=Admission)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a containment or a release.

    Attributes:
        what: the kind.
        key: what is changed: an interface, a device, a target.
        before: the present value, which a release restores.
        after: the value that containment sets.
        interim: the value between the two steps of `two_step`; None without one.
        detail: further values that are needed to change and to restore it.
        in_another: another change of the plan has the same effect, and is the one that a plan shows.
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
        names = {_NAMES_IN_DETAIL: named} if (named := self.detail.get(_NAMES_IN_DETAIL)) else {}
        return {"what": self.what, "key": self.key, "from": self.before, "to": self.after, **names}

    def __str__(self) -> str:
        """Return it as text."""
        return _as_text(self.what, self.key, self.before, self.after, self.detail)


@dataclass(frozen=True, slots=True)
class PriorState:
    """The prior state of a change, as the table has it.

    Attributes:
        kind: the kind of change.
        key: what was changed.
        before: the value before containment.
        after: the value that containment set.
        interim: the value between the two steps of `two_step`; None without one.
        detail: further values that are needed to restore it.
        generation: of the containment that it belongs to.
        restored: it is restored, or restoring it was given up.
        lately: it was restored a moment ago, and AWS may still show the value from before that.
        note: a remark about the restoration; empty where the value is restored exactly.
        given_up: it is not restored: it was kept, is gone, or AWS refused to restore it.
        recorded_at: when it was recorded, before the change was made; empty once it is restored.
        made: of snapshots: AWS has taken them. Those that an earlier version took are not marked.
        made_at: of snapshots: when the latest of them were requested; empty where an earlier version did.
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
    given_up: bool = False
    recorded_at: str = ""
    made: bool = False
    made_at: str = ""

    @property
    def in_effect(self) -> bool:
        """Whether AWS may show what containment has set in its place."""
        return not self.restored or self.lately

    def __str__(self) -> str:
        """Return the change as text."""
        return _as_text(self.kind, self.key, self.before, self.after, self.detail)


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is neither the prior one nor that of containment, or a resource that no longer exists.

    Attributes:
        what: the kind.
        key: what was changed.
        before: the value before containment; None where none is recorded.
        after: the value that containment set.
        now: the present value; None where the resource no longer exists.
        why: the reason, as text.
        blocks: an operator has to decide before it is released.
        advice: what to do where overwriting does not help; empty where it does.
        names: of the security groups among the values, by id, where they are known.
    """

    what: Kind
    key: str
    before: Value
    after: Value
    now: Value
    why: str
    blocks: bool = True
    advice: str = ""
    names: Mapping[str, str] = field(default_factory=dict)

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
            **({_NAMES_IN_DETAIL: dict(self.names)} if self.names else {}),
        }

    def __str__(self) -> str:
        """Return it as a line of text."""
        return difference_line(self.as_dict())


@dataclass(frozen=True, slots=True)
class Plan:
    """What a containment or a release of an instance would do.

    Attributes:
        instance_id: its id.
        changes: in the order in which they are made.
        refused: why it is refused; None when it is not.
        differences: of a release: what blocks it, and what is only reported.
        warnings: of a containment: what it does not cover.
        overridden: of a containment: the tags that protect the instance, which it overrides.
    """

    instance_id: str
    changes: tuple[Change, ...] = ()
    refused: str | None = None
    differences: tuple[Difference, ...] = ()
    warnings: tuple[str, ...] = ()
    overridden: tuple[str, ...] = ()

    @property
    def blocked(self) -> bool:
        """Whether an operator has to decide first."""
        return any(difference.blocks for difference in self.differences)

    def as_dict(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "instance_id": self.instance_id,
            "changes": [change.as_dict() for change in self.changes if not change.in_another],
            "refused": self.refused,
            "differences": [difference.as_dict() for difference in self.differences],
            "warnings": list(self.warnings),
            "overridden": list(self.overridden),
        }


def plan_containment(
    facts: Facts,
    settings: DeployedContainment,
    recorded: Iterable[PriorState] = (),
    *,
    override_tags: bool = False,
    begun: bool = False,
) -> Plan:
    """Return what containing an instance would change.

    Changes that are made already are left out: the plan of a contained instance has only what was attached since.

    Args:
        facts: about the instance.
        settings: of the deployment.
        recorded: the prior states of this instance, of earlier containments too.
        override_tags: tags do not protect it.
        begun: its containment has begun, which no tag and no mirror target that was made since ends.
    """
    known = {(one.kind, one.key): one for one in recorded}
    refused = refusal(facts, settings, override_tags=override_tags, begun=begun)
    if refused is not None:
        return Plan(facts.instance_id, refused=refused)
    changes = [_with_prior_state(change, known) for change in _wanted(facts, settings)]
    ordered = sorted(
        (change for change in changes if change is not None), key=lambda c: (KINDS.index(c.what), _position(c, facts))
    )
    warnings = tuple(_warnings(facts, settings, known))
    return Plan(facts.instance_id, tuple(ordered), warnings=warnings, overridden=protecting_tags(facts, settings))


def protecting_tags(facts: Facts, settings: DeployedContainment) -> tuple[str, ...]:
    """Return the tags of an instance that protect it, each as one word or quoted."""
    return tuple(
        f"{word(tag)}={word(value)}"
        for tag, value in sorted(facts.tags.items())
        for key, pattern in settings.protect.tags.items()
        # Without regard to case, as IAM compares keys of tags.
        if tag.casefold() == key.casefold() and matches(pattern, value)
    )


def refusal(
    facts: Facts,
    settings: DeployedContainment,
    *,
    override_tags: bool = False,
    begun: bool = False,
) -> str | None:
    """Return why an instance must not, or cannot, be contained; None when it can."""
    instance = facts.instance_id
    if facts.state in GONE_STATES:
        return f"instance {instance} is {facts.state}: it cannot be contained"
    # Whoever may register targets with a load balancer can make one of an instance that is being contained.
    if facts.is_appliance and not begun:
        return f"instance {instance} is a mirror target of this response: isolating it would end captures" + "".join(
            f". It is one because it is registered with {one.target_group_arn}: if it is no appliance of yours, "
            f"deregister it, and contain it again: {_deregister_command(one, facts.region)}"
            for one in facts.mirrored_through[:1]
        )
    # Any caller that may create targets can make one of an interface: only one that is used protects its instance.
    if not begun and (used := [target for target in facts.other_targets if target.sessions]):
        listed = "; ".join(f"{', '.join(one.sessions)} mirror to {one.id} on {one.interface_id}" for one in used)
        return (
            f"instance {instance} is a mirror target: isolating it would end captures ({listed}). If these are not "
            "yours, delete the sessions, and contain it again"
        )
    if instance in settings.protect.instance_ids:
        # The deployment file names it: whoever controls the instance cannot.
        return f"instance {instance} is protected by the deployment's settings (protect.instance_ids)"
    if not (override_tags or begun) and (tags := protecting_tags(facts, settings)):
        return (
            f"instance {instance} is protected by its {tags_word(tags)}. With the right to override, run contain "
            "again with --override-protection and --reason; another person must approve it"
        )
    if facts.vpc_id not in settings.groups:
        return f"instance {instance} is in {facts.vpc_id}, which is not in the scope of this deployment"
    if not any(_can_be_isolated(interface, settings) for interface in facts.interfaces):
        return (
            f"instance {instance} has no network interface in the scope of this deployment whose security groups could "
            "be changed"
        )
    return None


def _deregister_command(registration: Registration, region: str) -> str:
    zone = f",AvailabilityZone={registration.zone}" if registration.zone else ""
    return (
        f"aws elbv2 deregister-targets --region {region} --target-group-arn {registration.target_group_arn} "
        f"--targets Id={registration.target_id},Port={registration.port}{zone}"
    )


def held_for(incident_ids: Sequence[str], *, completed: bool) -> str:
    """Return as a clause for which incidents an instance is held.

    Args:
        incident_ids: which.
        completed: whether the instance is contained now. A containment that goes on, or has failed in part, is not
            completed.
    """
    names = ", ".join(incident_ids)
    if completed:
        return f"it stays contained for {names}"
    return f"its containment for {names} is not completed, and it may be connected, or open to all traffic"


def tags_word(tags: Sequence[str]) -> str:
    """Return tags as a sentence names them."""
    return f"{'tag' if len(tags) == 1 else 'tags'} {', '.join(tags)}"


def _can_be_isolated(interface: Interface, settings: DeployedContainment) -> bool:
    """Return whether an interface can be isolated; one in a foreign VPC does not keep the others from it."""
    return not interface.requester_managed and interface.vpc_id in settings.groups


def why_it_stays_connected(interface: Interface, settings: DeployedContainment) -> str | None:
    """Return why containment does not isolate an interface; None where it does."""
    if _can_be_isolated(interface, settings):
        return None
    if interface.requester_managed:
        return stays_connected(interface.id, "it is managed by an AWS service")
    why = (
        f"it is in {interface.vpc_id}, which is not in the scope of this deployment; detach it, or give it a security "
    )
    return stays_connected(interface.id, f"{why}group without rules")


def stays_connected(network_interface_id: str, why: str) -> str:
    """Return the line of what a containment does not cover about an interface that is not isolated."""
    return f"{network_interface_id} {_STAYS_CONNECTED}: {why}"


def connected_interface(line: str) -> str | None:
    """Return the interface that `stays_connected` said a line of; None where the line is about something else.

    >>> connected_interface("eni-1 STAYS CONNECTED: it is managed by an AWS service")
    'eni-1'
    """
    name, said, _ = line.partition(f" {_STAYS_CONNECTED}: ")
    return name if said else None


def with_connected(not_done: Iterable[str], lines: Mapping[str, str]) -> list[str]:
    """Return what a containment does not cover, with these lines in place of those about the same interfaces.

    Args:
        not_done: its lines.
        lines: of `stays_connected`, by interface.
    """
    return [*(line for line in not_done if connected_interface(line) not in lines), *lines.values()]


def _is_isolated(interface: Interface, settings: DeployedContainment) -> bool:
    return interface.group_ids == (settings.groups[interface.vpc_id].quarantine,)


def _wanted(facts: Facts, settings: DeployedContainment) -> Iterator[Change]:
    """Yield all changes that the settings ask for, those that are made already included."""
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
        if _can_be_isolated(interface, settings):
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
        # AWS refuses a desired capacity below the minimum: then the group launches a replacement.
        decrement = settings.auto_scaling.decrement_desired_capacity and member.desired > member.minimum
        now = IN_SERVICE if member.lifecycle_state == IN_SERVICE else STANDBY
        detail = {"decrement": decrement, "desired": member.desired}
        yield Change("standby", member.group, now, STANDBY, detail=detail)


def _goes_with_standby(target: Registration, facts: Facts, settings: DeployedContainment) -> bool:
    """Return whether the Auto Scaling group takes the instance out of the target group when it goes into standby."""
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
    # Our own groups by what they are for, the others by their names.
    names = {group: interface.group_names[group] for group in interface.group_ids if group in interface.group_names}
    names |= {group: use for group, use in ((groups.quarantine, "quarantine"), (groups.untrack, "all-open")) if group}
    detail = {_NAMES_IN_DETAIL: names}
    yield Change("groups", interface.id, list(interface.group_ids), [groups.quarantine], interim, detail)
    if (seconds := settings.tcp_established_seconds) is not None:
        yield Change("tracking", interface.id, interface.tcp_established_seconds, seconds)


def _as_detail(target: Registration) -> dict[str, Any]:
    return {"arn": target.target_group_arn, "id": target.target_id, "port": target.port, "zone": target.zone}


def _with_prior_state(change: Change, known: Mapping[tuple[Kind, str], PriorState]) -> Change | None:
    """Return the change with its recorded prior state; None where it is made already."""
    remembered = known.get((change.what, change.key))
    if change.what == "snapshots" and remembered is not None and not remembered.restored and remembered.made:
        # Existing snapshots are not looked up: that they are recorded alone does not say that AWS has taken them.
        return None
    if not set_by_containment(change.before, change.after, change.interim):
        return change
    if remembered is None or not remembered.in_effect:
        # The value was the same before: nothing to change, and nothing to restore.
        return None if change.before == change.after else change
    if not remembered.restored and change.before == change.after:
        return None
    # EC2 may still show the value from before a release. The recorded prior state is right.
    return replace(change, before=remembered.before, detail=remembered.detail)


def set_by_containment(now: Value, after: Value, interim: Value) -> bool:
    """Return whether a value is one that containment sets, at the end or between two steps."""
    return bool(now == after or (interim is not None and now == interim))


def _position(change: Change, facts: Facts) -> tuple[int, str]:
    order = [interface.id for interface in facts.interfaces]
    return (order.index(change.key) if change.key in order else len(order), change.key)


def _warnings(
    facts: Facts, settings: DeployedContainment, known: Mapping[tuple[Kind, str], PriorState]
) -> Iterator[str]:
    for interface in facts.interfaces:
        if (why := why_it_stays_connected(interface, settings)) is not None:
            yield why
        else:
            prior = known.get(("groups", interface.id))
            yield from _end_of_capture(interface, facts.admission, prior)
            if _is_isolated(interface, settings) and not (prior is not None and prior.in_effect):
                yield (
                    f"{interface.id} has the quarantine group already, without a containment on record: it keeps it "
                    "after the release, and connections from before it may continue"
                )
        if interface.trunk:
            branches = ", ".join(interface.branches) or "none now"
            yield (
                f"{interface.id} is a trunk: pods with security groups of their own {_STAY_CONNECTED} through its "
                f"branch interfaces ({branches}), and AWS mirrors neither"
            )
    used = {settings.groups[one.vpc_id].quarantine for one in facts.interfaces if one.vpc_id in settings.groups}
    for group in sorted(used & set(facts.open_groups)):
        yield rules_warning(group, facts.open_groups[group], facts.region)
    if facts.unchecked_groups is not None:
        yield f"whether {', '.join(sorted(used))} {_UNCHECKED}: {facts.unchecked_groups}"
    if facts.admission.unknown is not None:
        yield f"whether its capture ends with its isolation is not known: {facts.admission.unknown}"
    for target in facts.other_targets:
        if target.sessions:
            yield (
                f"{target.interface_id} is the mirror target {target.id} since it was contained, which does not "
                f"protect it: {', '.join(target.sessions)} end there"
            )
            continue
        yield (
            f"{target.interface_id} is the mirror target {target.id}, which mirrors no other instance of this account: "
            "that does not protect it. If another account uses the target, its captures end"
        )
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
        yield f"it stays in service in the Auto Scaling group {word(member.group)}, which may replace and terminate it"
    elif member.lifecycle_state not in (IN_SERVICE, STANDBY, ENTERING_STANDBY):
        yield (
            f"it is {member.lifecycle_state} in the Auto Scaling group {word(member.group)}, and cannot go into "
            "standby: the group may terminate it"
        )
    elif not settings.auto_scaling.decrement_desired_capacity:
        if member.lifecycle_state == IN_SERVICE:
            yield (
                f"the Auto Scaling group {word(member.group)} launches a replacement, which stays after the release: "
                "decrement_desired_capacity is false"
            )
    elif member.desired <= member.minimum:
        yield f"the Auto Scaling group {word(member.group)} is at its minimum: it launches a replacement"


def rules_warning(group_id: str, rules: Sequence[str], region: str) -> str:
    """Return what a containment says of rules of its quarantine group, with the commands that delete them."""
    delete = "; ".join(delete_rules_commands(group_id, rules, region))
    return f"{has_rules(group_id, rules)}. It is isolated once they are deleted: {delete}"


def is_of_rules(line: str) -> bool:
    """Return whether a line of what a containment does not cover is about rules of its quarantine group."""
    return HAS_RULES in line or _UNCHECKED in line


def isolation_gap(not_done: Iterable[str]) -> str:
    """Return whether a contained instance is still connected, by what its containment does not cover.

    Args:
        not_done: the lines of the incident.

    Returns:
        Empty where no network path is known to be left.

    >>> isolation_gap(["eni-1 STAYS CONNECTED: it is managed by an AWS service"])
    'BUT STILL CONNECTED'
    """
    lines = list(not_done)
    if any(said in line for line in lines for said in (_STAYS_CONNECTED, _STAY_CONNECTED, HAS_RULES)):
        return "BUT STILL CONNECTED"
    return "BUT PERHAPS CONNECTED" if any(_UNCHECKED in line for line in lines) else ""


def _end_of_capture(interface: Interface, admission: Admission, prior: PriorState | None) -> Iterator[str]:
    """Warn where the mirror target admits the interface by a security group that containment takes off it.

    AWS sends mirrored packets from the primary private address of their source.
    """
    isolated = prior is not None and not prior.restored
    before = prior.before if prior is not None and isolated else interface.group_ids
    admitting = [group for group in before if group in admission.groups]
    if admitting and interface.addresses and not admission.admits(interface.addresses[0]):
        # An isolated interface has those groups no more, and so not their names.
        names = {**interface.group_names, **(names_of(prior) if prior is not None else {})}
        by = ", ".join(with_name(group, names) for group in admitting)
        targets = ", ".join(sorted({admission.groups[group] for group in admitting}))
        yield (
            f"THE CAPTURE OF {interface.id} ENDS with its isolation: {targets} of the mirror target admits it by {by}, "
            f"which is taken off it. To keep the capture, admit UDP 4789 from {interface.addresses[0]} in {targets}"
        )


def change_name(kind: str, key: str) -> str:
    """Return the name of a change, for example `termination protection of i-0a1b2c3d4e5f60718`."""
    return f"{NAMES.get(kind, kind)} of {shown_key(kind, key)}"


def shown_key(kind: str, key: str) -> str:
    """Return the key of a change as text, without the part that all ARNs of target groups of the account share."""
    # Whoever makes them chooses the names of Auto Scaling groups and of devices.
    return word(key) if kind in ("standby", "volume") else key.partition(_TARGET_GROUP)[2] or key


def difference_line(difference: Mapping[str, Any]) -> str:
    """Return a difference, as the API has it, as a line of text: why it blocks, what is there now, and advice."""
    now, names = difference.get("now"), difference.get(_NAMES_IN_DETAIL) or {}
    there = "" if now in (None, difference.get("ours")) else f"; it is {text_of(now, names)} now"
    advice = f". {difference['advice']}" if difference.get("advice") else ""
    name = change_name(str(difference.get("what")), str(difference.get("key")))
    return f"{name}: {difference.get('why')}{there}{advice}"


def names_of(prior: PriorState | Change) -> Mapping[str, str]:
    """Return the names of the security groups among the values of a change, by id, where they are known."""
    return prior.detail.get(_NAMES_IN_DETAIL) or {}


def _as_text(kind: str, key: str, before: Value, after: Value, detail: Mapping[str, Any]) -> str:
    names = detail.get(_NAMES_IN_DETAIL) or {}
    return f"{change_name(kind, key)}: {text_of(before, names)} -> {text_of(after, names)}"


def with_name(id_: str, names: Mapping[str, str]) -> str:
    """Return an id with its name behind it, where that is known."""
    return f"{id_} ({word(names[id_])})" if id_ in names else id_


def text_of(value: Value, names: Mapping[str, str] | None = None) -> str:
    """Return a value as text.

    Args:
        value: a value of a change.
        names: of the ids that it may list.
    """
    match value:
        case None:
            return "not set"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(with_name(str(item), names or {}) for item in value) or "none"
    return str(value)
