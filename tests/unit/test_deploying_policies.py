"""The policies of the deploying roles: how resources are named in them, and that they fit."""

from __future__ import annotations

import doctest
import json

import pytest

from scripts import deploying_policies as deploying

POLICIES = sorted(deploying.FOLDER.glob("*.json"))


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(deploying).failed == 0


@pytest.mark.parametrize(
    ("resource", "named"),
    [
        ("*", "*"),
        (
            "arn:aws:cloudformation:us-east-1:123456789012:stack/tapstack-production-packet-basics/1b6a2f0e-0000-4a1b-8c2d-000000000000",
            "arn:aws:cloudformation:eu-central-1:111122223333:stack/tapstack-*-packet-basics/*",
        ),
        (
            "arn:aws:apigateway:eu-central-1::/v2/apis/jlawcljy/routes/wjxinhzz",
            "arn:aws:apigateway:eu-central-1::/v2/apis/*/routes/*",
        ),
        (
            "arn:aws:elasticloadbalancing:us-east-1:444455556666:listener/net/tf-lb-2026/0123456789abcdef/fedcba9876543210",
            "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/net/*/*/*",
        ),
        (
            "arn:aws:s3:::company-terraform-state/tapstack/x.tfstate.tflock",
            "arn:aws:s3:::company-terraform-state/tapstack/*.tfstate.tflock",
        ),
    ],
)
def test_when_a_resource_is_named_in_a_policy_then_ids_and_sites_are_left_open(resource: str, named: str) -> None:
    assert deploying.general(resource) == named


@pytest.mark.parametrize("file", POLICIES, ids=lambda file: file.name)
def test_each_policy_fits_into_a_managed_policy(file: object) -> None:
    text = (deploying.FOLDER / str(getattr(file, "name", file))).read_text(encoding="utf-8")

    assert json.loads(text)["Version"] == "2012-10-17"
    assert deploying.length_of(text) <= deploying.LONGEST
