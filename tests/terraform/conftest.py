"""Real Terraform with the real AWS provider; skipped, saying why, where they are absent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from strictmoto.account import ACCOUNT_ID, Account
from strictmoto.identity.principals import Credentials, assume
from tapstack.domain.provider_versions import PROVIDER_VERSION
from tapstack.workspace.provider_mirror import ProviderMirror, find_mirror, link_mirror


@dataclass(frozen=True)
class Terraform:
    """Runs Terraform in the directory of a synthesized stack."""

    binary: str
    mirror: ProviderMirror | None

    def __call__(self, directory: Path, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        """Run one command and return what it prints; fail with all of that when it fails."""
        done = subprocess.run(
            [self.binary, *arguments, "-no-color"],
            cwd=directory,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode in ok, f"terraform {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def validate(self, directory: Path) -> dict[str, Any]:
        """Initialize without a backend and return the verdict of `terraform validate`."""
        link_mirror(self.mirror, directory)
        self(directory, "init", "-backend=false", "-input=false")
        verdict: dict[str, Any] = json.loads(self(directory, "validate", "-json", ok=(0, 1)))
        return verdict


def clean_environment() -> dict[str, str]:
    """Return this environment without settings of Tapstack, cdktf, AWS or Terraform that the shell may hold."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "TF_", "TAPSTACK_", "CDKTF_", "SYNTH_"))
    }
    return {**kept, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform that has been seen to install a fitting AWS provider."""
    binary = shutil.which("terraform")
    if binary is None:
        pytest.skip("the terraform binary is not on the PATH")
    mirror = find_mirror(None, PROVIDER_VERSION, Path.cwd())
    found = Terraform(binary, mirror)
    if mirror is None:
        directory = tmp_path_factory.mktemp("registry")
        required = {"aws": {"source": "hashicorp/aws", "version": PROVIDER_VERSION}}
        (directory / "main.tf.json").write_text(json.dumps({"terraform": {"required_providers": required}}))
        try:
            found(directory, "init", "-input=false")
        except (AssertionError, subprocess.TimeoutExpired):
            pytest.skip(f"no AWS provider {PROVIDER_VERSION}: no mirror was found, and the registry is out of reach")
    return found


def as_the_role_that_applies(account: Account, policies: str = "apply-*.json") -> Credentials:
    """Return credentials of a role with policies that docs/iam has for it, and enforce IAM."""
    iam = account.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT_ID}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="tapstack-deploy", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    folder = Path(__file__).parents[2] / "docs/iam"
    for file in (*sorted(folder.glob("plan*.json")), *sorted(folder.glob(policies))):
        text = file.read_text(encoding="utf-8").replace("111122223333", ACCOUNT_ID)
        policy = iam.create_policy(PolicyName=f"tapstack-{file.stem}", PolicyDocument=text)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="tapstack-deploy", PolicyArn=policy)
    account.enforces_iam = True
    return assume(role, "terraform", "eu-central-1")
