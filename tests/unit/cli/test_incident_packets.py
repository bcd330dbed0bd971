"""`tapstack incident packets`, run as a user runs it: its API is on this machine, its packets are in a directory."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tapstack.cli import incident_packets, main
from tapstack.cli.incident_packets_view import COLUMNS, Packets, timeline
from tapstack.packets.captures import CaptureReader
from tapstack.packets.handing_over import HandOver
from tapstack.packets.storage import DirectoryStore, RecordedInterface, Recorder, record
from tests import made_captures
from tests import made_packets as made
from tests.unit.cli.api_server import ApiServer, serving
from tests.unit.cli.incidents import ID, incident

SECOND = 10**9
OPENED = int(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()) * SECOND
OWN, SECOND_OWN, FOREIGN = "eni-0a000000000000001", "eni-0a000000000000002", "eni-0b000000000000009"
INTERFACES = (
    RecordedInterface(OWN, 7, "tms-0a000000000000001", "10.0.1.5"),
    RecordedInterface(SECOND_OWN, 8, "tms-0a000000000000002", "10.0.1.6"),
    RecordedInterface(FOREIGN, 9, "tms-0b000000000000009", "10.0.1.9"),
)
BEACON = made.ethernet(made.ipv4("10.0.1.5", "203.0.113.7", made.TCP, made.tcp(41000, 443, b"beacon")))
QUERY = made.ethernet(made.ipv4("10.0.1.6", "10.0.0.2", made.UDP, made.udp(40000, 53, b"query")))
OTHERS = made.ethernet(made.ipv4("10.0.1.9", "203.0.113.7", made.TCP, made.tcp(41000, 443, b"others")))
CONTAINED = [
    {"at": "2026-01-02T03:14:05Z", "by": "containment", "what": "contained", "detail": ""},
    {"at": "2026-01-02T03:24:05Z", "by": "containment", "what": "released", "detail": ""},
]
Printed = pytest.CaptureFixture[str]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setenv("TAPSTACK_TOKEN", "token")
    monkeypatch.delenv("TAPSTACK_PACKETS", raising=False)
    with serving() as server:
        monkeypatch.setenv("TAPSTACK_URL", server.url)
        server.answer((200, incident(timeline=[*incident()["timeline"], *CONTAINED])))
        yield server


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorder's directory: the beacon each minute but while the instance is contained, and packets of others."""
    tmp_path = tmp_path_factory.mktemp("recorded")
    recorder = Recorder(
        "recorder-1", "111122223333", "eu-central-1", "vpc-0a000000000000001", interfaces=INTERFACES, vxlan_port=4789
    )
    for minute in range(-20, 30):
        start = OPENED + minute * 60 * SECOND
        packets = [(start + 2 * SECOND, made.mirrored(8, QUERY)), (start + 3 * SECOND, made.mirrored(9, OTHERS))]
        if not 10 <= minute < 20:
            packets.append((start + SECOND, made.mirrored(7, BEACON)))
        file = tmp_path / "closed.pcap"
        file.write_bytes(made_captures.pcap(packets, nanoseconds=True))
        record(DirectoryStore(tmp_path / "kept"), file, recorder, minute + 21)
    return tmp_path / "kept"


def run(*arguments: str) -> int:
    return main(["incident", "packets", ID, *arguments])


def packets_of(data: bytes) -> list[tuple[float, str, bytes]]:
    """Minutes since the incident was opened, interface and frame of each packet."""
    reader = CaptureReader(io.BytesIO(data))
    return [
        ((time - OPENED) / SECOND / 60, interface.name, buffer[start:end])
        for buffer, start, end, time, _, interface in reader
    ]


@pytest.mark.usefixtures("api")
class TestHandOver:
    def test_when_packets_are_handed_over_then_they_are_those_of_the_incident_s_interfaces(
        self, kept: Path, tmp_path: Path, capsys: Printed
    ) -> None:
        file = tmp_path / "beacon.pcapng"
        assert run("--in", str(kept), "-o", str(file)) == 0
        packets = packets_of(file.read_bytes())
        assert {(name, frame) for _, name, frame in packets} == {(OWN, BEACON), (SECOND_OWN, QUERY)}
        minutes = [minute for minute, *_ in packets]
        assert minutes == sorted(minutes)
        # From ten minutes before the incident was opened.
        assert (int(minutes[0]), int(minutes[-1])) == (-9, 29)
        assert len(packets) == 40 + 30
        assert b"session tms-0a000000000000001, VNI 7" in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600
        [said] = capsys.readouterr().err.splitlines()
        assert said.startswith("70 packets, 2026-01-02T02:54:06Z to 2026-01-02T03:33:07Z, ")
        assert said.endswith(f": {file}; of 110 packets in 40 captures")
        assert sorted(each.name for each in tmp_path.iterdir()) == ["beacon.pcapng"]

    @pytest.mark.parametrize(
        ("options", "frames", "minutes"),
        [
            (["--interface", SECOND_OWN], {QUERY}, (-9, 29)),
            (["--interface", FOREIGN], {OTHERS}, (-9, 29)),
            (["--peer", "203.0.113.7:443"], {BEACON}, (-9, 29)),
            (["--peer", "10.0.0.2"], {QUERY}, (-9, 29)),
            (["--port", "50-60", "--proto", "udp"], {QUERY}, (-9, 29)),
            (["--proto", "17"], {QUERY}, (-9, 29)),
            (["--filter", "net 203.0.113.0/24 or port 9", "--port", "443"], {BEACON}, (-9, 29)),
            (["--from", "-2m", "--until", "+3m"], {BEACON, QUERY}, (-1, 2)),
            (["--from", "-2m", "--until", "3m"], {BEACON, QUERY}, (-1, 2)),
            (["--from", "2026-01-02T02:46:05Z", "--until", "2026-01-02 03:46:05+01:00"], {BEACON, QUERY}, (-17, -18)),
            (["--from=-1h"], {BEACON, QUERY}, (-19, 29)),
        ],
    )
    def test_when_less_is_meant_then_only_that_is_handed_over(
        self, kept: Path, tmp_path: Path, options: list[str], frames: set[bytes], minutes: tuple[int, int]
    ) -> None:
        file = tmp_path / "x.pcapng"
        if minutes[0] > minutes[1]:
            assert run("--in", str(kept), "-o", str(file), *options) == 2
            return
        assert run("--in", str(kept), "-o", str(file), *options) == 0
        packets = packets_of(file.read_bytes())
        assert {frame for *_, frame in packets} == frames
        assert (int(packets[0][0]), int(packets[-1][0])) == minutes

    def test_when_standard_output_is_meant_then_the_pcapng_goes_there(
        self, kept: Path, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        assert run("--in", str(kept), "--port", "53", "-o", "-") == 0
        assert {frame for *_, frame in packets_of(capfdbinary.readouterr().out)} == {QUERY}

    def test_when_no_packet_is_selected_then_nothing_is_written(
        self, kept: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        for output in (str(tmp_path / "x.pcapng"), "-"):
            assert run("--in", str(kept), "--port", "9", "-o", output) == 1
            printed = capfdbinary.readouterr()
            assert printed.out == b""
            assert printed.err.decode() == (
                f"no packet is selected of 110 packets in 40 captures of {kept}; nothing was written\n"
            )
        assert not list(tmp_path.glob("*x.pcapng*"))

    def test_when_another_recorder_wrote_captures_then_all_their_packets_count_and_it_is_said(
        self, tmp_path: Path, capsys: Printed
    ) -> None:
        (tmp_path / "a").mkdir()
        data = made_captures.pcap([(OPENED, made.mirrored(7, BEACON)), (OPENED + 1, made.mirrored(8, QUERY))])
        (tmp_path / "a" / "other.pcap1").write_bytes(data[:-3])
        assert run("--in", str(tmp_path / "a"), "-o", str(tmp_path / "x.pcapng")) == 0
        assert [frame for *_, frame in packets_of((tmp_path / "x.pcapng").read_bytes())] == [BEACON]
        said = capsys.readouterr().err.splitlines()
        assert said[0].startswith("1 capture without a manifest that says whose packets are in it: all of them count")
        assert said[1] == f"{tmp_path}/a/other.pcap1: ends at byte {len(data) - 3}, inside a record"

    def test_when_writing_fails_then_nothing_is_left(
        self, kept: Path, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(incident_packets._File, "write", full)
        assert run("--in", str(kept), "-o", str(tmp_path / "x.pcapng")) == 2
        assert capsys.readouterr().err == "No space left on device\n"
        assert not list(tmp_path.glob("*x.pcapng*"))


@pytest.mark.usefixtures("api")
class TestList:
    def test_when_packets_are_listed_then_a_timeline_shows_them_beside_the_containment(
        self, kept: Path, capsys: Printed
    ) -> None:
        assert run("--in", str(kept), "--peer", "203.0.113.7", "--from", "0m") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"{ID}  2026-01-02T03:04:06Z to 2026-01-02T03:33:06Z; a column is 29 seconds"
        [contained] = [line for line in lines if line.startswith("contained  ") and "|-" in line]
        begin, end = contained.index("|"), contained.rindex("|")
        assert lines[2].startswith(OWN)
        assert lines[2][: begin + 1].count("█") == lines[2][end:].count("█") == 10
        assert lines[2][begin + 1 : end].strip() == ""
        assert f"{OWN}  20       1.2 kB  2026-01-02T03:04:06Z  2026-01-02T03:33:06Z" in lines
        assert "contained 2026-01-02T03:14:05Z to 2026-01-02T03:24:05Z" in lines

    def test_when_the_page_lists_packets_then_it_shows_what_the_program_prints(
        self, kept: Path, capsys: Printed
    ) -> None:
        page = (Path(__file__).parents[3] / "docs" / "packets.md").read_text(encoding="utf-8")
        [shown] = re.findall(r"\$ tapstack incident packets [^\n]*\n(.*?)```", page, re.DOTALL)
        assert run("--in", str(kept)) == 0
        assert capsys.readouterr().out == shown

    def test_when_json_is_wanted_then_the_same_is_printed_as_json(self, kept: Path, capsys: Printed) -> None:
        assert run("--in", str(kept), "--list", "--json") == 0
        found = json.loads(capsys.readouterr().out)
        assert [(one["name"], one["packets"]) for one in found["interfaces"]] == [(SECOND_OWN, 40), (OWN, 30)]
        assert found["interfaces"][1]["first_packet_at"] == "2026-01-02T02:54:06.000000000Z"

    def test_when_there_are_packets_of_ages_then_memory_does_not_grow(self) -> None:
        listed = Packets(OPENED)
        number = listed.add_interface("a")
        for at in range(20_000):
            listed.add_packet(number, OPENED + at * at * SECOND, b"", 60)
        for at in range(100):
            listed.add_packet(number, OPENED - at * SECOND, b"", 60)
        [one] = listed.seen
        assert len(one.parts) <= 16 * COLUMNS
        assert sum(one.parts.values()) == one.packets == 20_100
        lines = list(timeline(listed, HandOver(), {"id": ID}, ascii_only=True))
        assert lines[2].isascii()
        assert len(lines[2]) <= COLUMNS + 3


class TestErrors:
    def test_when_no_place_is_named_then_it_says_where_the_packets_are(self, api: ApiServer, capsys: Printed) -> None:
        stored: dict[str, Any] = {"state": "appliance", "snapshots": [], "until": None, "keep_days": 90}
        api.answer((200, incident(stored_packets=stored)))
        assert run("-o", "x.pcapng") == 2
        said = capsys.readouterr().err
        assert said.startswith("--in is missing: no recorder is known to the API, so its packets are on the appliance;")
        assert "portal, https://10.0.0.10" in said
        assert "or set $TAPSTACK_PACKETS" in said

    def test_when_only_others_packets_were_recorded_then_their_names_are_said(
        self, api: ApiServer, kept: Path, capsys: Printed
    ) -> None:
        api.answer((200, incident(interfaces=[], network_interface_ids=["eni-0c000000000000001"])))
        assert run("--in", str(kept)) == 2
        said = capsys.readouterr().err
        assert f"none with packets of eni-0c000000000000001; their manifests name: {OWN}, {SECOND_OWN}, " in said

    def test_when_the_time_has_no_captures_then_it_is_said(self, api: ApiServer, kept: Path, capsys: Printed) -> None:
        assert run("--in", str(kept), "--from", "+5h") == 2
        said = capsys.readouterr().err.splitlines()
        assert said[0] == f"no capture in {kept} overlaps from 2026-01-02T08:04:05Z until now"

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--peer", "example.com"], "--peer 'example.com': expected an address"),
            (["--peer", "10.0.0.1:"], "expected an address"),
            (["--peer", "10.0.0.1:70000"], "--peer: expected a port from 0 to 65535"),
            (["--port", "80 or port 1"], "--port: expected one word or number"),
            (["--port", "99-9"], "--port: expected two ports such as 8000-8999"),
            (["--proto", "tpc"], "--proto: did you mean tcp?"),
            (["--filter", "vlan 7"], "--filter: 'vlan' of pcap-filter is not supported: leave it out"),
            (["--filter", "port 1) or (port 2"], "--filter: a parenthesis is closed that was not opened"),
            (["--interface", "eth0"], "'eth0' is not the id of a network interface"),
            (["--from", "yesterday"], "--from 'yesterday': expected -10m or +5m"),
            (["--from", "1m", "--until", "-1m"], "--until -1m is not after --from 1m"),
            (["--in", "missing"], "--in missing: is no directory"),
            (["--in", "s3://A"], "--in: 'A' is not the name of a bucket"),
            (["-o", "missing/x.pcapng"], "-o: missing is not an existing directory"),
            (["-o", "there.pcapng"], "-o: there.pcapng exists: name another file, or remove it"),
            (["-o", "x.pcapng", "--json"], "--json goes with --list only"),
            (["-o", "x.pcapng", "--follow"], "--follow writes to standard output only"),
            (["--list", "--follow"], "give one of them"),
        ],
    )
    def test_fails_when_an_argument_is_wrong(
        self,
        api: ApiServer,
        kept: Path,
        tmp_path: Path,
        capsys: Printed,
        monkeypatch: pytest.MonkeyPatch,
        options: list[str],
        said: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TAPSTACK_PACKETS", str(kept))
        (tmp_path / "there.pcapng").write_bytes(b"evidence")
        assert run(*options) == 2
        assert said in capsys.readouterr().err
        assert (tmp_path / "there.pcapng").read_bytes() == b"evidence"
        assert not (tmp_path / "x.pcapng").exists()


class TestFollow:
    @pytest.fixture(autouse=True)
    def ends(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Files come while it waits; then Ctrl-C is pressed."""
        self.folder = tmp_path / "growing"
        self.folder.mkdir()
        first = made_captures.pcap([(OPENED, made.mirrored(7, BEACON)), (OPENED + SECOND, made.mirrored(7, BEACON))])
        later = made_captures.pcap([(OPENED + 2 * SECOND, made.mirrored(8, QUERY))])[24:]
        (self.folder / "a.pcap").write_bytes(first)
        comes = [first + later, first + later]

        def sleep(_: float) -> None:
            if not comes:
                raise KeyboardInterrupt
            (self.folder / "a.pcap").write_bytes(comes.pop(0))

        monkeypatch.setattr("tapstack.cli.incident_packets.time.sleep", sleep)

    def test_when_packets_are_followed_then_each_is_shown_once(self, api: ApiServer, capsys: Printed) -> None:
        assert run("--in", str(self.folder), "--follow", "--from", "0m") == 130
        lines = capsys.readouterr().out.splitlines()
        assert lines == [
            f"2026-01-02T03:04:05.000000Z  10.9.0.5  tcp 10.0.1.5:41000 > 203.0.113.7:443, {len(BEACON)} bytes",
            f"2026-01-02T03:04:06.000000Z  10.9.0.5  tcp 10.0.1.5:41000 > 203.0.113.7:443, {len(BEACON)} bytes",
            f"2026-01-02T03:04:07.000000Z  10.9.0.5  udp 10.0.1.6:40000 > 10.0.0.2:53, {len(QUERY)} bytes",
        ]

    def test_when_a_program_follows_then_it_gets_one_pcapng(
        self, api: ApiServer, capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        assert run("--in", str(self.folder), "--follow", "--from", "0m", "-o", "-") == 130
        assert [frame for *_, frame in packets_of(capfdbinary.readouterr().out)] == [BEACON, BEACON, QUERY]
