"""`tapstack simulate`: what is shown of the verdicts, which tests/unit/packets holds, and what is refused."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tapstack.cli import main
from tapstack.cli.simulate_sessions import PRESETS
from tests import example_capture, made_captures, made_packets
from tests.unit.settings.reading import SITE, USABLE

ROOT = Path(__file__).parents[3]
WEB = "tcp 10.0.1.5:41000 > 203.0.113.7:443"
MIRRORED = """\
    targets:
      sensors: {network_load_balancer_arn: "ARN"}
      endpoint: {gateway_load_balancer_endpoint_id: vpce-0a000000000000001}
      single: {network_interface_id: eni-0f000000000000001}
    filters:
      web: {preset: web}
      outbound: {rules: [{direction: egress, action: reject, destination: 10.0.0.0/8}, {direction: egress}]}
    sessions:
      servers:
        {filter: web, target: sensors, packet_length: 200, sources: [eni-0a000000000000001, eni-0a000000000000002]}
      rest: {filter: outbound, target: single, virtual_network_id: 77, sources: [eni-0a000000000000001]}
      others: {filter: tmf-0a000000000000001, target: tmt-0a000000000000001, sources: [eni-0a000000000000003]}
      tagged: {filter: outbound, target: endpoint, sources: [{tags: {application: checkout}}]}
""".replace("ARN", "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/sensors/1234567890abcdef")
Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_a_directory_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TAPSTACK_DEPLOYMENT", "CDKTF_CONTEXT_JSON"):
        monkeypatch.delenv(name, raising=False)
    Path("deployment.yaml").write_text(SITE + MIRRORED)


def simulated(capsys: Printed, *arguments: str) -> dict[str, Any]:
    """What is printed as JSON."""
    assert main(["simulate", *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def refused(capsys: Printed, *arguments: str) -> str:
    """The message to the user."""
    assert main(["simulate", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.strip()


def capture(*frames: bytes, link_type: int = 1) -> None:
    packets = [(1_780_000_000_000_000_000 + number, frame) for number, frame in enumerate(frames)]
    Path("seen.pcap").write_bytes(made_captures.pcap(packets, link_type=link_type))


def frame(source: str, destination: str, source_port: int, destination_port: int, size: int = 0) -> bytes:
    segment = made_packets.tcp(source_port, destination_port, bytes(size))
    return made_packets.ethernet(made_packets.ipv4(source, destination, made_packets.TCP, segment))


def test_when_a_packet_is_given_to_a_filter_then_each_rule_says_what_it_does(capsys: Printed) -> None:
    assert main(["simulate", WEB, "--filter", "outbound"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"packet    {WEB}",
        "filter    outbound of site production: 2 rules, no amazon-dns",
        "",
        "direction  outcome       why",
        "egress     mirrored      rule 200 accepts it",
        "ingress    not mirrored  the filter has no ingress rule",
        "",
        "filter outbound, egress",
        "  rule  action  protocol  source     destination",
        "  100   reject  all       0.0.0.0/0  10.0.0.0/8   no: its destination is not in 10.0.0.0/8",
        "  200   accept  all       0.0.0.0/0  0.0.0.0/0    matches: accept",
        "",
        "filter outbound, ingress",
        "  no rule",
        "",
        "note      security groups and network ACLs are not in the file: a packet that those of the interface drop is "
        "not mirrored",
    ]


@pytest.mark.parametrize("preset", PRESETS)
def test_when_a_preset_is_named_then_it_is_asked_and_no_file_is_read(capsys: Printed, preset: str) -> None:
    Path("deployment.yaml").unlink()
    found = simulated(capsys, WEB, "--filter", preset, "--vpc-cidr", "10.0.0.0/16", "--address", "10.0.1.5")
    assert found["filter"] == preset
    assert {one["outcome"] for one in found["results"]} == ({"not mirrored"} if preset == "dns" else {"mirrored"})


def test_when_a_site_is_given_then_a_filter_of_its_own_goes_before_a_preset(capsys: Printed) -> None:
    Path("deployment.yaml").write_text(SITE + MIRRORED.replace("web: {preset: web}", "web: {preset: dns}"))
    results = simulated(capsys, WEB, "--filter", "web", "--site", "production")["results"]
    assert [one["outcome"] for one in results] == ["not mirrored", "not mirrored"]


def test_when_a_site_is_given_then_each_kind_of_its_interfaces_has_its_answer(capsys: Printed) -> None:
    found = simulated(capsys, f"{WEB} length 1500", "--address", "10.0.1.5")
    assert found["site"] == "production"
    results = found["results"]
    assert [
        (
            one["interfaces"],
            one["outcome"],
            one["session"] and (one["session"]["name"], one["session"]["number"], one["session"]["target"]),
            one["rule"] and one["rule"]["number"],
            (one["kept_bytes"], one["whole"], one["cut_by"]),
        )
        for one in results
    ] == [
        ("eni-0a000000000000001", "mirrored", ("servers", 1, "sensors"), 300, (200, False, "packet length")),
        ("eni-0a000000000000002", "mirrored", ("servers", 1, "sensors"), 300, (200, False, "packet length")),
        ("eni-0a000000000000003", "unknown", ("others", 3, "tmt-0a000000000000001"), None, (None, None, None)),
        ("found by tagged", "mirrored", ("tagged", 4, "endpoint"), 200, (1514, True, None)),
    ]
    assert [one["direction"] for one in results] == ["egress"] * 4


def test_when_the_first_session_does_not_mirror_it_then_the_next_one_is_asked(capsys: Printed) -> None:
    packet = "udp 10.0.1.5:41000 > 203.0.113.7:4500 length 9000"
    found = simulated(capsys, packet, "--interface", "eni-0a000000000000001", "--address", "10.0.1.5")
    (one,) = found["results"]
    assert one["session"] == {
        "name": "rest",
        "number": 2,
        "filter": "outbound",
        "target": "single",
        "target_kind": "network interface",
        "packet_length": None,
        "virtual_network_id": 77,
    }
    assert (one["kept_bytes"], one["cut_by"]) == (8961, "MTU")
    assert one["rule"] == {
        "number": 200,
        "direction": "egress",
        "action": "accept",
        "protocol": "all",
        "source": "0.0.0.0/0",
        "destination": "0.0.0.0/0",
        "source_ports": None,
        "destination_ports": None,
    }
    assert one["inferred"] != []
    assert f"inferred: {one['inferred'][0]}" in found["notes"]


def test_when_the_mtu_of_the_target_is_smaller_then_less_arrives(capsys: Printed) -> None:
    packet = "udp 10.0.1.5:41000 > 203.0.113.7:4500 length 1500"
    chosen = (packet, "--interface", "eni-0a000000000000001", "--address", "10.0.1.5", "--target-mtu", "1500")
    assert simulated(capsys, *chosen)["results"][0]["kept_bytes"] == 1460


def test_when_groups_are_given_then_the_interface_is_in_all_of_them(capsys: Printed) -> None:
    chosen = ("--sessions", "tagged", "--sessions", "servers", "--address", "10.0.1.5")
    (one,) = simulated(capsys, WEB, *chosen)["results"]
    assert (one["interfaces"], one["session"]["name"]) == ("in tagged, servers", "servers")
    (one,) = simulated(capsys, WEB.replace(":443", ":22"), *chosen)["results"]
    assert one["session"]["name"] == "tagged"


def test_when_the_appliance_mirrors_an_interface_itself_then_its_filter_is_not_known(capsys: Printed) -> None:
    mirror = "      mirror_source: eni-0a000000000000009\n      mirror_session_number: 5\n"
    Path("deployment.yaml").write_text(USABLE + mirror)
    (one,) = simulated(capsys, WEB, "--address", "10.0.1.5")["results"]
    assert (one["outcome"], one["session"]["number"], one["session"]["filter"]) == ("unknown", 5, "packet_basics")
    assert one["why"].endswith("is asked first, and the rules of its filter are not known")


@pytest.mark.parametrize(
    ("address", "directions"), [("10.0.1.5", ["egress"]), ("203.0.113.7", ["ingress"]), (None, ["egress", "ingress"])]
)
def test_when_the_interface_has_an_address_then_it_decides_the_direction(
    capsys: Printed, address: str | None, directions: list[str]
) -> None:
    more = () if address is None else ("--address", address)
    assert [one["direction"] for one in simulated(capsys, WEB, "--filter", "web", *more)["results"]] == directions


def test_when_the_vpc_s_block_is_known_then_its_resolver_is(capsys: Printed) -> None:
    dns = "udp 10.0.1.5:41000 > 10.0.0.2:53"
    found = simulated(capsys, dns, "--filter", "web", "--vpc-cidr", "2001:db8::/56", "--vpc-cidr", "10.0.0.0/16")
    assert {one["why"] for one in found["results"] if one["direction"] == "egress"} == {
        "it is DNS of the Route 53 Resolver, and no filter has amazon-dns"
    }
    assert not any("without --vpc-cidr" in note for note in found["notes"])
    assert any("without --vpc-cidr" in note for note in simulated(capsys, dns, "--filter", "web")["notes"])


def test_when_a_capture_is_played_then_alike_packets_are_counted_together(capsys: Printed) -> None:
    capture(
        frame("10.0.1.5", "203.0.113.7", 41000, 443, 100),
        frame("203.0.113.7", "10.0.1.5", 443, 41000, 1000),
        frame("203.0.113.7", "10.0.1.5", 443, 41000, 1400),
        frame("10.0.1.5", "10.0.2.9", 41001, 5432),
        made_packets.ethernet(bytes(28), 0x0806),
        frame("10.0.9.9", "10.0.8.8", 1, 2),
    )
    chosen = ("--pcap", "seen.pcap", "--interface", "eni-0a000000000000002", "--address", "10.0.1.5")
    found = simulated(capsys, *chosen)
    assert (found["packets"], found["mirrored_packets"], found["kept_bytes"]) == (6, 3, 154 + 200 + 200)
    assert found["packets_of_others"] == 1
    assert [
        (one["direction"], one["cause"], one["packets"], one["bytes"], one["kept_bytes"], one["shortened_packets"])
        for one in found["results"]
    ] == [
        ("ingress", "rule", 2, 1054 + 1454, 400, 2),
        ("egress", "rule", 1, 154, 154, 0),
        ("ingress", "never mirrored", 1, 42, None, 0),
        ("egress", "no rule", 1, 54, None, 0),
    ]
    assert found["results"][1]["first"] == "tcp 10.0.1.5:41000 > 203.0.113.7:443 length 140"
    assert main(["simulate", *chosen]) == 0
    out = capsys.readouterr().out
    assert "mirrored  3 of 6 packets, 554 bytes arrive\n" in out
    assert re.search(r"^2 +2508 +ingress +mirrored +servers \(1\) +400 bytes, 2 shortened +rule 400", out, re.MULTILINE)
    assert re.search(r"^1 +not mirrored +neither from nor to the interface$", out, re.MULTILINE)


def test_when_a_capture_has_no_ethernet_then_the_mirrored_frame_has_it(capsys: Printed) -> None:
    packet = made_packets.ipv4("10.0.1.5", "203.0.113.7", made_packets.TCP, made_packets.tcp(41000, 443))
    capture(packet, link_type=101)
    (one,) = simulated(capsys, "--pcap", "seen.pcap", "--filter", "web", "--address", "10.0.1.5")["results"]
    assert one["bytes"] == len(packet) + 14


def test_when_packets_go_to_many_then_they_arrive_at_the_interface(capsys: Printed) -> None:
    udp = made_packets.udp(5353, 5353)
    capture(
        made_packets.ethernet(made_packets.ipv4("10.0.1.9", "224.0.0.251", made_packets.UDP, udp)),
        made_packets.ethernet(made_packets.ipv4("10.0.1.9", "255.255.255.255", made_packets.UDP, udp)),
        made_packets.ethernet(made_packets.ipv6("fe80::9", "ff02::fb", made_packets.UDP, udp)),
    )
    found = simulated(capsys, "--pcap", "seen.pcap", "--filter", "everything", "--address", "10.0.1.5")
    assert [(one["direction"], one["packets"]) for one in found["results"]] == [("ingress", 2), ("ingress", 1)]


def test_when_a_capture_ends_in_the_middle_then_what_is_before_counts_and_it_says_so(capsys: Printed) -> None:
    capture(frame("10.0.1.5", "203.0.113.7", 41000, 443), frame("10.0.1.5", "203.0.113.7", 41000, 443))
    Path("seen.pcap").write_bytes(Path("seen.pcap").read_bytes()[:-5])
    found = simulated(capsys, "--pcap", "seen.pcap", "--filter", "web", "--address", "10.0.1.5")
    assert found["packets"] == 1
    assert any("seen.pcap" in note or "record" in note for note in found["notes"][1:])


def test_when_packets_are_simulated_then_nobody_is_called(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_named: Any) -> Any:
        raise AssertionError("nothing is called here")

    for holder, name in ((socket.socket, "__init__"), (socket, "getaddrinfo"), (subprocess.Popen, "__init__")):
        monkeypatch.setattr(holder, name, refuse)
    assert simulated(capsys, WEB)["results"] != []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), f"expected either a packet, such as '{WEB}', or --pcap FILE"),
        ((WEB, "--pcap", "seen.pcap"), f"expected either a packet, such as '{WEB}', or --pcap FILE"),
        (("tcp", "10.0.1.5:41000"), "Put the packet into quotes: the shell takes > for itself"),
        (("tcp 10.0.1.5 > 10.0.2.9", "--filter", "web"), "tcp needs a port behind the source and the destination"),
        ((WEB, "--filter", "wbe"), "no filter of this name: did you mean web? expected everything, "),
        (
            (WEB, "--filter", "x", "--site", "production"),
            "deployment.yaml has no filter of this name: expected web, outb",
        ),
        ((WEB, "--filter", "everything_but_intra_vpc"), "got 0; give --vpc-cidr for each block of the VPC"),
        ((WEB, "--filter", "web", "--interface", "eni-1"), "--filter does not go with --interface and --sessions"),
        ((WEB, "--site", "prodction"), "has no such site: did you mean production? expected production"),
        ((WEB, "--interface", "i-1"), "--interface: "),
        (
            (WEB, "--interface", "eni-0a000000000000008"),
            "no group of site production names it: expected eni-0a000000000000001, eni-0a000000000000002, "
            "eni-0a000000000000003; what a lookup finds is known when Terraform plans: give --sessions tagged for it",
        ),
        ((WEB, "--sessions", "server"), "no such group: did you mean servers? expected servers, rest, others, tagged"),
        ((WEB, "--address", "10.0.1"), "--address '10.0.1': expected an address such as 10.0.1.5 or 2001:db8::5"),
        ((WEB, "--address", "10.0.1.6"), "--address: the packet neither comes from this address nor goes to it"),
        ((WEB, "--vpc-cidr", "10.0.0.1/16"), "--vpc-cidr: '10.0.0.1/16' is not a CIDR block"),
        ((WEB, "--target-mtu", "20"), "the MTU of a target must be 68 to 9216, got 20"),
        ((WEB, "--deployment", "none.yaml"), "none.yaml: no such file"),
        (
            ("--pcap", "none.pcap", "--filter", "web", "--address", "10.0.1.5"),
            "none.pcap: cannot be read: No such file",
        ),
        (("--pcap", ".", "--filter", "web", "--address", "10.0.1.5"), "cannot be read: Is a directory"),
        (("--pcap", "seen.pcap", "--address", "10.0.1.5"), "give --interface or --sessions with --pcap"),
        (("--pcap", "deployment.yaml", "--filter", "web", "--address", "10.0.1.5"), "deployment.yaml: at byte 0: "),
    ],
)
def test_fails_when_something_is_wrong_and_says_what_would_be_right(
    capsys: Printed, arguments: tuple[str, ...], message: str
) -> None:
    capture(frame("10.0.1.5", "203.0.113.7", 41000, 443))
    assert message in refused(capsys, *arguments)


def test_fails_when_two_groups_would_have_one_number_on_an_interface(capsys: Printed) -> None:
    text = MIRRORED.replace("rest: {filter: outbound,", "rest: {filter: outbound, session_number: 9,")
    Path("deployment.yaml").write_text(SITE + text.replace("tagged: {filter", "tagged: {session_number: 9, filter"))
    assert refused(capsys, WEB, "--sessions", "rest", "--sessions", "tagged") == (
        "--sessions: no interface can be in rest (number 9) and tagged (number 9): session numbers of one interface "
        "differ"
    )


def test_fails_when_a_site_mirrors_nothing_by_itself(capsys: Printed) -> None:
    Path("deployment.yaml").write_text(USABLE)
    assert refused(capsys, WEB) == (
        "site production of deployment.yaml has no sessions: expected sites.production.sessions"
    )


def test_fails_when_a_capture_has_no_address_and_suggests_the_one_of_most_packets(capsys: Printed) -> None:
    capture(frame("10.0.1.5", "203.0.113.7", 1, 2), frame("203.0.113.8", "10.0.1.5", 2, 1))
    assert refused(capsys, "--pcap", "seen.pcap", "--filter", "web") == (
        "--pcap needs --address, the address of the interface: it decides which packets leave and which arrive; did "
        "you mean --address 10.0.1.5? 2 of 2 packets have it"
    )
    capture()
    assert refused(capsys, "--pcap", "seen.pcap", "--filter", "web").endswith("which packets leave and which arrive")


def test_fails_when_a_capture_is_of_another_kind_of_link(capsys: Printed) -> None:
    capture(bytes(60), link_type=105)
    assert refused(capsys, "--pcap", "seen.pcap", "--filter", "web", "--address", "10.0.1.5") == (
        "seen.pcap: its link type 105 is not read: expected 1, 101, 113, 228, 229, 276 (1 is Ethernet)"
    )


def test_fails_when_several_sites_have_a_filter_of_this_name(capsys: Printed) -> None:
    second = SITE.replace("sites:\n", "").replace("production", "staging").replace("vpc-0a", "vpc-0b")
    own = (
        "    filters: {own: {preset: dns}}\n"
        "    sessions: {a: {filter: own, target: tmt-0a000000000000001, sources: [eni-0a000000000000001]}}\n"
    )
    text = SITE + own + second + own.replace("eni-0a", "eni-0b")
    Path("deployment.yaml").write_text(text)
    assert refused(capsys, WEB, "--filter", "own") == (
        "--filter own: several sites have one of this name: give --site production or staging"
    )
    assert refused(capsys, WEB) == (
        "deployment.yaml has several sites: give --site production or staging, or a filter with --filter"
    )


PAGE = (ROOT / "docs" / "packets.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"```console\n\$ tapstack (simulate [^\n]*)\n(.*?)\n```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_when_the_page_shows_a_command_then_that_is_what_it_prints(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch, command: str, output: str
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out.rstrip("\n") == output


def test_when_the_page_is_read_then_it_shows_a_filter_a_site_and_a_capture() -> None:
    commands = " ".join(command for command, _ in SHOWN)
    assert all(option in commands for option in ("--filter", "--site", "--pcap"))


def test_when_the_example_is_made_again_then_it_is_the_same() -> None:
    assert example_capture.FILE.read_bytes() == example_capture.example()
