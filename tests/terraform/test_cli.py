"""The cdktf CLI that package.json pins, on the example and against the rehearsal account."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from strictmoto.account import Account
from strictmoto.company import found_company
from tests.terraform.conftest import Terraform, clean_environment

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
CDKTF = ROOT / "node_modules" / ".bin" / "cdktf"


def cdktf(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the CLI as a user would with the environment active."""
    if not CDKTF.exists():
        pytest.skip("the cdktf CLI is not installed: run make setup")
    # The environment's Node first: others may be too new for the CLI.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [str(CDKTF), *arguments],
        cwd=ROOT,
        env={**clean_environment(), "PATH": path, "CI": "true", "DISABLE_VERSION_CHECK": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "file"), [pytest.param((), "cdk.tf.json", marks=pytest.mark.long), (("--hcl",), "cdk.tf")]
)
def test_when_the_cli_synthesizes_then_every_site_is_written(
    tmp_path: Path, arguments: tuple[str, ...], file: str
) -> None:
    done = cdktf("synth", "--output", str(tmp_path / "out"), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.parent.name for path in tmp_path.glob(f"out/stacks/*/{file}")) == [
        "production",
        "production-response",
        "production-xdr",
        "shared-services",
    ]


def test_fails_when_the_file_is_wrong_and_says_where(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("sites:\n  a: {region: eu-central-1, vpc_id: vpc-1}\n")
    done = cdktf("synth", "--output", str(tmp_path / "out"), TAPSTACK_DEPLOYMENT=str(wrong))
    assert done.returncode != 0
    assert f"{wrong}:2: sites.a.vpc_id: 'vpc-1' is not the id of a VPC" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_when_the_cli_plans_then_it_finds_the_provider_off_the_network_too(
    terraform: Terraform, aws_account: Account, tmp_path: Path
) -> None:
    assert terraform
    deployment = tmp_path / "deployment.yaml"
    interface = found_company(aws_account).interfaces["web-1"][0]
    deployment.write_text(
        f"""
sites:
  ward:
    region: eu-central-1
    vpc_id: vpc-0a1b2c3d4e5f60718
    targets: {{sensor: {{network_interface_id: {interface}}}}}
"""
    )
    done = cdktf(
        "diff",
        "ward",
        "--output",
        str(tmp_path / "out"),
        TAPSTACK_DEPLOYMENT=str(deployment),
        **aws_account.environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 to add, 0 to change, 0 to destroy" in done.stdout
