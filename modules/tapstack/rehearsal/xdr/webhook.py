"""Alerts of an XDR, as a webhook of its own sends them: signed by openssl and posted without Tapstack's client."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from tapstack.domain.alert_mappings import AlertSource, map_alerts
from tapstack.domain.alerts import AlertInstance
from tapstack.domain.incidents import as_text, utc_now
from tapstack.domain.operations import SEND_WEBHOOK
from tapstack.domain.policy import decide
from tapstack.domain.regions import AccountRegion
from tapstack.domain.webhook_signatures import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    read_secret,
    sign,
)
from tapstack.rehearsal.errors import RehearsalFailedError
from tapstack.settings.response import Response

PRESET: Final = "hunters"
RISKS: Final = ("medium", "high")
"""The finding that follows raises the severity to high: no more than that at first."""
_ASKS: Final = "contain_on_approval"
_BLOCK: Final = 64
"""Bytes that SHA-256 takes at a time."""
_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook for whose alert about the instance a rule captures.

    Attributes:
        source: its name in the deployment file.
        risk: of the alert.
        rule: the name of the rule.
        asks: whether the rule also asks responders to contain the instance.
    """

    source: str
    risk: str
    rule: str
    asks: bool = False

    @property
    def does(self) -> str:
        """What the rule does about the alert."""
        return "captures, and asks whether to contain the instance" if self.asks else "captures"

    @property
    def path(self) -> str:
        """Where its alerts are posted."""
        return str(SEND_WEBHOOK.path.replace("{source}", self.source))


def find_webhook(response: Response, instance_id: str, tags: Mapping[str, str], where: AccountRegion) -> Webhook | None:
    """Return the first webhook for leads of Hunters, where a rule captures for a lead; None where there is none.

    A rule that contains at once is not taken, because a responder is to approve; nor one that asks where the question
    waits for packets.

    Args:
        response: of the site.
        instance_id: the instance that the lead names.
        tags: of the instance.
        where: the account and Region of the site.
    """
    contains = response.containment
    taken = ("capture", _ASKS) if contains is not None and contains.wait_for_packets is None else ("capture",)
    for name, source in response.alerts.to_domain().sources.items():
        if source.preset != PRESET or not source.webhook:
            continue
        for risk in RISKS:
            mapped = map_alerts(name, AlertSource(PRESET), lead(risk, [_named(instance_id)]), home=where)
            decisions = [
                decide(response.rules(), alert, AlertInstance(instance_id, where), here=True, tags=tags)
                for alert in mapped.alerts
            ]
            for decision in decisions:
                if decision.action in taken and decision.rule is not None:
                    return Webhook(name, risk, decision.rule.name, decision.action == _ASKS)
    return None


def lead(risk: str, entities: list[dict[str, str]]) -> dict[str, Any]:
    """Return a lead of Hunters, as a workflow there sends it; its id is random.

    Args:
        risk: a word, such as high.
        entities: what it is about, each with its kind and value.
    """
    now = as_text(utc_now())
    return {
        "uuid": str(uuid.uuid4()),
        "event_time": now,
        "detection_time": now,
        "risk": risk,
        "detector": "aws_vpc_flow_beaconing",
        "name": "Beaconing: the same 96 bytes to 203.0.113.7:443 every 60 seconds",
        "mitre": {"tactic": "Command and Control", "technique": "T1071.001"},
        "entities": entities,
    }


def about(instance_id: str, account: str) -> list[dict[str, str]]:
    """Return the entities of a lead about an instance."""
    return [{"kind": "aws_account_id", "value": account}, _named(instance_id)]


def _named(instance_id: str) -> dict[str, str]:
    return {"kind": "aws_instance_id", "value": instance_id}


def signer() -> tuple[str, Callable[[bytes, str, int, bytes], str]]:
    """Return the name of the program that signs, and a function that does so.

    It is openssl, or Tapstack's own client where there is none. Its arguments are those of `sign`.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        return "tapstack's own client, because there is no program openssl", sign

    def by_openssl(secret: bytes, webhook_id: str, timestamp: int, body: bytes) -> str:
        signed = b".".join((webhook_id.encode(), str(timestamp).encode(), body))
        return f"v1,{base64.b64encode(hmac_by_openssl(openssl, secret, signed)).decode()}"

    return "openssl", by_openssl


def hmac_by_openssl(openssl: str, secret: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA256 of a message.

    openssl takes the key of an HMAC as an argument only, which the list of processes shows to all users of the machine.
    So it hashes twice, as RFC 2104 defines HMAC, and reads the key from its input.

    Args:
        openssl: the program.
        secret: the key, of 64 bytes at most.
        message: any bytes.
    """
    padded = secret.ljust(_BLOCK, b"\0")
    inner = _digest(openssl, bytes(byte ^ 0x36 for byte in padded) + message)
    return _digest(openssl, bytes(byte ^ 0x5C for byte in padded) + inner)


def _digest(openssl: str, data: bytes) -> bytes:
    done = subprocess.run([openssl, "dgst", "-sha256", "-binary"], input=data, capture_output=True, check=False)
    if done.returncode:
        raise RehearsalFailedError(f"{openssl} dgst -sha256: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def send(endpoint: str, path: str, document: Mapping[str, Any], secret: str) -> tuple[str, dict[str, Any]]:
    """Sign a document and post it; return what signed it, and the answer.

    Args:
        endpoint: of the API.
        path: of the webhook.
        document: is sent as JSON.
        secret: of the source, as Secrets Manager has it.

    Raises:
        RehearsalFailedError: the answer is another one than 202.
    """
    body, webhook_id, now = json.dumps(document).encode(), f"msg_{secrets.token_hex(16)}", int(time.time())
    program, signature = signer()
    headers = {
        "Content-Type": "application/json",
        ID_HEADER: webhook_id,
        TIMESTAMP_HEADER: str(now),
        SIGNATURE_HEADER: signature(read_secret(secret), webhook_id, now, body),
    }
    status, answer = _post(endpoint, path, body, headers)
    if status != 202:
        raise RehearsalFailedError(f"POST {path}: HTTP {status}, {answer.decode(errors='replace')}: expected 202")
    return program, dict(json.loads(answer))


def _post(endpoint: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    where = urlsplit(endpoint)
    connection = HTTPConnection(where.netloc, timeout=_TIMEOUT)
    try:
        connection.request("POST", f"{where.path}{path}", body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException) as error:
        raise RehearsalFailedError(f"POST {path}: {error}") from None
    finally:
        connection.close()
