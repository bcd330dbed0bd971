"""Inspects an instance before it is contained: a few calls, most of them in parallel.

Sources: Amazon EC2 API Reference, DescribeInstances, DescribeNetworkInterfaces, DescribeInstanceAttribute,
DescribeSecurityGroups, DescribeTrafficMirrorTargets and DescribeTrafficMirrorSessions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from tapstack.domain import limits
from tapstack.domain.appliance_settings import ExistingAppliance
from tapstack.domain.containment import ALLOWED, Admission, Facts, Interface, OtherTarget, Registration
from tapstack.domain.instance_states import GONE_STATES
from tapstack.domain.own_names import STACK_NAME_TAG
from tapstack.responder.appliance import stacks
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of, said_by
from tapstack.responder.aws.parallel import each
from tapstack.responder.aws.tags import tags_of
from tapstack.responder.capture import sessions
from tapstack.responder.capture.interfaces import instances
from tapstack.responder.containment.changes import (
    classic_balancers,
    groups,
    profile,
    shutdown,
    standby,
    target_groups,
    termination,
    tracking,
    volumes,
)
from tapstack.responder.environment import environment
from tapstack.responder.errors import ContainmentRefused

Described = dict[str, Any]
_TRUNK_TAG: Final = "vpcresources.k8s.aws/trunk-eni-id"
"""Of branch interfaces that the VPC resource controller of Amazon EKS creates."""


def described(instance_id: str) -> Described | None:
    """Return an instance as EC2 describes it; None when it is terminated or shutting down."""
    try:
        found = instances([instance_id])
    except ClientError as error:
        if code_of(error).startswith("InvalidInstanceID"):
            return None
        raise
    if not found or found[0]["State"]["Name"] in GONE_STATES:
        return None
    return found[0]


def inspect_instance(instance_id: str, *, balancers: bool = True) -> Facts:
    """Return what a plan needs to know of an instance.

    Args:
        instance_id: which.
        balancers: whether to find its load balancers too: a call for each target group of its VPCs.

    Raises:
        ContainmentRefused: there is no such instance in this account and Region.
    """
    instance = described(instance_id)
    if instance is None:
        return _gone(instance_id)
    answers = dict(each(lambda ask: (ask[0], ask[1](instance)), _questions()))
    interfaces: list[Described] = sorted(answers["interfaces"], key=lambda item: item["Attachment"]["DeviceIndex"])
    role: str | None = answers["role"]
    arn = _arn(instance_id, interfaces)
    facts = Facts(
        instance_id=instance_id,
        state=instance["State"]["Name"],
        vpc_id=instance.get("VpcId", ""),
        interfaces=tuple(_with_branches(_interface(item)) for item in interfaces),
        arn=arn,
        region=environment().home.region,
        tags=tags_of(instance),
        volumes=volumes.volumes_of(instance),
        termination_protection=answers["termination"],
        shutdown_behavior=answers["shutdown"],
        membership=answers["membership"],
        role=role,
        role_access=ALLOWED if role is None else profile.restriction_of(role, arn),
        is_appliance=answers["mirroring"].is_appliance,
        mirrored_through=answers["mirroring"].through,
        other_targets=answers["mirroring"].others,
        spot=instance.get("InstanceLifecycle") == "spot",
        open_groups=answers["quarantine"][0],
        unchecked_groups=answers["quarantine"][1],
        admission=answers["admission"],
    )
    return with_balancers(facts) if balancers else facts


def _questions() -> list[tuple[str, Callable[[Described], Any]]]:
    def of_id(function: Callable[[str], Any]) -> Callable[[Described], Any]:
        return lambda instance: function(instance["InstanceId"])

    restricts = (settings := environment().containment) is not None and settings.instance_profile == "restrict"
    return [
        ("interfaces", of_id(attached)),
        ("termination", of_id(termination.is_protected)),
        ("shutdown", of_id(shutdown.behavior_of)),
        ("membership", of_id(standby.membership)),
        ("mirroring", received_mirroring),
        ("admission", lambda _: admission()),
        ("quarantine", lambda _: _open_groups()),
        ("role", profile.role_of if restricts else lambda _: None),
    ]


def _open_groups() -> tuple[dict[str, tuple[str, ...]], str | None]:
    """Return the rules of the groups that isolate, and why they are not known, for which no containment fails."""
    settings = environment().containment
    try:
        return groups.rules(one.quarantine for one in settings.groups.values()) if settings is not None else {}, None
    except (BotoCoreError, ClientError) as error:
        return {}, said_by(error)


def _gone(instance_id: str) -> Facts:
    """Return the facts of an instance that is gone, or refuse one that does not exist."""
    try:
        found = instances([instance_id])
    except ClientError as error:
        if code_of(error).startswith("InvalidInstanceID"):
            raise ContainmentRefused(f"there is no instance {instance_id} in this account and Region") from error
        raise
    if not found:
        raise ContainmentRefused(f"there is no instance {instance_id} in this account and Region")
    return Facts(instance_id, found[0]["State"]["Name"], found[0].get("VpcId", ""), ())


def attached(instance_id: str) -> list[Described]:
    """Return the interfaces that are attached to an instance."""
    pages = client("ec2").get_paginator("describe_network_interfaces")
    filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    return [item for page in pages.paginate(Filters=filters) for item in page["NetworkInterfaces"]]


def as_interfaces(found: Collection[Described]) -> tuple[Interface, ...]:
    """Return interfaces as a plan knows them."""
    return tuple(_interface(item) for item in found)


def _interface(item: Described) -> Interface:
    return Interface(
        id=item["NetworkInterfaceId"],
        vpc_id=item["VpcId"],
        group_ids=tuple(group["GroupId"] for group in item["Groups"]),
        tcp_established_seconds=tracking.seconds_of(item),
        requester_managed=bool(item.get("RequesterManaged", False)),
        addresses=tuple(_addresses(item)),
        group_names={group["GroupId"]: group["GroupName"] for group in item["Groups"] if group.get("GroupName")},
        trunk=item.get("InterfaceType") == "trunk",
    )


def _with_branches(interface: Interface) -> Interface:
    """Return a trunk with its branch interfaces, which are attached to no instance: EKS tags them with their trunk."""
    if not interface.trunk:
        return interface
    pages = client("ec2").get_paginator("describe_network_interfaces")
    filters = [{"Name": f"tag:{_TRUNK_TAG}", "Values": [interface.id]}]
    found = [
        item["NetworkInterfaceId"] for page in pages.paginate(Filters=filters) for item in page["NetworkInterfaces"]
    ]
    return replace(interface, branches=tuple(sorted(found)))


def _addresses(item: Described) -> Iterator[str]:
    for listed, name in (("PrivateIpAddresses", "PrivateIpAddress"), ("Ipv6Addresses", "Ipv6Address")):
        yield from (address[name] for address in item.get(listed, []))


def _arn(instance_id: str, interfaces: Collection[Described]) -> str:
    meta = client("ec2").meta
    owner = next((item["OwnerId"] for item in interfaces), "")
    return f"arn:{meta.partition}:ec2:{meta.region_name}:{owner}:instance/{instance_id}"


def with_balancers(facts: Facts) -> Facts:
    """Return the facts with its load balancers: a call for each target group of the instance's VPCs."""
    addresses = {address for interface in facts.interfaces for address in interface.addresses}
    vpc_ids = {interface.vpc_id for interface in facts.interfaces}
    return replace(
        facts,
        registrations=target_groups.registrations({facts.instance_id, *addresses}, vpc_ids),
        classic_balancers=classic_balancers.balancers(facts.instance_id),
    )


class ReceivedMirroring(NamedTuple):
    """What an instance receives of mirrored packets, as `Facts` has it."""

    is_appliance: bool
    through: tuple[Registration, ...] = ()
    others: tuple[OtherTarget, ...] = ()


def received_mirroring(instance: Described) -> ReceivedMirroring:
    """Return whether an instance receives the packets that this response mirrors, and its other mirror targets.

    It does where the appliance's stack creates it, where it has the interface of the existing target, or stands behind
    the load balancer that is the target. No tag that any caller may write says so.
    """
    appliance, own = environment().appliance, _interface_ids(instance)
    targets = _targets([{"Name": "network-interface-id", "Values": own}]) if own else []
    if isinstance(appliance, ExistingAppliance):
        of_targets = [target["TrafficMirrorTargetId"] for target in targets]
        ours = appliance.target_interface_id in own or appliance.target_id in of_targets
        if not ours and (behind := _registered(appliance, instance)):
            return ReceivedMirroring(True, behind)
    else:
        ours = stacks.creates(appliance.stack_name, tags_of(instance))
    return ReceivedMirroring(True) if ours else ReceivedMirroring(False, others=_other_targets(own, targets))


def _other_targets(own: Sequence[str], targets: Sequence[Described]) -> tuple[OtherTarget, ...]:
    """Return targets on the instance's interfaces, each with the sessions that mirror other instances to it."""
    interfaces = {target["TrafficMirrorTargetId"]: target["NetworkInterfaceId"] for target in targets}
    used: dict[str, list[str]] = {id_: [] for id_ in sorted(interfaces)}
    for session in sessions.to_targets(list(used)) if used else []:
        # A session of the instance's own mirrors nothing that isolation should not end.
        if session["NetworkInterfaceId"] not in own:
            used[session["TrafficMirrorTargetId"]].append(session["TrafficMirrorSessionId"])
    return tuple(OtherTarget(id_, interfaces[id_], tuple(sorted(found))) for id_, found in used.items())


def _interface_ids(instance: Described) -> list[str]:
    return [item["NetworkInterfaceId"] for item in instance.get("NetworkInterfaces", [])]


def admission() -> Admission:
    """Return from where the appliance's network interface admits mirrored packets, or why that could not be read.

    No containment fails because of it. Nothing is found behind a load balancer, in another account, and within a stack
    that the stack of a launched appliance creates.
    """
    try:
        return _admission()
    except (BotoCoreError, ClientError) as error:
        return Admission(unknown=said_by(error))


def _admission() -> Admission:
    appliance = environment().appliance
    if isinstance(appliance, ExistingAppliance):
        name, value = "traffic-mirror-target-id", appliance.target_id
    else:
        # Its template admits addresses. But others may have changed the rules.
        name, value = f"tag:{STACK_NAME_TAG}", appliance.stack_name
    targets = _targets([{"Name": name, "Values": [value]}])
    interfaces = groups.interfaces([eni for one in targets if (eni := one.get("NetworkInterfaceId"))])
    admitting = groups.described({group["GroupId"] for item in interfaces for group in item["Groups"]})
    rules = [(one["GroupId"], rule) for one in admitting for rule in one["IpPermissions"] if _is_of_mirroring(rule)]
    return Admission(
        groups={pair["GroupId"]: group for group, rule in rules for pair in rule.get("UserIdGroupPairs", [])},
        blocks=tuple(
            block[name]
            for _, rule in rules
            for listed, name in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6"))
            for block in rule.get(listed, [])
        ),
    )


def _is_of_mirroring(rule: Described) -> bool:
    if rule["IpProtocol"] == "-1":
        return True
    ports = range(rule.get("FromPort", 0), rule.get("ToPort", 65535) + 1)
    return rule["IpProtocol"] in ("udp", "17") and limits.VXLAN_PORT in ports


def _registered(appliance: ExistingAppliance, instance: Described) -> tuple[Registration, ...]:
    """Return the targets of the load balancer that is the mirror target which are the instance."""
    balancers = [
        arn
        for target in _targets([{"Name": "traffic-mirror-target-id", "Values": [appliance.target_id]}])
        if (arn := target.get("NetworkLoadBalancerArn"))
    ]
    addresses = {
        (interface["VpcId"], address)
        for interface in instance.get("NetworkInterfaces", [])
        for address in _addresses(interface)
    }

    def is_it(vpc_id: str, target: Registration) -> bool:
        if target.target_id == instance["InstanceId"]:
            return True
        # Another VPC may have the same address. One outside of the target group's VPC is registered with all zones.
        return any(
            address == target.target_id and (target.zone == "all" or there == vpc_id) for there, address in addresses
        )

    found = [one for balancer in balancers for one in target_groups.mirroring_targets(balancer)]
    return tuple(target for vpc_id, target in found if is_it(vpc_id, target))


def _targets(filters: list[dict[str, Any]]) -> list[Described]:
    pages = client("ec2").get_paginator("describe_traffic_mirror_targets").paginate(Filters=filters)
    return [target for page in pages for target in page["TrafficMirrorTargets"]]
