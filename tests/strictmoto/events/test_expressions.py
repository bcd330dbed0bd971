"""When schedule expressions are due.

Source: EventBridge Scheduler User Guide, "Schedule types in EventBridge Scheduler".
"""

from __future__ import annotations

import datetime

import pytest

from strictmoto.events import expressions

CASES = [
    ("rate(5 minutes)", "UTC", "2026-11-21T10:05"),
    ("rate(1 day)", "UTC", "2026-11-22T10:00"),
    ("cron(0 12 * * ? *)", "UTC", "2026-11-21T12:00"),
    ("cron(0/15 * * * ? *)", "UTC", "2026-11-21T10:15"),
    ("cron(0 8 1 * ? *)", "UTC", "2026-12-01T08:00"),
    ("cron(0 18 ? * MON-FRI *)", "UTC", "2026-11-23T18:00"),
    ("cron(0 9 ? * 1 *)", "UTC", "2026-11-22T09:00"),
    ("cron(0 9 L * ? *)", "UTC", "2026-11-30T09:00"),
    ("cron(0 9 15W * ? *)", "UTC", "2026-12-15T09:00"),
    ("cron(0 9 LW JAN ? 2027)", "UTC", "2027-01-29T09:00"),
    ("cron(0 9 ? * 6L *)", "UTC", "2026-11-27T09:00"),
    ("cron(0 9 ? * TUE#2 *)", "UTC", "2026-12-08T09:00"),
    ("cron(0 0 29 2 ? *)", "UTC", "2028-02-29T00:00"),
    ("cron(0 12 * * ? *)", "Europe/Berlin", "2026-11-21T11:00"),
    ("cron(30 2 28-29 3 ? 2027)", "Europe/Berlin", "2027-03-29T00:30"),
    ("cron(30 2 31 10 ? 2027)", "Europe/Berlin", "2027-10-31T00:30"),
]
NOW = datetime.datetime(2026, 11, 21, 10, tzinfo=datetime.UTC)


@pytest.mark.parametrize(("text", "zone", "expected"), CASES)
def test_when_an_expression_is_asked_then_it_knows_when_it_is_due_next(text: str, zone: str, expected: str) -> None:
    due = expressions.parse(text, zone).after(NOW)
    assert due is not None
    assert due.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M") == expected


def test_when_a_time_is_in_a_zone_then_at_means_it_there() -> None:
    due = expressions.parse("at(2026-12-24T18:00:00)", "America/New_York").after(NOW)
    assert due is not None
    assert due.astimezone(datetime.UTC).hour == 23


def test_when_all_years_are_over_then_it_is_due_no_more() -> None:
    assert expressions.parse("cron(0 0 1 1 ? 2020-2025)").after(NOW) is None


@pytest.mark.parametrize(
    "text",
    [
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(0 minutes)",
        "rate(5 seconds)",
        "cron(0 12 * * *)",
        "cron(0 12 * * * *)",
        "cron(0 12 ? * ? *)",
        "cron(60 12 * * ? *)",
        "cron(0 12 ? * MON#6 *)",
        "cron(5-1 12 * * ? *)",
        "at(2026-12-24)",
        "at(2026-13-24T18:00:00)",
        "tomorrow",
    ],
)
def test_fails_when_an_expression_is_none(text: str) -> None:
    with pytest.raises(expressions.ExpressionError, match="Invalid Schedule Expression"):
        expressions.parse(text)


@pytest.mark.parametrize(("text", "right"), [("rate(1 hours)", "rate(1 hour)"), ("rate(5 minute)", "rate(5 minutes)")])
def test_when_any_number_of_a_unit_is_taken_then_it_means_the_same(text: str, right: str) -> None:
    assert expressions.parse(text, any_number=True).after(NOW) == expressions.parse(right).after(NOW)
    with pytest.raises(expressions.ExpressionError, match="Invalid Schedule Expression"):
        expressions.parse("rate(0 hours)", any_number=True)


def test_fails_when_a_zone_is_none() -> None:
    with pytest.raises(expressions.ExpressionError, match="Mars/Olympus"):
        expressions.parse("rate(5 minutes)", "Mars/Olympus")
