from typing import Any

import pytest

from tapstack.domain.iam_statements import check_statements
from tests.unit.refusals import refusal

RIGHT: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::bucket/*"]}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"Sid": "ReadKeys"},
        {"Effect": "${TfToken[TOKEN.0]}", "Resource": ["#{TfToken[TOKEN.1]}"]},
        {"Condition": {"StringEquals": {"aws:ResourceTag/team": ["a", "b"]}, "Bool": {"aws:SecureTransport": True}}},
    ],
)
def test_when_iam_takes_a_statement_then_it_passes(changed: dict[str, Any]) -> None:
    check_statements("extra_statements", [RIGHT | changed])


def test_when_a_statement_names_what_it_is_not_about_then_it_passes() -> None:
    check_statements("extra_statements", [{"Effect": "Deny", "NotAction": "s3:*", "NotResource": "*"}])


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("s3:GetObject", "must be a mapping, as a JSON object of IAM, got 's3:GetObject'"),
        ({key: RIGHT[key] for key in ("Action", "Resource")}, "has no Effect: expected Allow or Deny"),
        (RIGHT | {"Effect": "allow"}, "has Effect 'allow': expected Allow or Deny"),
        ({key: RIGHT[key] for key in ("Effect", "Resource")}, "has neither Action nor NotAction: expected one of them"),
        (RIGHT | {"NotResource": "*"}, "has both Resource and NotResource: expected one of them"),
        (RIGHT | {"Action": []}, "has a wrong Action: expected a text, or a list of texts"),
        (RIGHT | {"Action": ["s3:GetObject", 5]}, "has a wrong Action: expected a text, or a list of texts"),
        (RIGHT | {"Principal": "*"}, "has Principal, which the policy of a role does not take: leave it out"),
        (
            RIGHT | {"Conditions": {}},
            "has an unknown key 'Conditions': did you mean Condition? expected Sid, Effect, Action, NotAction, "
            "Resource, NotResource, Condition",
        ),
        (RIGHT | {"Sid": "Read keys"}, "has Sid 'Read keys': expected letters and digits"),
        (
            RIGHT | {"Condition": {"StringEquals": "a"}},
            "has a wrong Condition: expected the form {'StringEquals': {'aws:ResourceTag/team': 'security'}}",
        ),
    ],
)
def test_fails_when_iam_does_not_take_a_statement(statement: Any, message: str) -> None:
    assert refusal(lambda: check_statements("extra_statements", [RIGHT, statement])) == f"extra_statements[1] {message}"
