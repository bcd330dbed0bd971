"""Which word was probably meant."""

from __future__ import annotations

import pytest

from tapstack.domain.policy_rules import ACTIONS
from tapstack.domain.suggestions import did_you_mean, nearest


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
