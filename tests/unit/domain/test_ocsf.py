"""Events of incidents as OCSF Detection Findings: each value says what the event says.

That the documents are valid by the releases of OCSF is tested where incidents emit events
(`responder/test_telemetry.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tapstack.domain.incident_events import WHATS, tactic
from tapstack.domain.incidents import SEVERITIES
from tapstack.domain.ocsf import detection_finding

INSTANCE = "i-0a000000000000001"
FIRST, SECOND = "eni-0a000000000000001", "eni-0a000000000000002"
ARN = "arn:aws:ec2:eu-central-1:111122223333"
CONSOLE = "https://eu-central-1.console.aws.amazon.com/ec2/home"


def event(**changed: Any) -> dict[str, Any]:
    """An event of version 1: what the mapping reads of it, and nothing else."""
    return {
        "version": 1,
        "id": "inc-20260620T000000-k3v9x0ab-0a1b2c3d",
        "what": "mirroring",
        "time": "2026-06-20T00:04:31.207Z",
        "message": f"Packets of {INSTANCE} are being mirrored",
        "severity": "high",
        "account_id": "111122223333",
        "region": "eu-central-1",
        "techniques": [],
        "tactics": [],
        "alert": None,
        "incident": {
            "id": "inc-20260620T000000-k3v9x0ab",
            "reason": "beacons every minute",
            "opened_at": "2026-06-20T00:00:00Z",
        },
        "entities": {
            "instance": {"id": INSTANCE, "arn": f"{ARN}:instance/{INSTANCE}"},
            "network_interfaces": [{"id": one, "arn": f"{ARN}:network-interface/{one}"} for one in (FIRST, SECOND)],
            "addresses": ["10.0.1.10", "10.0.2.10"],
        },
        "links": {"console": CONSOLE, "appliance": None},
        **changed,
    }


@pytest.mark.parametrize("what", WHATS)
def test_when_something_happens_then_the_finding_is_created_updated_or_closed_with_its_status(what: str) -> None:
    found = detection_finding(event(what=what))
    activity, status = {
        "opened": ((1, "Create"), (1, "New")),
        "closed": ((3, "Close"), (4, "Resolved")),
    }.get(what, ((2, "Update"), (2, "In Progress")))
    assert (found["activity_id"], found["activity_name"]) == activity
    assert (found["status_id"], found["status"]) == status
    assert (found["type_uid"], found["type_name"]) == (200400 + activity[0], f"Detection Finding: {activity[1]}")
    assert (found["category_uid"], found["class_uid"]) == (2, 2004)
    assert found["metadata"]["event_code"] == what


@pytest.mark.parametrize("severity", SEVERITIES)
def test_when_an_incident_has_a_severity_then_the_finding_has_that_of_ocsf(severity: str) -> None:
    found = detection_finding(event(severity=severity))
    expected = {"low": (2, "Low"), "medium": (3, "Medium"), "high": (4, "High"), "critical": (5, "Critical")}
    assert (found["severity_id"], found["severity"]) == expected[severity]


def test_when_an_event_has_times_then_the_finding_has_them_in_milliseconds() -> None:
    found = detection_finding(event())
    happened = datetime(2026, 6, 20, 0, 4, 31, 207000, tzinfo=UTC)
    opened = datetime(2026, 6, 20, tzinfo=UTC)
    assert found["time"] == happened.timestamp() * 1000
    assert found["finding_info"]["created_time"] == opened.timestamp() * 1000
    assert isinstance(found["time"], int)


def test_when_events_are_of_one_incident_then_their_findings_are_one_finding_told_apart_by_the_events_ids() -> None:
    found = detection_finding(event())
    assert found["metadata"]["uid"] == "inc-20260620T000000-k3v9x0ab-0a1b2c3d"
    assert found["metadata"]["correlation_uid"] == found["finding_info"]["uid"] == "inc-20260620T000000-k3v9x0ab"
    assert found["finding_info"]["title"] == "Incident inc-20260620T000000-k3v9x0ab"
    assert (found["finding_info"]["desc"], found["message"]) == (
        "beacons every minute",
        f"Packets of {INSTANCE} are being mirrored",
    )


def test_when_an_event_has_entities_then_they_are_resources_and_observables_of_its_account_and_region() -> None:
    found = detection_finding(event())
    assert (found["cloud"]["account"]["uid"], found["cloud"]["region"]) == ("111122223333", "eu-central-1")
    assert found["resources"] == [
        {
            "uid": f"{ARN}:instance/{INSTANCE}",
            "type": "AWS::EC2::Instance",
            "name": INSTANCE,
            "region": "eu-central-1",
        },
        *(
            {
                "uid": f"{ARN}:network-interface/{one}",
                "type": "AWS::EC2::NetworkInterface",
                "name": one,
                "region": "eu-central-1",
            }
            for one in (FIRST, SECOND)
        ),
    ]
    assert [(one["type_id"], one["value"]) for one in found["observables"]] == [
        (10, INSTANCE),
        (10, FIRST),
        (10, SECOND),
        (2, "10.0.1.10"),
        (2, "10.0.2.10"),
    ]
    # The name of an observable is the path of its value.
    for number, one in enumerate(found["observables"][:3]):
        assert one["name"] == f"resources[{number}].name"
        assert found["resources"][number]["name"] == one["value"]


def test_when_an_incident_is_of_interfaces_alone_then_no_instance_is_a_resource() -> None:
    entities = {**event()["entities"], "instance": None, "addresses": []}
    found = detection_finding(event(entities=entities, links={"console": None, "appliance": None}))
    assert [one["name"] for one in found["resources"]] == [FIRST, SECOND]
    assert [one["value"] for one in found["observables"]] == [FIRST, SECOND]
    assert "src_url" not in found["finding_info"]


def test_when_an_alert_raised_it_then_it_is_a_related_event_with_its_techniques_and_tactics() -> None:
    attack = {"techniques": ["T1041", "T1071.004"], "tactics": [tactic("CommandAndControl")]}
    found = detection_finding(event(alert={"source": "hunters", "id": "hunters:4711"}, **attack))["finding_info"]
    assert found["related_events"] == [{"uid": "hunters:4711"}]
    assert found["src_url"] == CONSOLE
    assert [{name: one[name] for name in one if name != "version"} for one in found["attacks"]] == [
        {"technique": {"uid": "T1041", "name": "T1041"}},
        {
            "technique": {"uid": "T1071", "name": "T1071"},
            "sub_technique": {"uid": "T1071.004", "name": "T1071.004"},
        },
        {"tactic": {"uid": "TA0011", "name": "Command and Control"}},
    ]
    without = detection_finding(event())["finding_info"]
    assert not {"related_events", "attacks"} & set(without)


def test_when_a_finding_is_made_then_it_holds_the_event_whole() -> None:
    assert detection_finding(event())["unmapped"] == {"tapstack": event()}
