"""The benchmark of the response runs, and holds what it says about calls; how long anything takes is not tested."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import response
from benchmarks.alerts import DEPLOYED, SAMPLES, STEPS, Figures

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a short run writes; in a process of its own, because this one has an account."""
    output = tmp_path_factory.mktemp("benchmark") / "page.md"
    done = subprocess.run(
        [sys.executable, "benchmarks/response.py", "--rounds=1", "--sizes", "1", "3", f"--output={output}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return output.read_text(encoding="utf-8")


@pytest.mark.long
def test_when_it_runs_then_every_way_is_in_every_table(page: str) -> None:
    for label in response.LABELS.values():
        # Twice two sizes, and twice the growth.
        assert page.count(f"| {label} |") == 6
    for row in ("| Tapstack | ", "| plain | ", "| api | ", "| sweeper | "):
        assert row in page


@pytest.mark.long
def test_when_it_runs_then_the_responder_calls_ec2_as_often_as_it_may(page: str) -> None:
    rows = [line.split(" | ") for line in page.splitlines() if line.count(" | ") == 5]
    calls = {(row[1], int(row[0].removeprefix("| "))): int(row[2]) for row in rows if row[2].isdigit()}
    assert {calls[response.LABELS[subject], size] - size for subject in (STEPS, DEPLOYED) for size in (1, 3)} == {3}
    assert [calls[response.LABELS[SAMPLES], size] for size in (1, 3)] == [3, 7]


def test_fails_when_the_responder_calls_ec2_too_often() -> None:
    measured = {(STEPS, 10): [Figures(14, 0, 1.0), Figures(15, 0, 1.0)], (SAMPLES, 10): [Figures(21, 0, 1.0)]}
    assert response.too_many_calls(measured) == [
        "Tapstack, its steps: 15 calls of EC2 for 10 interfaces, more than 4 above"
    ]
