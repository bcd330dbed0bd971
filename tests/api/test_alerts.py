"""Alerts over the API: a webhook that openssl signed leads to an incident, and whatever is wrong to one refusal."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from strictmoto.account import Account
from tapstack.domain.alert_mappings import AlertSource
from tapstack.domain.policy_rules import Rule
from tapstack.domain.webhook_secrets import webhook_secret_name
from tapstack.domain.webhook_signatures import new_secret, read_secret, signed_headers
from tests.api.conftest import Answer, Caller
from tests.response_by_hand import DEPLOYMENT, SITE, Deployed, deploy
from tests.unit.domain.alerts import sample

SOURCES = {"hunters": AlertSource("hunters", webhook=True), "soc": AlertSource("generic")}
SECRET = new_secret()


@pytest.fixture(scope="module")
def deployed(aws_account_server: Account) -> Iterator[Deployed]:
    aws_account_server.reset()
    made = deploy(aws_account_server, alerts=SOURCES, policy=[Rule("all", "capture")])
    aws_account_server.client("secretsmanager").put_secret_value(
        SecretId=webhook_secret_name(DEPLOYMENT, SITE, "hunters"), SecretString=SECRET
    )
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


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_when_openssl_signs_a_lead_then_its_instance_is_captured_once(
    deployed: Deployed, call: Callable[..., Answer], tmp_path: Any
) -> None:
    instance, body = lead(deployed, "lead-1")
    now = int(time.time())
    file = tmp_path / "signed"
    file.write_bytes(b"msg_lead-1.%d." % now + body)
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{read_secret(SECRET).hex()}"]
    made = subprocess.run([*command, "-binary", str(file)], capture_output=True, check=True).stdout
    headers = {
        "webhook-id": "msg_lead-1",
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(made).decode()}",
    }

    answers = [send(call, body, headers) for _ in range(3)]

    assert [(one.status, one.json) for one in answers] == [
        (202, {"kept": True, "mapped": True, "id": "msg_lead-1"})
    ] * 3
    incident = opened(call, instance)
    assert (incident["source"], incident["alert_id"]) == ("hunters", "hunters:lead-1")
    assert instance not in "".join(one.body.decode() for one in answers)


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
