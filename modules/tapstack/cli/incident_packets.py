"""`tapstack incident packets`: hand over the recorded packets of an incident, list or follow them."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TextIO

from tapstack.cli.arguments import given_file, unwritable
from tapstack.cli.incident_api import IncidentApi, ServiceError, UserError
from tapstack.cli.incident_packets_view import PacketLines, Packets, as_json, progress_line, summary, timeline
from tapstack.cli.terminal import plain
from tapstack.domain import incidents
from tapstack.domain.counts import counted
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.operations import BY_ID
from tapstack.domain.stored_packets import where_stored
from tapstack.packets.captures import MAX_TIME, NANOSECONDS
from tapstack.packets.handing_over import CaptureFile, HandOver, Sink, hand_to
from tapstack.packets.pcapng import PcapngWriter
from tapstack.packets.s3 import SCHEME, S3Store
from tapstack.packets.selection import NAMES, Selection
from tapstack.packets.storage import Chosen, DirectoryStore, Store, choose, find
from tapstack.workspace.output import OutputRefusedError

STORE_VARIABLE: Final = "TAPSTACK_PACKETS"
FOLLOW_SECONDS: Final = 2.0
BEFORE: Final = "-10m"
_RELATIVE: Final = re.compile(r"([+-]?)(\d{1,9})(s|m|h|d)", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHOWN_PROBLEMS: Final = 10
_LATE: Final = 300 * NANOSECONDS
"""How long after others a recorded file may come while packets are followed."""
_TIMES: Final = (
    "-10m or +5m (s, m, h, d) from when the incident was opened, or a time such as 2026-01-02T03:04:05Z, which is in "
    "UTC where it names no zone"
)


class Call(Protocol):
    """The parsed arguments of a command, and the API that it calls."""

    chosen: argparse.Namespace
    options: str
    out: TextIO
    err: TextIO

    def api(self) -> IncidentApi:
        """Return the API."""


def add_packets_parser(actions: Any, add: Callable[[Any, str, str], argparse.ArgumentParser]) -> None:
    """Add the command; `add` adds the parser of a command for one incident."""
    parser = add(actions, "packets", "list its recorded packets, or hand them over as a pcapng")
    # -10m is a value, and no option.
    parser._negative_number_matcher = re.compile(r"-\d+[smhd]?")
    parser.add_argument(
        "--in",
        dest="where",
        type=given_file,
        metavar="DIRECTORY|s3://BUCKET/PREFIX",
        help=f"where packets are recorded: as docs/packets.md has it, or any captures; ${STORE_VARIABLE} by default",
    )
    parser.add_argument("--interface", action="append", metavar="ENI", help="of this interface only; may be repeated")
    parser.add_argument("--peer", metavar="HOST[:PORT]", help="from or to this address, and its port; IPv6: [::1]:443")
    parser.add_argument("--port", metavar="PORT|FIRST-LAST", help="from or to this port, or these ports")
    parser.add_argument("--proto", metavar="PROTOCOL", help=f"{', '.join(NAMES)}, or an IANA number")
    parser.add_argument(
        "--filter",
        metavar="EXPRESSION",
        help="host, net, port, portrange and proto, with src, dst, and, or, not: 'net 10.0.0.0/8 and not port 53'",
    )
    parser.add_argument("--from", dest="since", metavar="TIME", default=BEFORE, help=f"{BEFORE} by default; {_TIMES}")
    parser.add_argument("--until", metavar="TIME", help="before this time; when it was closed, or now, by default")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "-o",
        "--output",
        type=given_file,
        metavar="FILE.pcapng",
        help="write the packets, for Wireshark; - for standard output. Without it they are listed",
    )
    what.add_argument("--list", action="store_true", help="show when there were packets, by interface; the default")
    parser.add_argument(
        "--follow",
        action="store_true",
        help="go on with what is recorded from now on, until Ctrl-C: a line a packet, or with -o - the packets",
    )


def packets(call: Call) -> int:
    """Hand over, list or follow the packets of an incident.

    Returns:
        0; 1 where there are no packets that are meant, and then nothing is written.

    Raises:
        UserError: an argument is wrong, or the packets cannot be read or written.
    """
    chosen = call.chosen
    name = incidents.check_incident_id(chosen.id)
    selection = _selection(chosen)
    interfaces = frozenset(check_identifier("network interface", one) for one in chosen.interface or ())
    for option, value in (("--from", chosen.since), ("--until", chosen.until)):
        if value is not None:
            _moment(option, value, datetime(2000, 1, 1, tzinfo=UTC))
    _check_output(chosen, call.out)
    where = chosen.where or os.environ.get(STORE_VARIABLE)
    store = None if not where else _store(where)
    incident: Mapping[str, Any] = call.api().get(BY_ID["showIncident"].at(name), holds="id")
    if store is None:
        raise UserError(f"--in is missing: {_on_appliance(incident)}")
    wanted = _wanted(chosen, incident, interfaces, selection)
    with _errors():
        if chosen.follow:
            return _follow(call, store, wanted)
        return _once(call, store, wanted, incident)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which packets are meant.

    Attributes:
        incident: its id.
        interfaces: ids of the network interfaces: those that were named, or the incident's.
        named: whether they were named.
        selection: of packets.
        since: nanoseconds from which on.
        until: nanoseconds before which.
    """

    incident: str
    interfaces: frozenset[str]
    named: bool
    selection: Selection
    since: int
    until: int

    def found(self, store: Store, since: int, noted: HandOver) -> Chosen:
        interfaces = self.interfaces if self.named else frozenset[str]()
        found = find(store, since=since, until=self.until, interfaces=interfaces, noted=noted)
        return choose(found, incident=self.incident, interfaces=self.interfaces, named_only=self.named)


def _wanted(
    chosen: argparse.Namespace, incident: Mapping[str, Any], interfaces: frozenset[str], selection: Selection
) -> _Wanted:
    opened = incidents.as_moment(plain(incident.get("opened_at")))
    if opened is None:
        raise ServiceError("the incident has no time when it was opened: is this the address of an incident API?")
    since = _moment("--from", chosen.since, opened)
    closed = incidents.as_moment(plain(incident.get("closed_at")))
    until = closed if closed is not None and not chosen.follow else None
    if chosen.until is not None:
        until = _moment("--until", chosen.until, opened)
        if until <= since:
            raise UserError(
                f"--until {chosen.until} is not after --from {chosen.since}: they are {incidents.as_text(until)} and "
                f"{incidents.as_text(since)}"
            )
    entries = incident.get("interfaces")
    own = [one.get("network_interface_id") for one in entries if isinstance(one, dict)] if entries else []
    requested = incident.get("network_interface_ids")
    own += requested if isinstance(requested, list) else []
    return _Wanted(
        chosen.id,
        interfaces or frozenset(map(str, own)),
        bool(interfaces),
        selection,
        _nanoseconds(since),
        # The last moments of a capture are part of it.
        MAX_TIME + 1 if until is None else _nanoseconds(until) + (0 if chosen.until else NANOSECONDS),
    )


def _once(call: Call, store: Store, wanted: _Wanted, incident: Mapping[str, Any]) -> int:
    chosen, done = call.chosen, HandOver()
    found = wanted.found(store, wanted.since, done)
    if not found.captures:
        raise UserError(_nothing_found(store, wanted, found, done, incident))
    show = _progress(call.err)
    to_file = chosen.output is not None
    listed = Packets(wanted.since)
    comment = f"{wanted.incident}: packets from {incidents.as_text(_time(wanted.since))}"
    with contextlib.ExitStack() as stack:
        writer: Sink = listed
        if to_file:
            file = stack.enter_context(_output(chosen.output))
            writer = PcapngWriter(file, comment=comment)
        hand_to(
            found.captures,
            writer,
            wanted.selection,
            since=wanted.since,
            until=wanted.until,
            labels=found.labels,
            result=done,
            show=show,
        )
        show.end()
        if to_file and done.selected:
            file.finish()
    for line in _remarks(found, done):
        print(line, file=call.err)
    if not done.selected:
        what = f"{counted(done.packets, 'packet')} in {counted(done.files, 'capture')} of {plain(store.name)}"
        print(f"no packet is selected of {what}{'; nothing was written' if to_file else ''}", file=call.err)
        return 1
    if to_file:
        name = "standard output" if chosen.output == "-" else plain(chosen.output)
        print(summary(done, name), file=call.err)
    else:
        ascii_only = not (call.out.encoding or "").lower().startswith("utf")
        shown = timeline(listed, done, incident, ascii_only=ascii_only)
        print(as_json(listed, done) if chosen.json else "\n".join(shown), file=call.out)
    return 0


def _follow(call: Call, store: Store, wanted: _Wanted) -> int:
    """Show packets as they are recorded; each capture is read when it is new, or again from where it has grown."""
    chosen = call.chosen
    since = _nanoseconds(datetime.now(UTC)) if chosen.since == BEFORE else wanted.since
    sink: Sink
    pipe = None
    if chosen.output == "-":
        pipe = _Pipe(sys.stdout.buffer)
        sink = _Continued(PcapngWriter(pipe, comment=wanted.incident))
    else:
        sink = PacketLines(lambda line: print(line, file=call.out, flush=True))
    print(f"waiting for packets in {plain(store.name)}; Ctrl-C ends it", file=call.err, flush=True)
    seen: dict[str, tuple[int, int]] = {}
    problems: set[str] = set()
    begin = since
    while _nanoseconds(datetime.now(UTC)) < wanted.until + 60 * NANOSECONDS:
        done = HandOver()
        # What is recorded is written when its file is closed.
        found = wanted.found(store, begin, done)
        for capture in found.captures:
            begin = max(begin, (capture.last or 0) - _LATE)
            _continue(capture, seen, sink, wanted, found, since, done)
        if pipe is not None:
            pipe.finish()
        # A capture that others still write ends in the middle of a packet.
        for problem in done.problems:
            if problem not in problems and "ends at byte" not in problem and len(problems) < _SHOWN_PROBLEMS:
                problems.add(problem)
                print(plain(problem), file=call.err, flush=True)
        time.sleep(FOLLOW_SECONDS)
    return 0


def _continue(
    capture: CaptureFile,
    seen: dict[str, tuple[int, int]],
    sink: Sink,
    wanted: _Wanted,
    found: Chosen,
    since: int,
    done: HandOver,
) -> None:
    path = str(capture.path)
    size, last = seen.get(path, (0, since - 1))
    if size == capture.size:
        return
    one = HandOver()
    hand_to(
        [capture],
        sink,
        wanted.selection,
        since=last + 1,
        until=wanted.until,
        labels=found.labels,
        result=one,
    )
    for problem in one.problems:
        done.note(problem)
    seen[path] = (capture.size, last if one.last is None else one.last)


class _Continued:
    """Writes to one pcapng what comes from several hand-overs; an interface is written once."""

    def __init__(self, writer: PcapngWriter) -> None:
        self._writer = writer
        self._numbers: dict[tuple[object, ...], int] = {}

    @property
    def written(self) -> int:
        return self._writer.written

    def add_interface(self, name: str, *, description: str = "", comment: str = "", link_type: int = 1) -> int:
        key = (name, description, comment, link_type)
        if key not in self._numbers:
            self._numbers[key] = self._writer.add_interface(
                name, description=description, comment=comment, link_type=link_type
            )
        return self._numbers[key]

    def add_packet(self, interface: int, time: int, data: Any, wire: int) -> None:
        self._writer.add_packet(interface, time, data, wire)


def _selection(chosen: argparse.Namespace) -> Selection:
    """Return what the options select together."""
    texts = [_peer(chosen.peer)] if chosen.peer is not None else []
    if chosen.port is not None:
        texts.append(f"{'portrange' if '-' in chosen.port else 'port'} {_one_word('--port', chosen.port)}")
    if chosen.proto is not None:
        texts.append(f"proto {_one_word('--proto', chosen.proto)}")
    options = ("--peer", "--port", "--proto")
    given = [option for option in options if getattr(chosen, option[2:]) is not None]
    for option, text in zip(given, texts, strict=True):
        _parsed(option, text)
    if chosen.filter is not None:
        _parsed("--filter", chosen.filter)
        texts.append(chosen.filter)
    return Selection.all_of(texts)


def _parsed(option: str, text: str) -> None:
    try:
        Selection.parse(text)
    except RuleViolation as violation:
        raise UserError(f"{option}: {violation}") from None


def _one_word(option: str, text: str) -> str:
    if re.fullmatch(r"[\w-]+", text, re.ASCII):
        return text
    raise UserError(f"{option}: expected one word or number, got {plain(text)!r}")


def _peer(text: str) -> str:
    bracketed = re.fullmatch(r"\[([^\[\]]+)\](?::(.*))?", text)
    host, port = (bracketed[1], bracketed[2]) if bracketed else (text, None)
    if bracketed is None and text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = ipaddress.ip_address(host)
        if "%" in host or (port is not None and not re.fullmatch(r"\d{1,5}", port, re.ASCII)):
            raise ValueError
    except ValueError:
        raise UserError(
            f"--peer {plain(text)!r}: expected an address, with a port or without: 203.0.113.7, 203.0.113.7:443 or "
            "[2001:db8::7]:443; names are not looked up"
        ) from None
    if port is None:
        return f"host {address}"
    return f"(src host {address} and src port {port}) or (dst host {address} and dst port {port})"


def _moment(option: str, text: str, opened: datetime) -> datetime:
    if found := _RELATIVE.fullmatch(text):
        seconds = int(found[2]) * _UNITS[found[3]] * (-1 if found[1] == "-" else 1)
        try:
            return opened + timedelta(seconds=seconds)
        except OverflowError:
            pass
    moment = incidents.as_moment(text) if re.match(r"\d{4}-", text) else None
    if moment is None:
        raise UserError(f"{option} {plain(text)!r}: expected {_TIMES}")
    return moment


def _nanoseconds(moment: datetime) -> int:
    return max((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000, 0)


def _time(nanoseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)


def _store(where: str) -> Store:
    if not where.startswith(SCHEME):
        if not Path(where).is_dir():
            raise UserError(f"--in {plain(where)}: is no directory, and no address such as {SCHEME}bucket/prefix")
        return DirectoryStore(where)
    try:
        return S3Store(where)
    except ModuleNotFoundError:
        raise UserError("reading a bucket needs boto3: install tapstack with its extra response") from None
    except (RuleViolation, OSError) as error:
        raise UserError(f"--in: {plain(error)}") from None


def _check_output(chosen: argparse.Namespace, out: TextIO) -> None:
    output = chosen.output
    if chosen.follow and output not in (None, "-"):
        raise UserError("--follow writes to standard output only: give -o -, or leave -o out")
    if chosen.follow and chosen.list:
        raise UserError("--list shows what there is, and --follow what comes: give one of them")
    if chosen.json and (chosen.follow or output is not None):
        raise UserError("--json goes with --list only")
    if output is None:
        return
    if output == "-":
        if out.isatty():
            raise UserError("-o - writes a pcapng, which is not for a terminal: pipe it, or name a file")
        return
    path = Path(output)
    if problem := unwritable(path):
        raise UserError(f"-o: {plain(problem)}")
    if path.exists():
        raise UserError(f"-o: {plain(path)} exists: name another file, or remove it")


class _File:
    """A file that is there as a whole, or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=1 << 20)

    def write(self, data: bytes, /) -> object:
        return self._file.write(data)

    def finish(self) -> None:
        self._file.close()
        os.rename(self._part, self._path)

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


class _Pipe:
    """Standard output; nothing is written before the first interface."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._held = file, b""

    def write(self, data: bytes, /) -> object:
        # The header of the section alone would be a capture without packets.
        if not self._held:
            self._held = data
            return len(data)
        return self._written(data)

    def finish(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            raise OutputRefusedError(error) from None

    def _written(self, data: bytes) -> object:
        try:
            if len(self._held) > 1:
                self._file.write(self._held)
                self._held = b"-"
            return self._file.write(data)
        except OSError as error:
            raise OutputRefusedError(error) from None


@contextlib.contextmanager
def _output(name: str) -> Iterator[_File | _Pipe]:
    """Give what is written to; a file is removed unless it was finished."""
    if name == "-":
        yield _Pipe(sys.stdout.buffer)
        return
    file = _File(Path(name))
    try:
        yield file
    finally:
        file.discard()


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Raise errors of files and of S3 as those of the user."""
    try:
        yield
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
        raise UserError(plain(said)) from None


class _Progress:
    """One line on a terminal, which is replaced; nothing elsewhere."""

    def __init__(self, err: TextIO) -> None:
        self._err, self._shows, self._next, self._width = err, err.isatty(), 0.0, 0

    def __call__(self, done: HandOver) -> None:
        if self._shows and (now := time.monotonic()) >= self._next:
            self._next = now + 0.2
            line = progress_line(done)
            print(f"\r{line:<{self._width}}", end="", file=self._err, flush=True)
            self._width = len(line)

    def end(self) -> None:
        if self._width:
            print(f"\r{'':<{self._width}}\r", end="", file=self._err, flush=True)


def _progress(err: TextIO) -> _Progress:
    return _Progress(err)


def _on_appliance(incident: Mapping[str, Any]) -> str:
    """Return where the packets of an incident are, as far as the API knows it."""
    appliance, stored = incident.get("appliance"), incident.get("stored_packets")
    portal = plain(appliance.get("portal_url")) if isinstance(appliance, dict) else ""
    words = ["no recorder is known to the API, so its packets are on the appliance only"]
    if isinstance(stored, dict):
        words = [f"no recorder is known to the API, so its packets are {plain(where_stored(stored))}"]
    if portal:
        words.append(f"select and export them in the portal, {portal}")
    words.append(
        f"where something else records them too, name that directory or {SCHEME}bucket/prefix, or set ${STORE_VARIABLE}"
    )
    return ". ".join(words)


def _nothing_found(store: Store, wanted: _Wanted, found: Chosen, done: HandOver, incident: Mapping[str, Any]) -> str:
    until = "now" if wanted.until > MAX_TIME else incidents.as_text(_time(wanted.until))
    span = f"from {incidents.as_text(_time(wanted.since))} until {until}"
    lines = [f"no capture in {plain(store.name)} overlaps {span}"]
    if found.others:
        names = ", ".join(sorted(map(plain, found.names))[:_SHOWN_PROBLEMS]) or "none"
        those = ", ".join(sorted(wanted.interfaces)[:_SHOWN_PROBLEMS])
        lines = [
            f"{counted(found.others, 'capture')} of {plain(store.name)} {span}, none with packets of {those}; their "
            f"manifests name: {names}"
        ]
    elif done.skipped:
        lines.append(f"{counted(done.skipped, 'capture')} of other times: --from and --until select")
    lines += [plain(problem) for problem in done.problems[:_SHOWN_PROBLEMS]]
    lines.append(_on_appliance(incident))
    return "\n".join(lines)


def _remarks(found: Chosen, done: HandOver) -> Iterator[str]:
    if found.unknown:
        yield (
            f"{counted(found.unknown, 'capture')} without a manifest that says whose packets are in it: all of them "
            "count; --peer, --port and --filter select"
        )
    if done.late:
        yield f"{counted(done.late, 'packet')} behind later ones: a capture is too far out of order of time"
    if done.lone:
        yield f"{counted(done.lone, 'fragment')} without the first one, which has the ports: decided without them"
    if done.parts:
        yield f"{counted(done.parts, 'fragment')} of copies, which cannot be read alone"
    for problem in done.problems[:_SHOWN_PROBLEMS]:
        yield plain(problem)
    further = done.further + len(done.problems) - _SHOWN_PROBLEMS
    if further > 0:
        yield f"{counted(further, 'further problem')}"
