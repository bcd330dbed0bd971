"""Who stands where in a VPC, and whose packets are mirrored to whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from strictmoto.account import Account
from tapstack.domain.incidents import TAG_INCIDENT


@dataclass(frozen=True, slots=True)
class MirrorSession:
    """A session on an interface; `ours` where it belongs to an incident."""

    id: str
    number: int
    virtual_network_id: int | None
    ours: bool


@dataclass(frozen=True, slots=True)
class DrawnInterface:
    """A network interface and the sessions that mirror it, the one evaluated first in front."""

    id: str
    address: str
    subnet_id: str
    sessions: tuple[MirrorSession, ...]


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance; `suspect` where the incident is about it."""

    id: str
    name: str
    type: str
    subnet_id: str
    interfaces: tuple[DrawnInterface, ...]
    suspect: bool


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet and the instances whose primary interface is in it."""

    id: str
    name: str
    cidr: str
    zone: str
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class Topology:
    """A VPC as it stood at one moment.

    Attributes:
        vpc_id: the VPC.
        name: its Name tag, or its id.
        cidr: its primary range.
        subnets: those with instances.
        appliance: the instance that receives the mirrored packets; None where none stands.
    """

    vpc_id: str
    name: str
    cidr: str
    subnets: tuple[Subnet, ...]
    appliance: Instance | None

    def mirrored(self) -> list[tuple[Instance, DrawnInterface, MirrorSession]]:
        """Return every session of ours with what it mirrors."""
        return [
            (instance, interface, session)
            for subnet in self.subnets
            for instance in subnet.instances
            for interface in instance.interfaces
            for session in interface.sessions
            if session.ours
        ]


def take_topology(
    account: Account,
    vpc_id: str,
    *,
    region: str,
    role_arn: str | None = None,
    suspects: Collection[str] = (),
    appliance_interface: str | None = None,
) -> Topology:
    """Read a VPC of the rehearsal account.

    Args:
        account: the rehearsal account.
        vpc_id: the VPC.
        region: its Region.
        role_arn: role to assume; its account is looked at. The caller's by default.
        suspects: ids of the instances, or of interfaces, that the incident is about.
        appliance_interface: interface that receives the mirrored packets; that of the target of the first
            session of ours by default.
    """
    ec2 = account.client("ec2", region=region, role_arn=role_arn)
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    vpc = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]
    found = ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
    by_interface: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for session in found:
        by_interface[session["NetworkInterfaceId"]].append(session)
    if appliance_interface is None:
        appliance_interface = _receiver(ec2, [session for session in found if _is_ours(session)])
    instances = [
        _instance(item, by_interface, suspects)
        for page in ec2.get_paginator("describe_instances").paginate(Filters=here)
        for reservation in page["Reservations"]
        for item in reservation["Instances"]
        if item["State"]["Name"] in ("pending", "running")
    ]
    appliance = next(
        (i for i in instances if appliance_interface in [interface.id for interface in i.interfaces]), None
    )
    subnets = [
        Subnet(
            item["SubnetId"],
            _name(item, item["SubnetId"]),
            item["CidrBlock"],
            item["AvailabilityZone"],
            tuple(i for i in instances if i.subnet_id == item["SubnetId"] and i is not appliance),
        )
        for item in ec2.describe_subnets(Filters=here)["Subnets"]
    ]
    return Topology(
        vpc_id,
        _name(vpc, vpc_id),
        vpc["CidrBlock"],
        tuple(sorted((subnet for subnet in subnets if subnet.instances), key=lambda subnet: subnet.name)),
        appliance,
    )


def _receiver(ec2: Any, sessions: list[Mapping[str, Any]]) -> str | None:
    if not sessions:
        return None
    target = ec2.describe_traffic_mirror_targets(TrafficMirrorTargetIds=[sessions[0]["TrafficMirrorTargetId"]])
    return target["TrafficMirrorTargets"][0].get("NetworkInterfaceId")  # type: ignore[no-any-return]


def _instance(
    item: Mapping[str, Any], sessions: Mapping[str, list[Mapping[str, Any]]], suspects: Collection[str]
) -> Instance:
    interfaces = tuple(
        DrawnInterface(
            interface["NetworkInterfaceId"],
            interface.get("PrivateIpAddress", ""),
            interface.get("SubnetId", ""),
            tuple(_session(session) for session in _in_order(sessions.get(interface["NetworkInterfaceId"], ()))),
        )
        for interface in sorted(item["NetworkInterfaces"], key=lambda one: one["Attachment"]["DeviceIndex"])
    )
    return Instance(
        item["InstanceId"],
        _name(item, item["InstanceId"]),
        item["InstanceType"],
        item["SubnetId"],
        interfaces,
        item["InstanceId"] in suspects or any(interface.id in suspects for interface in interfaces),
    )


def _in_order(sessions: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(sessions, key=lambda session: session["SessionNumber"])


def _session(item: Mapping[str, Any]) -> MirrorSession:
    return MirrorSession(
        item["TrafficMirrorSessionId"], item["SessionNumber"], item.get("VirtualNetworkId"), _is_ours(item)
    )


def _is_ours(session: Mapping[str, Any]) -> bool:
    return any(tag["Key"] == TAG_INCIDENT for tag in session.get("Tags", ()))


def _name(item: Mapping[str, Any], otherwise: str) -> str:
    return next((tag["Value"] for tag in item.get("Tags", ()) if tag["Key"] == "Name"), otherwise)
