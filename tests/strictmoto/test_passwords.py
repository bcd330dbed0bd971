"""Random passwords of Secrets Manager.

Source: AWS Secrets Manager API Reference, GetRandomPassword.
"""

from __future__ import annotations

import string
from typing import Any

import pytest

from strictmoto.account import Account

NONE = dict.fromkeys(("ExcludeLowercase", "ExcludeNumbers", "ExcludePunctuation", "ExcludeUppercase"), True)
LOOSE = {"RequireEachIncludedType": False}


@pytest.fixture
def secrets(aws_account: Account) -> Any:
    return aws_account.client("secretsmanager")


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({"ExcludeCharacters": string.ascii_lowercase, **LOOSE}, set(string.printable) - set(string.ascii_lowercase)),
        ({**NONE, "ExcludeNumbers": False}, set(string.digits)),
        ({**NONE, "IncludeSpace": True}, {" "}),
        ({"ExcludePunctuation": True, "PasswordLength": 3}, set(string.ascii_letters + string.digits)),
        ({"PasswordLength": 1, **LOOSE}, set(string.printable)),
    ],
)
def test_when_characters_are_left_then_the_password_is_made_of_them(
    secrets: Any, given: dict[str, Any], allowed: set[str]
) -> None:
    password = secrets.get_random_password(**given)["RandomPassword"]
    assert len(password) == given.get("PasswordLength", 32)
    assert set(password) <= allowed


def test_when_each_type_is_required_then_each_is_there(secrets: Any) -> None:
    for _ in range(20):
        password = secrets.get_random_password(PasswordLength=5, IncludeSpace=True)["RandomPassword"]
        kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation, " ")
        assert all(set(kind) & set(password) for kind in kinds)


@pytest.mark.parametrize(
    "given",
    [
        NONE,
        {**NONE, **LOOSE},
        {**NONE, "ExcludeNumbers": False, "ExcludeCharacters": string.digits, **LOOSE},
        {"ExcludeCharacters": string.ascii_lowercase},
        {"PasswordLength": 3},
    ],
)
def test_fails_when_no_password_can_be_made(secrets: Any, given: dict[str, Any]) -> None:
    with pytest.raises(secrets.exceptions.InvalidParameterException):
        secrets.get_random_password(**given)
