"""The steps of docs/xdr.md that connect a reader name outputs, stacks, commands and options that there are."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from stacks.xdr import XdrStack
from tapstack.bindings import cdk
from tapstack.cli import main
from tapstack.settings.load import parse_deployment
from tapstack.workspace import state
from tests.synth.ids import VPC

PAGE = (Path(__file__).parents[2] / "docs/xdr.md").read_text(encoding="utf-8")
READERS = {
    "Hunters": "{preset: hunters, prefixes: [flow], vendor: "
    '{principal: "777788889999", external_id: 7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7}}',
    "Microsoft Sentinel": "{preset: sentinel, prefixes: [flow], oidc: "
    "{session_name: MicrosoftSentinel_3f2b8c1d-9e47-4b60-8a75-c1d2e3f40596}}",
}


def quoted(vendor: str) -> list[str]:
    """What the steps have as code, each in one line."""
    section = PAGE.partition(f"### Connect {vendor}\n")[2].partition("\n### ")[0]
    steps = re.sub(r"^```.*?^```", "", section, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", steps)]


@pytest.mark.parametrize("vendor", READERS)
def test_when_steps_name_outputs_and_stacks_then_the_site_has_them(vendor: str, tmp_path: Path) -> None:
    text = f"""
project: ir
sites:
  production:
    region: eu-central-1
    vpc_id: {VPC}
    xdr: {{flow_logs: {{}}, readers: {{a: {READERS[vendor]}}}}}
"""
    deployment = parse_deployment(text)
    built = XdrStack(cdk.Testing.app(), "production", deployment=deployment, base=tmp_path, outdir=tmp_path / "out")
    code = quoted(vendor)
    named = {one for one in code if re.fullmatch(r"(?:landing|reader)_[a-z_]+", one)}
    assert len(named) == 2
    assert named <= set(json.loads(cdk.Testing.synth(built))["output"])

    stacks = state.stack_names(deployment)
    deployed = [re.findall(r'make deploy ARGS="([^"]+)"', one) for one in code]
    assert [names[0].split() for names in deployed if names] == [stacks]
    shown = [re.findall(r"terraform -chdir=cdktf.out/stacks/(\S+) output", one) for one in code]
    assert [names for names in shown if names] == [["production-xdr"]]
    assert "production-xdr" in stacks


@pytest.mark.parametrize("vendor", READERS)
def test_when_steps_name_commands_of_tapstack_then_there_are_these(vendor: str) -> None:
    named = {one for one in quoted(vendor) if one.startswith("tapstack ")}
    assert named >= {"tapstack check", "tapstack xdr status"}
    for one in named:
        with pytest.raises(SystemExit) as ended:
            main([*shlex.split(one)[1:], "--help"])
        assert ended.value.code == 0, one


@pytest.mark.parametrize(("vendor", "least"), [("Hunters", 2), ("Microsoft Sentinel", 2)])
def test_when_steps_name_commands_of_aws_then_it_has_these_with_their_options(vendor: str, least: int) -> None:
    commands = [shlex.split(one) for one in quoted(vendor) if one.startswith("aws ")]
    assert len(commands) >= least
    session: Any = botocore.session.get_session()
    for _, name, action, *rest in commands:
        service = session.get_service_model({"s3api": "s3"}.get(name, name))
        of = {xform_name(each, "-"): service.operation_model(each) for each in service.operation_names}
        assert action in of, (name, action)
        options = {f"--{xform_name(each, '-')}" for each in of[action].input_shape.members}
        assert {each for each in rest if each.startswith("--")} <= options, (name, action)
