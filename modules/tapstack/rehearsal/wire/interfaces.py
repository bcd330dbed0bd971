"""What EC2 has of a mirrored network interface now, as any client reads it: groups, ACL, sessions, filters, targets.

Source: Amazon EC2 API Reference, the Describe actions that are called here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from tapstack.domain.destinations import Kind
from tapstack.domain.filter_presets import FilterPreset
from tapstack.domain.filter_rules import ICMP, ICMPV6, PORTS, TCP, UDP, Direction, MirrorRule, PortRange, Traffic
from tapstack.packets.firewall import (
    TCP_ESTABLISHED_SECONDS,
    UDP_SECONDS,
    UDP_STREAM_SECONDS,
    Acl,
    AclEntry,
    GroupRule,
)
from tapstack.packets.mirroring import TARGET_MTU, MirrorSession, MirrorTarget

_BY_NAME: Final = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6}
_EVERY: Final = "-1"
_LAST_ENTRY: Final = 32_767
"""The entry of every network ACL that denies what no other matches."""


@dataclass(frozen=True, slots=True)
class WiredTarget:
    """A traffic mirror target.

    Attributes:
        id: of the target.
        target: its kind and MTU, which decide what arrives.
        addresses: of the network interface, the primary one first; none where it is not one interface's.
    """

    id: str
    target: MirrorTarget
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WiredInterface:
    """A network interface, and what decides about its packets at this time.

    Attributes:
        id: of the interface.
        instance: that it is attached to; empty where none.
        mac: its address, 6 bytes.
        addresses: its private IPv4 addresses, the primary one first, then its IPv6 addresses, of which it has one where
            copies go out over IPv6.
        vpc_id: of its VPC.
        vpc_cidr: the primary IPv4 block of that.
        rules: of all its security groups.
        acl: of its subnet.
        sessions: that mirror it.
        targets: of these, by the id that a session's target is named by.
        idle_seconds: after which flows are forgotten, as `Firewall` takes them.
    """

    id: str
    instance: str
    mac: bytes
    addresses: tuple[str, ...]
    vpc_id: str
    vpc_cidr: str
    rules: tuple[GroupRule, ...]
    acl: Acl
    sessions: tuple[MirrorSession, ...]
    targets: Mapping[str, WiredTarget]
    idle_seconds: Mapping[str, int]

    def source_of(self, target: WiredTarget) -> str:
        """Return the address that copies to a target come from: the first one of the family outside."""
        family = target.target.outer_family
        return next(one for one in self.addresses if ipaddress.ip_address(one).version == family)


def read_interface(
    ec2: Any, interface_id: str, *, mtu: int = TARGET_MTU, outer_family: Literal[4, 6] = 4
) -> WiredInterface:
    """Return what EC2 has of a network interface now.

    Args:
        ec2: a boto3 client.
        interface_id: of the interface.
        mtu: of the appliances behind the targets, which no API of AWS tells.
        outer_family: of the copies' outer packets.

    Raises:
        ClientError: what AWS refuses.
        RuleViolation: what AWS has cannot be.
    """
    [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface_id])["NetworkInterfaces"]
    [vpc] = ec2.describe_vpcs(VpcIds=[found["VpcId"]])["Vpcs"]
    [subnet] = ec2.describe_subnets(SubnetIds=[found["SubnetId"]])["Subnets"]
    sessions, targets = _sessions(ec2, interface_id, mtu, outer_family)
    tracking = found.get("ConnectionTrackingConfiguration", {})
    return WiredInterface(
        id=interface_id,
        instance=found.get("Attachment", {}).get("InstanceId", ""),
        mac=bytes.fromhex(found["MacAddress"].replace(":", "")),
        addresses=_addresses(found),
        vpc_id=found["VpcId"],
        vpc_cidr=vpc["CidrBlock"],
        rules=_rules(ec2, [group["GroupId"] for group in found["Groups"]]),
        acl=_acl(ec2, subnet),
        sessions=sessions,
        targets=targets,
        idle_seconds={
            "tcp_established_seconds": tracking.get("TcpEstablishedTimeout", TCP_ESTABLISHED_SECONDS),
            "udp_seconds": tracking.get("UdpTimeout", UDP_SECONDS),
            "udp_stream_seconds": tracking.get("UdpStreamTimeout", UDP_STREAM_SECONDS),
        },
    )


def _addresses(interface: Mapping[str, Any]) -> tuple[str, ...]:
    private = sorted(interface.get("PrivateIpAddresses", ()), key=lambda one: not one.get("Primary"))
    four = [one["PrivateIpAddress"] for one in private] or [interface["PrivateIpAddress"]]
    return (*four, *(one["Ipv6Address"] for one in interface.get("Ipv6Addresses", ())))


def _rules(ec2: Any, group_ids: list[str]) -> tuple[GroupRule, ...]:
    if not group_ids:
        return ()
    groups = ec2.describe_security_groups(GroupIds=group_ids)["SecurityGroups"]
    ways: tuple[tuple[Direction, str], ...] = (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress"))
    return tuple(
        rule
        for group in groups
        for direction, name in ways
        for permission in group[name]
        for rule in _of_permission(ec2, direction, permission)
    )


def _of_permission(ec2: Any, direction: Direction, permission: Mapping[str, Any]) -> Iterator[GroupRule]:
    protocol = _protocol(permission["IpProtocol"])
    first, last = permission.get("FromPort"), permission.get("ToPort")
    ports, kind, code = None, None, None
    if protocol in (TCP, UDP) and first is not None and last is not None:
        # The API gives -1 for every port, too.
        ports = PortRange(*PORTS) if first < 0 else PortRange(first, last)
    elif protocol in (ICMP, ICMPV6):
        kind, code = (None if number in (None, -1) else number for number in (first, last))
    for peer in _peers(ec2, permission):
        yield GroupRule(direction, protocol, ports, peer, kind, code)


def _peers(ec2: Any, permission: Mapping[str, Any]) -> Iterator[str]:
    """Return the blocks that a rule is about; a group or a prefix list stands for what is in it now."""
    yield from (one["CidrIp"] for one in permission.get("IpRanges", ()))
    yield from (one["CidrIpv6"] for one in permission.get("Ipv6Ranges", ()))
    for pair in permission.get("UserIdGroupPairs", ()):
        filters = [{"Name": "group-id", "Values": [pair["GroupId"]]}]
        for page in ec2.get_paginator("describe_network_interfaces").paginate(Filters=filters):
            for interface in page["NetworkInterfaces"]:
                yield from (str(ipaddress.ip_network(address)) for address in _addresses(interface))
    for listed in permission.get("PrefixListIds", ()):
        pages = ec2.get_paginator("get_managed_prefix_list_entries").paginate(PrefixListId=listed["PrefixListId"])
        yield from (entry["Cidr"] for page in pages for entry in page["Entries"])


def _acl(ec2: Any, subnet: Mapping[str, Any]) -> Acl:
    filters = [{"Name": "association.subnet-id", "Values": [subnet["SubnetId"]]}]
    [found] = ec2.describe_network_acls(Filters=filters)["NetworkAcls"]
    six = (one["Ipv6CidrBlock"] for one in subnet.get("Ipv6CidrBlockAssociationSet", ()))
    entries = (_entry(one) for one in found["Entries"] if one["RuleNumber"] != _LAST_ENTRY)
    return Acl(tuple(entries), (subnet["CidrBlock"], *six))


def _entry(entry: Mapping[str, Any]) -> AclEntry:
    protocol = _protocol(entry["Protocol"])
    ports, types = entry.get("PortRange"), entry.get("IcmpTypeCode", {})
    kind, code = (None if types.get(name, -1) == -1 else types[name] for name in ("Type", "Code"))
    return AclEntry(
        number=entry["RuleNumber"],
        direction="egress" if entry["Egress"] else "ingress",
        action=entry["RuleAction"],
        protocol=protocol,
        ports=PortRange(ports["From"], ports["To"]) if ports and protocol in (TCP, UDP) else None,
        peer=entry.get("CidrBlock") or entry["Ipv6CidrBlock"],
        icmp_type=kind if protocol in (ICMP, ICMPV6) else None,
        icmp_code=code if protocol in (ICMP, ICMPV6) else None,
    )


def _protocol(said: str) -> int | None:
    if said == _EVERY:
        return None
    return _BY_NAME[said] if said in _BY_NAME else int(said)


def _sessions(
    ec2: Any, interface_id: str, mtu: int, outer_family: Literal[4, 6]
) -> tuple[tuple[MirrorSession, ...], dict[str, WiredTarget]]:
    pages = ec2.get_paginator("describe_traffic_mirror_sessions").paginate(
        Filters=[{"Name": "network-interface-id", "Values": [interface_id]}]
    )
    sessions = [session for page in pages for session in page["TrafficMirrorSessions"]]
    targets = {
        target_id: _target(ec2, target_id, mtu, outer_family)
        for target_id in {session["TrafficMirrorTargetId"] for session in sessions}
    }
    made = tuple(
        MirrorSession(
            number=session["SessionNumber"],
            name=session["TrafficMirrorSessionId"],
            filter=_filter(ec2, session["TrafficMirrorFilterId"]),
            target=targets[session["TrafficMirrorTargetId"]].target,
            packet_length=session.get("PacketLength"),
            virtual_network_id=session["VirtualNetworkId"],
            filter_name=session["TrafficMirrorFilterId"],
        )
        for session in sessions
    )
    return made, targets


def _target(ec2: Any, target_id: str, mtu: int, outer_family: Literal[4, 6]) -> WiredTarget:
    [found] = ec2.describe_traffic_mirror_targets(TrafficMirrorTargetIds=[target_id])["TrafficMirrorTargets"]
    kinds: dict[str, Kind] = {
        "network-interface": "network interface",
        "network-load-balancer": "network load balancer",
        "gateway-load-balancer-endpoint": "gateway load balancer endpoint",
    }
    addresses: tuple[str, ...] = ()
    if interface_id := found.get("NetworkInterfaceId"):
        # Of another account's target nothing more is known here.
        seen = ec2.describe_network_interfaces(Filters=[{"Name": "network-interface-id", "Values": [interface_id]}])[
            "NetworkInterfaces"
        ]
        addresses = _addresses(seen[0]) if seen else ()
    return WiredTarget(target_id, MirrorTarget(target_id, kinds[found["Type"]], mtu, outer_family), addresses)


def _filter(ec2: Any, filter_id: str) -> FilterPreset:
    [found] = ec2.describe_traffic_mirror_filters(TrafficMirrorFilterIds=[filter_id])["TrafficMirrorFilters"]
    rules = (*found.get("IngressFilterRules", ()), *found.get("EgressFilterRules", ()))
    return FilterPreset(tuple(map(_mirror_rule, rules)), "amazon-dns" in found.get("NetworkServices", ()))


def _mirror_rule(rule: Mapping[str, Any]) -> MirrorRule:
    source, destination = (
        None if (ports := rule.get(name)) is None else PortRange(ports["FromPort"], ports["ToPort"])
        for name in ("SourcePortRange", "DestinationPortRange")
    )
    return MirrorRule(
        direction=rule["TrafficDirection"],
        action=rule["RuleAction"],
        traffic=Traffic(rule.get("Protocol"), source, destination),
        source=rule["SourceCidrBlock"],
        destination=rule["DestinationCidrBlock"],
        number=rule["RuleNumber"],
    )
