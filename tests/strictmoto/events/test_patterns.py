"""Which events strictmoto's patterns mean.

Source: Amazon EventBridge User Guide, "Comparison operators for use in event patterns in Amazon EventBridge".
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.events.conftest import Events

CASES: list[tuple[str, Any, Any, bool]] = [
    ("equal", ["a"], "a", True),
    ("unequal", ["a"], "b", False),
    ("one of", ["a", "b"], "b", True),
    ("empty text", [""], "", True),
    ("null", [None], None, True),
    ("null is no text", [None], "", False),
    ("number", [300], 300, True),
    ("number as it is written", [300], 300.0, False),
    ("true", [True], True, True),
    ("true is not one", [1], True, False),
    ("array", ["b"], ["a", "b"], True),
    ("no item of an array", ["c"], ["a", "b"], False),
    ("prefix", [{"prefix": "us-"}], "us-east-1", True),
    ("no prefix", [{"prefix": "us-"}], "eu-west-1", False),
    ("prefix in any case", [{"prefix": {"equals-ignore-case": "EVENTB"}}], "EventBridge", True),
    ("suffix", [{"suffix": ".png"}], "a.png", True),
    ("suffix in any case", [{"suffix": {"equals-ignore-case": ".png"}}], "a.PNG", True),
    ("any case", [{"equals-ignore-case": "alice"}], "ALICE", True),
    ("wildcard", [{"wildcard": "dir/*.png"}], "dir/a/b.png", True),
    ("no wildcard", [{"wildcard": "dir/*.png"}], "dir/a.jpg", False),
    ("escaped wildcard", [{"wildcard": "a\\*b"}], "a*b", True),
    ("escaped wildcard is none", [{"wildcard": "a\\*b"}], "axb", False),
    ("numeric", [{"numeric": [">", 0, "<=", 5]}], 5, True),
    ("out of range", [{"numeric": [">", 0, "<=", 5]}], 5.1, False),
    ("true is no number", [{"numeric": [">", 0]}], True, False),
    ("numeric equal", [{"numeric": ["=", 3.0]}], 3, True),
    ("cidr", [{"cidr": "10.0.0.0/24"}], "10.0.0.255", True),
    ("outside of cidr", [{"cidr": "10.0.0.0/24"}], "10.0.1.0", False),
    ("cidr of six", [{"cidr": "2001:db8::/32"}], "2001:db8::1", True),
    ("exists", [{"exists": True}], "x", True),
    ("exists although null", [{"exists": True}], None, True),
    ("exists only as a leaf", [{"exists": True}], {"inner": 1}, False),
    ("does not exist", [{"exists": False}], "x", False),
    ("anything but", [{"anything-but": "a"}], "b", True),
    ("not anything but", [{"anything-but": "a"}], "a", False),
    ("anything but a list", [{"anything-but": ["a", "b"]}], "b", False),
    ("anything but numbers", [{"anything-but": [100, 200]}], 300, True),
    ("anything but a prefix", [{"anything-but": {"prefix": "us-"}}], "us-east-1", False),
    ("anything but prefixes", [{"anything-but": {"prefix": ["us-", "eu-"]}}], "ap-south-1", True),
    ("anything but a suffix", [{"anything-but": {"suffix": ".png"}}], "a.png", False),
    ("anything but in any case", [{"anything-but": {"equals-ignore-case": ["RUNNING"]}}], "running", False),
    ("anything but a wildcard", [{"anything-but": {"wildcard": "*/lib/*"}}], "/usr/lib/x", False),
    ("nested", {"b": ["x"]}, {"b": "x", "c": "y"}, True),
    ("nested missing", {"b": [{"exists": False}]}, {"c": 1}, True),
    ("objects of an array", {"b": ["x"]}, [{"b": "w"}, {"b": "x"}], True),
    ("one object of an array", {"b": ["x"], "c": [1]}, [{"b": "x", "c": 2}, {"b": "y", "c": 1}], False),
]


def event(detail: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "account": "123456789012",
        "source": "northwind",
        "time": "2026-11-21T10:00:00Z",
        "region": "eu-central-1",
        "resources": [],
        "detail-type": "test",
        "detail": detail,
    }


def meant(events: Events, pattern: Any, detail: Any) -> bool:
    found = events.bus.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event(detail)))
    return bool(found["Result"])


@pytest.mark.parametrize(("wanted", "value", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_when_a_value_is_compared_then_as_aws_does(events: Events, wanted: Any, value: Any, expected: bool) -> None:
    assert meant(events, {"detail": {"a": wanted}}, {"a": value}) is expected


@pytest.mark.parametrize(
    ("detail", "expected"), [({"x": 1, "z": 9}, True), ({"y": 2, "z": 9}, True), ({"z": 9}, False), ({"x": 1}, False)]
)
def test_when_a_pattern_has_alternatives_then_one_is_enough(events: Events, detail: Any, expected: bool) -> None:
    pattern = {"detail": {"$or": [{"x": [1]}, {"y": [{"numeric": [">", 1]}]}], "z": [9]}}
    assert meant(events, pattern, detail) is expected


@pytest.mark.parametrize("value", ["a", {"b": "c"}])
def test_when_a_field_is_missing_then_only_exists_false_means_it(events: Events, value: Any) -> None:
    assert meant(events, {"detail": {"other": [{"exists": False}]}}, {"a": value})
    assert not meant(events, {"detail": {"other": [{"anything-but": "x"}]}}, {"a": value})


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{", "Filter is not an object"),
        ("{}", "Empty filter"),
        ('{"source": "northwind"}', "must be an object or an array"),
        ('{"source": []}', "Empty arrays are not allowed"),
        ('{"detail": {}}', "Empty objects are not allowed"),
        ('{"source": [{"like": "x"}]}', "Unrecognized match type like"),
        ('{"source": [{"prefix": 1}]}', "prefix match pattern must be a string"),
        ('{"source": [{"prefix": "a", "suffix": "b"}]}', "Only one key allowed"),
        ('{"a": [{"numeric": ["~", 1]}]}', "Unrecognized numeric range operator"),
        ('{"a": [{"numeric": [">", 9, "<", 1]}]}', "Bottom must be less than top"),
        ('{"a": [{"cidr": "10.0.0.0/99"}]}', "Malformed CIDR"),
        ('{"a": [{"exists": "yes"}]}', "exists match pattern"),
        ('{"a": [{"wildcard": "**"}]}', "Consecutive wildcard"),
        ('{"$or": [{"a": [1]}]}', "at least 2"),
        ('{"a": [{"anything-but": ["x", 1]}]}', "all values are numbers or strings"),
    ],
)
def test_fails_when_a_pattern_is_none(events: Events, pattern: str, reason: str) -> None:
    with pytest.raises(ClientError, match=reason.replace("(", r"\(")) as refused:
        events.bus.put_rule(Name="rule", EventPattern=pattern)
    assert refused.value.response["Error"]["Code"] == "InvalidEventPatternException"
