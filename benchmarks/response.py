"""Measures the response, from an alert to packets, and its functions; writes docs/benchmarks-response.md.

All of it happens in one run on one rehearsal account. In each round all take their turn: the
responder's steps, the deployed API with its functions and workflow, and the sequence of calls that
public samples make. `make bench-response` runs it.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import moto

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import alerts, functions
from benchmarks.alerts import DEPLOYED, LATENCY, SAMPLES, STEPS, SUBJECTS, Figures
from strictmoto.account import Account

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks-response.md"
ABOVE_INTERFACES = 4
"""What the responder may call EC2 more often than there are interfaces."""
LABELS = {SAMPLES: "samples", STEPS: "Tapstack, its steps", DEPLOYED: "Tapstack, deployed"}
Measured = dict[tuple[str, int], list[Figures]]


def alert_table(measured: Measured) -> str:
    """Return calls, times and ratios to the samples by number of interfaces, as Markdown."""
    sizes = sorted({size for _, size in measured})
    lines = [
        "| interfaces | way | EC2 calls | other calls | seconds | to samples |",
        "| ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for size in sizes:
        base = seconds(measured, SAMPLES, size)
        for subject in SUBJECTS:
            one = measured[subject, size][-1]
            took = seconds(measured, subject, size)
            lines.append(f"| {size} | {LABELS[subject]} | {one.ec2} | {one.others} | {took:.2f} | {took / base:.2f} |")
    return "\n".join(lines)


def growth_table(measured: Measured) -> str:
    """Return how calls and times grow from the fewest interfaces to the most, as Markdown."""
    sizes = sorted({size for _, size in measured})
    few, many = sizes[0], sizes[-1]
    lines = [f"| from {few} to {many} interfaces | EC2 calls | seconds |", "| --- | ---: | ---: |"]
    for subject in SUBJECTS:
        calls = measured[subject, many][-1].ec2 / measured[subject, few][-1].ec2
        took = seconds(measured, subject, many) / seconds(measured, subject, few)
        lines.append(f"| {LABELS[subject]} | x {calls:.1f} | x {took:.1f} |")
    return "\n".join(lines)


def seconds(measured: Measured, subject: str, size: int) -> float:
    """Return the median of the rounds."""
    return statistics.median(figures.seconds for figures in measured[subject, size])


def too_many_calls(measured: Measured) -> list[str]:
    """Say where the responder called EC2 more often than the number of interfaces and four, in any round."""
    return [
        f"{LABELS[subject]}: {figures.ec2} calls of EC2 for {size} interfaces, more than {ABOVE_INTERFACES} above"
        for (subject, size), rounds in measured.items()
        for figures in rounds
        if subject != SAMPLES and figures.ec2 > size + ABOVE_INTERFACES
    ]


def size_table(zips: dict[str, bytes]) -> str:
    """Return the sizes of packages as Markdown."""
    lines = ["| package | stored, KB | deflated, KB |", "| --- | ---: | ---: |"]
    for name, package in zips.items():
        found = functions.sizes(package)
        lines.append(f"| {name} | {found.stored / 1024:,.0f} | {found.deflated / 1024:,.0f} |")
    return "\n".join(lines)


def import_table(imports: dict[str, list[float]]) -> str:
    """Return the median import times as Markdown."""
    lines = ["| handler | import, ms | to plain |", "| --- | ---: | ---: |"]
    base = statistics.median(imports[functions.PLAIN])
    for name, found in imports.items():
        took = statistics.median(found)
        lines.append(f"| {name} | {took * 1000:.0f} | {took / base:.2f} |")
    return "\n".join(lines)


def invocation_table(invoked: dict[str, list[functions.Invocations]]) -> str:
    """Return the median times of first and later invocations as Markdown."""
    lines = ["| function | cold, ms | warm, ms |", "| --- | ---: | ---: |"]
    for name, found in invoked.items():
        cold = statistics.median(one.cold for one in found)
        warm = statistics.median(took for one in found for took in one.warm)
        lines.append(f"| {name} | {cold * 1000:.0f} | {warm * 1000:.1f} |")
    return "\n".join(lines)


def document(tables: dict[str, str], count: int) -> str:
    """Return the page."""
    held = ", ".join(f"{service} {took * 1000:.0f} ms" for service, took in LATENCY.items())
    return f"""<!-- Written by `make bench-response`; changes belong into benchmarks/. -->
# Benchmarks of the response

Measured on {datetime.date.today()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python
{platform.python_version()}, moto {moto.__version__}, in one run on one rehearsal account. All took their turn in each
round; medians of {count} rounds.

## From an alert to the last session

The alert names network interfaces, at most {alerts.PER_INSTANCE} of an instance. Where it names an instance,
Tapstack calls EC2 once less. The three ways:

- *samples*: what public samples do. Describe the instances; then, one interface after the other, describe it and mirror
  it with a fixed session number. Nothing is recorded, nothing checked, and a second alert fails.
- *Tapstack, its steps*: the handlers of the functions, called in this process as API and workflow call them: open the
  incident, prepare, ensure the appliance, start the capture.
- *Tapstack, deployed*: a signed request to the HTTP API; functions in processes of their own, and Step Functions, do
  the rest. Until the last session is made.

Other calls are mostly DynamoDB's: two for an interface, so that fifty incidents share one session and nothing is lost
when a function dies.

### As modelled

An answer is held back as long as calls take in a Region, about: {held}. A model, no
measurement of AWS: it shows what is done one after another, and what at once.

{tables["modelled"]}

{tables["modelled growth"]}

### On loopback

Calls cost next to nothing here, so this is work alone, of this machine's processors. It is shared by the account, the
functions and the caller.

{tables["loopback"]}

{tables["loopback growth"]}

The aim: at most as many calls of EC2 as there are interfaces, and four.

## The functions

All functions share one package. *plain* is one function written the way of the documentation: boto3, Powertools with
its resolver and validation, each whole. boto3 comes with Lambda's runtime, and is in neither package.

{tables["sizes"]}

Ours is stored, because what deflating makes of it differs between machines. Imports, in new processes that find nothing
compiled of the package:

{tables["imports"]}

Invocations through the rehearsal account's Lambda, which runs processes of this machine; both list incidents, of which
there are none. Cold is a new process, its imports, compiled by then, and its first client:

{tables["invocations"]}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 where the responder calls EC2 more often than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count (7)")
    parser.add_argument("--sizes", type=int, nargs="+", default=alerts.SIZES, help="numbers of interfaces (1 10 100)")
    parser.add_argument("--output", type=Path, default=DOCUMENT, help="page to write (docs/benchmarks-response.md)")
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 1 or min(chosen.sizes) < 1 or max(chosen.sizes) > 100:
        parser.error(f"--rounds must be 1 or more and --sizes 1 to 100, got {chosen.rounds} and {chosen.sizes}")
    zips = functions.packages()
    # Its functions have roles that do not exist.
    with Account(enforce_iam=False) as account:
        bench = alerts.Bench(account)
        # First, while there is no incident: what is listed would take longer each round.
        imports, invoked = _functions(bench, zips, chosen.rounds)
        loopback = alerts.rounds(bench, chosen.rounds, chosen.sizes, {}, _tell)
        modelled = alerts.rounds(bench, chosen.rounds, chosen.sizes, LATENCY, _tell)
    tables = {
        "modelled": alert_table(modelled),
        "modelled growth": growth_table(modelled),
        "loopback": alert_table(loopback),
        "loopback growth": growth_table(loopback),
        "sizes": size_table(zips),
        "imports": import_table(imports),
        "invocations": invocation_table(invoked),
    }
    for name, table in tables.items():
        print(f"\n{name}\n{table}")
    chosen.output.write_text(document(tables, chosen.rounds), encoding="utf-8")
    excess = too_many_calls(loopback) + too_many_calls(modelled)
    print("\n".join(excess) or f"at most interfaces + {ABOVE_INTERFACES} calls of EC2: yes", file=sys.stderr)
    return 1 if excess else 0


def _functions(
    bench: alerts.Bench, zips: dict[str, bytes], count: int
) -> tuple[dict[str, list[float]], dict[str, list[functions.Invocations]]]:
    imports: dict[str, list[float]] = {}
    invoked: dict[str, list[functions.Invocations]] = {}
    lambdas = functions.Invoked(bench.deployed, zips[functions.PLAIN])
    with functions.unpacked(zips) as homes:
        for number in range(count + 1):
            _tell(f"functions, round {number} of {count}" if number else "functions, a round that does not count")
            times = {name: functions.import_seconds(*home) for name, home in homes.items()}
            answers = {name: lambdas.measure(name) for name in lambdas.functions}
            for name in times if number else ():
                imports.setdefault(name, []).append(times[name])
            for name in answers if number else ():
                invoked.setdefault(name, []).append(answers[name])
    return imports, invoked


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
