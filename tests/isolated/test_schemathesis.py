"""The API answers what its document says, whatever it is asked: schemathesis asks it in the rehearsal account."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from strictmoto.account import Account
from tapstack.domain.alert_mappings import AlertSource
from tapstack.domain.operations import SEND_ALERT, SEND_WEBHOOK
from tests.isolated.environments import ROOT
from tests.response_by_hand import deploy

pytestmark = [pytest.mark.schemathesis, pytest.mark.long]

DOCUMENT = ROOT / "docs" / "openapi.json"
Run = Callable[..., "Found"]


@dataclass(frozen=True)
class Found:
    """What schemathesis says."""

    returncode: int
    report: dict[str, Any]
    printed: str


@pytest.fixture
def run(schemathesis_python: Path, aws_account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Let schemathesis ask a new API, whose functions and table are real and whose workflow only waits."""
    # What answers is tried, not who may: the roles are only names.
    monkeypatch.setattr(aws_account, "enforces_iam", False)
    # All minutes that the document allows, and no limit of requests: what is valid is to be taken.
    endpoint = deploy(aws_account, max_minutes=10_080, alerts={"soc": AlertSource("generic")}).endpoint
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SCHEMATHESIS_", "PYTHON"))}

    def asked(document: Path, *options: str) -> Found:
        result = subprocess.run(
            [
                *(schemathesis_python, "-m", "schemathesis.cli"),
                *("--config-file", Path(__file__).with_name("schemathesis.toml"), "--no-color"),
                *("run", document, "--url", endpoint, "--report=json", f"--report-json-path={tmp_path}/report.json"),
                *options,
            ],
            # It keeps what it has learned in its directory: every run is to be the first.
            cwd=tmp_path,
            env={
                **inherited,
                **aws_account.environment,
                "SCHEMATHESIS_HOOKS": "signing",
                "PYTHONPATH": str(Path(__file__).parent),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        report = tmp_path / "report.json"
        printed = result.stdout + result.stderr
        assert report.is_file(), printed
        return Found(result.returncode, json.loads(report.read_text(encoding="utf-8")), printed)

    return asked


def test_when_the_api_is_asked_anything_then_it_answers_as_documented(run: Run, tmp_path: Path) -> None:
    asked = tmp_path / "openapi.json"
    asked.write_text(json.dumps(document()), encoding="utf-8")

    found = run(asked)

    assert found.returncode == 0, found.printed
    assert found.report["complete"]
    assert {phase["status"] for phase in found.report["phases"].values()} == {"success"}
    # Requests got through to every operation: what is refused at the door would prove little.
    rates = found.report["valid_rates"].items()
    taken = {name: sum(rate["accepted"] + rate["conflicts"] for rate in phases.values()) for name, phases in rates}
    assert len(taken) == found.report["operations"]["total"] == sum(map(len, document()["paths"].values()))
    assert min(taken.values()) >= 10, taken
    assert found.report["test_cases"]["generated"] > 500


def test_fails_when_an_answer_is_not_documented(run: Run, tmp_path: Path) -> None:
    # given a document that forgot a refusal, and one of the values of a property
    forgetful = document()
    del forgetful["paths"]["/incidents/{id}"]["get"]["responses"]["404"]
    del forgetful["components"]["schemas"]["Incident"]["properties"]["severity"]["enum"][1]
    changed = tmp_path / "openapi.json"
    changed.write_text(json.dumps(forgetful), encoding="utf-8")

    # when
    found = run(changed, "--phases=coverage")

    # then
    assert found.returncode == 1
    failed = {failure["type"]: failure["operations"] for failure in found.report["failures"]}
    assert failed.keys() == {"JsonSchemaError", "UndefinedStatusCode"}
    assert "POST /incidents" in failed["JsonSchemaError"]
    assert failed["UndefinedStatusCode"] == ["GET /incidents/{id}"]


def document() -> dict[str, Any]:
    """The document, with the one source that there is, and without webhooks, which nobody signs here."""
    found: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    del found["paths"][SEND_WEBHOOK.path]
    [source] = [one for one in found["paths"][SEND_ALERT.path]["post"]["parameters"] if one["name"] == "source"]
    source["schema"] = {"enum": ["soc"]}
    return found
