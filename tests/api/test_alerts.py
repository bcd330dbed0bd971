"""Alerts over the API: a webhook that openssl signed leads to an incident, and whatever is wrong to one refusal."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from strictmoto.account import ACCOUNT_ID, REGION, Account
from tapstack.cli import main
from tapstack.domain.alert_mappings import AlertSource
from tapstack.domain.policy_rules import Rule
from tapstack.domain.telemetry import landing_bucket_name
from tapstack.domain.webhook_secrets import webhook_secret_name
from tapstack.domain.webhook_signatures import new_secret, read_secret, signed_headers
from tests.api.conftest import Answer, Caller
from tests.response_by_hand import DEPLOYMENT, SITE, Deployed, deploy
from tests.unit.domain.alerts import sample

SOURCES = {
    "hunters": AlertSource("hunters", webhook=True),
    "soc": AlertSource("generic"),
    "cli": AlertSource("hunters", webhook=True),
}
FILE = f"""\
project: {DEPLOYMENT}
sites:
  {SITE}:
    region: {REGION}
    vpc_id: vpc-0a1b2c3d4e5f60718
    xdr: {{}}
    response:
      appliance: {{target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}}
      alerts: {{sources: {{cli: {{preset: hunters, webhook: true}}}}}}
"""
BUCKET = landing_bucket_name(DEPLOYMENT, SITE, ACCOUNT_ID)
QUEUES = ("response-alerts-dead-letters", "response-dead-letters", "xdr-incidents", "xdr-incidents-dead")
Printed = pytest.CaptureFixture[str]
SECRET = new_secret()
TOOLS = ("bash", "openssl", "curl", "xxd", "base64")
PAGE = (Path(__file__).resolve().parents[2] / "docs/xdr.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def deployed(aws_account_server: Account) -> Iterator[Deployed]:
    aws_account_server.reset()
    made = deploy(aws_account_server, alerts=SOURCES, policy=[Rule("all", "capture")])
    aws_account_server.client("secretsmanager").put_secret_value(
        SecretId=webhook_secret_name(DEPLOYMENT, SITE, "hunters"), SecretString=SECRET
    )
    for name in QUEUES:
        aws_account_server.client("sqs").create_queue(QueueName=f"{DEPLOYMENT}-{SITE}-{name}")
    constraint = {"LocationConstraint": REGION}
    aws_account_server.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=constraint)
    yield made
    aws_account_server.reset()


@pytest.fixture(scope="module")
def call(deployed: Deployed) -> Callable[..., Answer]:
    return Caller(deployed)


def lead(deployed: Deployed, name: str) -> tuple[str, bytes]:
    """A new instance of the site, and a lead about it."""
    [interface] = deployed.interfaces(1)
    [found] = deployed.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    instance = found["Attachment"]["InstanceId"]
    document = sample("hunters") | {"uuid": name, "entities": [{"kind": "aws_instance_id", "value": instance}]}
    return instance, json.dumps(document).encode()


def send(call: Callable[..., Answer], body: bytes, headers: dict[str, str], source: str = "hunters") -> Answer:
    return call("POST", f"/webhooks/{source}", body, headers, signed=False)


def incidents_of(call: Callable[..., Answer], instance: str) -> list[dict[str, Any]]:
    found = call("GET", "/incidents?limit=100").json["incidents"]
    return [one for one in found if one["instance_id"] == instance]


def opened(call: Callable[..., Answer], instance: str) -> dict[str, Any]:
    """The one incident about an instance, once it is there."""
    until = time.monotonic() + 30
    while not (found := incidents_of(call, instance)):
        assert time.monotonic() < until, "no incident was opened"
        time.sleep(0.1)
    [incident] = found
    return incident


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"needs {', '.join(TOOLS)}")
def test_when_openssl_signs_a_lead_as_the_page_shows_then_its_instance_is_captured_once(
    deployed: Deployed, call: Callable[..., Answer], tmp_path: Path
) -> None:
    instance, body = lead(deployed, "lead-1")
    (tmp_path / "lead.json").write_bytes(body)
    (tmp_path / "hunters.secret").write_text(SECRET)
    [script] = [block for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S) if "openssl" in block]

    environment = {"PATH": os.environ["PATH"], "TAPSTACK_URL": deployed.endpoint}
    answers = [
        json.loads(
            subprocess.run(
                ["bash", "-eu", "-c", script.replace("$(openssl rand -hex 16)", "lead-1")],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                check=True,
                text=True,
            ).stdout
        )
        for _ in range(2)
    ]

    assert answers == [{"kept": True, "mapped": True, "id": "msg_lead-1"}] * 2
    incident = opened(call, instance)
    assert (incident["source"], incident["alert_id"]) == ("hunters", "hunters:lead-1")
    assert instance not in str(answers)


def test_when_many_leads_come_at_once_then_each_is_kept_and_decided_about(
    deployed: Deployed, call: Callable[..., Answer]
) -> None:
    leads = [lead(deployed, f"many-{number}") for number in range(4)]

    def sent(number: int) -> int:
        body = leads[number][1]
        return send(call, body, signed_headers(read_secret(SECRET), f"many-{number}", int(time.time()), body)).status

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(sent, range(len(leads)))) == {202}
    assert len({opened(call, instance)["id"] for instance, _ in leads}) == len(leads)


@pytest.mark.parametrize(
    ("source", "change", "status"),
    [
        ("hunters", {"webhook-signature": "v1,AAAA"}, 401),
        ("hunters", {"webhook-timestamp": "1"}, 401),
        ("hunters", {"webhook-id": "other"}, 401),
        ("soc", {}, 401),
        ("nowhere", {}, 401),
    ],
)
def test_fails_when_a_webhook_is_not_signed_by_its_source_with_one_text(
    deployed: Deployed, call: Callable[..., Answer], source: str, change: dict[str, str], status: int
) -> None:
    headers = signed_headers(read_secret(SECRET), "msg_9", int(time.time()), b"{}")
    answer = send(call, b"{}", {**headers, **change}, source)
    assert (answer.status, answer.problem) == (status, "not-authenticated")
    assert answer.json["detail"].startswith("expected a source of this deployment, a Standard Webhooks signature")


def test_fails_when_a_webhook_is_too_large(deployed: Deployed, call: Callable[..., Answer]) -> None:
    answer = send(call, b" " * 65_537, {})
    assert (answer.status, answer.problem) == (413, "too-large")


def test_when_a_known_caller_sends_an_alert_then_it_is_decided_about(
    deployed: Deployed, call: Callable[..., Answer]
) -> None:
    instance, _ = lead(deployed, "x")
    document = {"version": "1", "alert_id": "a-1", "severity": "high", "target": {"instance_id": instance}}
    answer = call("POST", "/alerts/soc", json.dumps(document).encode(), {"Idempotency-Key": "soar-1"})
    assert (answer.status, answer.json) == (202, {"kept": True, "mapped": True, "id": "soar-1"})
    assert opened(call, instance)["alert_id"] == "soc:a-1"


def test_fails_when_nobody_known_sends_an_alert(deployed: Deployed, call: Callable[..., Answer]) -> None:
    answer = call("POST", "/alerts/soc", b"{}", signed=False)
    assert (answer.status, answer.json) == (403, {"message": "Forbidden"})


@pytest.fixture
def xdr(deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command line, in a directory with a deployment file."""
    monkeypatch.chdir(tmp_path)
    Path("deployment.yaml").write_text(FILE)
    for name in ("TAPSTACK_DEPLOYMENT", "CDKTF_CONTEXT_JSON", "TAPSTACK_WEBHOOK_SECRET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**deployed.account.environment, "TAPSTACK_URL": deployed.endpoint}.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: main(["xdr", *arguments])


def outcomes(xdr: Callable[..., int], capsys: Printed, delivery: str) -> dict[str, Any]:
    """What status says as JSON, once an outcome is recorded: after all else that the function does."""
    until = time.monotonic() + 30
    while True:
        assert xdr("status", "--json") == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        if delivery in [one["delivery"] for one in found["alerts"]] or time.monotonic() > until:
            return found
        time.sleep(0.2)


def test_when_a_secret_is_set_and_a_lead_sent_then_status_shows_the_incident(
    deployed: Deployed,
    call: Callable[..., Answer],
    xdr: Callable[..., int],
    capsys: Printed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert xdr("rotate-secret", "--source", "cli", "--output", "secret") == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"cli of {SITE} has a new secret. It is in secret: give it to the sender. ")
    assert stat.S_IMODE(Path("secret").stat().st_mode) == 0o600
    secret = Path("secret").read_text()
    assert secret.strip() not in printed.err

    # A new process has not read secrets in the last seconds.
    deployed.account.client("lambda").update_function_configuration(
        FunctionName=f"{DEPLOYMENT}-{SITE}-response-alerts", MemorySize=513
    )
    instance, document = lead(deployed, "cli-1")
    Path("lead.json").write_bytes(document)
    # From a file, from standard input, and from the environment.
    assert xdr("send", "lead.json", "--source", "cli", "--secret-file", "secret", "--id", "cli-1") == 0
    sent = "kept    cli-1\nmapped  yes: the policy decides about it; tapstack xdr status shows what came of it\n"
    assert capsys.readouterr().out == sent
    # Deliveries of one id at the same moment: the one that finds the incident may record its outcome first.
    sent_as = f"webhooks/cli-1/{hashlib.sha256(document).hexdigest()[:16]}"
    outcomes(xdr, capsys, sent_as)
    incident = opened(call, instance)
    monkeypatch.setattr("sys.stdin", io.StringIO(secret))
    assert xdr("send", "lead.json", "--source", "cli", "--secret-file", "-", "--id", "cli-1") == 0
    monkeypatch.setenv("TAPSTACK_WEBHOOK_SECRET", secret)
    assert xdr("send", "lead.json", "--source", "cli", "--id", "cli-1") == 0
    printed = capsys.readouterr()
    assert printed.out == 2 * sent
    assert secret.strip() not in printed.err

    flow = "flow/AWSLogs/1/vpcflowlogs/eu-central-1/2026/01"
    for key in (f"{flow}/02/a.gz", f"{flow}/03/b.gz", "unmatched/soc/2026/01/03/c.json"):
        deployed.account.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"")
    found = outcomes(xdr, capsys, sent_as)
    assert found["problems"] == []
    arrived = {one["prefix"]: one for one in found["arrived"]}
    assert (arrived["flow/"]["objects"], arrived["incidents/v1/"]["last"]) == (1, None)
    assert arrived["unmatched/soc/"]["objects"] == 1
    assert found["queues"][f"{DEPLOYMENT}-{SITE}-response-alerts-dead-letters"] == 0
    assert xdr("status") == 0
    out = capsys.readouterr().out
    assert f"cli      {sent_as}" in out
    assert f"capture {incident['id']}" in out
    assert "nothing yet" in out


def test_fails_when_another_secret_signs_and_says_what_may_be_wrong(
    xdr: Callable[..., int], capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPSTACK_WEBHOOK_SECRET", new_secret())
    Path("a.json").write_text("{}")
    assert xdr("send", "a.json", "--source", "hunters") == 2
    said = capsys.readouterr().err
    assert said.startswith("Authentication required: expected a source of this deployment")
    assert "its secret (a new one may take 10 seconds), or the clock of this machine" in said


def test_fails_when_the_response_is_not_deployed_and_leaves_no_file(xdr: Callable[..., int], capsys: Printed) -> None:
    Path("deployment.yaml").write_text(FILE.replace(f"project: {DEPLOYMENT}", "project: other"))
    assert xdr("rotate-secret", "--source", "cli", "--output", "new") == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("the secret other-frankfurt-response/webhooks/cli cannot be set: deploy the response")
    assert not Path("new").exists()
    assert xdr("status") == 2
    assert "the queue other-frankfurt-response-alerts cannot be read" in capsys.readouterr().err


def test_when_earlier_secrets_are_revoked_then_none_of_them_has_a_stage(
    deployed: Deployed, xdr: Callable[..., int], capsys: Printed
) -> None:
    def staged() -> set[str]:
        name = webhook_secret_name(DEPLOYMENT, SITE, "cli")
        found = deployed.account.client("secretsmanager").describe_secret(SecretId=name)["VersionIdsToStages"]
        return {version for version, stages in found.items() if stages}

    assert xdr("rotate-secret", "--source", "cli") == 0
    assert len(read_secret(capsys.readouterr().out.strip())) == 32
    before = staged()
    assert xdr("rotate-secret", "--source", "cli", "--revoke") == 0
    assert "No earlier one is accepted, 5 minutes from now at the latest." in capsys.readouterr().err
    assert not before & staged()
