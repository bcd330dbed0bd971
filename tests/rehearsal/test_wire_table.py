"""The cases that were worked out by hand from AWS's documents, played with an account that has what they say."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strictmoto.account import Account
from tapstack.domain.filter_rules import MirrorRule, PortRange
from tapstack.packets import vxlan
from tapstack.packets.captures import CaptureReader
from tapstack.packets.mirroring import MirrorSession
from tapstack.rehearsal.wire.conversations import Packet
from tapstack.rehearsal.wire.loopback import Loopback
from tapstack.rehearsal.wire.recorder import RecordedFiles, Recorder
from tapstack.rehearsal.wire.wire import Seen, Wire
from tests.rehearsal.test_wire import files_in
from tests.strictmoto.ec2.mirroring.network import Network
from tests.unit.packets.table import CASES, SECOND, acl_of, frame_of, rules_of, session_of, shown

NOON = 1_767_355_200 * SECOND
OPEN = [{"direction": way, "peer": peer} for way in ("ingress", "egress") for peer in ("0.0.0.0/0", "::/0")]
ENTRIES = [{"number": 1 + (rule["peer"] == "::/0"), "action": "allow", **rule} for rule in OPEN]


class Land:
    """A VPC for all cases; each case gets an interface of its own in it."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.ec2 = account.client("ec2")
        self.networks = Network(self.ec2, account.client("elbv2"), "")
        self.made: dict[str, str] = {}
        self.in_force: dict[str, str] = {}

    @functools.cache  # noqa: B019 - as long as the tests of this file
    def vpc(self, cidr: str) -> tuple[str, str]:
        """A VPC and its subnet with the address of the interface."""
        vpc = self.ec2.create_vpc(CidrBlock=cidr, AmazonProvidedIpv6CidrBlock=True)["Vpc"]
        six = self.ec2.describe_vpcs(VpcIds=[vpc["VpcId"]])["Vpcs"][0]["Ipv6CidrBlockAssociationSet"][0]
        subnet = self.ec2.create_subnet(
            VpcId=vpc["VpcId"],
            CidrBlock=f"{cidr.rsplit('.', 2)[0]}.1.0/24",
            Ipv6CidrBlock=six["Ipv6CidrBlock"].replace("/56", "/64"),
        )["Subnet"]
        return vpc["VpcId"], subnet["SubnetId"]

    def interface(self, cidr: str, groups: list[str], *, six: bool = False) -> str:
        _, subnet = self.vpc(cidr)
        more = {"Ipv6AddressCount": 1} if six else {}
        made = self.ec2.create_network_interface(SubnetId=subnet, Groups=groups, **more)
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    @functools.cache  # noqa: B019
    def target(self, kind: str, six: bool) -> str:
        if kind == "network load balancer":
            return self.networks.target(NetworkLoadBalancerArn=self.networks.load_balancer())
        if kind == "gateway load balancer endpoint":
            return self.networks.target(GatewayLoadBalancerEndpointId=self.networks.endpoint())
        vpc, _ = self.vpc("10.0.0.0/16")
        return self.networks.target(self.interface("10.0.0.0/16", [self.group(vpc, ())], six=six))

    def once(self, what: Any, make: Callable[[], str]) -> str:
        """The id of what is made once, however many cases have it."""
        key = json.dumps(what)
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def group(self, vpc: str, documents: Any) -> str:
        """A security group with the rules of a case, and no other."""
        return self.once(["group", vpc, documents], lambda: self._make_group(vpc, documents))

    def _make_group(self, vpc: str, documents: Any) -> str:
        name = f"of-case-{len(self.made)}"
        group = self.ec2.create_security_group(GroupName=name, Description="of a case", VpcId=vpc)
        group_id = group["GroupId"]
        [found] = self.ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
        self.ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=found["IpPermissionsEgress"])
        for rule in rules_of(documents) or ():
            allow = getattr(self.ec2, f"authorize_security_group_{rule.direction}")
            six = ":" in rule.peer
            peer = {"Ipv6Ranges": [{"CidrIpv6": rule.peer}]} if six else {"IpRanges": [{"CidrIp": rule.peer}]}
            protocol = "-1" if rule.protocol is None else str(rule.protocol)
            ports = {} if rule.ports is None else {"FromPort": rule.ports.first, "ToPort": rule.ports.last}
            allow(GroupId=group_id, IpPermissions=[{"IpProtocol": protocol, **ports, **peer}])
        return str(group_id)

    def acl(self, cidr: str, document: Any) -> None:
        """Give the subnet a network ACL with the entries of a case, and no other."""
        vpc, subnet = self.vpc(cidr)
        made = self.once(["ACL", vpc, document], lambda: self._make_acl(vpc, document))
        if self.in_force.get(subnet) == made:
            return
        self.in_force[subnet] = made
        of_subnet = [{"Name": "association.subnet-id", "Values": [subnet]}]
        [before] = self.ec2.describe_network_acls(Filters=of_subnet)["NetworkAcls"]
        [association] = [one for one in before["Associations"] if one["SubnetId"] == subnet]
        self.ec2.replace_network_acl_association(
            AssociationId=association["NetworkAclAssociationId"], NetworkAclId=made
        )

    def _make_acl(self, vpc: str, document: Any) -> str:
        acl = acl_of(document)
        assert acl is not None
        made = self.ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
        for entry in acl.entries:
            block = {"Ipv6CidrBlock" if ":" in entry.peer else "CidrBlock": entry.peer}
            ports = {} if entry.ports is None else {"PortRange": {"From": entry.ports.first, "To": entry.ports.last}}
            self.ec2.create_network_acl_entry(
                NetworkAclId=made,
                RuleNumber=entry.number,
                Protocol="-1" if entry.protocol is None else str(entry.protocol),
                RuleAction=entry.action,
                Egress=entry.direction == "egress",
                **block,
                **ports,
            )
        return str(made)

    def session(self, interface: str, document: dict[str, Any], vni: int) -> None:
        session = session_of(document)
        filter_id = self.once(["filter", document["filter"]], lambda: self._make_filter(session))
        target = self.target(str(session.target.kind), session.target.outer_family == 6)
        length = {} if session.packet_length is None else {"PacketLength": session.packet_length}
        self.networks.session(
            interface, target, session.number, filter_id=filter_id, VirtualNetworkId=vni + session.number, **length
        )

    def _make_filter(self, session: MirrorSession) -> str:
        assert session.filter is not None
        filter_id = self.networks.filter()
        for direction in ("ingress", "egress"):
            for rule in session.rules(direction):
                self.networks.rule(filter_id, **rule_parameters(rule))
        if session.filter.amazon_dns:
            self.ec2.modify_traffic_mirror_filter_network_services(
                TrafficMirrorFilterId=filter_id, AddNetworkServices=["amazon-dns"]
            )
        return filter_id


def rule_parameters(rule: MirrorRule) -> dict[str, Any]:
    ports = {"Source": rule.traffic.source_ports, "Destination": rule.traffic.destination_ports}
    return {
        "number": rule.number,
        "TrafficDirection": rule.direction,
        "RuleAction": rule.action,
        "SourceCidrBlock": rule.source_cidr,
        "DestinationCidrBlock": rule.destination_cidr,
        **({} if rule.traffic.protocol is None else {"Protocol": rule.traffic.protocol}),
        **{f"{side}PortRange": port_range(given) for side, given in ports.items() if given is not None},
    }


def port_range(ports: PortRange) -> dict[str, int]:
    return {"FromPort": ports.first, "ToPort": ports.last}


@pytest.fixture(scope="module")
def land(aws_account_server: Account) -> Land:
    aws_account_server.reset()
    return Land(aws_account_server)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_when_packets_flow_then_what_is_recorded_is_what_aws_says(
    land: Land, case: dict[str, Any], tmp_path: Path
) -> None:
    cidr = case.get("vpc_cidr", "10.0.0.0/16")
    target: dict[str, Any] = next((one["target"] for one in case["sessions"] if "target" in one), {})
    six = target.get("outer_family") == 6
    vpc, _ = land.vpc(cidr)
    interface = land.interface(cidr, [land.group(vpc, case.get("groups", OPEN))], six=six)
    land.acl(cidr, case.get("acl", {"entries": ENTRIES}))
    for document in case["sessions"]:
        land.session(interface, document, 4700)

    folder, seen = files_in(tmp_path), list[Seen]()
    expected: list[tuple[str, dict[str, Any]]] = []
    copies: list[tuple[int, bytes]] = []
    known = {key: target[key] for key in ("mtu", "outer_family") if key in target}
    with (
        Loopback() as loopback,
        Wire(
            land.account,
            lambda target: Recorder(target, loopback.address_of, folder),
            loopback,
            watch=seen.append,
            **known,
        ) as wire,
    ):
        packets: list[Packet] = []
        for step in [*case["steps"], {}]:
            if not {"ingress", "egress"} & step.keys():
                # What follows comes after a change, or not at all.
                wire.play(interface, packets)
                packets.clear()
            if "groups" in step:
                groups = [land.group(vpc, step["groups"])]
                land.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)
            if "acl" in step:
                land.acl(cidr, step["acl"])
            for direction in {"ingress", "egress"} & step.keys():
                frame = frame_of(step[direction])
                packets.append(Packet(direction, frame, NOON + step.get("at", 0) * SECOND, step[direction]))
                expected.append((step[direction], {key: step[key] for key in ("mirrored", "not") if key in step}))
                if "mirrored" in step:
                    size = step["mirrored"].get("bytes", len(frame))
                    copies.append((4700 + step["mirrored"]["session"], frame[:size]))
    land.ec2.delete_network_interface(NetworkInterfaceId=interface)
    found = [
        (one.packet.what, shown(one.verdict, sized="bytes" in wanted.get("mirrored", {})))
        for one, (_, wanted) in zip(seen, expected, strict=True)
    ]
    assert found == expected
    assert recorded(folder) == sorted(copies)


def recorded(folder: RecordedFiles) -> list[tuple[int, bytes]]:
    """VNI and frame of the copies in all files; sessions may have targets of their own."""
    found = []
    for path in folder.files:
        with path.open("rb") as file:
            for buffer, start, end, *_ in CaptureReader(file):
                copy = vxlan.unwrap(buffer, start, end)
                assert copy is not None
                found.append((copy.vni, buffer[copy.start : copy.end]))
    return sorted(found)
