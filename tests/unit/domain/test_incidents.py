"""What an incident is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain import incidents
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import OpenRequest, read_request

INSTANCE = "i-0123456789abcdef0"
INTERFACE = "eni-0123456789abcdef0"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def request(**changed: Any) -> OpenRequest:
    return OpenRequest(**{"reason": "beaconing", "minutes": 60, "instance_id": INSTANCE, **changed})


def test_when_a_request_is_read_then_what_it_leaves_out_is_the_deployments() -> None:
    read = read_request({"reason": "x", "network_interface_ids": [INTERFACE]}, minutes=45, max_minutes=90)
    assert (read.minutes, read.severity, read.network_interface_ids) == (45, "medium", (INTERFACE,))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reason": ""}, "reason must have 1 to 1000 characters"),
        ({"reason": "x" * 1001}, "reason must have 1 to 1000 characters"),
        ({"reason": " \n"}, "reason must be readable text"),
        ({"reason": "\x1b[31m"}, "reason must be readable text"),
        ({"minutes": 0}, "minutes must be a whole number from 1 to 10080, got 0"),
        ({"minutes": 10081}, "minutes must be a whole number from 1 to 10080"),
        ({"minutes": True}, "minutes must be a whole number"),
        ({"instance_id": None}, "exactly one of instance_id and network_interface_ids"),
        ({"network_interface_ids": (INTERFACE,)}, "exactly one of instance_id and network_interface_ids"),
        ({"instance_id": "i-1"}, "'i-1' is not the id of an instance"),
        ({"instance_id": "${x}"}, "is not the id of an instance"),
        ({"instance_id": None, "network_interface_ids": (INTERFACE, INTERFACE)}, "name each interface once"),
        (
            {"instance_id": None, "network_interface_ids": tuple(f"eni-{n:017x}" for n in range(101))},
            "must name 1 to 100 interfaces, got 101",
        ),
        ({"severity": "dire"}, "severity must be one of low, medium, high, critical, got 'dire'"),
        ({"technique": "1071"}, "technique must have the form T1071 or T1071.004"),
        ({"alert_id": "two\nlines"}, "alert_id must be readable text"),
    ],
)
def test_fails_when_a_request_is_wrong(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(RuleViolation, match=said):
        request(**changed)


def test_fails_when_the_deployment_allows_less() -> None:
    with pytest.raises(RuleViolation, match=r"from 1 to 90 \(capture\.max_minutes\), got 91"):
        read_request({"reason": "x", "instance_id": INSTANCE, "minutes": 91}, minutes=45, max_minutes=90)


def test_when_an_id_is_made_then_it_sorts_by_time_and_is_new() -> None:
    made = {incidents.new_id(NOW) for _ in range(100)}
    assert len(made) == 100
    assert all(id_.startswith("inc-20260102T030405-") and len(id_) <= 64 for id_ in made)
    assert all(incidents.check_incident_id(id_) == id_ for id_ in made)


@pytest.mark.parametrize("wrong", ["", "inc-1", incidents.ID_EXAMPLE + "\n", incidents.ID_EXAMPLE.upper()])
def test_fails_when_an_id_has_another_form(wrong: str) -> None:
    with pytest.raises(RuleViolation, match="is not the id of an incident: expected the form inc-2026"):
        incidents.check_incident_id(wrong)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)))
def test_when_a_time_is_written_then_it_is_read_again(moment: datetime) -> None:
    assert incidents.as_time(incidents.as_text(moment)) == moment.replace(microsecond=0)


@pytest.mark.parametrize("wrong", ["", "now", "2026-01-02", "2026-01-02T03:04:05+00:00", "2026-13-02T03:04:05Z"])
def test_fails_when_a_time_has_another_form(wrong: str) -> None:
    with pytest.raises(RuleViolation, match="is no time: expected the form 2026-01-02T03:04:05Z"):
        incidents.as_time(wrong)


def test_when_states_follow_each_other_then_closed_is_the_last() -> None:
    for state in incidents.STATES:
        assert "closed" not in incidents.may_become(state)
    assert [state for state in incidents.STATES if incidents.can_be_extended(state)] == [
        "opening",
        "launching",
        "capturing",
    ]


@given(st.text())
def test_when_text_is_taken_then_it_moves_no_cursor(text: str) -> None:
    if re.fullmatch(incidents.TEXT_PATTERN, text):
        assert all(letter >= " " or letter in "\t\n\r" for letter in text)
        assert "\x7f" not in text
        assert "\u202e" not in text
        text.encode()


@given(
    st.text(st.sampled_from("a \t\n\u00a0\u3000\u2003\x00\x1c\x85\u2028\u202e\ud83d\U0001f480"), min_size=1, max_size=6)
)
def test_when_text_is_readable_and_not_blank_then_it_is_taken(text: str) -> None:
    unreadable = set(text) & set("\x00\x1c\x85\u2028\u202e\ud83d")
    if unreadable or not text.strip():
        with pytest.raises(RuleViolation, match="reason must be readable text"):
            OpenRequest(text, 60, "i-0123456789abcdef0")
    else:
        assert OpenRequest(text, 60, "i-0123456789abcdef0").reason == text


def test_when_text_is_long_and_wrong_at_its_end_then_that_is_found_at_once() -> None:
    # In milliseconds: with a pattern that goes back, this test would take hours.
    for text in (" " * 100_000 + "\0", "a" * 100_000 + "\0", "a " * 50_000 + "\0"):
        assert re.fullmatch(incidents.TEXT_PATTERN, text) is None
