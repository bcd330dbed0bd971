"""Measures the hand-over of packets beside tshark and tcpdump on one capture; writes docs/benchmarks-packets.md.

`make bench-packets` runs it; with ARGS="--gigabytes 10" it shows the growth with the size of the captures, too. Each
reader is a process of its own, so that its processor time and its peak of memory are its own.
"""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import os
import platform
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tapstack.packets.captures import open_capture
from tapstack.packets.handing_over import HandOver, find_captures, hand_over
from tapstack.packets.selection import Selection
from tests import made_packets as made

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks-packets.md"
PACKETS: Final = 300_000
WANTED_EVERY: Final = 500
FLOWS: Final = 5_000
HOST, PEER, PORT = "10.0.1.5", "203.0.113.7", 443
SELECTION: Final = f"host {HOST} and host {PEER} and tcp port {PORT}"
DISPLAY_FILTER: Final = f"ip.addr#2 == {HOST} && ip.addr#2 == {PEER} && tcp.port#1 == {PORT}"
"""The same for tshark: the packet inside is the second one of IP in a frame, and the first one of TCP."""
_NUMBERS: Final = [int(ipaddress.IPv4Address(address)) for address in (HOST, PEER)]
FIXED_OFFSETS: Final = (
    "udp port 4789 and ("
    + " or ".join(
        f"(udp[42:4]={source} and udp[46:4]={destination})" for source, destination in (_NUMBERS, _NUMBERS[::-1])
    )
    + ")"
)
"""Nearly the same for tcpdump: it finds packets of this capture, and loses those with VLAN tags, options or IPv6."""
START: Final = 1_780_000_000
AIM: Final = 10
_HEADERS: Final = 104
_RECORD: Final = struct.Struct("<IIII")
_BUSY: Final = 0.7
"""The load average from which other work is said to have run."""


@dataclass(frozen=True)
class Figures:
    """What reading took.

    Attributes:
        seconds: of the processor, by the process and what it started.
        wall: clock.
        peak: MB of memory.
        found: packets.
    """

    seconds: float
    wall: float
    peak: float
    found: int


def generate(path: Path, packets: int, *, flows: int | None, start: int = START) -> None:
    """Write a pcap of mirrored TCP packets with 0 to 1,400 bytes of random data, one in `WANTED_EVERY` wanted.

    Args:
        path: of the file.
        packets: in it.
        flows: of which the others are; None lets each be a flow of its own.
        start: second of the first packet; there are 1,000 in a second.
    """
    rnd = random.Random(packets)
    data = rnd.randbytes(1 << 20)
    heads = [_head(rnd) for _ in range(flows or 1)]
    wanted = [_frame(HOST, PEER, 41_000, PORT), _frame(PEER, HOST, PORT, 41_000)]
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        for number in range(packets):
            if number % WANTED_EVERY == 0:
                head = wanted[number // WANTED_EVERY % 2]
            else:
                head = heads[rnd.randrange(len(heads))] if flows else _head(rnd)
            size, at = rnd.randrange(1_400), rnd.randrange(1 << 19)
            frame = bytearray(head)
            # Lengths of IP and UDP outside, and of IP inside.
            struct.pack_into(">H", frame, 16, _HEADERS - 14 + size)
            struct.pack_into(">H", frame, 38, _HEADERS - 34 + size)
            struct.pack_into(">H", frame, 66, _HEADERS - 64 + size)
            file.write(_RECORD.pack(start + number // 1000, number % 1000 * 1000, _HEADERS + size, _HEADERS + size))
            file.write(frame)
            file.write(data[at : at + size])


def _head(rnd: random.Random) -> bytes:
    peer = f"{rnd.randrange(11, 200)}.{rnd.randrange(256)}.{rnd.randrange(256)}.9"
    return _frame(
        f"10.0.{rnd.randrange(4)}.{rnd.randrange(250)}", peer, rnd.randrange(1024, 65_536), rnd.choice([443, 80, 53])
    )


def _frame(source: str, destination: str, source_port: int, destination_port: int) -> bytes:
    segment = made.tcp(source_port, destination_port)
    return made.mirrored(7, made.ethernet(made.ipv4(source, destination, made.TCP, segment)))


def measure(command: Sequence[str], out: Path) -> Figures:
    """Run a reader, and count what it wrote.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    wall = time.monotonic() - began
    with open_capture(out) as reader:
        found = sum(1 for _ in reader)
    return Figures(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, found)


def own(folder: Path, out: Path, selection: str = SELECTION) -> list[str]:
    """Return the command that hands over of a folder."""
    return [sys.executable, str(Path(__file__).resolve()), "--hand-over", str(folder), str(out), selection]


def median(rounds: Sequence[Figures]) -> Figures:
    """Return the medians of several rounds, which all found the same."""
    [found] = {one.found for one in rounds}
    return Figures(
        statistics.median(one.seconds for one in rounds),
        statistics.median(one.wall for one in rounds),
        max(one.peak for one in rounds),
        found,
    )


def beside(folder: Path, rounds: int) -> dict[str, Figures]:
    """Measure all readers on a folder with one capture, each in its turn in each round."""
    [capture] = folder.iterdir()
    out = folder.parent / "found.pcap"
    commands = {
        "tapstack": own(folder, out),
        "tshark -Y": ["tshark", "-n", "-r", str(capture), "-Y", DISPLAY_FILTER, "-w", str(out)],
        "tcpdump -r, fixed offsets": ["tcpdump", "-r", str(capture), "-w", str(out), FIXED_OFFSETS],
    }
    found: dict[str, list[Figures]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            found[name].append(measure(command, out))
            print(f"round {number + 1}: {name}: {found[name][-1].seconds:.2f} s of the processor", flush=True)
    return {name: median(figures) for name, figures in found.items()}


def others(folder: Path, scan: Path, rounds: int) -> dict[str, Figures]:
    """Measure what is harder, or is nothing but reading."""
    out = folder.parent / "found.pcap"
    commands = {
        "each packet a flow of its own": own(scan, out),
        "all packets selected": own(folder, out, ""),
    }
    return {name: median([measure(command, out) for _ in range(rounds)]) for name, command in commands.items()}


def write_later(source: Path, path: Path, seconds: int) -> None:
    """Write a pcap again, with all packets later."""
    capture = bytearray(source.read_bytes())
    position = 24
    while position < len(capture):
        time_of, _, size, _ = _RECORD.unpack_from(capture, position)
        struct.pack_into("<I", capture, position, time_of + seconds)
        position += 16 + size
    path.write_bytes(capture)


def growth(folder: Path, gigabytes: int) -> list[tuple[float, int, Figures]]:
    """Measure folders of 1, 2, 5, 10 and so on GB: (GB, files, figures)."""
    steps = [size for size in (1, 2, 5, 10, 20, 50, 100) if size < gigabytes] + [gigabytes]
    size, files, found = 0, 0, []
    folder.mkdir()
    generate(folder / "0000.pcap", PACKETS, flows=FLOWS)
    for step in steps:
        while size < step * 1e9:
            path = folder / f"{files:04}.pcap"
            if files:
                # In a process of its own: the peak of this one counts as memory of each reader that it starts.
                source, later = folder / f"{files - 1:04}.pcap", str(PACKETS // 1000)
                subprocess.run([sys.executable, __file__, "--write-later", str(source), str(path), later], check=True)
            size, files = size + path.stat().st_size, files + 1
        found.append(
            (size / 1e9, files, measure(own(folder, folder.parent / "found.pcap"), folder.parent / "found.pcap"))
        )
        print(f"{size / 1e9:.1f} GB: {found[-1][2].seconds:.1f} s, {found[-1][2].peak:.0f} MB", flush=True)
    return found


def version(command: str) -> str:
    """Return the first line of what a program says of its version."""
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    [number] = re.findall(r"[0-9]+\.[0-9]+\.[0-9]+", (done.stdout or done.stderr).partition("libpcap")[0])[:1]
    return f"{command} {number}"


def page(
    size: int,
    readers: dict[str, Figures],
    harder: dict[str, Figures],
    grown: list[tuple[float, int, Figures]],
    load: float,
) -> str:
    """Return the document."""
    tshark = readers["tshark -Y"].seconds
    busy = ", beside other work" if load > _BUSY else ""
    lines = [
        "<!-- Written by `make bench-packets`; changes belong into benchmarks/packets.py. -->",
        "# Benchmarks of packets",
        "",
        f"Measured on {datetime.date.today()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python",
        f"{platform.python_version()}, {version('tshark')}, {version('tcpdump')}. Load average: {load:.1f}{busy}.",
        "Each reader is a process of its own and writes what it finds to a file. Seconds are of the processor, with",
        "the start of the process; medians of the rounds. A peak includes the process that measures: below 22 MB",
        "nothing is seen.",
        "",
        "## Selecting, beside tshark and tcpdump",
        "",
        f"One capture of {PACKETS:,} mirrored packets, {size / 1e6:.0f} MB, of {FLOWS:,} flows. All readers found the",
        f"same {readers['tapstack'].found} packets: `{SELECTION}`.",
        "",
        "| reader | seconds | packets a second | peak MB | tshark's seconds to its own |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {name} | {one.seconds:.2f} | {PACKETS / one.seconds:,.0f} | {one.peak:.0f} "
            f"| {tshark / one.seconds:.1f} |"
            for name, one in readers.items()
        ),
        "",
        f"The aim: at least {AIM} times as fast as tshark. tcpdump is faster with a filter of fixed offsets, which",
        "loses packets with VLAN tags, IP options, extension headers, or IPv6 outside; Tapstack decides exactly.",
        "",
        "The same reader, where it has more to do:",
        "",
        "| what | found | seconds | packets a second | peak MB | tshark's seconds above to its own |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {name} | {one.found:,} | {one.seconds:.2f} | {PACKETS / one.seconds:,.0f} | {one.peak:.0f} "
            f"| {tshark / one.seconds:.1f} |"
            for name, one in harder.items()
        ),
        "",
    ]
    if grown:
        lines += [
            "## Growth",
            "",
            "The same selection in folders of such captures, which follow each other in time.",
            "",
            "| GB | captures | found | seconds | MB a second | peak MB |",
            "| ---: | ---: | ---: | ---: | ---: | ---: |",
            *(
                f"| {size:.1f} | {files} | {one.found:,} | {one.seconds:.1f} | {size * 1000 / one.seconds:.0f} "
                f"| {one.peak:.0f} |"
                for size, files, one in grown
            ),
            "",
        ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Measure, and write the document."""
    if arguments and arguments[0] == "--hand-over":
        folder, out, selection = arguments[1:]
        done = HandOver()
        with open(out, "wb") as file:
            hand_over(find_captures(folder, done), file, Selection.parse(selection), result=done)
        return 1 if done.problems else 0
    if arguments and arguments[0] == "--write-later":
        write_later(Path(arguments[1]), Path(arguments[2]), int(arguments[3]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--gigabytes", type=int, default=0, help="show the growth to so many GB, which are written first"
    )
    parser.add_argument("--folder", type=Path, help="for the captures; a temporary one by default")
    options = parser.parse_args(arguments)
    for command in ("tshark", "tcpdump"):
        if shutil.which(command) is None:
            print(f"{command} is not on this machine, so there is nothing to compare with", file=sys.stderr)
            return 2
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        one, scan = Path(name, "one"), Path(name, "scan")
        one.mkdir()
        scan.mkdir()
        generate(one / "a.pcap", PACKETS, flows=FLOWS)
        generate(scan / "a.pcap", PACKETS, flows=None)
        readers = beside(one, options.rounds)
        harder = others(one, scan, options.rounds)
        size = (one / "a.pcap").stat().st_size
        grown = growth(Path(name, "grown"), options.gigabytes) if options.gigabytes else []
    DOCUMENT.write_text(page(size, readers, harder, grown, load), encoding="utf-8")
    ratio = readers["tshark -Y"].seconds / readers["tapstack"].seconds
    print(f"{ratio:.1f} times as fast as tshark; written: {DOCUMENT}")
    return 0 if ratio >= AIM and len({figures.found for figures in readers.values()}) == 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
