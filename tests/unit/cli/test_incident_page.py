"""docs/incidents.md shows what the program says."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tapstack.cli import main
from tapstack.cli.incident_plan_view import plan
from tapstack.cli.incident_view import card
from tapstack.domain.findings import parse_finding
from tapstack.domain.policy import decide
from tapstack.settings.load import parse_deployment
from tests.unit.cli.incidents import incident
from tests.unit.cli.test_incident_containment import containment
from tests.unit.domain.findings import document

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
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
FORMS: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "double": (int, float),
    "timestamp": str,
}
"""What JSON has for a form of the API."""
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


def test_when_the_page_explains_a_finding_then_its_commands_print_what_it_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TAPSTACK_DEPLOYMENT", "CDKTF_CONTEXT_JSON"):
        monkeypatch.delenv(name, raising=False)
    # A checkout, with the file that the page writes about beside the example.
    for name in ("examples", "deployment.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "my.yaml").write_text(section())
    monkeypatch.chdir(tmp_path)
    explained = re.findall(r"```console\n\$ tapstack (incident explain [^\n]*)\n(.*?)```", PAGE, re.DOTALL)
    assert len(explained) == 2
    for command, shown in explained:
        assert main(command.split()) == 0
        assert capsys.readouterr().out == shown


@pytest.mark.parametrize("page", ["README.md", "docs/incidents.md", "docs/deployment-file.md"])
def test_when_a_page_explains_a_file_then_the_repository_has_it(page: str) -> None:
    named = re.findall(r"tapstack incident explain (\S+)", (ROOT / page).read_text(encoding="utf-8"))
    assert named
    assert all((ROOT / each).is_file() for each in named)


def test_when_the_example_of_a_finding_is_compared_with_the_api_then_it_has_no_field_of_another_name() -> None:
    event = json.loads((ROOT / "examples/finding.json").read_text(encoding="utf-8"))
    finding = botocore.session.get_session().get_service_model("guardduty").shape_for("Finding")
    assert list(unknown(event["detail"], finding)) == []
    assert {finding.members[name].serialization["name"] for name in finding.required_members} <= set(event["detail"])
    # An event has what it is about twice.
    assert (event["account"], event["region"]) == (event["detail"]["accountId"], event["detail"]["region"])


def unknown(value: Any, shape: Any, path: str = "detail") -> Iterator[str]:
    """Paths of what the API does not have, or has in another form."""
    if value is None or value == "":
        return
    if shape.type_name == "structure":
        members = {member.serialization["name"]: member for member in shape.members.values()}
        for key, inner in value.items():
            if key in members:
                yield from unknown(inner, members[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif shape.type_name == "list":
        for inner in value:
            yield from unknown(inner, shape.member, f"{path}[]")
    elif not isinstance(value, FORMS[shape.type_name]):
        yield f"{path}: {value!r}"


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
    # The fixture has no rule about alerts of other tools.
    assert tuple(rule for rule in response.rules() if not rule.sources) == documented.rules()
