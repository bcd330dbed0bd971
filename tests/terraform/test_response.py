"""Responses of every kind pass `terraform validate`, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks.synthesis import synthesize
from tapstack.bindings import cdk
from tapstack.settings.load import parse_deployment
from tests.synth.ids import FILTER, SUBNET, TARGET, TEMPLATE_URL
from tests.terraform.conftest import Terraform

pytestmark = [pytest.mark.thorough, pytest.mark.long]

REGION = "eu-central-1"
SITE = f"region: {REGION}\n    vpc_id: vpc-"
EPB = f'{{template_url: "{TEMPLATE_URL}", subnet_id: {SUBNET}, remote_access_cidr: 10.0.0.0/8}}'
KINDS = f"""
sites:
  launching:
    {SITE}00000001
    response: {{appliance: {{launch: {EPB}}}, notify: {{emails: [soc@example.com]}}}}
  named:
    {SITE}00000002
    targets: {{sensor: {{network_interface_id: eni-00000001}}}}
    filters: {{all: {{preset: everything}}}}
    response:
      appliance: {{target: sensor, filter: all}}
      authorization: {{jwt: {{issuer: "https://login.example.com/t", audience: [tapstack], scopes: [respond]}}}}
      policy: [{{name: quoted, action: capture, tags: {{team: 'the "red" one'}}}}]
  given:
    {SITE}00000003
    response: {{appliance: {{target: {TARGET}, filter: {FILTER}}}}}
  existing:
    {SITE}00000004
    packet_basics: {EPB}
    response: {{}}
"""


@pytest.mark.parametrize("hcl", [False, True])
def test_when_responses_are_synthesized_then_terraform_finds_them_valid(
    terraform: Terraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hcl: bool
) -> None:
    deployment = parse_deployment(KINDS)
    names = [f"{site}-response" for site in deployment.sites]
    if hcl:
        # The kernel that is running keeps the language it started with, so the text is written here.
        monkeypatch.setenv("SYNTH_HCL_OUTPUT", "true")
        from stacks.response import ResponseStack

        for site in deployment.sites:
            stack = ResponseStack(cdk.Testing.app(), site, deployment=deployment, base=tmp_path, outdir=tmp_path)
            directory = tmp_path / "stacks" / stack.node.id
            directory.mkdir(parents=True)
            (directory / "cdk.tf").write_text(cdk.Testing.synth_hcl(stack, True))
    else:
        synthesize(deployment, tmp_path, tmp_path)

    verdicts = {name: terraform.validate(tmp_path / "stacks" / name)["diagnostics"] for name in names}

    assert verdicts == {name: [] for name in names}
