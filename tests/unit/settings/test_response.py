from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tapstack.domain.alert_mappings import AlertMapping, AlertSource
from tapstack.domain.alert_settings import AlertSettings
from tapstack.domain.policy_rules import Rule
from tapstack.settings.load import load_deployment, parse_deployment
from tapstack.settings.schema import json_schema
from tests.unit.settings.reading import SITE, USABLE, report

WITH_TOKENS = "authorization: {jwt: {issuer: 'https://login.example.com', audience: [tapstack]%s}}"

FIXTURE = Path(__file__).parent / "response.yaml"
LAUNCH = """\
    response:
      appliance:
        launch:
          template_url: https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/epb.template
          subnet_id: subnet-0123456789abcdef0
          remote_access_cidr: 10.20.0.0/16
"""
TARGETS = """\
    targets:
      sensor: {network_interface_id: eni-0123abcd}
      sensors: {load_balancer: {subnet_ids: [subnet-0123abc1, subnet-0123abc2], instance_ids: [i-0123abcd]}}
    filters: {web: {preset: web}}
"""
TOPICS = [f"arn:aws:sns:eu-central-1:111122223333:{n}-{'x' * 254}" for n in range(10)]
INSTANCES = [f"i-{n:017x}" for n in range(80)]
VPCS = [f"vpc-{n:017x}" for n in range(9)]


def test_when_a_response_says_everything_then_it_is_read() -> None:
    response = load_deployment(FIXTURE).sites["production"].response
    assert response is not None
    assert response.authorization.jwt is not None
    assert response.authorization.jwt.scopes == ["incidents"]
    launch = response.appliance.launch
    assert launch is not None
    assert (launch.retire_after_minutes, launch.max_hours, launch.timeout_minutes) == (15, 12, 40)
    assert (response.capture.minutes, response.capture.max_minutes) == (30, 240)
    assert response.rules() == (
        Rule("critical", "capture", at_least=9.0),
        Rule("test-systems", "notify", tags={"environment": "test*"}),
        Rule(
            "command-and-control",
            "capture",
            at_least=7.0,
            tactics=("CommandAndControl", "Exfiltration"),
            resource_role="ACTOR",
            minutes=120,
        ),
        Rule("brute-force", "capture", types=("UnauthorizedAccess:EC2/*BruteForce",)),
        Rule("without-role", "capture", at_least=7.0, types=("*:Runtime/*", "AttackSequence:*")),
    )


def test_when_containment_says_everything_then_it_is_read() -> None:
    response = load_deployment(FIXTURE).sites["production"].response
    assert response is not None
    containment = response.containment
    assert containment is not None
    assert containment.modes == ["approval", "now"]
    assert (containment.approval.minutes, containment.approval.default) == (10, "contain")
    assert containment.protect.tags == {"environment": "domain-*"}
    assert containment.protect.instance_ids == ["i-0123456789abcdef0"]
    assert containment.vpc_ids == ["vpc-0c1b2c3d4e5f60718"]
    assert (containment.two_step.enabled, containment.two_step.seconds) == (True, 30)
    assert containment.auto_scaling.decrement_desired_capacity
    assert not containment.load_balancers.deregister
    assert (containment.snapshots, containment.instance_profile) == (True, "restrict")


def test_when_containment_has_no_settings_then_approval_is_needed_and_all_evidence_is_kept() -> None:
    text = f"{USABLE}    response: {{containment: {{}}}}\n"
    response = parse_deployment(text).sites["production"].response
    assert response is not None
    containment = response.containment
    assert containment is not None
    assert containment.modes == ["approval"]
    assert (containment.approval.minutes, containment.approval.default) == (15, "leave")
    assert containment.protect.tags == {"tapstack-protected": "*"}
    assert containment.auto_scaling.standby
    assert not containment.two_step.enabled
    assert containment.termination_protection
    assert containment.keep_volumes
    assert not containment.snapshots
    assert containment.instance_profile is None


def test_when_containment_is_configured_then_the_policy_may_ask_for_it() -> None:
    rules = "[{name: a, types: ['Recon:*'], action: contain_on_approval}, {name: b, action: contain_now, minutes: 5}]"
    text = f"{USABLE}    response: {{containment: {{modes: [approval, now]}}, policy: {rules}}}\n"
    response = parse_deployment(text).sites["production"].response
    assert response is not None
    assert [rule.action for rule in response.rules()] == ["contain_on_approval", "contain_now"]


MAPPING = "{match: id, alert_id: id, severity: score, severity_scale: 100, instance_id: host.id}"


def test_when_alerts_say_everything_then_they_are_read() -> None:
    sources = f"{{xdr: {{preset: hunters, webhook: true}}, edr: {{mapping: {MAPPING}}}}}"
    alerts = f"{{security_hub: true, overlap_hours: 1, sources: {sources}}}"
    rule = "{name: a, action: capture, sources: [edr], types: ['Beacon *'], techniques: [T1071]}"
    text = f"{USABLE}    xdr: {{}}\n    response: {{alerts: {alerts}, policy: [{rule}]}}\n"
    response = parse_deployment(text).sites["production"].response
    assert response is not None
    mapping = AlertMapping("id", "id", "score", instance_id="host.id", severity_scale=100)
    assert response.alerts.to_domain() == AlertSettings(
        security_hub=True,
        sources={"xdr": AlertSource("hunters", webhook=True), "edr": AlertSource(mapping=mapping)},
        overlap_hours=1,
    )
    assert response.rules() == (Rule("a", "capture", types=("Beacon *",), sources=("edr",), techniques=("T1071",)),)


def test_when_a_response_says_nothing_then_it_has_safe_defaults() -> None:
    deployment = load_deployment(FIXTURE)
    response = deployment.sites["existing"].response
    assert response is not None
    assert response.authorization.iam is not None
    assert response.authorization.jwt is None
    assert (response.appliance.target, response.appliance.filter) == ("packet_basics", "packet_basics")
    assert response.appliance.launch is None
    assert (response.capture.minutes, response.capture.max_minutes) == (60, 1440)
    assert response.rules() == ()
    assert (response.notify.emails, response.notify.topic_arns) == ([], [])
    assert (response.retention_days, response.log_retention_days) == (365, 90)
    assert response.deletion_protection
    assert response.containment is None
    assert deployment.launched_stack_name("production") == "tapstack-production-epb"


def test_when_editors_read_the_fixture_then_the_schema_accepts_it() -> None:
    Draft202012Validator(json_schema()).validate(yaml.safe_load(FIXTURE.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "mistake",
    [
        "{authorization: {oauth: {}}}",
        "{authorization: {jwt: {issuer: 'http://a.example', audience: [a]}}}",
        "{authorization: {jwt: {issuer: 'https://a.example', audience: []}}}",
        "{capture: {minutes: 0}}",
        "{capture: {max_minutes: 10081}}",
        "{policy: [{name: a}]}",
        "{policy: [{name: a, action: capture, tactics: [Command and Control]}]}",
        "{policy: [{name: a, action: capture, severity: {at_least: 10.1}}]}",
        "{policy: [{name: a, action: capture, resource_role: actor}]}",
        "{notify: {emails: [responders]}}",
        "{notify: {topic_arns: [topic]}}",
        "{log_retention_days: 91}",
        "{containment: {modes: [later]}}",
        "{containment: {per_hour: 0}}",
        "{containment: {instance_profile: deny}}",
        "{appliance: {launch: {}}}",
    ],
)
def test_fails_when_a_mistake_is_made_and_the_schema_refuses_it_too(mistake: str) -> None:
    text = f"{USABLE}    response: {mistake}\n"
    assert report(text)
    assert not Draft202012Validator(json_schema()).is_valid(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("written", "field", "message"),
    [
        ("{authorization: {}}", "authorization", "expected exactly one of iam, jwt"),
        (
            "{authorization: {iam: {}, jwt: {issuer: 'https://a.example', audience: [a]}}}",
            "authorization",
            "expected exactly one of iam, jwt",
        ),
        (
            "{authorization: {jwt: {issuer: 'https://a.example?x=y', audience: [a]}}}",
            "authorization.jwt.issuer",
            "'https://a.example?x=y' is no issuer of tokens: expected an https URL without query, such as "
            "https://login.example.com/tenant",
        ),
        (
            "{appliance: {target: sensors}}",
            "appliance.target",
            "no target of this name: expected packet_basics, or the id of a target that exists (tmt-...); "
            "or add it under targets, got 'sensors'",
        ),
        (
            "{appliance: {filter: tmf-1}}",
            "appliance.filter",
            "'tmf-1' is not the id of a traffic mirror filter: expected the form tmf-0123456789abcdef0; "
            "it has 1 digit after tmf-, expected 8 or 17",
        ),
        (
            "{capture: {minutes: 0}}",
            "capture.minutes",
            "minutes must be a whole number from 1 to 10080, got 0",
        ),
        (
            "{capture: {minutes: 90, max_minutes: 60}}",
            "capture.minutes",
            "expected at most max_minutes, 60, got 90",
        ),
        (
            "{capture: {packet_length: 0}}",
            "capture.packet_length",
            "packet length must be a whole number from 1 to 65535 bytes, got 0",
        ),
        (
            "{policy: [{name: a, action: contain_now}]}",
            "policy[0].action",
            "contain_now needs containment, which is not configured here",
        ),
        (
            "{policy: [{name: a, action: contain_on_approval}]}",
            "policy[0].action",
            "contain_on_approval needs containment, which is not configured here",
        ),
        (
            "{policy: [{name: a, action: quarantine}]}",
            "policy[0].action",
            "expected 'notify', 'capture', 'contain_on_approval' or 'contain_now', got 'quarantine'",
        ),
        (
            "{policy: [{name: a, action: capture, minutes: 1441}]}",
            "policy[0].minutes",
            "expected at most capture.max_minutes, 1440, got 1441",
        ),
        (
            "{policy: [{name: a, action: notify, minutes: 5}]}",
            "policy[0]",
            "minutes goes with an action that captures, got 5 with notify",
        ),
        (
            "{policy: [{name: a, action: capture, types: ['Recon:*']}, {name: a, action: capture}]}",
            "policy[1]",
            "a is what rule 1 is called: give one of them another name",
        ),
        (
            "{policy: [{name: a, action: capture}, {name: b, action: notify}]}",
            "policy[1]",
            "rule b is never asked: a before it matches every alert",
        ),
        (
            "{policy: [{name: a, action: capture, types: [TorClient]}]}",
            "policy[0].types[0]",
            "'TorClient' is no finding type: expected the form ThreatPurpose:Resource/Family with * for any text and "
            "no spaces, such as UnauthorizedAccess:EC2/*; for types of another tool, name its source in sources",
        ),
        (
            "{policy: [{name: a, action: capture, severity: {at_least: .nan}}]}",
            "policy[0].severity.at_least",
            "YAML reads this as the number nan: expected a plain decimal number, or quotes around text, got .nan",
        ),
        (
            "{policy: [{name: a, action: capture, severity: 7}]}",
            "policy[0].severity",
            "expected a mapping such as {at_least: 7.0}, got 7",
        ),
        (
            "{alerts: {sources: {guardduty: {preset: generic}}}}",
            "alerts.sources.guardduty",
            "guardduty is reserved: give the source another name",
        ),
        ("{alerts: {sources: {soc: {}}}}", "alerts.sources.soc", "expected exactly one of preset, mapping"),
        (
            "{alerts: {sources: {soc: {preset: huntres}}}}",
            "alerts.sources.soc.preset",
            "did you mean hunters? expected 'generic', 'guardduty', 'hunters', 'securityhub' or 'securityhub_ocsf', "
            "got 'huntres'",
        ),
        (
            "{alerts: {sources: {edr: {mapping: {match: 'a ||', alert_id: b, severity: c, instance_id: d}}}}}",
            "alerts.sources.edr.mapping.match",
            "'a ||' is no expression of JMESPath: Incomplete expression",
        ),
        (
            "{alerts: {sources: {edr: {mapping: {match: a, alert_id: b, severity: c}}}}}",
            "alerts.sources.edr.mapping",
            "expected one of instance_id, instance_arn, network_interface_id, private_ip: what the alert is about",
        ),
        (
            "{alerts: {overlap_hours: 200, sources: {soc: {preset: generic, webhook: true}}}}",
            "alerts.overlap_hours",
            "expected at most 168, got 200",
        ),
        (
            "{alerts: {overlap_hours: 1, sources: {soc: {preset: generic}}}}",
            "alerts.overlap_hours",
            "has no effect: no source has webhook: true; leave it out",
        ),
        (
            "{alerts: {sources: {soc: {preset: generic}}}}",
            "alerts",
            "alerts that lead to no instance are kept in the landing of the site's telemetry, and the site has no xdr: "
            "add xdr: {} to the site",
        ),
        (
            "{policy: [{name: a, action: capture, sources: [securityhub]}]}",
            "policy[0].sources[0]",
            "no alerts come by securityhub: it needs alerts.security_hub; expected guardduty",
        ),
        (
            "{policy: [{name: a, action: capture, techniques: [beacon]}]}",
            "policy[0].techniques[0]",
            "'beacon' is no technique of ATT&CK: expected the form T1071 or T1071.004",
        ),
        (
            "{notify: {emails: [responders]}}",
            "notify.emails[0]",
            "'responders' is no email address: expected the form responders@example.com",
        ),
        (
            "{notify: {topic_arns: ['arn:aws:sns:eu-central-1:111122223333:security.fifo']}}",
            "notify.topic_arns[0]",
            "is a FIFO topic, which takes messages of a group only: expected a standard topic, "
            "got 'arn:aws:sns:eu-central-1:111122223333:security.fifo'",
        ),
        (
            "{notify: {topic_arns: ['arn:aws:sns:us-east-1:111122223333:security']}}",
            "notify.topic_arns[0]",
            "is in Region us-east-1: expected eu-central-1, got 'arn:aws:sns:us-east-1:111122223333:security'",
        ),
        ("{retention_days: 0}", "retention_days", "expected at least 1, got 0"),
        ("{containment: {modes: []}}", "containment.modes", "expected at least 1 entry"),
        ("{containment: {modes: [later]}}", "containment.modes[0]", "expected 'approval' or 'now', got 'later'"),
        (
            "{containment: {modes: [now, now]}}",
            "containment.modes[1]",
            "given twice, first as modes[0]: keep one, got 'now'",
        ),
        ("{containment: {approval: {minutes: 0}}}", "containment.approval.minutes", "expected at least 1, got 0"),
        (
            "{containment: {approval: {default: ask}}}",
            "containment.approval.default",
            "expected 'leave' or 'contain', got 'ask'",
        ),
        (
            "{containment: {approval: {source_identity_roles: ['arn:aws:iam::111122223333:role/responders']}}}",
            "containment.approval.source_identity_roles[0]",
            "'arn:aws:iam::111122223333:role/responders' is not the name of a role: expected 1 to 64 letters, digits "
            "and signs of _+=,.@-, no ARN",
        ),
        (
            "{containment: {approval: {other_person: false, source_identity_roles: [responders]}}}",
            "containment.approval",
            "approval.source_identity_roles has no effect without other_person true",
        ),
        (
            "{containment: {approval: {source_identity_roles: [A, a]}}}",
            "containment.approval",
            "approval.source_identity_roles has A and a, which IAM takes for one name: keep one",
        ),
        (
            "{containment: {approval: {source_identity_roles: [A, A]}}}",
            "containment.approval.source_identity_roles[1]",
            "given twice, first as source_identity_roles[0]: keep one, got 'A'",
        ),
        (
            f"{{containment: {{approval: {{source_identity_roles: [{', '.join(f'r{n}' for n in range(11))}]}}}}}}",
            "containment.approval.source_identity_roles",
            "expected at most 10 entries, got 11",
        ),
        (
            "{containment: {modes: [now], approval: {minutes: 5}}}",
            "containment.approval",
            "has no effect: modes has no approval",
        ),
        (
            "{containment: {vpc_ids: [vpc-0a1b2c3d4e5f60718]}}",
            "containment.vpc_ids[0]",
            "is the site's own, which is in scope anyway: leave it out, got 'vpc-0a1b2c3d4e5f60718'",
        ),
        (
            "{containment: {tcp_established_seconds: 59}}",
            "containment.tcp_established_seconds",
            "expected at least 60, got 59",
        ),
        (
            "{containment: {auto_scaling: {standby: false, decrement_desired_capacity: true}}}",
            "containment.auto_scaling.standby",
            "decrement_desired_capacity needs true, got false",
        ),
        ("{containment: {per_hour: 0}}", "containment.per_hour", "expected at least 1, got 0"),
        ("{containment: {instance_profile: deny}}", "containment.instance_profile", "expected 'restrict', got 'deny'"),
        (
            "{containment: {}, policy: [{name: a, action: contain_now}]}",
            "policy[0].action",
            "contain_now needs the mode now: containment.modes has approval",
        ),
        (
            # No second message about the rule.
            "{containment: {modes: []}, policy: [{name: a, action: contain_now}]}",
            "containment.modes",
            "expected at least 1 entry",
        ),
        (
            "{evidence: {appliance_snapshots: {keep_days: 7}}}",
            "evidence.appliance_snapshots",
            "has no effect without appliance.launch: leave it out",
        ),
        (
            "{capture: {reserved_sources: 3}, policy: [{name: a, action: notify}]}",
            "capture.reserved_sources",
            "has no effect: no rule of policy captures; leave it out",
        ),
        (
            "{capture: {incidents_per_finding: 3}}",
            "capture.incidents_per_finding",
            "has no effect: no rule of policy captures; leave it out",
        ),
        (
            "{notify: {emails: [a@example.com, A@example.com]}}",
            "notify.emails[1]",
            "given twice, first as emails[0]: keep one, got 'A@example.com'",
        ),
        (
            "{polcy: []}",
            "polcy",
            "unknown key; did you mean policy? known here: alerts, appliance, authorization, capture, containment, "
            "deletion_protection, evidence, log_retention_days, notify, policy, retention_days",
        ),
        (
            "{containment: {approval: {source_identity_roles: [responders]}}, " + WITH_TOKENS % ", scopes: [a]" + "}",
            "containment.approval.source_identity_roles",
            "has no effect with authorization.jwt: a token names its person by issuer and subject",
        ),
    ],
)
def test_fails_when_a_response_is_wrong_and_names_the_place(written: str, field: str, message: str) -> None:
    xdr = "    xdr: {}\n" if field.startswith("alerts.") else ""
    text = f"{USABLE}    response: {written}\n{xdr}"
    assert report(text) == [f"deployment.yaml:9: sites.production.response.{field}: {message}"]


def test_fails_when_logs_are_kept_for_a_time_that_aws_does_not_know() -> None:
    [problem] = report(USABLE + "    response: {log_retention_days: 91}\n")
    assert problem.startswith("deployment.yaml:9: sites.production.response.log_retention_days: expected 1, 3, 5, 7, ")
    assert problem.endswith(" or 3653, got 91")


def test_fails_when_a_policy_does_not_fit_into_a_function_s_environment() -> None:
    rules = "".join(f"        - {{name: r{n}, action: capture, tags: {{k: {'v' * 200}}}}}\n" for n in range(13))
    [problem] = report(USABLE + "    response:\n      policy:\n" + rules)
    assert problem == (
        "deployment.yaml:10: sites.production.response.policy: the functions' environment would have 4,564 bytes, and "
        "AWS Lambda accepts 4,096: shorten what takes most of it: policy takes 3,445, appliance takes 252"
    )


@pytest.mark.parametrize(
    ("written", "largest", "listed"),
    [
        (
            f"{{notify: {{topic_arns: [{', '.join(TOPICS)}]}}, containment: {{vpc_ids: [{', '.join(VPCS)}]}}}}",
            "notify.topic_arns",
            "notify.topic_arns takes 3,026, containment.vpc_ids takes 683, appliance takes 252",
        ),
        (
            f"{{containment: {{protect: {{instance_ids: [{', '.join(INSTANCES)}]}}, two_step: {{enabled: true}}, "
            f"vpc_ids: [{', '.join(VPCS)}]}}}}",
            "containment.protect",
            "containment.protect takes 1,982, containment.vpc_ids takes 1,053, appliance takes 252",
        ),
    ],
)
def test_fails_when_other_parts_do_not_fit_into_a_function_s_environment(
    written: str, largest: str, listed: str
) -> None:
    [problem] = report(f"{USABLE}    response: {written}\n")
    assert problem.startswith(f"deployment.yaml:9: sites.production.response.{largest}: the functions' environment ")
    assert problem.endswith(f"AWS Lambda accepts 4,096: shorten what takes most of it: {listed}")


@pytest.mark.parametrize(
    ("written", "field"),
    [
        (f"{{instance_ids: [{', '.join(INSTANCES)}, i-0fffffffffffffff0]}}", "instance_ids"),
        (f"{{tags: {{{', '.join(f'key-{n}: a' for n in range(26))}}}}}", "tags"),
    ],
)
def test_fails_when_more_is_protected_than_a_role_s_policy_holds(written: str, field: str) -> None:
    [problem] = report(f"{USABLE}    response: {{containment: {{protect: {written}}}}}\n")
    assert problem.startswith(f"deployment.yaml:9: sites.production.response.containment.protect.{field}: ")


def test_when_modes_are_empty_then_nothing_is_said_of_approval() -> None:
    [problem] = report(f"{USABLE}    response: {{containment: {{modes: [], approval: {{minutes: 5}}}}}}\n")
    assert "containment.modes: expected at least 1 entry" in problem


def test_fails_when_there_is_nothing_to_mirror_to() -> None:
    assert report(SITE + TARGETS + "    response: {}\n") == [
        "deployment.yaml:9: sites.production.response.appliance: the site has no packet_basics to mirror to: expected "
        "launch, or target and filter"
    ]


def test_fails_when_the_packets_are_longer_than_a_load_balancer_forwards() -> None:
    chosen = "    response: {appliance: {target: sensors, filter: web}, capture: {packet_length: 8501}}\n"
    assert report(SITE + TARGETS + chosen) == [
        "deployment.yaml:9: sites.production.response.capture.packet_length: packet length must be a whole number from "
        "1 to 8500 bytes for a Network Load Balancer target, got 8501"
    ]


def test_when_packets_are_cut_inside_their_headers_then_a_warning_says_so() -> None:
    chosen = "    response: {appliance: {target: sensors, filter: web}, capture: {packet_length: 20}}\n"
    assert [str(warning) for warning in parse_deployment(SITE + TARGETS + chosen).warnings()] == [
        "deployment.yaml:9: sites.production.response.capture.packet_length: packet length 20 cuts headers: keep at "
        "least 35 bytes of IPv4 and 55 bytes of IPv6"
    ]


class TestLaunch:
    def test_when_only_an_appliance_to_launch_is_named_then_the_site_is_right(self) -> None:
        launch = parse_deployment(SITE + LAUNCH).sites["production"].response.appliance.launch  # type: ignore[union-attr]
        assert launch is not None
        assert (launch.retire_after_minutes, launch.max_hours, launch.timeout_minutes) == (30, 24, 30)
        assert launch.capabilities == []

    def test_when_it_is_to_stay_then_that_can_be_said(self) -> None:
        text = SITE + LAUNCH + "          retire_after_minutes: null\n"
        launch = parse_deployment(text).sites["production"].response.appliance.launch  # type: ignore[union-attr]
        assert launch is not None
        assert launch.retire_after_minutes is None

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("target: sensor", "launch does not go with target: a launched appliance brings its own"),
            (
                "target: tmt-0123abcd\n        filter: tmf-0123abcd",
                "launch does not go with filter and target: a launched appliance brings its own",
            ),
        ],
    )
    def test_fails_when_an_existing_target_is_named_too(self, setting: str, message: str) -> None:
        assert report(SITE + LAUNCH + f"        {setting}\n") == [
            f"deployment.yaml:6: sites.production.response.appliance: {message}"
        ]

    @pytest.mark.parametrize(
        ("setting", "problem"),
        [
            (
                "public_ip: true",
                "11: sites.production.response.appliance.launch.public_ip: an Elastic IP puts the appliance's portal",
            ),
            (
                "permissions_boundary: arn:aws:iam::111122223333:policy/appliances",
                "11: sites.production.response.appliance.launch.permissions_boundary: permissions_boundary goes with "
                "capabilities CAPABILITY_IAM or CAPABILITY_NAMED_IAM: without them the template makes no role",
            ),
            (
                "permissions_boundary: boundary\n          capabilities: [CAPABILITY_IAM]",
                "11: sites.production.response.appliance.launch.permissions_boundary: 'boundary' is not the ARN of "
                "an IAM policy",
            ),
            (
                "parameters: {VPCID: vpc-0123abcd}",
                "11: sites.production.response.appliance.launch.parameters.VPCID: VPCID cannot be given as an extra "
                "parameter",
            ),
            (
                "retire_after_minutes: 1441",
                "11: sites.production.response.appliance.launch.retire_after_minutes: expected at most 1440, got 1441",
            ),
            ("max_hours: 0", "11: sites.production.response.appliance.launch.max_hours: expected at least 1, got 0"),
            (
                "stack_name: mine",
                "11: sites.production.response.appliance.launch.stack_name: unknown key; known here: "
                "accept_open_remote_access, ",
            ),
        ],
    )
    def test_fails_when_the_appliance_would_be_refused(self, setting: str, problem: str) -> None:
        [found] = report(SITE + LAUNCH + f"          {setting}\n")
        assert found.startswith(f"deployment.yaml:{problem}")

    def test_fails_when_remote_access_is_open(self) -> None:
        [found] = report(SITE + LAUNCH.replace("10.20.0.0/16", "0.0.0.0/0"))
        assert found.startswith(
            "deployment.yaml:10: sites.production.response.appliance.launch.remote_access_cidr: remote access from "
            "0.0.0.0/0 opens the appliance to the whole internet"
        )

    def test_fails_when_the_site_s_own_stack_has_the_same_name(self) -> None:
        second = "  second:\n    region: eu-central-1\n    vpc_id: vpc-0123abcd\n" + USABLE.removeprefix(SITE)
        text = SITE + LAUNCH + second + "      stack_name: tapstack-production-epb\n"
        [found] = report(text)
        assert found.endswith(
            "sites.second.packet_basics.stack_name: site production has a CloudFormation stack of this name in the "
            "same Region, got 'tapstack-production-epb'"
        )

    def test_fails_when_the_existing_appliance_of_the_site_has_the_same_name(self) -> None:
        [found] = report(USABLE + "      stack_name: tapstack-production-epb\n" + LAUNCH)
        assert found.startswith(
            "deployment.yaml:12: sites.production.response.appliance.launch: site production has a CloudFormation "
            "stack of this name in the same Region"
        )


def test_fails_when_another_site_is_called_like_the_response_s_stack() -> None:
    other = "  production-response:\n    region: eu-central-1\n    vpc_id: vpc-0123abcd\n" + USABLE.removeprefix(SITE)
    assert report(USABLE + "    response: {}\n" + other) == [
        "deployment.yaml:9: sites.production.response: site production-response has a stack of this name: rename that "
        "site"
    ]


@pytest.mark.parametrize(
    "text",
    [
        SITE + TARGETS + "    response: {appliance: {target: sensor, filter: web}}\n",
        SITE + "    response: {appliance: {target: tmt-0123abcd, filter: tmf-0123abcd}}\n",
        USABLE + "    response: {appliance: {filter: tmf-0123abcd}, authorization: {iam: {}}}\n",
        USABLE + "    response: {policy: [{name: a, action: capture, types: ['*'], severity: {at_least: 7}}]}\n",
    ],
)
def test_when_everything_fits_together_then_it_passes(text: str) -> None:
    assert parse_deployment(text).sites["production"].response is not None


@pytest.mark.parametrize(
    ("written", "field", "warning"),
    [
        (
            "{containment: {}, " + WITH_TOKENS % "" + "}",
            "authorization.jwt",
            "has no scopes: every token of this audience may contain, approve and release; give the scopes that may",
        ),
        (
            "{containment: {}, " + WITH_TOKENS % ", scopes_of: {decide: [approve], override: [override]}" + "}",
            "authorization.jwt",
            "has no scopes: every token of this audience has the rights read, open, extend, close, contain, "
            "contain_now, release; give scopes, or scopes_of them",
        ),
        (
            "{containment: {modes: [now]}, policy: [{name: a, action: capture, tactics: [Impact]}, "
            "{name: all, action: contain_now, severity: {at_least: 0.0}}]}",
            "policy[1]",
            "contains every instance that an alert names, whatever its severity: it has no condition; give it one, "
            "such as severity: {at_least: 7.0}",
        ),
        (
            "{containment: {}, policy: [{name: all, action: contain_on_approval}]}",
            "policy[0]",
            "asks to contain every instance that an alert names, whatever its severity: it has no condition; give it "
            "one, such as severity: {at_least: 7.0}",
        ),
        (
            "{containment: {approval: {default: contain}}}",
            "containment.approval.default",
            "contains what one person requested, without an answer in time, although other_person is true; leave "
            "contains nothing without an answer",
        ),
    ],
)
def test_when_more_may_be_contained_than_is_likely_meant_then_check_warns(
    written: str, field: str, warning: str
) -> None:
    assert parse_deployment(f"{USABLE}    response: {written}\n").warnings() == [
        f"deployment.yaml:9: sites.production.response.{field}: {warning}"
    ]


@pytest.mark.parametrize(
    ("types", "warning"),
    [
        ('["*:Runtime/*"]', "the rule never matches, *:Runtime/*"),
        ('["Recon:EC2/*", "*:Runtime/*"]', "it never matches these types, *:Runtime/*"),
        ('["Recon:EC2/*", "*"]', None),
    ],
)
def test_when_a_rule_asks_runtime_monitoring_for_a_resource_role_then_check_warns(
    types: str, warning: str | None
) -> None:
    rule = f"{{name: a, action: capture, types: {types}, resource_role: ACTOR}}"
    assert parse_deployment(f"{USABLE}    response: {{policy: [{rule}]}}\n").warnings() == (
        []
        if warning is None
        else [
            f"deployment.yaml:9: sites.production.response.policy[0].resource_role: {warning}: findings of Runtime "
            "Monitoring have no resource role; give them a rule without resource_role"
        ]
    )


@pytest.mark.parametrize(
    ("condition", "warning"),
    [
        (
            "sources: [soc, securityhub], resource_role: ACTOR",
            "resource_role: the rule never matches: alerts of soc and securityhub have no resource role; leave it out",
        ),
        (
            "sources: [guardduty, forwarder], techniques: [T1071]",
            "techniques: the rule never matches: GuardDuty names no technique; ask for tactics",
        ),
        ("sources: [soc, forwarder], resource_role: ACTOR", None),
        ("sources: [soc, guardduty], techniques: [T1071]", None),
        ("resource_role: ACTOR, techniques: [T1071]", None),
    ],
)
def test_when_a_rule_asks_for_what_its_sources_lack_then_check_warns(condition: str, warning: str | None) -> None:
    alerts = "{security_hub: true, sources: {soc: {preset: generic}, forwarder: {preset: guardduty}}}"
    response = f"{{alerts: {alerts}, policy: [{{name: a, action: capture, {condition}}}]}}"
    said = [f"deployment.yaml:9: sites.production.response.policy[0].{warning}"] if warning else []
    assert parse_deployment(f"{USABLE}    response: {response}\n    xdr: {{}}\n").warnings() == said


OTHERS = "sources: {soc: {preset: generic}, edr: {preset: generic, webhook: true}}"


@pytest.mark.parametrize(
    ("alerts", "rule", "warned"),
    [
        (OTHERS, "action: contain_now", "contains for alerts of soc and edr"),
        (OTHERS, "action: contain_on_approval", "asks to contain for alerts of soc and edr"),
        # Whatever may call BatchImportFindings writes what Security Hub delivers.
        (
            f"security_hub: true, {OTHERS}",
            "action: contain_now",
            "contains for alerts of securityhub and soc and edr",
        ),
        ("security_hub: true", "action: contain_now", "contains for alerts of securityhub"),
        ("security_hub: true", "action: contain_now, sources: [guardduty]", None),
        (OTHERS, "action: contain_now, sources: [guardduty, edr]", None),
        (OTHERS, "action: capture", None),
        # Their alerts have no role of the instance.
        (OTHERS, "action: contain_now, resource_role: ACTOR", None),
        ("security_hub: true", "action: contain_now, resource_role: ACTOR", None),
        (
            "security_hub: true, sources: {soc: {preset: generic}, forwarder: {preset: guardduty}}",
            "action: contain_now, resource_role: ACTOR",
            "contains for alerts of forwarder",
        ),
        ("security_hub: false", "action: contain_now", None),
    ],
)
def test_when_a_rule_contains_for_sources_that_it_does_not_name_then_check_warns(
    alerts: str, rule: str, warned: str | None
) -> None:
    policy = f"[{{name: a, severity: {{at_least: 7}}, {rule}}}]"
    response = f"{{alerts: {{{alerts}}}, containment: {{modes: [approval, now]}}, policy: {policy}}}"
    warnings = parse_deployment(f"{USABLE}    response: {response}\n    xdr: {{}}\n").warnings()

    said = [
        f"deployment.yaml:9: sites.production.response.policy[0]: the rule a {warned}, too, and of every source that "
        "is added later: it has no sources; write sources: [guardduty], and add those that may set it off"
    ]
    assert warnings == (said if warned else [])


STRONGEST = "contain_now"


@pytest.mark.parametrize(
    ("before", "weak", "after", "stronger"),
    [
        ("", "action: notify", "action: contain_now, severity: {at_least: 9.0}", STRONGEST),
        (
            "{name: c, action: capture, severity: {at_least: 9}}, ",
            "action: notify",
            "action: contain_now",
            "contain_now",
        ),
        (
            "{name: c, action: contain_now, types: ['Trojan:*']}, ",
            "action: capture",
            "action: contain_now",
            "contain_now",
        ),
        ("{name: c, action: contain_now, severity: {at_least: 9.5}}, ", "action: notify", "action: capture", "capture"),
        ("{name: c, action: capture, severity: {at_least: 9.0}}, ", "action: notify", "action: capture", None),
        ("", "action: capture", "action: capture", None),
        ("", "action: contain_now", "action: capture", None),
        ("", "action: notify, types: ['Recon:*']", "action: capture, types: ['Backdoor:*']", None),
        ("", "action: notify, types: ['Recon:*']", "action: capture, types: ['*:EC2/*']", "capture"),
    ],
)
def test_when_an_instance_can_tag_itself_out_of_a_stronger_rule_then_check_warns(
    before: str, weak: str, after: str, stronger: str | None
) -> None:
    rules = f"[{before}{{name: a, tags: {{stage: test, Owner: '*'}}, {weak}}}, {{name: b, {after}, minutes: 5}}]"
    written = f"{{containment: {{modes: [approval, now]}}, policy: {rules}}}"
    warnings = map(str, parse_deployment(f"{USABLE}    response: {written}\n").warnings())
    action = weak.removeprefix("action: ").partition(",")[0]
    position = 1 if before else 0
    assert [one for one in warnings if "CreateTags" in one] == (
        []
        if stronger is None
        else [
            f"deployment.yaml:9: sites.production.response.policy[{position}].tags: any caller with ec2:CreateTags, "
            f"also an attacker on the instance, can write these tags (stage, Owner), so that this rule ({action}) "
            f"decides, and not b ({stronger}): put a rule with action {stronger} and no condition but severity: "
            "{at_least: 9.0}, or lower, before it"
        ]
    )


def test_when_a_rule_has_tactics_that_its_types_do_not_stand_for_then_check_warns() -> None:
    rule = "{name: a, action: capture, types: ['CryptoCurrency:EC2/*', 'Recon:EC2/*'], tactics: [Discovery]}"
    assert parse_deployment(f"{USABLE}    response: {{policy: [{rule}]}}\n").warnings() == [
        "deployment.yaml:9: sites.production.response.policy[0].tactics: it never matches these types, "
        "CryptoCurrency:EC2/*: they stand for none of these tactics"
    ]


@pytest.mark.parametrize(
    "written",
    [
        "{containment: {}, " + WITH_TOKENS % ", scopes: [incidents]" + "}",
        "{" + WITH_TOKENS % "" + "}",
        "{containment: {}, authorization: {iam: {}}}",
        "{containment: {modes: [now]}, policy: [{name: a, action: contain_now, severity: {at_least: 9.0}}]}",
        "{containment: {}, policy: [{name: all, action: capture}]}",
        "{containment: {approval: {default: contain, other_person: false}}}",
    ],
)
def test_when_it_is_limited_or_nothing_is_contained_then_check_does_not_warn(written: str) -> None:
    assert parse_deployment(f"{USABLE}    response: {written}\n").warnings() == []


def test_when_the_example_is_checked_then_it_has_no_warnings() -> None:
    assert load_deployment(Path(__file__).resolve().parents[3] / "deployment.yaml").warnings() == []


@pytest.mark.parametrize(
    ("senders", "containment", "admitting"),
    [
        ("[sg-0123abcd, 10.0.0.0/16, sg-0123abce]", "containment: {}", "sg-0123abcd, sg-0123abce"),
        ("[10.0.0.0/16]", "containment: {}", None),
        ("[sg-0123abcd]", "capture: {minutes: 30}", None),
    ],
)
def test_when_the_appliance_admits_sources_by_their_security_groups_then_check_warns_of_containment(
    senders: str, containment: str, admitting: str | None
) -> None:
    text = f"{USABLE}    capture_security_group: {{mirrored_from: {senders}}}\n    response: {{{containment}}}\n"
    found = [str(warning) for warning in parse_deployment(text).warnings() if "takes off them" in str(warning)]
    assert found == (
        []
        if admitting is None
        else [
            f"deployment.yaml:10: sites.production.response.containment: mirrored_from admits sources by {admitting}, "
            "which containment takes off them: the capture of a contained instance ends, unless its address is "
            "admitted too; admit CIDR blocks or the VPC"
        ]
    )


TEMPLATE = "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/epb.template"


@pytest.mark.parametrize(
    ("seconds", "launches", "warned"),
    [(900, True, ""), (899, True, "the first start of a launched appliance takes"), (300, False, ""), (299, False, "")],
)
def test_when_a_containment_waits_too_short_for_packets_then_check_warns(
    seconds: int, launches: bool, warned: str
) -> None:
    launch = "appliance: {launch: {template_url: " + TEMPLATE + ", subnet_id: subnet-0123456789abcdef0, "
    launch += "remote_access_cidr: 10.20.0.0/16}}, "
    wait = f"containment: {{wait_for_packets: {{at_most_seconds: {seconds}}}}}"
    text = f"{USABLE}    response: {{{launch if launches else ''}{wait}}}\n"
    found = [str(one) for one in parse_deployment(text).warnings() if "wait_for_packets.at_most_seconds" in str(one)]
    assert len(found) == (seconds in (899, 299))
    assert all(warned in one and f"expected {seconds + 1} or more" in one for one in found)


TO_LAUNCH = "{template_url: " + TEMPLATE + ", subnet_id: subnet-0123456789abcdef0, remote_access_cidr: 10.20.0.0/16%s}"


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        ("evidence: {appliance_snapshots: null}", None),
        (f"appliance: {{launch: {TO_LAUNCH % ''}}}, evidence: {{appliance_snapshots: {{keep_days: 3}}}}", None),
        (
            f"appliance: {{launch: {TO_LAUNCH % ', retire_after_minutes: null'}}}, "
            "evidence: {appliance_snapshots: {keep_days: 3}}",
            "evidence.appliance_snapshots: has no effect where retire_after_minutes is null: leave it out",
        ),
        # It says what is wrong with it, and not to leave it out as well.
        ("capture: {reserved_sources: 300}", "capture.reserved_sources: expected at most 100, got 300"),
        (
            "evidence: {appliance_snapshots: {keep_days: 0}}",
            "evidence.appliance_snapshots.keep_days: expected at least",
        ),
    ],
)
def test_when_evidence_is_configured_then_it_has_an_effect(response: str, problem: str | None) -> None:
    text = f"{USABLE}    response: {{{response}}}\n"
    if problem is None:
        parse_deployment(text)
    else:
        [found] = report(text)
        assert f"sites.production.response.{problem}" in found


@pytest.mark.parametrize(("modes", "warned"), [("approval", True), ("approval, now", False)])
def test_when_nobody_can_end_a_wait_for_packets_then_check_warns(modes: str, warned: bool) -> None:
    text = f"{USABLE}    response: {{containment: {{modes: [{modes}], wait_for_packets: {{at_most_seconds: 900}}}}}}\n"
    found = [str(one) for one in parse_deployment(text).warnings() if "end the wait" in str(one)]
    assert [one.partition("wait_for_packets: ")[2] for one in found] == warned * [
        "no responder can end the wait: only contain --mode now --skip-wait can, and modes has no now"
    ]


@pytest.mark.parametrize(
    "written", ["evidence: {appliance_snapshots: }", "appliance: {launch: {retire_after_minutes: }}"]
)
def test_fails_when_a_key_has_no_value_where_null_would_turn_something_off(written: str) -> None:
    launch = "{template_url: " + TEMPLATE + ", subnet_id: subnet-0123456789abcdef0, remote_access_cidr: 10.20.0.0/16}"
    response = (
        f"{{appliance: {{launch: {launch}}}, {written}}}"
        if written.startswith("evidence")
        else f"{{appliance: {{launch: {launch[:-1]}, retire_after_minutes: }}}}}}"
    )
    [problem] = report(f"{USABLE}    response: {response}\n")
    assert problem.endswith(": has no value: write null to turn it off, or leave the key out for the default")
    null = response.replace("appliance_snapshots: }", "appliance_snapshots: null}").replace(
        "minutes: }", "minutes: null}"
    )
    parse_deployment(f"{USABLE}    response: {null}\n")
