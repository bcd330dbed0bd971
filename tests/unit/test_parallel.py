"""Several processes share the tests without making anything twice."""

from __future__ import annotations

import os
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


@pytest.mark.thorough
@pytest.mark.parametrize("processes", ["0", "1"])
def test_when_collecting_takes_long_then_that_is_reported(tmp_path: Path, processes: str) -> None:
    """No time is asserted: the collection ends when something was said of it."""
    configure = "def pytest_configure(config): say_so(config, quiet=0.1)"
    (tmp_path / "conftest.py").write_text(
        f"import pytest\nfrom tests.collecting import say_so\n@pytest.hookimpl(trylast=True)\n{configure}\n"
    )
    (tmp_path / "test_slow.py").write_text(
        "import pathlib, time\n"
        f"while not pathlib.Path({str(tmp_path / 'said')!r}).exists(): time.sleep(0.01)\n"
        "def test_nothing(): pass\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-n", processes, "-c", os.devnull, "--rootdir", str(tmp_path), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child:
        for line in child.stdout:
            if line.startswith("... starting, and collecting the tests ("):
                (tmp_path / "said").touch()
    assert child.returncode == 0
    assert (tmp_path / "said").exists()


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
