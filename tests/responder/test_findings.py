"""A finding comes in, and the policy decides."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from strictmoto.faults import Fault
from tapstack.domain import policy
from tapstack.domain.console import instance_page
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import OpenRequest
from tapstack.domain.policy import Rule
from tapstack.responder.capture.interfaces import existing_instances
from tapstack.responder.environment import environment
from tapstack.responder.errors import TryAgain
from tapstack.responder.handlers import findings
from tapstack.responder.incident import commands, joining, opening, targets
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.incident.joining import Report
from tapstack.responder.outbound import notifications
from tapstack.responder.outbound.notifications import NOTIFIED_IN_AN_HOUR
from tapstack.responder.store import incidents, notified
from tapstack.responder.store.incidents import Incident
from tapstack.responder.sweeper import sweep
from tests.responder.conftest import TOPIC, Site, configure, item, opened
from tests.unit.domain.findings import document

CAPTURE = Rule("c2", "capture", types=("Backdoor:EC2/*",), minutes=90)


def finding(instance: str, severity: Any = 8.0, **service: Any) -> dict[str, Any]:
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
    decision = decided(finding(instance))
    assert (decision["action"], decision["incident_id"]) == ("notify", None)
    [message] = site.messages()
    assert message["Subject"] == "[tapstack frankfurt] GuardDuty high: Backdoor:EC2/C&CActivity.B!DNS"
    assert message["Message"].splitlines() == [
        "GuardDuty reports Backdoor:EC2/C&CActivity.B!DNS, severity 8 (high).",
        "",
        "Title:    'EC2 instance talks to a command and control server'",
        "Tactics:  CommandAndControl",
        "Finding:  0123456789abcdef0123456789abcdef in eu-central-1, account 123456789012, seen 1 time",
        "",
        f"Instance: {instance}",
        f"Console:  {instance_page('eu-central-1', instance)}",
        "Decision: notify",
        "Rule:     none matches",
        "What to run next:",
        f"  tapstack incident open --instance {instance} --reason 'GuardDuty 0123456789abcdef0123456789abcdef'",
    ]
    assert site.events("Tapstack Finding")[0]["decisions"] == [decision]
    assert site.calls("states") == []


def test_when_a_rule_with_tags_lets_an_instance_off_then_the_notification_names_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, Rule("test-systems", "notify", tags={"environment": "test*"}), Rule("worst", "capture"))
    instance, _ = site.instance()
    site.ec2.create_tags(Resources=[instance], Tags=[{"Key": "environment", "Value": "test"}])
    assert decided(finding(instance, 9.9))["action"] == "notify"
    [message] = site.messages()
    assert (
        "Decision: notify\nRule:     test-systems\n"
        "          by its tags (environment), which any caller with ec2:CreateTags on the instance can write\n"
    ) in message["Message"]


def test_when_a_rule_captures_then_an_incident_is_open_and_the_same_finding_is_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    instance, _ = site.instance()
    first = decided(finding(instance))
    incident = item(first["incident_id"])
    assert (incident["instance_id"], incident["minutes"], incident["severity"]) == (instance, 90, "high")
    assert (incident["source"], incident["alert_id"]) == ("guardduty", "0123456789abcdef0123456789abcdef")
    again = decided(finding(instance, count=7))
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
    incident = decided(finding(instance))["incident_id"]
    containment = item(incident)["containment"]
    assert (containment["mode"], containment["state"], containment["asked_by"]) == (mode, state, "guardduty")
    findings.handler(finding(instance, count=2), None)
    started = [
        record.call.parameters["name"]
        for record in site.account.recorder.records(service="states", action="StartExecution")
    ]
    assert started == [f"{incident}-contain-1", incident]


def test_when_a_rule_contains_and_the_site_does_not_then_packets_are_captured_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, Rule("c2", "contain_now", types=("Backdoor:EC2/*",)))
    incident = item(decided(finding(site.instance()[0]))["incident_id"])
    assert (incident["state"], incident["containment"]) == ("opening", None)


@pytest.mark.parametrize("gone", ["terminated", "shutting-down", "never there"])
def test_when_the_instance_is_gone_then_no_incident_is_opened_and_the_notification_says_why(
    site: Site, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    decides(monkeypatch, CAPTURE)
    instance, _ = site.instance()
    if gone == "terminated":
        site.ec2.terminate_instances(InstanceIds=[instance])
    elif gone == "shutting-down":
        [described] = existing_instances([instance])
        described["State"]["Name"] = gone
        monkeypatch.setattr(targets, "existing_instances", lambda _: [described])
    else:
        instance = "i-0123456789abcdef0"
    decision = decided(finding(instance))
    assert (decision["action"], decision["decision"], decision["rule"]) == ("notify", "notify", "c2")
    assert decision["incident_id"] is None
    assert site.calls("states") == []
    [message] = site.messages()
    why = f"there is no instance {instance} in this account and Region"
    lines = message["Message"].splitlines()
    at = lines.index("Decision: notify")
    assert lines[at + 1 :] == [
        f"          not capture: {why if gone == 'never there' else f'instance {instance} is {gone}'}",
        "Rule:     c2",
        "What to run next:",
        "  it has no packets any more: inspect what it left, such as volumes, snapshots and flow logs",
    ]


def test_when_the_instance_ends_after_its_incident_was_opened_then_updates_belong_to_that_and_ask_for_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = {site.vpc: {"quarantine": site.group}}
    settings = {**site.settings, "containment": {"modes": ["now"], "groups": groups}}
    monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps(settings))
    decides(monkeypatch, Rule("worst", "contain_now", at_least=9.0), CAPTURE)
    instance, _ = site.instance()
    incident = decided(finding(instance))["incident_id"]
    site.ec2.terminate_instances(InstanceIds=[instance])
    decision = decided(finding(instance, 9.5, count=2))
    assert (decision["action"], decision["incident_id"]) == ("updated", incident)
    assert (item(incident)["severity"], item(incident)["containment"]) == ("critical", None)
    assert site.messages() == []


def test_when_one_instance_of_a_sequence_is_gone_then_the_other_is_captured(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, Rule("all", "capture"))
    instance, gone = site.instance()[0], "i-0123456789abcdef0"
    decisions = findings.handler(sequence(arn(instance), arn(gone)), None)["decisions"]
    assert {one["instance_id"]: one["action"] for one in decisions} == {instance: "capture", gone: "notify"}


def test_when_the_policy_only_notifies_then_ec2_is_not_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(monkeypatch, Rule("all", "notify"))
    instance, _ = site.instance()
    site.account.recorder.clear()
    assert decided(finding(instance))["action"] == "notify"
    assert site.calls("ec2") == []


def test_when_an_event_comes_again_after_its_function_was_killed_then_it_says_what_was_done(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    event = {"id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", **finding(site.instance()[0])}

    def ends(*_: Any) -> None:
        raise TryAgain("killed")

    with monkeypatch.context() as patched:
        patched.setattr(notifications, "emit", ends)
        with pytest.raises(TryAgain):
            findings.handler(event, None)
    assert decided(event)["action"] == "capture"
    # An update of the finding is an event of its own.
    assert decided({**event, "id": "another"})["action"] == "silent"


def test_when_the_bus_does_not_take_the_event_then_a_sweep_delivers_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    # Longer than the client tries, for telemetry as well.
    site.account.faults.add(Fault("PutEvents", "server error", times=4))
    decision = decided(finding(site.instance()[0]))
    site.account.recorder.clear()
    assert [line.partition(",")[0] for line in sweep().delivered] == ["Tapstack Finding: to default"]
    assert [event["decisions"] for event in site.events("Tapstack Finding")] == [[decision]]


def test_when_its_incident_is_closed_and_nothing_newer_is_seen_then_only_an_event_is_published(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    instance, _ = site.instance()
    incident = decided(finding(instance))["incident_id"]
    incident_steps.close(incident, "expired")
    said = len(site.messages())
    for seen in ({}, {"eventLastSeen": "2026-01-02T03:04:05.123Z"}, {"eventLastSeen": "2026-01-02T03:04:05"}):
        decision = decided(finding(instance, count=2, **seen))
        assert (decision["action"], decision["decision"], decision["incident_id"]) == ("silent", "capture", incident)
    assert len(site.messages()) == said
    assert [event["decisions"][0]["action"] for event in site.events("Tapstack Finding")] == [
        "capture",
        *3 * ["silent"],
    ]


def test_when_the_api_was_sent_a_findings_id_and_the_incident_is_closed_then_the_finding_opens_another(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    instance, _ = site.instance()
    alert = finding(instance)["detail"]["id"]
    decoy = opened(site.instance()[0], alert_id=alert)
    incident_steps.close(decoy, "closed")
    found = item(decided(finding(instance))["incident_id"])
    assert (found["instance_id"], found["source"], found["state"]) == (instance, "guardduty", "opening")


def test_when_a_rule_has_tags_then_the_current_tags_count(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(monkeypatch, Rule("prod", "capture", tags={"stage": "prod"}))
    instance, _ = site.instance()
    assert decided(finding(instance))["action"] == "notify"
    site.ec2.create_tags(Resources=[instance], Tags=[{"Key": "stage", "Value": "prod"}])
    assert decided(finding(instance))["action"] == "capture"
    # An instance that is gone has the tags of the finding: none.
    assert decided(finding("i-0123456789abcdef0"))["action"] == "notify"


def test_when_a_finding_is_archived_then_the_notification_says_why_nothing_is_captured(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    findings.handler(finding(site.instance()[0], archived=True), None)
    assert "not capture: the finding is archived" in site.messages()[-1]["Message"]


def decided(event: dict[str, Any]) -> dict[str, Any]:
    """What was decided about the one instance of a finding, or about a finding without any."""
    [decision] = findings.handler(event, None)["decisions"]
    return dict(decision)


class TestAttackSequences:
    def test_when_a_rule_captures_then_each_instance_has_an_incident_and_one_notification_lists_them(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("worst", "capture", at_least=9.0, tactics=("CommandAndControl",)))
        ids = [site.instance()[0] for _ in range(2)]
        first = findings.handler(sequence(*map(arn, ids)), None)["decisions"]
        assert [decision["instance_id"] for decision in first] == ids
        incidents = [item(decision["incident_id"]) for decision in first]
        assert [(one["instance_id"], one["severity"]) for one in incidents] == [(id_, "critical") for id_ in ids]
        [message] = site.messages()
        assert message["Subject"] == (
            "[tapstack frankfurt] GuardDuty critical: AttackSequence:EC2/CompromisedInstanceGroup"
        )
        for one in incidents:
            its = f"Instance: {one['instance_id']}\nConsole:  {instance_page('eu-central-1', one['instance_id'])}\n"
            assert f"{its}Decision: capture\nRule:     worst\n" in message["Message"]
            assert f"\n  tapstack incident show {one['id']}\n" in message["Message"]
        # Updates find each again, whatever instances join, and say nothing new.
        joined = site.instance()[0]
        updated = findings.handler(sequence(*map(arn, ids)), None)["decisions"]
        assert updated == [{**decision, "action": "silent"} for decision in first]
        assert len(site.messages()) == 1
        again = findings.handler(sequence(*map(arn, [joined, *ids])), None)["decisions"]
        assert again[1:] == updated
        assert len(site.messages()) == 2
        assert site.messages()[-1]["Message"].count("Done:     nothing new, it has an incident already") == 2

    def test_when_the_policy_only_notifies_then_every_instance_is_listed_with_its_command(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch)
        ids = ["i-0a00000000000aaa1", "i-0a00000000000aaa2"]
        findings.handler(sequence(*map(arn, ids)), None)
        [message] = site.messages()
        for id_ in ids:
            assert (
                f"\n  tapstack incident open --instance {id_} --reason 'GuardDuty {'1' * 32}'\n" in message["Message"]
            )

    def test_when_a_rule_has_tags_then_those_of_each_instance_count(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("prod", "capture", tags={"stage": "prod"}))
        ids = [site.instance()[0] for _ in range(2)]
        site.ec2.create_tags(Resources=ids[:1], Tags=[{"Key": "stage", "Value": "prod"}])
        gone = "i-0123456789abcdef0"
        decisions = findings.handler(sequence(*map(arn, [*ids, gone])), None)["decisions"]
        assert [decision["action"] for decision in decisions] == ["capture", "notify", "notify"]

    def test_when_an_instance_is_of_another_region_then_only_the_other_is_captured(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("all", "capture"))
        id_, _ = site.instance()
        # The same id in another Region is another's instance.
        decisions = findings.handler(sequence(arn(id_), arn(id_, region="eu-west-1")), None)["decisions"]
        assert [decision["action"] for decision in decisions] == ["capture", "notify"]
        [message] = site.messages()
        assert message["Message"].splitlines()[-8:] == [
            f"Instance: {id_} in eu-west-1, account 123456789012",
            f"Console:  {instance_page('eu-west-1', id_)}",
            "Decision: notify",
            "          not capture: the instance is of account 123456789012 in eu-west-1, not of this site's",
            "Rule:     all",
            "What to run next:",
            "  with TAPSTACK_URL set to the API of account 123456789012 in eu-west-1:",
            f"  tapstack incident open --instance {id_} --reason 'GuardDuty {'1' * 32}'",
        ]

    def test_when_the_function_fails_between_two_instances_then_the_next_try_goes_on(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("all", "capture"))
        ids = [site.instance()[0] for _ in range(2)]
        # The client tries again, and then gives up.
        for call in range(2, 10):
            site.account.faults.add(Fault("StartExecution", "throttled", call=call))
        with pytest.raises(TryAgain):
            findings.handler(sequence(*map(arn, ids)), None)
        site.account.faults.clear()
        [message] = site.messages()
        assert f"\nInstance: {ids[0]}\n" in message["Message"]
        assert "\n1 instance of it could not be decided about yet: " in message["Message"]
        decisions = findings.handler(sequence(*map(arn, ids)), None)["decisions"]
        [_, message] = site.messages()
        assert f"\nInstance: {ids[1]}\n" in message["Message"]
        assert "could not be decided about" not in message["Message"]
        for decision, id_ in zip(decisions, ids, strict=True):
            incident = item(decision["incident_id"])
            assert (incident["instance_id"], len(incident["execution_arns"])) == (id_, 1)

    @pytest.mark.parametrize("most", [2, 10])
    def test_when_one_instance_fails_then_the_others_are_captured_and_the_event_comes_again(
        self, bare: Site, monkeypatch: pytest.MonkeyPatch, most: int
    ) -> None:
        existing = {"target_id": bare.balanced_target(), "filter_id": bare.mirror_filter()}
        configure(monkeypatch, bare, {"existing": existing}, incidents_per_finding=most)
        decides(monkeypatch, Rule("all", "capture"))
        ids = [bare.instance()[0] for _ in range(3)]
        joined = opened(ids[0])
        real, failing = joining.complete, [True]

        def complete(incident: Incident, *args: Any, **more: Any) -> None:
            if failing and incident.id == joined:
                raise RuntimeError("broken")
            real(incident, *args, **more)

        monkeypatch.setattr(joining, "complete", complete)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="broken"):
                findings.handler(sequence(*map(arn, ids)), None)
        captured = {one.instance_id for one in incidents.listed("open") if one.source == "guardduty"}
        # Where it may open few, the one that failed may be one of these.
        assert captured == {*(ids[1:] if most == 10 else ids[1:2])}
        # Once, however often it fails.
        assert sum("AttackSequence" in mail["Subject"] for mail in bare.messages()) == 1
        failing.clear()
        decisions = findings.handler(sequence(*map(arn, ids)), None)["decisions"]
        assert sorted(one.instance_id or "" for one in incidents.listed("open")) == sorted(ids)
        assert decisions[0]["incident_id"] == joined

    @pytest.mark.parametrize("in_pass", [1, 2])
    def test_when_one_instance_fails_then_nothing_untrue_is_said_of_those_that_wait_for_the_next_attempt(
        self, bare: Site, monkeypatch: pytest.MonkeyPatch, in_pass: int
    ) -> None:
        existing = {"target_id": bare.balanced_target(), "filter_id": bare.mirror_filter()}
        configure(monkeypatch, bare, {"existing": existing}, incidents_per_finding=2)
        decides(monkeypatch, Rule("all", "capture"))
        ids = [bare.instance()[0] for _ in range(3)]
        if in_pass == 1:
            # Then the first pass joins it.
            opened(ids[0])
        real, failing = opening.open_incident, [True]

        def open_incident(request: OpenRequest, *, report: Report, **more: Any) -> Any:
            if failing and request.instance_id == ids[0] and (in_pass == 1 or report.opens):
                raise RuntimeError("broken")
            return real(request, report=report, **more)

        monkeypatch.setattr(opening, "open_incident", open_incident)
        event = sequence(*map(arn, ids))
        for _ in range(2):
            with pytest.raises(RuntimeError, match="broken"):
                findings.handler(event, None)
        [mail] = [mail["Message"] for mail in bare.messages() if "AttackSequence" in mail["Subject"]]
        # The one that failed, and the one for which room may or may not be left.
        assert "\n2 instances of it could not be decided about yet: " in mail
        assert [line for line in mail.splitlines() if line.startswith("Instance:")] == [f"Instance: {ids[1]}"]
        failing.clear()
        done = [one["action"] for one in findings.handler(event, None)["decisions"]]
        assert done == (["joined", "capture", "capture"] if in_pass == 1 else ["capture", "capture", "listed"])
        mails = [mail["Message"] for mail in bare.messages() if "AttackSequence" in mail["Subject"]]
        assert len(mails) == 2
        assert "NOT capture" not in mails[0]
        assert ("NOT capture" in mails[1]) == (in_pass == 2)

    def test_when_one_fails_and_another_only_notifies_then_operators_are_notified_of_that_once(
        self, bare: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        existing = {"target_id": bare.balanced_target(), "filter_id": bare.mirror_filter()}
        configure(monkeypatch, bare, {"existing": existing})
        decides(monkeypatch, Rule("all", "capture"))
        ids = [bare.instance()[0] for _ in range(2)]
        real, failing = opening.open_incident, [True]

        def open_incident(request: OpenRequest, **more: Any) -> Any:
            if failing and request.instance_id == ids[0]:
                raise RuntimeError("broken")
            return real(request, **more)

        monkeypatch.setattr(opening, "open_incident", open_incident)
        event = sequence(*map(arn, ids), arn("i-0123456789abcdef0", region="eu-west-1"))
        for _ in range(3):
            with pytest.raises(RuntimeError, match="broken"):
                findings.handler(event, None)
        assert sum("AttackSequence" in mail["Subject"] for mail in bare.messages()) == 1
        failing.clear()
        findings.handler(event, None)
        # The incident of the one that failed is new.
        assert sum("AttackSequence" in mail["Subject"] for mail in bare.messages()) == 2

    def test_when_no_topic_takes_its_notifications_then_every_instance_is_captured(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("all", "capture"))
        ids = [site.instance()[0] for _ in range(2)]
        joined = opened(ids[0])
        site.client("sns").delete_topic(TopicArn=TOPIC)
        for _ in range(2):
            decisions = findings.handler(sequence(*map(arn, ids)), None)["decisions"]
            assert [one["instance_id"] for one in decisions] == ids
        site.client("sns").create_topic(Name="tap-notices")
        # The order is that of whole seconds.
        late = sorted(sweep().delivered, key=lambda line: joined not in line)
        assert [joined in late[0], "AttackSequence" in late[1], len(late)] == [True, True, 2]

    def test_when_it_names_many_instances_then_it_opens_some_incidents_and_lists_the_rest(
        self, bare: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        existing = {"target_id": bare.balanced_target(), "filter_id": bare.mirror_filter()}
        configure(monkeypatch, bare, {"existing": existing}, incidents_per_finding=2)
        decides(monkeypatch, Rule("prod", "capture", tags={"stage": "prod"}), Rule("all", "capture"))
        ids = [bare.instance()[0] for _ in range(4)]
        joined = opened(ids[0])
        first = findings.handler(sequence(*map(arn, ids)), None)["decisions"]
        # What it joins is no new incident.
        assert [one["action"] for one in first] == ["joined", "capture", "capture", "listed"]
        assert first[0]["incident_id"] == joined
        [message] = [one["Message"] for one in bare.messages() if "GuardDuty" in one["Subject"]]
        assert message.splitlines()[-7:] == [
            f"Instance: {ids[3]}",
            f"Console:  {instance_page('eu-central-1', ids[3])}",
            "Decision: NOT capture",
            "          one finding opens at most 2 incidents (capture.incidents_per_finding)",
            "Rule:     all",
            "What to run next:",
            f"  tapstack incident open --instance {ids[3]} --reason 'GuardDuty {'1' * 32}'",
        ]
        # Updates open no more, in whatever order they list the instances, and say nothing new.
        again = findings.handler(sequence(*map(arn, reversed(ids))), None)["decisions"]
        assert [one["action"] for one in again] == ["listed", "silent", "silent", "silent"]
        # Closed, they count all the same.
        commands.close(first[1]["incident_id"], by="ann")
        again = findings.handler(sequence(*map(arn, ids)), None)["decisions"]
        assert [one["action"] for one in again] == ["silent", "silent", "silent", "listed"]
        assert len([one for one in bare.messages() if "GuardDuty" in one["Subject"]]) == 1
        another = bare.instance()[0]
        assert findings.handler(sequence(*map(arn, [another, *ids])), None)["decisions"][0]["action"] == "listed"
        [_, message] = [one["Message"] for one in bare.messages() if "GuardDuty" in one["Subject"]]
        its = f"Instance: {another}\nConsole:  {instance_page('eu-central-1', another)}\n"
        assert f"{its}Decision: NOT capture\n" in message

    def test_when_its_updates_name_other_instances_each_time_then_they_open_no_more(
        self, bare: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        existing = {"target_id": bare.balanced_target(), "filter_id": bare.mirror_filter()}
        configure(monkeypatch, bare, {"existing": existing}, incidents_per_finding=2)
        decides(monkeypatch, Rule("all", "capture"))
        ids = [bare.instance()[0] for _ in range(3)]
        said = [
            [one["action"] for one in findings.handler(sequence(*map(arn, some)), None)["decisions"]]
            for some in (ids[:1], ids[1:], ids[2:], ids[:2])
        ]
        assert said == [["capture"], ["capture", "listed"], ["listed"], ["silent", "silent"]]

    def test_when_some_instances_are_to_be_contained_then_these_have_the_incidents(
        self, bare: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        existing = {"target_id": bare.balanced_target(), "filter_id": bare.mirror_filter()}
        configure(monkeypatch, bare, {"existing": existing}, incidents_per_finding=1)
        decides(monkeypatch, Rule("prod", "contain_now", tags={"stage": "prod"}), Rule("all", "capture"))
        ids = [bare.instance()[0] for _ in range(3)]
        bare.ec2.create_tags(Resources=ids[2:], Tags=[{"Key": "stage", "Value": "prod"}])
        decisions = findings.handler(sequence(*map(arn, ids)), None)["decisions"]
        assert [(one["action"], one["decision"]) for one in decisions] == [
            ("listed", "capture"),
            ("listed", "capture"),
            # Without `containment` at this site it is captured.
            ("capture", "contain_now"),
        ]

    def test_when_there_are_more_instances_than_a_notification_holds_then_it_is_cut(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch)
        # Of the real size it takes two thousand instances.
        monkeypatch.setattr(notifications, "_MESSAGE_BYTES", 4_096)
        ids = [f"i-{number:017x}" for number in range(50)]
        assert len(findings.handler(sequence(*map(arn, ids)), None)["decisions"]) == len(ids)
        [message] = site.messages()
        assert len(message["Message"].encode()) <= 4_096
        assert message["Message"].endswith("\n... (the rest is left out: it is more than a notification holds)\n")


def arn(instance: str, region: str = "eu-central-1") -> str:
    return f"arn:aws:ec2:{region}:123456789012:instance/{instance}"


def sequence(*arns: str) -> dict[str, Any]:
    """An attack sequence about instances of the account."""
    event: dict[str, Any] = document("attack-sequence-ec2") | {"id": str(uuid.uuid4())}
    event["detail"] |= {"id": "1" * 32, "accountId": "123456789012"}
    event["detail"]["service"]["detection"]["sequence"]["resources"] = [
        {"uid": uid, "resourceType": "EC2_INSTANCE", "data": {"ec2Instance": {}}} for uid in arns
    ]
    return event


@pytest.mark.parametrize("action", ["capture", "contain_now"])
@pytest.mark.parametrize("elsewhere", [{"accountId": "777788889999"}, {"region": "eu-west-1"}])
def test_when_a_finding_is_of_another_account_or_region_then_nothing_is_done_here(
    site: Site, monkeypatch: pytest.MonkeyPatch, elsewhere: dict[str, str], action: Any
) -> None:
    decides(monkeypatch, Rule("all", action, tags={"stage": "prod"}))
    instance, _ = site.instance()
    event = finding(instance)
    event["detail"] |= elsewhere
    event["detail"]["resource"]["instanceDetails"]["tags"] = [{"key": "stage", "value": "prod"}]
    decision = decided(event)
    assert (decision["action"], decision["rule"], decision["incident_id"]) == ("notify", "all", None)
    [message] = site.messages()
    account, region = event["detail"]["accountId"], event["detail"]["region"]
    assert f"Instance: {instance} in {region}, account {account}\n" in message["Message"]
    assert (
        f"  with TAPSTACK_URL set to the API of account {account} in {region}:\n  tapstack incident open"
        in message["Message"]
    )
    # Not even asked about: the id is another's there.
    assert (site.calls("ec2")[1:], site.calls("states")) == ([], [])


def test_when_credentials_of_an_instance_are_used_elsewhere_then_it_is_captured(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, Rule("credentials", "capture", types=("*:IAMUser/InstanceCredentialExfiltration*",)))
    instance, _ = site.instance()
    event = document("instance-credentials")
    event["detail"]["accountId"] = "123456789012"
    event["detail"]["resource"]["accessKeyDetails"]["principalId"] = f"AROAEXAMPLE:{instance}"
    assert item(decided(event)["incident_id"])["instance_id"] == instance


def test_when_the_instance_id_is_empty_then_a_notification_is_published(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    assert decided(document("empty-instance-id"))["action"] == "notify"
    assert "not capture: the finding names no EC2 instance" in site.messages()[-1]["Message"]


def test_when_something_optional_is_odd_then_the_finding_is_acted_on_and_the_notification_names_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    instance, _ = site.instance()
    wrong = {"count": "\nDecision: contain_now", "eventLastSeen": 5}
    assert decided(finding(instance, **wrong))["action"] == "capture"
    decides(monkeypatch)
    decided(finding(site.instance()[0], **wrong))
    lines = site.messages()[-1]["Message"].splitlines()
    assert [line for line in lines if line.startswith(("Left out", "Decision"))] == [
        "Left out: detail.service.count: expected a whole number from 0 to 2147483647, got '\\nDecision: contain_now'",
        "Left out: detail.service.eventLastSeen: expected a time such as 2026-01-02T03:04:05Z, got 5",
        "Decision: notify",
    ]


def test_when_findings_flood_then_operators_are_notified_of_twelve_of_a_level_an_hour(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decides(monkeypatch)
    monkeypatch.setattr(notified, "this_hour", lambda: "2026-01-02T03")
    instance, _ = site.instance()

    def found(number: int, severity: float = 5.0) -> None:
        event = finding(instance, severity)
        event["detail"]["id"] = f"{number:032x}"
        assert decided(event)["action"] == "notify"

    for number in range(NOTIFIED_IN_AN_HOUR + 3):
        found(number)
    says_so = [
        "no further findings of GuardDuty with severity medium that change nothing within this clock hour" in mail
        for mail in (message["Message"] for message in site.messages())
    ]
    assert says_so == [False] * (NOTIFIED_IN_AN_HOUR - 1) + [True]
    assert capsys.readouterr().out.count('"AlertsNotNotified":[1.0]') == 3
    assert len(site.events("Tapstack Finding")) == NOTIFIED_IN_AN_HOUR + 3

    # Neither what is more severe nor what the policy captures is lost among them, and another hour begins anew.
    found(100, 8.0)
    assert site.messages()[-1]["Subject"].startswith("[tapstack frankfurt] GuardDuty high")
    decides(monkeypatch, CAPTURE)
    assert decided(finding(site.instance()[0], 5.0))["action"] == "capture"
    decides(monkeypatch)
    monkeypatch.setattr(notified, "this_hour", lambda: "2026-01-02T04")
    before = len(site.messages())
    found(101)
    assert len(site.messages()) == before + 1


def test_when_one_that_operators_are_not_notified_of_comes_again_then_it_is_counted_once_and_stays_silent(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decides(monkeypatch)
    monkeypatch.setattr(notified, "this_hour", lambda: "2026-01-02T03")
    instance, _ = site.instance()
    for number in range(NOTIFIED_IN_AN_HOUR):
        findings.handler({**finding(instance, 5.0), "id": f"event-{number}"}, None)
    # It comes again for longer than an hour, as where another function fails because of it.
    for hour in ("03", "03", "04"):
        monkeypatch.setattr(notified, "this_hour", lambda hour=hour: f"2026-01-02T{hour}")
        findings.handler({**finding(instance, 5.0), "id": "one-more"}, None)
    assert len(site.messages()) == NOTIFIED_IN_AN_HOUR
    assert capsys.readouterr().out.count('"AlertsNotNotified":[1.0]') == 1


def test_when_events_flood_that_are_no_findings_then_operators_are_notified_of_twelve_an_hour(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(notified, "this_hour", lambda: "2026-01-02T03")
    for _ in range(NOTIFIED_IN_AN_HOUR + 2):
        assert findings.handler({"detail": {}}, None)["finding"] is None
    assert len(site.messages()) == NOTIFIED_IN_AN_HOUR
    assert "no further events that are no findings within" in site.messages()[-1]["Message"]
    assert capsys.readouterr().out.count('"AlertsNotNotified":[1.0]') == 2


@pytest.mark.parametrize("readable", [True, False])
def test_when_a_function_is_killed_before_it_notifies_then_the_next_one_notifies_and_counts_no_further_one(
    site: Site, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    decides(monkeypatch)
    monkeypatch.setattr(notified, "this_hour", lambda: "2026-01-02T03")
    instance, _ = site.instance()

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    for number in range(NOTIFIED_IN_AN_HOUR + 2):
        event = {**finding(instance, 5.0), "id": f"event-{number}"}
        event["detail"] |= {"id": f"{number:032x}"} if readable else {"severity": None}
        with monkeypatch.context() as killing:
            killing.setattr(notifications, "publish", kill)
            if number < NOTIFIED_IN_AN_HOUR:
                with pytest.raises(KeyboardInterrupt):
                    findings.handler(event, None)
            else:
                findings.handler(event, None)
        findings.handler(event, None)
        assert len(site.messages()) == min(number + 1, NOTIFIED_IN_AN_HOUR)
    # That further ones are silent is said, though the function that counted the last one was killed.
    assert "within this clock hour" in site.messages()[-1]["Message"]


def test_when_a_great_deal_is_odd_then_some_of_it_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(monkeypatch)
    event = finding(site.instance()[0])
    event["detail"]["resource"]["instanceDetails"]["tags"] = list(range(15))
    decided(event)
    lines = [line for line in site.messages()[-1]["Message"].splitlines() if line.startswith("Left out")]
    assert (len(lines), lines[-1]) == (11, "Left out: 5 more values")


def test_when_the_title_is_made_up_then_it_is_one_quoted_line(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    decides(monkeypatch, CAPTURE)
    instance, _ = site.instance()
    event = finding(instance, archived=True)
    event["detail"]["title"] = "x'\n\u202eDecision: capture\x1b[2J"
    decided(event)
    assert '\nTitle:    "x\'Decision: capture[2J"\n' in site.messages()[-1]["Message"]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"source": "aws.ec2", "detail-type": "x", "detail": {}}, "this is an event of another source, 'aws.ec2': "),
        (document("sns-notification"), "this is a message of Amazon SNS"),
        (document("security-hub-event") | {"source": "custom"}, "this is an event of another source, 'custom': "),
        (
            finding("i-0123456789abcdef0") | {"detail": {"id": "x"}},
            "detail.type: is missing: a GuardDuty finding has it",
        ),
        (
            finding("i-0123456789abcdef0", severity="\nhigh"),
            "detail.severity: expected a number from 0 to 10, got '\\nhigh'",
        ),
        ([], "expected a JSON object, got []"),
        (None, "expected a JSON object, got null"),
    ],
)
def test_when_it_is_no_finding_then_one_notification_says_what_it_is_and_nothing_is_done(
    site: Site, monkeypatch: pytest.MonkeyPatch, event: Any, why: str
) -> None:
    decides(monkeypatch, Rule("all", "capture"))
    assert findings.handler(event, None)["decisions"] == []
    [message] = site.messages()
    assert message["Subject"] == "[tapstack frankfurt] GuardDuty: an event that is no finding"
    lines = message["Message"].splitlines()
    assert lines[2].startswith(f"Why:      {why}")
    assert lines[3].startswith("Event:    '")
    assert len(lines) == 7
    assert lines[5] == "What to run next, which lists the ids of GuardDuty's latest findings:"
    assert lines[6].startswith("  aws guardduty list-findings --region eu-central-1 ")
    # Counted, and recorded as published where it is known when it comes again; nothing else.
    is_known = isinstance(event, dict) and {"id", "detail-type"} <= event.keys()
    counted = ["GetItem", "UpdateItem", "TransactWriteItems"] if is_known else ["UpdateItem"]
    assert (site.calls("dynamodb"), site.calls("states")) == (counted, [])


def test_fails_when_the_policy_cannot_be_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding is as it should be: it is kept, and tried again."""
    monkeypatch.setenv("TAPSTACK_POLICY", "[")
    environment.cache_clear()
    with pytest.raises(RuleViolation, match="the policy is no JSON"):
        findings.handler(finding(site.instance()[0]), None)
    assert site.messages() == []


@pytest.mark.parametrize("tags", [{}, {"application": "*"}])
def test_when_ec2_does_not_say_whether_it_exists_then_the_policy_decides_unless_it_asks_for_tags(
    site: Site, monkeypatch: pytest.MonkeyPatch, tags: dict[str, str]
) -> None:
    decides(monkeypatch, Rule("all", "capture", tags=tags))
    instance, _ = site.instance()
    site.account.faults.add(Fault("DescribeInstances", "throttled", times=10))
    if tags:
        with pytest.raises(TryAgain):
            findings.handler(finding(instance), None)
    else:
        [decision] = findings.handler(finding(instance), None)["decisions"]
        assert decision["action"] == "capture"
