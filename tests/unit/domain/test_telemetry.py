"""Names of what telemetry lands in, and the settings of the landing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tapstack.domain import telemetry
from tapstack.domain.buckets import check_bucket_name
from tapstack.domain.errors import RuleViolation
from tapstack.domain.telemetry import landing_bucket_name, landing_key_name
from tapstack.domain.xdr_settings import LandingSettings

ACCOUNT = "111122223333"
LONGEST = "a" + "-" * 38 + "z"


def test_when_prefixes_are_compared_then_none_begins_another() -> None:
    named = [getattr(telemetry, name) for name in dir(telemetry) if name.isupper() and not name.startswith("_")]
    prefixes = [one for one in named if isinstance(one, str) and one.endswith("/")]
    assert len(prefixes) == 6
    assert not [(a, b) for a in prefixes for b in prefixes if a != b and b.startswith(a)]


@pytest.mark.parametrize("names", [("ir", "a"), (LONGEST, LONGEST), ("x" * 40, "y" * 40)])
@pytest.mark.parametrize("access_logs", [False, True])
def test_when_names_are_as_long_as_can_be_then_the_bucket_s_is_one_of_s3(
    names: tuple[str, str], access_logs: bool
) -> None:
    name = landing_bucket_name(*names, ACCOUNT, access_logs=access_logs)

    assert check_bucket_name(name).endswith(f"-{ACCOUNT}")
    assert landing_bucket_name(*names, ACCOUNT) != landing_bucket_name(*names, ACCOUNT, access_logs=True)
    assert landing_bucket_name("b", names[1], ACCOUNT, access_logs=access_logs) != name


def test_when_the_account_is_a_token_then_it_ends_the_name() -> None:
    assert landing_bucket_name("ir", "a", "${x.id}") == "ir-a-xdr-${x.id}"
    assert landing_key_name("ir", "a") == "ir-a-xdr-key"


@pytest.mark.parametrize("name", ["${x.name}", "abc", "a.b-c", "x" * 63])
def test_when_a_bucket_can_have_a_name_then_it_is_taken(name: str) -> None:
    assert check_bucket_name(name) == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ab", "is not the name of a bucket"),
        ("x" * 64, "is not the name of a bucket"),
        ("Upper", "is not the name of a bucket"),
        ("10.0.0.1", "is not the name of a bucket"),
        ("a..b", "is not the name of a bucket"),
        ("sthree-x", "is reserved"),
        ("x--x-s3", "is reserved"),
    ],
)
def test_fails_when_a_bucket_cannot_have_a_name(name: str, said: str) -> None:
    with pytest.raises(RuleViolation, match=f"^{name!r} {said}"):
        check_bucket_name(name)


KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/a"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"keep_days": 1, "unmatched_days": 1, "flow_log_accounts": (ACCOUNT,), "access_log_bucket": "logs"},
        {"bucket": "lake"},
        {"bucket": "lake", "bucket_key_arn": KEY},
        {"bucket": "${x.name}", "bucket_key_arn": "${x.arn}"},
    ],
)
def test_when_the_settings_of_a_landing_fit_together_then_they_are_taken(given: dict[str, Any]) -> None:
    LandingSettings(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bucket": "A"}, "'A' is not the name of a bucket"),
        ({"access_log_bucket": "A"}, "'A' is not the name of a bucket"),
        ({"keep_days": 0}, "keep_days must be a whole number from 1 to 3653, got 0"),
        ({"unmatched_days": 3654}, "unmatched_days must be a whole number from 1 to 3653, got 3654"),
        ({"keep_days": 30}, "unmatched_days must be at most keep_days, 30, got 90: what is older is deleted"),
        ({"bucket_key_arn": KEY}, "bucket_key_arn goes with bucket: a new bucket has a key of its own"),
        (
            {"bucket": "lake", "keep_days": 30, "unmatched_days": 30, "deletion_protection": False},
            "keep_days, unmatched_days, deletion_protection has no effect with bucket: leave it out",
        ),
        ({"bucket": "lake", "bucket_key_arn": "a"}, "'a' is not the ARN of a KMS key or alias"),
        ({"bucket": "lake", "bucket_key_arn": KEY.replace("key/", "alias/")}, "is that of an alias"),
        ({"flow_log_accounts": ("1",)}, "'1' is not the id of an account"),
        ({"flow_log_accounts": (ACCOUNT,) * 101}, "flow_log_accounts has 101 accounts: expected at most 100"),
    ],
)
def test_fails_when_the_settings_of_a_landing_do_not_fit(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RuleViolation, match=re.escape(said)):
        LandingSettings(**given)
