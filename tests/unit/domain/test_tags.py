import pytest

from tapstack.domain.tags import check_tag_key, check_tag_value
from tests.unit.refusals import refusal


@pytest.mark.parametrize("key", ["a", "a" * 128, "owner:team", "awesome", "tapstack:aws:x"])
def test_when_a_tag_key_is_one_then_it_comes_back(key: str) -> None:
    assert check_tag_key(key) == key


@pytest.mark.parametrize("key", ["", "a" * 129, "aws:x", "AWS:x"])
def test_fails_when_a_tag_key_is_none(key: str) -> None:
    assert refusal(lambda: check_tag_key(key)) == (
        f"{key!r} is not a tag key: expected 1 to 128 characters, not beginning with aws:"
    )


def test_when_a_tag_value_has_at_most_256_characters_then_it_comes_back() -> None:
    assert check_tag_value("") == ""
    assert check_tag_value("v" * 256) == "v" * 256


def test_fails_when_a_tag_value_is_too_long() -> None:
    assert refusal(lambda: check_tag_value("v" * 257)) == "a tag value holds at most 256 characters, got 257"
