import gzip
import io
import shutil
import struct
import subprocess
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.packets.captures import CHUNK, MAX_TIME, CaptureError, CaptureReader, open_capture
from tests import made_captures as made

NOW = 1_780_000_000_123_456_789
PACKETS = [(NOW + number * 1_000_001, bytes([number]) * (40 + number * 7)) for number in range(5)]
SEEN = [(time, data, len(data)) for time, data in PACKETS]

Seen = list[tuple[int, bytes, int]]


def read(data: bytes) -> tuple[Seen, str | None]:
    """Return what a reader gives as (time, bytes, length on the wire), and how the capture is cut."""
    reader = CaptureReader(io.BytesIO(data), "a.pcap")
    seen = [(time, buffer[start:end], wire) for buffer, start, end, time, wire, _ in reader]
    return seen, reader.cut


def read_until_damage(data: bytes) -> tuple[Seen, CaptureError | None]:
    reader, seen = CaptureReader(io.BytesIO(data), "a.pcap"), []
    try:
        for buffer, start, end, time, wire, _ in reader:
            assert 0 <= start <= end <= len(buffer)
            seen.append((time, buffer[start:end], wire))
    except CaptureError as error:
        return seen, error
    return seen, None


def in_microseconds(seen: Seen) -> Seen:
    return [(time // 1000 * 1000, data, wire) for time, data, wire in seen]


@pytest.mark.parametrize("order", ["<", ">"])
def test_when_a_capture_is_pcap_then_every_packet_is_read(order: str) -> None:
    assert read(made.pcap(PACKETS, order=order)) == (in_microseconds(SEEN), None)
    assert read(made.pcap(PACKETS, order=order, nanoseconds=True)) == (SEEN, None)


def test_when_a_pcap_has_a_link_type_then_its_packets_have_it() -> None:
    # The upper bits are the length of the frames' checksums.
    for link_type, expected in ((1, 1), (101, 101), (276, 276), (0x5000_0001, 1)):
        [*records] = CaptureReader(io.BytesIO(made.pcap(PACKETS, link_type=link_type)))
        assert {record[5].link_type for record in records} == {expected}


@pytest.mark.parametrize("order", ["<", ">"])
def test_when_a_capture_is_pcapng_then_every_interface_has_its_own_clock(order: str) -> None:
    def clock(resolution: int, *, offset: int = 0, name: str = "") -> bytes:
        options = made.option(9, bytes([resolution]), order) + made.option(14, struct.pack(order + "q", offset), order)
        return made.option(2, name.encode(), order) + options + made.option(0, b"", order)

    data = made.section(order) + made.interface(1, order) + made.interface(101, order, options=clock(9, name="eni-1"))
    data += made.interface(1, order, options=clock(0x80 | 10, offset=1_000_000_000)) + made.interface(
        1, order, options=clock(12)
    )
    data += made.block(0x0BAD, b"unknown", order) + made.block(5, bytes(12), order)
    data += made.enhanced(1_780_000_000_123_456, b"a" * 61, order)
    data += made.enhanced(NOW, b"b" * 62, order, number=1, wire=1500)
    data += made.enhanced(780_000_000 * 1024 + 512, b"c" * 63, order, number=2)
    data += made.enhanced(5_000_999, b"d", order, number=3)
    records = [*CaptureReader(io.BytesIO(data))]
    assert [(record[3], record[0][record[1] : record[2]], record[4]) for record in records] == [
        (1_780_000_000_123_456_000, b"a" * 61, 61),
        (NOW, b"b" * 62, 1500),
        (1_780_000_000_500_000_000, b"c" * 63, 63),
        (5000, b"d", 1),
    ]
    assert [(record[5].link_type, record[5].name) for record in records] == [(1, ""), (101, "eni-1"), (1, ""), (1, "")]


def test_when_pcapng_has_simple_and_obsolete_packets_then_they_are_read() -> None:
    data = made.section() + made.interface(snap_length=8) + made.simple(b"abcdef") + made.simple(b"abcdefgh", wire=1000)
    data += made.block(2, struct.pack("<HHIIII", 0, 7, 1, 2, 3, 3) + b"xyz")
    assert read(data) == ([(0, b"abcdef", 6), (0, b"abcdefgh", 1000), (((1 << 32) + 2) * 1000, b"xyz", 3)], None)


def test_when_pcapng_has_several_sections_then_interfaces_count_anew() -> None:
    big = made.section(">") + made.interface(101, ">") + made.enhanced(7, b"b", ">")
    data = made.section() + made.interface(1) + made.interface(113) + made.enhanced(5, b"a", number=1) + big
    records = [*CaptureReader(io.BytesIO(data))]
    assert [(record[3], record[5].link_type) for record in records] == [(5000, 113), (7000, 101)]
    with pytest.raises(CaptureError, match="a packet of interface 1, which no block before describes$"):
        read(data + made.enhanced(7, b"b", ">", number=1))


@pytest.mark.parametrize("resolution", [0, 0x80, 0xFF, 0x7F])
@pytest.mark.parametrize("offset", [-(2**63), 0, 2**63 - 1])
def test_when_a_time_is_out_of_range_then_it_is_the_nearest_that_fits(resolution: int, offset: int) -> None:
    options = made.option(9, bytes([resolution])) + made.option(14, struct.pack("<q", offset))
    [(time, _, _)], _ = read(made.section() + made.interface(options=options) + made.enhanced(2**64 - 1, b"a"))
    assert 0 <= time <= MAX_TIME


CAPTURES = {
    "pcap": made.pcap(PACKETS, nanoseconds=True),
    "pcapng": made.section()
    + made.interface(options=made.option(9, b"\x09") + made.option(0, b""))
    + b"".join(made.enhanced(time, data) for time, data in PACKETS),
}
CAPTURES["gzip"] = gzip.compress(CAPTURES["pcap"][:200]) + gzip.compress(CAPTURES["pcap"][200:])
each = pytest.mark.parametrize("capture", CAPTURES.values(), ids=CAPTURES)


@each
def test_when_a_capture_is_whole_then_it_is_not_cut(capture: bytes) -> None:
    assert read(capture) == (SEEN, None)


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
def test_when_a_capture_is_cut_then_all_before_is_given_and_where_it_ends(kind: str) -> None:
    capture = CAPTURES[kind]
    seen_before = 0
    for size in range(1, len(capture)):
        if size < 4:
            with pytest.raises(CaptureError):
                read(capture[:size])
            continue
        seen, cut = read(capture[:size])
        assert seen == SEEN[: len(seen)]
        assert len(seen) - seen_before in (0, 1)
        seen_before = len(seen)
        if cut is not None:
            assert cut.startswith(f"a.pcap: ends at byte {size}, inside "), cut
    assert seen_before == len(SEEN) - 1
    # Where nothing is cut, a record has just ended: once behind each of them.
    whole = [size for size in range(4, len(capture)) if read(capture[:size])[1] is None]
    assert len(whole) == {"pcap": len(SEEN), "pcapng": len(SEEN) + 1}[kind]


def test_when_gzip_data_are_cut_then_all_before_is_given() -> None:
    capture = gzip.compress(made.pcap([(NOW, bytes(range(256)) * 40)] * 100), 1)
    for size in (len(capture) // 2, len(capture) - 9, len(capture) - 1):
        seen, cut = read(capture[:size])
        assert 0 < len(seen) <= 100
        assert str(cut).startswith("a.pcap: ends inside its gzip data, after ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a.pcap: at byte 0: an empty file: a capture begins with a header"),
        (b"hello", "a.pcap: at byte 0: neither pcap nor pcapng, but bytes 68656c6c"),
        (
            bytes.fromhex("28b52ffd00"),
            "a.pcap: at byte 0: neither pcap nor pcapng, but compressed with zstd: decompress it with `zstd -d`",
        ),
        (
            CAPTURES["pcap"] + struct.pack("<IIII", 0, 0, 262145, 0),
            f"a.pcap: at byte {len(CAPTURES['pcap'])}: a packet of 262145 bytes; the most is 262144",
        ),
        (
            made.section() + struct.pack("<III", 6, 8, 0),
            "a.pcap: at byte 28: a block of type 6 with a length of 8; the most is 16777216",
        ),
        (
            made.section() + struct.pack("<III", 9, 2**32 - 4, 0),
            "a.pcap: at byte 28: a block of type 9 with a length of 4294967292; the most is 16777216",
        ),
        (
            made.section() + struct.pack("<III", 9, 13, 0),
            "a.pcap: at byte 28: a block of type 9 with a length of 13; the most is 16777216",
        ),
        (
            made.section() + made.enhanced(0, b""),
            "a.pcap: at byte 28: a packet of interface 0, which no block before describes",
        ),
        (
            made.section() + made.interface() + made.block(6, struct.pack("<IIIII", 0, 0, 0, 5, 5) + bytes(4)),
            "a.pcap: at byte 48: a packet of 5 bytes in a block of 36",
        ),
        (made.section()[:8] + bytes(20), "a.pcap: at byte 8: no byte order: 00000000"),
        (
            b"\x1f\x8b\x08\x00" + bytes(99),
            "a.pcap: at byte 0: damaged gzip data: Error -3 while decompressing data: invalid stored block lengths",
        ),
    ],
)
def test_fails_when_a_capture_is_damaged_and_says_where(data: bytes, message: str) -> None:
    _, error = read_until_damage(data)
    assert str(error) == message


def test_fails_when_a_section_has_too_many_interfaces() -> None:
    data = made.section() + made.interface() * 65_537
    _, error = read_until_damage(data)
    assert str(error) == f"a.pcap: at byte {28 + 20 * 65_536}: more than 65536 interfaces"


def test_when_a_capture_is_damaged_then_all_before_is_given() -> None:
    seen, error = read_until_damage(CAPTURES["pcap"] + b"\xff" * 16)
    assert (seen, error is None) == (SEEN, False)


class Endless(io.RawIOBase):
    """A file without end: a beginning, and then the same bytes again and again."""

    def __init__(self, first: bytes, more: bytes, chunks: int) -> None:
        self.parts, self.more, self.left, self.most = [first], more, chunks, 0

    def read(self, size: int = -1) -> bytes:
        self.most = max(self.most, size)
        if self.parts:
            return self.parts.pop()
        self.left -= 1
        return self.more if self.left > 0 else b""


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (CAPTURES["pcap"], struct.pack("<IIII", 1, 1, 2084, 2084) + bytes(2084)),
        (CAPTURES["pcapng"], made.enhanced(1, bytes(2084))),
        (CAPTURES["pcapng"], made.block(0x0BAD, bytes(65_524))),
        # 50 MB in 50 kB.
        (b"", gzip.compress(CAPTURES["pcap"] + (struct.pack("<IIII", 1, 1, 984, 984) + bytes(984)) * 50_000)),
    ],
    ids=["pcap", "pcapng", "blocks", "gzip"],
)
def test_when_a_capture_is_large_then_memory_is_not(first: bytes, more: bytes) -> None:
    file = Endless(first or more, more * (CHUNK // len(more) or 1) if first else b"", 12)
    tracemalloc.start()
    try:
        for _ in CaptureReader(file):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * CHUNK
    assert file.most <= CHUNK


def test_when_a_block_claims_to_be_long_then_no_more_than_there_is_is_kept() -> None:
    claims = made.section() + struct.pack("<III", 9, 16 << 20, 0)
    tracemalloc.start()
    try:
        assert str(read(claims)[1]) == "a.pcap: ends at byte 40, inside a block"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < CHUNK


@given(st.sampled_from([b"", *CAPTURES.values()]), st.integers(0, 60), st.binary(max_size=400))
def test_when_bytes_are_random_then_only_a_capture_error_is_raised(capture: bytes, size: int, data: bytes) -> None:
    read_until_damage(capture[:size] + data)


@given(st.sampled_from([*CAPTURES.values()]), st.data())
def test_when_bytes_of_a_capture_are_changed_then_only_a_capture_error_is_raised(
    capture: bytes, data: st.DataObject
) -> None:
    changed, places = bytearray(capture), st.tuples(st.integers(0, len(capture) - 1), st.integers(0, 255))
    for position, value in data.draw(st.lists(places, min_size=1, max_size=8)):
        changed[position] = value
    read_until_damage(bytes(changed))


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark and editcap on this machine")
@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "pcapng", "pcap.gz"])
def test_when_wireshark_writes_a_capture_then_it_is_read_as_tshark_reads_it(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CAPTURES["pcap"])
    name, _, compressed = kind.partition(".")
    subprocess.run(["editcap", "-F", name, "a", "b"], cwd=tmp_path, check=True, capture_output=True)
    if compressed:
        (tmp_path / "b").write_bytes(gzip.compress((tmp_path / "b").read_bytes()))
    fields = [word for field in ("frame.time_epoch", "frame.cap_len", "frame.len") for word in ("-e", field)]
    tshark = subprocess.run(
        ["tshark", "-r", "b", "-T", "fields", *fields], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    with open_capture(tmp_path / "b") as reader:
        ours = [f"{time // 10**9}.{time % 10**9:09}\t{end - start}\t{wire}" for _, start, end, time, wire, _ in reader]
    assert ours == tshark.stdout.splitlines()
    assert len(ours) == len(PACKETS)
