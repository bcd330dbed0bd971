"""Several processes share the tests without making anything twice."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parallel import order_of, unit_of

ROOT = Path(__file__).parents[2]
END_TO_END = "tests/end_to_end/test_rehearsal_faults.py::test_a[b::c]"


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        (END_TO_END, "end_to_end"),
        ("tests/unit/test_wheel.py::test_a", "tests/unit/test_wheel.py"),
        ("tests/unit/test_wheel.py::TestA::test_a[x/y]", "tests/unit/test_wheel.py"),
        ("tests/terraform/test_cli.py::test_a[x]", "tests/terraform/test_cli.py::test_a[x]"),
        (
            "tests/terraform/test_rehearsal_deploying_policies.py::test_a[x]",
            "tests/terraform/test_rehearsal_deploying_policies.py",
        ),
    ],
)
def test_when_tests_are_given_out_then_those_of_a_unit_stay_together(nodeid: str, unit: str) -> None:
    assert unit_of(nodeid) == unit


def test_when_tests_are_given_out_then_what_takes_longest_begins() -> None:
    others = ["tests/unit/test_a.py::test_rehearsal", "tests/strictmoto/test_a.py::test_a"]
    longer = ["tests/isolated/test_a.py::test_a", "tests/terraform/test_rehearsal.py::test_a", END_TO_END]
    assert sorted([*others, *longer], key=order_of) == [*reversed(longer), *others]


@pytest.mark.thorough
def test_when_two_processes_run_the_tests_of_files_then_each_file_stays_in_one() -> None:
    files = ["tests/unit/domain/test_globs.py", "tests/unit/test_lock.py", "tests/unit/domain/test_cidrs.py"]
    options = ["-n", "2", "-v", "-p", "no:cacheprovider", "--color=no"]
    program = [sys.executable, "-m", "pytest", *options, *files]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"^\[(gw\d)\] \[ *\d+%\] PASSED (\S+?)::", done.stdout, re.MULTILINE)
    assert len(found) > 10
    assert {process for process, _ in found} == {"gw0", "gw1"}
    assert len(set(found)) == len({file for _, file in found})
