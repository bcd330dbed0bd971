"""`python -m strictmoto`."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys

import boto3
import pytest


def test_when_it_runs_then_its_variables_lead_to_an_account_and_an_interrupt_ends_it() -> None:
    with subprocess.Popen([sys.executable, "-m", "strictmoto"], stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            variables: dict[str, str] = {}
            while "no_proxy" not in variables:
                name, _, value = shlex.split(running.stdout.readline())[1].partition("=")
                variables[name] = value
            sts = boto3.client(
                "sts",
                endpoint_url=variables["AWS_ENDPOINT_URL"],
                region_name=variables["AWS_REGION"],
                aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            )
            assert sts.get_caller_identity()["Arn"].endswith(":root")
        finally:
            running.send_signal(signal.SIGINT)
        assert running.wait(10) == 0


@pytest.mark.parametrize(("port", "said"), [("99999", "port 99999: "), ("x", "--port: invalid int value: 'x'")])
def test_fails_when_the_port_cannot_be(port: str, said: str) -> None:
    program = [sys.executable, "-m", "strictmoto", "--port", port]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
