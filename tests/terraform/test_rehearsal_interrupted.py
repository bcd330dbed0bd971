"""A rehearsal that is interrupted, at several moments, in a terminal and without one."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.terraform.conftest import Terraform
from tests.unit.cli.terminal import Command, none_left, processes_of

ROOT = Path(__file__).parents[2]
TAPSTACK = [sys.executable, "-c", "import sys; from tapstack.cli import main; sys.exit(main())"]


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory with a short path, for the sockets of Terraform providers: 107 bytes are the most."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as directory:
        yield Path(directory)


@pytest.mark.parametrize(
    ("moment", "how", "terminal", "code"),
    [
        ("An AWS account on this machine", "Ctrl-C", True, 128 + signal.SIGINT),
        pytest.param("listening on", "SIGTERM", False, 128 + signal.SIGTERM, marks=pytest.mark.long),
        pytest.param("Creation complete", "Ctrl-C", False, 128 + signal.SIGINT, marks=pytest.mark.long),
        pytest.param("  launching  stack", "close", True, 128 + signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_when_a_rehearsal_is_interrupted_then_all_has_ended_and_no_report_is_left(
    terraform: Terraform, scratch: Path, moment: str, how: str, terminal: bool, code: int
) -> None:
    assert terraform
    temporary, reports = scratch / "tmp", scratch / "reports"
    temporary.mkdir()
    reports.mkdir()
    arguments = [*TAPSTACK, "rehearse", "incident", "--report", str(reports / "report.html")]
    with Command(arguments, terminal=terminal, cwd=ROOT, TMPDIR=str(temporary)) as rehearsal:
        rehearsal.until(moment)
        assert processes_of(temporary)
        rehearsal.interrupt(how)
        ended, error = rehearsal.end()
    assert ended == code
    assert "Traceback" not in rehearsal.shown
    if not terminal:
        assert error == "interrupted: everything that was started has ended\n"
    assert none_left(temporary)
    assert list(temporary.iterdir()) == list(reports.iterdir()) == []
