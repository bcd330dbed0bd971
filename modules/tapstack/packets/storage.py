"""Recorded packets where they are kept: names of files, keys, and the manifest of each; docs/packets.md describes them.

Whoever records writes with `record`; whoever reads finds with `find` what overlaps a time, and opens only that. A store
is a directory (`DirectoryStore`) or a bucket (`tapstack.packets.s3`). Captures that others wrote, which have neither
such a name nor a manifest, are found too: the time of their first packet is read in them.

The scheme is version 1 of it, and only grows: folders and members are added, none is renamed or given another meaning.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from tapstack.domain.arguments import check_range
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier, check_name
from tapstack.domain.incidents import check_incident_id
from tapstack.packets import vxlan
from tapstack.packets.captures import MAX_TIME, NANOSECONDS, CaptureError, CaptureReader, Readable
from tapstack.packets.handing_over import (
    FIRST_CHUNK,
    NO_COPIES,
    CaptureFile,
    HandOver,
    Label,
    Reopened,
    first_time,
    is_named_as_capture,
)

VERSION: Final = 1
ROOT: Final = f"tapstack-packets-{VERSION}/"
"""What the keys of recorded files begin with, in a directory or behind the prefix of a bucket."""
NO_INCIDENT: Final = "no-incident"
"""The folder of what is recorded for no incident, or for several."""
SEVERAL: Final = "several"
"""The folder of files with packets of several interfaces, as a recorder at a mirror target writes them."""
LONG: Final = "long"
"""The folder, in place of a date, of files that last longer than `DAY`."""
DAY: Final = 86_400_000_000_000
"""Nanoseconds that a file lasts at most to be in the folder of its date."""
SUFFIXES: Final = ("pcap", "pcapng", "pcap.gz", "pcapng.gz")
MANIFEST: Final = ".json"
"""What is behind the key of a file in that of its manifest."""
MAX_MANIFEST: Final = 1 << 20
"""Bytes of a manifest at most."""
MAX_INTERFACES: Final = 4_096
"""Interfaces of a manifest at most."""
VNIS: Final = (0, (1 << 24) - 1)

_LEVELS: Final = 5
"""Folders of account, Region, VPC or site, incident, and interface."""
_TIME = r"\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3])[0-5]\d[0-5]\d\.\d{9}Z"
TIME_PATTERN: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$"
RECORDER_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9-]{0,63}$"
FILE_PATTERN: Final = rf"^({_TIME})_({_TIME})_{RECORDER_PATTERN[1:-1]}_\d{{8}}\.({'|'.join(map(re.escape, SUFFIXES))})$"
_FILE: Final = re.compile(FILE_PATTERN, re.ASCII)
_INTERFACE_MEMBERS: Final = ("network_interface_id", "vni", "session_id", "address")


class ManifestError(RuleViolation):
    """A manifest is not one of this version; says what is wrong."""


@dataclass(frozen=True, slots=True)
class RecordedInterface:
    """A network interface whose packets are in a file; what is not known of it is None.

    Attributes:
        network_interface_id: its id.
        vni: of the copies of its packets; None where they are in no copies.
        session_id: of the mirror session that made the copies.
        address: that the copies come from: the interface's primary one.
    """

    network_interface_id: str | None = None
    vni: int | None = None
    session_id: str | None = None
    address: str | None = None

    @property
    def name(self) -> str:
        """How it is called: by its id, its address or its VNI."""
        return self.network_interface_id or self.address or ("unknown" if self.vni is None else f"vni-{self.vni}")

    def label(self) -> Label:
        """Return how it is called in what is handed over."""
        session = f"session {self.session_id}" if self.session_id else ""
        number = "" if self.vni is None else f"VNI {self.vni}"
        description = f"mirrored from {self.address}" if self.address else ""
        return Label(self.name, description, ", ".join(filter(None, (session, number))))


@dataclass(frozen=True, slots=True)
class Recorder:
    """Who records, where, and what: the same for all its files.

    Attributes:
        id: a new one with each start, so that no name comes twice: an instance's id and a random part, say.
        account_id: that the packets are of.
        region: likewise.
        vpc_id: of the interfaces; needed where there is no site.
        site: of the deployment, where it is known.
        incident: that it is for, where it is one.
        interfaces: of which packets may be in its files.
        vxlan_port: the UDP port of copies; None where it records packets as they are seen at the interface.
    """

    id: str
    account_id: str
    region: str
    vpc_id: str | None = None
    site: str | None = None
    incident: str | None = None
    interfaces: tuple[RecordedInterface, ...] = ()
    vxlan_port: int | None = None

    def __post_init__(self) -> None:
        """Check what becomes part of a key.

        Raises:
            RuleViolation: a value has not the form of what it is.
        """
        if not re.fullmatch(RECORDER_PATTERN, self.id, re.ASCII):
            raise RuleViolation(f"{self.id!r} is no id of a recorder: expected 1 to 64 letters, digits and hyphens")
        check_identifier("account", self.account_id)
        check_identifier("region", self.region)
        if self.vpc_id is None and self.site is None:
            raise RuleViolation("a recorder needs a VPC or a site")
        if self.vpc_id is not None:
            check_identifier("vpc", self.vpc_id)
        if self.site is not None:
            check_name(self.site)
        if self.incident is not None:
            check_incident_id(self.incident)
        check_range("interfaces", len(self.interfaces), (0, MAX_INTERFACES))
        for one in self.interfaces:
            if one.network_interface_id is not None:
                check_identifier("network interface", one.network_interface_id)
            if one.vni is not None:
                check_range("vni", one.vni, VNIS)

    @property
    def folder(self) -> str:
        """The folder of its files, up to the date."""
        source = SEVERAL
        if len(self.interfaces) == 1:
            [one] = self.interfaces
            source = one.network_interface_id or (SEVERAL if one.vni is None else f"vni-{one.vni}")
        place = (self.account_id, self.region, self.vpc_id or str(self.site), self.incident or NO_INCIDENT, source)
        return f"{ROOT}{'/'.join(place)}/"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is known of a recorded file.

    Attributes:
        recorder: who wrote it.
        number: of the file, counted by its recorder from 1 on.
        first: nanoseconds of its earliest packet.
        last: nanoseconds of its latest one.
        packets: in it.
        size: bytes of the file, as it is kept.
        sha256: of these bytes, in hexadecimal digits.
        suffix: of `SUFFIXES`.
        dropped: packets that came and were not recorded; None where that is not known.
        problem: how the file ends in the middle of a packet, or is damaged; None where it is whole.
    """

    recorder: Recorder
    number: int
    first: int
    last: int
    packets: int
    size: int
    sha256: str
    suffix: str = "pcap"
    dropped: int | None = None
    problem: str | None = None

    @property
    def name(self) -> str:
        """The name of the file."""
        first, last = _in_name(self.first), _in_name(self.last)
        return f"{first}_{last}_{self.recorder.id}_{self.number:08}.{self.suffix}"

    @property
    def key(self) -> str:
        """The key of the file; in one folder, the order of keys is that of first packets."""
        return f"{self.recorder.folder}{_dated(self.first, self.last)}/{self.name}"

    def as_json(self) -> dict[str, Any]:
        """Return it as it is written; what is not known is left out."""
        recorder = self.recorder
        members = {
            "version": VERSION,
            "file": self.name,
            "account_id": recorder.account_id,
            "region": recorder.region,
            "vpc_id": recorder.vpc_id,
            "site": recorder.site,
            "incident": recorder.incident,
            "recorder": recorder.id,
            "number": self.number,
            "first_packet_at": time_text(self.first),
            "last_packet_at": time_text(self.last),
            "packets": self.packets,
            "dropped": self.dropped,
            "size": self.size,
            "sha256": self.sha256,
            "vxlan_port": recorder.vxlan_port,
            "interfaces": [
                {name: value for name in _INTERFACE_MEMBERS if (value := getattr(one, name)) is not None}
                for one in recorder.interfaces
            ],
            "problem": self.problem,
        }
        return {name: value for name, value in members.items() if value is not None}


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest; members that are not known are ignored.

    Raises:
        ManifestError: it is none of version 1, or a member is missing or of another form.
    """
    if len(data) > MAX_MANIFEST:
        raise ManifestError(f"a manifest has {MAX_MANIFEST} bytes at most, got {len(data)}")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ManifestError("is no JSON") from None
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise ManifestError(f"is no manifest of version {VERSION}")
    try:
        interfaces = _member(found, "interfaces", list)
        if len(interfaces) > MAX_INTERFACES:
            raise ManifestError(f"has {len(interfaces)} interfaces; the most is {MAX_INTERFACES}")
        return Manifest(
            recorder=Recorder(
                id=_member(found, "recorder", str),
                account_id=_member(found, "account_id", str),
                region=_member(found, "region", str),
                vpc_id=_member(found, "vpc_id", str, None),
                site=_member(found, "site", str, None),
                incident=_member(found, "incident", str, None),
                interfaces=tuple(map(_read_interface, interfaces)),
                vxlan_port=_member(found, "vxlan_port", int, None),
            ),
            number=_member(found, "number", int),
            first=_read_time(_member(found, "first_packet_at", str)),
            last=_read_time(_member(found, "last_packet_at", str)),
            packets=_member(found, "packets", int),
            size=_member(found, "size", int),
            sha256=_member(found, "sha256", str),
            suffix=_suffix(_member(found, "file", str)),
            dropped=_member(found, "dropped", int, None),
            problem=_member(found, "problem", str, None),
        )
    except ManifestError:
        raise
    except RuleViolation as violation:
        raise ManifestError(str(violation)) from None


_NEEDED: Final = object()


def _member(found: Mapping[str, Any], name: str, kind: type, default: Any = _NEEDED) -> Any:
    value = found.get(name, default)
    if value is _NEEDED:
        raise ManifestError(f"has no {name}")
    if value is default:
        return value
    if type(value) is not kind or (isinstance(value, int) and value < 0):
        raise ManifestError(f"{name}: expected {_KINDS[kind]}, got {str(value)[:40]!r}")
    return value


_KINDS: Final = {str: "a text", int: "a whole number of 0 or more", list: "a list"}


def _read_interface(entry: Any) -> RecordedInterface:
    if not isinstance(entry, dict):
        raise ManifestError("interfaces: expected objects")
    text = {name: _member(entry, name, str, None) for name in _INTERFACE_MEMBERS if name != "vni"}
    return RecordedInterface(vni=_member(entry, "vni", int, None), **text)


def _suffix(name: str) -> str:
    if (found := _FILE.fullmatch(name)) is None:
        raise ManifestError(f"file: {name[:200]!r} is no name of a recorded file")
    return found[3]


def time_text(nanoseconds: int) -> str:
    """Return a time as manifests have it, such as 2026-01-02T03:04:05.123456789Z."""
    seconds, fraction = divmod(nanoseconds, NANOSECONDS)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09}Z"


def _in_name(nanoseconds: int) -> str:
    return time_text(nanoseconds).replace("-", "").replace(":", "")


def _read_time(text: str) -> int:
    """Return nanoseconds of a time as `time_text` or a name has it."""
    compact = text.replace("-", "").replace(":", "")
    try:
        if not re.fullmatch(_TIME, compact, re.ASCII):
            raise ValueError
        moment = datetime.strptime(compact[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise ManifestError(f"{text[:40]!r} is no time: expected the form 2026-01-02T03:04:05.123456789Z") from None
    found = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * NANOSECONDS + int(compact[16:25])
    if not 0 <= found <= MAX_TIME:
        raise ManifestError(f"{text!r} is out of range")
    return found


def _dated(first: int, last: int) -> str:
    return LONG if last - first > DAY else _date(first)


def _date(nanoseconds: int) -> str:
    return time_text(nanoseconds)[:10].replace("-", "/")


def times_of(name: str) -> tuple[int, int] | None:
    """Return the nanoseconds of first and last packet that a file's name says; None where it is no recorded file's."""
    found = _FILE.fullmatch(name.rpartition("/")[2])
    try:
        times = None if found is None else (_read_time(found[1]), _read_time(found[2]))
    except ManifestError:  # the 31st of a shorter month
        return None
    return times if times is None or times[0] <= times[1] else None


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in a store: its key, and its bytes."""

    key: str
    size: int


class Store(Protocol):
    """Where recorded files are kept; keys have `/` between folders. What fails raises OSError."""

    @property
    def name(self) -> str:
        """What messages call it: its path or address."""

    def inside(self, prefix: str) -> tuple[list[str], list[Stored]]:
        """Return the names of the folders directly in one, which is empty or ends with `/`, and the files in it."""

    def stored(self, prefix: str, after: str = "") -> Iterator[Stored]:
        """Give the files in a folder and those below it in order of key, from the key `after` on."""

    def open(self, key: str) -> Readable:
        """Return what reads a file; an error may come when it is read."""

    def read(self, key: str, most: int) -> bytes | None:
        """Return the first bytes of a file; None where there is no such file."""

    def put(self, key: str, file: BinaryIO, size: int, sha256: str) -> None:
        """Write a file as a whole, or not at all; one that exists is not replaced unless it has the same bytes.

        Raises:
            OSError: it cannot be written; FileExistsError where another has the key.
        """

    def address(self, key: str) -> str:
        """Return what messages call a file: its path or address."""


class DirectoryStore:
    """Recorded files in a directory; symbolic links in it are not followed."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Keep the path; it is created when something is written."""
        self._path = Path(path)
        self.name = str(path)

    def inside(self, prefix: str) -> tuple[list[str], list[Stored]]:
        """Return the names of the folders directly in one, and the files in it."""
        found = self._entries(prefix)
        folders = [key[len(prefix) : -1] for key in found if key.endswith("/")]
        return folders, [Stored(key, size) for key, size in found.items() if not key.endswith("/")]

    def stored(self, prefix: str, after: str = "") -> Iterator[Stored]:
        """Give the files in a folder and those below it in order of key, from the key `after` on."""
        for key, size in self._entries(prefix).items():
            if key.endswith("/"):
                if key >= after or after.startswith(key):
                    yield from self.stored(key, after)
            elif key >= after:
                yield Stored(key, size)

    def _entries(self, prefix: str) -> dict[str, int]:
        """Return the folders, with `/` behind, and the files directly in one, in order of key, with their bytes."""
        found = {}
        with os.scandir(self._path / prefix) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found[f"{prefix}{entry.name}/"] = 0
                elif entry.is_file(follow_symlinks=False):
                    found[f"{prefix}{entry.name}"] = entry.stat(follow_symlinks=False).st_size
        return dict(sorted(found.items()))

    def open(self, key: str) -> Readable:
        """Return what reads a file, which is open only while it is read."""
        return Reopened(self._path / key)

    def read(self, key: str, most: int) -> bytes | None:
        """Return the first bytes of a file; None where there is no such file."""
        try:
            with open(self._path / key, "rb") as file:
                return file.read(most)
        except FileNotFoundError:
            return None

    def put(self, key: str, file: BinaryIO, size: int, sha256: str) -> None:
        """Write a file beside its place, and rename it when all of it is on the disk."""
        path = self._path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            digest = hashlib.sha256()
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as written:
                while data := file.read(1 << 20):
                    written.write(data)
                    digest.update(data)
                written.flush()
                os.fsync(written.fileno())
            if digest.hexdigest() != sha256:
                raise OSError(f"{path}: the file changed while it was copied")
            if path.exists():
                with open(path, "rb") as there:
                    if hashlib.file_digest(there, "sha256").hexdigest() != sha256:
                        raise FileExistsError(f"{path} exists with other content")
                return
            os.rename(part, path)
        finally:
            part.unlink(missing_ok=True)

    def address(self, key: str) -> str:
        """Return the path of a file."""
        return str(self._path / key)


def record(
    store: Store, path: str | PathLike[str], recorder: Recorder, number: int, *, dropped: int | None = None
) -> Manifest | None:
    """Write a capture that is closed, and then its manifest; return that, or None where the capture has no packet.

    What is cut in the middle of a packet or damaged is written as it is, and its manifest says so. To write the same
    again changes nothing.

    Args:
        store: to write to.
        path: of the capture.
        recorder: who recorded it.
        number: of the file, from 1 on, another one for each file of the recorder.
        dropped: packets that came and were not recorded, where that is known.

    Raises:
        RuleViolation: the capture's name ends with none of `SUFFIXES`, or the number is out of range.
        CaptureError: it is no capture.
        OSError: the capture cannot be read, or the store not written.
    """
    check_range("number", number, (1, 99_999_999))
    name = os.fspath(path)
    suffix = next((one for one in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(f".{one}")), None)
    if suffix is None:
        raise RuleViolation(f"{name!r} is no name of a capture: expected it to end with .{', .'.join(SUFFIXES)}")
    with open(path, "rb") as file:
        summed = _Summed(file)
        reader = CaptureReader(summed, name)
        packets, first, last, problem = 0, MAX_TIME, 0, None
        try:
            for _, _, _, time, _, _ in reader:
                packets += 1
                first, last = min(first, time), max(last, time)
        except CaptureError as error:
            if not packets:
                raise
            problem = f"damaged at byte {error.offset}: {error.problem}"
        while summed.read(1 << 20):
            pass
        if not packets:
            return None
        if reader.cut:
            problem = reader.cut.removeprefix(f"{name}: ")
        manifest = Manifest(
            recorder, number, first, last, packets, summed.size, summed.digest.hexdigest(), suffix, dropped, problem
        )
        file.seek(0)
        store.put(manifest.key, file, manifest.size, manifest.sha256)
    text = json.dumps(manifest.as_json(), indent=2).encode() + b"\n"
    # The manifest at last: where there is one, the file is complete.
    store.put(manifest.key + MANIFEST, io.BytesIO(text), len(text), hashlib.sha256(text).hexdigest())
    return manifest


class _Summed:
    """Reads a file, and computes its checksum."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest, self.size = file, hashlib.sha256(), 0

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        self.size += len(data)
        return data


@dataclass(frozen=True, slots=True)
class Found:
    """A capture that overlaps, and its manifest; None where it has none, or one that cannot be read."""

    capture: CaptureFile
    manifest: Manifest | None = None


def find(
    store: Store,
    *,
    since: int = 0,
    until: int = MAX_TIME + 1,
    interfaces: frozenset[str] = frozenset(),
    noted: HandOver | None = None,
) -> list[Found]:
    """Return the captures that overlap a time, by the time of their first packet.

    Of recorded files only the keys are read, and the manifests of those that overlap; of those in the folder of one
    interface only if it is meant. Of others, whose names say no time, the first packet is read.

    Args:
        store: to search.
        since: nanoseconds since 1970 from which on packets are meant.
        until: nanoseconds before which they are.
        interfaces: ids of the network interfaces that are meant; all by default.
        noted: gets problems of captures and manifests.

    Raises:
        OSError: the store cannot be read.
    """
    noted = HandOver() if noted is None else noted
    found = []
    for stored in _keys(store, since, until, interfaces):
        times = times_of(stored.key)
        if times is not None:
            capture = _capture(store, stored, *times)
        elif is_named_as_capture(stored.key.rpartition("/")[2]) and stored.size:
            reader = CaptureReader(store.open(stored.key), store.address(stored.key), chunk=FIRST_CHUNK)
            first = first_time(reader, noted)
            if first is None:
                continue
            capture = _capture(store, stored, first, None)
        else:
            continue
        if not capture.overlaps(since, until):
            noted.skipped += 1
            continue
        found.append(Found(capture, None if times is None else _manifest(store, stored.key, noted)))
    return sorted(found, key=lambda one: (one.capture.first, str(one.capture.path)))


def _keys(store: Store, since: int, until: int, interfaces: frozenset[str]) -> Iterator[Stored]:
    """Give what may overlap; of the folders of recorded files only what is listed by date."""
    folders, files = store.inside("")
    yield from files
    for name in folders:
        if f"{name}/" != ROOT:
            yield from store.stored(f"{name}/")
    if ROOT[:-1] not in folders:
        return
    begin = _date(max(since - DAY, 0))
    for folder in _sources(store, ROOT, _LEVELS):
        source = folder[:-1].rpartition("/")[2]
        if interfaces and source.startswith("eni-") and source not in interfaces:
            continue
        for stored in store.stored(folder, folder + begin):
            times = times_of(stored.key)
            if times is not None and times[0] >= until:
                # Later dates follow, and behind them what lasts longer.
                yield from store.stored(folder, folder + LONG)
                break
            yield stored


def _sources(store: Store, folder: str, levels: int) -> Iterator[str]:
    """Give the folders so many levels below one."""
    if not levels:
        yield folder
        return
    for name in store.inside(folder)[0]:
        yield from _sources(store, f"{folder}{name}/", levels - 1)


def _capture(store: Store, stored: Stored, first: int, last: int | None) -> CaptureFile:
    return CaptureFile(store.address(stored.key), stored.size, first, last, open=lambda: store.open(stored.key))


def _manifest(store: Store, key: str, noted: HandOver) -> Manifest | None:
    try:
        data = store.read(key + MANIFEST, MAX_MANIFEST + 1)
        if data is None:
            return None
        manifest = read_manifest(data)
        if manifest.name != key.rpartition("/")[2]:
            raise ManifestError(f"it is of {manifest.name}")
        return manifest
    except (ManifestError, OSError) as error:
        noted.note(f"{store.address(key + MANIFEST)}: {error}")
        return None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The captures of some interfaces.

    Attributes:
        captures: to hand over, each with the copies that are meant of it.
        labels: how the interface of a VNI is called.
        unknown: how many of the captures have no manifest that says whose packets they have, so that all are meant.
        others: how many captures have packets of other interfaces only.
        names: of the interfaces that manifests name, whether they are meant or not.
    """

    captures: list[CaptureFile]
    labels: Mapping[int, Label]
    unknown: int
    others: int
    names: frozenset[str]


def choose(
    found: list[Found],
    *,
    incident: str | None = None,
    interfaces: frozenset[str] = frozenset(),
    named_only: bool = False,
) -> Chosen:
    """Return the captures of an incident and of interfaces.

    Args:
        found: as `find` returns it.
        incident: whose files are meant, with all the interfaces in them; none by default.
        interfaces: ids of those that are meant; with neither, all are.
        named_only: leave out what no manifest says whose it is.
    """
    captures: list[CaptureFile] = []
    names: set[str] = set()
    known: dict[int, set[RecordedInterface]] = {}
    unknown = others = 0
    for one in found:
        recorder = None if one.manifest is None else one.manifest.recorder
        capture = one.capture
        if recorder is not None and recorder.vxlan_port != vxlan.PORT:
            capture = replace(capture, port=NO_COPIES if recorder.vxlan_port is None else recorder.vxlan_port)
        members = () if recorder is None else recorder.interfaces
        for each in members:
            names.add(each.name)
            if each.vni is not None:
                known.setdefault(each.vni, set()).add(each)
        of_incident = recorder is not None and incident is not None and recorder.incident == incident
        all_meant = not named_only and (of_incident or not interfaces)
        meant = [each for each in members if all_meant or each.network_interface_id in interfaces]
        if not members:
            # Whose packets it has, is not known: at most for which incident it was recorded.
            if named_only or not (of_incident or recorder is None or recorder.incident is None or incident is None):
                others += 1
                continue
            unknown += not of_incident
        elif not meant:
            others += 1
            continue
        elif all(each.vni is not None for each in meant):
            capture = replace(capture, vnis=frozenset(each.vni for each in meant if each.vni is not None))
        elif len(members) == 1:
            capture = replace(capture, name=meant[0].name)
        captures.append(capture)
    # A number that stood for several interfaces says nothing of one: then the address that copies come from is said.
    labels = {vni: next(iter(those)).label() for vni, those in known.items() if len(those) == 1}
    return Chosen(captures, labels, unknown, others, frozenset(names))
