"""`make faults`: every AWS call of an incident fails once, in every way; docs/faults.md has the outcomes.

Two processes share the points, each with an account and a deployment of its own. Every ending is in a journal at once:
a run that was interrupted goes on with `--resume`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from strictmoto.account import Account
from tests.end_to_end.deployed import PROJECT, SITE, deployed_responses
from tests.end_to_end.faulting import (
    ENDS,
    FAILED,
    KINDS,
    MISSED,
    OTHERWISE,
    UNDONE,
    Ending,
    Point,
    Runner,
    Way,
    meetings,
)
from tests.end_to_end.paths import PATHS

REPORT: Final = PROJECT / "docs" / "faults.md"
JOURNAL: Final = PROJECT / "build" / "faults.jsonl"
HOW: Final = """\
`lost before` and `lost after` cut the connection of every call that changes something, before and after its effect,
and `killed after` kills the function when it has had its effect, each once. A read leaves everything as the last change
left it. So reads are lost, and their functions killed after them, at the first call of each action of a function on
each path. `throttled` meets these first calls, too; the others the first one anywhere: `for long` lasts for all four
tries of AWS's client, so that the function sees it, `timed out` answers after the client gave up, and `late` is a read
that misses the last creation. A fault is not triggered where its call is not made, or where nothing was created before
a read that should be late.
Paths that share calls with another one, because a function does the same on both, are tried with the calls of the other
functions only.

The function `telemetry` is on none of the paths: the stack of telemetry is not deployed here. In
[tests of its own](../tests/responder/test_telemetry_writer.py) its write fails or is lost, and its event comes again.
"""
ROLES: Final = {"incidents-workflow": "the workflow itself"}


def main() -> int:
    """Try all points, or a part of them; return 1 where an incident ended otherwise than it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="0/1", help="only every n-th point, from the m-th on: m/n")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[], help="only points and kinds that hold all of these texts")
    parser.add_argument("--paths", nargs="*", default=[""], help="only paths whose names hold one of these texts")
    parser.add_argument("--report", type=Path, default=REPORT)
    parser.add_argument("--journal", type=Path, default=JOURNAL)
    parser.add_argument("--resume", action="store_true", help="keep what the journal has, and try only the rest")
    chosen = parser.parse_args()
    chosen.journal.parent.mkdir(parents=True, exist_ok=True)
    if not chosen.resume:
        chosen.journal.unlink(missing_ok=True)
    first, _, step = chosen.part.partition("/")
    parts = [
        (int(first) + int(step) * number, int(step) * chosen.processes, chosen.only, chosen.paths, chosen.journal)
        for number in range(chosen.processes)
    ]
    began = time.monotonic()
    # Each with an interpreter of its own: an account belongs to its process.
    with multiprocessing.get_context("spawn").Pool(chosen.processes) as pool:
        pool.map(_try, parts, chunksize=1)
    endings = list(_endings(chosen.journal))
    minutes = (time.monotonic() - began) / 60
    chosen.report.write_text(render(endings, _known(chosen.journal)), encoding="utf-8")
    print(f"{len(endings)} faults in {minutes:.0f} minutes: {dict(Counter(ending.end for ending in endings))}")
    return int(any(ending.end == OTHERWISE for ending in endings))


def _try(part: tuple[int, int, list[str], list[str], Path]) -> None:
    first, step, only, paths, journal = part
    tried = {(ending.point, ending.kind) for ending in _endings(journal)}
    with (
        Account() as account,
        tempfile.TemporaryDirectory() as scratch,
        deployed_responses(account, Path(scratch)) as responses,
    ):
        runner = Runner(responses[SITE], _say)
        chosen = [path for name, path in PATHS.items() if any(text in name for text in paths)]
        points = (point for path in chosen for point in runner.points(path))
        known: Counter[str] = Counter()
        for point, kind in meetings(points):
            known[point.path] += 1
            said = f"{point}, {kind.name}"
            # By what they say: two processes may count a call more or less.
            ours = zlib.crc32(said.encode()) % step == first and all(text in said for text in only)
            if not ours or (point, kind) in tried:
                continue
            _write(journal, asdict(runner.meet(point, kind)))
        _write(journal, {"known": known})


def _write(journal: Path, entry: Mapping[str, object]) -> None:
    with journal.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(entry) + "\n")


def _entries(journal: Path) -> list[dict[str, Any]]:
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    return [json.loads(line) for line in lines]


def _endings(journal: Path) -> Iterator[Ending]:
    """Yield what became of each, in the order of the paths."""
    found = [entry for entry in _entries(journal) if "point" in entry]
    endings = [Ending(Point(**e["point"]), Way(**e["kind"]), e["end"], e["why"]) for e in found]
    paths = list(PATHS)
    yield from sorted(endings, key=lambda ending: paths.index(ending.point.path))


def _known(journal: Path) -> Counter[str]:
    """Return how many faults there are on each path, tried or not."""
    known: Counter[str] = Counter()
    for entry in _entries(journal):
        # Two processes may count a call more or less: the greater number.
        known |= Counter(entry.get("known", {}))
    return known


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def render(endings: list[Ending], known: Mapping[str, int]) -> str:
    """Return the report in Markdown.

    Args:
        endings: of the faults that were tried.
        known: how many faults there are, by path; where these are more, the report says which part was tried.
    """
    paths = sorted({ending.point.path for ending in endings}, key=list(PATHS).index)
    tried = Counter(ending.point.path for ending in endings)
    most = sum(max(known.get(path, 0), tried[path]) for path in paths)
    points = {ending.point for ending in endings}
    counts = Counter(ending.end for ending in endings)
    lines = [
        "# Systematic faults",
        "",
        "Written by `make faults`: AWS calls that the functions and the workflow make on the paths below fail, one at",
        "a time, in the rehearsal account, on a response that Terraform deployed. An incident must then end as without",
        "the fault, or fail and say what is in place and how to undo it, and `tapstack incident close` must bring the",
        "account back; a containment, or its release, must end as without the fault, or fail and say what is changed,",
        "and `tapstack incident release` must bring the account back. Compared are resources with their attributes and",
        "targets, what the table holds, and the executions. Snapshots stay, one of each volume.",
        "",
        f"{len(points)} calls, {len(endings)} faults:",
        "",
        *(f"- {counts[end]} {end}" for end in ENDS if counts[end]),
        "",
        *HOW.splitlines(),
        *(_part(len(endings), most, [path for path in paths if tried[path] >= known.get(path, 0)])),
        "",
        "## By path",
        "",
        *_table("path", list(PATHS), endings, lambda ending: ending.point.path),
        "## By kind",
        "",
        *_table("kind", [kind.name for kind in KINDS], endings, lambda ending: ending.kind.name),
        "## By function",
        "",
        *_table("function", sorted({p.role for p in points}), endings, lambda ending: ending.point.role),
    ]
    for end in (FAILED, UNDONE, OTHERWISE, MISSED):
        named = [ending for ending in endings if ending.end == end]
        if named:
            lines += [f"## {end[0].upper()}{end[1:]}", ""]
            lines += [f"- {e.point}, {e.kind.name}{': ' if e.why else ''}{_short(e.why)}" for e in named]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _part(tried: int, most: int, whole: list[str]) -> Iterator[str]:
    """Yield which of the faults were tried, where these are not all."""
    if tried < most:
        yield ""
        yield f"These are {tried} of {most} faults, chosen by a checksum of their names."
        if whole:
            yield f"All were tried on: {'; '.join(whole)}."


def _table(what: str, names: Iterable[str], endings: list[Ending], of: object) -> list[str]:
    assert callable(of)
    ends = [end for end in ENDS if any(ending.end == end for ending in endings)]
    lines = [f"| {what} | faults | {' | '.join(ends)} |", f"|---|{'---:|' * (len(ends) + 1)}"]
    for name in names:
        counts = Counter(ending.end for ending in endings if of(ending) == name)
        if counts:
            numbers = " | ".join(str(counts[end]) for end in ends)
            lines.append(f"| {ROLES.get(name, name)} | {counts.total()} | {numbers} |")
    return [*lines, ""]


def _short(why: str) -> str:
    return json.dumps(why)[1:-1][:160].replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
