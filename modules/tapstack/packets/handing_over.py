"""Hands over the packets that are meant: reads the captures that overlap, selects, writes one pcapng in order of time.

What is in a mirrored copy is selected and handed over as it was on the wire, without what is around it; a packet that
is no copy as it is. Memory is bounded whatever the size and number of the captures: of each that is being read one
chunk, and what waits for its place in time (`MAX_WAITING` bytes).
"""

from __future__ import annotations

import heapq
import ipaddress
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Final, Protocol

from tapstack.packets import plain, vxlan
from tapstack.packets.captures import CHUNK, MAX_TIME, CaptureError, CaptureReader, Interface, Readable, open_capture
from tapstack.packets.frames import ETHERNET, Headers, Octets, decode_frame
from tapstack.packets.pcapng import PcapngWriter, Writable
from tapstack.packets.selection import FirstFragments, Selection

SUFFIXES: Final = (".pcap", ".pcapng", ".cap", ".ntar")
"""What names of captures end in, with or without a number and `.gz` behind."""
OUT_OF_ORDER: Final = 2_000_000_000
"""Nanoseconds by which a capture may be out of order of time, so that what is handed over still is in order."""
NO_COPIES: Final = -1
"""In place of the UDP port of copies, of captures that were made at an interface: what is VXLAN in them is no copy."""
MAX_WAITING: Final = 32 << 20
"""Bytes of packets that wait for their place in time at most; the earliest are written when there are more."""
MAX_LABELS: Final = 1_000
"""Interfaces at most in what is handed over; packets of further ones share one more."""
MAX_PROBLEMS: Final = 100
"""Problems that are kept in words; the others are only counted."""
_OVERHEAD: Final = 400
"""About what a waiting packet takes besides its bytes."""
_ALL_CHUNKS: Final = 8 << 20
_SMALLEST_CHUNK: Final = 1 << 12
FIRST_CHUNK: Final = 1 << 14
"""Bytes read at a time where only the first packet is wanted."""


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A capture, and from when to when its packets are.

    Attributes:
        path: of the file, or its address where it is not on this machine.
        size: bytes.
        first: nanoseconds of its earliest packet, or of its first one where no more was recorded.
        last: nanoseconds of its latest packet; None where it was not recorded, so that the file has to be read.
        open: opens it where it is not on this machine.
        vnis: whose copies are meant of this file; those that are meant of all files, by default.
        port: the UDP port of copies in it, `NO_COPIES` where there are none; that of all files by default.
        name: how the interface of its packets that are no copies is called; as the file has it, by default.
    """

    path: Path | str
    size: int
    first: int
    last: int | None = None
    open: Callable[[], Readable] | None = field(default=None, repr=False, compare=False)
    vnis: frozenset[int] | None = None
    port: int | None = None
    name: str = ""

    def overlaps(self, since: int, until: int) -> bool:
        """Whether it may have packets from `since` on and before `until`."""
        if self.last is None:
            return self.first - OUT_OF_ORDER < until
        return self.first < until and self.last >= since


class Sink(Protocol):
    """What selected packets go to, each with its interface."""

    @property
    def written(self) -> int:
        """Bytes so far."""

    def add_interface(self, name: str, *, description: str = "", comment: str = "", link_type: int = ETHERNET) -> int:
        """Return the number that packets of an interface come with."""

    def add_packet(self, interface: int, time: int, data: Octets, wire: int) -> None:
        """Take a packet: its interface, nanoseconds since 1970, what was captured of it, its length on the wire."""


@dataclass(frozen=True, slots=True)
class Label:
    """How an interface is called in what is handed over.

    Attributes:
        name: of the network interface, say.
        description: one line about it.
        comment: more about it: its session and VNI, say.
    """

    name: str
    description: str = ""
    comment: str = ""


@dataclass(slots=True)
class HandOver:
    """What has been done, and is there to show while it is.

    Attributes:
        files: captures that overlap.
        skipped: captures that do not.
        size: bytes of the captures that overlap, compressed or not.
        read: bytes of these that were read.
        packets: that were read.
        selected: that were handed over.
        first: nanoseconds of the first packet that was handed over; None before.
        last: of the latest one.
        written: bytes.
        late: packets that were handed over behind later ones, because their capture is further out of order than
            `OUT_OF_ORDER`, or too many packets waited.
        lone: later fragments that were decided without ports, because their first one was not found.
        parts: later fragments of copies, of which the mirrored packets could not be read.
        problems: of captures, in words; `MAX_PROBLEMS` at most.
        further: how many problems there were besides.
    """

    files: int = 0
    skipped: int = 0
    size: int = 0
    read: int = 0
    packets: int = 0
    selected: int = 0
    first: int | None = None
    last: int | None = None
    written: int = 0
    late: int = 0
    lone: int = 0
    parts: int = 0
    problems: list[str] = field(default_factory=list)
    further: int = 0

    def note(self, problem: str) -> None:
        """Keep a problem of a capture."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        else:
            self.further += 1


def find_captures(folder: str | PathLike[str], noted: HandOver | None = None) -> list[CaptureFile]:
    """Return the captures in a folder and in those below it, by the time of their first packet.

    Files whose name is none of a capture (`SUFFIXES`) and links are left out. A capture without packets, or that cannot
    be read, is left out, too, and noted as a problem unless it is empty.

    Raises:
        OSError: the folder cannot be read.
    """
    found = []
    noted = HandOver() if noted is None else noted
    folders = deque([Path(folder)])
    while folders:
        with os.scandir(folders.popleft()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False) and is_named_as_capture(entry.name):
                    found.append(look_at(entry.path, noted))
    return sorted(filter(None, found), key=lambda one: (one.first, str(one.path)))


def look_at(path: str | PathLike[str], noted: HandOver) -> CaptureFile | None:
    """Return a capture with the time of its first packet; None if it has none, or cannot be read, which is noted."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            noted.note(f"{os.fspath(path)}: not a regular file")
            return None
        if not status.st_size:
            return None
        with open_capture(path, chunk=FIRST_CHUNK) as reader:
            first = first_time(reader, noted)
        return None if first is None else CaptureFile(Path(path), status.st_size, first)
    except OSError as error:
        noted.note(f"{os.fspath(path)}: {error.strerror}")
    return None


def first_time(reader: CaptureReader, noted: HandOver) -> int | None:
    """Return nanoseconds of the first packet of a capture; None if it has none, or cannot be read, which is noted."""
    try:
        for record in reader:
            return record[3]
        if reader.cut:
            noted.note(reader.cut)
    except CaptureError as error:
        noted.note(str(error))
    return None


def is_named_as_capture(name: str) -> bool:
    """Whether a file's name is one of a capture: `SUFFIXES`, with or without a number and `.gz` behind."""
    # tcpdump -C appends a number to the name.
    return name.lower().removesuffix(".gz").rstrip("0123456789").endswith(SUFFIXES)


_Came = tuple[int | None, int | None]
_Candidate = tuple[int, int, bytes, int, int | None, _Came | None, Interface, Headers | None]
"""A packet that is selected: time, its number in the order of reading, bytes, length on the wire, VNI, family and
address that its copy came from, interface of the capture. The headers at last are those of a later fragment that waits
for its first one. A plain tuple, which compares by time and order, and is made fast."""


def hand_over(
    captures: Iterable[CaptureFile],
    file: Writable,
    selection: Selection | None = None,
    *,
    since: int = 0,
    until: int = MAX_TIME + 1,
    vnis: frozenset[int] | None = None,
    labels: Mapping[int, Label] | None = None,
    comment: str = "",
    port: int = vxlan.PORT,
    result: HandOver | None = None,
    show: Callable[[HandOver], None] = lambda _: None,
) -> HandOver:
    """Write the packets that are meant to `file`, as pcapng in order of time; return what was done.

    A capture that is damaged, or cannot be read, is noted as a problem, and all before the damage is handed over.

    Args:
        captures: as `find_captures` returns them; those that do not overlap are not opened.
        file: gets bytes.
        selection: of the mirrored packets; all of them by default.
        since: nanoseconds since 1970 from which on packets are meant.
        until: nanoseconds before which they are.
        vnis: whose copies are meant; all, and packets that are no copies, by default.
        labels: how the interface of a VNI is called; by the address that its copies come from by default.
        comment: of the whole pcapng.
        port: the UDP port of copies.
        result: is returned, with what `find_captures` noted; a new one by default.
        show: is called with the result after each chunk that was read.

    Raises:
        OSError: `file` cannot be written.
    """
    return hand_to(
        captures,
        PcapngWriter(file, comment=comment),
        selection,
        since=since,
        until=until,
        vnis=vnis,
        labels=labels,
        port=port,
        result=result,
        show=show,
    )


def hand_to(
    captures: Iterable[CaptureFile],
    sink: Sink,
    selection: Selection | None = None,
    *,
    since: int = 0,
    until: int = MAX_TIME + 1,
    vnis: frozenset[int] | None = None,
    labels: Mapping[int, Label] | None = None,
    port: int = vxlan.PORT,
    result: HandOver | None = None,
    show: Callable[[HandOver], None] = lambda _: None,
) -> HandOver:
    """Give the packets that are meant to `sink`, in order of time; otherwise as `hand_over`."""
    done = HandOver() if result is None else result
    overlapping = []
    for one in sorted(captures, key=lambda one: (one.first, str(one.path))):
        if one.overlaps(since, until):
            overlapping.append(one)
            done.size += one.size
        else:
            done.skipped += 1
    done.files = len(overlapping)
    work = _Work(done, selection or Selection.parse(""), since, until, vnis, port, show)
    out = _Out(sink, labels or {}, done)
    # What waits for its place in time; of the same time, what was read first comes first.
    waiting: list[_Candidate] = []
    size, newest = 0, 0
    for candidate in _merged(work, overlapping):
        heapq.heappush(waiting, candidate)
        size += len(candidate[2]) + _OVERHEAD
        newest = max(newest, candidate[0])
        while waiting and (newest - waiting[0][0] > OUT_OF_ORDER or size > MAX_WAITING):
            size -= len(waiting[0][2]) + _OVERHEAD
            out.add(work, heapq.heappop(waiting))
    while waiting:
        out.add(work, heapq.heappop(waiting))
    done.written = out.writer.written
    show(done)
    return done


def _merged(work: _Work, captures: list[CaptureFile]) -> Iterator[_Candidate]:
    """Give candidates of all captures in order of time, if each capture is; each is opened when its time comes."""
    heads: list[tuple[_Candidate, int, Iterator[_Candidate]]] = []
    coming = deque(captures)
    number = 0
    while heads or coming:
        while coming and (not heads or coming[0].first - OUT_OF_ORDER <= heads[0][0][0]):
            candidates = work.candidates(coming.popleft(), len(heads))
            if (first := next(candidates, None)) is not None:
                number += 1
                heapq.heappush(heads, (first, number, candidates))
        if not heads:
            continue
        candidate, its_number, candidates = heads[0]
        yield candidate
        if (following := next(candidates, None)) is not None:
            heapq.heapreplace(heads, (following, its_number, candidates))
        else:
            heapq.heappop(heads)


class _Work:
    """Reads captures and selects."""

    def __init__(
        self,
        done: HandOver,
        selection: Selection,
        since: int,
        until: int,
        vnis: frozenset[int] | None,
        port: int,
        show: Callable[[HandOver], None],
    ) -> None:
        self.done, self.selection, self.firsts = done, selection, FirstFragments()
        self._since, self._until, self._vnis, self._port, self._show = since, until, vnis, port, show
        self._order = 0
        self._deciders: dict[tuple[frozenset[int] | None, int], plain.Decide] = {}
        # Of copies that are fragments.
        self._copies = FirstFragments()

    def candidates(self, capture: CaptureFile, others: int) -> Iterator[_Candidate]:
        """Give the packets of a capture that are selected, or may be; note what is wrong with it.

        Args:
            capture: to read.
            others: captures that are being read; the more there are, the smaller are the chunks.
        """
        chunk = min(CHUNK, max(_SMALLEST_CHUNK, _ALL_CHUNKS // (others + 1)))
        file = Reopened(capture.path) if capture.open is None else capture.open()
        reader = CaptureReader(file, os.fspath(capture.path), chunk=chunk)
        try:
            vnis = self._vnis if capture.vnis is None else capture.vnis
            port = self._port if capture.port is None else capture.port
            yield from self._of(reader, vnis, port, capture.name)
        except CaptureError as error:
            self.done.note(str(error))
        if reader.cut:
            self.done.note(reader.cut)

    def _of(self, reader: CaptureReader, vnis: frozenset[int] | None, port: int, name: str) -> Iterator[_Candidate]:
        since, until, last = self._since, self._until, b""
        decide = self._deciders.get((vnis, port))
        if decide is None:
            decide = self._deciders[vnis, port] = plain.decider(self.selection, vnis, port)
        packets = read = 0
        seen_at, is_ethernet, called = None, False, Interface(ETHERNET)
        try:
            for buffer, start, end, time, wire, interface in reader:
                if buffer is not last:
                    last = buffer
                    self._progress(packets, reader.read - read)
                    packets, read = 0, reader.read
                packets += 1
                if time < since or time >= until:
                    continue
                if interface is not seen_at:
                    seen_at, is_ethernet = interface, interface.link_type == ETHERNET
                    called = Interface(interface.link_type, name) if name else interface
                found = decide(buffer, start, end) if is_ethernet else True
                if found is False:
                    continue
                if found is True:
                    candidate = self._decode(buffer, start, end, time, wire, called, vnis, port)
                    if candidate is not None:
                        yield candidate
                    continue
                at, behind, mirrored, vni, outer_source = found
                self._order += 1
                came = None if vni is None else (4, outer_source)
                wire = wire if mirrored is None else mirrored
                yield time, self._order, buffer[at:behind], wire, vni, came, called, None
        finally:
            self._progress(packets, reader.read - read)

    def _progress(self, packets: int, read: int) -> None:
        self.done.packets += packets
        self.done.read += read
        self._show(self.done)

    def _decode(
        self,
        data: bytes,
        start: int,
        end: int,
        time: int,
        wire: int,
        interface: Interface,
        vnis: frozenset[int] | None,
        port: int,
    ) -> _Candidate | None:
        headers = decode_frame(data, start, end, interface.link_type)
        copy = vxlan.copy_behind(data, headers, port)
        vni, outer, at, last = None, None, start, end
        if copy is not None:
            vni, at, last, wire, outer = copy
            self._copies.note(outer, time)
            headers = decode_frame(data, at, last)
        elif vxlan.is_later_part(headers) and self._copies.followed(headers, time) is not None:
            self.done.parts += 1
            return None
        waits = None
        chosen = vnis is None or vni in vnis
        if chosen and headers.fragment is not None:
            self.firsts.note(headers, time, vni)
            if headers.fragment == "later" and self.selection.by_transport:
                followed = self.firsts.followed(headers, time, vni)
                waits, headers = (headers, headers) if followed is None else (None, followed)
        if not chosen or (waits is None and not self.selection.matches(headers)):
            return None
        if copy is not None and headers.network is not None and headers.length is not None:
            # A session may mirror fewer bytes than there were.
            wire = max(wire, headers.network - at + headers.length)
        self._order += 1
        came = None if outer is None else (outer.family, outer.source)
        return time, self._order, data[at:last], wire, vni, came, interface, waits


class _Out:
    """Writes what is handed over."""

    def __init__(self, writer: Sink, labels: Mapping[int, Label], done: HandOver) -> None:
        self.writer, self._labels, self._done = writer, labels, done
        self._numbers: dict[tuple[object, ...], int] = {}

    def add(self, work: _Work, candidate: _Candidate) -> None:
        """Write a packet, unless it is a fragment of one that is not selected."""
        done = self._done
        time, _, data, wire, vni, came, interface, waits = candidate
        if waits is not None:
            followed = work.firsts.followed(waits, time, vni)
            done.lone += followed is None
            if not work.selection.matches(waits if followed is None else followed):
                return
        self.writer.add_packet(self._number(vni, came, interface), time, data, wire)
        done.selected += 1
        if done.first is None:
            done.first = done.last = time
        elif time >= (done.last or 0):
            done.last = time
        else:
            done.late += 1
        done.written = self.writer.written

    def _number(self, vni: int | None, came: _Came | None, interface: Interface) -> int:
        key: tuple[object, ...] = (interface.name, interface.link_type) if came is None else (vni, *came)
        if key not in self._numbers:
            link_type = interface.link_type if vni is None else ETHERNET
            if len(self._numbers) >= MAX_LABELS:
                key = ("further", link_type)
                if key not in self._numbers:
                    self._numbers[key] = self.writer.add_interface("further interfaces", link_type=link_type)
                return self._numbers[key]
            label = self._label(vni, came, interface)
            self._numbers[key] = self.writer.add_interface(
                label.name, description=label.description, comment=label.comment, link_type=link_type
            )
        return self._numbers[key]

    def _label(self, vni: int | None, came: _Came | None, interface: Interface) -> Label:
        if vni is None or came is None:
            return Label(interface.name or "capture")
        if vni in self._labels:
            return self._labels[vni]
        address = _address(*came)
        return Label(address, f"mirrored from {address}", f"VNI {vni}")


def _address(family: int | None, number: int | None) -> str:
    """Return an address in words."""
    return str((ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address)(number or 0))


class Reopened:
    """Reads a file that is open only while it is read from, so that any number of captures can be read side by side."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Keep the path; nothing is opened."""
        self._path, self._offset = path, 0

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most so many; none at the end."""
        with open(self._path, "rb", buffering=0) as file:
            file.seek(self._offset)
            data = file.read(size) or b""
        self._offset += len(data)
        return data
