"""What the published schema of alerts takes, the preset `generic` reads: in whole, and as it was meant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from scripts.alert_schema import schema
from tapstack.domain.alert_mappings import SEVERITY_WORDS, AlertSource, map_alerts
from tapstack.domain.threats import TACTICS
from tests.unit.domain.alerts import HOME, INSTANCE, sample

VALIDATOR = Draft202012Validator(schema())
GENERIC = AlertSource("generic")
TARGETS: dict[str, Any] = {
    "instance_id": INSTANCE,
    "instance_arn": f"arn:aws:ec2:eu-central-1:111122223333:instance/{INSTANCE}",
    "network_interface_id": "eni-0a000000000000001",
    "private_ip": "10.0.1.10",
    "vpc_id": "vpc-0a1b2c3d4e5f60718",
}
techniques = st.sampled_from(["T1071", "t1071.004"])
tactics = st.sampled_from([*TACTICS, *TACTICS.values()])
documents = st.fixed_dictionaries(
    {
        "version": st.just("1"),
        "alert_id": st.text(min_size=1),
        "severity": st.sampled_from([*SEVERITY_WORDS]) | st.floats(0, 10) | st.integers(0, 10),
        "target": st.fixed_dictionaries({}, optional={name: st.just(value) for name, value in TARGETS.items()}),
    },
    optional={
        "title": st.text(),
        "type": st.text(),
        "time": st.sampled_from(["2026-11-26T12:00:00Z", "2026-11-26T12:00:00.5+02:00", 1795694400, 1795694400000]),
        "technique": techniques | st.lists(techniques, max_size=3),
        "tactics": tactics | st.lists(tactics, max_size=3),
        "account_id": st.just("111122223333"),
        "region": st.just("eu-central-1"),
        "guardduty_finding": st.just("60c1f0f2a5e94b1c8f5f0e6d7c8b9a01"),
        "archived": st.booleans(),
        "anything": st.integers(),
    },
)


@given(documents)
def test_when_the_schema_takes_an_alert_then_the_preset_reads_all_of_it(document: dict[str, Any]) -> None:
    found = map_alerts("soc", GENERIC, document, home=HOME)
    assert VALIDATOR.is_valid(document) == bool(found.alerts)
    for alert in found.alerts:
        assert alert.left_out == ()
        assert (alert.last_seen is not None) == ("time" in document)
        assert bool(alert.techniques) == bool(document.get("technique"))
        assert bool(alert.tactics) == bool(document.get("tactics"))
        assert alert.archived == document.get("archived", False)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1},
        {"alert_id": ""},
        {"severity": "awful"},
        {"severity": 11},
        {"target": {}},
        {"target": {"private_ip": "10.0.1.10"}},
        {"target": {"private_ip": "10.0.1.256", "vpc_id": "vpc-0a1b2c3d4e5f60718"}},
        {"target": {"instance_id": "web-1"}},
        {"target": {"network_interface_id": "eth0"}},
        {"account_id": "12"},
        {"region": "mars"},
    ],
)
def test_when_the_schema_refuses_what_is_needed_then_the_preset_does_too(change: dict[str, Any]) -> None:
    document = {**sample("generic"), **change}
    assert not VALIDATOR.is_valid(document)
    assert map_alerts("soc", GENERIC, document, home=HOME).alerts == ()


def test_when_the_schema_is_published_then_it_takes_the_example() -> None:
    Draft202012Validator.check_schema(schema())
    VALIDATOR.validate(sample("generic"))
