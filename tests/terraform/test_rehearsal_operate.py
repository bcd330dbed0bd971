"""`tapstack diff`, `deploy` and `destroy` as the Makefile runs them, with the cdktf CLI and Terraform."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from strictmoto.account import Account
from strictmoto.company import Company, found_company
from strictmoto.testing.snapshot import differences, take_snapshot
from tapstack.rehearsal.packet_basics import publish_template
from tests.terraform.conftest import Terraform, clean_environment

ROOT = Path(__file__).parents[2]
REGION = "eu-central-1"


class Project:
    """A deployment file outside the project, deployed from there into the account."""

    def __init__(self, account: Account, directory: Path) -> None:
        if not (ROOT / "node_modules/.bin/cdktf").exists():
            pytest.skip("the cdktf CLI is not installed: run make setup")
        self.account = account
        self.company: Company = found_company(account)
        self.directory = directory

    def write(self, site: str) -> None:
        text = f"sites:\n  ward:\n    region: {REGION}\n    vpc_id: {self.company.shop.id}\n{site}"
        (self.directory / "deployment.yaml").write_text(text)

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command with pipes in place of a terminal; return all that it prints."""
        done = subprocess.run(
            [str(Path(sys.executable).parent / "tapstack"), *arguments, "--output", str(self.directory / "out")],
            cwd=ROOT,
            env={
                **clean_environment(),
                **self.account.environment,
                "TAPSTACK_DEPLOYMENT": str(self.directory / "deployment.yaml"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
            umask=0o022,
        )
        assert done.returncode == code, done.stdout
        assert "\x1b" not in done.stdout
        return done.stdout

    def open_to_others(self) -> list[str]:
        """What other users could read if the directories above were open."""
        places = [place for top in ("state", "out") for place in (self.directory / top).rglob("*")]
        return [
            str(place)
            for place in places
            # Links lead to the provider; Terraform gives its lock file, checksums of the provider, a mode of its own.
            if not place.is_symlink() and place.name != ".terraform.lock.hcl" and place.stat().st_mode & 0o077
        ]


@pytest.fixture
def project(terraform: Terraform, aws_account: Account, tmp_path: Path) -> Project:
    assert terraform
    return Project(aws_account, tmp_path)


def test_when_a_capture_is_deployed_and_destroyed_then_nothing_is_left_and_what_terraform_wrote_is_private(
    project: Project,
) -> None:
    before = take_snapshot(project.account, region=REGION)
    project.write(f"    targets: {{sensor: {{network_interface_id: {project.company.interfaces['web-1'][0]}}}}}\n")
    said = project("deploy", "--auto-approve")
    assert "ward: deployed by arn:aws:" in said

    # Though the umask says otherwise.
    assert stat.S_IMODE((project.directory / "state" / "tapstack" / "ward.tfstate").stat().st_mode) == 0o600
    assert project.open_to_others() == []
    assert "No changes" in project("diff")

    project("destroy", "--auto-approve")
    assert differences(before, take_snapshot(project.account, region=REGION)) == []


@pytest.mark.long
def test_when_a_response_uses_what_the_capture_made_then_each_is_deployed_alone_and_both_are_destroyed(
    project: Project,
) -> None:
    before = take_snapshot(project.account, region=REGION)
    own = f"""
    targets: {{sensor: {{network_interface_id: {project.company.interfaces["web-1"][0]}}}}}
    filters: {{all: {{preset: everything}}}}
    response: {{appliance: {{target: sensor, filter: all}}, deletion_protection: PROTECTED}}
"""
    project.write(own.replace("PROTECTED", "true"))

    # The response alone, once the capture stands.
    project("deploy", "ward", "--auto-approve")
    said = project("deploy", "ward-response", "--auto-approve")
    assert "api_endpoint = http" in said
    assert "ward: deployed by arn:aws:" in said
    assert project.open_to_others() == []

    # Nothing is destroyed before what protects it is lifted.
    project.account.recorder.clear()
    assert "ward-response uses target sensor and filter all of ward: destroy both" in project(
        "destroy", "ward", "--auto-approve", code=2
    )
    assert "the table tapstack-ward-response-incidents has deletion protection" in project(
        "destroy", "ward-response", "ward", "--auto-approve", code=2
    )
    assert [r for r in project.account.recorder.records() if r.call.action.startswith("Delete")] == []

    # As the message says.
    project.write(own.replace("PROTECTED", "false"))
    project("deploy", "ward-response", "--auto-approve")
    project("destroy", "ward-response", "ward", "--auto-approve")
    assert differences(before, take_snapshot(project.account, region=REGION)) == []


@pytest.mark.long
def test_when_a_response_uses_the_appliance_of_its_site_then_it_is_planned_alone(project: Project) -> None:
    appliance = (
        f"{{template_url: '{publish_template(project.account.client('s3'))}', "
        f"subnet_id: {project.company.shop.private[0]}, remote_access_cidr: 10.0.0.0/8}}"
    )
    project.write(f"    packet_basics: {appliance}\n    response: {{}}\n")
    said = project("deploy", "ward-response", "--auto-approve", code=2)
    assert 'deploy the capture first (make deploy ARGS="ward")' in said
    # The reason is the last that Terraform prints.
    said = project("deploy", "ward-response", "--auto-approve", "--skip-aws-checks", code=1)
    assert "Error: no matching CloudFormation Stack found" in said
    project("deploy", "ward", "--auto-approve")
    assert "0 to change, 0 to destroy" in project("diff", "ward-response")


@pytest.mark.long
def test_when_a_response_launches_its_appliance_then_it_is_planned_without_the_capture(project: Project) -> None:
    launch = (
        f"{{template_url: '{publish_template(project.account.client('s3'))}', "
        f"subnet_id: {project.company.shop.private[0]}, remote_access_cidr: 10.0.0.0/8}}"
    )
    interface = project.company.interfaces["web-1"][0]
    project.write(
        f"    targets: {{sensor: {{network_interface_id: {interface}}}}}\n"
        f"    response: {{appliance: {{launch: {launch}}}}}\n"
    )
    assert "0 to change, 0 to destroy" in project("diff", "ward-response")
