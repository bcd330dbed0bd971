"""Alerts of other tools come in: the policy decides about the one instance that each names, or it is unmatched."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.ec2.models import ec2_backends

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.faults import Fault
from tapstack.domain.alert_mappings import AlertMapping, AlertSource, preset
from tapstack.domain.alerts import Alert, Target
from tapstack.domain.console import instance_page
from tapstack.domain.incident_events import DETAIL_TYPE
from tapstack.domain.incidents import as_text, as_time, utc_now
from tapstack.domain.kept_alerts import KeptAlert, kept_alert
from tapstack.domain.ocsf import detection_finding
from tapstack.domain.policy import Rule
from tapstack.responder.capture.interfaces import existing_instances
from tapstack.responder.environment import environment
from tapstack.responder.errors import TryAgain
from tapstack.responder.handlers import findings as handler
from tapstack.responder.incident import alerts, findings, joining, targets
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.incident.alerts import receive_kept
from tapstack.responder.outbound.notifications import NOTIFIED_IN_AN_HOUR
from tapstack.responder.store import alerts as alerts_store
from tapstack.responder.store import containments, incidents, notified
from tapstack.responder.store.incidents import Incident
from tapstack.responder.sweeper import sweep
from tests.responder.conftest import Site, item, opened
from tests.responder.test_findings import arn, decides, finding, sequence
from tests.unit.domain.alerts import sample

LANDING = "tap-frankfurt-xdr"
SOURCES = {
    "soc": AlertSource("generic"),
    "hunters": AlertSource("hunters"),
    "forwarder": AlertSource("guardduty"),
    "edr": AlertSource(mapping=AlertMapping("id", "id", "level", private_ip="ip", vpc_id="'vpc-0123456789abcdef0'")),
}
CAPTURE = Rule("all", "capture", minutes=30)


@pytest.fixture(autouse=True)
def _sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "alert_sources", lambda: SOURCES)


@pytest.fixture
def landing(site: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket that unmatched alerts are kept in."""
    s3 = site.client("s3")
    s3.create_bucket(Bucket=LANDING, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    monkeypatch.setenv("TAPSTACK_LANDING_BUCKET", LANDING)
    environment.cache_clear()
    return s3


def generic(target: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {
        "version": "1",
        "alert_id": "a-1",
        "severity": "high",
        "title": "Beacon to a known C2",
        "type": "beacon",
        "technique": "T1071.001",
        "time": "2026-01-02T03:04:05Z",
        "target": target,
        **values,
    }


def kept(document: Any, delivery: str = "msg_1", source: str = "soc") -> KeptAlert:
    return KeptAlert(source, delivery, as_text(utc_now()), json.dumps(document))


def contains_now(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the policy contain at once, whatever an alert is about."""
    groups = {site.vpc: {"quarantine": site.group}}
    contained = {**site.settings, "containment": {"modes": ["now"], "groups": groups}}
    monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps(contained))
    decides(monkeypatch, Rule("all", "contain_now"))


def decided(document: Any, delivery: str = "msg_1", source: str = "soc") -> dict[str, Any]:
    """What was decided about the one instance of the one alert of a document."""
    result = receive_kept(kept(document, delivery, source))
    assert result["unmatched"] == []
    [alert] = result["alerts"]
    [decision] = alert["decisions"]
    return dict(decision)


def lead(instance: str, finding_named: str | None = None) -> dict[str, Any]:
    """A lead of Hunters about an instance of the site, which may pass on a finding of GuardDuty."""
    entities = [
        {"kind": "aws_account_id", "value": "123456789012"},
        {"kind": "aws_instance_id", "value": instance},
    ]
    of_guardduty = {"guardduty_finding": finding_named} if finding_named is not None else {}
    return {**sample("hunters"), "entities": entities, **of_guardduty}


def failing_about(monkeypatch: pytest.MonkeyPatch, instance_id: str) -> list[bool]:
    """Let every decision about an instance fail, until what is returned is cleared."""
    real, failing = findings.decide, [True]

    def decide(alert: Alert, *args: Any, **more: Any) -> list[dict[str, Any]]:
        if failing and alert.instances[0].id == instance_id:
            raise RuntimeError("broken")
        return real(alert, *args, **more)

    monkeypatch.setattr(findings, "decide", decide)
    return failing


def why_unmatched(document: Any, source: str = "soc", delivery: str = "msg_1") -> str:
    result = receive_kept(kept(document, delivery, source))
    assert result["alerts"] == []
    [reason] = result["unmatched"]
    return str(reason)


def security_hub(arn: str, instance: str, preset: str = "securityhub") -> dict[str, Any]:
    """An event of Security Hub about a finding of GuardDuty and an instance of the site."""
    event = sample(preset)
    [one] = event["detail"]["findings"]
    instance_arn = f"arn:aws:ec2:eu-central-1:123456789012:instance/{instance}"
    if preset == "securityhub":
        one |= {"Id": arn, "AwsAccountId": "123456789012"}
        one["Resources"][0]["Id"] = instance_arn
    else:
        one["finding_info"]["uid"] = arn
        one["cloud"]["account"]["uid"] = "123456789012"
        one["resources"][0]["uid"] = instance_arn
    return event


FINDING_ARN = "arn:aws:guardduty:eu-central-1:123456789012:detector/d/finding/0123456789abcdef0123456789abcdef"


class TestDecisions:
    def test_when_alerts_of_a_source_flood_then_those_of_another_are_notified_of(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        decides(monkeypatch)
        monkeypatch.setattr(notified, "this_hour", lambda: "2026-01-02T03")
        instance, _ = site.instance()
        for number in range(NOTIFIED_IN_AN_HOUR + 2):
            document = generic({"instance_id": instance}, alert_id=f"a-{number}")
            assert decided(document, f"msg_{number}")["action"] == "notify"
        assert len(site.messages()) == NOTIFIED_IN_AN_HOUR
        assert "no further alerts of soc with severity high that change" in site.messages()[-1]["Message"]
        assert capsys.readouterr().out.count('"AlertsNotNotified":[1.0]') == 2
        # Subscribers and `xdr status` have all.
        assert len(site.events("Tapstack Alert")) == NOTIFIED_IN_AN_HOUR + 2
        document = {**sample("hunters"), "entities": [{"kind": "aws_instance_id", "value": instance}]}
        assert decided(document, "lead", "hunters")["action"] == "notify"
        assert site.messages()[-1]["Subject"].startswith("[tapstack frankfurt] hunters high")

    def test_when_a_rule_captures_then_the_incident_says_who_raised_the_alert(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("others", "notify", sources=("hunters",)), CAPTURE)
        instance, _ = site.instance()
        decision = decided(generic({"instance_id": instance}))
        incident = item(decision["incident_id"])
        assert (decision["action"], decision["rule"], incident["instance_id"]) == ("capture", "all", instance)
        assert (incident["source"], incident["alert_id"], incident["opened_by"]) == ("soc", "soc:a-1", "policy:soc")
        assert (incident["reason"], incident["technique"]) == ("soc: Beacon to a known C2", "T1071.001")
        assert (incident["severity"], incident["minutes"]) == ("high", 30)
        [event] = site.events("Tapstack Alert")
        assert (event["source"], event["delivery"], event["unmatched"]) == ("soc", "msg_1", [])
        assert event["alerts"] == [{"alert": "soc:a-1", "type": "beacon", "decisions": [decision]}]

    def test_when_an_alert_names_several_techniques_and_tactics_then_all_are_kept_matched_and_shown(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("dns", "capture", techniques=("T1041",), tactics=("Exfiltration",)))
        attack = {"technique": ["T1071.004", "T1041"], "tactics": ["TA0011", "Exfiltration"]}
        document = generic({"instance_id": site.instance()[0]}, **attack)
        incident = incidents.get(decided(document)["incident_id"])
        assert incident.techniques == ("T1071.004", "T1041")
        assert incident.tactics == ("CommandAndControl", "Exfiltration")
        shown = incidents.shown(incident)
        assert (shown["technique"], shown["techniques"]) == ("T1071.004", ["T1071.004", "T1041"])
        assert shown["tactics"] == ["CommandAndControl", "Exfiltration"]
        more = {"technique": ["T1572", "T1041"], "tactics": ["Discovery", "Exfiltration"]}
        joined = decided({**document, **more, "alert_id": "a-2"}, "msg_2")
        assert (joined["action"], joined["incident_id"]) == ("joined", incident.id)
        lines = site.messages()[-1]["Message"].splitlines()
        at = lines.index("Tactics:  CommandAndControl and Exfiltration")
        assert lines[at + 1] == "ATT&CK:   T1071.004, T1041"
        its = next(n for n, line in enumerate(lines) if line.startswith("Joined:   alert soc:a-2"))
        assert lines[its + 1 : its + 3] == ["Tactics:  Discovery and Exfiltration", "ATT&CK:   T1572, T1041"]
        told = {one["what"]: one for one in site.events(DETAIL_TYPE)}
        assert told["opened"]["techniques"] == ["T1071.004", "T1041"]
        assert [one["id"] for one in told["opened"]["tactics"]] == ["TA0011", "TA0010"]
        assert told["joined"]["techniques"] == ["T1572", "T1041"]
        attacks = detection_finding(told["joined"])["finding_info"]["attacks"]
        named = [one.get("technique", one.get("tactic"))["uid"] for one in attacks]
        assert named == ["T1572", "T1041", "TA0007", "TA0010"]

    def test_when_the_same_delivery_comes_again_then_nothing_changes_and_the_outcome_is_the_first(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, _ = site.instance()
        first = receive_kept(kept(generic({"instance_id": instance})))
        incident_steps.close(first["alerts"][0]["decisions"][0]["incident_id"], "closed")
        site.account.recorder.clear()
        other = generic({"instance_id": site.instance()[0]}, alert_id="other")
        site.account.recorder.clear()
        assert receive_kept(kept(other)) == first
        assert [record.call.action for record in site.account.recorder.records()] == ["GetItem"]

    def test_when_the_same_alert_comes_anew_then_it_is_the_same_incident_without_a_notification(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        document = generic({"instance_id": site.instance()[0]})
        first, again = decided(document), decided(document, "msg_2")
        assert again == {**first, "action": "silent"}
        assert site.messages() == []

    def test_when_another_tool_raises_an_alert_about_the_instance_then_it_joins_and_says_who(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, _ = site.instance()
        opened = handler.handler(finding(instance), None)["decisions"][0]["incident_id"]
        decision = decided(generic({"instance_id": instance}))
        assert (decision["action"], decision["incident_id"]) == ("joined", opened)
        # The id alone is another tool's alert.
        assert decided(generic({"instance_id": instance}), "msg_2", "soc")["action"] == "silent"
        [message] = site.messages()
        assert "Joined:   alert soc:a-1, beacon: 'Beacon to a known C2'" in message["Message"]

    def test_when_no_rule_matches_then_the_notification_speaks_of_the_source(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch)
        instance, _ = site.instance()
        decided(generic({"instance_id": instance}, type="a beacon\n!", tactics="TA0011"))
        [message] = site.messages()
        assert message["Subject"] == "[tapstack frankfurt] soc high: 'a beacon !'"
        assert message["Message"].splitlines() == [
            "soc reports 'a beacon !', severity 7 (high).",
            "",
            "Title:    'Beacon to a known C2'",
            "Tactics:  CommandAndControl",
            "ATT&CK:   T1071.001",
            "Alert:    soc:a-1 in eu-central-1, account 123456789012, seen 1 time",
            "",
            f"Instance: {instance}",
            f"Console:  {instance_page('eu-central-1', instance)}",
            "Decision: notify",
            "Rule:     none matches",
            "What to run next:",
            f"  tapstack incident open --instance {instance} --reason 'soc a-1'",
        ]

    def test_when_the_instance_is_elsewhere_then_ec2_is_not_asked_and_operators_are_notified(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        document = generic({"instance_id": site.instance()[0]}, account_id="999999999999")
        site.account.recorder.clear()
        assert decided(document)["action"] == "notify"
        assert site.calls("ec2") == []
        assert "not capture: the instance is of account 999999999999" in site.messages()[0]["Message"]

    def test_when_a_tool_names_a_time_to_come_then_it_counts_as_now(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        contains_now(site, monkeypatch)
        document = generic({"instance_id": site.instance()[0]}, time="2099-01-01T00:00:00Z")
        containment = item(decided(document)["incident_id"])["containment"]
        assert as_time(containment["as_of"]) <= utc_now()
        assert (containment["asked_by"], containment["state"]) == ("policy:soc", "containing")

    @pytest.mark.parametrize("time", [None, "yesterday", {}])
    def test_when_no_time_can_be_read_then_the_moment_of_receiving_counts(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, time: Any
    ) -> None:
        decides(monkeypatch, CAPTURE)
        document = generic({"instance_id": site.instance()[0]}, time=time)
        first = decided(document)["incident_id"]
        incident_steps.fail(first, "NothingMirrored", "no")
        ended = incidents.ended_at(incidents.get(first))
        assert ended is not None

        def received(delivery: str, document: Any, later: int) -> dict[str, Any]:
            moment = as_text(as_time(ended) + timedelta(seconds=later))
            [alert] = receive_kept(KeptAlert("soc", delivery, moment, json.dumps(document)))["alerts"]
            return dict(alert["decisions"][0])

        assert received("msg_2", document, 0)["action"] == "silent"
        anew = received("msg_3", document, 5)
        assert (anew["action"], anew["incident_id"] != first) == ("capture", True)
        # Another alert joins what captures, not what failed.
        other = received("msg_4", {**document, "alert_id": "a-2"}, 6)
        assert (other["action"], other["incident_id"]) == ("joined", anew["incident_id"])

    def test_when_it_was_released_then_an_alert_without_a_time_contains_again(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        contains_now(site, monkeypatch)
        released = as_text(utc_now() - timedelta(minutes=5))
        monkeypatch.setattr(joining, "last_release", lambda _: containments.released_at(released))
        for number, (received, action) in enumerate(
            [(released, "capture"), (as_text(utc_now() - timedelta(minutes=4)), "contain_now")]
        ):
            document = generic({"instance_id": site.instance()[0]}, alert_id=f"a-{number}", time=None)
            [alert] = receive_kept(KeptAlert("soc", f"msg_{number}", received, json.dumps(document)))["alerts"]
            assert alert["decisions"][0]["action"] == action

    def test_when_another_tool_opens_many_then_places_stay_for_responders(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tapstack.responder.capture.places import reserved

        decides(monkeypatch, CAPTURE)
        incident = incidents.get(decided(generic({"instance_id": site.instance()[0]}))["incident_id"])
        assert reserved(incident) == 2


class TestGuardDutyByAnyWay:
    @pytest.mark.parametrize("preset", ["securityhub", "securityhub_ocsf"])
    def test_when_security_hub_brings_what_guardduty_brought_then_it_is_one_incident_and_nothing_is_said(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, preset: str
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, _ = site.instance()
        opened = handler.handler(finding(instance), None)["decisions"][0]["incident_id"]
        result = handler.handler(security_hub(FINDING_ARN, instance, preset), None)
        [decision] = result["alerts"][0]["decisions"]
        assert (decision["action"], decision["incident_id"]) == ("silent", opened)
        assert site.messages() == []

    def test_when_it_comes_first_by_others_then_guardduty_finds_the_incident(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, _ = site.instance()
        first = handler.handler(security_hub(FINDING_ARN, instance), None)["alerts"][0]["decisions"][0]
        incident = item(first["incident_id"])
        assert (incident["source"], incident["alert_id"]) == ("securityhub", "0123456789abcdef0123456789abcdef")
        assert incident["reason"].startswith("Security Hub: EC2 instance is querying")
        by_guardduty = handler.handler(finding(instance), None)["decisions"][0]
        event = finding(instance)
        by_forwarder = decided(event, source="forwarder")
        by_xdr = decided(generic({"instance_id": instance}, guardduty_finding=FINDING_ARN), "msg_2")
        for decision in (by_guardduty, by_forwarder, by_xdr):
            assert (decision["action"], decision["incident_id"]) == ("silent", first["incident_id"])
        assert site.messages() == []

    def test_when_a_lead_passes_on_a_finding_whose_incident_is_closed_then_it_opens_no_other_one(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, _ = site.instance()
        opened = handler.handler(finding(instance), None)["decisions"][0]["incident_id"]
        incident_steps.close(opened, "closed")
        decision = decided(lead(instance, FINDING_ARN), source="hunters")
        assert (decision["action"], decision["incident_id"]) == ("silent", opened)
        # What names no finding is an alert of its own.
        assert decided(lead(instance), "msg_2", "hunters")["action"] == "capture"

    @pytest.mark.parametrize("is_closed", [False, True])
    @pytest.mark.parametrize("is_first", [False, True], ids=["sequence first", "lead first"])
    def test_when_a_lead_passes_on_an_attack_sequence_then_it_is_the_same_incident(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, is_first: bool, is_closed: bool
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, _ = site.instance()
        ways = [
            lambda: handler.handler(sequence(arn(instance)), None)["decisions"][0],
            lambda: decided(lead(instance, "1" * 32), source="hunters"),
        ]
        first, second = reversed(ways) if is_first else ways
        opened = first()
        assert opened["action"] == "capture"
        if is_closed:
            incident_steps.close(opened["incident_id"], "closed")
        after = second()
        # A sequence is critical, and raises the severity of an incident that is open.
        action = "updated" if is_first and not is_closed else "silent"
        assert (after["action"], after["incident_id"]) == (action, opened["incident_id"])
        [only] = [*incidents.listed("open"), *incidents.listed("closed")]
        assert only.id == opened["incident_id"]

    def test_when_the_policy_only_notifies_then_guarddutys_own_event_does(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch)
        instance, _ = site.instance()
        handler.handler(security_hub(FINDING_ARN, instance), None)
        assert site.messages() == []
        handler.handler(finding(instance), None)
        other = security_hub("arn:aws:inspector2:eu-central-1:123456789012:finding/x", instance)
        handler.handler({**other, "id": "another"}, None)
        assert [message["Subject"].split()[2:4] for message in site.messages()] == [
            ["GuardDuty", "high:"],
            ["Security", "Hub"],
        ]

    @pytest.mark.parametrize(
        ("named", "mails"),
        [
            (FINDING_ARN, 0),
            ("0123456789abcdef0123456789abcdef", 1),
            (FINDING_ARN.replace("123456789012", "999999999999"), 1),
            (FINDING_ARN.replace("eu-central-1", "eu-west-1"), 1),
        ],
    )
    def test_when_the_policy_only_notifies_then_only_the_arn_of_a_finding_of_here_keeps_an_alert_silent(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, named: str, mails: int
    ) -> None:
        decides(monkeypatch)
        instance, _ = site.instance()
        decision = decided(generic({"instance_id": instance}, guardduty_finding=named))
        assert (decision["action"], len(site.messages())) == ("notify" if mails else "silent", mails)

    def test_when_a_rule_asks_for_guardduty_then_the_same_finding_by_a_webhook_does_not_pass_for_it(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("own", "capture", sources=("guardduty",)))
        instance, _ = site.instance()
        assert decided(finding(instance), source="forwarder")["action"] == "silent"
        assert decided(generic({"instance_id": instance}, guardduty_finding="f"), "msg_2")["incident_id"] is None
        assert handler.handler(finding(instance), None)["decisions"][0]["action"] == "capture"


class TestTargets:
    def test_when_an_interface_or_an_address_is_named_then_ec2_says_whose_it_is(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, primary = site.instance()
        second = site.attach(instance)
        described = site.ec2.describe_network_interfaces(NetworkInterfaceIds=[second])["NetworkInterfaces"][0]
        by_address = {"private_ip": described["PrivateIpAddress"], "vpc_id": site.vpc}
        for number, target in enumerate(({"network_interface_id": primary}, by_address)):
            assert decided(generic(target, time=as_text(utc_now())), f"msg_{number}")["instance_id"] == instance

    def test_fails_when_the_address_is_a_further_one_which_may_have_moved(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As where a pod or a cluster has it: it moves, and the interface stays attached."""
        decides(monkeypatch, CAPTURE)
        (before, first), (after, second) = site.instance(), site.instance()
        further = {"PrivateIpAddresses": ["10.0.1.99"]}
        by_address = {"private_ip": "10.0.1.99", "vpc_id": site.vpc}
        site.ec2.assign_private_ip_addresses(NetworkInterfaceId=first, **further)
        seen = as_text(utc_now())
        site.ec2.unassign_private_ip_addresses(NetworkInterfaceId=first, **further)
        site.ec2.assign_private_ip_addresses(NetworkInterfaceId=second, **further)
        assert why_unmatched(generic(by_address, time=seen)) == (
            f"alert soc:a-1: the address 10.0.1.99 in {site.vpc} is a further one of {second}, and EC2 does not say "
            "since when: which instance had it then is not known. Let the tool send the id of the instance, or of its "
            "interface"
        )
        # Beside what is certain it speaks against nothing, wherever it is now.
        for number, target in enumerate(({"instance_id": before}, {"network_interface_id": first})):
            document = generic({**target, **by_address}, alert_id=f"a-{number}", time=seen)
            assert decided(document, f"both_{number}")["instance_id"] == before
        document = generic({"instance_id": after, **by_address}, alert_id="a-9", time=seen)
        assert decided(document, "holder")["instance_id"] == after

    def test_fails_when_the_interface_was_attached_after_the_alert(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        (before, _), (instance, _) = site.instance(), site.instance()
        moved = site.attach(instance)
        [described] = site.ec2.describe_network_interfaces(NetworkInterfaceIds=[moved])["NetworkInterfaces"]
        attached = described["Attachment"]["AttachTime"]
        earlier, since = as_text(attached - timedelta(seconds=60)), as_text(attached)
        by_address = {"private_ip": described["PrivateIpAddress"], "vpc_id": site.vpc}
        ways = [(f"network interface {moved}", {"network_interface_id": moved})]
        ways.append((f"the interface with the address {described['PrivateIpAddress']} in {site.vpc}", by_address))
        for number, (said, target) in enumerate(ways):
            assert why_unmatched(generic(target, time=earlier), delivery=f"early_{number}") == (
                f"alert soc:a-1: {said} is attached to {instance} since {since}, after what it reports was seen last, "
                f"at {earlier}: which instance had it then is not known"
            )
            for time in (since, None):
                document = generic(target, alert_id=f"a-{number}-{time}", time=time)
                assert decided(document, f"{number}-{time}")["instance_id"] == instance
        # What is another's only since then does not speak against the instance that is named.
        both = {"instance_id": before, "network_interface_id": moved}
        assert decided(generic(both, time=earlier), "both")["instance_id"] == before

    def test_fails_when_the_interface_was_attached_between_the_event_and_its_detection(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As where a detector runs on a schedule."""
        decides(monkeypatch, CAPTURE)
        instance, _ = site.instance()
        moved = site.attach(instance)
        [described] = site.ec2.describe_network_interfaces(NetworkInterfaceIds=[moved])["NetworkInterfaces"]
        attached = described["Attachment"]["AttachTime"]
        happened, detected = attached - timedelta(seconds=60), attached
        times = {"event_time": as_text(happened), "detection_time": as_text(detected)}
        address = [
            {"kind": "ip", "value": described["PrivateIpAddress"]},
            {"kind": "aws_vpc_id", "value": site.vpc},
        ]
        for number, entities in enumerate([[{"kind": "aws_eni_id", "value": moved}], address]):
            document = {**sample("hunters"), **times, "entities": entities}
            why = why_unmatched(document, "hunters", f"between_{number}")
            assert f"after what it reports was seen last, at {as_text(happened)}: " in why
        # Where a lead has no other time that can be read, that of its detection counts.
        del document["event_time"]
        assert decided(document, "only detected", "hunters")["instance_id"] == instance

    @pytest.mark.parametrize(
        "unread", ["26/Nov/2026:11:50:00 +0000", ["26.11.", "yesterday"], {"at": 1}, -5, 0, "0001-01-01T00:00:00Z"]
    )
    def test_fails_when_the_interface_was_attached_after_the_one_time_that_can_be_read(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, unread: Any
    ) -> None:
        decides(monkeypatch, CAPTURE)
        moved = site.attach(site.instance()[0])
        [described] = site.ec2.describe_network_interfaces(NetworkInterfaceIds=[moved])["NetworkInterfaces"]
        detected = as_text(described["Attachment"]["AttachTime"] - timedelta(seconds=60))
        times = {"event_time": unread, "detection_time": detected}
        document = {**sample("hunters"), **times, "entities": [{"kind": "aws_eni_id", "value": moved}]}
        assert f"after what it reports was seen last, at {detected}: " in why_unmatched(document, "hunters")

    def test_when_a_lead_of_before_a_release_is_detected_after_it_then_it_does_not_contain_again(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        contains_now(site, monkeypatch)
        released = as_text(utc_now() - timedelta(minutes=5))
        monkeypatch.setattr(joining, "last_release", lambda _: containments.released_at(released))
        now = as_text(utc_now())
        for number, (happened, action) in enumerate([(released, "capture"), (now, "contain_now")]):
            document = lead(site.instance()[0]) | {
                "uuid": f"lead-{number}",
                "event_time": happened,
                "detection_time": now,
            }
            assert decided(document, f"msg_{number}", "hunters")["action"] == action

    @pytest.mark.parametrize("ahead", [None, timedelta(hours=2)])
    def test_fails_when_the_interface_was_attached_after_the_alert_was_received(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, ahead: timedelta | None
    ) -> None:
        """As where it comes back from the dead letters, days later."""
        decides(monkeypatch, CAPTURE)
        moved = site.attach(site.instance()[0])
        [described] = site.ec2.describe_network_interfaces(NetworkInterfaceIds=[moved])["NetworkInterfaces"]
        attached = described["Attachment"]["AttachTime"]
        received = as_text(attached - timedelta(days=13))
        time = None if ahead is None else as_text(attached + ahead)
        document = generic({"network_interface_id": moved}, time=time)
        result = receive_kept(KeptAlert("soc", "msg_1", received, json.dumps(document)))
        assert result["alerts"] == []
        assert f"after what it reports was seen last, at {received}" in result["unmatched"][0]

    def test_when_the_address_is_also_another_vpcs_then_the_vpc_decides(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        vpc = site.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = site.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/20")["Subnet"]["SubnetId"]
        here, _ = site.instance(PrivateIpAddress="10.0.1.10")
        there, _ = site.instance(subnet=subnet, PrivateIpAddress="10.0.1.10")
        now = as_text(utc_now())
        found = [
            decided(generic({"private_ip": "10.0.1.10", "vpc_id": one}, alert_id=one, time=now), one)["instance_id"]
            for one in (site.vpc, vpc)
        ]
        assert found == [here, there]

    def test_fails_when_several_interfaces_have_the_address(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """As while an address moves from one to another: what EC2 describes is eventually consistent."""
        decides(monkeypatch, CAPTURE)
        (one, _), (other, second) = (
            site.instance(PrivateIpAddress="10.0.1.10"),
            site.instance(PrivateIpAddress="10.0.1.11"),
        )
        by_address = {"private_ip": "10.0.1.10", "vpc_id": site.vpc}
        now = as_text(utc_now())
        assert decided(generic(by_address, time=now), "one")["instance_id"] == one
        moved = ec2_backends[ACCOUNT_ID][REGION].get_network_interface(second)
        moved.private_ip_addresses.append({"Primary": False, "PrivateIpAddress": "10.0.1.10"})
        several = f"2 network interfaces have the address 10.0.1.10 in {site.vpc}"
        document = generic(by_address, alert_id="a-2", time=now)
        assert why_unmatched(document, delivery="two") == f"alert soc:a-2: {several}"
        # Beside an instance it speaks against none.
        for instance in (one, other):
            both = generic({"instance_id": instance, **by_address}, alert_id=instance, time=now)
            assert decided(both, instance)["instance_id"] == instance

    @pytest.mark.parametrize(
        ("target", "why"),
        [
            ({"instance_id": "i-0123456789abcdef0"}, "there is no instance i-0123456789abcdef0 in this account"),
            ({"network_interface_id": "eni-0123456789abcdef0"}, "there is no network interface eni-0123456789abcdef0"),
            (
                {"private_ip": "10.0.9.9", "vpc_id": "vpc-0123456789abcdef0"},
                "no network interface has the address 10.0.9.9 in vpc-0123456789abcdef0",
            ),
        ],
    )
    def test_fails_when_nothing_of_it_is_there(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, target: dict[str, Any], why: str
    ) -> None:
        decides(monkeypatch, CAPTURE)
        assert why_unmatched(generic(target)).startswith(f"alert soc:a-1: {why}")
        assert site.calls("states") == []

    def test_fails_when_the_interface_is_attached_to_none_or_the_place_is_elsewhere(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        alone = site.interface()
        address = site.ec2.describe_network_interfaces(NetworkInterfaceIds=[alone])["NetworkInterfaces"][0]
        by_address = {"private_ip": address["PrivateIpAddress"], "vpc_id": site.vpc}
        assert why_unmatched(generic({"network_interface_id": alone})).endswith("is attached to no instance")
        assert why_unmatched(generic(by_address), delivery="2").endswith("is attached to no instance")
        elsewhere = generic({"network_interface_id": alone}, region="eu-west-1")
        assert why_unmatched(elsewhere, delivery="3").endswith(
            "it is about account 123456789012 in eu-west-1, not about this site's"
        )

    def test_fails_when_the_interface_is_another_instances(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        decides(monkeypatch, CAPTURE)
        (one, _), (other, eni) = site.instance(), site.instance()
        document = generic({"instance_id": one, "network_interface_id": eni}, time=as_text(utc_now()))
        assert why_unmatched(document).endswith(f"it names {one}, but its interface {eni} is that of {other}")

    def test_when_an_address_is_named_beside_the_instance_then_it_must_not_be_anothers(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        (one, primary), (other, _) = (
            site.instance(PrivateIpAddress="10.0.1.10"),
            site.instance(PrivateIpAddress="10.0.1.11"),
        )
        now = as_text(utc_now())

        def lead(*entities: tuple[str, str]) -> dict[str, Any]:
            listed = [{"kind": kind, "value": value} for kind, value in entities]
            return sample("hunters") | {"event_time": now, "entities": listed}

        its, vpc = ("aws_instance_id", one), ("aws_vpc_id", site.vpc)
        wrong = why_unmatched(lead(its, ("ip", "10.0.1.11"), vpc), "hunters", "wrong")
        assert wrong.endswith(f": it names {one}, but its address 10.0.1.11 in {site.vpc} is that of {other}")
        wrong = why_unmatched(lead(("aws_eni_id", primary), ("ip", "10.0.1.11"), vpc), "hunters", "wrong interface")
        assert wrong.endswith(
            f": it names {primary} of {one}, but its address 10.0.1.11 in {site.vpc} is that of {other}"
        )
        right = [
            ("ip", "10.0.1.10"),  # its own
            ("ip", "198.51.100.7"),  # of no interface: the other end
            ("ip", "2001:db8::7"),
        ]
        for number, entity in enumerate(right):
            assert decided(lead(its, entity, vpc), f"right_{number}", "hunters")["instance_id"] == one
        # Several addresses are normal, and without a VPC one may be anywhere.
        assert (
            decided(lead(its, ("ip", "10.0.1.11"), ("ip", "10.0.1.10"), vpc), "several", "hunters")["instance_id"]
            == one
        )
        assert decided(lead(its, ("ip", "10.0.1.11")), "anywhere", "hunters")["instance_id"] == one

    def test_when_an_interface_of_one_of_several_instances_is_named_then_each_is_decided_about(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (one, interface), (two, _), (other, others) = site.instance(), site.instance(), site.instance()
        about = Target(instance_ids=(one, two), network_interface_id=interface)
        alert = Alert("soc", "a-1", "", 7.0, environment().home, target=about, last_seen=as_text(utc_now()))
        found, _ = targets.resolved(alert)
        assert [(each.id, each.network_interface_ids) for each in found.instances] == [(one, (interface,)), (two, ())]
        foreign = replace(alert, target=replace(about, network_interface_id=others))
        with pytest.raises(
            targets.Unresolved, match=f"^it names {one}, {two}, but its interface {others} is that of {other}$"
        ):
            targets.resolved(foreign)

    def test_when_one_of_several_instances_is_gone_then_the_other_is_decided_about(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, _ = site.instance()
        event = security_hub(FINDING_ARN, instance)
        resources = event["detail"]["findings"][0]["Resources"]
        resources.append({**resources[0], "Id": resources[0]["Id"].replace(instance, "i-0123456789abcdef0")})
        [alert] = handler.handler(event, None)["alerts"]
        assert [one["instance_id"] for one in alert["decisions"]] == [instance]

    @pytest.mark.parametrize("way", ["id", "forwarded"])
    def test_when_the_instance_is_terminated_and_has_an_open_incident_then_the_alert_joins_and_asks_for_nothing(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, _ = site.instance()
        incident = decided(generic({"instance_id": instance}))["incident_id"]
        before = item(incident)["expires_at"]
        site.ec2.terminate_instances(InstanceIds=[instance])
        contains_now(site, monkeypatch)
        document: dict[str, Any] = {**generic({"instance_id": instance}), "alert_id": "a-2", "severity": "critical"}
        sent = (document, "soc") if way == "id" else (finding(instance, 9.5), "forwarder")
        result = receive_kept(kept(sent[0], "msg_2", source=sent[1]))
        assert result["unmatched"] == []
        [decision] = result["alerts"][0]["decisions"]
        assert (decision["action"], decision["decision"], decision["incident_id"]) == ("joined", "notify", incident)
        now = item(incident)
        assert (now["severity"], now["expires_at"], now["containment"]) == ("critical", before, None)
        incident_steps.close(incident, "closed")
        assert receive_kept(kept(sent[0], "msg_3", source=sent[1]))["unmatched"][0].endswith("is terminated")

    @pytest.mark.parametrize("way", ["id", "interface", "forwarded"])
    def test_fails_when_the_instance_is_terminated_or_ends(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, primary = site.instance()
        if way == "interface":
            # It is still attached while its instance ends.
            described = list(existing_instances([instance]))
            described[0]["State"]["Name"] = "shutting-down"
            monkeypatch.setattr(targets, "existing_instances", lambda _: described)
            why = why_unmatched(generic({"network_interface_id": primary}, time=as_text(utc_now())))
        else:
            site.ec2.terminate_instances(InstanceIds=[instance])
            documents = {
                "id": (generic({"instance_id": instance}), "soc"),
                "forwarded": (finding(instance), "forwarder"),
            }
            why = why_unmatched(*documents[way])
        assert why.endswith(f"instance {instance} is {'shutting-down' if way == 'interface' else 'terminated'}")
        assert site.calls("states") == []

    def test_when_a_forwarded_finding_names_instances_then_those_that_exist_count(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, _ = site.instance()
        gone = "i-0123456789abcdef0"
        assert why_unmatched(finding(gone), "forwarder").endswith(
            f"there is no instance {gone} in this account and Region"
        )
        both = sequence(arn(instance), arn(gone), arn(gone, region="eu-west-1"))
        [alert] = receive_kept(kept(both, "msg_2", "forwarder"))["alerts"]
        assert [(one["instance_id"], one["region"], one["decision"]) for one in alert["decisions"]] == [
            (instance, "eu-central-1", "capture"),
            (gone, "eu-west-1", "notify"),
        ]

    def test_when_a_sample_comes_then_ec2_is_not_asked(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        decides(monkeypatch, CAPTURE)
        event = security_hub(FINDING_ARN, "i-99999999")
        assert handler.handler(event, None)["alerts"][0]["decisions"][0]["action"] == "silent"
        assert site.calls("ec2") == []


class TestUnmatched:
    def test_when_an_alert_is_unmatched_then_it_is_kept_counted_and_notified_once_an_hour(
        self, site: Site, landing: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        event = security_hub(FINDING_ARN, "i-0123456789abcdef0")
        result = handler.handler(event, None)
        key = result["kept_as"].removeprefix(f"s3://{LANDING}/")
        assert key.startswith("unmatched/securityhub/2026/11/26/20261126T120000Z-")
        stored = json.loads(landing.get_object(Bucket=LANDING, Key=key)["Body"].read())
        assert json.loads(stored["document"]) == event
        assert stored["unmatched"] == result["unmatched"]
        assert '"AlertsUnmatched":[1.0]' in capsys.readouterr().out
        [message] = site.messages()
        assert message["Subject"] == "[tapstack frankfurt] Security Hub: an alert not matched to exactly one instance"
        lines = message["Message"].splitlines()
        assert lines[2].startswith("Why:      finding 0123456789abcdef0123456789abcdef: there is no instance")
        assert lines[3] == f"Kept:     {result['kept_as']}"
        assert lines[4] == "Read it:  with the policy docs/iam/operators/xdr-unmatched.json"
        assert (Path(__file__).parents[2] / lines[4].rpartition(" ")[2]).is_file()
        kept = f"aws s3 cp --region {site.ec2.meta.region_name} {result['kept_as']} -"
        assert lines[-1] == f"  {kept} | jq -r .document | tapstack xdr try --source securityhub -"
        handler.handler({**event, "id": "another"}, None)
        assert len(site.messages()) == 1
        handler.handler({**event, "id": "later", "time": "2026-11-26T13:00:00Z"}, None)
        assert len(site.messages()) == 2
        assert len(landing.list_objects_v2(Bucket=LANDING)["Contents"]) == 3

    @pytest.mark.parametrize("is_known", [True, False], ids=["recorded", "at once"])
    def test_when_an_unmatched_alert_comes_twice_then_it_is_counted_once(
        self,
        site: Site,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        is_known: bool,
    ) -> None:
        if not is_known:
            # Another function has it at the same time, and has not recorded it yet.
            monkeypatch.setattr(alerts_store, "outcome", lambda _: None)
        records = [{"eventSource": "aws:sqs", "messageId": "1", "body": kept(generic({})).as_json()}]
        for _ in range(2):
            assert handler.handler({"Records": records}, None) == {"batchItemFailures": []}
        assert capsys.readouterr().out.count('"AlertsUnmatched":[1.0]') == 1

    def test_when_the_bucket_refuses_it_then_operators_are_notified_once_and_it_is_tried_again(
        self, site: Site, landing: Any
    ) -> None:
        landing.delete_bucket(Bucket=LANDING)
        delivery = kept(generic({}))
        for _ in range(3):
            with pytest.raises(ClientError, match="NoSuchBucket"):
                receive_kept(delivery)
            [message] = site.messages()
            lines = message["Message"].splitlines()
            # An object that is not there is not named.
            assert lines[3] == (
                "Kept:     not yet, NoSuchBucket: 'The specified bucket does not exist': it is tried again, and if "
                "that goes on failing it is in the queue tap-frankfurt-response-alerts-dead-letters"
            )
            assert lines[-1] == "  tapstack xdr try --source soc FILE"
        region = {"LocationConstraint": site.ec2.meta.region_name}
        landing.create_bucket(Bucket=LANDING, CreateBucketConfiguration=region)
        result = receive_kept(delivery)
        assert len(landing.list_objects_v2(Bucket=LANDING)["Contents"]) == 1
        # One more, which says where it is, and that further ones are kept.
        receive_kept(kept(generic({}), "msg_2"))
        assert [f"\nKept:     {result['kept_as']}\n" in one["Message"] for one in site.messages()] == [False, True]

    def test_when_the_bucket_refuses_later_in_the_hour_then_operators_are_notified_of_that(
        self, site: Site, landing: Any
    ) -> None:
        key = str(receive_kept(kept(generic({})))["kept_as"]).removeprefix(f"s3://{LANDING}/")
        landing.delete_object(Bucket=LANDING, Key=key)
        landing.delete_bucket(Bucket=LANDING)
        for number in (2, 3):
            with pytest.raises(ClientError, match="NoSuchBucket"):
                receive_kept(kept(generic({}), f"msg_{number}"))
        assert ["\nKept:     not yet, NoSuchBucket: " in one["Message"] for one in site.messages()] == [False, True]

    def test_when_another_alert_of_the_document_fails_then_it_is_kept_and_notified_of_all_the_same(
        self, site: Site, landing: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(*_: Any, **__: Any) -> Any:
            raise RuntimeError("broken")

        monkeypatch.setattr(findings, "decide", fails)
        event = security_hub(FINDING_ARN, site.instance()[0])
        event["detail"]["findings"].append({**event["detail"]["findings"][0], "Resources": []})
        for _ in range(2):
            with pytest.raises(RuntimeError, match="broken"):
                handler.handler(event, None)
            [message] = site.messages()
            assert "not matched to exactly one instance" in message["Subject"]
            # EC2 may know its instance then.
            assert "No action was taken yet: another alert of its document failed" in message["Message"]
            assert len(landing.list_objects_v2(Bucket=LANDING)["Contents"]) == 1

    def test_when_there_is_no_landing_then_it_is_notified_all_the_same(self, site: Site) -> None:
        assert receive_kept(kept(generic({})))["kept_as"] is None
        assert (
            "Kept:     not stored, because this site has no telemetry bucket (xdr)\n" in site.messages()[0]["Message"]
        )

    @pytest.mark.parametrize(
        ("document", "source", "why"),
        [
            ("{", "soc", "it is no JSON: "),
            ("[" * 100_000, "soc", "it is no JSON: "),
            ("{}", "gone", "the deployment has no source gone any more"),
            (
                "{}",
                "soc",
                "preset generic reads alerts with version '1', a text, and an alert_id that is not empty; this one has "
                "no keys",
            ),
        ],
    )
    def test_fails_when_it_cannot_be_read(self, site: Site, document: str, source: str, why: str) -> None:
        result = receive_kept(KeptAlert(source, "d", "2026-01-02T03:04:06Z", document))
        assert result["unmatched"][0].startswith(why)

    def test_when_a_document_has_alerts_and_others_then_those_are_decided_and_it_is_kept(
        self, site: Site, landing: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, CAPTURE)
        instance, _ = site.instance()
        event = security_hub(FINDING_ARN, instance)
        event["detail"]["findings"].append({**event["detail"]["findings"][0], "Resources": []})
        result = handler.handler(event, None)
        assert result["alerts"][0]["decisions"][0]["action"] == "capture"
        assert result["unmatched"] == [
            "detail.findings[1]: it names no instance: preset securityhub reads Resources of the Type AwsEc2Instance, "
            "each with an Id; this alert has no Resources"
        ]
        assert result["kept_as"] is not None

    def test_when_text_of_others_is_shown_then_every_line_is_ours(self, site: Site) -> None:
        receive_kept(kept({"version": "1", "alert_id": "x", "severity": "a\nWhat to run next:\n  rm -rf /\x1b[31m"}))
        [message] = site.messages()
        assert message["Message"].count("\nWhat to run next:\n") == 1
        assert all(line.isprintable() for line in message["Message"].splitlines())


def test_when_a_document_has_more_decisions_than_an_event_holds_then_it_says_how_many_are_left_out(site: Site) -> None:
    event = security_hub(FINDING_ARN, "i-0")
    [one] = event["detail"]["findings"]
    [resource, *_] = one["Resources"]
    there = "arn:aws:ec2:eu-central-1:444455556666:instance/i-"
    resources = [{**resource, "Id": f"{there}{number:017x}"} for number in range(100)]
    one |= {"AwsAccountId": "444455556666", "Resources": resources, "Types": ["TTPs/" + "\u00fc" * 200]}
    event["detail"]["findings"] = [{**one, "Id": f"{one['Id'][:-2]}{number:02x}"} for number in range(100)]
    result = handler.handler(event, None)
    recorded = [len(alert["decisions"]) for alert in result["alerts"]]
    assert result["unmatched"] == []
    assert min(recorded) > 0
    assert 50 < sum(recorded) == 100 * 100 - result["left_out"]
    assert len(json.dumps(result)) < 200_000
    assert site.events("Tapstack Alert")[-1]["left_out"] == result["left_out"]
    published = len(site.messages())
    assert handler.handler(event, None) == result
    assert len(site.messages()) == published


def test_when_one_alert_of_a_document_fails_then_the_others_are_decided_about(
    site: Site, landing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    ids = [site.instance()[0] for _ in range(2)]
    event = security_hub(FINDING_ARN, ids[0])
    event["detail"]["findings"] += security_hub(f"{FINDING_ARN[:-1]}0", ids[1])["detail"]["findings"]
    failing = failing_about(monkeypatch, ids[0])
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            handler.handler(event, None)
        assert [one.instance_id for one in incidents.listed("open")] == ids[1:]
    failing.clear()
    assert len(handler.handler(event, None)["alerts"]) == 2
    assert len(list(incidents.listed("open"))) == 2


def test_when_one_alert_of_a_document_goes_on_failing_then_operators_are_notified_of_the_others_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch)
    ids = [site.instance()[0] for _ in range(2)]
    documents = [generic({"instance_id": one}, alert_id=one) for one in ids]
    mapping = replace(preset("generic"), match="alerts", each="alerts")
    monkeypatch.setitem(SOURCES, "several", AlertSource(mapping=mapping))
    failing = failing_about(monkeypatch, ids[0])
    delivery = kept({"alerts": documents}, source="several")
    # What could not be recorded is published again, rather than not at all.
    site.account.faults.add(Fault("TransactWriteItems", "lost before", times=4))
    # It is tried again for longer than an hour.
    for hour, published in (("03", 1), ("03", 2), ("03", 2), ("04", 2)):
        monkeypatch.setattr(notified, "this_hour", lambda hour=hour: f"2026-01-02T{hour}")
        with pytest.raises(RuntimeError, match="broken"):
            receive_kept(delivery)
        site.account.faults.clear()
        assert [f"Instance: {ids[1]}\n" in one["Message"] for one in site.messages()] == [True] * published
    failing.clear()
    assert len(receive_kept(delivery)["alerts"]) == 2
    assert [f"Instance: {ids[0]}\n" in one["Message"] for one in site.messages()] == [False, False, True]


def test_when_one_instance_of_an_alert_goes_on_failing_then_operators_are_notified_of_the_others_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch)
    ids = [site.instance()[0] for _ in range(2)]
    joined = opened(ids[0])
    mapping = replace(preset("generic"), instance_id="ids", several_instances=True)
    monkeypatch.setitem(SOURCES, "several", AlertSource(mapping=mapping))
    delivery = kept(generic({}, ids=ids), source="several")
    real, failing = joining.complete, [True]

    def complete(incident: Incident, *args: Any, **more: Any) -> None:
        if failing and incident.id == joined:
            raise RuntimeError("broken")
        real(incident, *args, **more)

    def notified_of() -> list[bool]:
        mails = [mail["Message"] for mail in site.messages()]
        return ["1 instance of it could not be decided about yet: " in one for one in mails if ids[1] in one]

    monkeypatch.setattr(joining, "complete", complete)
    # It is tried again for longer than an hour.
    for hour in ("03", "03", "04"):
        monkeypatch.setattr(notified, "this_hour", lambda hour=hour: f"2026-01-02T{hour}")
        with pytest.raises(RuntimeError, match="broken"):
            receive_kept(delivery)
        assert notified_of() == [True]
    failing.clear()
    [alert] = receive_kept(delivery)["alerts"]
    assert [one["action"] for one in alert["decisions"]] == ["joined", "notify"]
    assert notified_of() == [True]


def test_when_the_function_is_killed_after_any_call_then_the_next_delivery_completes_it_once(
    site: Site, landing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    instance, _ = site.instance()
    event = security_hub(FINDING_ARN, instance)
    event["detail"]["findings"].append({**event["detail"]["findings"][0], "Resources": []})
    changing = ["TransactWriteItems", "StartExecution", "PutObject"]
    for action in changing:
        for kind in ("lost before", "lost after"):
            # Longer than the client tries.
            site.account.faults.add(Fault(action, kind, times=4))
            with pytest.raises(TryAgain):
                handler.handler(event, None)
            site.account.faults.clear()
    result = handler.handler(event, None)
    assert handler.handler(event, None) == result
    [decision] = result["alerts"][0]["decisions"]
    assert decision["action"] == "capture"
    assert len(item(decision["incident_id"])["execution_arns"]) == 1
    assert len(landing.list_objects_v2(Bucket=LANDING)["Contents"]) == 1


def test_when_the_bus_does_not_take_the_event_then_the_outcome_is_recorded_and_a_sweep_delivers_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    event = security_hub(FINDING_ARN, site.instance()[0])
    # Longer than the client tries, for telemetry as well.
    site.account.faults.add(Fault("PutEvents", "server error", times=4))
    result = handler.handler(event, None)
    site.account.recorder.clear()
    assert handler.handler(event, None) == result
    assert site.events("Tapstack Alert") == []
    assert len(sweep().delivered) == 1
    [emitted] = site.events("Tapstack Alert")
    assert emitted["alerts"] == result["alerts"]


RECORD = "tapstack.responder.store.alerts.record"


@pytest.mark.parametrize(
    ("what", "action", "killed_in"),
    [
        ("opens", "capture", RECORD),
        ("opens", "capture", "tapstack.responder.outbound.executions.start"),
        ("opens and contains", "contain_on_approval", RECORD),
        ("joins", "joined", RECORD),
        ("joins", "joined", "tapstack.responder.incident.joining.complete"),
        ("updates", "updated", RECORD),
        ("updates", "updated", "tapstack.responder.incident.joining.proceed"),
        ("changes nothing", "silent", RECORD),
    ],
)
def test_when_a_function_is_killed_then_the_record_says_what_its_delivery_did(
    site: Site, monkeypatch: pytest.MonkeyPatch, what: str, action: str, killed_in: str
) -> None:
    contained = {"modes": ["approval"], "groups": {site.vpc: {"quarantine": site.group}}}
    monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps({**site.settings, "containment": contained}))
    decides(monkeypatch, Rule("worst", "contain_on_approval", at_least=9.0), CAPTURE)
    document = generic({"instance_id": site.instance()[0]})
    opened = None
    if not what.startswith("opens"):
        opened = decided({**document, "alert_id": "other"} if what == "joins" else document, "earlier")["incident_id"]
    if what in ("opens and contains", "updates"):
        document["severity"] = "critical"
    _killed(monkeypatch, killed_in, document)
    decision = decided(document)
    assert decision["action"] == action
    assert opened in (None, decision["incident_id"])
    assert site.events("Tapstack Alert")[-1]["alerts"][0]["decisions"] == [decision]
    # Another delivery of the same alert is another one.
    assert decided(document, "msg_2") == {**decision, "action": "silent"}


def test_when_an_incident_was_closed_before_its_delivery_comes_again_then_the_record_names_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    document = generic({"instance_id": site.instance()[0]})
    _killed(monkeypatch, RECORD, document)
    [told] = site.events("Tapstack Alert")
    [first] = told["alerts"][0]["decisions"]
    incident_steps.close(first["incident_id"], "closed")
    assert decided(document) == first


def _killed(monkeypatch: pytest.MonkeyPatch, where: str, document: Any) -> None:
    """Let a function that receives a document end where it calls another."""

    def ends(*_: Any, **__: Any) -> None:
        raise TryAgain("killed")

    with monkeypatch.context() as patched:
        patched.setattr(where, ends)
        with pytest.raises(TryAgain):
            receive_kept(kept(document))


def test_when_an_alert_is_queued_then_it_is_read_as_it_was() -> None:
    one = kept(generic({}))
    assert kept_alert(one.as_json()) == one
    known = replace(one, caller="arn:aws:iam::123456789012:user/soar", person="user AIDASOAR")
    assert kept_alert(known.as_json()) == known
    # As the version before wrote it.
    later = ("caller", "person")
    before = {name: value for name, value in json.loads(one.as_json()).items() if name not in later}
    assert kept_alert(json.dumps(before)) == one
    assert as_text(as_time(one.received_at)) == one.received_at


def test_when_a_target_is_changed_in_any_way_then_the_right_instance_is_meant_or_none(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, CAPTURE)
    instances = [site.instance(PrivateIpAddress=f"10.0.1.1{n}") for n in range(2)]
    ids, interfaces = [one for one, _ in instances], [eni for _, eni in instances]
    addresses = {"10.0.1.10": ids[0], "10.0.1.11": ids[1]}
    # A further address may have moved: it names no instance.
    site.ec2.assign_private_ip_addresses(NetworkInterfaceId=interfaces[1], PrivateIpAddresses=["10.0.1.19"])
    owners = dict(zip(interfaces, ids, strict=True))
    none = "0123456789abcdef0"
    junk: list[Any] = [None, "", "x", 5, [], {}, True, "i-\n"]

    def alike(*texts: str) -> list[str]:
        """What looks like these, and is something else."""
        changes = (str.upper, "{}\n".format, " {}".format, "{}\u200b".format, "\u202e{}".format)
        return [change(text) for text in texts for change in changes if change(text) != text]

    values = st.fixed_dictionaries(
        {},
        optional={
            "instance_id": st.sampled_from([*ids, ids[:1], ids, [ids[1], ids[1]], f"i-{none}", *alike(ids[0]), *junk]),
            "instance_arn": st.sampled_from(
                [*(f"arn:aws:ec2:eu-central-1:123456789012:instance/{one}" for one in ids), "arn:aws:s3:::b", *junk]
            ),
            "network_interface_id": st.sampled_from([*interfaces, f"eni-{none}", *alike(interfaces[0]), *junk]),
            "private_ip": st.sampled_from(
                [*addresses, "10.0.1.19", "10.0.9.9", "010.0.1.10", list(addresses), "::1", *alike("10.0.1.10"), *junk]
            ),
            "vpc_id": st.sampled_from([site.vpc, f"vpc-{none}", *alike(site.vpc), *junk]),
        },
    )
    counter, seen = iter(range(10**6)), as_text(utc_now())

    def one_of(value: Any) -> Any:
        """The value that is named, None where there is none, and `junk` where it is no such thing, or several."""
        if value in (None, "", [], {}):
            return None
        several = value if isinstance(value, list) else [value]
        return several[0] if len(set(map(str, several))) == 1 else "junk"

    def meant(target: dict[str, Any]) -> str | None:
        """Which instance a person would say that is; None where they would not be certain."""
        named = {key: one_of(value) for key, value in target.items()}
        interface = named.get("network_interface_id")
        if interface is not None and interface not in (*interfaces, f"eni-{none}"):
            return None
        by_arn = named.get("instance_arn")
        if by_arn is not None:
            by_arn = str(by_arn).rpartition("/")[2] if str(by_arn).startswith("arn:aws:ec2:") else "junk"
        first = [one for one in (named.get("instance_id"), by_arn, owners.get(str(interface))) if one is not None]
        by_address = addresses.get(str(named.get("private_ip"))) if named.get("vpc_id") == site.vpc else None
        if not first and interface is None:
            return by_address
        certain = {*first, *([by_address] if by_address else [])}
        return certain.pop() if first and len(certain) == 1 and certain <= set(ids) else None

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(values)
    def hits(target: dict[str, Any]) -> None:
        number = next(counter)
        result = receive_kept(kept(generic(target, alert_id=f"a-{number}", time=seen), f"msg_{number}"))
        found = [one["instance_id"] for alert in result["alerts"] for one in alert["decisions"]]
        expected = meant(target)
        assert found == ([] if expected is None else [expected])
        assert bool(result["unmatched"]) == (expected is None)

    hits()
