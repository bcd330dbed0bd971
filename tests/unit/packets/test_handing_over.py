import functools
import gzip
import io
import os
import resource
import shutil
import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.packets import handing_over, plain
from tapstack.packets.captures import CaptureReader, Interface
from tapstack.packets.handing_over import CaptureFile, HandOver, Label, find_captures, hand_over
from tapstack.packets.selection import FirstFragments, Selection
from tests import made_captures
from tests import made_packets as made
from tests.sampling import sampled
from tests.unit.packets import hostile
from tests.unit.packets.hostile import NOW, A, B

SECOND = 10**9
WANTED = made.ethernet(made.ipv4(A, B, made.TCP, made.tcp(41000, 443, b"wanted")))
OTHER = made.ethernet(made.ipv4(A, B, made.TCP, made.tcp(41000, 80, b"other")))


def write(folder: Path, name: str, packets: list[tuple[int, bytes]]) -> Path:
    data = made_captures.pcap(packets, nanoseconds=True)
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


def handed(folder: Path, text: str = "", **more: Any) -> tuple[list[tuple[int, bytes]], HandOver]:
    """Return what is handed over of the captures in a folder, as (time, bytes)."""
    file, result = io.BytesIO(), HandOver()
    hand_over(find_captures(folder, result), file, Selection.parse(text), result=result, **more)
    assert result.written == len(file.getvalue())
    file.seek(0)
    reader = CaptureReader(file)
    packets = [(time, buffer[start:end]) for buffer, start, end, time, _, _ in reader]
    assert reader.cut is None
    assert len(packets) == result.selected
    return packets, result


def interfaces_of(data: bytes) -> list[tuple[str, int]]:
    return [(interface.name, wire) for *_, wire, interface in CaptureReader(io.BytesIO(data))]


def test_when_copies_are_selected_then_the_mirrored_frames_are_handed_over_in_order_of_time(tmp_path: Path) -> None:
    write(tmp_path, "b.pcap", [(NOW + 5, made.mirrored(7, WANTED)), (NOW + 7, made.mirrored(8, OTHER))])
    (tmp_path / "below").mkdir()
    write(tmp_path / "below", "a.pcap.gz", [(NOW + 6, made.mirrored(9, WANTED)), (NOW + 9, made.mirrored(7, WANTED))])
    packets, result = handed(tmp_path, "port 443")
    assert packets == [(NOW + 5, WANTED), (NOW + 6, WANTED), (NOW + 9, WANTED)]
    assert (result.files, result.packets, result.selected) == (2, 4, 3)
    assert (result.first, result.last, result.late, result.problems) == (NOW + 5, NOW + 9, 0, [])
    assert result.read == result.size == sum(file.stat().st_size for file in tmp_path.rglob("*.pcap*"))


def test_when_packets_are_no_copies_then_they_are_handed_over_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, "a.pcap", [(NOW, WANTED), (NOW + 1, OTHER), (NOW + 2, made.mirrored(7, WANTED))])
    assert handed(tmp_path, "port 443")[0] == [(NOW, WANTED), (NOW + 2, WANTED)]
    assert handed(tmp_path, "port 443", vnis=frozenset({7}))[0] == [(NOW + 2, WANTED)]
    assert handed(tmp_path, "port 443", vnis=frozenset({8}))[0] == []
    assert handed(tmp_path, "udp", port=4790)[0] == [(NOW + 2, made.mirrored(7, WANTED))]


def test_when_a_time_is_meant_then_its_packets_are_handed_over_and_other_captures_not_opened(tmp_path: Path) -> None:
    for number in range(4):
        start = NOW + number * 60 * SECOND
        write(tmp_path, f"{number}.pcap", [(start + each * SECOND, made.mirrored(7, WANTED)) for each in range(60)])
    since, until = NOW + 70 * SECOND, NOW + 75 * SECOND
    packets, result = handed(tmp_path, since=since, until=until)
    assert [time for time, _ in packets] == [since + each * SECOND for each in range(5)]
    assert (result.files, result.skipped) == (2, 2)
    # Where it was recorded when a capture ends, that is known without reading it.
    known = [CaptureFile(one.path, one.size, one.first, one.first + 59 * SECOND) for one in find_captures(tmp_path)]
    (tmp_path / "0.pcap").unlink()
    result = hand_over(known, io.BytesIO(), since=since, until=until)
    assert (result.files, result.skipped, result.selected, result.problems) == (1, 3, 5, [])
    ends = [(NOW + 59 * SECOND, 1), (NOW + 59 * SECOND + 1, 0)]
    assert [sum(one.overlaps(since, NOW + 60 * SECOND) for one in known) for since, _ in ends] == [1, 0]


def test_when_a_capture_is_out_of_order_then_what_is_handed_over_is_not(tmp_path: Path) -> None:
    times = [NOW + offset * SECOND for offset in (0, 2, 1, 3, 4)]
    write(tmp_path, "a.pcap", [(time, made.mirrored(7, WANTED)) for time in times])
    packets, result = handed(tmp_path)
    assert [time for time, _ in packets] == sorted(times)
    assert result.late == 0


def test_when_a_capture_is_further_out_of_order_then_late_packets_are_counted(tmp_path: Path) -> None:
    times = [NOW + offset * SECOND for offset in (10, 20, 0, 30)]
    write(tmp_path, "a.pcap", [(time, made.mirrored(7, WANTED)) for time in times])
    packets, result = handed(tmp_path)
    assert sorted(time for time, _ in packets) == sorted(times)
    assert (result.late, result.first, result.last) == (1, NOW + 10 * SECOND, NOW + 30 * SECOND)


def parts(identification: int, port: int = 443) -> list[bytes]:
    data = made.tcp(41000, port, bytes(100))
    places = [(0, data[:40], True), (40, data[40:80], True), (80, data[80:], False)]
    return [
        made.ethernet(made.ipv4(A, B, made.TCP, piece, identification=identification, offset=offset, more=more))
        for offset, piece, more in places
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_when_a_packet_is_in_fragments_then_all_of_them_are_handed_over(order: tuple[int, ...], tmp_path: Path) -> None:
    wanted, other = parts(5), parts(6, port=80)
    packets = [(NOW + at * SECOND // 2, (wanted[part], other[part])) for at, part in enumerate(order)]
    # The fragments are in several captures, and the later ones may be before the first.
    for number, (time, both) in enumerate(packets):
        write(tmp_path, f"{number}.pcap", [(time, made.mirrored(7, one)) for one in both])
    found, result = handed(tmp_path, "port 443")
    assert found == [(time, both[0]) for time, both in packets]
    assert result.lone == 0


def test_when_a_first_fragment_is_missing_then_the_later_ones_have_no_ports_and_are_counted(tmp_path: Path) -> None:
    # One of another VNI is of another packet.
    packets = [made.mirrored(8, parts(5)[0]), *(made.mirrored(7, one) for one in parts(5)[1:])]
    write(tmp_path, "a.pcap", [(NOW + at, copy) for at, copy in enumerate(packets)])
    found, result = handed(tmp_path, "port 443")
    assert [time for time, _ in found] == [NOW]
    assert result.lone == 2
    found, result = handed(tmp_path, "not port 443")
    assert [time for time, _ in found] == [NOW + 1, NOW + 2]
    assert handed(tmp_path, f"host {A}")[1].lone == 0


def test_when_a_copy_is_in_fragments_then_the_first_is_handed_over_and_the_later_are_counted(tmp_path: Path) -> None:
    inside = made.udp(65408, 4789, made.vxlan(7, WANTED))
    outside = [
        made.ethernet(made.ipv4("10.9.0.5", "10.9.0.9", made.UDP, piece, offset=offset, more=offset == 0))
        for offset, piece in ((0, inside[:72]), (72, inside[72:]))
    ]
    unrelated = made.ethernet(made.ipv4("10.9.0.6", "10.9.0.9", made.UDP, bytes(50), offset=72))
    write(tmp_path, "a.pcap", [(NOW + at, copy) for at, copy in enumerate((*outside, unrelated))])
    file = io.BytesIO()
    result = hand_over(find_captures(tmp_path), file)
    assert (result.parts, result.selected) == (1, 2)
    [(_, wire), (_, _)] = interfaces_of(file.getvalue())
    assert wire == len(WANTED)
    assert handed(tmp_path)[0][0] == (NOW, WANTED[:56])


def test_when_a_session_mirrors_fewer_bytes_then_the_length_on_the_wire_is_that_of_the_packet(tmp_path: Path) -> None:
    write(tmp_path, "a.pcap", [(NOW, made.mirrored(7, WANTED[:50]))])
    file = io.BytesIO()
    hand_over(find_captures(tmp_path), file)
    assert interfaces_of(file.getvalue()) == [("10.9.0.5", len(WANTED))]


def test_when_interfaces_have_labels_then_what_is_handed_over_has_them(tmp_path: Path) -> None:
    copies = [made.mirrored(7, WANTED), made.mirrored(8, WANTED), made.mirrored(8, WANTED, source="10.9.0.6"), WANTED]
    write(tmp_path, "a.pcap", [(NOW + at, copy) for at, copy in enumerate(copies)])
    file = io.BytesIO()
    labels = {7: Label("eni-0a1", "web-1", "session tms-1, VNI 7")}
    hand_over(find_captures(tmp_path), file, labels=labels, comment="incident inc-1")
    assert [name for name, _ in interfaces_of(file.getvalue())] == ["eni-0a1", "10.9.0.5", "10.9.0.6", "capture"]
    for text in (b"session tms-1, VNI 7", b"web-1", b"incident inc-1", b"mirrored from 10.9.0.6", b"VNI 8"):
        assert text in file.getvalue()


def test_when_there_are_too_many_interfaces_then_further_ones_share_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handing_over, "MAX_LABELS", 2)
    write(tmp_path, "a.pcap", [(NOW + at, made.mirrored(vni, WANTED)) for at, vni in enumerate((1, 2, 3, 4, 1))])
    file = io.BytesIO()
    hand_over(find_captures(tmp_path), file)
    names = [name for name, _ in interfaces_of(file.getvalue())]
    assert names == ["10.9.0.5", "10.9.0.5", "further interfaces", "further interfaces", "10.9.0.5"]


def test_when_captures_are_damaged_then_the_others_and_all_before_are_handed_over(tmp_path: Path) -> None:
    whole = write(tmp_path, "a.pcap", [(NOW + at, made.mirrored(7, WANTED)) for at in range(3)]).read_bytes()
    (tmp_path / "cut.pcap").write_bytes(whole[:-5])
    (tmp_path / "damaged.pcap").write_bytes(whole + b"\xff" * 16)
    (tmp_path / "text.pcap").write_bytes(b"hello")
    (tmp_path / "empty.pcap").write_bytes(b"")
    (tmp_path / "header.pcap").write_bytes(whole[:24])
    (tmp_path / "short.pcap").write_bytes(whole[:20])
    (tmp_path / "notes.txt").write_bytes(b"hello")
    os.symlink(tmp_path / "a.pcap", tmp_path / "link.pcap")
    packets, result = handed(tmp_path)
    assert len(packets) == 3 + 2 + 3
    assert sorted(problem.removeprefix(f"{tmp_path}/") for problem in result.problems) == [
        f"cut.pcap: ends at byte {len(whole) - 5}, inside a record",
        f"damaged.pcap: at byte {len(whole)}: a packet of 4294967295 bytes; the most is 262144",
        "short.pcap: ends at byte 20, inside the header of the file",
        "text.pcap: at byte 0: neither pcap nor pcapng, but bytes 68656c6c",
    ]


def test_when_a_capture_vanishes_then_it_is_a_problem(tmp_path: Path) -> None:
    gone = CaptureFile(tmp_path / "gone.pcap", 100, NOW)
    result = hand_over([gone], io.BytesIO())
    assert result.problems == [
        f"{gone.path}: at byte 0: cannot be read: [Errno 2] No such file or directory: '{gone.path}'"
    ]


def test_when_there_are_many_problems_then_some_are_only_counted(tmp_path: Path) -> None:
    result = hand_over([CaptureFile(tmp_path / f"{at}.pcap", 1, NOW) for at in range(103)], io.BytesIO())
    assert (len(result.problems), result.further) == (100, 3)


def test_fails_when_what_is_written_to_fails_and_captures_are_not_blamed(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(28, "No space left on device")

    write(tmp_path, "a.pcap", [(NOW, made.mirrored(7, WANTED))])
    with pytest.raises(OSError, match="No space left"):
        hand_over(find_captures(tmp_path), Full())

    def show(_: HandOver) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        hand_over(find_captures(tmp_path), io.BytesIO(), show=show)


def test_when_more_captures_are_read_at_a_time_than_files_may_be_open_then_all_are_read(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(80):
        write(tmp_path, f"{number}.pcap", [(NOW + number, WANTED), (NOW + SECOND + number, WANTED)])
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, hard))
    try:
        packets, result = handed(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (len(packets), result.problems) == (160, [])


def test_when_much_is_handed_over_then_memory_is_bounded_and_progress_is_shown(tmp_path: Path) -> None:
    big = made.mirrored(7, made.ethernet(made.ipv4(A, B, made.TCP, made.tcp(41000, 443, bytes(60_000)))))
    for number in range(4):
        # All at one time, so that all of them wait.
        write(tmp_path, f"{number}.pcap", [(NOW, big)] * 400)
    shown: list[int] = []

    class Counted:
        def __init__(self) -> None:
            self.size = 0

        def write(self, data: bytes, /) -> None:
            self.size += len(data)

    captures, out = find_captures(tmp_path), Counted()
    tracemalloc.start()
    try:
        result = hand_over(captures, out, show=lambda done: shown.append(done.read))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.selected == 1600
    assert out.size > 96_000_000
    assert peak < handing_over.MAX_WAITING + 16 * (1 << 20)
    assert len(shown) > 80
    assert shown == sorted(shown)
    assert shown[-1] == result.size


OUTSIDE = {4: hostile.captured(4, 4), 6: hostile.captured(6, 6)}


def as_copies(packets: list[hostile.Made]) -> list[tuple[int, bytes]]:
    return [(one.time, one.record) for one in packets]


@pytest.mark.parametrize("outer", [4, 6])
def test_when_all_is_selected_then_every_mirrored_frame_is_handed_over(outer: int, tmp_path: Path) -> None:
    write(tmp_path, "a.pcap", as_copies(OUTSIDE[outer]))
    assert handed(tmp_path)[0] == [(one.time, one.frame) for one in OUTSIDE[outer]]


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark on this machine")
@pytest.mark.parametrize("outer", [4, 6])
@sampled("text", hostile.SELECTIONS, every=3)
def test_when_tshark_selects_then_the_same_packets_are_handed_over(text: str, outer: int, tmp_path: Path) -> None:
    packets = OUTSIDE[outer]
    write(tmp_path, "a.pcap", as_copies(packets))
    command = ["tshark", "-n", "-r", "a.pcap", "-Y", hostile.display_filter(text, outer), "-T", "fields"]
    options = [word for option in ("ip.defragment:FALSE", "ipv6.defragment:FALSE") for word in ("-o", option)]
    done = subprocess.run(
        [*command, *options, "-e", "frame.number"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    numbers = {int(number) - 1 for number in done.stdout.split()}
    times = {packets[number].time for number in numbers}
    # Where ports or protocols count, tshark selects no later fragment; here each follows its first one.
    follows = "port" in text or "icmp" in text
    expected = {one.time for one in packets if one.time in times or (follows and one.first in times and one.whole)}
    found = handed(tmp_path, text)[0]
    # Of headers that are cut, tshark does not show all that was captured.
    firsts = {one.time for one in packets if one.whole and one.first is None}
    whole = firsts | {one.time for one in packets if one.whole and one.first in firsts}
    assert {time for time, _ in found} & whole == expected & whole
    assert {time for time, _ in found} >= expected
    frames = {one.time: one.frame for one in packets}
    assert found == [(time, frames[time]) for time, _ in sorted(found)]
    assert 20 < len(expected & whole) < len(packets) * 0.7


SIX = made.ethernet(made.ipv6("2001:db8::5", "2001:db8::7", made.TCP, made.tcp(41000, 80, bytes(30))))
DATAGRAM = made.ethernet(made.ipv4(A, B, made.UDP, made.udp(41000, 80, bytes(30))))
PLAIN = [OTHER, SIX, DATAGRAM, *(made.mirrored(7, frame) for frame in (OTHER, SIX, DATAGRAM))]


@functools.cache
def work_on(text: str, vnis: frozenset[int] | None) -> handing_over._Work:
    return handing_over._Work(HandOver(), Selection.parse(text), 0, 1 << 64, vnis, 4789, lambda _: None)


def decided(data: bytes, text: str, vnis: frozenset[int] | None) -> tuple[Any, Any]:
    """Return what is handed over of a frame decided as plain, and decoded; True if it is not plain."""
    work = work_on(text, vnis)
    # Packets are counted from one, and no fragment of another packet is known.
    work._order, work.firsts, work._copies = 0, FirstFragments(), FirstFragments()
    buffer, interface = b"\xff" * 9 + data + b"\xff" * 200, Interface(1)
    decoded = work._decode(buffer, 9, 9 + len(data), 0, 999, interface, vnis, 4789)
    found = plain.decider(work.selection, vnis, 4789)(buffer, 9, 9 + len(data))
    if isinstance(found, bool):
        return found, decoded is not None
    wire = 999 if found.wire is None else found.wire
    came = None if found.vni is None else (4, found.outer_source)
    return (0, 1, buffer[found.start : found.end], wire, found.vni, came, interface, None), decoded


@pytest.mark.parametrize("frame", PLAIN)
def test_when_a_packet_is_plain_then_it_is_decided_without_decoding(frame: bytes) -> None:
    assert decided(frame, "port 443", None) == (False, False)
    found, decoded = decided(frame, "port 80", None)
    assert found == decoded
    assert found is not True


INSIDE = made.udp(65_408, 4789, made.vxlan(7, OTHER))
SIX_OUTSIDE = made.ethernet(made.ipv6("2001:db8::9", "2001:db8::a", made.UDP, INSIDE))
NOT_PLAIN = [made.mirrored(7, OTHER)[:80], SIX_OUTSIDE]


@pytest.mark.parametrize("text", ["port 80", "not port 80"])
@pytest.mark.parametrize("frame", [*PLAIN, *NOT_PLAIN])
def test_when_any_byte_of_the_headers_is_another_then_decoding_says_the_same(frame: bytes, text: str) -> None:
    values = [*range(26), 43, 44, 50, 51, 53, 54, 60, 73, 74, 0x40, 0x45, 0x46, 0x60, 0x70, 0x86, 0xDD, 0xFF]
    for position in range(12, min(len(frame), 108)):
        for value in values:
            changed = frame[:position] + bytes([value]) + frame[position + 1 :]
            found, decoded = decided(changed, text, None)
            assert found is True or found == decoded, (position, value)


@pytest.mark.parametrize("text", ["port 80", "not port 80", "not tcp", f"not host {A} and ip", "udp port 4789", ""])
@given(data=st.data())
def test_when_a_packet_is_decided_as_plain_then_decoding_it_says_the_same(text: str, data: st.DataObject) -> None:
    frame = bytearray(data.draw(st.sampled_from(PLAIN)))
    values = st.sampled_from([0, 1, 4, 6, 8, 17, 20, 44, 51, 0x20, 0x40, 0x45, 0x46, 0x60, 0x81, 0x86, 0xDD, 0xFF])
    for position, value in data.draw(st.lists(st.tuples(st.integers(12, len(frame) - 1), values), max_size=4)):
        frame[position] = value
    cut = bytes(frame[: data.draw(st.just(len(frame)) | st.integers(0, len(frame)))])
    found, decoded = decided(cut, text, data.draw(st.sampled_from([None, frozenset({7}), frozenset({8})])))
    assert found is True or found == decoded


@given(st.lists(st.binary(max_size=200) | st.sampled_from([one.record for one in OUTSIDE[4]]), max_size=8), st.data())
def test_when_captures_are_random_then_they_are_handed_over_or_noted(
    tmp_path_factory: pytest.TempPathFactory, frames: list[bytes], data: st.DataObject
) -> None:
    capture = bytearray(made_captures.pcap([(NOW + at, frame) for at, frame in enumerate(frames)]))
    for position, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(capture) - 1), st.integers(0, 255)), max_size=4)
    ):
        capture[position] = value
    folder = tmp_path_factory.mktemp("captures")
    (folder / "a.pcap").write_bytes(capture)
    handed(folder, "port 53 or icmp")
