"""What a rehearsal shows of packets: before containment, during it, after release; and the capture itself."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from strictmoto.account import Account
from strictmoto.company import found_company
from tapstack.packets import storage
from tapstack.packets.captures import CaptureReader
from tapstack.packets.frames import decode_frame
from tapstack.packets.handing_over import Label
from tapstack.rehearsal.report.packets import Packets
from tapstack.rehearsal.report.page import render
from tapstack.rehearsal.wire.traffic import Flowed, Traffic
from tests import made_packets as made
from tests.made_captures import pcap
from tests.rehearsal.report.test_page import FLOWED, PACKETS, report, text_of
from tests.rehearsal.test_wire import Played, isolate, put
from tests.rehearsal.test_wire import wire as wire  # a fixture

LABELS = {4711: Label("eni-01", "database", "session tms-01")}


def shown(flowed: Flowed) -> tuple[str, int, int]:
    return flowed.what, flowed.packets, flowed.mirrored


def test_when_an_incident_is_played_then_its_packets_are_listed_and_handed_over(wire: Played, tmp_path: Path) -> None:
    client = wire.wire.host(wire.company.interfaces["legacy"][0]).address
    mine = tmp_path / "mine.pcap"
    mine.write_bytes(pcap([(0, made.ethernet(made.ipv4("192.0.2.1", "192.0.2.2", made.TCP, made.tcp(4, 5))))]))
    folder, incident = tmp_path / "played", "inc-20261121T120000-abcdefgh"
    with Traffic(wire.account, wire.interface, client, folder, incident=incident, scale=0.001) as traffic:
        assert [shown(one) for one in traffic.before_containment()] == [
            ("web", 11, 11),
            ("database", 11, 11),
            ("DNS", 2, 2),
            ("scan", 16, 0),
            ("channel", 7, 7),
            ("beacon", 27, 27),
        ]
        assert shown(traffic.play(mine, ["192.0.2.1"])) == ("mine.pcap", 1, 1)
        groups = isolate(wire)
        assert [shown(one) for one in traffic.contained()] == [("beacon", 9, 0), ("channel", 8, 8)]
        put(wire, groups)
        assert shown(traffic.released()) == ("beacon", 27, 27)
        done, capture = traffic.hand_over(LABELS, "incident inc-1")
    assert (done.selected, done.problems) == (sum(one.mirrored for one in traffic.flowed), [])

    [found] = storage.find(storage.DirectoryStore(folder), interfaces=frozenset({wire.interface}))
    assert found.manifest is not None
    assert (found.manifest.packets, found.manifest.recorder.incident) == (done.selected, incident)
    [named] = found.manifest.recorder.interfaces
    assert (named.network_interface_id, named.vni, named.address) == (wire.interface, 4711, wire.host.address)
    assert f"123456789012/eu-central-1/{wire.company.shop.id}/{incident}/{wire.interface}/" in str(found.capture.path)

    reader = CaptureReader(io.BytesIO(capture))
    times, ports, names = [], set(), set()
    for buffer, start, end, at, _, interface in reader:
        headers = decode_frame(buffer, start, end)
        times.append(at)
        ports |= {headers.source_port, headers.destination_port}
        names.add(interface.name)
    assert times == sorted(times)
    assert names == {"eni-01"}
    beats = {port for port in ports if port is not None and 45_000 <= port < 48_000}
    assert beats == {45_000, 45_001, 45_002, 47_000, 47_001, 47_002}, "none of 46,000, when it was contained"

    packets = Packets(wire.interface, traffic.flowed, done.selected, capture, "rehearsal.pcapng")
    page = render(report(packets=packets))
    text = text_of(page)
    assert "contained beacon 9 0 the security groups have no egress rule, and it belongs to no tracked flow" in text
    assert re.search(r"released beacon 27 27\b", text)
    assert f"rehearsal.pcapng {done.selected} packets, for Wireshark" in text
    link = re.search(r'download="rehearsal.pcapng" href="data:application/octet-stream;base64,([^"]+)"', page)
    assert link is not None
    assert base64.b64decode(link[1]) == capture


def test_when_packets_are_drawn_then_each_conversation_has_a_lane_and_containment_its_place() -> None:
    assert [(lane.name, [(tick.x, tick.mirrored) for tick in lane.ticks]) for lane in PACKETS.lanes] == [
        ("beacon", [(150, True), (323, True), (497, False), (844, True)]),
        ("channel", [(670, True)]),
    ]
    assert PACKETS.containment == (493, 840)
    assert PACKETS.ends == ("00:00:00", "00:00:04")
    assert 'class="contained"' in render(report(packets=PACKETS))


def test_when_nothing_was_contained_then_the_drawing_has_no_containment() -> None:
    packets = replace(PACKETS, flowed=FLOWED[:1])
    assert packets.containment is None
    assert 'class="contained"' not in render(report(packets=packets))


@pytest.mark.parametrize("packets", [None, replace(PACKETS, flowed=FLOWED[-1:])])
def test_when_no_packets_flowed_then_the_page_has_no_part_about_them(packets: Packets | None) -> None:
    assert "Packets by conversation" not in render(report(packets=packets))


def test_when_the_capture_is_too_long_for_the_page_then_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapstack.rehearsal.report.packets.LARGEST", 6)
    page = render(report(packets=PACKETS))
    assert "4 packets were handed over: too many for this page to carry." in page
    assert 'href="data:application' not in page


def test_when_nothing_is_mirrored_then_nothing_is_handed_over(aws_account: Account, tmp_path: Path) -> None:
    company = found_company(aws_account)
    with Traffic(aws_account, company.interfaces["database"][0], "10.0.11.9", tmp_path) as traffic:
        traffic.before_containment()
        done, _ = traffic.hand_over({}, "")
    assert done.selected == 0
    assert {one.why for one in traffic.flowed} >= {"the interface has no session"}
