"""What operators read about findings: lines of ours, with what others wrote as quoted text in them."""

from __future__ import annotations

import shlex
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.alert_mappings import AlertSource, Mapped, map_alerts
from tapstack.domain.alerts import Alert, AlertInstance
from tapstack.domain.errors import RuleViolation
from tapstack.domain.findings import parse_finding
from tapstack.domain.policy import decide
from tapstack.responder.incident import finding_notices
from tapstack.responder.incident.finding_notices import Done, Outcome
from tapstack.responder.outbound import notifications
from tests.unit.domain.alerts import HOME, INSTANCE, sample
from tests.unit.domain.findings import document, event
from tests.unit.responder.test_notifications import incident

ADDRESS = "  export TAPSTACK_URL=https://a"
HEADINGS = (
    *("GuardDuty reports ", "Title:    ", "Tactics:  ", "Finding:  ", "Left out: ", "Instance: ", "Decision: "),
    *("Rule:     ", "Run first:", ADDRESS),
)
PAGE = (
    "Console:  https://eu-central-1.console.aws.amazon.com/ec2/home?region=eu-central-1#InstanceDetails:instanceId=i-"
)
FURTHER = (PAGE, "          not ", "What to run next:", "  with TAPSTACK_URL set to the API of account ", "  nothing: ")
hostile = st.text(st.sampled_from("a'\"\\\n\r\x1b\u2028\u202e\ud800 ;$`:Decision"), max_size=30)


@pytest.fixture(autouse=True, scope="module")
def _site() -> Any:
    with pytest.MonkeyPatch.context() as patched:
        site = SimpleNamespace(site="production", api_url="https://a", home=HOME)
        for module in (finding_notices, notifications):
            patched.setattr(module, "environment", lambda: site)
        yield


def notice(finding: Alert) -> list[str]:
    """The lines about a finding whose instances are elsewhere."""
    instances = finding.instances or (None,)
    outcomes = [Outcome(one, False, decide((), finding, one, here=False), None, "notify") for one in instances]
    _, text = finding_notices.decided(finding, outcomes)
    assert text.endswith("\n")
    return text[:-1].split("\n")


@given(
    st.sampled_from(("title", "resource__instanceDetails__instanceId", "service__count", "service__archived")), hostile
)
def test_when_text_of_others_is_in_a_finding_then_it_cannot_look_like_ours(place: str, text: str) -> None:
    lines = notice(parse_finding(event(**{place: text})))
    assert all(line.isprintable() for line in lines)
    assert all(not line or line.startswith((*HEADINGS, *FURTHER, "  tapstack incident open ")) for line in lines)
    assert [line for line in lines if line.startswith("Decision:")] == ["Decision: notify"]
    assert [line for line in lines if line.startswith("Rule:")] == ["Rule:     none matches"]
    assert lines[lines.index("Run first:") + 1] == ADDRESS
    assert [line for line in lines if "export" in line] == [ADDRESS]
    for line in lines:
        if line.startswith("  tapstack"):
            assert shlex.split(line) == [
                *("tapstack", "incident", "open", "--instance", "i-0a000000000000001"),
                *("--reason", "GuardDuty 60c1f0f2a5e94b1c8f5f0e6d7c8b9a01"),
            ]


@given(hostile)
def test_when_essentials_hold_other_text_then_the_event_is_quoted_in_one_line(text: str) -> None:
    for changed in ({"id": text}, {"type": f"Trojan:{text}"}, {"accountId": text}, {"region": text}):
        try:
            lines = notice(parse_finding(event(**changed)))
        except RuleViolation as violation:
            _, said = finding_notices.unreadable(event(**changed), str(violation))
            lines = said[:-1].split("\n")
            assert len(lines) == 7
        assert all(line.isprintable() for line in lines)


def test_when_a_sequence_names_many_instances_then_each_has_its_command() -> None:
    lines = notice(parse_finding(document("attack-sequence-ec2")))
    assert [line.split(" --reason")[0] for line in lines if line.startswith("  tapstack")] == [
        "  tapstack incident open --instance i-0a00000000000aaa1",
        "  tapstack incident open --instance i-0a00000000000aaa2",
    ]


def test_when_an_event_cannot_be_written_as_json_then_its_kind_is_named() -> None:
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    _, text = finding_notices.unreadable(nested, "why")
    assert text.startswith(
        "An event came for the policy that cannot be read as a GuardDuty finding. No action was taken.\n"
    )
    assert "\nEvent:    \"<class 'list'>\"\n" in text


OF_OTHERS = ("soc reports ", "Title:    ", "Tactics:  ", "ATT&CK:   ", "Alert:    ", *HEADINGS[4:], *FURTHER)
_UNMATCHED = (
    "An alert of soc could not be matched ",
    "Why:      ",
    "Kept:     ",
    "Alert:    ",
    "Further ones of soc ",
    "What to run next:",
)


def mapped(**values: Any) -> Mapped:
    return map_alerts("soc", AlertSource("generic"), {**sample("generic"), **values}, home=HOME)


@given(
    st.sampled_from(("alert_id", "title", "type", "time", "technique", "tactics", "severity", "region")),
    hostile | st.lists(hostile, max_size=3),
)
def test_when_text_of_others_is_in_an_alert_of_another_tool_then_it_cannot_look_like_ours(
    place: str, value: Any
) -> None:
    found = mapped(**{place: value})
    for alert in found.alerts:
        lines = notice(replace(alert, instances=(AlertInstance(INSTANCE, HOME),)))
        assert all(line.isprintable() for line in lines)
        assert all(not line or line.startswith((*OF_OTHERS, "  tapstack incident open ")) for line in lines)
        assert [line for line in lines if line.startswith("Decision:")] == ["Decision: notify"]
        commands = [shlex.split(line) for line in lines if line.startswith("  tapstack")]
        assert commands == [
            ["tapstack", "incident", "open", "--instance", INSTANCE, "--reason", f"soc {alert.id}"],
        ]
    if found.unmatched:
        _, text = finding_notices.unmatched("soc", str(value), found.unmatched, None)
        lines = text[:-1].split("\n")
        assert all(line.isprintable() for line in lines)
        assert all(not line or line.startswith((*_UNMATCHED, "  tapstack xdr try --source soc")) for line in lines)


@pytest.mark.parametrize("done", ["contain_now", "contain_on_approval", "capture"])
def test_when_a_containment_waits_for_packets_first_then_that_is_said(
    done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding_notices, "containment_wait", lambda _: 900)
    finding = parse_finding(event())
    [instance] = finding.instances
    outcome = Outcome(instance, True, decide((), finding, instance, here=True), incident(), done)
    _, text = finding_notices.decided(finding, [outcome])
    said = "          it waits for packets first, at most 900 seconds: the attacker stays connected\n"
    assert (f"Decision: {done}\n{said}" in text) is (done != "capture")


def test_when_guardduty_notifies_of_it_itself_then_no_incident_is_spoken_of() -> None:
    finding = parse_finding(event())
    [instance] = finding.instances
    silent = Outcome(instance, True, decide((), finding, instance, here=True), None, "silent")
    _, text = finding_notices.decided(finding, [silent])
    assert "\nDone:     nothing here, GuardDuty's own event notifies of it\n" in text
    assert "has an incident" not in text
