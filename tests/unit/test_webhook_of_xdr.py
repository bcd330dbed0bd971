"""The alert of the XDR in a rehearsal: which webhook it takes, and that openssl signs it as is verified."""

from __future__ import annotations

import base64
import hmac
import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tapstack.domain.regions import AccountRegion
from tapstack.domain.webhook_signatures import new_secret, read_secret, verify
from tapstack.rehearsal.errors import RehearsalFailedError
from tapstack.rehearsal.xdr import webhook
from tapstack.settings.load import parse_deployment
from tapstack.settings.response import Response

WHERE = AccountRegion("111122223333", "eu-central-1")
INSTANCE = "i-0a000000000000001"
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def response(sources: str, policy: str) -> Response:
    text = f"""
sites:
  ward:
    region: eu-central-1
    vpc_id: vpc-00000001
    xdr: {{}}
    response:
      appliance: {{target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0}}
      containment: {{modes: [approval, now]}}
      alerts: {{sources: {sources}}}
      policy: {policy}
"""
    found = parse_deployment(text).sites["ward"].response
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("sources", "policy", "expected"),
    [
        ("{xdr: {preset: hunters, webhook: true}}", "[{name: a, action: capture}]", ("xdr", "medium", "a")),
        (
            "{xdr: {preset: hunters, webhook: true}}",
            "[{name: a, action: contain_on_approval}]",
            ("xdr", "medium", "a", True),
        ),
        (
            "{soc: {preset: generic, webhook: true}, xdr: {preset: hunters, webhook: true}}",
            "[{name: a, action: capture, severity: {at_least: 7.0}, sources: [xdr]}]",
            ("xdr", "high", "a"),
        ),
        (
            "{xdr: {preset: hunters, webhook: true}}",
            "[{name: a, action: capture, tags: {application: shop}}]",
            ("xdr", "medium", "a"),
        ),
        ("{xdr: {preset: hunters, webhook: true}}", "[{name: a, action: capture, tags: {application: x}}]", None),
        ("{xdr: {preset: hunters, webhook: true}}", "[{name: a, action: contain_now}]", None),
        ("{xdr: {preset: hunters, webhook: true}}", "[]", None),
        ("{xdr: {preset: hunters}}", "[{name: a, action: capture}]", None),
        ("{xdr: {preset: generic, webhook: true}}", "[{name: a, action: capture}]", None),
    ],
)
def test_when_a_rule_captures_for_a_lead_then_its_webhook_is_taken(
    sources: str, policy: str, expected: tuple[Any, ...] | None
) -> None:
    found = webhook.find_webhook(response(sources, policy), INSTANCE, {"application": "shop"}, WHERE)
    assert found == (webhook.Webhook(*expected) if expected else None)
    assert found is None or found.path == "/webhooks/xdr"


@needs_openssl
@pytest.mark.parametrize("length", [24, 32, 64])
def test_when_openssl_hashes_twice_then_it_is_the_hmac(length: int) -> None:
    secret, message = bytes(range(length)), b"id.1.{}\n\x00"
    found = webhook.hmac_by_openssl(str(shutil.which("openssl")), secret, message)
    assert found == hmac.digest(secret, message, "sha256")


def test_fails_when_openssl_does() -> None:
    with pytest.raises(RehearsalFailedError, match="false dgst -sha256"):
        webhook.hmac_by_openssl("false", b"x" * 24, b"")


class Server:
    """Keeps what is posted, and gives the answer that the test chose."""

    def __init__(self) -> None:
        self.answer: tuple[int, Any] = (202, {"kept": True, "mapped": True, "id": "x"})
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        its = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                its.posted.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, answer = its.answer
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/api"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.http.serve_forever)
    thread.start()
    yield made
    made.http.shutdown()
    made.http.server_close()
    thread.join()


@pytest.mark.thorough
@pytest.mark.parametrize("by", [pytest.param("openssl", marks=needs_openssl), "tapstack's own client"])
def test_when_an_alert_is_sent_then_it_is_signed_as_the_response_verifies_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by != "openssl":
        monkeypatch.setenv("PATH", "/nowhere")
    secret, document = new_secret(), webhook.lead("high", webhook.about(INSTANCE, WHERE.account_id))

    program, answer = webhook.send(server.url, "/webhooks/xdr", document, secret)

    assert program.startswith(by)
    assert answer["kept"]
    [(path, headers, body)] = server.posted
    assert (path, json.loads(body)) == ("/api/webhooks/xdr", document)
    assert verify(headers, body, [read_secret(secret)], now=time.time()) == headers["webhook-id"]
    assert base64.b64decode(secret.removeprefix("whsec_")) not in body


@pytest.mark.thorough
def test_fails_when_the_alert_is_refused_or_no_server_answers(server: Server) -> None:
    server.answer = (401, {"title": "Authentication required"})
    with pytest.raises(RehearsalFailedError, match="HTTP 401, .*Authentication required.*: expected 202"):
        webhook.send(server.url, "/webhooks/xdr", {}, new_secret())
    with pytest.raises(RehearsalFailedError, match="POST /webhooks/xdr: "):
        webhook.send("http://127.0.0.1:9", "/webhooks/xdr", {}, new_secret())
