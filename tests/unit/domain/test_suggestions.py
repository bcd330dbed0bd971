"""What was probably meant."""

from __future__ import annotations

import pytest

from tapstack.domain.policy_rules import ACTIONS
from tapstack.domain.suggestions import about_quotes, did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("captrue", ACTIONS, "capture"),
        ("contain_noww", ACTIONS, "contain_now"),
        ("contain", ACTIONS, None),
        ("contain", ["contain_now"], "contain_now"),
        ("TCP", ["udp", "tcp"], "tcp"),
        ("productio", ["production", "production-response"], "production"),
        ("us-esat-1", ["us-west-1", "us-east-1"], "us-east-1"),
    ],
)
def test_when_a_word_is_unknown_then_one_is_suggested_where_it_alone_is_near(
    word: str, known: list[str], meant: str | None
) -> None:
    assert nearest(word, known) == meant
    assert did_you_mean(word, known) == (f"did you mean {meant}? " if meant else "")


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("'\u201cweb\u201d' is no name", "; curly quotes"),
        ("unrecognized arguments: 'every', 'minute\u201d'", "; curly quotes"),
        ("got '\u2018x\u2019'; did you mean x?", " curly quotes"),
        ('got "\u201cit\'s\u201d"', "; curly quotes"),
        ("'web' is no name", ""),
        ("got 'the \u201cnew\u201d one'", ""),
    ],
)
def test_when_a_value_is_in_curly_quotes_then_a_hint_names_them(message: str, hint: str) -> None:
    named = "(\u201c \u201d) are part of the value: type straight ones (\" or ') in their place"
    assert about_quotes(message) == (f"{hint} {named}" if hint else "")
