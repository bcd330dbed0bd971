from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tapstack.domain.appliance_settings import ExistingAppliance
from tapstack.domain.capture_settings import CaptureSettings
from tapstack.domain.function_environment import FunctionEnvironment
from tapstack.domain.policy_rules import Rule
from tapstack.domain.regions import AccountRegion

TOKEN = "${TfToken[TOKEN.7]}"
SMALL = FunctionEnvironment(
    deployment="acme",
    site="a",
    table="acme-a-response-incidents",
    state_machine_arn="arn:aws:states:eu-central-1:111122223333:stateMachine:acme-a-response-incidents",
    topic_arns=["arn:aws:sns:eu-central-1:111122223333:acme-a-response-notices"],
    api_url="https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
    home=AccountRegion("111122223333", "eu-central-1"),
    vpc_id="vpc-0123456789abcdef0",
    capture=CaptureSettings(),
    appliance=ExistingAppliance("tmt-0123456789abcdef0", "tmf-0123456789abcdef0").settings(),
    retention_days=365,
    containment=None,
    rules=[],
)


def with_topic(topic: str) -> FunctionEnvironment:
    return replace(SMALL, topic_arns=[topic])


def test_when_something_is_null_then_it_is_left_out() -> None:
    assert "null" not in SMALL.variables()["TAPSTACK_SETTINGS"]
    assert SMALL.problem() is None


@pytest.mark.parametrize(
    "more", [{"topic_arns": ["x" * 4000]}, {"rules": [Rule("r" * 40, "notify", tags={"k": "ü" * 256})] * 3}]
)
def test_fails_when_it_is_more_than_lambda_accepts(more: dict[str, Any]) -> None:
    name = "policy" if "rules" in more else "notify.topic_arns"
    problem = replace(SMALL, **more).problem()
    assert problem is not None
    assert problem[0] == name
    assert f"bytes, and AWS Lambda accepts 4,096: shorten what takes most of it: {name} takes " in problem[1]


def test_when_a_value_is_a_token_then_it_has_the_room_of_its_example() -> None:
    # What is left for it, as far as Lambda accepts it.
    fits = next(size for size in range(4096, 0, -1) if with_topic("x" * size).problem() is None)

    assert with_topic(TOKEN).problem({TOKEN: "x" * fits}) is None
    assert with_topic(TOKEN).problem({TOKEN: "x" * (fits + 1)}) is not None


def test_when_nothing_is_known_of_a_token_then_it_has_room_for_a_name() -> None:
    fits = next(size for size in range(4096, 0, -1) if with_topic("x" * size).problem() is None)

    assert with_topic("x" * (fits - 64) + TOKEN).problem() is None
    assert with_topic("x" * (fits - 63) + TOKEN).problem() is not None
