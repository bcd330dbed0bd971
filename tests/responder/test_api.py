"""The API: what it answers, how it refuses, and that repeating is safe."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from scripts import openapi
from strictmoto.faults import Fault
from tapstack.domain.incidents import as_text, utc_now
from tapstack.domain.operations import LARGEST_BODY
from tapstack.responder.api import routes, schemas
from tapstack.responder.api.router import answer
from tapstack.responder.environment import environment
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.outbound import notifications
from tapstack.responder.store import incidents
from tapstack.responder.store.keys import incident_key
from tests.responder.conftest import TABLE, Site, captures_since, item
from tests.responder.test_capturing import KINDS

ANN = "arn:aws:iam::123456789012:user/ann"
INSTANCE = "i-0123456789abcdef0"
OPEN = {"instance_id": INSTANCE, "reason": "beaconing to 203.0.113.7"}


def event(
    method: str, path: str, body: Any = None, *, query: Any = None, who: str = "ann", **headers: str
) -> dict[str, Any]:
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    return {
        "version": "2.0",
        "rawPath": path,
        "headers": {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}},
        "queryStringParameters": query,
        "requestContext": {
            "http": {"method": method, "path": path},
            "stage": "$default",
            "authorizer": {"iam": {"userArn": f"arn:aws:iam::123456789012:user/{who}", "userId": f"AIDA{who.upper()}"}},
        },
        **({} if text is None else {"body": text, "isBase64Encoded": False}),
    }


SPECIFICATION = openapi.document("1.0")
REGISTRY: Any = Registry().with_resource("urn:spec", DRAFT202012.create_resource(SPECIFICATION))


def conforms(method: str, path: str, answered: dict[str, Any]) -> None:
    """Hold an answer against the document."""
    parts = path.strip("/").split("/")
    is_named = len(parts) > 1 and path not in SPECIFICATION["paths"]
    template = "/".join(["/incidents", "{id}", *parts[2:]]) if is_named else path
    operation = SPECIFICATION["paths"][template][method.lower()]
    content = operation["responses"][str(answered["statusCode"])]["content"]
    schema = content[answered["headers"]["content-type"]]["schema"]
    reference = {"$ref": f"urn:spec{schema['$ref']}"}
    Draft202012Validator(reference, registry=REGISTRY).validate(json.loads(answered["body"]))


def ask(method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
    answered = answer(event(method, path, body, **more))
    if answered["statusCode"] != 405 and path.startswith("/incidents") and path.count("/") < 4:
        conforms(method, path, answered)
    return answered["statusCode"], json.loads(answered["body"])


class TestOpen:
    def test_when_an_alert_comes_in_then_an_incident_is_open_and_its_workflow_runs(self, site: Site) -> None:
        answered = answer(event("POST", "/incidents", {**OPEN, "technique": "T1071.001", "severity": "high"}))
        body = json.loads(answered["body"])
        incident = body["incident"]["id"]
        assert answered["statusCode"] == 202
        assert answered["headers"]["location"] == f"/incidents/{incident}"
        assert body["links"] == {
            "self": f"/incidents/{incident}",
            "close": f"/incidents/{incident}/close",
            "extend": f"/incidents/{incident}/extend",
        }
        assert body["incident"]["opened_by"] == ANN
        assert body["incident"]["minutes"] == 60
        [started] = site.account.recorder.records(service="states", action="StartExecution")
        assert started.call.parameters["name"] == incident
        assert json.loads(started.call.parameters["input"]) == {"incident_id": incident, "task": "capture"}

    def test_when_the_same_key_or_alert_comes_again_then_it_is_the_same_incident(self, site: Site) -> None:
        alert = {**OPEN, "alert_id": "siem-4711"}
        _, first = ask("POST", "/incidents", alert, idempotency_key="abc")
        for body, key in ((alert, "abc"), (alert, "other"), ({**alert, "reason": "again"}, "third")):
            status, again = ask("POST", "/incidents", body, idempotency_key=key)
            assert (status, again["incident"]["id"]) == (202, first["incident"]["id"])
        assert len(ask("GET", "/incidents")[1]["incidents"]) == 1

    @pytest.mark.parametrize(
        "other",
        [{"instance_id": "i-0123456789abcdef1"}, {"network_interface_ids": ["eni-0123456789abcdef0"]}],
        ids=["another instance", "interfaces"],
    )
    def test_fails_when_the_same_alert_comes_for_something_else(self, site: Site, other: dict[str, Any]) -> None:
        _, first = ask("POST", "/incidents", {**OPEN, "alert_id": "siem-4711"})
        body = {"reason": "again", "alert_id": "siem-4711", **other}
        status, problem = ask("POST", "/incidents", body)
        assert (status, problem["type"]) == (409, "urn:tapstack:problem:wrong-state")
        assert problem["detail"] == (
            f"alert_id siem-4711 belongs to incident {first['incident']['id']}, which captures {INSTANCE}: "
            "send this request with another alert_id, or without"
        )
        assert ask("POST", "/incidents", {**body, "alert_id": "siem-4712"})[0] == 202

    def test_when_the_same_alert_names_the_same_interfaces_then_it_is_the_same_incident(self, site: Site) -> None:
        named = ["eni-0123456789abcdef0", "eni-0123456789abcdef1"]
        body = {"reason": "again", "alert_id": "siem-4711", "network_interface_ids": named}
        _, first = ask("POST", "/incidents", body)
        status, again = ask("POST", "/incidents", {**body, "network_interface_ids": named[::-1]})
        assert (status, again["incident"]["id"]) == (202, first["incident"]["id"])
        assert ask("POST", "/incidents", {**body, "network_interface_ids": named[:1]})[0] == 409

    def test_fails_when_the_same_alert_is_to_be_contained_as_well(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        containment = {"modes": ["now"], "groups": {site.vpc: {"quarantine": site.group}}}
        monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps({**site.settings, "containment": containment}))
        environment.cache_clear()
        alert = {**OPEN, "alert_id": "siem-4711"}
        incident = ask("POST", "/incidents", alert)[1]["incident"]["id"]
        status, problem = ask("POST", "/incidents/contain-now", alert)
        assert status == 409
        assert problem["detail"].endswith(
            f"was opened without containment: tapstack incident contain {incident} --mode now"
        )
        contained = {**alert, "alert_id": "siem-4712"}
        path = "/incidents/contain-now"
        assert ask("POST", path, contained)[1] == ask("POST", path, contained)[1]

    def test_fails_when_a_token_may_contain_but_not_open(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        containment = {"modes": ["now"], "groups": {site.vpc: {"quarantine": site.group}}}
        settings = {**site.settings, "containment": containment, "open_scopes": ["open", "soar"]}
        monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps(settings))
        environment.cache_clear()

        def asked_with(scope: str) -> Any:
            given = event("POST", "/incidents/contain-now", OPEN)
            claims = {"iss": "https://login.example.com", "sub": "ann@example.com", **json.loads(scope)}
            given["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": ["contain"]}}
            answered = answer(given)
            return answered["statusCode"], json.loads(answered["body"])

        status, problem = asked_with('{"scope": "contain reopen"}')
        assert (status, problem["type"]) == (403, "urn:tapstack:problem:right-needed")
        assert problem["detail"] == "opening an incident needs one of the scopes open, soar as well"
        assert ask("GET", "/incidents")[1]["incidents"] == []
        for both in ('{"scope": "contain open"}', '{"scp": "[contain open]"}'):
            status, body = asked_with(both)
            assert (status, body["incident"]["containment"]["state"]) == (202, "containing")

    def test_fails_when_the_alert_of_a_closed_incident_comes_again(self, site: Site) -> None:
        alert = {**OPEN, "alert_id": "siem-4711"}
        _, first = ask("POST", "/incidents", alert, idempotency_key="abc")
        incident = first["incident"]["id"]
        ask("POST", f"/incidents/{incident}/close")
        said = f"alert_id siem-4711 belongs to incident {incident}, which is "
        assert ask("POST", "/incidents", alert)[1]["detail"].startswith(f"{said}closing: send")
        incident_steps.close(incident)
        status, problem = ask("POST", "/incidents", alert)
        assert (status, problem["type"]) == (409, "urn:tapstack:problem:wrong-state")
        assert problem["detail"].startswith(f"{said}closed: send")
        # A key stands for its answer, whatever became of the incident since.
        assert ask("POST", "/incidents", alert, idempotency_key="abc")[1]["incident"]["id"] == incident

    def test_fails_when_the_same_key_comes_with_another_request(self, site: Site) -> None:
        ask("POST", "/incidents", OPEN, idempotency_key="abc")
        status, problem = ask("POST", "/incidents", {**OPEN, "minutes": 5}, Idempotency_Key="abc")
        assert (status, problem["type"]) == (422, "urn:tapstack:problem:idempotency-key-reused")

    def test_when_two_callers_send_the_same_key_then_each_has_an_incident(self, site: Site) -> None:
        def sent_by(caller: str) -> str:
            given = event("POST", "/incidents", OPEN, idempotency_key="abc")
            given["requestContext"]["authorizer"] = {"iam": {"userArn": caller, "userId": f"ID{caller}"}}
            return str(json.loads(answer(given)["body"])["incident"]["id"])

        role = "arn:aws:sts::123456789012:assumed-role/soar"
        first = sent_by(f"{role}/one")
        # The caller of a program that has a new session is the same.
        assert sent_by(f"{role}/two") == first
        assert len({first, sent_by(ANN), sent_by(f"{role}s/one")}) == 3

    def test_when_the_incident_of_an_alert_was_deleted_then_the_alert_opens_another(self, site: Site) -> None:
        alert = {**OPEN, "alert_id": "siem-4711"}
        first = ask("POST", "/incidents", alert)[1]["incident"]["id"]
        site.client("dynamodb").delete_item(TableName=TABLE, Key=incident_key(first))
        assert ask("POST", "/incidents", alert)[1]["incident"]["id"] != first

    @pytest.mark.thorough
    def test_when_the_same_request_comes_twenty_times_at_once_then_it_is_one_incident(self, site: Site) -> None:
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: ask("POST", "/incidents", OPEN, idempotency_key="abc"), range(20)))
        assert {status for status, _ in answers} == {202}
        assert len({body["incident"]["id"] for _, body in answers}) == 1

    @pytest.mark.thorough
    @pytest.mark.parametrize("action", ["StartExecution", "TransactWriteItems", "UpdateItem"])
    def test_when_a_call_fails_once_then_there_is_one_incident(self, site: Site, action: str) -> None:
        for kind in KINDS:
            site.account.faults.add(Fault(action, kind))
            status, body = ask("POST", "/incidents", OPEN, idempotency_key=kind.replace(" ", "-"))
            site.account.faults.clear()
            assert status == 202
            assert item(body["incident"]["id"])["execution_arns"]
        assert len(ask("GET", "/incidents")[1]["incidents"]) == len(KINDS)

    def test_fails_when_the_workflow_cannot_be_started_and_the_same_request_starts_it_later(self, site: Site) -> None:
        site.account.faults.add(Fault("StartExecution", "throttled", call=0))
        status, problem = ask("POST", "/incidents", OPEN, idempotency_key="abc")
        assert (status, problem["type"]) == (503, "urn:tapstack:problem:try-again")
        site.account.faults.clear()
        status, body = ask("POST", "/incidents", OPEN, idempotency_key="abc")
        assert status == 202
        assert item(body["incident"]["id"])["execution_arns"]
        assert len(ask("GET", "/incidents")[1]["incidents"]) == 1


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings, and no AWS: what is refused must not get that far."""
    settings = {
        "vpc_id": "vpc-0123456789abcdef0",
        "capture": {"minutes": 60, "max_minutes": 1440},
        "appliance": {"existing": {"target_id": "tmt-0123456789abcdef0", "filter_id": "tmf-0123456789abcdef0"}},
        "retention_days": 1,
    }
    for name in ("DEPLOYMENT", "SITE", "TABLE"):
        monkeypatch.setenv(f"TAPSTACK_{name}", "x")
    monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps(settings))
    environment.cache_clear()
    yield
    environment.cache_clear()


WRONG: list[tuple[Any, str]] = [
    ({"instance_id": INSTANCE}, "body must have the property 'reason'"),
    ({**OPEN, "network_interface_ids": ["eni-0123456789abcdef0"]}, "exactly one of"),
    ({"reason": "x"}, "exactly one of"),
    (
        {**OPEN, "surprise": 1},
        "body has the unknown property 'surprise': expected instance_id or network_interface_ids or ",
    ),
    ({**OPEN, "a\u202e\n": 1, "b": 2}, r"body has the unknown properties 'a\u202e\n', 'b': expected"),
    ({**OPEN, **{f"p{n}": n for n in range(8)}}, "'p0', 'p1', 'p2', 'p3', 'p4' and 3 more: expected"),
    ({**OPEN, "minutes": 0}, "minutes"),
    ({**OPEN, "minutes": 1441}, "minutes must be a whole number from 1 to 1440"),
    ({**OPEN, "minutes": True}, "minutes"),
    ({**OPEN, "minutes": 1.5}, "minutes"),
    ({**OPEN, "instance_id": "i-1"}, f"instance_id must be the id of an instance, of the form {INSTANCE}, got 'i-1'"),
    ({**OPEN, "instance_id": "${aws_instance.x.id}"}, "instance_id"),
    ({**OPEN, "severity": "dire"}, "severity must be one of low, medium, high, critical, got 'dire'"),
    ({**OPEN, "technique": "T1071\n"}, r"ATT&CK, of the form T1071 or T1071.004, got 'T1071\n'"),
    ({**OPEN, "reason": "x" * 1001}, "reason"),
    ({**OPEN, "reason": "  "}, "reason"),
    (
        {**OPEN, "reason": "red \x1b[31m"},
        r"reason must be readable text that is not blank, without control characters, got 'r",
    ),
    ({**OPEN, "reason": "\u202eevil"}, "reason"),
    ({**OPEN, "reason": "\ud800"}, "reason"),
    ({**OPEN, "reason": None}, "reason"),
    ({"reason": "x", "network_interface_ids": []}, "network_interface_ids"),
    (
        {"reason": "x", "network_interface_ids": ["eni-1"]},
        "network_interface_ids.0 must be the id of a network interface",
    ),
    ({"reason": "x", "network_interface_ids": ["eni-0123456789abcdef0"] * 2}, "network_interface_ids"),
    ({"reason": "x", "network_interface_ids": [f"eni-{n:017x}" for n in range(101)]}, "network_interface_ids"),
    ([], "object"),
    ("", "exactly one of"),
    ("{", "is no JSON"),
    ('{"reason": "a", "reason": "b"}', "given twice"),
    ('{"minutes": NaN}', "not JSON"),
    ('{"minutes": 1e999}', ""),
    ('{"minutes": ' + "9" * 5000 + "}", ""),
    ("[" * 30000, "nested too deeply"),
    ('{"a":' * 10000, "nested too deeply"),
]


def test_when_a_request_has_a_pattern_then_refusals_have_words_for_it() -> None:
    def patterns(found: Any) -> Iterator[str]:
        if isinstance(found, dict):
            yield from [found["pattern"]] if isinstance(found.get("pattern"), str) else []
            found = list(found.values())
        for inner in found if isinstance(found, list) else []:
            yield from patterns(inner)

    checked = [*schemas.BODIES.values(), *schemas.PARAMETERS.values(), schemas.INCIDENT_ID]
    assert set(schemas.FORMS) == {found for one in checked for found in patterns(one)}


@pytest.mark.parametrize(("body", "said"), WRONG, ids=range(len(WRONG)))
def test_fails_when_the_body_is_wrong(nowhere: None, body: Any, said: str) -> None:
    status, problem = ask("POST", "/incidents", body)
    assert status == 400
    assert said in problem["detail"]


def test_when_a_number_has_a_zero_fraction_then_it_is_an_integer(site: Site) -> None:
    status, body = ask("POST", "/incidents", json.dumps(OPEN)[:-1] + ', "minutes": 30.0}')
    assert (status, body["incident"]["minutes"]) == (202, 30)


def test_when_the_body_is_base64_then_it_is_read(site: Site) -> None:
    given = event("POST", "/incidents", base64.b64encode(json.dumps(OPEN).encode()).decode())
    given["isBase64Encoded"] = True
    assert answer(given)["statusCode"] == 202
    given["body"] = "%%%"
    assert answer(given)["statusCode"] == 400
    given["body"] = base64.b64encode(b"\xff\xfe").decode()
    assert answer(given)["statusCode"] == 400


def test_fails_when_the_body_is_too_large_or_of_another_kind(site: Site) -> None:
    assert ask("POST", "/incidents", {**OPEN, "reason": "x" * LARGEST_BODY})[0] == 413
    assert ask("POST", "/incidents", "x" * 1_000_000)[0] == 413
    assert ask("POST", "/incidents", OPEN, content_type="text/plain")[0] in (202, 415)
    given = event("POST", "/incidents", OPEN)
    given["headers"] = {"CONTENT-TYPE": "text/xml; charset=utf-8"}
    assert answer(given)["statusCode"] == 415


def test_fails_when_the_caller_is_not_authenticated(site: Site) -> None:
    given = event("GET", "/incidents")
    given["requestContext"]["authorizer"] = None
    assert answer(given)["statusCode"] == 401


def test_when_a_token_authenticates_the_caller_then_its_subject_is_recorded(site: Site) -> None:
    given = event("POST", "/incidents", OPEN)
    given["requestContext"]["authorizer"] = {
        "jwt": {"claims": {"iss": "https://login.example.com", "sub": "ann@example.com"}, "scopes": None}
    }
    assert json.loads(answer(given)["body"])["incident"]["opened_by"] == "ann@example.com"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/incidents/", 404),
        ("GET", "/incidents/inc-1", 404),
        ("GET", "/incidents/inc-20260101T000000-aaaaaaaa\n", 404),
        ("DELETE", "/incidents", 405),
        ("GET", "/incidents/inc-20260101T000000-aaaaaaaa/close", 405),
    ],
)
def test_fails_when_the_path_does_not_exist(nowhere: None, method: str, path: str, status: int) -> None:
    answered = answer(event(method, path))
    assert answered["statusCode"] == status
    assert answered["headers"]["content-type"] == "application/problem+json"
    assert ("allow" in answered["headers"]) == (status == 405)


def test_fails_when_there_is_no_such_incident(site: Site) -> None:
    path = "/incidents/inc-20260101T000000-aaaaaaaa"
    assert ask("GET", path)[0] == 404
    assert ask("POST", f"{path}/close")[0] == 404
    assert ask("POST", f"{path}/extend", {"minutes": 5})[0] == 404


def test_when_the_stage_has_a_name_then_the_path_is_without_it(site: Site) -> None:
    given = event("GET", "/prod/incidents")
    given["requestContext"]["stage"] = "prod"
    assert answer(given)["statusCode"] == 200


class TestList:
    def test_when_there_are_many_then_pages_follow_each_other(self, site: Site) -> None:
        opened = [ask("POST", "/incidents", OPEN)[1]["incident"]["id"] for _ in range(5)]
        found: list[str] = []
        query = {"limit": "2"}
        while True:
            _, body = ask("GET", "/incidents", query=query)
            found += [incident["id"] for incident in body["incidents"]]
            if "next" not in body:
                break
            query = {"limit": "2", "next": body["next"]}
        assert sorted(found) == sorted(opened)
        assert ask("GET", "/incidents", query={"state": "closed"})[1] == {"incidents": []}

    def test_when_no_limit_is_sent_then_the_page_has_as_many_as_the_schema_says(
        self, nowhere: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[str, int]] = []

        def page(state: str, limit: int, after: object) -> tuple[list[Any], None]:
            asked.append((state, limit))
            return [], None

        monkeypatch.setattr(incidents, "page", page)
        assert ask("GET", "/incidents")[0] == 200
        assert asked == [(schemas.STATE["default"], schemas.LIMIT["default"])]
        monkeypatch.setattr(routes, "DEFAULT_PAGE", 7)
        ask("GET", "/incidents")
        assert asked[1:] == [("open", 7)]

    def test_when_a_limit_is_one_more_than_a_page_may_have_then_the_words_say_the_range(self, nowhere: None) -> None:
        least, most = schemas.LIMIT["minimum"], schemas.LIMIT["maximum"]
        for limit in ("all", "0"):
            _, problem = ask("GET", "/incidents", query={"limit": limit})
            assert problem["errors"][0]["problem"] == f"must be a whole number from {least} to {most}"
        assert ask("GET", "/incidents", query={"limit": str(most + 1)})[0] == 400

    @pytest.mark.parametrize(
        "query",
        [
            {"state": "dire"},
            {"limit": "0"},
            {"limit": "101"},
            {"limit": "1.0"},
            {"limit": "٣"},
            {"next": "!"},
            {"next": "AAAA"},
            {"next": base64.urlsafe_b64encode(b"2026-01-01T00:00:00Z|inc-x").decode().rstrip("=")},
            {"next": "A" * 129},
        ],
        ids=str,
    )
    def test_fails_when_a_parameter_is_wrong(self, nowhere: None, query: dict[str, str]) -> None:
        status, problem = ask("GET", "/incidents", query=query)
        assert (status, problem["errors"][0]["where"]) == (400, next(iter(query)))


class TestLife:
    def test_when_it_is_shown_then_its_timeline_is_too(self, site: Site) -> None:
        _, opened = ask("POST", "/incidents", OPEN)
        path = opened["links"]["self"]
        status, incident = ask("GET", path)
        assert status == 200
        assert [entry["what"] for entry in incident["timeline"]] == ["opened"]
        assert not {"pk", "sk", "token", "execution_arn"} & set(incident)

    def test_when_it_is_extended_and_closed_then_it_says_so(self, site: Site) -> None:
        _, opened = ask("POST", "/incidents", OPEN)
        path = opened["links"]["self"]
        status, extended = ask("POST", f"{path}/extend", {"minutes": 120})
        assert status == 202
        assert extended["expires_at"] > opened["incident"]["expires_at"]
        status, problem = ask("POST", f"{path}/extend", {"minutes": 1441})
        assert status == 400
        assert "minutes must be a whole number from 1 to 1440 (capture.max_minutes), got 1441" in problem["detail"]
        assert ask("POST", f"{path}/extend", {})[0] == 400
        for body in (None, {}, {"reason": "false alarm"}):
            status, closed = ask("POST", f"{path}/close", body)
            assert (status, closed["close_requested"]) == (202, True)
        assert ask("POST", f"{path}/extend", {"minutes": 120})[0] == 409

    def test_fails_when_it_is_extended_beyond_what_a_capture_may_last(self, site: Site) -> None:
        _, opened = ask("POST", "/incidents", OPEN)
        path, incident = opened["links"]["self"], opened["incident"]["id"]
        captures_since(incident, "2026-01-02T03:04:05Z", as_text(utc_now()))
        status, problem = ask("POST", f"{path}/extend", {"minutes": 120})
        assert (status, problem["type"]) == (409, "urn:tapstack:problem:wrong-state")
        assert "may last until 2026-01-03T03:04:05Z, 1440 minutes after mirroring started" in problem["detail"]
        assert problem["detail"].endswith("open another incident")

    def test_when_it_is_shown_then_it_says_in_which_modes_it_can_be_contained(self, site: Site) -> None:
        _, opened = ask("POST", "/incidents", OPEN)
        path = opened["links"]["self"]
        # Without containment in the deployment file there is none.
        assert ask("GET", path)[1]["containment_modes"] == []

    def test_when_it_is_shown_then_it_says_until_when_its_capture_may_last(self, site: Site) -> None:
        _, opened = ask("POST", "/incidents", OPEN)
        path, incident = opened["links"]["self"], opened["incident"]["id"]
        captures_since(incident, "2026-01-02T03:04:05Z", as_text(utc_now()))
        assert ask("GET", path)[1]["extendable_until"] == "2026-01-03T03:04:05Z"
        assert ask("POST", f"{path}/close", None)[1]["extendable_until"] is None

    @pytest.mark.parametrize(
        ("opened", "expires", "proposed"),
        [
            (timedelta(), timedelta(hours=1, seconds=30), "tapstack incident extend {} --minutes 120"),
            (
                timedelta(hours=-23, minutes=-29, seconds=-30),
                timedelta(minutes=1),
                "tapstack incident extend {} --minutes 30",
            ),
            (timedelta(hours=-24), timedelta(), "# it cannot be extended: a capture lasts until "),
        ],
    )
    def test_when_packets_flow_then_what_is_proposed_is_possible(
        self, site: Site, opened: timedelta, expires: timedelta, proposed: str
    ) -> None:
        _, answered = ask("POST", "/incidents", OPEN)
        incident, now = answered["incident"]["id"], utc_now()
        captures_since(incident, as_text(now + opened), as_text(now + expires))
        lines = [line.strip() for line in notifications.capturing(incidents.get(incident))[1].splitlines()]
        [line] = [line for line in lines if "extend" in line]
        assert line.startswith(proposed.format(incident))

    def test_fails_without_internals_when_something_unexpected_happens(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(incidents, "page", broken)
        monkeypatch.setenv("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/tapstack-production-response-api")
        asked = event("GET", "/incidents")
        asked["requestContext"]["requestId"] = "JKJaXmPLvHcESHA="
        answered = answer(asked)
        assert answered["statusCode"] == 500
        assert "secret" not in answered["body"]
        assert json.loads(answered["body"])["detail"] == (
            "the log group /aws/lambda/tapstack-production-response-api has the cause: look for JKJaXmPLvHcESHA="
        )

    def test_fails_when_there_is_no_such_incident_and_says_where_it_was_looked_for(self, site: Site) -> None:
        status, problem = ask("GET", "/incidents/inc-20260102T030405-k3v9x0ab")
        home = environment().home
        assert (status, problem["detail"]) == (
            404,
            f"there is no incident inc-20260102T030405-k3v9x0ab in site {environment().site} of account "
            f"{home.account_id}, {home.region}; if a notification names another, set TAPSTACK_URL to the address of "
            "its API",
        )
