import io
import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tapstack.cli import main
from tests.unit.domain.alerts import INSTANCE, sample
from tests.unit.settings.reading import USABLE

MAPPING = "{match: id, alert_id: id, severity: score, severity_scale: 100, network_interface_id: eni}"
RESPONSE = f"""\
    allowed_account_ids: ["111122223333"]
    xdr: {{}}
    response:
      alerts: {{sources: {{soc: {{preset: generic}}, edr: {{mapping: {MAPPING}}}}}}}
      policy:
        - {{name: beacons, sources: [soc], types: ["beac*"], techniques: [T1071], action: capture, minutes: 30}}
        - {{name: web, tags: {{tier: web}}, action: capture}}
"""
Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_a_directory_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TAPSTACK_DEPLOYMENT", "CDKTF_CONTEXT_JSON"):
        monkeypatch.delenv(name, raising=False)
    Path("deployment.yaml").write_text(USABLE + RESPONSE)


def tried(document: Any, source: str, *more: str) -> int:
    Path("alert.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return main(["xdr", "try", "alert.json", "--source", source, *more])


def test_when_a_rule_matches_then_mapping_and_decision_are_shown(capsys: Printed) -> None:
    assert tried(sample("generic"), "soc") == 0
    assert capsys.readouterr().out.splitlines() == [
        "source    soc: 1 alert",
        "site      production, 2 rules",
        "",
        "alert     beacon, severity 7 (high)",
        "          'Beacon to a known C2'",
        "          soc:soc-2026-000123, seen 2026-11-26T12:00:00Z",
        "          CommandAndControl, T1071.001",
        f"instance  {INSTANCE}",
        "",
        "  1 beacons  matches: capture",
        "  2 web      not evaluated",
        "",
        "decision  capture for 30 minutes: rule beacons",
        "note      an alert has no tags; when one arrives, the instance's tags of that moment count",
    ]


def test_when_only_an_interface_is_named_then_it_says_that_ec2_is_asked(capsys: Printed) -> None:
    assert tried({"id": "x\x1b[31m", "score": 70, "eni": "eni-0a000000000000001"}, "edr") == 0
    out = capsys.readouterr().out
    assert "instance  the instance of eni-0a000000000000001\n" in out
    assert "alert     something without a type or a title, severity 7 (high)\n" in out
    assert "note      when one arrives, EC2 says which instance that is;" in out
    assert "\x1b" not in out


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of others: a socket, the name of a host, a client of AWS, another program. Each is refused."""
    asked: list[str] = []

    def refuse(holder: Any, name: str) -> None:
        def refused(*_arguments: Any, **_named: Any) -> Any:
            asked.append(f"{holder.__name__}.{name}")
            raise OSError("nothing is called here")

        monkeypatch.setattr(holder, name, refused)

    # Of the classes themselves, so that it does not matter by which name they are used.
    refuse(socket.socket, "__init__")
    refuse(socket, "getaddrinfo")
    refuse(botocore.session.Session, "create_client")
    refuse(subprocess.Popen, "__init__")
    return asked


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ({"instance_id": INSTANCE}, 0),
        ({"network_interface_id": "eni-0a000000000000001"}, 0),
        ({"private_ip": "10.0.1.10", "vpc_id": "vpc-0a1b2c3d4e5f60718"}, 0),
        ({}, 2),
    ],
)
def test_when_a_document_is_tried_then_nobody_is_called(
    called: list[str], capsys: Printed, target: dict[str, str], code: int
) -> None:
    """Also where an alert that arrives would have EC2 asked, and for tags."""
    assert tried({**sample("generic"), "target": target, "type": "other"}, "soc") == code
    assert "decision  " in capsys.readouterr().out
    assert called == []


def test_when_no_time_can_be_read_then_it_says_what_counts(capsys: Printed) -> None:
    assert tried({**sample("generic"), "time": "yesterday"}, "soc") == 0
    out = capsys.readouterr().out
    assert "soc:soc-2026-000123, says no time that can be read: the moment at which it is received counts\n" in out


def test_when_only_an_address_is_named_then_it_says_so(capsys: Printed) -> None:
    document = {**sample("generic"), "target": {"private_ip": "10.0.1.10", "vpc_id": "vpc-0a1b2c3d4e5f60718"}}
    assert tried(document, "soc") == 0
    assert "instance  the instance with 10.0.1.10 in vpc-0a1b2c3d4e5f60718\n" in capsys.readouterr().out


def test_when_the_alert_is_of_another_account_then_it_would_only_notify(capsys: Printed) -> None:
    assert tried({**sample("generic"), "account_id": "444455556666"}, "soc") == 0
    assert "not capture: the instance is of account 444455556666" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("preset", "source", "note"),
    [
        ("hunters", "hunters", "site production has no source hunters: the preset of this name was tried"),
        ("securityhub", "securityhub", "does not receive findings of Security Hub: alerts.security_hub is off"),
        ("securityhub_ocsf", "securityhub", "does not receive findings of Security Hub: alerts.security_hub is off"),
    ],
)
def test_when_a_source_is_not_configured_then_its_preset_is_tried_and_a_note_says_so(
    capsys: Printed, preset: str, source: str, note: str
) -> None:
    assert tried(sample(preset), source) == 0
    out = capsys.readouterr().out
    assert note in out
    assert f"instance  {INSTANCE}\n" in out


def test_when_no_alert_is_in_the_document_then_the_reason_is_shown_and_the_exit_code_is_2(capsys: Printed) -> None:
    assert tried(sample("hunters"), "soc") == 2
    out = capsys.readouterr().out
    assert (
        "unmatched preset generic reads alerts with version '1', a text, and an alert_id that is not empty; this one "
        "has the keys 'uuid', "
    ) in out
    assert "decision  none: it is kept below unmatched/ of the landing, and responders are notified" in out


def test_when_a_document_is_of_another_kind_then_it_says_which_source_reads_it(capsys: Printed) -> None:
    assert tried(sample("hunters"), "soc") == 2
    assert "note      this document is of another kind: --source hunters reads it\n" in capsys.readouterr().out
    assert tried({"foo": 1}, "soc") == 2
    assert (
        "note      no source of the site and no preset reads this document; there are soc, edr, "
        in capsys.readouterr().out
    )


def test_when_one_field_of_a_document_is_wrong_then_it_does_not_say_that_no_source_reads_it(capsys: Printed) -> None:
    assert tried({**sample("hunters"), "risk": "urgent"}, "hunters") == 2
    out = capsys.readouterr().out
    assert "unmatched risk or score: expected " in out
    assert "reads it" not in out
    assert "reads this document" not in out


def test_when_some_findings_are_unmatched_then_both_are_shown(capsys: Printed) -> None:
    event = sample("securityhub")
    event["detail"]["findings"].append({**event["detail"]["findings"][0], "Resources": []})
    assert tried(event, "securityhub") == 0
    out = capsys.readouterr().out
    assert "source    Security Hub: 1 alert\n" in out
    assert (
        "unmatched detail.findings[1]: it names no instance: preset securityhub reads Resources of the Type "
        "AwsEc2Instance, each with an Id; this alert has no Resources\n"
    ) in out


def test_when_json_is_asked_for_then_all_of_it_is_there(capsys: Printed) -> None:
    assert tried(sample("generic"), "soc", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    [alert] = shown["alerts"]
    assert (alert["id"], alert["severity"], alert["account_id"]) == ("soc-2026-000123", 7.0, "111122223333")
    assert alert["target"]["instance_ids"] == [INSTANCE]
    assert (alert["decisions"][0]["action"], alert["decisions"][0]["rule"]) == ("capture", "beacons")
    assert (shown["source"], shown["site"], shown["unmatched"]) == ("soc", "production", [])


def test_when_standard_input_is_read_then_it_is_the_same(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(sample("generic"))))
    assert main(["xdr", "try", "-", "--source", "soc"]) == 0
    assert "rule beacons" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("document", "source", "more", "message"),
    [
        ("{", "soc", (), "alert.json:1: this is not JSON (column 2): "),
        ("[" * 100_000, "soc", (), "alert.json: is nested too deep"),
        # As the API refuses it.
        ('{"a": 1, "a": 2}', "soc", (), "alert.json: this is not JSON: a property is given twice"),
        ('{"a": NaN}', "soc", (), "alert.json: this is not JSON: NaN is not JSON"),
        ("\ufeff{}", "soc", (), "alert.json:1: this is not JSON (column 1): Unexpected UTF-8 BOM"),
        (
            "{}",
            "scc",
            (),
            "deployment.yaml: site production has no source scc, and there is no such preset: did you mean soc? "
            "expected soc, edr, securityhub, generic, guardduty, hunters, securityhub_ocsf",
        ),
        ("{}", "soc", ("--site", "x"), "deployment.yaml: no site of this name: expected production, got 'x'"),
        ("{}", "soc", ("--deployment", "no.yaml"), "no.yaml"),
    ],
)
def test_fails_when_a_file_is_wrong(
    capsys: Printed, document: str, source: str, more: tuple[str, ...], message: str
) -> None:
    assert tried(document, source, *more) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(message)
    assert printed.out == ""


def test_fails_when_no_site_or_several_could_receive_it(capsys: Printed) -> None:
    Path("deployment.yaml").write_text(USABLE)
    assert tried(sample("generic"), "soc") == 2
    assert capsys.readouterr().err == "deployment.yaml: no site has a response, so nothing is done about alerts\n"
    other = USABLE.partition("sites:\n")[2].replace("production", "second").replace("vpc-0a1b", "vpc-0c1b")
    Path("deployment.yaml").write_text(f"{USABLE}    response: {{}}\n{other}    response: {{}}\n")
    assert tried(sample("generic"), "generic") == 2
    assert "several sites could receive alerts of generic: give --site production or second" in capsys.readouterr().err


def test_fails_when_no_source_is_named(capsys: Printed) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["xdr", "try", "alert.json"])
    assert "the following arguments are required: --source" in capsys.readouterr().err


def test_when_the_first_command_of_the_page_is_run_then_it_prints_what_the_page_shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).resolve().parents[3]
    page = (root / "docs/xdr.md").read_text(encoding="utf-8")
    (command, shown), *_ = re.findall(r"```console\n\$ tapstack ([^\n]*)\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(root)
    monkeypatch.delenv("TAPSTACK_DEPLOYMENT", raising=False)

    assert main(command.split()) == 0
    assert capsys.readouterr().out == shown


def test_when_the_page_shows_a_lead_then_it_is_the_one_of_the_examples() -> None:
    root = Path(__file__).resolve().parents[3]
    page = (root / "docs/xdr.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"### A lead of Hunters\n.*?```json\n(.*?)```", page, re.DOTALL)
    assert shown == (root / "examples/lead.json").read_text(encoding="utf-8")
