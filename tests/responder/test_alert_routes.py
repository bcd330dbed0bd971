"""Alerts that other tools send: who is let in, what is kept, what is answered."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from standardwebhooks import Webhook

from strictmoto.account import REGION, Account
from strictmoto.faults import Fault
from tapstack.domain.alert_mappings import AlertSource
from tapstack.domain.callers import Caller, iam_caller, token_caller
from tapstack.domain.function_variables import ALERT_QUEUE, OVERLAP
from tapstack.domain.kept_alerts import KeptAlert, kept_alert
from tapstack.domain.operations import LARGEST_BODY
from tapstack.domain.policy import Rule
from tapstack.domain.webhook_secrets import ASKED_AGAIN_SECONDS, SECRET_KEPT_SECONDS, webhook_secret_name
from tapstack.domain.webhook_signatures import new_secret, read_secret, signed_headers
from tapstack.responder.api import alert_routes, webhook_secrets
from tapstack.responder.containment import requests, steps
from tapstack.responder.environment import environment
from tapstack.responder.errors import OtherPersonNeeded, TryAgain
from tapstack.responder.handlers import alerts as handler
from tapstack.responder.handlers import findings as findings_handler
from tapstack.responder.incident import alerts as incident_alerts
from tests.responder.callers import OTHER
from tests.responder.conftest import Site, item
from tests.responder.test_api import REGISTRY, SPECIFICATION
from tests.responder.test_findings import decides
from tests.unit.domain.alerts import sample

SOURCES = {
    "soc": AlertSource("generic", webhook=True),
    "hunters": AlertSource("hunters", webhook=True),
    "forwarder": AlertSource("guardduty"),
    "soar": AlertSource("generic"),
}
SECRET = new_secret()
ALERT: dict[str, Any] = {
    "version": "1",
    "alert_id": "a-1",
    "severity": "high",
    "target": {"instance_id": "i-0123456789abcdef0"},
}
IAM = {"iam": {"userArn": "arn:aws:iam::123456789012:user/soar", "userId": "AIDASOAR"}}
ISSUER = "https://login.example.com"
TOKEN = {"jwt": {"claims": {"iss": ISSUER, "sub": "soar"}, "scopes": ["alert"]}}


@pytest.fixture(autouse=True)
def _sources(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (alert_routes, incident_alerts, webhook_secrets):
        monkeypatch.setattr(module, "alert_sources", lambda: SOURCES)
    webhook_secrets.forget()
    yield
    webhook_secrets.forget()


@pytest.fixture
def queue(site: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The queue that alerts wait in, and the secret of a source."""
    url = site.client("sqs").create_queue(QueueName="tap-alerts")["QueueUrl"]
    monkeypatch.setenv(ALERT_QUEUE, url)
    environment.cache_clear()
    site.client("secretsmanager").create_secret(Name=secret_name(), SecretString=SECRET)
    return url


def secret_name(source: str = "soc") -> str:
    return webhook_secret_name("tap", "frankfurt", source)


def waiting(site: Site, queue: str) -> list[KeptAlert]:
    """The alerts that wait."""
    found = site.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [kept_alert(message["Body"]) for message in found.get("Messages", [])]


def event(
    way: str, source: str, body: str | bytes, headers: dict[str, str], *, authorizer: Any = None
) -> dict[str, Any]:
    """What the gateway gives the function."""
    encoded = isinstance(body, bytes)
    return {
        "version": "2.0",
        "routeKey": f"POST /{way}/{{source}}",
        "rawPath": f"/{way}/{source}",
        "headers": {"Content-Type": "application/json", **headers},
        "pathParameters": {"source": source},
        "requestContext": {
            "http": {"method": "POST", "path": f"/{way}/{source}"},
            "stage": "$default",
            **({"authorizer": authorizer} if authorizer else {}),
        },
        "body": base64.b64encode(body).decode() if isinstance(body, bytes) else body,
        "isBase64Encoded": encoded,
    }


def conforms(way: str, answered: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Hold an answer against the document of the API, and return its status and body."""
    responses = SPECIFICATION["paths"][f"/{way}/{{source}}"]["post"]["responses"]
    schema = responses[str(answered["statusCode"])]["content"][answered["headers"]["content-type"]]["schema"]
    body = json.loads(answered["body"])
    Draft202012Validator({"$ref": f"urn:spec{schema['$ref']}"}, registry=REGISTRY).validate(body)
    return answered["statusCode"], body


def webhook(
    document: Any = ALERT,
    *,
    secret: str = SECRET,
    id_: str = "msg_1",
    at: float | None = None,
    source: str = "soc",
    **changed: str,
) -> tuple[int, dict[str, Any]]:
    """Send a signed webhook; return status and body of the answer."""
    body = document if isinstance(document, str | bytes) else json.dumps(document)
    raw = body if isinstance(body, bytes) else body.encode()
    headers = signed_headers(read_secret(secret), id_, int(time.time() if at is None else at), raw)
    headers = {name.title(): value for name, value in headers.items()} | changed
    return conforms("webhooks", handler.handler(event("webhooks", source, body, headers), None))


def alert(document: Any = ALERT, *, source: str = "soar", who: Any = IAM, **headers: str) -> tuple[int, dict[str, Any]]:
    """Send an alert as a caller whom the gateway knows."""
    body = document if isinstance(document, str) else json.dumps(document)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return conforms("alerts", handler.handler(event("alerts", source, body, sent, authorizer=who), None))


def delivered(id_: str = "msg_1", document: Any = ALERT) -> str:
    """By what a delivery of a webhook is known."""
    return f"webhooks/{id_}/{hashlib.sha256(json.dumps(document).encode()).hexdigest()[:16]}"


def of_path(answered: tuple[int, dict[str, Any]], source: str) -> tuple[int, dict[str, Any]]:
    """An answer as it is of another source, which it names by the path alone."""
    status, body = answered
    return status, {**body, "instance": f"/webhooks/{source}"}


def refused(answered: tuple[int, dict[str, Any]]) -> int:
    """The status of a webhook's refusal, which says the same whatever is wrong."""
    status, problem = answered
    assert problem["detail"] == alert_routes.REFUSED
    assert "errors" not in problem
    return status


class TestWebhooks:
    def test_when_a_webhook_is_signed_then_it_is_kept_and_the_answer_says_so_but_not_which_instance(
        self, site: Site, queue: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert webhook() == (202, {"kept": True, "mapped": True, "id": "msg_1"})
        [kept] = waiting(site, queue)
        assert (kept.source, kept.delivery, json.loads(kept.document)) == ("soc", delivered(), ALERT)
        assert '"AlertsKept":[1.0]' in capsys.readouterr().out

    def test_when_the_package_of_the_standard_signs_then_it_is_kept(self, site: Site, queue: str) -> None:
        body, now = json.dumps(ALERT, indent=1), datetime.now(UTC)
        headers = {
            "webhook-id": "msg_2",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(SECRET).sign("msg_2", now, body),
        }
        status, _ = conforms("webhooks", handler.handler(event("webhooks", "soc", body, headers), None))
        assert status == 202
        assert waiting(site, queue)[0].document == body

    def test_when_the_gateway_encodes_the_body_then_its_bytes_are_verified(self, site: Site, queue: str) -> None:
        body = json.dumps({**ALERT, "title": "Größe"}, ensure_ascii=False).encode()
        assert webhook(body)[0] == 202
        assert waiting(site, queue)[0].document == body.decode()

    def test_when_no_mapping_takes_it_then_it_is_kept_all_the_same(self, site: Site, queue: str) -> None:
        assert webhook({"other": 1})[1] == {"kept": True, "mapped": False, "id": "msg_1"}
        assert len(waiting(site, queue)) == 1

    @pytest.mark.parametrize("raised", [KeyError("a"), RecursionError("deep"), TypeError("no")], ids=repr)
    def test_when_mapping_breaks_then_the_answer_says_that_it_is_kept_all_the_same(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch, raised: Exception
    ) -> None:
        def breaks(*_: Any, **__: Any) -> Any:
            raise raised

        monkeypatch.setattr(alert_routes, "map_alerts", breaks)
        assert webhook() == (202, {"kept": True, "mapped": False, "id": "msg_1"})
        assert len(waiting(site, queue)) == 1

    def test_when_it_comes_again_then_the_answer_is_the_first_and_it_is_one_delivery(
        self, site: Site, queue: str
    ) -> None:
        assert webhook() == webhook()
        assert {kept.delivery for kept in waiting(site, queue)} == {delivered()}

    def test_when_an_update_comes_under_the_same_id_then_it_is_decided_about_and_each_comes_once(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As where a relay sends with the id of an alert."""
        decides(monkeypatch, Rule("all", "capture"))
        first = {**ALERT, "severity": "medium", "target": {"instance_id": site.instance()[0]}}
        for document in (first, update := {**first, "severity": "critical"}, first, update):
            assert webhook(document) == (202, {"kept": True, "mapped": True, "id": "msg_1"})
            kept = next(one for one in waiting(site, queue) if json.loads(one.document) == document)
            records = TestQueue().records(kept.as_json())
            assert findings_handler.handler(records, None) == {"batchItemFailures": []}
        told = site.events("Tapstack Alert")
        assert [one["delivery"] for one in told] == [delivered(document=one) for one in (first, update)]
        opened, updated = (one["alerts"][0]["decisions"][0] for one in told)
        assert (opened["action"], updated["action"]) == ("capture", "updated")
        assert opened["incident_id"] == updated["incident_id"]
        assert item(opened["incident_id"])["severity"] == "critical"

    @pytest.mark.parametrize("character", ["ä", "\x7f", "\uffff", '\\"', "\\\\"], ids=ascii)
    def test_when_the_largest_document_is_kept_then_it_fits_into_a_message(
        self, site: Site, queue: str, character: str
    ) -> None:
        start, end = '{"title": "', '"}'
        times = (LARGEST_BODY - len(start) - len(end)) // len(character.encode())
        document = f"{start}{character * times}{end}"
        assert webhook(document.encode())[0] == 202
        [kept] = waiting(site, queue)
        assert kept.document == document

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ("no JSON", 400),
            ("", 400),
            ('{"a": 1, "a": 2}', 400),
            ("[" * 20_000, 400),
            (b"\xff", 400),
            ("x" * (LARGEST_BODY + 1), 413),
            (bytes(LARGEST_BODY + 1), 413),
        ],
        ids=["text", "empty", "twice", "deep", "bytes", "large", "large-bytes"],
    )
    def test_fails_when_the_body_is_no_json_or_too_large(
        self, site: Site, queue: str, body: str | bytes, status: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert refused(webhook(body)) == status
        assert waiting(site, queue) == []
        assert '"WebhooksRefused":[1.0]' in capsys.readouterr().out

    @pytest.mark.parametrize(
        "given",
        [
            {"secret": new_secret()},
            {"at": time.time() - 3600},
            {"at": time.time() + 3600},
            {"Webhook-Id": "msg_9"},
            {"Webhook-Id": ""},
            {"Webhook-Signature": ""},
            {"Webhook-Timestamp": "now"},
            {"source": "hunters"},  # which has no secret yet
            {"source": "forwarder"},  # which takes no webhooks
            {"source": "nowhere"},
            {"source": "a\n'b"},
        ],
        ids=lambda given: "-".join(map(str, given)),
    )
    def test_fails_when_anything_of_the_signature_is_wrong_with_one_text_and_a_metric(
        self, site: Site, queue: str, given: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert refused(webhook(**given)) == 401
        assert waiting(site, queue) == []
        # Of a source that loses its alerts there is an alarm, which what the internet tries does not raise.
        tool = given.get("source", "soc") in ("soc", "hunters") and "" not in given.values()
        counted, other = ("Refused", "Unknown") if tool else ("Unknown", "Refused")
        said = capsys.readouterr().out
        assert f'"Webhooks{counted}":[1.0]' in said
        assert f'"Webhooks{other}"' not in said

    def test_fails_when_the_secret_of_another_source_signs(self, site: Site, queue: str) -> None:
        other = new_secret()
        site.client("secretsmanager").create_secret(Name=secret_name("hunters"), SecretString=other)
        assert refused(webhook(secret=other)) == 401
        assert webhook(sample("hunters"), secret=other, source="hunters")[0] == 202

    @given(
        st.dictionaries(st.sampled_from(("webhook-id", "webhook-timestamp", "webhook-signature")), st.text()), st.text()
    )
    @settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_fails_with_401_or_400_when_it_is_anything(
        self, site: Site, queue: str, headers: dict[str, str], body: str
    ) -> None:
        answered = handler.handler(event("webhooks", "soc", body, headers), None)
        assert refused(conforms("webhooks", answered)) in (400, 401)

    def test_when_a_webhook_is_changed_in_any_way_then_it_is_refused_and_not_kept(self, site: Site, queue: str) -> None:
        body, now = json.dumps(ALERT).encode(), int(time.time())
        right = signed_headers(read_secret(SECRET), "msg_1", now, body)
        name, stamp, signature = right

        def flipped(text: bytes, bit: int) -> bytes:
            at = bit % (8 * len(text))
            return text[: at // 8] + bytes([text[at // 8] ^ 1 << at % 8]) + text[at // 8 + 1 :]

        def sent(headers: dict[str, str], body: bytes = body) -> tuple[int, dict[str, Any]]:
            return conforms("webhooks", handler.handler(event("webhooks", "soc", body, headers), None))

        @settings(max_examples=60, deadline=None)
        @given(st.sampled_from(("body", "other body", "signature", "id", "time", "more")), st.integers(0, 4000))
        def refuses(what: str, number: int) -> None:
            version, _, text = right[signature].partition(",")
            mac = base64.b64encode(flipped(base64.b64decode(text), number)).decode()
            changed, its = {
                "body": (right, flipped(body, number)),
                "other body": (right, json.dumps({**ALERT, "alert_id": f"b-{number}"}).encode()),
                "signature": ({**right, signature: f"{version},{mac}"}, body),
                "id": ({**right, name: f"msg_1{number}"}, body),
                "time": ({**right, stamp: str(now - 1 - number)}, body),
                "more": ({**right, signature: " ".join([right[signature]] * (6 + number % 5))}, body),
            }[what]
            assert refused(sent(changed, its)) == 401

        refuses()
        assert waiting(site, queue) == []
        assert sent(right)[0] == 202


class TestSecrets:
    def rotated(self, site: Site, secret: str) -> None:
        site.client("secretsmanager").put_secret_value(SecretId=secret_name(), SecretString=secret)

    def older(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        """Let time go on for what is kept in the function, and for nothing else."""
        now = time.monotonic
        monkeypatch.setattr("time.monotonic", lambda: now() + seconds)

    def test_when_webhooks_come_then_the_secret_is_read_once_in_five_minutes(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def reads() -> int:
            return site.calls("secretsmanager").count("GetSecretValue")

        # The version and the one before, which there is none of; and that of the source that has none yet.
        assert [(webhook()[0], reads()) for _ in range(3)] == [(202, 3)] * 3
        self.older(monkeypatch, SECRET_KEPT_SECONDS + 1)
        assert (webhook()[0], reads()) == (202, 6)

    def test_when_the_secret_changes_then_the_new_one_is_accepted_within_seconds_and_the_old_one_too(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert webhook()[0] == 202
        new = new_secret()
        self.rotated(site, new)
        self.older(monkeypatch, ASKED_AGAIN_SECONDS + 1)
        assert [webhook(secret=new)[0], webhook()[0]] == [202, 202]

    def test_when_wrong_signatures_come_then_the_secret_is_not_read_for_each(self, site: Site, queue: str) -> None:
        assert {refused(webhook(secret=new_secret())) for _ in range(5)} == {401}
        assert site.calls("secretsmanager").count("GetSecretValue") == 3

    def test_when_the_overlap_is_over_then_the_old_secret_is_refused(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        new = new_secret()
        self.rotated(site, new)
        assert webhook()[0] == 202
        later = time.time() + 24 * 3600 + 1
        monkeypatch.setattr("time.time", lambda: later)
        # Also where it is kept still.
        assert refused(webhook(at=later)) == 401
        assert webhook(secret=new, at=later)[0] == 202

    def test_when_the_overlap_is_over_then_the_old_secret_is_not_even_read(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(OVERLAP, "0")
        environment.cache_clear()
        new = new_secret()
        self.rotated(site, new)
        assert webhook(secret=new)[0] == 202
        assert refused(webhook()) == 401
        records = site.account.recorder.records(service="secretsmanager", action="GetSecretValue")
        assert {record.call.parameters["VersionStage"] for record in records} == {"AWSCURRENT"}

    def test_when_a_secret_is_put_twice_then_the_first_is_refused(self, site: Site, queue: str) -> None:
        self.rotated(site, new_secret())
        self.rotated(site, last := new_secret())
        assert refused(webhook()) == 401
        assert webhook(secret=last)[0] == 202

    def test_fails_when_the_value_is_no_secret_and_the_log_says_so_without_it(
        self, site: Site, queue: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.rotated(site, "hunter2")
        assert refused(webhook(secret=new_secret())) == 401
        assert "the value in Secrets Manager is none" in caplog.text
        assert "hunter2" not in str([record.__dict__ for record in caplog.records])

    @pytest.mark.parametrize("kind", ["throttled", "server error", "lost before"])
    def test_fails_with_503_when_the_secret_cannot_be_read(
        self, aws_account: Account, site: Site, queue: str, kind: Any
    ) -> None:
        aws_account.faults.add(Fault("GetSecretValue", kind, call=0))
        status, problem = webhook()
        assert (status, problem["detail"]) == (503, "the alert is not kept: send the same request again")
        aws_account.faults.clear()
        assert webhook()[0] == 202

    def test_when_the_secret_of_one_source_cannot_be_read_then_others_are_accepted(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = webhook_secrets._version

        def refuses(source: str, stage: str) -> Any:
            if source == "hunters":
                raise OSError("refused")
            return read(source, stage)

        monkeypatch.setattr(webhook_secrets, "_version", refuses)
        assert [webhook()[0], webhook(source="hunters")[0], webhook(source="nowhere")[0]] == [202, 503, 401]
        monkeypatch.setattr(webhook_secrets, "_version", read)
        site.client("secretsmanager").create_secret(Name=secret_name("hunters"), SecretString=SECRET)
        assert webhook(sample("hunters"), source="hunters")[0] == 202

    @pytest.mark.parametrize("source", ["nowhere", "forwarder", "hunters"])
    def test_when_secrets_cannot_be_read_then_the_answer_does_not_say_which_names_are_sources(
        self, aws_account: Account, site: Site, queue: str, source: str
    ) -> None:
        aws_account.faults.add(Fault("GetSecretValue", "server error", call=0))
        assert webhook(source=source) == of_path(webhook(), source)

    @pytest.mark.parametrize("source", ["nowhere", "forwarder", "hunters"])
    def test_when_a_name_is_no_source_or_has_no_secret_then_the_same_is_done_as_for_one(
        self, site: Site, queue: str, source: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        computed: list[int] = []
        digest = hmac.digest

        def counted(key: bytes, signed: bytes, name: Any) -> bytes:
            computed.append(len(signed))
            return digest(key, signed, name)

        monkeypatch.setattr("hmac.digest", counted)
        clock, later = time.monotonic, [0.0]
        monkeypatch.setattr("time.monotonic", lambda: clock() + later[0])

        def done(name: str, *after: float) -> list[Any]:
            """What a refused webhook costs in a new function, at once again, and after some seconds each."""
            webhook_secrets.forget()
            found: list[Any] = []
            for seconds in (0.0, 0.0, *after):
                later[0] += seconds
                headers = signed_headers(read_secret(new_secret()), "msg_1", int(time.time()), b"{}")
                site.account.recorder.clear()
                computed.clear()
                answered = handler.handler(event("webhooks", name, "{}", headers), None)
                found.append((refused(conforms("webhooks", answered)), sorted(site.calls("secretsmanager"))))
                found.append([*computed, site.calls("sqs")])
            return found

        times = (ASKED_AGAIN_SECONDS + 1, SECRET_KEPT_SECONDS + 1)
        # Also where a secret is changing, and two are accepted.
        self.rotated(site, new_secret())
        assert done(source, *times) == done("soc", *times)


class TestAlerts:
    def test_when_a_known_caller_sends_an_alert_then_it_is_kept(self, site: Site, queue: str) -> None:
        status, body = alert(idempotency_key="soar-4711")
        assert (status, body) == (202, {"kept": True, "mapped": True, "id": "soar-4711"})
        # A caller cannot take the id of a webhook.
        [kept] = waiting(site, queue)
        assert (kept.delivery.rsplit("/", 1)[0], kept.caller) == ("alerts/soar-4711", IAM["iam"]["userArn"])

    def test_when_two_callers_have_the_same_key_or_one_sends_another_body_then_each_is_decided_about(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("all", "capture"))
        arn = "arn:aws:sts::123456789012:assumed-role/{}/{}"
        callers = [
            {"iam": {"userArn": arn.format(role, session), "userId": f"AROA{role.upper()}:{session}"}}
            for role, session in (("soar", "one"), ("soar", "two"), ("scripts", "one"))
        ]
        first, second = ({**ALERT, "target": {"instance_id": site.instance()[0]}} for _ in range(2))
        sent = [(callers[0], first), (callers[1], first), (callers[2], first), (callers[0], second)]
        for who, document in sent:
            assert alert(document, who=who, idempotency_key="4711")[1]["kept"]
        for kept in waiting(site, queue):
            assert findings_handler.handler(TestQueue().records(kept.as_json()), None) == {"batchItemFailures": []}
        told = site.events("Tapstack Alert")
        # The second session of the role sent the same again.
        assert sorted((one["caller"], one["alerts"][0]["decisions"][0]["instance_id"]) for one in told) == sorted(
            (sent[at][0]["iam"]["userArn"], sent[at][1]["target"]["instance_id"]) for at in (0, 2, 3)
        )

    def test_when_there_is_no_key_then_each_is_an_alert_of_its_own(self, site: Site, queue: str) -> None:
        first, second = alert(source="forwarder"), alert(source="forwarder")
        assert first[0] == second[0] == 202
        assert first[1]["id"] != second[1]["id"]

    def test_fails_when_the_source_is_unknown_and_lists_those_that_there_are(self, site: Site, queue: str) -> None:
        status, problem = alert(source="x")
        assert (status, problem["detail"]) == (
            404,
            "the deployment has no source 'x': expected forwarder, soar",
        )

    def test_fails_when_the_source_signs_its_webhooks_whoever_calls(self, site: Site, queue: str) -> None:
        status, problem = alert(source="soc")
        assert (status, problem["detail"]) == (
            404,
            "the source soc takes signed webhooks only: expected /webhooks/soc, or a source without webhook: true",
        )
        assert waiting(site, queue) == []

    @pytest.mark.parametrize(
        ("body", "status", "detail"),
        [
            ("no", 400, "the body is no JSON: Expecting value: line 1 column 1 (char 0)"),
            ("x" * (LARGEST_BODY + 1), 413, "the body must have at most 65536 bytes"),
        ],
    )
    def test_fails_when_the_body_is_wrong_and_says_how(
        self, site: Site, queue: str, body: str, status: int, detail: str
    ) -> None:
        assert (alert(body)[0], alert(body)[1]["detail"]) == (status, detail)

    def test_fails_when_the_key_is_none(self, site: Site, queue: str) -> None:
        status, problem = alert(idempotency_key="a b")
        assert (status, problem["errors"][0]["where"]) == (400, "Idempotency-Key")

    def test_fails_when_the_gateway_names_no_caller(self, site: Site, queue: str) -> None:
        assert alert(who=None)[0] == 401

    def test_fails_when_another_route_leads_here(self, site: Site, queue: str) -> None:
        given = {**event("alerts", "soc", "{}", {}), "routeKey": "$default"}
        assert handler.handler(given, None)["statusCode"] == 404
        assert waiting(site, queue) == []


class TestQueue:
    @pytest.mark.parametrize("kind", ["throttled", "server error", "lost before", "lost after"])
    def test_fails_with_503_when_the_queue_does_not_take_it_and_the_same_again_is_kept(
        self, aws_account: Account, site: Site, queue: str, kind: Any
    ) -> None:
        aws_account.faults.add(Fault("SendMessage", kind, call=0))
        status, _ = webhook()
        assert status == 503
        aws_account.faults.clear()
        assert webhook()[0] == 202
        assert {kept.delivery for kept in waiting(site, queue)} == {delivered()}

    def records(self, *bodies: str) -> dict[str, Any]:
        return {
            "Records": [
                {"messageId": str(at), "body": body, "eventSource": "aws:sqs", "awsRegion": REGION}
                for at, body in enumerate(bodies)
            ]
        }

    def test_when_the_queue_brings_alerts_then_each_is_decided_once_however_often_it_comes(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("all", "capture"))
        instance, _ = site.instance()
        assert webhook({**ALERT, "target": {"instance_id": instance}})[0] == 202
        [kept] = waiting(site, queue)
        for _ in range(2):
            assert findings_handler.handler(self.records(kept.as_json()), None) == {"batchItemFailures": []}
        [told] = site.events("Tapstack Alert")
        assert item(told["alerts"][0]["decisions"][0]["incident_id"])["instance_id"] == instance

    @pytest.mark.parametrize(
        ("who", "sender", "other"),
        [
            (IAM, iam_caller(IAM["iam"]["userArn"], IAM["iam"]["userId"]), OTHER),
            (TOKEN, token_caller(ISSUER, "soar"), token_caller(ISSUER, "ben")),
        ],
        ids=["signature", "token"],
    )
    def test_fails_when_whoever_sent_an_alert_approves_what_a_rule_requests_about_it(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch, who: Any, sender: Caller, other: Caller
    ) -> None:
        incident = self.asks(site, queue, monkeypatch, lambda document: alert(document, who=who))
        assert "a person other than the sender must approve" in site.messages()[-1]["Message"]
        with pytest.raises(OtherPersonNeeded, match=f"policy:soar requested .* {incident}, for an alert you sent,"):
            requests.decide(incident, "approved", by=sender)
        assert requests.decide(incident, "approved", by=other).containment_state == "containing"
        assert item(incident)["containment"]["decided_by"] == other.name

    def test_when_a_webhook_brought_an_alert_then_any_person_approves_what_a_rule_requests_about_it(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident = self.asks(site, queue, monkeypatch, webhook)
        # Its sender is no person that could approve anything.
        assert "The policy requested it: any person with the right to approve may." in site.messages()[-1]["Message"]
        sender = iam_caller(IAM["iam"]["userArn"], IAM["iam"]["userId"])
        assert requests.decide(incident, "approved", by=sender).containment_state == "containing"

    def asks(
        self, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch, send: Callable[[Any], tuple[int, dict[str, Any]]]
    ) -> str:
        """Have an alert sent, about which a rule requests a containment; return the incident, which asks for it."""
        settings = {"modes": ["approval"], "groups": {site.vpc: {"quarantine": site.group}}}
        monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps({**site.settings, "containment": settings}))
        decides(monkeypatch, Rule("all", "contain_on_approval"))
        instance, _ = site.instance()
        document = {**ALERT, "target": {"instance_id": instance}}
        assert send(document)[0] == 202
        [kept] = waiting(site, queue)
        assert findings_handler.handler(self.records(kept.as_json()), None) == {"batchItemFailures": []}
        [told] = site.events("Tapstack Alert")
        incident = str(told["alerts"][0]["decisions"][0]["incident_id"])
        steps.decide(incident)
        return incident

    def test_when_one_of_a_batch_fails_then_it_alone_comes_again(
        self, aws_account: Account, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("all", "capture"))
        ids = [site.instance()[0] for _ in range(3)]
        bodies = [
            KeptAlert(
                "soc",
                f"webhooks/{id_}",
                "2026-01-02T03:04:06Z",
                json.dumps({**ALERT, "alert_id": id_, "target": {"instance_id": id_}}),
            ).as_json()
            for id_ in ids
        ]
        batch = self.records(bodies[0], "no alert of ours", bodies[1], bodies[2])
        assert findings_handler.handler(batch, None) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
        assert len(site.events("Tapstack Alert")) == 3

    def test_when_aws_does_not_answer_then_the_alert_comes_again_and_nothing_is_lost(
        self, aws_account: Account, site: Site, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        decides(monkeypatch, Rule("all", "capture"))
        instance, _ = site.instance()
        body = KeptAlert(
            "soc", "webhooks/1", "2026-01-02T03:04:06Z", json.dumps({**ALERT, "target": {"instance_id": instance}})
        ).as_json()
        aws_account.faults.add(Fault("DescribeInstances", "server error", call=0))
        # As an error of the function, which an alarm watches: the age of the queue leaves out what always fails.
        with pytest.raises(TryAgain):
            findings_handler.handler(self.records(body), None)
        aws_account.faults.clear()
        assert findings_handler.handler(self.records(body), None) == {"batchItemFailures": []}
        assert len(site.events("Tapstack Alert")) == 1
