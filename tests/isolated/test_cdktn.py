"""Deployments come out the same on cdktn, CDK Terrain, as on cdktf."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.isolated.conftest import SynthesisError, Synthesize
from tests.isolated.environments import ROOT

pytestmark = [pytest.mark.cdktn, pytest.mark.long]
WITH_TELEMETRY = {"TAPSTACK_DEPLOYMENT": str(ROOT / "tests/unit/settings/xdr.yaml")}


@pytest.fixture(scope="module")
def on_cdktf(synthesize: Synthesize) -> dict[str, Any]:
    return _stacks(synthesize("cdktf", TAPSTACK_CDK="cdktf"))


@pytest.mark.parametrize("stock_import", ["0", "1"], ids=["our import", "stock import"])
def test_cdktn_makes_what_cdktf_makes(
    stock_import: str, on_cdktf: dict[str, Any], synthesize: Synthesize, cdktn_python: Path
) -> None:
    on_cdktn = _stacks(
        synthesize(
            f"cdktn-{stock_import}", python=cdktn_python, TAPSTACK_CDK="cdktn", TAPSTACK_STOCK_IMPORT=stock_import
        )
    )

    assert on_cdktn == on_cdktf, _difference(on_cdktf, on_cdktn)


def test_cdktn_is_chosen_where_it_is_alone(
    on_cdktf: dict[str, Any], synthesize: Synthesize, cdktn_python: Path
) -> None:
    chosen = _stacks(synthesize("cdktn-alone", python=cdktn_python))

    assert chosen == on_cdktf, _difference(on_cdktf, chosen)


def test_cdktn_makes_the_telemetry_and_alerts_that_cdktf_makes(synthesize: Synthesize, cdktn_python: Path) -> None:
    on_cdktf = _stacks(synthesize("cdktf-xdr", TAPSTACK_CDK="cdktf", **WITH_TELEMETRY))
    assert {"production-xdr", "production-response", "notified-xdr", "shared-xdr"} <= set(on_cdktf)

    on_cdktn = _stacks(synthesize("cdktn-xdr", python=cdktn_python, TAPSTACK_CDK="cdktn", **WITH_TELEMETRY))

    assert on_cdktn == on_cdktf, _difference(on_cdktf, on_cdktn)


def test_hcl_of_cdktn_is_hcl_of_cdktf(synthesize: Synthesize, cdktn_python: Path) -> None:
    on_cdktf = _hcl(synthesize("cdktf-hcl", TAPSTACK_CDK="cdktf", SYNTH_HCL_OUTPUT="true"))

    on_cdktn = _hcl(synthesize("cdktn-hcl", python=cdktn_python, TAPSTACK_CDK="cdktn", SYNTH_HCL_OUTPUT="true"))

    assert on_cdktn == on_cdktf, _difference(on_cdktf, on_cdktn)


def test_fails_where_the_core_asked_for_is_not_installed(synthesize: Synthesize, cdktn_python: Path) -> None:
    with pytest.raises(SynthesisError, match="no CDK for Terraform found: install cdktf and cdktf-cdktf-provider-aws"):
        synthesize("absent", python=cdktn_python, TAPSTACK_CDK="cdktf")


def _stacks(outdir: Path) -> dict[str, Any]:
    """Read the Terraform of every stack, without what names the core that wrote it."""
    stacks = {}
    for file in sorted(outdir.glob("stacks/*/cdk.tf.json")):
        stack = json.loads(file.read_text(encoding="utf-8"))
        assert stack["resource"], f"{file} has no resources: nothing would be compared"
        stack["//"]["metadata"].pop("version")
        aws = stack["terraform"]["required_providers"]["aws"]
        # Terraform reads a source without a namespace as one of hashicorp's.
        aws["source"] = aws["source"].replace("hashicorp/", "")
        stacks[file.parent.name] = stack
    assert stacks
    return stacks


def _hcl(outdir: Path) -> dict[str, Any]:
    found = {
        file.parent.name: file.read_text(encoding="utf-8").replace('"hashicorp/aws"', '"aws"')
        for file in sorted(outdir.glob("stacks/*/cdk.tf"))
    }
    assert found
    return found


def _difference(cdktf: dict[str, Any], cdktn: dict[str, Any]) -> str:
    """Show where two syntheses differ as a diff, which pytest's own of nested mappings is not."""
    return "\n".join(
        difflib.unified_diff(_lines(cdktf), _lines(cdktn), fromfile="cdktf", tofile="cdktn", lineterm="", n=6)
    )


def _lines(stacks: dict[str, Any]) -> list[str]:
    return "\n".join(
        f"{name}:\n{stack if isinstance(stack, str) else json.dumps(stack, indent=2, sort_keys=True)}"
        for name, stack in stacks.items()
    ).splitlines()
