import contextlib
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.alerts import Alert, AlertInstance
from tapstack.domain.errors import RuleViolation
from tapstack.domain.findings import parse_finding
from tapstack.domain.policy import Decision, decide, dump, load, needs_tags, policy_problems
from tapstack.domain.policy_rules import ACTIONS, RESOURCE_ROLES, Rule
from tapstack.domain.regions import AccountRegion
from tapstack.domain.threats import TACTICS, THREAT_PURPOSES
from tests.unit.domain.findings import document, event
from tests.unit.refusals import refusal

TOR = parse_finding(event())
HOME = AccountRegion("111122223333", "eu-central-1")
CAPTURE = Rule("everything", "capture")
BEACON = Alert("edr", "a-1", "VPC beaconing", 7.0, HOME, techniques=("T1071.004",))


def tags_of(finding: Alert) -> Mapping[str, str] | None:
    """The tags of its instance; none where it names no instance."""
    return finding.instances[0].tags if finding.instances else None


def decided(rules: Sequence[Rule], finding: Alert, tags: Mapping[str, str] | None = None) -> Decision:
    """What is decided of the finding's instance, which is the site's."""
    return decide(rules, finding, finding.instances[0] if finding.instances else None, here=True, tags=tags)


class TestConditions:
    @pytest.mark.parametrize(
        "conditions",
        [
            {},
            {"at_least": 8},
            {"at_least": 8.0},
            {"types": ("UnauthorizedAccess:EC2/*",)},
            {"types": ("unauthorizedaccess:ec2/torclient",)},
            {"types": ("Recon:*", "*TorClient")},
            {"tactics": ("Impact", "CommandAndControl")},
            {"tags": {"tier": "web"}},
            {"tags": {"tier": "w*", "empty": ""}},
            {"resource_role": "ACTOR"},
            {"at_least": 7, "types": ("*Tor*",), "tactics": ("InitialAccess",), "tags": {"tier": "?eb"}},
        ],
    )
    def test_when_all_conditions_hold_then_the_rule_matches(self, conditions: dict[str, Any]) -> None:
        assert Rule("r", "capture", **conditions).objections(TOR, tags_of(TOR)) == ()

    @pytest.mark.parametrize(
        ("conditions", "reasons"),
        [
            ({"at_least": 8.5}, ["severity 8 is below 8.5"]),
            (
                {"types": ("Recon:*", "Trojan:EC2/*")},
                ["type UnauthorizedAccess:EC2/TorClient does not fit Recon:* or Trojan:EC2/*"],
            ),
            (
                {"tactics": ("Impact",)},
                ["the finding stands for InitialAccess and CommandAndControl, not for Impact"],
            ),
            ({"tags": {"Tier": "web"}}, ["the instance has no tag Tier"]),
            ({"tags": {"tier": "Web"}}, ["tag tier is 'web', which does not fit 'Web'"]),
            ({"resource_role": "TARGET"}, ["the resource's role is ACTOR, not TARGET"]),
            (
                {"at_least": 9, "tags": {"tier": "db*", "owner": "*"}},
                [
                    "severity 8 is below 9",
                    "tag tier is 'web', which does not fit 'db*'",
                    "the instance has no tag owner",
                ],
            ),
        ],
    )
    def test_when_conditions_do_not_hold_then_each_is_given_as_a_reason(
        self, conditions: dict[str, Any], reasons: list[str]
    ) -> None:
        assert list(Rule("r", "capture", **conditions).objections(TOR, tags_of(TOR))) == reasons

    def test_when_a_type_has_no_tactic_then_the_reason_says_so(self) -> None:
        finding = parse_finding(event(type="Policy:EC2/Thing"))
        [reason] = Rule("r", "capture", tactics=("Impact", "Discovery")).objections(finding, {})
        assert reason == "the finding stands for no ATT&CK tactic, not for Impact or Discovery"

    def test_when_runtime_monitoring_reports_it_then_the_reason_says_that_it_gives_no_role(self) -> None:
        finding = parse_finding(document("runtime-on-eks"))
        [reason] = Rule("r", "capture", resource_role="ACTOR").objections(finding, {})
        assert reason == "the resource's role is none, as in all findings of Runtime Monitoring, not ACTOR"

    def test_when_a_sequence_has_tactics_then_they_count(self) -> None:
        finding = parse_finding(document("attack-sequence-ec2"))
        assert Rule("r", "capture", tactics=("Impact",)).objections(finding, {}) == ()

    @pytest.mark.parametrize(
        "conditions",
        [
            {"sources": ("edr",)},
            {"sources": ("guardduty", "edr"), "types": ("*beacon*",)},
            {"sources": ("edr",), "types": ("VPC beaconing",)},
            {"techniques": ("T1071",)},
            {"techniques": ("T1048", "T1071.004")},
        ],
    )
    def test_when_another_tool_raised_it_then_source_type_and_techniques_count(
        self, conditions: dict[str, Any]
    ) -> None:
        assert Rule("r", "capture", **conditions).objections(BEACON, {}) == ()

    @pytest.mark.parametrize(
        ("conditions", "reason"),
        [
            ({"sources": ("guardduty", "hunters")}, "source edr is not guardduty or hunters"),
            (
                {"sources": ("edr",), "types": ("dns*",)},
                "type 'VPC beaconing\\u202e' does not fit dns*",
            ),
            ({"techniques": ("T1071.001", "T107")[:1]}, "the alert names T1071.004, not T1071.001"),
            ({"tactics": ("Impact",)}, "the alert stands for no ATT&CK tactic, not for Impact"),
            ({"tags": {"a": "b"}}, "the alert names no instance, so there are no tags"),
        ],
    )
    def test_when_another_tool_raised_it_and_a_condition_does_not_hold_then_the_reason_says_so(
        self, conditions: dict[str, Any], reason: str
    ) -> None:
        alert = dataclasses.replace(BEACON, type="VPC beaconing\u202e") if "types" in conditions else BEACON
        assert Rule("r", "capture", **conditions).objections(alert, None) == (reason,)

    def test_when_guardduty_names_no_technique_then_the_reason_says_so(self) -> None:
        [reason] = Rule("r", "capture", techniques=("T1071",)).objections(TOR, {})
        assert reason == "the finding names no ATT&CK technique, not T1071"

    def test_when_there_is_no_instance_then_tags_and_role_do_not_hold(self) -> None:
        finding = parse_finding(event(resource={"resourceType": "AccessKey"}, service={}))
        rule = Rule("r", "capture", tags={"a": "*", "b": "*"}, resource_role="ACTOR")
        assert rule.objections(finding, None) == (
            "the finding names no instance, so there are no tags",
            "the resource's role is not given, not ACTOR",
        )


class TestDecisions:
    def test_when_there_is_no_rule_then_the_action_is_notify(self) -> None:
        decision = decided((), TOR)
        assert (decision.action, decision.rule, decision.minutes) == ("notify", None, None)
        assert decision.asked == "notify"

    def test_when_no_rule_matches_then_the_action_is_notify_with_every_reason(self) -> None:
        rules = (Rule("a", "capture", at_least=9), Rule("b", "capture", resource_role="TARGET"))
        decision = decided(rules, TOR)
        assert (decision.action, decision.rule) == ("notify", None)
        assert [(passed.rule.name, passed.reasons) for passed in decision.not_matched] == [
            ("a", ("severity 8 is below 9",)),
            ("b", ("the resource's role is ACTOR, not TARGET",)),
        ]

    def test_when_several_rules_match_then_the_first_decides(self) -> None:
        rules = (Rule("a", "capture", at_least=9), Rule("b", "capture", minutes=30), Rule("c", "notify"))
        decision = decided(rules, TOR)
        assert decision.rule == rules[1]
        assert (decision.action, decision.minutes, decision.limited_because) == ("capture", 30, None)
        assert len(decision.not_matched) == 1

    def test_when_the_instance_s_tags_are_known_then_those_in_the_finding_do_not_count(self) -> None:
        rule = Rule("r", "capture", tags={"tier": "db"})
        assert decided([rule], TOR, tags={"tier": "db"}).action == "capture"
        assert decided([rule], TOR, tags={}).action == "notify"

    @pytest.mark.parametrize(
        ("changes", "because"),
        [
            ({"resource": {}}, "the finding names no EC2 instance, so there is nothing to capture"),
            ({"title": "[SAMPLE] x"}, "the finding is a sample: what it names does not exist"),
            (
                {"resource__instanceDetails__instanceId": "i-99999999"},
                "the finding is a sample: what it names does not exist",
            ),
            (
                {"service__archived": True},
                "the finding is archived",
            ),
        ],
    )
    @pytest.mark.parametrize("action", ["capture", "contain_on_approval", "contain_now"])
    def test_when_there_is_nothing_to_capture_then_the_action_is_notify_with_the_reason(
        self, changes: dict[str, Any], because: str, action: Any
    ) -> None:
        rule = Rule("r", action, minutes=5)
        decision = decided([rule], parse_finding(event(**changes)))
        assert (decision.action, decision.minutes, decision.limited_because) == ("notify", None, because)
        assert decision.rule == rule
        assert decision.asked == action

    def test_when_the_instance_is_elsewhere_then_the_action_is_notify_and_the_reason_says_where_it_is(self) -> None:
        finding = parse_finding(document("member-account"))
        decision = decide([CAPTURE], finding, finding.instances[0], here=False)
        assert (decision.action, decision.rule) == ("notify", CAPTURE)
        assert decision.limited_because == "the instance is of account 777788889999 in eu-central-1, not of this site's"

    def test_when_instances_have_other_tags_then_each_has_a_decision_of_its_own(self) -> None:
        finding = parse_finding(document("attack-sequence-ec2"))
        rules = [Rule("r", "capture", tags={"tier": "web"})]
        actions = [
            decide(rules, finding, instance, here=True, tags=tags).action
            for instance, tags in zip(finding.instances, ({"tier": "web"}, {}), strict=True)
        ]
        assert actions == ["capture", "notify"]

    def test_when_the_rule_only_notifies_then_nothing_limits_it(self) -> None:
        decision = decided([Rule("r", "notify")], parse_finding(event(title="[SAMPLE] x")))
        assert decision.limited_because is None


class TestRules:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"name": "C2"}, "'C2' is not a usable name: expected 1 to 40 lower-case letters, digits or hyphens"),
            (
                {"action": "captrue"},
                "'captrue' is no action: did you mean capture? expected notify, capture, contain_on_approval, "
                "contain_now",
            ),
            ({"at_least": 11}, "severity must be a number from 0 to 10, got 11"),
            ({"at_least": True}, "at_least must be a number, got True"),
            ({"at_least": float("nan")}, "severity must be a number from 0 to 10, got nan"),
            ({"types": ("TorClient",)}, "'TorClient' is no finding type: expected the form ThreatPurpose:Resource/"),
            ({"types": ("",)}, "'' is no finding type"),
            ({"types": ("UnauthorizedAccess:EC2",)}, "'UnauthorizedAccess:EC2' is no finding type"),
            ({"types": ("UnauthorizedAccess:EC2/",)}, "'UnauthorizedAccess:EC2/' is no finding type"),
            ({"types": ("UnauthorizedAccess:",)}, "'UnauthorizedAccess:' is no finding type"),
            ({"types": ("UnauthorizedAccess: EC2/*",)}, "'UnauthorizedAccess: EC2/*' is no finding type"),
            ({"types": ("Recon:EC3/*",)}, "'EC3' is no resource type of GuardDuty: did you mean ECS? known here:"),
            ({"types": ("Recon:" + "x" * 251,)}, "'Recon:xxx"),
            (
                {"types": ("UnauthorisedAccess:EC2/*",)},
                "'UnauthorisedAccess' is no threat purpose of GuardDuty: did you mean UnauthorizedAccess? known here:",
            ),
            (
                {"tactics": ("Command and Control",)},
                "'Command and Control' is no tactic: did you mean CommandAndControl? expected ",
            ),
            ({"tags": {"": "x"}}, "'' is not a tag key"),
            ({"tags": {"a": "x" * 257}}, "a tag value holds at most 256 characters, got 257"),
            ({"resource_role": "actor"}, "'actor' is no resource role: did you mean ACTOR? expected TARGET, ACTOR"),
            ({"sources": ("EDR",)}, "'EDR' is not a usable name"),
            ({"techniques": ("1071",)}, "'1071' is no technique of ATT&CK: expected the form T1071 or T1071.004"),
            ({"sources": ("edr",), "types": ("a\nb",)}, "types[0]: the character U+000A at position 2"),
            (
                {"sources": ("edr",), "types": (" a",)},
                "' a' is no type: expected 1 to 256 printable characters, with * for any text and no blank at an end",
            ),
            ({"sources": ("edr",), "types": ("x" * 257,)}, "'xxx"),
            ({"sources": ("guardduty",), "types": ("beacon",)}, "'beacon' is no finding type"),
            ({"minutes": 0}, "minutes must be a whole number from 1 to 10080, got 0"),
            ({"action": "notify", "minutes": 5}, "minutes goes with an action that captures, got 5 with notify"),
        ],
    )
    def test_fails_when_a_rule_could_never_work(self, settings: dict[str, Any], message: str) -> None:
        assert refusal(lambda: Rule(**{"name": "r", "action": "capture", **settings})).startswith(message)

    @pytest.mark.parametrize(
        "pattern",
        ["*", "*TorClient", "NewPurpos?:EC2/*", "Recon:*", "Recon:Runtime*", "Recon:N?w/*", "recon:ec2/x"],
    )
    def test_when_a_pattern_could_fit_a_type_then_it_passes(self, pattern: str) -> None:
        assert Rule("r", "notify", types=(pattern,)).types == (pattern,)


class TestTactics:
    @pytest.mark.parametrize("pattern", ["CryptoCurrency:EC2/*", "policy:IAMUser/RootCredentialUsage"])
    def test_when_a_purpose_stands_for_none_of_the_tactics_then_it_matches_nothing(self, pattern: str) -> None:
        rule = Rule("r", "capture", types=("Recon:EC2/*", pattern), tactics=("Discovery",))
        assert rule.types_without_tactics == (pattern,)
        assert dataclasses.replace(rule, tactics=()).types_without_tactics == ()

    @pytest.mark.parametrize("pattern", ["*", "Crypto*:EC2/*", "Impact:EC2/PortSweep", "AttackSequence:EC2/*"])
    def test_when_some_type_may_stand_for_one_then_it_may_match(self, pattern: str) -> None:
        assert Rule("r", "capture", types=(pattern,), tactics=("Discovery",)).types_without_tactics == ()


class TestRuntimeMonitoring:
    @pytest.mark.parametrize(
        "pattern",
        [
            "*:Runtime/*",
            "*Runtime/*",
            "Backdoor:Runtime/C&C*",
            "CryptoCurrency:runtime/BitcoinTool.B!DNS",
            "Recon:Runtime*",
        ],
    )
    def test_when_a_pattern_fits_its_types_only_then_it_matches_nothing_beside_a_role(self, pattern: str) -> None:
        rule = Rule("r", "capture", types=("Recon:EC2/*", pattern), resource_role="TARGET")
        assert rule.unmatched_types == (pattern,)
        assert dataclasses.replace(rule, resource_role=None).unmatched_types == ()

    @pytest.mark.parametrize("pattern", ["*", "*:*/ReverseShell", "Recon:EC2/*", "*:R*"])
    def test_when_a_pattern_may_fit_other_types_then_it_may_match(self, pattern: str) -> None:
        assert Rule("r", "capture", types=(pattern,), resource_role="TARGET").unmatched_types == ()


class TestProblems:
    def test_when_a_policy_is_right_then_there_are_none(self) -> None:
        assert list(policy_problems((Rule("a", "capture", at_least=7), CAPTURE))) == []

    def test_fails_when_a_rule_before_takes_all_alerts_of_its_sources(self) -> None:
        rules = (
            Rule("tools", "capture", sources=("edr", "soc")),
            Rule("severe", "capture", at_least=7, sources=("edr",)),
            Rule("other", "capture", sources=("edr", "guardduty")),
            Rule("rest", "notify"),
            Rule("late", "notify", sources=("securityhub",)),
        )
        assert list(policy_problems(rules)) == [
            (1, "rule severe is never asked: tools before it matches every alert of edr"),
            (4, "rule late is never asked: rest before it matches every alert"),
        ]

    def test_fails_when_a_rule_is_never_asked_or_called_as_another(self) -> None:
        rules = (CAPTURE, Rule("everything", "notify", at_least=7), Rule("b", "notify"))
        assert list(policy_problems(rules)) == [
            (1, "everything is what rule 1 is called: give one of them another name"),
            (1, "rule everything is never asked: everything before it matches every alert"),
            (2, "rule b is never asked: everything before it matches every alert"),
        ]

    def test_when_zero_is_the_lowest_severity_then_the_rule_matches_everything(self) -> None:
        assert Rule("r", "notify", at_least=0).unconditional
        assert not Rule("r", "notify", at_least=1).unconditional


def test_when_any_rule_has_tags_then_tags_are_needed() -> None:
    assert not needs_tags((CAPTURE,))
    assert needs_tags((CAPTURE, Rule("t", "notify", tags={"a": "b"})))


class TestJson:
    def test_when_a_policy_is_dumped_then_defaults_are_left_out(self) -> None:
        rules = (
            Rule("a", "capture", 7.0, ("Recon:*",), ("Impact",), {"k": "v"}, "ACTOR", 5, ("guardduty",), ("T1071",)),
            Rule("b", "notify"),
        )
        assert dump(rules) == (
            '[{"name":"a","action":"capture","at_least":7.0,"sources":["guardduty"],"types":["Recon:*"],'
            '"tactics":["Impact"],"techniques":["T1071"],"tags":{"k":"v"},"resource_role":"ACTOR","minutes":5},{"name":"b","action":"notify"}]'
        )
        assert load(dump(rules)) == rules

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "the policy is no JSON: Expecting value: line 1 column 1 (char 0)"),
            ("{}", "the policy must be a list of rules, got dict"),
            ("[5]", "rule 1 of the policy must be an object, got int"),
            ("[{}]", "rule 1 of the policy lacks action, name"),
            ('[{"name":"a","action":"notify"},{"name":"b"}]', "rule 2 of the policy lacks action"),
            ('[{"name":"a","action":"notify","when":1}]', "rule 1 of the policy has when=1, which no rule has"),
            ('[{"name":"a","action":"notify","types":[1]}]', "rule 1 of the policy has types=[1], which no rule has"),
            (
                '[{"name":"a","action":"notify","tags":{"a":1}}]',
                "rule 1 of the policy has tags={'a': 1}, which no rule has",
            ),
            (
                '[{"name":"a","action":"notify","at_least":NaN}]',
                "rule 1 of the policy: severity must be a number from 0 to 10, got nan",
            ),
        ],
    )
    def test_fails_when_the_json_is_no_policy(self, text: str, message: str) -> None:
        assert refusal(lambda: load(text)) == message


types = st.builds("{}:{}/{}".format, st.sampled_from([*THREAT_PURPOSES]), st.sampled_from(["EC2", "S3"]), st.just("X"))
patterns = types | st.builds("{}:*".format, st.sampled_from([*THREAT_PURPOSES])) | st.sampled_from(["*", "*:EC2/*"])
tag_values = st.sampled_from(["", "web", "w*", "*", "ü"])
tags = st.dictionaries(st.sampled_from(["tier", "owner"]), tag_values, max_size=2)
rules = st.builds(
    lambda minutes, **settings: Rule(**settings, minutes=None if settings["action"] == "notify" else minutes),
    name=st.sampled_from(["a", "b", "c-1"]),
    action=st.sampled_from(ACTIONS),
    at_least=st.none() | st.floats(0, 10),
    types=st.lists(patterns, max_size=3).map(tuple),
    tactics=st.lists(st.sampled_from([*TACTICS]), max_size=4).map(tuple),
    tags=tags,
    resource_role=st.none() | st.sampled_from(RESOURCE_ROLES),
    minutes=st.none() | st.integers(1, 10080),
    sources=st.lists(st.sampled_from(["guardduty", "edr"]), max_size=2).map(tuple),
    techniques=st.lists(st.sampled_from(["T1071", "T1048.003"]), max_size=2).map(tuple),
)
policies = st.lists(rules, max_size=6).map(tuple)
findings = st.builds(
    Alert,
    source=st.sampled_from(["guardduty", "edr"]),
    techniques=st.lists(st.sampled_from(["T1071.004", "T1048"]), max_size=2).map(tuple),
    id=st.just("f"),
    type=types,
    severity=st.floats(0, 10),
    where=st.just(HOME),
    instances=st.just(()) | st.builds(lambda tags: (AlertInstance("i-0123abcd", HOME, tags=tags),), tags),
    archived=st.booleans(),
    sample=st.booleans(),
    resource_role=st.none() | st.sampled_from(RESOURCE_ROLES),
)


@given(policies, findings)
def test_when_any_policy_decides_then_the_first_match_does_and_all_before_it_say_why_not(
    policy: tuple[Rule, ...], finding: Alert
) -> None:
    decision = decided(policy, finding)
    matching = [rule for rule in policy if not rule.objections(finding, tags_of(finding))]
    assert decision.rule == (matching[0] if matching else None)
    passed = [entry.rule for entry in decision.not_matched]
    assert [*passed, *([decision.rule] if decision.rule else [])] == list(policy[: len(passed) + bool(decision.rule)])
    assert all(entry.reasons for entry in decision.not_matched)


@given(policies, policies, findings)
def test_when_rules_follow_the_one_that_matches_then_they_change_nothing(
    policy: tuple[Rule, ...], more: tuple[Rule, ...], finding: Alert
) -> None:
    decision = decided(policy, finding)
    if decision.rule is not None:
        assert decided(policy + more, finding) == decision


@given(policies, findings)
def test_when_more_than_a_notification_is_decided_then_a_rule_matches_a_real_instance(
    policy: tuple[Rule, ...], finding: Alert
) -> None:
    decision = decided(policy, finding)
    if decision.action != "notify":
        assert decision.rule is not None
        assert decision.action == decision.asked
        assert decision.minutes == decision.rule.minutes
        assert finding.instances
        assert not finding.sample
        assert not finding.archived
    assert bool(decision.limited_because) == (decision.action != decision.asked)


@given(policies, findings, st.floats(0, 10))
def test_when_a_finding_is_more_severe_then_no_severity_is_a_reason_that_was_none_before(
    policy: tuple[Rule, ...], finding: Alert, severity: float
) -> None:
    worse = dataclasses.replace(finding, severity=max(severity, finding.severity))
    for rule in policy:
        assert len(rule.objections(worse, tags_of(worse))) <= len(rule.objections(finding, tags_of(finding)))


@given(policies)
def test_when_any_policy_is_dumped_and_loaded_then_it_is_the_same(policy: tuple[Rule, ...]) -> None:
    assert load(dump(policy)) == policy


@given(st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_when_any_text_is_loaded_then_it_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(RuleViolation):
        assert isinstance(load(text), tuple)
