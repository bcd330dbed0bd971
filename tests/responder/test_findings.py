"""A finding comes in, and the policy decides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tapstack.domain import policy
from tapstack.domain.errors import RuleViolation
from tapstack.domain.policy import Rule
from tapstack.responder.environment import environment
from tapstack.responder.handlers import findings
from tapstack.responder.incident import steps as incident_steps
from tests.responder.conftest import Site, item

CAPTURE = Rule("c2", "capture", types=("Backdoor:EC2/*",), minutes=90)


def finding(instance: str, severity: float = 8.0, **service: Any) -> dict[str, Any]:
    return {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "detail": {
            "id": "0123456789abcdef0123456789abcdef",
            "type": "Backdoor:EC2/C&CActivity.B!DNS",
            "severity": severity,
            "accountId": "123456789012",
            "region": "eu-central-1",
            "title": "EC2 instance talks to a command and control server",
            "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": instance}},
            "service": {"archived": False, "count": 1, **service},
        },
    }


def decides(monkeypatch: pytest.MonkeyPatch, *rules: Rule) -> None:
    monkeypatch.setenv("TAPSTACK_POLICY", policy.dump(rules))
    environment.cache_clear()


def test_when_no_rule_matches_then_only_a_notification_is_published(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch)
    instance, _ = site.instance()
    result = findings.handler(finding(instance), None)
    assert (result["action"], result["incident_id"]) == ("notify", None)
    [message] = site.messages()
    assert message["Subject"] == "[tapstack frankfurt] GuardDuty high: Backdoor:EC2/C&CActivity.B!DNS"
    assert f"tapstack incident open --instance {instance} --reason" in message["Message"]
    assert site.events("Tapstack Finding")[0]["action"] == "notify"
    assert site.calls("states") == []


def test_when_a_rule_captures_then_an_incident_is_open_and_the_same_finding_is_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    instance, _ = site.instance()
    first = findings.handler(finding(instance), None)
    incident = item(first["incident_id"])
    assert (incident["instance_id"], incident["minutes"], incident["severity"]) == (instance, 90, "high")
    assert (incident["source"], incident["alert_id"]) == ("guardduty", "0123456789abcdef0123456789abcdef")
    again = findings.handler(finding(instance, count=7), None)
    assert again["incident_id"] == incident["id"]
    assert site.messages() == []


@pytest.mark.parametrize(
    ("action", "mode", "state"), [("contain_now", "now", "containing"), ("contain_on_approval", "approval", "pending")]
)
def test_when_a_rule_contains_then_it_captures_and_contains_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, action: Any, mode: str, state: str
) -> None:
    groups = {site.vpc: {"quarantine": site.group}}
    settings = {**site.settings, "containment": {"modes": ["approval", "now"], "groups": groups}}
    monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps(settings))
    decides(monkeypatch, Rule("c2", action, types=("Backdoor:EC2/*",)))
    instance, _ = site.instance()
    opened = findings.handler(finding(instance), None)["incident_id"]
    containment = item(opened)["containment"]
    assert (containment["mode"], containment["state"], containment["asked_by"]) == (mode, state, "guardduty")
    findings.handler(finding(instance, count=2), None)
    started = [
        record.call.parameters["name"]
        for record in site.account.recorder.records(service="states", action="StartExecution")
    ]
    assert started == [f"{opened}-contain-1", opened]


def test_when_a_rule_contains_and_the_site_does_not_then_packets_are_captured_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, Rule("c2", "contain_now", types=("Backdoor:EC2/*",)))
    incident = item(findings.handler(finding(site.instance()[0]), None)["incident_id"])
    assert (incident["state"], incident["containment"]) == ("opening", None)


def test_when_its_incident_is_closed_then_a_notification_is_published_and_no_other_is_opened(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    instance, _ = site.instance()
    incident = findings.handler(finding(instance), None)["incident_id"]
    incident_steps.close(incident, "expired")
    assert findings.handler(finding(instance, count=2), None)["incident_id"] == incident
    assert f"{incident}   (this finding's incident, which is closed)" in site.messages()[-1]["Message"]
    assert f"tapstack incident open --instance {instance}" in site.messages()[-1]["Message"]


def test_when_a_rule_has_tags_then_the_current_tags_count(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(monkeypatch, Rule("prod", "capture", tags={"stage": "prod"}))
    instance, _ = site.instance()
    assert findings.handler(finding(instance), None)["action"] == "notify"
    site.ec2.create_tags(Resources=[instance], Tags=[{"Key": "stage", "Value": "prod"}])
    assert findings.handler(finding(instance), None)["action"] == "capture"
    # An instance that is gone has the tags of the finding: none.
    assert findings.handler(finding("i-0123456789abcdef0"), None)["action"] == "notify"


def test_when_a_finding_is_archived_then_the_notification_says_why_nothing_is_captured(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    findings.handler(finding(site.instance()[0], archived=True), None)
    assert "not capture: the finding is archived" in site.messages()[-1]["Message"]


def test_fails_when_it_is_no_finding(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(monkeypatch)
    with pytest.raises(RuleViolation, match="detail-type"):
        findings.handler({"source": "aws.ec2", "detail-type": "x", "detail": {}}, None)
