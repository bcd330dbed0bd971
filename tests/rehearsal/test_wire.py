"""Packets flow in the account: what is mirrored arrives as datagrams, and is recorded as AWS sends it."""

from __future__ import annotations

import ipaddress
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from strictmoto.account import Account
from strictmoto.company import Company, found_company
from tapstack.domain.errors import RuleViolation
from tapstack.packets import storage, vxlan
from tapstack.packets.captures import CaptureReader
from tapstack.packets.frames import decode_frame
from tapstack.packets.mirroring import MirrorTarget
from tapstack.rehearsal.wire import conversations
from tapstack.rehearsal.wire.conversations import Channel, Clock, Host, Packet
from tapstack.rehearsal.wire.interfaces import WiredTarget
from tapstack.rehearsal.wire.loopback import Loopback
from tapstack.rehearsal.wire.played import read_packets
from tapstack.rehearsal.wire.recorder import RecordedFiles, Recorder
from tapstack.rehearsal.wire.wire import Seen, Wire
from tests import made_packets as made
from tests.made_captures import pcap

SECOND = 1_000_000_000
NOON = int(datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp()) * SECOND


class Played:
    """The company with its database mirrored, a wire, and what a recorder has of it."""

    def __init__(self, account: Account, company: Company, wire: Wire, folder: RecordedFiles) -> None:
        self.account, self.company, self.wire, self.folder = account, company, wire, folder
        self.ec2 = account.client("ec2")
        self.interface = company.interfaces["database"][0]
        self.seen: list[Seen] = []
        self.appliance = ""
        self.clock = Clock(NOON)

    @property
    def host(self) -> Host:
        return self.wire.host(self.interface)

    def recorded(self) -> list[tuple[int, bytes]]:
        """VNI and frame of each copy in the files, in order."""
        self.wire.close()
        found = []
        for path in self.folder.files:
            with path.open("rb") as file:
                for buffer, start, end, *_ in CaptureReader(file):
                    copy = vxlan.unwrap(buffer, start, end)
                    assert copy is not None
                    found.append((copy.vni, buffer[copy.start : copy.end]))
        return found

    def mirrored(self, what: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.packet.what == what and seen.target]


def files_in(path: Path) -> RecordedFiles:
    return RecordedFiles(path, storage.Recorder("test", "123456789012", "eu-central-1", vpc_id="vpc-01234567"))


@contextmanager
def wired(account: Account, tmp_path: Path) -> Iterator[Played]:
    company = found_company(account)
    folder = files_in(tmp_path / "recorded")
    seen: list[Seen] = []
    with (
        Loopback() as loopback,
        Wire(
            account, lambda target: Recorder(target, loopback.address_of, folder), loopback, watch=seen.append
        ) as wire,
    ):
        played = Played(account, company, wire, folder)
        played.seen = seen
        yield played


@pytest.fixture
def wire(aws_account: Account, tmp_path: Path) -> Iterator[Played]:
    with wired(aws_account, tmp_path) as played:
        mirror(played)
        yield played


def mirror(played: Played, **session: Any) -> None:
    """Mirror everything of the database's interface to an appliance."""
    ec2 = played.ec2
    filter_id = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    ec2.modify_traffic_mirror_filter_network_services(
        TrafficMirrorFilterId=filter_id, AddNetworkServices=["amazon-dns"]
    )
    for direction in ("ingress", "egress"):
        ec2.create_traffic_mirror_filter_rule(
            TrafficMirrorFilterId=filter_id,
            TrafficDirection=direction,
            RuleNumber=100,
            RuleAction="accept",
            SourceCidrBlock="0.0.0.0/0",
            DestinationCidrBlock="0.0.0.0/0",
        )
    appliance = ec2.create_network_interface(SubnetId=played.company.shop.private[1])["NetworkInterface"]
    target = ec2.create_traffic_mirror_target(NetworkInterfaceId=appliance["NetworkInterfaceId"])
    ec2.create_traffic_mirror_session(
        NetworkInterfaceId=played.interface,
        TrafficMirrorTargetId=target["TrafficMirrorTarget"]["TrafficMirrorTargetId"],
        TrafficMirrorFilterId=filter_id,
        **{"SessionNumber": 1, "VirtualNetworkId": 4711, **session},
    )
    played.appliance = appliance["PrivateIpAddress"]


def isolate(played: Played) -> list[str]:
    """Give the interface a group without rules, as containment does; return the groups before."""
    [found] = played.ec2.describe_network_interfaces(NetworkInterfaceIds=[played.interface])["NetworkInterfaces"]
    group = played.ec2.create_security_group(
        GroupName="quarantine", Description="no rules", VpcId=played.company.shop.id
    )["GroupId"]
    played.ec2.revoke_security_group_egress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    put(played, [group])
    return [one["GroupId"] for one in found["Groups"]]


def put(played: Played, groups: list[str]) -> None:
    played.ec2.modify_network_interface_attribute(NetworkInterfaceId=played.interface, Groups=groups)


def test_when_an_instance_is_contained_then_its_beacon_ends_and_what_it_had_open_goes_on(wire: Played) -> None:
    channel = Channel.of(wire.host, wire.clock)
    wire.wire.converse(wire.interface, channel.begin())
    before = wire.wire.converse(wire.interface, conversations.beacon(wire.host, wire.clock, beats=2))
    assert (before.packets, before.mirrored, before.dropped) == (2 * 9, 2 * 9, 0)

    groups = isolate(wire)
    contained = wire.wire.converse(wire.interface, conversations.beacon(wire.host, wire.clock, first_port=45_100))
    # Three times a SYN, sent three times each, and nobody answers.
    assert (contained.packets, contained.mirrored, contained.dropped) == (9, 0, 9)
    assert {seen.verdict.cause for seen in wire.seen[-9:]} == {"security groups"}
    tracked = wire.wire.converse(wire.interface, channel.carry(2))
    assert (tracked.packets, tracked.mirrored) == (8, 8), "changing groups does not end a tracked flow"

    put(wire, groups)
    after = wire.wire.converse(wire.interface, conversations.beacon(wire.host, wire.clock, first_port=45_200))
    assert (after.mirrored, after.dropped) == (27, 0)

    ports = [decode_frame(frame).source_port for _, frame in wire.recorded()]
    beats = {port for port in ports if port is not None and port >= 45_000}
    assert beats == {45_000, 45_001, 45_200, 45_201, 45_202}


def test_when_containment_makes_flows_untracked_first_then_what_was_open_ends_too(wire: Played) -> None:
    """The two steps of AWS's runbook: a group that is open both ways, and then one without rules."""
    channel = Channel.of(wire.host, wire.clock)
    wire.wire.converse(wire.interface, channel.begin())
    opened = wire.ec2.create_security_group(GroupName="open", Description="all", VpcId=wire.company.shop.id)["GroupId"]
    wire.ec2.authorize_security_group_ingress(
        GroupId=opened, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    put(wire, [opened])
    assert wire.wire.converse(wire.interface, channel.carry(1)).mirrored == 4
    isolate(wire)
    assert wire.wire.converse(wire.interface, channel.carry(1)).mirrored == 0


def test_when_the_idle_time_of_the_interface_is_shortened_then_a_flow_that_rests_ends(wire: Played) -> None:
    channel = Channel.of(wire.host, wire.clock)
    wire.wire.converse(wire.interface, channel.begin())
    isolate(wire)
    wire.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=wire.interface, ConnectionTrackingSpecification={"TcpEstablishedTimeout": 60}
    )
    assert wire.wire.converse(wire.interface, channel.carry(1)).mirrored == 4
    wire.clock.wait(61 * SECOND)
    assert wire.wire.converse(wire.interface, channel.carry(1)).mirrored == 0


def test_when_hosts_talk_then_what_the_groups_pass_is_recorded(wire: Played) -> None:
    host, clock, resolver = wire.host, wire.clock, wire.wire.resolver(wire.interface)
    assert resolver == "10.0.0.2"
    client = wire.wire.host(wire.company.interfaces["web-1"][0]).address
    for conversation in (
        conversations.website(host, clock),
        conversations.database(host, clock, client),
        conversations.dns(host, clock, resolver),
        conversations.scan(host, clock),
    ):
        wire.wire.converse(wire.interface, conversation)
    counted = {what: len(wire.mirrored(what)) for what in ("web", "database", "DNS", "scan")}
    assert counted == {"web": 11, "database": 11, "DNS": 2, "scan": 0}
    assert {seen.verdict.cause for seen in wire.seen if seen.packet.what == "scan"} == {"security groups"}
    assert wire.recorded() == [(4711, seen.packet.frame) for seen in wire.seen if seen.target]


def test_when_a_group_names_a_group_then_its_interfaces_may_come_in(wire: Played) -> None:
    web = wire.company.security_groups["web"]
    wire.ec2.authorize_security_group_ingress(
        GroupId=wire.company.security_groups["database"],
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 9187, "ToPort": 9187, "UserIdGroupPairs": [{"GroupId": web}]}],
    )
    member = wire.wire.host(wire.company.interfaces["web-1"][0]).address
    other = wire.wire.host(wire.company.interfaces["legacy"][0]).address
    passed = [
        wire.wire.converse(wire.interface, conversations.scan(wire.host, wire.clock, ports=[9187], peer=peer)).mirrored
        for peer in (member, other)
    ]
    assert passed == [2, 0]


def test_when_a_session_copies_less_then_so_much_arrives(aws_account: Account, tmp_path: Path) -> None:
    with wired(aws_account, tmp_path) as played:
        mirror(played, PacketLength=100)
        played.wire.converse(played.interface, conversations.website(played.host, played.clock))
        frames = [frame for _, frame in played.recorded()]
        assert frames == [seen.packet.frame[:100] for seen in played.seen]
        assert max(map(len, frames)) == 100


def test_when_packets_are_mirrored_then_cloudwatch_counts_them(wire: Played) -> None:
    wire.wire.converse(wire.interface, conversations.beacon(wire.host, wire.clock, beats=10))
    instance = wire.company.instances["database"]
    for way, direction in (("In", "ingress"), ("Out", "egress")):
        seen = [one for one in wire.seen if one.packet.direction == direction]
        assert counted(wire.account, instance, f"NetworkMirror{way}") == sum(len(one.packet.frame) for one in seen)
        assert counted(wire.account, instance, f"NetworkPacketsMirror{way}") == len(seen)


def test_when_nothing_is_mirrored_then_cloudwatch_counts_nothing(aws_account: Account, tmp_path: Path) -> None:
    with wired(aws_account, tmp_path) as played:
        done = played.wire.converse(played.interface, conversations.website(played.host, played.clock))
        assert (done.packets, done.mirrored) == (11, 0)
        assert {seen.verdict.cause for seen in played.seen} == {"no session"}
        assert counted(aws_account, played.company.instances["database"], "NetworkMirrorOut") == 0
        assert played.recorded() == []


def counted(account: Account, instance: str, metric: str) -> float:
    at = datetime.fromtimestamp(NOON // SECOND, UTC)
    points = account.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/EC2",
        MetricName=metric,
        Dimensions=[{"Name": "InstanceId", "Value": instance}],
        StartTime=at - timedelta(hours=1),
        EndTime=at + timedelta(hours=1),
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark on this machine")
def test_when_tshark_reads_the_files_then_copies_are_as_aws_sends_them(wire: Played) -> None:
    host = wire.host
    wire.wire.converse(wire.interface, conversations.dns(host, wire.clock, "10.0.0.2"))
    wire.wire.converse(wire.interface, conversations.beacon(host, wire.clock, beats=1))
    wire.wire.converse(wire.interface, conversations.website(host, wire.clock))
    wire.wire.close()
    [file] = wire.folder.files
    checks = ("ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE")
    options = [word for check in checks for word in ("-o", check)]
    fields = ("ip.src", "ip.dst", "ip.ttl", "udp.dstport", "vxlan.vni", "tcp.dstport", "dns.qry.name", "_ws.expert")
    named = [word for name in fields for word in ("-e", name)]
    lines = subprocess.run(
        ["tshark", "-n", "-r", str(file), *options, "-T", "fields", "-E", "separator=;", *named],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert len(lines) == len([seen for seen in wire.seen if seen.target])
    query = lines[0].split(";")
    assert query[0] == f"{host.address},{host.address}"
    assert query[1] == f"{wire.appliance},10.0.0.2"
    assert query[2:5] == ["255,64", "4789,53", "4711"]
    assert query[6] == "www.example.com"
    wrong = subprocess.run(
        ["tshark", "-n", "-r", str(file), *options, "-Y", "ip.checksum.status == 0 || tcp.checksum.status == 0"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert wrong.stdout == ""
    beats = subprocess.run(
        ["tshark", "-n", "-r", str(file), "-Y", "ip.dst == 203.0.113.7 && tcp.len == 96"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(beats.stdout.splitlines()) == 1


def test_when_a_capture_is_played_then_its_packets_flow_at_the_interface(wire: Played, tmp_path: Path) -> None:
    address, peer = wire.host.address, "203.0.113.9"
    sent = made.ethernet(made.ipv4(address, peer, made.TCP, made.tcp(41000, 443, flags=2)))
    got = made.ethernet(made.ipv4(peer, address, made.TCP, made.tcp(443, 41000, flags=0x12)))
    other = made.ethernet(made.ipv4("10.0.9.9", peer, made.TCP, made.tcp(1, 2)))
    file = tmp_path / "mine.pcap"
    file.write_bytes(pcap([(5 * SECOND, sent), (6 * SECOND, other), (7 * SECOND, got), (SECOND, sent)]))
    packets = list(read_packets(file, [address], NOON))
    assert packets == [
        Packet("egress", sent, NOON, "mine.pcap"),
        Packet("ingress", got, NOON + 2 * SECOND, "mine.pcap"),
        Packet("egress", sent, NOON + 2 * SECOND, "mine.pcap"),
    ]
    assert wire.wire.play(wire.interface, packets).mirrored == 3
    assert wire.recorded() == [(4711, sent), (4711, got), (4711, sent)]


def test_when_a_capture_has_no_ethernet_then_its_packets_get_it(tmp_path: Path) -> None:
    packet = made.ipv4("10.0.1.5", "203.0.113.9", made.UDP, made.udp(1, 2, b"x"))
    six = made.ipv6("2001:db8::5", "2001:db8::9", made.UDP, made.udp(1, 2, b"x"))
    file = tmp_path / "raw.pcap"
    file.write_bytes(pcap([(0, packet), (1, six)], link_type=101))
    first, second = read_packets(file, ["10.0.1.5", "2001:db8::9"], NOON)
    assert (first.direction, first.frame[14:]) == ("egress", packet)
    assert (second.direction, second.frame[14:]) == ("ingress", six)
    assert [decode_frame(one.frame).family for one in (first, second)] == [4, 6]


def test_fails_when_no_packet_of_a_capture_is_of_the_host(tmp_path: Path) -> None:
    file = tmp_path / "mine.pcap"
    packet = made.ethernet(made.ipv4("10.0.9.9", "203.0.113.9", made.TCP, made.tcp(1, 2)))
    file.write_bytes(pcap([(0, packet)]))
    message = "^mine.pcap has no packet of 10.0.1.5: expected an address that is in it, such as 10.0.9.9, 203.0.113.9$"
    with pytest.raises(RuleViolation, match=message):
        list(read_packets(file, ["10.0.1.5"], NOON))
    file.write_bytes(pcap([]))
    with pytest.raises(RuleViolation, match=r"^mine.pcap has no packet of 10.0.1.5: it has none of any address$"):
        list(read_packets(file, ["10.0.1.5"], NOON))


def test_when_sessions_have_targets_of_their_own_then_each_recorder_gets_what_is_its(
    aws_account: Account, tmp_path: Path
) -> None:
    with wired(aws_account, tmp_path) as played:
        mirror(played, SessionNumber=2, VirtualNetworkId=4712)
        later = played.appliance
        mirror(played, SessionNumber=1, PacketLength=60)
        played.ec2.delete_traffic_mirror_filter_rule(
            TrafficMirrorFilterRuleId=rule_of(played, session=1, direction="EgressFilterRules")
        )
        played.wire.converse(played.interface, conversations.beacon(played.host, played.clock, beats=1))
        played.wire.close()
        to: dict[tuple[str, int], set[int | None]] = {}
        for path in played.folder.files:
            with path.open("rb") as file:
                for buffer, start, end, *_ in CaptureReader(file):
                    outer = decode_frame(buffer, start, end)
                    copy = vxlan.unwrap(buffer, start, end)
                    assert copy is not None
                    assert outer.destination is not None
                    inner = decode_frame(buffer, copy.start, copy.end)
                    to.setdefault((str(ipaddress.IPv4Address(outer.destination)), copy.vni), set()).add(
                        inner.source_port
                    )
        assert to == {(later, 4712): {45_000}, (played.appliance, 4711): {443}}


def rule_of(played: Played, *, session: int, direction: str) -> str:
    """The id of the rule of a direction of the session with a number."""
    sessions = played.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
    [filter_id] = [one["TrafficMirrorFilterId"] for one in sessions if one["SessionNumber"] == session]
    [found] = played.ec2.describe_traffic_mirror_filters(TrafficMirrorFilterIds=[filter_id])["TrafficMirrorFilters"]
    return str(found[direction][0]["TrafficMirrorFilterRuleId"])


def test_when_another_program_sends_to_the_recorder_then_it_is_not_recorded(wire: Played) -> None:
    recorders: list[Recorder] = []
    with Loopback() as loopback, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:

        def listen(target: WiredTarget) -> Recorder:
            recorders.append(Recorder(target, loopback.address_of, wire.folder))
            stranger.sendto(vxlan.datagram(b"not of AWS", 4711), ("127.0.0.1", recorders[-1].port))
            return recorders[-1]

        with Wire(wire.account, listen, loopback) as other:
            other.converse(wire.interface, conversations.dns(wire.host, wire.clock, "10.0.0.2"))
    assert recorders[0].packets == 2
    assert all(b"not of AWS" not in frame for _, frame in wire.recorded())


def test_when_a_file_is_full_then_the_next_packet_begins_another_one(tmp_path: Path) -> None:
    folder = files_in(tmp_path)
    target = WiredTarget("tmt-1", MirrorTarget("tmt-1"), ("10.0.0.9",))
    with Loopback() as loopback, Recorder(target, loopback.address_of, folder, largest=100) as recorder:
        for number in range(3):
            loopback.send("10.0.1.5", recorder.port, vxlan.datagram(bytes(60), 7))
            recorder.receive(NOON + number)
    times = [f"20260102T120000.00000000{number}Z" for number in range(3)]
    assert [path.name for path in folder.files] == [f"{at}_{at}_test_{n:08}.pcap" for n, at in enumerate(times, 1)]


def test_fails_when_a_copy_does_not_arrive(tmp_path: Path) -> None:
    target = WiredTarget("tmt-1", MirrorTarget("tmt-1"), ("10.0.0.9",))
    with (
        Loopback() as loopback,
        Recorder(target, loopback.address_of, files_in(tmp_path)) as recorder,
        pytest.raises(TimeoutError),
    ):
        recorder.receive(NOON, seconds=0.01)
