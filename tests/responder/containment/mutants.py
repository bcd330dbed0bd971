"""Faults that are put into the response on purpose: do the random sequences find each, and after how many steps?

`python -m tests.responder.containment.mutants` runs new sequences on each until one fails, and prints a table for
docs/containment.md. Exit code 1 where one is not found.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
PACKAGE: Final = ROOT / "modules" / "tapstack"
_STEPS: Final = re.compile(r"^(\d+) steps:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault.

    Attributes:
        name: what is wrong then.
        file: in the package.
        old: text that is in the file once.
        new: what stands there instead.
    """

    name: str
    file: str
    old: str
    new: str

    def put_into(self, package: Path) -> None:
        """Change the file in a copy of the package.

        Raises:
            ValueError: the text is not there once: the code has changed.
        """
        file = package / self.file
        text = file.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} is {text.count(self.old)} times in {self.file}, expected once")
        file.write_text(text.replace(self.old, self.new))


MUTANTS: Final = (
    Mutant(
        "an alert opens an incident beside the open one",
        "responder/incident/opening.py",
        "            if joined is not None:",
        "            if joined is not None and not self.report.of_policy:",
    ),
    Mutant(
        "an alert that joins does not raise the severity",
        "responder/incident/joining.py",
        "    joining = Joining(highest(incident.severity, request.severity), until, minutes, **requested)",
        "    joining = Joining(incident.severity, until, minutes, **requested)",
    ),
    Mutant(
        "an alert that joins asks again what a responder rejected",
        "responder/incident/joining.py",
        'before.rejected and mode == "approval"',
        "False",
    ),
    Mutant(
        "each alert that joins is notified of again",
        "responder/incident/joining.py",
        '    return f"joined {alert}"',
        # Not the time: the clock of the sequences stands still while they take a step.
        '    import os\n\n    return f"joined {alert} {os.urandom(4).hex()}"',
    ),
    Mutant(
        "an old finding contains after a release",
        "responder/incident/joining.py",
        "    if released is not None and not report.is_newer_than(released.until):",
        "    if False:",
    ),
    Mutant(
        "activity after the closing stays silent",
        "responder/incident/opening.py",
        "before is not None and not self.report.is_newer_than(incidents.ended_at(before))",
        "before is not None",
    ),
    Mutant(
        "a finding of before the closing opens another incident",
        "responder/incident/opening.py",
        "before is not None and not self.report.is_newer_than(incidents.ended_at(before))",
        "False",
    ),
    Mutant(
        "whoever requested a containment approves it",
        "responder/containment/requests.py",
        "    if not configured().approval.other_person or (alone and not containment.overridden_tags):",
        "    if True:",
    ),
    Mutant(
        "without an answer a protecting tag is overridden",
        "responder/containment/requests.py",
        'default=("leave" if overridden else settings.approval.default)',
        "default=(settings.approval.default)",
    ),
    Mutant(
        "a protecting tag does not protect",
        "domain/containment.py",
        "    if not (override_tags or begun) and (tags := protecting_tags(facts, settings)):",
        "    if False and (tags := protecting_tags(facts, settings)):",
    ),
    Mutant(
        "tags alone say which sessions are ours",
        "responder/capture/sessions.py",
        '    if capture is None:\n        return False\n    if session["TrafficMirrorSessionId"] in {',
        '    if True:\n        return True\n    if session["TrafficMirrorSessionId"] in {',
    ),
    Mutant(
        "a lost session is not made again",
        "responder/capture/repair.py",
        "        if holder in known:",
        "        if holder not in known:",
    ),
)


def main() -> int:
    """Try them, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[""], help="only mutants whose names hold one of these texts")
    parser.add_argument("--sequences", type=int, default=150, help="new sequences of each, at most")
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    tried = [mutant for mutant in MUTANTS if any(text in mutant.name for text in chosen.only)]
    with ThreadPoolExecutor(chosen.processes) as pool:
        found = list(pool.map(lambda mutant: _steps(mutant, chosen.sequences), tried))
    print("| fault | found after |\n|---|---:|")
    for mutant, (steps, is_found) in zip(tried, found, strict=True):
        print(f"| {mutant.name} | {f'{steps} steps' if is_found else f'NOT in {steps} steps'} |")
    return int(not all(is_found for _, is_found in found))


def _steps(mutant: Mutant, sequences: int) -> tuple[int, bool]:
    """Return how many steps were taken, and whether one of them showed the fault."""
    with tempfile.TemporaryDirectory() as scratch:
        package = Path(scratch) / "tapstack"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        mutant.put_into(package)
        test = "tests/responder/containment/test_sequences.py"
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "", "-n", "0", "-q", "-p", "no:cacheprovider", "--tb=line", test],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": scratch, "TAPSTACK_SEQUENCES": str(sequences)},
            capture_output=True,
            text=True,
            check=False,
        )
    steps = _STEPS.search(ran.stdout)
    if steps is None:
        raise RuntimeError(f"{mutant.name}: no sequence ran: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    print(f"{mutant.name}: {ran.stdout.strip().splitlines()[-1]}", file=sys.stderr)
    return int(steps[1]), ran.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
