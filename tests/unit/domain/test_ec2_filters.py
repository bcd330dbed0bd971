import pytest

from tapstack.domain.ec2_filters import from_pattern, from_text

TOKEN = "${TfToken[TOKEN.0]}"


@pytest.mark.parametrize(
    ("value", "of_pattern", "of_text"),
    [
        ("web-1 [a]", "web-1 [a]", "web-1 [a]"),
        ("web-*", "web-*", r"web-\*"),
        ("web-?", "web-?", r"web-\?"),
        (r"CORP\*", r"CORP\\*", r"CORP\\\*"),
        ("", "", ""),
        (TOKEN, TOKEN, TOKEN),
    ],
)
def test_when_a_value_goes_to_ec2_then_a_backslash_is_doubled_and_wildcards_are_lifted_in_texts(
    value: str, of_pattern: str, of_text: str
) -> None:
    assert (from_pattern(value), from_text(value)) == (of_pattern, of_text)
