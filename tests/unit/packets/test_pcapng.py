import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tapstack.packets.captures import CaptureReader
from tapstack.packets.pcapng import PcapngWriter
from tests import made_packets as made

NOW = 1_780_000_000_123_456_789
FRAME = made.ethernet(made.ipv4("10.0.1.5", "203.0.113.7", made.TCP, made.tcp(41000, 443, b"hello")))
PACKET = made.ipv6("2001:db8::5", "2001:db8::7", made.UDP, made.udp(1, 53))


def write(file: io.BytesIO) -> PcapngWriter:
    writer = PcapngWriter(file, comment="incident inc-1")
    first = writer.add_interface("eni-0a1", description="web-1", comment="session tms-1, VNI 7")
    writer.add_packet(first, NOW, FRAME, 1500)
    # One that is added later, of another link type.
    second = writer.add_interface("eni-0b2", link_type=101)
    writer.add_packet(second, NOW + 1, memoryview(PACKET), len(PACKET), comment="the 1st of 2 parts: \u00e9")
    writer.add_packet(first, NOW + 2, FRAME[:33], 3)
    return writer


def test_when_packets_are_written_then_they_read_back() -> None:
    file = io.BytesIO()
    writer = write(file)
    assert writer.written == len(file.getvalue())
    file.seek(0)
    seen = [
        (time, buffer[start:end], wire, interface.name, interface.link_type)
        for buffer, start, end, time, wire, interface in CaptureReader(file)
    ]
    assert seen == [
        (NOW, FRAME, 1500, "eni-0a1", 1),
        (NOW + 1, PACKET, len(PACKET), "eni-0b2", 101),
        # A length on the wire that is less than what is there is wrong.
        (NOW + 2, FRAME[:33], 33, "eni-0a1", 1),
    ]


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark and capinfos on this machine")
def test_when_tshark_reads_what_is_written_then_names_times_and_comments_are_there(tmp_path: Path) -> None:
    with open(tmp_path / "a.pcapng", "wb") as file:
        buffer = io.BytesIO()
        write(buffer)
        file.write(buffer.getvalue())
    fields = ["frame.interface_name", "frame.interface_description", "frame.time_epoch", "frame.len", "frame.cap_len"]
    fields += ["frame.comment", "tcp.dstport", "udp.dstport"]
    command = ["tshark", "-r", "a.pcapng", "-T", "json", *(word for name in fields for word in ("-e", name))]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    size = str(len(PACKET))
    rows = [one["_source"]["layers"] for one in json.loads(done.stdout)]
    assert [[row.get(name, [None])[0] for name in fields] for row in rows] == [
        ["eni-0a1", "web-1", "1780000000.123456789", "1500", str(len(FRAME)), None, "443", None],
        ["eni-0b2", None, "1780000000.123456790", size, size, "the 1st of 2 parts: \u00e9", None, "53"],
        ["eni-0a1", "web-1", "1780000000.123456791", "33", "33", None, None, None],
    ]
    about = subprocess.run(["capinfos", "a.pcapng"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    for text in ("incident inc-1", "Tapstack", "session tms-1, VNI 7", "Time resolution = 0x09"):
        assert text in about
    assert "cut short" not in about


def test_when_a_text_is_long_then_it_is_cut_between_characters() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file, comment="\u00e9" * 40_000)
    writer.add_interface("a\0b\ud800", comment="x" * 70_000)
    writer.add_packet(0, 1, b"", 0)
    file.seek(0)
    [(*_, interface)] = CaptureReader(file)
    assert interface.name == "a\0b?"


@pytest.mark.parametrize(
    ("interface", "time", "size", "message"),
    [
        (1, 0, 5, "no interface 1 was added"),
        (-1, 0, 5, "no interface -1 was added"),
        (0, 0, 262_145, "a packet has 262144 bytes at most, got 262145"),
        (0, -1, 5, "a time is from 0 to 18446744073709551615 nanoseconds, got -1"),
        (0, 1 << 64, 5, "a time is from 0 to 18446744073709551615 nanoseconds, got 18446744073709551616"),
    ],
)
def test_fails_when_a_packet_cannot_be_written(interface: int, time: int, size: int, message: str) -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file)
    writer.add_interface("eni-0a1")
    before = file.getvalue()
    with pytest.raises(ValueError, match=f"^{message}$"):
        writer.add_packet(interface, time, bytes(size), size)
    assert file.getvalue() == before


def test_fails_when_there_are_too_many_interfaces() -> None:
    writer = PcapngWriter(io.BytesIO())
    writer.interfaces = 65_536
    with pytest.raises(ValueError, match="^a capture has 65536 interfaces at most$"):
        writer.add_interface("eni-0a1")
