"""Whatever ends a command, all that it started ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.terminal import Command, none_left, processes_of

pytestmark = pytest.mark.thorough

# It starts a program that ignores what it is asked, writes a file, says so, and never ends.
WORK = """
import subprocess, sys, tempfile, time
from tapstack.cli import supervision
from tapstack.workspace import output

def work(scratch):
    deaf = "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]"
    program = deaf + "; print('deaf', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as started:
        started.stdout.readline()
        tempfile.mkdtemp()
        (scratch / "file").write_text("x")
        print("working", flush=True)
        time.sleep(600)

"""
MAIN = """
import tapstack.cli
tapstack.cli._main = lambda _: supervision.supervised(work)
sys.exit(tapstack.cli.main([]))
"""
ENDED = "interrupted: everything that was started has ended"


def command(tmp_path: Path, *, terminal: bool, main: str = MAIN, **environment: str) -> Command:
    directory = tmp_path / "tmp"
    directory.mkdir()
    run = [sys.executable, "-c", WORK + main]
    return Command(run, terminal=terminal, cwd=tmp_path, TMPDIR=str(directory), **environment)


@pytest.mark.parametrize(
    ("how", "terminal", "code"),
    [
        ("Ctrl-C", True, 128 + signal.SIGINT),
        ("Ctrl-C", False, 128 + signal.SIGINT),
        ("SIGTERM", True, 128 + signal.SIGTERM),
        ("SIGTERM", False, 128 + signal.SIGTERM),
        ("close", True, 128 + signal.SIGHUP),
        ("SIGHUP", False, 128 + signal.SIGHUP),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_when_a_command_is_interrupted_then_all_ends_in_one_line(
    tmp_path: Path, how: str, terminal: bool, code: int, unbuffered: str
) -> None:
    with command(tmp_path, terminal=terminal, PYTHONUNBUFFERED=unbuffered) as running:
        running.until("\n")
        assert len(processes_of(tmp_path / "tmp")) == 3
        running.interrupt(how)
        ended, error = running.end()
    assert ended == code
    if not terminal:
        assert error == ENDED + "\n"
    elif how != "close":
        assert running.shown.replace("\r", "").removeprefix("working\n").removeprefix("^C") == f"\n{ENDED}\n"
    assert none_left(tmp_path / "tmp")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_when_a_command_is_killed_then_what_it_started_ends_too(tmp_path: Path) -> None:
    with command(tmp_path, terminal=False) as running:
        running.until("\n")
        running.interrupt("SIGKILL")
        assert running.end()[0] == -signal.SIGKILL
    assert none_left(tmp_path / "tmp")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_when_the_caller_ignores_a_closing_terminal_then_the_command_goes_on(tmp_path: Path) -> None:
    main = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + MAIN
    with command(tmp_path, terminal=False, main=main) as running:
        running.until("\n")
        running.interrupt("SIGHUP")
        running.interrupt("SIGTERM")
        assert running.end()[0] == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("work", "code", "error"),
    [
        ("lambda scratch: 3", 3, ""),
        ("lambda scratch: os.kill(os.getpid(), 9)", 128 + 9, "ended by signal 9 (Killed)\n"),
        ("lambda scratch: 1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("lambda scratch: subprocess.Popen(['sleep', '600']) and 0", 0, ""),
    ],
)
def test_when_the_work_ends_by_itself_then_its_code_counts_and_nothing_is_left(
    tmp_path: Path, work: str, code: int, error: str
) -> None:
    main = f"import os\nsys.exit(supervision.supervised({work}))"
    with command(tmp_path, terminal=False, main=main) as running:
        ended, said = running.end()
    assert (ended, said[-len(error) :] if error else said) == (code, error)
    assert none_left(tmp_path / "tmp")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_when_a_command_is_interrupted_while_it_loads_then_one_line_says_so() -> None:
    program = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "pydantic":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from tapstack.cli import main
sys.exit(main(["check"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_when_what_reads_the_output_has_ended_then_the_command_ends_quietly(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    work = "lambda scratch: print('x', file=output.standard_output(), flush=True)"
    done = subprocess.run(
        [sys.executable, "-c", WORK + f"sys.exit(supervision.supervised({work}))"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
