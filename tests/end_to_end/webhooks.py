"""Alerts of another tool, which sends signed webhooks to a deployed response."""

from __future__ import annotations

import time

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.lambda_.service import service
from tapstack.cli.incident_api import Headers, IncidentApi
from tapstack.domain.webhook_secrets import webhook_secret_name
from tapstack.domain.webhook_signatures import new_secret, read_secret, signed_headers
from tests.end_to_end.deployed import DeployedResponse


def webhook_secret(response: DeployedResponse) -> str:
    """Return what the webhooks of another tool are signed with, which is set first where it was not.

    The function that verifies them begins anew and reads it, whatever was sent before.
    """
    secrets, name = response.account.client("secretsmanager"), webhook_secret_name("tapstack", response.site, "soc")
    if not secrets.describe_secret(SecretId=name).get("VersionIdsToStages"):
        secrets.put_secret_value(SecretId=name, SecretString=new_secret())
    service().kill(ACCOUNT_ID, REGION, response.function("alerts"))
    return str(secrets.get_secret_value(SecretId=name)["SecretString"])


def send_webhook(response: DeployedResponse, secret: str, alert_id: str, target: dict[str, str]) -> None:
    """Send an alert of another tool as a webhook; again where the API says to, which is the same alert."""

    def sign(_method: str, _url: str, body: bytes | None, headers: Headers) -> Headers:
        return headers | signed_headers(read_secret(secret), alert_id, int(time.time()), body or b"")

    document = {"version": "1", "alert_id": alert_id, "severity": "high", "target": target}
    answer = IncidentApi(response.endpoint, sign, pause=_no_pause).post("/webhooks/soc", document, repeatable=True)
    assert answer == {"kept": True, "mapped": True, "id": alert_id}


def _no_pause(_: float) -> None:
    """The account answers at once."""
