"""The examples with telemetry: each shows one shape of trust, and how its readers learn of new objects."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

import examples
from tapstack.bindings import cdk
from tests.synth.template import Template, assert_equal, rendering_hcl
from tests.synth.xdr.building import statements

TELEMETRY = {path.stem for path in Path(examples.__file__).parent.glob("telemetry_for_*.py")}
SENTINEL = "33e01921-4d64-4f8c-a055-5bdaffd5e33d"
"""Microsoft's tenant that issues the tokens of Sentinel."""
ASSUME = "sts:AssumeRole"
OWN = "arn:aws:iam::111122223333:role"
SHAPES: dict[str, tuple[list[Any], int]] = {
    "telemetry_for_hunters": (
        [
            (
                {"AWS": "arn:<partition>:iam::444455556666:root"},
                ASSUME,
                {"sts:ExternalId": "7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7"},
            )
        ],
        0,
    ),
    "telemetry_for_sentinel": (
        [
            (
                {"Federated": "<iam_openid_connect_provider.arn>"},
                "sts:AssumeRoleWithWebIdentity",
                {
                    f"sts.windows.net/{SENTINEL}/:aud": "api://1462b192-27f7-4cb9-8523-0f4ecb54b47e",
                    "sts:RoleSessionName": "MicrosoftSentinel_3f2b8c1d-9e47-4b60-8a75-c1d2e3f40596",
                },
            )
        ],
        1,
    ),
    "telemetry_for_elastic": (
        [({"AWS": [f"{OWN}/archive"]}, ASSUME, {}), ({"AWS": [f"{OWN}/elastic-agent"]}, ASSUME, {})],
        1,
    ),
}
"""Whom the roles of an example trust, by which action and under which condition; and how many queues readers have."""


def example(name: str) -> Template:
    with rendering_hcl():
        return Template(importlib.import_module(f"examples.{name}").build(cdk.Testing.app()))


def trusts(template: Template) -> list[tuple[Any, str, dict[str, str]]]:
    """What the roles of readers trust, as in `SHAPES`."""
    policies = [statements(role["assume_role_policy"]) for role in template.resources["aws_iam_role"].values()]
    found = [policy["AllowReader"] for policy in policies if "AllowReader" in policy]
    return [
        (one["Principal"], one["Action"], dict(one["Condition"]["StringEquals"]) if "Condition" in one else {})
        for one in found
    ]


@pytest.mark.parametrize("name", SHAPES)
def test_when_an_example_is_built_then_its_readers_have_its_shape_of_trust(name: str) -> None:
    expected, queues = SHAPES[name]
    template = example(name)
    assert_equal(sorted(trusts(template), key=str), expected)
    read = [queue for queue in template.resources.get("aws_sqs_queue", {}).values() if "redrive_policy" in queue]
    assert len(read) == queues


def test_when_there_is_an_example_with_telemetry_then_its_trust_is_tested() -> None:
    assert set(SHAPES) == TELEMETRY
