"""Web pages and other hosts get nowhere, whatever they know; nor do programs without the credentials."""

from __future__ import annotations

import http.server
import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from strictmoto.account import REGION, Account
from tests.chromium import command, needs_browser, open_page
from tests.strictmoto.signing import keys_of
from tests.strictmoto.test_signatures import Answer, send

BODY = b"Action=CreateVpc&Version=2016-11-15&CidrBlock=10.66.0.0/16"
FORM = "application/x-www-form-urlencoded; charset=utf-8"


def signed(account: Account, host: str | None = None) -> dict[str, str]:
    """Headers that are signed with the account's own key."""
    address = f"http://{host}" if host else account.endpoint
    signing = AWSRequest("POST", f"{address}/", {"Content-Type": FORM}, BODY)
    SigV4Auth(keys_of(account), "ec2", REGION).add_auth(signing)
    return {"Host": host or urlsplit(address).netloc, **dict(signing.headers.items())}


def vpcs(account: Account) -> int:
    return len(account.client("ec2").describe_vpcs()["Vpcs"])


def is_refused(account: Account, answer: Answer) -> bool:
    shared = [name for name in answer.headers if name.lower().startswith("access-control-")]
    return answer.status == 403 and not shared and account.recorder.records() == []


class TestHeaders:
    """Requests whose signature is true: a stranger who has stolen one gets nowhere."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://attacker.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:8000"},
            {"Origin": ""},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "same-origin"},
            {"Origin": "https://attacker.example", "Sec-Fetch-Site": "none"},
        ],
    )
    def test_fails_when_the_request_is_of_a_web_page(self, aws_account: Account, headers: dict[str, str]) -> None:
        answer = send(aws_account, "POST", "/", {**signed(aws_account), **headers}, BODY)
        assert is_refused(aws_account, answer)

    def test_fails_when_a_browser_asks_first(self, aws_account: Account) -> None:
        asked = {
            "Origin": "https://attacker.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,x-amz-date",
        }
        assert is_refused(aws_account, send(aws_account, "OPTIONS", "/", asked))

    @pytest.mark.parametrize(
        "host",
        [
            "attacker.example",
            "attacker.example:4566",
            "localhost.attacker.example",
            "127.0.0.1.attacker.example",
            "attacker.example.execute-api.eu-central-1.amazonaws.com.attacker.example",
            "a.execute-api.attacker.example",
            "ec2.eu-central-1.amazonaws.com",
            "127.0.0.1:x",
            "0.0.0.0",
            "",
        ],
    )
    def test_fails_when_the_request_is_for_another_host(self, aws_account: Account, host: str) -> None:
        headers = {**signed(aws_account, host.removesuffix(":x") or "127.0.0.1"), "Host": host}
        assert is_refused(aws_account, send(aws_account, "POST", "/", headers, BODY))

    @pytest.mark.parametrize("host", ["127.0.0.1:1234", "localhost", "localhost:8080", "[::1]:1234"])
    def test_when_the_host_is_this_machine_then_it_is_answered(self, aws_account: Account, host: str) -> None:
        headers = {**signed(aws_account, host), "Sec-Fetch-Site": "none"}
        assert send(aws_account, "POST", "/", headers, BODY).status == 200

    def test_when_one_signs_then_no_answer_is_shared_with_pages(self, aws_account: Account) -> None:
        answer = send(aws_account, "POST", "/", signed(aws_account), BODY)
        assert answer.status == 200
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]

    def test_fails_when_a_known_origin_asks_the_aws_api(self, aws_account: Account) -> None:
        aws_account.origins.add("http://localhost:3000")
        headers = {**signed(aws_account), "Origin": "http://localhost:3000"}
        assert is_refused(aws_account, send(aws_account, "POST", "/", headers, BODY))
        target = "/strictmoto/calls"
        assert is_refused(aws_account, send(aws_account, "GET", target, headers))


PAGE = """<!doctype html><iframe name="frame"></iframe><script>
const account = ACCOUNT, presigned = PRESIGNED, body = BODY;
const form = {"Content-Type": "application/x-www-form-urlencoded"};
const scope = "Credential=testing/20260101/eu-central-1/ec2/aws4_request, SignedHeaders=host, Signature=0";
const claimed = {...form, Authorization: "AWS4-HMAC-SHA256 " + scope};
const target = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.ListTables"};
const fault = JSON.stringify({action: "*", kind: "throttled", call: 0});
const ways = {
  simple: () => fetch(account, {method: "POST", headers: form, body}),
  opaque: () => fetch(account, {method: "POST", mode: "no-cors", headers: form, body}),
  claimed: () => fetch(account, {method: "POST", headers: claimed, body}),
  target: () => fetch(account, {method: "POST", headers: target, body: "{}"}),
  stolen: () => fetch(presigned),
  opaqueStolen: () => fetch(presigned, {mode: "no-cors"}),
  reset: () => fetch(account + "moto-api/reset", {method: "POST", mode: "no-cors"}),
  fault: () => fetch(account + "strictmoto/faults", {method: "POST", mode: "no-cors", body: fault}),
  calls: () => fetch(account + "strictmoto/calls"),
  beacon: async () => { navigator.sendBeacon(account, new URLSearchParams(body)); },
  image: () => new Promise(done => {
    const image = new Image(); image.onload = () => done("loaded"); image.onerror = () => done("failed");
    image.src = presigned;
  }),
  script: () => new Promise(done => {
    const script = document.createElement("script"); script.onerror = script.onload = () => done();
    script.src = presigned; document.body.append(script);
  }),
  form: () => new Promise(done => {
    const sent = document.createElement("form"); sent.method = "POST"; sent.action = account; sent.target = "frame";
    for (const [name, value] of new URLSearchParams(body)) {
      const field = document.createElement("input"); field.name = name; field.value = value; sent.append(field);
    }
    document.body.append(sent); document.querySelector("iframe").onload = () => done(); sent.submit();
  }),
};
(async () => {
  const results = {};
  for (const [name, way] of Object.entries(ways)) {
    try {
      const answer = await way();
      results[name] = answer && answer.type !== "opaque" ? (answer.status || answer) : "nothing to read";
    } catch (error) { results[name] = "refused"; }
  }
  await fetch("/results", {method: "POST", body: JSON.stringify(results)});
})();
</script><body></body>"""


@dataclass(frozen=True)
class Site:
    """A web site that attacks; `results` gets what came of its ways."""

    url: str
    results: queue.Queue[dict[str, Any]]


@pytest.fixture
def site(aws_account: Account) -> Iterator[Site]:
    """It knows the account's address, and one presigned URL."""
    results: queue.Queue[dict[str, Any]] = queue.Queue()
    signing = AWSRequest("GET", f"{aws_account.endpoint}/?Action=DescribeVpcs&Version=2016-11-15")
    SigV4QueryAuth(keys_of(aws_account), "ec2", REGION).add_auth(signing)
    page = (
        PAGE.replace("ACCOUNT", json.dumps(f"{aws_account.endpoint}/"))
        .replace("PRESIGNED", json.dumps(signing.url))
        .replace("BODY", json.dumps(BODY.decode()))
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = page.encode() if self.path == "/" else b""
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Site(f"http://attacker.example:{server.server_port}/", results)
        server.shutdown()
        thread.join()


@needs_browser
class TestInABrowser:
    RULES = "--host-resolver-rules=MAP attacker.example 127.0.0.1"

    def test_fails_when_a_web_page_tries_to_drive_the_account(
        self, aws_account: Account, site: Site, tmp_path: Path
    ) -> None:
        # Without these the browser itself may refuse, and nothing is tried.
        allowed = "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"
        opening = command(site.url, tmp_path / "profile", self.RULES, allowed, "--remote-debugging-port=0")
        with subprocess.Popen(opening, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                results = site.results.get(timeout=60)
            finally:
                browser.terminate()
        assert len(results) == 13
        assert set(results.values()) <= {"refused", "nothing to read", "failed"}, results
        assert aws_account.recorder.records() == []
        assert vpcs(aws_account) == 1

    def test_fails_when_the_pages_own_name_leads_to_the_account(self, aws_account: Account, tmp_path: Path) -> None:
        """DNS rebinding: for the browser the account is then the page's own site, whose answers it may read."""
        signing = AWSRequest("GET", f"{aws_account.endpoint}/?Action=DescribeVpcs&Version=2016-11-15")
        SigV4QueryAuth(keys_of(aws_account), "ec2", REGION).add_auth(signing)
        url = str(signing.url).replace("127.0.0.1", "attacker.example")
        opened = open_page(url, tmp_path / "profile", self.RULES, "--dump-dom")
        assert "no host attacker.example" in opened.stdout
        assert aws_account.recorder.records() == []
