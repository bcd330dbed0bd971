"""The policies of the deploying roles against what was recorded last, and that against what is synthesized today."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from scripts import deploying_policies as deploying
from stacks.synthesis import synthesize
from tapstack.settings.load import load_deployment, parse_deployment
from tapstack.settings.model import Deployment

ROOT: Final = deploying.ROOT
NEEDS, TYPES = deploying.read_needs(deploying.NEEDS.read_text(encoding="utf-8"))
AGAIN: Final = "not recorded: run python -m scripts.deploying_policies, which takes minutes"
IN_THE_TABLE: Final = {
    "aws_apigatewayv2_authorizer": "`authorization.jwt`",
    "aws_iam_policy": "`capabilities` of a launched appliance",
}
"""Types that the recorded deployment has not, and the row of docs/iam/README.md that says what they need."""


def test_the_policies_are_what_the_recorded_calls_need() -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in deploying.FOLDER.glob("*.json")}
    assert deploying.render(NEEDS) == written


def types(deployment: Deployment, directory: Path) -> Mapping[str, set[str]]:
    """The types of resources by kind of stack."""
    assert synthesize(deployment, directory, directory / "out") == []
    return deploying.types_of({file.name: file for file in (directory / "out/stacks").iterdir()})


def test_when_a_construct_makes_another_type_of_resource_then_its_calls_have_to_be_recorded(tmp_path: Path) -> None:
    whole = deploying.with_telemetry(deploying.example())
    assert types(parse_deployment(json.dumps(whole)), tmp_path) == TYPES, AGAIN


@pytest.mark.parametrize("file", ["response.yaml", "xdr.yaml"])
def test_when_a_setting_makes_another_type_of_resource_then_the_page_says_what_it_needs(
    file: str, tmp_path: Path
) -> None:
    made = types(load_deployment(ROOT / "tests/unit/settings" / file), tmp_path)

    more = {type_ for kind, found in made.items() for type_ in found - TYPES[kind] if not type_.startswith("data.")}
    page = (deploying.FOLDER / "README.md").read_text(encoding="utf-8")
    assert more <= set(IN_THE_TABLE), AGAIN
    for type_ in more:
        assert f"| {IN_THE_TABLE[type_]} |" in page


def test_fails_when_a_policy_lacks_what_a_call_needs() -> None:
    short = {name: set(needs) for name, needs in NEEDS.items()}
    (gone,) = (need for need in short["apply-xdr.json"] if need.action == "guardduty:CreatePublishingDestination")
    short["apply-xdr.json"].remove(gone)

    rendered: dict[str, Any] = json.loads(deploying.render(short)["apply-xdr.json"])
    written = json.loads((deploying.FOLDER / "apply-xdr.json").read_text(encoding="utf-8"))
    assert rendered != written
    assert [one for one in written["Statement"] if one not in rendered["Statement"]] != []
