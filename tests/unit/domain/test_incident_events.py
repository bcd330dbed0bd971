"""What happened to an incident and is not emitted yet, as its item has it."""

from __future__ import annotations

import json

import pytest

from tapstack.domain.incident_events import RECORDED_AT_MOST, Occurrence, read_recorded, recorded
from tapstack.domain.threats import TACTICS

ITEM_BYTES = 400 * 1024
"""What an item of DynamoDB may have; the incident itself needs some of it."""


@pytest.mark.parametrize("letter", ["x", "\u6f0f", "\U0001f525"], ids=["latin", "cjk", "emoji"])
def test_when_many_alerts_with_long_titles_join_then_all_fit_into_the_item_of_the_incident(letter: str) -> None:
    alert = {"source": "x" * 64, "id": "x" * 256, "techniques": ["T1071.004"] * 20, "tactics": list(TACTICS)}
    joined = Occurrence("joined", by="policy:GuardDuty", detail=letter * 5000, facts={"alert": alert})
    texts = {text for _ in range(RECORDED_AT_MOST) for text in recorded([joined])}
    assert sum(len(text.encode()) for text in texts) < ITEM_BYTES * 3 // 4
    assert {one.detail for one in read_recorded(texts).values()} == {letter * 100}


def test_when_text_is_longer_than_an_event_takes_then_it_is_cut_and_can_be_stored() -> None:
    [text] = recorded([Occurrence("failed", detail="\ud800" + "\u6f0f" * 5000, facts={"part": "capture"})])
    assert json.loads(text)["detail"] == "?" + "\u6f0f" * 1999
    assert text.encode().decode() == text
