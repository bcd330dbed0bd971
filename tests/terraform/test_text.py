"""Terraform itself reads of any text what went in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tapstack import MirrorFilter, RuleViolation, accept_provider_range
from tapstack.bindings import aws, cdk
from tapstack.workspace.provider_mirror import link_mirror
from tests.synth.template import rendering_hcl
from tests.synth.texts import NASTY
from tests.terraform.conftest import Terraform

pytestmark = pytest.mark.rehearsal


def build(texts: list[str]) -> tuple[cdk.TerraformStack, dict[str, str]]:
    """Return a stack with a filter for each text that is taken, and those texts by address."""
    stack = cdk.TerraformStack(cdk.Testing.app(), "texts")
    accept_provider_range(stack)
    aws.AwsProvider(
        stack,
        "aws",
        region="eu-central-1",
        access_key="a",
        secret_key="b",
        skip_credentials_validation=True,
        skip_requesting_account_id=True,
        skip_metadata_api_check="true",
    )
    taken = {}
    for number, text in enumerate(texts):
        try:
            MirrorFilter(stack, f"f{number}", rules=[], amazon_dns=True, description=text, tags={text: text})
        except RuleViolation:
            continue
        taken[f"aws_ec2_traffic_mirror_filter.f{number}"] = text
    return stack, taken


@pytest.mark.long
@pytest.mark.parametrize("hcl", [False, True])
def test_when_terraform_plans_then_it_reads_every_text_as_it_went_in(
    terraform: Terraform, tmp_path: Path, hcl: bool
) -> None:
    # In the library an expression is Terraform's to read.
    texts = [text for text in NASTY if "${" not in text and "%{" not in text and "TfToken" not in text]
    if hcl:
        with rendering_hcl():
            stack, taken = build(texts)
        (tmp_path / "cdk.tf").write_text(cdk.Testing.synth_hcl(stack), encoding="utf-8")
    else:
        stack, taken = build(texts)
        (tmp_path / "cdk.tf.json").write_text(cdk.Testing.synth(stack), encoding="utf-8")
    assert len(taken) > 50

    link_mirror(terraform.mirror, tmp_path)
    terraform(tmp_path, "init", "-input=false")
    terraform(tmp_path, "plan", "-input=false", "-refresh=false", "-out=plan")
    plan = json.loads(terraform(tmp_path, "show", "-json", "plan"))

    found = {r["address"]: r["values"] for r in plan["planned_values"]["root_module"]["resources"]}
    assert {address: values["description"] for address, values in found.items()} == taken
    assert {a: {k: v for k, v in values["tags"].items() if k != "Name"} for a, values in found.items()} == {
        address: {text: text} for address, text in taken.items()
    }
