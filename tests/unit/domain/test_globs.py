import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.globs import is_literal, matches


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("a*", "abc", True),
        ("a*", "ba", False),
        ("*c", "abcc", True),
        ("a*c*e", "abcde", True),
        ("a*c*e", "abde", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("?", "*", True),
        ("*a", "*b*a", True),
        ("[a]", "a", False),
        ("[a]", "[a]", True),
        ("a.c", "abc", False),
        ("Trojan:*/DropPoint*", "Trojan:EC2/DropPoint!DNS", True),
    ],
)
def test_when_a_text_is_held_against_a_pattern_then_the_whole_of_it_counts(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


letters = st.text("ab*?", max_size=12)


@given(letters, letters)
def test_when_any_text_meets_any_pattern_then_the_answer_is_that_of_the_standard_library(
    pattern: str, text: str
) -> None:
    assert matches(pattern, text) is bool(re.fullmatch(fnmatch.translate(pattern), text))


def test_when_a_pattern_is_hostile_then_the_answer_comes_at_once() -> None:
    assert not matches("a*" * 60 + "b", "a" * 250)


def test_when_a_pattern_has_no_wildcard_then_it_is_literal() -> None:
    assert is_literal("a[b]")
    assert not is_literal("a*")
    assert not is_literal("?")
