import io
import json
from pathlib import Path
from typing import Any

import pytest

from tapstack.cli import main
from tests.unit.domain.findings import document, event

DEPLOYMENT = Path(__file__).parents[1] / "settings" / "response.yaml"
Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TAPSTACK_DEPLOYMENT", "CDKTF_CONTEXT_JSON"):
        monkeypatch.delenv(name, raising=False)


def explain(document: Any, *more: str, deployment: Path = DEPLOYMENT) -> int:
    Path("finding.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return main(["incident", "explain", "finding.json", "--deployment", str(deployment), *more])


def test_when_a_rule_matches_then_it_is_named_with_the_reasons_of_those_before(capsys: Printed) -> None:
    assert explain(event(), "--site", "production") == 0
    assert capsys.readouterr().out.splitlines() == [
        "finding   UnauthorizedAccess:EC2/TorClient, severity 8 (high)",
        "          i-0a000000000000001, as ACTOR; InitialAccess and CommandAndControl",
        "site      production, 5 rules",
        "",
        "  1 critical             no: severity 8 is below 9",
        "  2 test-systems         no: the instance has no tag environment",
        "  3 command-and-control  matches: capture",
        "  4 brute-force          not evaluated",
        "  5 without-role         not evaluated",
        "",
        "decision  capture for 120 minutes: rule command-and-control",
        "note      tags are those in the finding; when one arrives, the instance's tags of that moment count",
    ]


def test_when_no_rule_matches_then_every_reason_is_shown(capsys: Printed) -> None:
    finding = event(severity=2, type="Recon:EC2/PortProbeUnprotectedPort", service__resourceRole="TARGET")
    assert explain(finding, "--site", "production") == 0
    assert capsys.readouterr().out.splitlines()[4:14] == [
        "  1 critical             no: severity 2 is below 9",
        "  2 test-systems         no: the instance has no tag environment",
        "  3 command-and-control  no: severity 2 is below 7",
        "                             the finding stands for Reconnaissance and Discovery, not for "
        "CommandAndControl or Exfiltration",
        "                             the resource's role is TARGET, not ACTOR",
        "  4 brute-force          no: type Recon:EC2/PortProbeUnprotectedPort does not fit "
        "UnauthorizedAccess:EC2/*BruteForce",
        "  5 without-role         no: severity 2 is below 7",
        "                             type Recon:EC2/PortProbeUnprotectedPort does not fit *:Runtime/* or "
        "AttackSequence:*",
        "",
        "decision  notify: no rule matches, and the default is notify",
    ]


def test_when_a_sample_would_be_captured_then_it_says_why_it_is_not(capsys: Printed) -> None:
    assert explain(event(title="[SAMPLE] x"), "--site", "production") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "decision  notify: rule command-and-control" in lines
    assert "          not capture: the finding is a sample: what it names does not exist" in lines


def test_when_a_sequence_has_the_same_decision_for_its_instances_then_it_is_printed_once(capsys: Printed) -> None:
    assert explain(document("attack-sequence-ec2"), "--site", "existing") == 0
    assert capsys.readouterr().out.splitlines() == [
        "finding   AttackSequence:EC2/CompromisedInstanceGroup, severity 9 (critical)",
        "          i-0a00000000000aaa1, i-0a00000000000aaa2, as TARGET; CommandAndControl and Impact",
        "site      existing, no rules",
        "",
        "decision  notify: no rule matches, and the default is notify",
    ]


def test_when_a_sequence_has_another_decision_for_each_instance_then_each_has_its_reasons(capsys: Printed) -> None:
    finding = document("attack-sequence-ec2")
    resources = finding["detail"]["service"]["detection"]["sequence"]["resources"]
    resources[0]["tags"] = [{"key": "environment", "value": "test-1"}]
    resources[1]["uid"] = "arn:aws:ec2:eu-west-1:111122223333:instance/i-0a00000000000aaa2"
    finding["detail"]["service"]["resourceRole"] = "ACTOR"
    assert explain(finding, "--site", "production") == 0
    assert capsys.readouterr().out.splitlines() == [
        "finding   AttackSequence:EC2/CompromisedInstanceGroup, severity 9 (critical)",
        "          2 instances, as ACTOR; CommandAndControl and Impact",
        "site      production, 5 rules",
        "",
        "instance  i-0a00000000000aaa1",
        "",
        "  1 critical             matches: capture",
        "  2 test-systems         not evaluated",
        "  3 command-and-control  not evaluated",
        "  4 brute-force          not evaluated",
        "  5 without-role         not evaluated",
        "",
        "decision  capture: rule critical",
        "",
        "instance  i-0a00000000000aaa2",
        "",
        "  1 critical             matches: capture",
        "  2 test-systems         not evaluated",
        "  3 command-and-control  not evaluated",
        "  4 brute-force          not evaluated",
        "  5 without-role         not evaluated",
        "",
        "decision  notify: rule critical",
        "          not capture: the instance is of account 111122223333 in eu-west-1, not of this site's",
        "note      tags are those in the finding; when one arrives, the instance's tags of that moment count",
    ]


def test_when_something_is_left_out_then_a_note_says_so(capsys: Printed) -> None:
    assert explain(event(service__count="\n\x1b[2Jdecision capture"), "--site", "existing") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "note      left out: detail.service.count: expected a whole number from 0 to 2147483647, got "
        "'\\n\\x1b[2Jdecision capture'"
    )


def test_when_json_is_wanted_then_it_holds_the_same(capsys: Printed) -> None:
    assert explain(event(), "--site", "production", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    [decision] = said["decisions"]
    assert (decision["action"], decision["rule"], decision["minutes"]) == ("capture", "command-and-control", 120)
    assert decision["passed_over"] == [
        {"rule": "critical", "reasons": ["severity 8 is below 9"]},
        {"rule": "test-systems", "reasons": ["the instance has no tag environment"]},
    ]
    assert decision["not_asked"] == ["brute-force", "without-role"]
    assert [instance["instance_id"] for instance in decision["instances"]] == ["i-0a000000000000001"]
    assert said["finding"]["tactics"] == ["InitialAccess", "CommandAndControl"]


def test_when_the_finding_comes_from_standard_input_then_it_is_read_there(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(event())))
    assert main(["incident", "explain", "-", "--deployment", str(DEPLOYMENT), "--site", "existing"]) == 0
    lines = capsys.readouterr().out.splitlines()
    after = lines.index("site      existing, no rules") + 1
    assert lines[after : after + 2] == ["", "decision  notify: no rule matches, and the default is notify"]


def test_when_one_site_only_receives_the_finding_then_it_need_not_be_named(capsys: Printed) -> None:
    text = DEPLOYMENT.read_text().replace("existing:\n    region: eu-central-1", "existing:\n    region: eu-west-1")
    Path("deployment.yaml").write_text(text)
    Path("finding.json").write_text(json.dumps(event()))
    assert main(["incident", "explain", "finding.json"]) == 0
    assert "site      production, 5 rules" in capsys.readouterr().out


def test_when_the_site_would_not_receive_the_finding_then_a_note_says_so(capsys: Printed) -> None:
    assert explain(event(region="us-east-1"), "--site", "existing") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "note      the finding is of account 111122223333 in us-east-1: site existing would not receive it "
        "(111122223333 in eu-central-1)"
    )


@pytest.mark.parametrize(
    ("more", "finding", "message"),
    [
        (
            [],
            event(),
            "sites production, existing receive findings of account 111122223333 in eu-central-1: "
            "give --site production or existing",
        ),
        (
            [],
            event(accountId="444455556666"),
            "no site with a response receives findings of account 444455556666 in eu-central-1: "
            "give --site production or existing",
        ),
        (["--site", "prod"], event(), "no site of this name: expected production, existing, got 'prod'"),
    ],
)
def test_fails_when_the_site_is_not_clear(more: list[str], finding: Any, message: str, capsys: Printed) -> None:
    assert explain(finding, *more) == 2
    assert capsys.readouterr().err == f"{DEPLOYMENT}: {message}\n"


@pytest.mark.parametrize("more", [[], ["--site", "production"]])
def test_fails_when_no_site_has_a_response(more: list[str], capsys: Printed) -> None:
    example = Path("deployment.yaml")
    example.write_text(
        "sites: {production: {region: eu-central-1, vpc_id: vpc-00000001, "
        "targets: {t: {network_interface_id: eni-00000001}}}}\n"
    )
    assert explain(event(), *more, deployment=example) == 2
    assert capsys.readouterr().err.endswith("so nothing is done about findings\n")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{\n  'a': 1}", "finding.json:2: this is not JSON (column 3): Expecting property name enclosed in"),
        ("", "finding.json:1: this is not JSON (column 1): Expecting value"),
        ("[" * 100_000, "finding.json: is nested too deep"),
        (event(severity="high"), "finding.json: detail.severity: expected a number from 0 to 10, got 'high'"),
        (
            {"detail-type": "Other"},
            "finding.json: this is an event of GuardDuty that is no finding, 'Other': expected ",
        ),
        (
            document("sns-notification"),
            "finding.json: this is a message of Amazon SNS, which has its content as text: ",
        ),
        (
            document("security-hub-event"),
            "finding.json: this is an event of Security Hub, 'Security Hub Findings - Impo",
        ),
        (f'{{"id": {"9" * 5000}}}', "finding.json: this is not JSON: a number has more digits than any alert has"),
    ],
)
def test_fails_when_the_file_is_no_finding_and_names_the_place(document: Any, message: str, capsys: Printed) -> None:
    assert explain(document) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(message)


def test_fails_when_the_file_cannot_be_read(capsys: Printed) -> None:
    assert main(["incident", "explain", "nothing.json"]) == 2
    Path("latin.json").write_bytes(b'{"a": "\xfc"}')
    assert main(["incident", "explain", "latin.json"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "nothing.json: cannot be read: No such file or directory",
        "latin.json: is not UTF-8 text (byte 7)",
    ]


def test_fails_when_the_deployment_file_is_wrong(capsys: Printed) -> None:
    Path("deployment.yaml").write_text("sites: {}\n")
    assert explain(event(), deployment=Path("deployment.yaml")) == 2
    assert capsys.readouterr().err.startswith("deployment.yaml:1: sites: expected at least 1")
