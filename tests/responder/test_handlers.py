"""The functions as Lambda calls them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from strictmoto.faults import Fault
from tapstack.responder.aws import clients
from tapstack.responder.errors import NothingToCapture, TryAgain
from tapstack.responder.handlers import appliance, capture, incident, prepare
from tests.responder.conftest import Site, opened
from tests.responder.test_capturing import KINDS
from tests.sampling import sampled

HANDLERS = ("alerts", "api", "appliance", "capture", "findings", "incident", "prepare", "sweeper", "telemetry")


def test_when_the_steps_are_called_in_order_then_an_incident_is_captured_and_closed(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    name = opened(site.instance()[0])

    def step(handler: object, action: str, **more: str) -> dict[str, object]:
        answered = handler({"action": action, "incident_id": name, **more}, None)  # type: ignore[operator]
        return dict(json.loads(json.dumps(answered)))

    assert step(prepare.handler, "prepare")["refused"] == 0
    assert step(appliance.handler, "ensure") == {"status": "ready"}
    assert step(capture.handler, "start") == {"mirrored": 1, "refused": 0}
    assert step(incident.handler, "notify") == {}
    until = str(step(incident.handler, "remaining")["until"])
    assert step(capture.handler, "extend") == {"extended": 1}
    assert step(incident.handler, "wait", token="AAAA") == {}
    assert step(incident.handler, "remaining", waited_until=until) == {"status": "close", "because": "expired"}
    assert step(capture.handler, "stop") == {"ended": 1}
    assert step(incident.handler, "close") == {}
    assert step(appliance.handler, "release") == {"retire": False, "after_seconds": 0}
    assert step(appliance.handler, "retire") == {"status": "kept"}
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert {m["step"] for m in metrics} >= {"prepare.prepare", "capture.start", "incident.close"}
    [started] = [m for m in metrics if m["step"] == "capture.start"]
    assert (started["Mirrored"], started["Succeeded"], started["service"]) == ([1.0], [1.0], "tapstack")
    assert started["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Tapstack"


def test_fails_by_name_when_there_is_nothing_to_capture(
    site: Site, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    name = opened("i-0123456789abcdef0")
    with pytest.raises(NothingToCapture):
        prepare.handler({"action": "prepare", "incident_id": name}, None)
    assert '"Failed":[1.0]' in capsys.readouterr().out
    [record] = caplog.records
    assert (record.getMessage(), record.__dict__["error"]) == ("step failed", "NothingToCapture")


def test_fails_with_try_again_when_aws_does_not_answer(site: Site) -> None:
    name = opened(site.instance()[0])
    for kind in KINDS:
        site.account.faults.add(Fault("DescribeInstances", kind, call=0))
        with pytest.raises(TryAgain):
            prepare.handler({"action": "prepare", "incident_id": name}, None)
        site.account.faults.clear()


@sampled("name", HANDLERS, every=3)
def test_when_a_handler_is_imported_then_no_large_package_is(name: str) -> None:
    program = f"import sys, tapstack.responder.handlers.{name}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    heavy = {"boto3", "pydantic", "yaml", "cdktf", "jsii", "fastjsonschema", "asyncio", "tapstack.settings"}
    assert not imported & heavy
    if name not in ("api", "findings"):
        assert "tapstack.responder.incident.opening" not in imported


def test_when_the_api_waits_for_aws_then_not_for_longer_than_the_gateway() -> None:
    clients.use_short_timeouts()
    try:
        options = clients._options
        attempts = options["retries"]["total_max_attempts"]
        # Connecting, reading, and at most 1 and 2 seconds between the attempts.
        assert attempts * (3 + options["read_timeout"]) + 3 < 29
    finally:
        clients.reset()
