from typing import Any

import pytest

from tapstack.domain.tokens import is_token

STRING_TOKEN = "${TfToken[TOKEN.0]}"
LIST_TOKEN = ["#{TfToken[TOKEN.1]}"]
NUMBER_TOKEN = -1.8881545897087626e289
MAP_TOKEN = {"${TfToken[TOKEN.2]}": "#{TfToken[TOKEN.2]}"}


class JsiiObject:
    __jsii_ref__ = "Object@1"


@pytest.mark.parametrize(
    "value",
    [
        STRING_TOKEN,
        f"prefix-{STRING_TOKEN}",
        "${aws_instance.web.id}",
        LIST_TOKEN,
        ["eni-1", STRING_TOKEN],
        ("eni-1", STRING_TOKEN),
        NUMBER_TOKEN,
        MAP_TOKEN,
        {"key": STRING_TOKEN},
        {"${each.key}": "value"},
        {"key": [{"deep": (NUMBER_TOKEN,)}]},
        JsiiObject(),
    ],
)
def test_when_a_value_is_or_holds_a_token_then_it_is_one(value: Any) -> None:
    assert is_token(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "eni-0123456789abcdef0",
        "$5",
        "{x}",
        0,
        -1,
        -1e287,
        1e300,
        True,
        False,
        None,
        [],
        {},
        ["a", 1],
        {"a": [1]},
        object(),
    ],
)
def test_when_a_value_is_literal_then_it_is_no_token(value: Any) -> None:
    assert not is_token(value)
