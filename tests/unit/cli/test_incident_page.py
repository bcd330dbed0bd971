"""docs/incidents.md shows what the program says."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tapstack.cli import main
from tapstack.cli.incident_plan_view import plan
from tapstack.cli.incident_view import card
from tapstack.domain.findings import parse_finding
from tapstack.domain.policy import decide
from tapstack.settings.load import parse_deployment
from tests.unit.cli.incidents import incident
from tests.unit.cli.test_incident_containment import containment
from tests.unit.domain.findings import document, event

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "incidents.md").read_text(encoding="utf-8")
CONTAINMENT = (DOCS / "containment.md").read_text(encoding="utf-8")
PLAN = {
    "instance_id": "i-0a000000000000001",
    "changes": [
        {"what": "shutdown", "key": "i-0a000000000000001", "from": "terminate", "to": "stop"},
        {
            "what": "groups",
            "key": "eni-0a000000000000001",
            "from": ["sg-0a000000000000001"],
            "to": ["sg-0b000000000000001"],
            "names": {"sg-0a000000000000001": "web", "sg-0b000000000000001": "quarantine"},
        },
    ],
    "refused": None,
    "differences": [],
    "warnings": ["eni-0a000000000000002 STAYS CONNECTED: it is managed by an AWS service"],
}
SITE = "  production:\n    region: eu-central-1\n    vpc_id: vpc-0a1b2c3d4e5f60718\n    xdr: {}\n"
FIXTURE = Path(__file__).parents[1] / "settings" / "response.yaml"


def console(command: str, page: str = PAGE) -> str:
    """What a page shows below a command."""
    found = re.search(rf"```console\n\$ {re.escape(command)}[^\n]*\n(.*?)\n```", page, re.DOTALL)
    assert found
    return found[1]


def section() -> str:
    """The deployment file of which the page shows the response."""
    [found] = [one for one in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if one.startswith("sites:")]
    return str(found).replace("  production:\n", SITE)


def test_when_the_page_shows_an_incident_then_the_card_is_the_program_s() -> None:
    seen = {"state": "packets seen", "since": "2026-01-02T03:05:00Z", "seen_at": "2026-01-02T03:05:00Z", "missing": []}
    launched = {**incident()["appliance"], "launched_by_us": True}
    stored: dict[str, Any] = {"state": "appliance", "snapshots": [], "until": None, "keep_days": 90}
    shown = incident(packets=seen, appliance=launched, stored_packets=stored, containment_modes=["approval", "now"])
    assert console("tapstack incident show") == card(shown, now=datetime(2026, 1, 2, 3, 34, 5, tzinfo=UTC))


def test_when_the_page_shows_a_dry_run_then_it_is_the_program_s() -> None:
    assert console("tapstack incident contain", CONTAINMENT) == plan(PLAN, what="contain")


def test_when_the_page_shows_a_contained_instance_that_is_still_connected_then_it_is_the_program_s() -> None:
    shown = incident(containment={**containment(), "not_done": PLAN["warnings"]}, containment_modes=["approval", "now"])
    [begun, ended] = console("tapstack incident show", CONTAINMENT).split("\n...\n")
    text = card(shown, now=datetime(2026, 1, 2, 3, 34, 5, tzinfo=UTC))
    assert begun in text
    assert text.endswith(ended)


def test_when_the_page_explains_a_finding_then_the_explanation_is_the_program_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "finding.json"
    file.write_text(json.dumps(event()))
    deployment = tmp_path / "deployment.yaml"
    deployment.write_text(section())
    assert main(["incident", "explain", str(file), "--deployment", str(deployment), "--site", "production"]) == 0
    assert console("tapstack incident explain") == capsys.readouterr().out.rstrip("\n")


def test_when_runtime_monitoring_finds_something_then_a_rule_of_the_page_captures_it() -> None:
    response = parse_deployment(section()).sites["production"].response
    assert response is not None
    finding = parse_finding(document("runtime-on-eks"))
    [instance] = finding.instances
    decision = decide(response.rules(), finding, instance, here=True)
    assert decision.rule is not None
    assert (decision.action, decision.rule.name) == ("capture", "without-role")


def test_when_the_page_shows_the_section_then_the_file_is_right() -> None:
    deployment = parse_deployment(section())
    documented = parse_deployment(FIXTURE.read_text(encoding="utf-8")).sites["production"].response
    response = deployment.sites["production"].response
    assert response is not None
    assert documented is not None
    # The fixture, whose explanation the page shows, has no rule about alerts of other tools.
    assert tuple(rule for rule in response.rules() if not rule.sources) == documented.rules()
