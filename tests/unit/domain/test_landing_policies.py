"""How much one policy of a landing's bucket takes."""

from __future__ import annotations

import json
import re

import pytest

from tapstack.domain.landing_policies import POLICY_BYTES, check_policy_size, flow_log_statements
from tests.unit.refusals import refusal

ACCOUNTS = [f"{number:012}" for number in range(100)]
BUCKET = "ir-a-xdr-111122223333"
ROLES = [f"arn:aws:iam::111122223333:role/endpoint-protection-of-all-accounts-{number:02}" for number in range(20)]


def test_when_the_most_accounts_have_short_names_then_their_policy_is_held() -> None:
    detector = "12abc34d567e8fa901bc2d34e56789f0"
    check_policy_size(BUCKET, ACCOUNTS, {"edr": ROLES[:1]}, region="eu-central-1", detector_id=detector)


@pytest.mark.parametrize("name", ["x" * 45, "x" * 63], ids=["middle", "longest"])
def test_fails_when_the_policy_is_larger_than_s3_takes_and_says_how_many_accounts_it_holds(name: str) -> None:
    said = refusal(lambda: check_policy_size(name, ACCOUNTS, {"edr": ROLES}, region="eu-central-1"))
    fewer = int(re.findall(r"expected (\d+) accounts? fewer", said)[0])
    check_policy_size(name, ACCOUNTS[fewer:], {"edr": ROLES}, region="eu-central-1")
    assert refusal(lambda: check_policy_size(name, ACCOUNTS[fewer - 1 :], {"edr": ROLES}, region="eu-central-1"))
    assert f"and Amazon S3 takes at most {POLICY_BYTES:,}" in said


def test_fails_when_feeds_alone_are_too_large() -> None:
    # Each has a role of its own, which is named where it puts and where reading is denied.
    feeds = {f"tool-{number}": [f"{role}-{number}" for role in ROLES[:10]] for number in range(15)}
    said = refusal(lambda: check_policy_size(BUCKET, [], feeds))
    assert said.endswith("expected fewer principals of feeds, such as one role for several producers")


def test_when_more_accounts_are_named_then_the_policy_grows_with_each() -> None:
    one, two = (len(json.dumps(flow_log_statements("arn", "aws", "eu-west-1", ACCOUNTS[:n]))) for n in (1, 2))
    assert two - one > 100
