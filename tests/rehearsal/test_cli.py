"""`tapstack rehearse account` in a process of its own, as a user runs it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.proxy import RecordingProxy
from tests.sampling import sampled

TAPSTACK = [sys.executable, "-c", "import sys; from tapstack.cli import main; sys.exit(main())", "rehearse", "account"]


def start(*arguments: str, **environment: str) -> tuple[subprocess.Popen[str], list[str]]:
    """Start the command and return it with what it prints before it waits."""
    process = subprocess.Popen(
        [*TAPSTACK, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    last = "no_proxy" if "--empty" in arguments else "  https://"
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if lines[-1].removeprefix("export ").startswith(last):
            break
    return process, lines


@sampled("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], every=3)
def test_when_stopped_then_it_ends_cleanly(number: signal.Signals) -> None:
    process, lines = start("--empty")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == "\nThe rehearsal account has stopped.\n"
    assert "Traceback" not in err
    assert lines[0].startswith("An AWS account for rehearsals listens on http://127.0.0.1:")
    assert lines[1].startswith("Its account id is 123456789012: ")


@pytest.mark.long
def test_when_stopped_while_it_starts_then_it_ends_cleanly() -> None:
    program = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "moto":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from tapstack.cli import main
sys.exit(main(["rehearse", "account", "--empty"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stdout.endswith("\nThe rehearsal account has stopped.\n")
    assert "Traceback" not in done.stderr


def test_when_it_runs_then_the_printed_variables_reach_the_company_and_no_proxy(
    monkeypatch: pytest.MonkeyPatch, proxy: RecordingProxy
) -> None:
    process, lines = start(NO_PROXY="intranet.example.com, .example.net")
    try:
        assert "unset AWS_SESSION_TOKEN AWS_PROFILE" in lines
        for line in lines:
            if line.startswith("export "):
                name, _, value = shlex.split(line)[1].partition("=")
                monkeypatch.setenv(name, value)
        assert os.environ["NO_PROXY"] == "intranet.example.com,.example.net,127.0.0.1,localhost"
        vpcs = {vpc["VpcId"]: vpc["CidrBlock"] for vpc in boto3.Session().client("ec2").describe_vpcs()["Vpcs"]}
        (shop,) = (line.split() for line in lines if line.startswith("  shop "))
        assert vpcs[shop[1]] == "10.0.0.0/16"
        (database,) = (line for line in lines if line.startswith("  database "))
        assert len(re.findall(r"eni-\w+", database)) == 2
        template = boto3.Session().client("cloudformation").validate_template(TemplateURL=lines[-1].strip())
        assert "MgmtTrafficMirrorSubnetID" in {found["ParameterKey"] for found in template["Parameters"]}
        assert proxy.received == []
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.long
def test_fails_when_the_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run([*TAPSTACK, "--port", port], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert f"port {port}: Address already in use: choose another one with --port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_fails_when_the_port_is_none(port: str) -> None:
    done = subprocess.run([*TAPSTACK, f"--port={port}"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert f"expected a port from 0 to 65535, got '{port}'" in done.stderr


def test_fails_when_moto_is_missing(tmp_path: Path) -> None:
    program = "import sys; sys.modules['moto'] = None\nfrom tapstack.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "rehearse", "account"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "no moto: the rehearsal account needs it; install tapstack with its extra rehearsal\n"
