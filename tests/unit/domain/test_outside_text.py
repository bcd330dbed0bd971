"""Text from outside, as lines of ours show it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.containment import change_name
from tapstack.domain.outside_text import one_line, quoted, word


@given(st.text())
def test_when_text_is_shown_then_it_is_one_line_that_can_be_printed(text: str) -> None:
    for shown in (quoted(text), word(text), one_line(text)):
        assert shown.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("arn:aws:sts::111122223333:assumed-role/responders/ana@example.com", None),
        ("auth0|4711", "'auth0|4711'"),
        ("two words", "'two words'"),
        ("", "''"),
        ("a\nb", r"'a\nb'"),
        ("'quoted'", "\"'quoted'\""),
    ],
)
def test_when_a_name_is_no_plain_word_then_it_is_quoted(text: str, shown: str | None) -> None:
    assert word(text) == (shown or text)


def test_when_a_line_holds_what_cannot_be_printed_then_it_is_escaped() -> None:
    assert one_line("grün\n\x1b[2J\u202e\ud800") == r"grün\n\x1b[2J\u202e\ud800"


def test_when_an_auto_scaling_group_has_a_name_with_blanks_then_it_is_quoted() -> None:
    assert change_name("standby", "web\nNext: x") == r"Auto Scaling state of 'web\nNext: x'"
