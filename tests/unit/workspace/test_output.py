"""Standard output that takes no more ends a command, and says no more than there is to say."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[3]
CHECK = ["check", str(ROOT / "deployment.yaml")]
SYNTH = ["synth", "--output", "{}"]


def started(arguments: list[str], directory: Path, out: int) -> subprocess.CompletedProcess[str]:
    given = [argument.format(directory) for argument in arguments]
    return subprocess.run(
        [sys.executable, "-c", "import sys; from tapstack.cli import main; sys.exit(main())", *given],
        cwd=ROOT,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", [CHECK, SYNTH], ids=["check", "synth"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_when_the_reader_of_a_pipe_has_ended_then_so_does_the_command_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        reader.wait()
        done = started(arguments, tmp_path, reader.stdin.fileno())
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize(
    ("closed", "code", "said"),
    [
        (">&-", 2, "standard output is closed: give the command a terminal, a file or a pipe\n"),
        ("2>&-", 0, ""),
        (">&- 2>&-", 2, ""),
    ],
)
def test_when_an_output_is_closed_then_it_is_said_where_it_can_be(closed: str, code: int, said: str) -> None:
    command = [sys.executable, "-c", "import sys; from tapstack.cli import main; sys.exit(main())", *CHECK]
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("arguments", [CHECK, ["synth"], ["incident", "explain", "/tmp/finding.json"]])
def test_fails_when_the_working_directory_is_gone(tmp_path: Path, arguments: list[str]) -> None:
    program = (
        f"import os, sys; sys.path.insert(0, {str(ROOT / 'modules')!r}); from tapstack.cli import main; "
        f"os.chdir({str(tmp_path / 'gone')!r}); os.rmdir(os.getcwd()); sys.exit(main())"
    )
    (tmp_path / "gone").mkdir()
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "the working directory: No such file or directory; change to one that exists\n",
    )


@pytest.mark.parametrize("arguments", [CHECK, SYNTH, ["rehearse", "deploy"]], ids=["check", "synth", "rehearse"])
def test_fails_when_a_full_disk_takes_no_output(tmp_path: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = started(arguments, tmp_path, full.fileno())
    assert (done.returncode, done.stderr) == (1, "standard output: No space left on device\n")


@pytest.mark.parametrize("arguments", [["explain", "-"], ["show", "inc-20260102T030405-k3v9x0ab", "--token-file", "-"]])
def test_fails_with_a_message_when_standard_input_is_closed(arguments: list[str]) -> None:
    program = "import sys; from tapstack.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "incident", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "TAPSTACK_URL": "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"}
    done = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
