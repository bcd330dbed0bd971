"""What a rehearsal says of Terraform, and what it gives to it; a script stands in for the binary."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from strictmoto.account import Account
from tapstack.rehearsal.deployment import DeploymentFailedError, SiteDeployment, environment_for
from tapstack.rehearsal.progress import Progress

APPLY = """
echo 'aws_sqs_queue.a: Refreshing state...'
wait_for planning
echo 'Plan: 3 to add, 0 to change, 0 to destroy.'
echo 'aws_sqs_queue.a: Creating...'
echo 'aws_lambda_function.b["c: d"]: Creating...'
wait_for 'production: 0 of 3 done, creating aws_sqs_queue.a and 1 more'
echo 'aws_sqs_queue.a: Creation complete after 5s [id=q]'
wait_for 'production: 1 of 3 done, creating aws_lambda_function.b["c: d"]'
echo 'aws_lambda_function.b["c: d"]: Creation complete after 5s [id=f]'
"""


class Stub:
    """A terraform that is a script: a line of its protocol each time it is called."""

    def __init__(self, directory: Path, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said = directory / "said"
        self.called = directory / "called"
        self.said.touch()
        self.stack = directory / "production"
        self.stack.mkdir()
        self._binary = directory / "bin" / "terraform"
        self._binary.parent.mkdir()
        self.lines: list[str] = []
        self._account = account
        monkeypatch.setenv("PATH", f"{self._binary.parent}:{os.environ['PATH']}")
        monkeypatch.setenv("HOME", str(directory / "home"))
        monkeypatch.delenv("TF_PLUGIN_CACHE_DIR", raising=False)
        self.script()

    def script(self, **commands: str) -> None:
        """Set what init, apply and output do."""
        given = {"init": ":", "apply": ":", "output": "echo {}", **commands}
        cases = "\n".join(f"{name}) {text}\n;;" for name, text in given.items())
        self._binary.write_text(
            f"""#!/bin/sh
wait_for() {{ until grep -qF "$1" {self.said}; do sleep 0.01; done; }}
echo "$1 cache=$TF_PLUGIN_CACHE_DIR config=$TF_CLI_CONFIG_FILE var=$TF_VAR_x" >> {self.called}
case $1 in
{cases}
esac
"""
        )
        self._binary.chmod(0o755)

    def apply(self) -> dict[str, object]:
        with Progress(self._write, quiet=0.01) as progress, progress.doing("starting") as doing:
            return SiteDeployment(self.stack, self._account, progress.say, doing).apply()

    def _write(self, line: str) -> None:
        self.lines.append(line)
        with self.said.open("a") as said:
            said.write(line + "\n")


@pytest.fixture
def stub(tmp_path: Path, aws_account: Account, monkeypatch: pytest.MonkeyPatch) -> Stub:
    return Stub(tmp_path, aws_account, monkeypatch)


def test_when_terraform_is_silent_then_its_current_operation_is_shown(stub: Stub) -> None:
    # Each of these goes on only when it was said.
    stub.script(init="wait_for 'production: installing the AWS provider'", apply=APPLY)
    stub.apply()
    assert [line for line in stub.lines if not line.startswith("...")] == [
        "aws_sqs_queue.a: Creation complete after 5s [id=q]",
        'aws_lambda_function.b["c: d"]: Creation complete after 5s [id=f]',
    ]


def test_when_terraform_warns_then_the_outputs_are_read_all_the_same(stub: Stub) -> None:
    outputs = {"url": {"sensitive": False, "value": "https://x"}, "password": {"sensitive": True, "value": "secret"}}
    stub.script(output=f"echo 'There are some problems with the CLI configuration' >&2; echo '{json.dumps(outputs)}'")
    assert stub.apply() == {"url": "https://x", "password": None}


def test_fails_when_terraform_does_and_says_all_that_it_printed(stub: Stub) -> None:
    stub.script(apply="echo 'Plan: 1 to add'; echo 'Error: no such thing' >&2; exit 1")
    with pytest.raises(DeploymentFailedError) as failed:
        stub.apply()
    assert str(failed.value) == (
        "terraform apply -auto-approve -input=false -parallelism=30:\nPlan: 1 to add\nError: no such thing\n"
    )


def test_when_there_is_no_mirror_then_the_provider_is_fetched_once_for_all_stacks(stub: Stub, tmp_path: Path) -> None:
    stub.apply()
    cache = tmp_path / "home" / ".terraform.d" / "plugin-cache"
    assert cache.is_dir()
    assert [line.split()[:2] for line in stub.called.read_text().splitlines()] == [
        ["init", f"cache={cache}"],
        ["apply", "cache="],
        ["output", "cache="],
    ]


def test_when_there_is_a_mirror_or_no_place_then_no_cache_is_used(stub: Stub, tmp_path: Path) -> None:
    (stub.stack / "terraform.d" / "plugins").mkdir(parents=True)
    stub.apply()
    assert stub.called.read_text().startswith("init cache= ")
    assert not (tmp_path / "home").exists()
    (stub.stack / "terraform.d" / "plugins").rmdir()
    (tmp_path / "home").write_text("no directory")
    stub.called.unlink()
    stub.apply()
    assert stub.called.read_text().startswith("init cache= ")


def test_when_terraform_is_started_then_it_has_the_users_places_and_no_other_setting(
    aws_account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "/srv/company.tfrc")
    monkeypatch.setenv("TF_VAR_x", "1")
    monkeypatch.setenv("TF_CLI_ARGS", "-destroy")
    monkeypatch.setenv("AWS_PROFILE", "production")
    found = environment_for(aws_account)
    assert found["TF_CLI_CONFIG_FILE"] == "/srv/company.tfrc"
    assert not {"TF_VAR_x", "TF_CLI_ARGS", "AWS_PROFILE"} & set(found)
