"""Ctrl-C in what takes over from `tapstack deploy`, and the end of its output: the cdktf CLI, Terraform below it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tapstack.cli.operate import INTERRUPTS
from tapstack.kernel.node import node_binary
from tests.unit.cli.terminal import Command, none_left

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[3]
# As the CLI does: starts Terraform in a session of its own, asks on a raw terminal or not, reports how it ended.
CLI = """
const options = { detached: true, stdio: ["ignore", "pipe", "ignore"] };
const child = require("node:child_process").spawn("./terraform", options);
child.stdout.on("data", () => {
  if (process.argv[2] === "asks") {
    process.stdin.setRawMode(true);
    process.stdin.on("data", () => {});
  }
  console.log("ready");
});
child.on("exit", (code) => { console.log("Terraform failed with " + code); process.exit(1); });
setInterval(() => {}, 1000);
"""
# Holds a lock, and gives it back when it is asked to end.
TERRAFORM = """#!/bin/sh
touch lock
trap 'sleep 0.2; rm lock; exit 1' INT
echo started
while :; do sleep 0.02; done
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "cdktf.js").write_text(CLI)
    (tmp_path / "terraform").write_text(TERRAFORM)
    (tmp_path / "terraform").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(("how", "code"), [("Ctrl-C", 130), ("SIGTERM", 143), ("close", 129)])
@pytest.mark.parametrize("asks", ["asks", "works"])
def test_when_a_deploy_is_interrupted_then_terraform_ends_first_and_gives_its_lock_back(
    directory: Path, asks: str, how: str, code: int
) -> None:
    program = [str(node_binary()), "--require", str(INTERRUPTS), "cdktf.js", asks]
    with Command(program, terminal=True, cwd=directory) as running:
        running.until("ready")
        assert (directory / "lock").exists()
        running.interrupt(how)
        assert running.end()[0] == code
        shown = running.shown.replace("^C", "").replace("\r", "").partition("ready\n")[2]
    assert not (directory / "lock").exists()
    assert none_left(directory)
    if how == "Ctrl-C" and asks == "asks":
        assert shown == "\ninterrupted\n"
    elif how == "Ctrl-C":
        assert shown.startswith("\ninterrupted: Terraform finishes what it has begun; Ctrl-C again ends it at once\n")


@pytest.mark.parametrize("program", ["import main", "from tapstack.cli import main"])
def test_when_it_is_interrupted_while_it_imports_then_one_line_says_so(program: str, tmp_path: Path) -> None:
    # The first import of each that takes a while.
    slow = tmp_path / "slow"
    slow.mkdir()
    for name in ("argparse", "yaml"):
        (slow / f"{name}.py").write_text("print('imports', flush=True)\nimport time\ntime.sleep(600)\n")
    runs = [str(ROOT / "main.py")] if program == "import main" else ["-c", f"import sys; {program}; sys.exit(main())"]
    done = subprocess.Popen(
        [sys.executable, *runs],
        env={"PYTHONPATH": f"{slow}:{ROOT / 'modules'}", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.stdout is not None
    assert done.stderr is not None
    with done:
        assert done.stdout.readline() == "imports\n"
        done.send_signal(signal.SIGINT)
        assert (done.wait(60), done.stderr.read()) == (130, "interrupted\n")


# A program that ends before a slow reader has all that it printed, as Terraform does before the CLI.
PRINTING = """
const pty = require(process.argv[2]);
const program = pty.spawn("sh", ["-c", "seq 1 20000; echo 'Error: the reason'; exit 1"], { env: process.env });
let shown = "";
program.onData((data) => { shown += data; const until = Date.now() + 2; while (Date.now() < until); });
program.onExit(({ exitCode }) => {
  const lines = shown.trim().split("\\r\\n");
  console.log(exitCode, lines.length, lines.every((line, at) => at === 20000 || line === String(at + 1)), lines.at(-1));
});
"""


def test_when_terraform_ends_before_its_output_is_read_then_the_reason_of_a_failure_is_shown(directory: Path) -> None:
    terminal = ROOT / "node_modules/@cdktf/node-pty-prebuilt-multiarch"
    if not terminal.exists():
        pytest.skip("the cdktf CLI is not installed: run make setup")
    (directory / "printing.js").write_text(PRINTING)
    done = subprocess.run(
        [str(node_binary()), "--require", str(INTERRUPTS), "printing.js", str(terminal)],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1 20001 true Error: the reason\n", "")
