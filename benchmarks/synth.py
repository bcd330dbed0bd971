"""Times whole syntheses, each in a new process, and writes docs/benchmarks.md.

Four questions: how long does the example take beside importing cdktf alone, how long
with other ways of writing infrastructure in Python, how does the time grow with the
number of sources, and how quickly is a wrong deployment file refused. `make bench` runs it.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.isolated import environments
from tests.isolated.environments import ROOT

DOCUMENT = ROOT / "docs" / "benchmarks.md"
GROWTH = (10, 100, 1_000, 10_000)
GROWTH_LIMIT = 2.0
IMPORT_LIMIT = 2.0
STOCK_LIMIT = 12.0
OURS = "Tapstack on cdktf"
STOCK = "cdktf, stock import"
IMPORT = "`import cdktf` alone"


@dataclass(frozen=True)
class Variant:
    """A command to time.

    Attributes:
        label: what tables call it.
        command: the program and its arguments.
        variables: its whole environment.
        expected: the exit code that means success.
    """

    label: str
    command: Sequence[str | Path]
    variables: Mapping[str, str]
    expected: int = 0

    @property
    def outdir(self) -> Path:
        """Where it synthesizes to."""
        return Path(self.variables["CDKTF_OUTDIR"])


@dataclass(frozen=True)
class Run:
    """What one run took: wall clock, processor time of all its processes, and the memory of the largest."""

    seconds: float
    processor_seconds: float
    megabytes: float


@dataclass
class Result:
    """The counted runs of one variant."""

    label: str
    runs: list[Run] = field(default_factory=list)
    resources: int = 0

    @property
    def median(self) -> float:
        """The median wall clock, in seconds."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def median_processor(self) -> float:
        """The median processor time, in seconds."""
        return statistics.median(run.processor_seconds for run in self.runs)


class FailedRunError(Exception):
    """A command that was to be timed failed."""


def time_once(variant: Variant) -> Run:
    """Run a variant to its end.

    Raises:
        FailedRunError: it ended with another exit code than expected.
    """
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            variant.command, env=dict(variant.variables), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
        # wait4, because it returns the memory of this process and of those that it waited for.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != variant.expected:
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
            raise FailedRunError(f"{variant.label}: exit code {process.returncode}\n{said}")
    # Linux counts in KiB, macOS in bytes.
    return Run(
        seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    )


def compare(variants: Sequence[Variant], runs: int, problems: list[str]) -> list[Result]:
    """Time variants in turn, so that a busy minute meets all of them; the first round does not count.

    A variant that fails is left out and added to `problems`.
    """
    results = {variant.label: Result(variant.label) for variant in variants}
    for number in range(runs + 1):
        _progress("warm-up" if number == 0 else f"run {number} of {runs}")
        for variant in variants:
            if variant.label not in results:
                continue
            try:
                run = time_once(variant)
            except FailedRunError as error:
                problems.append(str(error))
                del results[variant.label]
                continue
            _progress(f"  {variant.label}: {run.seconds:.2f} s")
            if number:
                results[variant.label].runs.append(run)
    for variant in variants:
        if variant.label in results:
            results[variant.label].resources = count_resources(variant.outdir)
    return list(results.values())


def count_resources(outdir: Path) -> int:
    """Count the resources of what was synthesized: Terraform's, or CloudFormation's."""
    terraform = (json.loads(file.read_text())["resource"] for file in outdir.glob("stacks/*/cdk.tf.json"))
    cloudformation = (json.loads(file.read_text())["Resources"] for file in outdir.glob("*.template.json"))
    return sum(len(named) for stack in terraform for named in stack.values()) + sum(map(len, cloudformation))


def synthesis_variants(scratch: Path, problems: list[str]) -> list[Variant]:
    """Return the ways to synthesize the example deployment, installing what they need."""
    here = Path(sys.executable)
    main = ROOT / "main.py"
    stock = {"TAPSTACK_STOCK_IMPORT": "1"}
    offered = [
        (OURS, "", main, {"TAPSTACK_CDK": "cdktf"}),
        (STOCK, "", main, {"TAPSTACK_CDK": "cdktf", **stock}),
        ("Tapstack on cdktn", "cdktn", main, {"TAPSTACK_CDK": "cdktn"}),
        ("cdktn, stock import", "cdktn", main, {"TAPSTACK_CDK": "cdktn", **stock}),
        ("AWS CDK for Python", "aws-cdk", ROOT / "benchmarks" / "apps" / "aws_cdk_app.py", {}),
    ]
    pythons: dict[str, Path | None] = {"": here}
    for _, name, _, _ in offered:
        if name not in pythons:
            pythons[name] = _installed(name, problems)
    alone = Variant(IMPORT, [here, "-c", "import cdktf"], environments.variables(scratch / "import"))
    return [
        alone,
        *(
            Variant(label, [python, program], environments.variables(scratch / label.replace(" ", "-"), **variables))
            for label, name, program, variables in offered
            if (python := pythons[name]) is not None
        ),
    ]


def _installed(name: str, problems: list[str]) -> Path | None:
    try:
        return environments.environment(name, _progress)
    except environments.InstallError as error:
        problems.append(str(error))
        return None


def growth_variants(scratch: Path) -> list[Variant]:
    """Return syntheses of one session group with more and more sources."""
    return [_with_deployment(scratch, f"{count:,}", growing_deployment(count)) for count in GROWTH]


def growing_deployment(sources: int) -> str:
    """Write a deployment file: sources behind a Network Load Balancer, which takes any number."""
    head = """\
project: growth
sites:
  site:
    region: us-east-1
    vpc_id: vpc-0b1b2c3d4e5f60718
    targets:
      sensors:
        load_balancer:
          subnet_ids: [subnet-0b000000000000001, subnet-0b000000000000002]
          instance_ids: [i-0b000000000000001]
          mirrored_from: [10.64.0.0/16]
    filters:
      all: {preset: everything}
    sessions:
      many:
        target: sensors
        filter: all
        sources:
"""
    return head + "".join(f"          - eni-{number:017x}\n" for number in range(sources))


def refusal_variants(scratch: Path) -> list[Variant]:
    """Return a wrong deployment file's refusal, and what Python needs to do nothing at all."""
    right = (ROOT / "deployment.yaml").read_text(encoding="utf-8")
    wrong = right.replace("vpc-0a1b2c3d4e5f60718", "vpc-oops").replace("remote_access_cidr", "remote_acces_cidr")
    assert wrong != right
    nothing = Variant("`python -c pass`", [sys.executable, "-c", "pass"], environments.variables(scratch / "nothing"))
    return [_with_deployment(scratch, "wrong deployment file", wrong, expected=2), nothing]


def _with_deployment(scratch: Path, label: str, deployment: str, *, expected: int = 0) -> Variant:
    file = scratch / f"{label.replace(' ', '-')}.yaml"
    file.write_text(deployment, encoding="utf-8")
    variables = environments.variables(scratch / file.stem, TAPSTACK_CDK="cdktf", TAPSTACK_DEPLOYMENT=str(file))
    return Variant(label, [sys.executable, ROOT / "main.py"], variables, expected)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, its first column to the left and the others to the right."""
    lines = [list(header), ["---", *["---:"] * (len(header) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _spread(result: Result) -> list[str]:
    seconds = [run.seconds for run in result.runs]
    return [f"{value:.2f}" for value in (min(seconds), statistics.median(seconds), max(seconds))]


def _memory(result: Result) -> str:
    return f"{max(run.megabytes for run in result.runs):.0f}"


def synthesis_table(results: Sequence[Result]) -> str:
    """Return the comparison, with ratios to Tapstack on cdktf and to importing cdktf alone."""
    ours, alone = (_of(results, label) for label in (OURS, IMPORT))
    return table(
        ["", "resources", "min s", "median s", "max s", "times Tapstack", f"times {IMPORT}", "processor s", "MB"],
        (
            [
                result.label,
                str(result.resources) if result.resources else "",
                *_spread(result),
                f"{ratio(result, ours):.1f}" if ours else "",
                f"{ratio(result, alone):.1f}" if alone else "",
                f"{result.median_processor:.2f}",
                _memory(result),
            ]
            for result in results
        ),
    )


def _of(results: Sequence[Result], label: str) -> Result | None:
    return next((result for result in results if result.label == label), None)


def ratio(result: Result, other: Result) -> float:
    """Return how many times as long one took: the median of all rounds, which other programs hardly move."""
    return statistics.median(one.seconds / two.seconds for one, two in zip(result.runs, other.runs, strict=False))


def growth_table(results: Sequence[Result]) -> str:
    """Return the growth, with ratios to the fewest sources."""
    return table(
        ["sources", "min s", "median s", "max s", f"times {GROWTH[0]}", "MB"],
        ([result.label, *_spread(result), f"{ratio(result, results[0]):.2f}", _memory(result)] for result in results),
    )


def refusal_table(results: Sequence[Result]) -> str:
    """Return how long a refusal takes."""
    return table(["", "min s", "median s", "max s"], ([result.label, *_spread(result)] for result in results))


def machine(loads: tuple[float, float]) -> str:
    """Describe what it was measured on, without naming the machine; `loads` are those before and after."""
    node = subprocess.run([environments.node_binary(), "--version"], capture_output=True, text=True, check=True)
    return (
        f"{datetime.date.today().isoformat()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs "
        f"(load average before: {loads[0]:.1f}, after: {loads[1]:.1f}), Python {platform.python_version()}, "
        f"Node {node.stdout.strip().lstrip('v')}"
    )


def versions() -> str:
    """List the packages that were compared: ours as installed, the others as pinned."""
    ours = ["cdktf", "cdktf-cdktf-provider-aws", "jsii"]
    pinned = [
        line.split("==")
        for name, packages in (("cdktn", ("cdktn", "cdktn-provider-aws")), ("aws-cdk", ("aws-cdk-lib",)))
        for line in (environments.REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        if line.split("==")[0] in packages
    ]
    named = [(name, importlib.metadata.version(name)) for name in ours] + [(name, version) for name, version in pinned]
    return ", ".join(f"{name} {version}" for name, version in named)


def document(
    runs: int, loads: tuple[float, float], synthesis: str, growth: str, refusal: str, missed: Sequence[str]
) -> str:
    """Return the text of docs/benchmarks.md."""
    return f"""\
<!-- Written by `make bench`; changes belong into benchmarks/synth.py. -->
# Benchmarks

How long a whole synthesis takes, from the start of a new Python process to Terraform on disk.
`make bench` measures it and writes this page; `make bench ARGS="--runs 10"` counts more runs. cdktn and
AWS CDK are installed into `.environments/` for it, in the versions named below.

Measured on {machine(loads)}. Packages: {versions()}.

All variants of a table ran in turn (A, B, C, A, B, C, ...) in one go on the same machine. The first round does
not count: it fills the caches of jsii, Python and Node. Counted rounds: {runs}. All variants use the same Node.
Ratios are medians of those of each round; where other programs ran meanwhile, they say more than the seconds.
Processor seconds are those of Python and Node together; MB is the peak of the largest of them. One run alone has two
processors busy at most.

Missed of the targets below: {"; ".join(missed) or "none"}.

## The same resources, other ways

The example, `deployment.yaml`, as it is in the repository: two sites, one of them with telemetry and a response. The
targets: at most {IMPORT_LIMIT:.0f} times what importing cdktf takes, and the stock import at least
{STOCK_LIMIT:.0f} times as long.

{synthesis}

"Stock import" is the same program with `TAPSTACK_STOCK_IMPORT=1`, which imports the AWS bindings as they come, all of
them, in Python and in Node, and leaves Python's garbage collector as it is. AWS CDK runs
`benchmarks/apps/aws_cdk_app.py`, which reads and checks the same file and makes the counterparts that CloudFormation
has, as level 1 constructs. It makes no data sources; attachments and shares are properties there, and sessions,
without `for_each`, a resource each.

## Many sources

One group of sessions behind a Network Load Balancer. The target: {GROWTH[-1]:,} sources cost no more than
{GROWTH_LIMIT:.0f} times what {GROWTH[0]} cost.

{growth}

## A wrong deployment file

A misspelt key and a wrong VPC id, refused with file and line before cdktf is imported; beside it what Python
takes to start and do nothing.

{refusal}
"""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Exit code: 0 measured and written; 1 something took longer than it may; 2 something could not be "
        "installed or run: the rest is printed, and nothing is written.",
    )
    parser.add_argument("-n", "--runs", type=_positive, default=5, help="counted runs of each variant (default: 5)")
    parser.add_argument(
        "-o", "--output", type=Path, default=DOCUMENT, help="where to write (default: docs/benchmarks.md)"
    )
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return the exit code."""
    options = parse_arguments(arguments)
    before = os.getloadavg()[0]
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tapstack-bench-") as name:
        scratch = Path(name)
        synthesis = compare(synthesis_variants(scratch, problems), options.runs, problems)
        growth = compare(growth_variants(scratch), options.runs, problems)
        refusal = compare(refusal_variants(scratch), options.runs, problems)
    loads = before, os.getloadavg()[0]
    tables = synthesis_table(synthesis), growth_table(growth), refusal_table(refusal)
    print("\n\n".join(tables))
    if problems:
        print("\nnot measured, so nothing is written:", *problems, sep="\n", file=sys.stderr)
        return 2
    missed = list(missed_targets(synthesis, growth))
    options.output.write_text(document(options.runs, loads, *tables, missed), encoding="utf-8")
    print(*("", *missed), sep="\n", file=sys.stderr)
    return 1 if missed else 0


def missed_targets(synthesis: Sequence[Result], growth: Sequence[Result]) -> Iterable[str]:
    """Yield what took longer than it may."""
    ours, stock, alone = (_of(synthesis, label) for label in (OURS, STOCK, IMPORT))
    if ours and alone and (found := ratio(ours, alone)) > IMPORT_LIMIT:
        yield f"the example took {found:.2f} times what {IMPORT} took"
    if ours and stock and (found := ratio(stock, ours)) < STOCK_LIMIT:
        yield f"the stock import took {found:.1f} times what the example took, less than {STOCK_LIMIT:.0f}"
    if (found := ratio(growth[-1], growth[0])) > GROWTH_LIMIT:
        yield f"{GROWTH[-1]:,} sources took {found:.2f} times what {GROWTH[0]} took"


if __name__ == "__main__":
    sys.exit(main())
