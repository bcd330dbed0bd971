"""Mirroring is held to cases that were worked out by hand from AWS's documents, and are in mirroring.yaml."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_presets import FilterPreset
from tapstack.domain.filter_rules import Direction, MirrorRule, PortRange, Traffic
from tapstack.packets import mirroring
from tapstack.packets.firewall import Firewall, GroupRule
from tapstack.packets.frames import decode_frame
from tapstack.packets.mirroring import Dropped, MirrorSession, MirrorTarget, decide
from tapstack.packets.written import parse_packet
from tests import made_packets as made
from tests.made_captures import pcap
from tests.unit.packets.table import (
    CASES,
    SECOND,
    TABLE,
    acl_of,
    as_frame,
    as_written,
    frame_of,
    rules_of,
    session_of,
    shown,
)


@pytest.mark.parametrize("read", [as_written, as_frame])
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_when_packets_come_then_what_is_mirrored_is_what_aws_says(case: dict[str, Any], read: Any) -> None:
    sessions = [session_of(one) for one in case["sessions"]]
    rules, acl, vpc = rules_of(case.get("groups")), acl_of(case.get("acl")), case.get("vpc_cidr")
    firewall = Firewall()
    found, expected = [], []
    for step in case["steps"]:
        if not {"ingress", "egress"} & step.keys():
            rules = rules_of(step["groups"]) if "groups" in step else rules
            acl = acl_of(step["acl"]) if "acl" in step else acl
            continue
        direction: Direction = "ingress" if "ingress" in step else "egress"
        headers, length = read(step[direction])
        dropped = firewall.check(headers, direction, step.get("at", 0) * SECOND, rules=rules, acl=acl, vpc_cidr=vpc)
        verdict = decide(headers, direction, sessions, length=length, vpc_cidr=vpc, dropped=dropped)
        wanted = {key: step[key] for key in ("mirrored", "not") if key in step}
        sized = "bytes" in step.get("mirrored", {})
        found.append((step[direction], shown(verdict, sized=sized)))
        expected.append((step[direction], wanted))
    assert found == expected


def test_when_a_case_stands_in_the_table_then_it_names_a_page_of_aws() -> None:
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names) >= 40
    assert {case["page"] for case in CASES} == set(TABLE["pages"])
    assert all("docs.aws.amazon.com/" in page for page in TABLE["pages"].values())


def everything(number: int = 1, **more: Any) -> MirrorSession:
    rules = tuple(
        MirrorRule(direction, source=anywhere)
        for direction in ("ingress", "egress")
        for anywhere in ("0.0.0.0/0", "::/0")
    )
    return MirrorSession(number, "all", FilterPreset(rules), more.pop("target", MirrorTarget("sensor")), **more)


def only(rule: MirrorRule) -> MirrorSession:
    return MirrorSession(1, "one", FilterPreset((rule,)), MirrorTarget("sensor"))


WEB = as_written("tcp 10.0.1.5:41000 > 203.0.113.7:443")[0]


def test_when_ipv6_has_extension_headers_then_the_protocol_behind_them_counts_and_that_is_inferred() -> None:
    extensions = [(0, made.options_header()), (60, made.options_header(1))]
    packet = made.ipv6("2001:db8::5", "2001:db8:1::9", made.TCP, made.tcp(41000, 443), extensions=extensions)
    rule = MirrorRule("egress", traffic=Traffic.tcp(443), destination="::/0")
    verdict = decide(decode_frame(made.ethernet(packet)), "egress", [only(rule)])
    assert verdict.outcome == "mirrored"
    assert verdict.inferred == (mirroring.INFERRED_EXTENSIONS,)


def test_when_ipv4_has_an_authentication_header_then_it_is_of_protocol_51() -> None:
    header = bytes([made.TCP]) + made.authentication_header()
    packet = made.ipv4("10.0.1.5", "203.0.113.7", 51, header + made.tcp(41000, 443))
    headers = decode_frame(made.ethernet(packet))
    assert headers.destination_port == 443, "what is behind it is known"
    assert decide(headers, "egress", [only(MirrorRule("egress", traffic=Traffic.tcp(443)))]).cause == "no rule"


def test_when_a_frame_is_not_ip_then_no_rule_matches_and_that_is_inferred() -> None:
    verdict = decide(decode_frame(made.ethernet(bytes(46), 0x88CC)), "ingress", [everything()])
    assert (verdict.outcome, verdict.cause) == ("not mirrored", "no rule")
    assert verdict.inferred == (mirroring.INFERRED_NOT_IP,)


@pytest.mark.parametrize("size", range(60))
def test_when_a_frame_is_cut_anywhere_then_there_is_a_verdict(size: int) -> None:
    frame = made.ethernet(made.ipv4("10.0.1.5", "203.0.113.7", made.TCP, made.tcp(41000, 443)))[:size]
    headers = decode_frame(frame)
    assert Firewall().check(headers, "egress", 0, rules=None) is None
    verdict = decide(headers, "egress", [everything()], length=len(frame))
    assert (verdict.outcome == "mirrored") is (size >= 14 + 20)


def test_when_a_session_s_rules_are_not_known_then_neither_is_what_it_mirrors() -> None:
    unknown = MirrorSession(1, "incident", None, MirrorTarget("sensor"))
    verdict = decide(WEB, "egress", [everything(2), unknown])
    assert (verdict.outcome, verdict.cause, verdict.session) == ("unknown", "unknown filter", unknown)
    assert verdict.why == "session incident (number 1) is asked first, and the rules of its filter are not known"
    assert decide(WEB, "egress", [everything(), MirrorSession(2, "x", None, MirrorTarget("y"))]).session == everything()


def test_when_the_kind_of_a_target_is_not_known_then_neither_is_whether_a_packet_arrives_whole() -> None:
    target = MirrorTarget("tmt-1", None)
    assert decide(WEB, "egress", [everything(target=target)], length=20_000).whole is None
    cut = decide(WEB, "egress", [everything(target=target, packet_length=100)], length=20_000)
    assert (cut.kept, cut.whole, cut.cut_by) == (100, False, "packet length")


def test_when_no_length_is_known_then_neither_is_how_much_arrives() -> None:
    verdict = decide(WEB, "egress", [everything(packet_length=100)])
    assert (verdict.kept, verdict.whole, verdict.cut_by) == (None, None, "")


def test_when_a_packet_is_truncated_then_the_count_of_its_bytes_is_inferred() -> None:
    verdict = decide(WEB, "egress", [everything()], length=9000)
    assert (verdict.kept, verdict.whole, verdict.cut_by) == (8961, False, "MTU")
    assert verdict.inferred == (mirroring.INFERRED_SIZE.format(less=54),)
    # An example of the mirrored packet as it arrives: IPv4, UDP and VXLAN are 36 bytes, below the target's MTU.
    assert 8961 + 36 <= 9001


def test_when_the_source_drops_an_outbound_packet_then_that_it_is_not_mirrored_is_inferred() -> None:
    dropped = Dropped("security groups", "no rule")
    assert decide(WEB, "egress", [everything()], dropped=dropped).inferred == (mirroring.INFERRED_EGRESS_DROP,)
    assert decide(WEB, "ingress", [everything()], dropped=dropped).inferred == ()


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (MirrorRule("egress", destination="::/0"), "it is IPv4"),
        (MirrorRule("egress", source="10.0.2.0/24"), "its source is not in 10.0.2.0/24"),
        (MirrorRule("egress", destination="10.0.2.0/24"), "its destination is not in 10.0.2.0/24"),
        (
            MirrorRule("egress", traffic=Traffic.tcp(80)),
            "its destination port is 443, not 80",
        ),
        (MirrorRule("egress"), ""),
    ],
)
def test_when_a_rule_does_not_match_then_it_says_why(rule: MirrorRule, why: str) -> None:
    assert mirroring.mismatch(rule, WEB) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("udp 10.0.1.5:41000 > 203.0.113.7:443", "it is not tcp"),
        ("tcp 10.0.1.5 > 203.0.113.7 later fragment", "it has no ports"),
    ],
)
def test_when_a_packet_has_no_such_protocol_or_port_then_it_says_so(text: str, why: str) -> None:
    assert mirroring.mismatch(MirrorRule("egress", traffic=Traffic.tcp(80)), as_written(text)[0]) == why


def test_when_a_flow_is_reset_then_it_is_tracked_no_longer() -> None:
    allow = (GroupRule("egress", made.TCP, PortRange(443, 443), "203.0.113.0/24"),)
    firewall = Firewall()
    assert firewall.check(WEB, "egress", 0, rules=allow) is None
    reset = WEB._replace(tcp_flags=0x14)
    assert firewall.check(reset, "egress", 1, rules=()) is None
    assert firewall.check(WEB, "egress", 2, rules=()) == Dropped(
        "security groups", "the security groups have no egress rule, and it belongs to no tracked flow"
    )


def test_when_the_idle_time_of_the_interface_is_shorter_then_flows_end_sooner() -> None:
    allow = (GroupRule("egress", made.TCP, PortRange(443, 443), "203.0.113.0/24"),)
    firewall = Firewall(tcp_established_seconds=60)
    assert firewall.check(WEB, "egress", 0, rules=allow) is None
    assert firewall.check(WEB, "egress", 61 * SECOND, rules=()) is not None


def test_when_there_are_more_flows_than_are_remembered_then_the_one_idle_longest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tapstack.packets.firewall.FLOWS", 2)
    allow = (GroupRule("egress", made.TCP, PortRange(443, 443), "203.0.113.0/24"),)
    firewall = Firewall()
    flows = [WEB._replace(source_port=port) for port in (1, 2, 3)]
    for headers in (flows[0], flows[1], flows[0], flows[2]):
        assert firewall.check(headers, "egress", 0, rules=allow) is None
    passed = [firewall.check(headers, "egress", 1, rules=()) is None for headers in flows]
    assert passed == [True, False, True]


@pytest.mark.parametrize("number", [0, 32767])
def test_fails_when_a_session_has_no_number_of_aws(number: int) -> None:
    with pytest.raises(RuleViolation, match="session number must be a whole number from 1 to 32766"):
        everything(number)


@pytest.mark.parametrize(("kind", "length"), [("network load balancer", 8501), ("network interface", 0)])
def test_fails_when_a_packet_length_is_out_of_range(kind: Any, length: int) -> None:
    with pytest.raises(RuleViolation, match="packet length must be"):
        everything(target=MirrorTarget("t", kind), packet_length=length)


@pytest.mark.parametrize("mtu", [67, 9217])
def test_fails_when_a_target_has_no_possible_mtu(mtu: int) -> None:
    with pytest.raises(RuleViolation, match="^the MTU of a target must be 68 to 9216, got"):
        MirrorTarget("t", mtu=mtu)


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark on this machine")
def test_when_tshark_reads_the_packets_of_the_table_then_they_are_those_that_are_written(tmp_path: Path) -> None:
    """Addresses, protocol and ports are what decides; tshark knows neither our notation nor our decoder."""
    steps = [step for case in CASES for step in case["steps"]]
    texts = [step[way] for step in steps for way in ("ingress", "egress") if way in step]
    file = tmp_path / "table.pcap"
    file.write_bytes(pcap((number, frame_of(text)) for number, text in enumerate(texts)))
    fields = ("ip.src", "ip.dst", "ip.proto", "ipv6.src", "ipv6.dst", "ipv6.fraghdr.nxt", "ipv6.nxt")
    ports = ("tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "icmp.type", "icmpv6.type")
    command = ["tshark", "-n", "-r", str(file), "-T", "fields", "-E", "occurrence=f"]
    command += ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    for name in (*fields, *ports):
        command += ["-e", name]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) == len(texts) > 100
    for text, line in zip(texts, lines, strict=True):
        source4, destination4, protocol4, source6, destination6, behind, next6, *rest = line.split("\t")
        tcp_source, tcp_destination, udp_source, udp_destination, icmp, icmpv6 = rest
        headers = parse_packet(text).headers
        if headers.family is None:
            assert line.strip() == "", text
            continue
        address = ipaddress.IPv4Address if headers.family == 4 else ipaddress.IPv6Address
        sides = (str(address(headers.source or 0)), str(address(headers.destination or 0)))
        assert (source4 or source6, destination4 or destination6) == sides, text
        assert int(protocol4 or behind or next6) == headers.protocol, text
        seen = (tcp_source or udp_source, tcp_destination or udp_destination)
        assert seen == tuple(
            "" if one is None else str(one) for one in (headers.source_port, headers.destination_port)
        ), text
        if headers.icmp_type is not None:
            assert int(icmp or icmpv6) == headers.icmp_type, text
