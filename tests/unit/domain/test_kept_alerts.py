"""What a queue holds of an alert: all of it, within the size of a message."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.kept_alerts import KeptAlert, kept_alert
from tapstack.domain.operations import LARGEST_BODY

MESSAGE_BYTES = 262_144
# Amazon SQS API Reference, SendMessage: what a message may have.
TAKEN = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
ODD = '\x7f\x80\u2028\ufffd\ufffe\uffff\U0001fffe\\"\t\r\näé\U0001f600'
"""Of each length in UTF-8, and each that JSON or SQS has a rule about."""
TEXTS = st.text(st.sampled_from(ODD) | st.characters(exclude_categories=("Cs", "Cc")))


def kept(document: str) -> KeptAlert:
    caller = f"arn:aws:sts::111122223333:assumed-role/{'r' * 64}/{'s' * 64}"
    return KeptAlert("s" * 64, "d" * 300, "2026-11-28T12:00:00Z", document, caller, caller)


@given(TEXTS)
def test_when_an_alert_is_any_text_then_a_message_holds_it_with_at_most_twice_its_bytes(document: str) -> None:
    message = kept(document).as_json()
    assert kept_alert(message) == kept(document)
    assert TAKEN.fullmatch(message)
    assert len(message.encode()) - len(kept("").as_json()) <= 2 * len(document.encode())


@pytest.mark.parametrize("character", ODD)
def test_when_the_largest_body_is_of_one_character_then_a_message_holds_it(character: str) -> None:
    document = character * (LARGEST_BODY // len(character.encode()))
    assert len(kept(document).as_json().encode()) < MESSAGE_BYTES


def test_when_a_half_of_a_pair_is_in_an_alert_then_a_message_holds_it() -> None:
    # EventBridge's own JSON may have it as an escape, which becomes one when it is read.
    document = json.loads('"\\ud800x"')
    message = kept(document).as_json()
    assert kept_alert(message) == kept(document)
    assert TAKEN.fullmatch(message)
