"""Oversized, malformed and hostile requests are refused: in the API's own form, and never as a failure of its own."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from tapstack.responder.api.router import answer
from tests.api.conftest import Answer

Call = Callable[..., Answer]
INCIDENT = "inc-20260102T030405-k3v9x0ab"
OPEN = {"instance_id": "i-0123456789abcdef0", "reason": "beacons"}
MEGABYTE = 1024 * 1024


def text(**more: Any) -> bytes:
    return json.dumps({**OPEN, **more}).encode()


def padded(size: int) -> bytes:
    """A request that is right but for its size, filled up with blanks."""
    return text().ljust(size)


class TestSize:
    def test_when_the_body_is_as_large_as_can_be_then_it_is_taken(self, call: Call) -> None:
        assert call("POST", "/incidents", padded(65_536)).status == 202

    @pytest.mark.parametrize("size", [65_537, 131_073, 6 * MEGABYTE - 20_000])
    def test_fails_when_the_body_is_too_large_for_the_function(self, call: Call, size: int) -> None:
        found = call("POST", "/incidents", padded(size))
        assert (found.status, found.problem) == (413, "too-large")

    @pytest.mark.parametrize("size", [6 * MEGABYTE + 1, 10 * MEGABYTE + 1, 11 * MEGABYTE])
    def test_fails_when_the_body_is_too_large_for_lambda_or_the_gateway(self, call: Call, size: int) -> None:
        found = call("POST", "/incidents", padded(size))
        assert (found.status, found.json) == (413, {"message": "Request Entity Too Large"})

    def test_fails_when_a_body_that_is_too_large_comes_where_none_is_read(self, call: Call) -> None:
        assert call("GET", "/incidents", padded(65_537)).problem == "too-large"

    def test_fails_when_the_address_is_too_long_for_the_gateway(self, call: Call) -> None:
        query = "&".join(f"a{number}=1" for number in range(10_000))
        found = call("GET", f"/incidents?{query}")
        assert found.status in (414, 431)
        found = call("GET", "/incidents", headers={"X-Long": "x" * 10_240})
        assert (found.status, found.json) == (431, {"message": "Request Header Fields Too Large"})

    def test_when_there_are_many_parameters_then_those_that_count_are_read(self, call: Call) -> None:
        query = "&".join(f"a{number}=1" for number in range(1000))
        assert call("GET", f"/incidents?{query}&limit=1").status == 200
        assert call("GET", f"/incidents?{query}&limit=0").problem == "invalid-request"


NO_JSON: list[bytes] = [
    b"{",
    b"\x00",
    b"\xff\xfe{\x00}\x00",  # UTF-16
    b'\xef\xbb\xbf{"reason": "x"}',  # a byte order mark
    text(reason="x").replace(b'"x"', b'"\xc3\x28"'),  # no UTF-8
    text(reason="x").replace(b'"x"', b'"\xed\xa0\x80"'),  # half a character, as UTF-8 would have it
    gzip.compress(text()),
    b'{"reason": "x", "reason": "y", "instance_id": "i-0123456789abcdef0"}',
    b'{"reason": "x", "minutes": NaN}',
    b'{"reason": "x", "minutes": -Infinity}',
    b'{"reason": "line\nbreak"}',
    b"[" * 60_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
]
WRONG: list[bytes] = [
    b"null",
    b"[]",
    b'"text"',
    b"1",
    text(minutes=10**400),
    text(minutes=-1),
    text().replace(b"}", b', "minutes": 1e400}'),
    text().replace(b"}", b', "minutes": 1e-400}'),
    text().replace(b"}", b', "minutes": "60"}'),
    text(reason="\ud83d"),
    text(reason="\u0000"),
    text(reason=" \t\n\u3000"),
    text(reason={"$ne": ""}),
    text(instance_id="i-0123456789abcdef0 OR 1=1"),
    text(instance_id="../../incidents"),
    text(instance_id=["i-0123456789abcdef0"]),
    text(technique="T1071.004\n"),
    text(alert_id="x\r\nSet-Cookie: a=b"),
    text(__proto__={}),
]


@pytest.mark.parametrize("body", NO_JSON, ids=range(len(NO_JSON)))
def test_fails_when_the_body_is_no_json(call: Call, body: bytes) -> None:
    found = call("POST", "/incidents", body)
    assert (found.status, found.problem) == (400, "malformed-request")


@pytest.mark.parametrize("body", WRONG, ids=range(len(WRONG)))
def test_fails_when_the_body_is_json_and_wrong(call: Call, body: bytes) -> None:
    found = call("POST", "/incidents", body)
    assert (found.status, found.problem) == (400, "invalid-request")


def test_when_text_is_beyond_the_first_plane_then_it_is_kept(call: Call) -> None:
    opened = call("POST", "/incidents", text(reason="\U0001f480 \u00e9\u4e2d"))
    assert opened.status == 202
    assert opened.json["incident"]["reason"] == "\U0001f480 \u00e9\u4e2d"


class TestHeaders:
    @pytest.mark.parametrize("key", ["", " ", "a b", "\u00e9", "x" * 129, "a\tb"])
    def test_fails_when_the_idempotency_key_is_wrong(self, call: Call, key: str) -> None:
        found = call("POST", "/incidents", text(), {"Idempotency-Key": key})
        assert (found.status, found.json["errors"][0]["where"]) == (400, "Idempotency-Key")

    def test_when_the_idempotency_key_has_signs_of_other_languages_then_it_is_a_key(self, call: Call) -> None:
        key = "'\"<script>${jndi:ldap://x}%0d%0aSet-Cookie:a=b"
        first = call("POST", "/incidents", text(), {"Idempotency-Key": key})
        again = call("POST", "/incidents", text(), {"Idempotency-Key": key})
        assert (first.status, again.status) == (202, 202)
        assert first.json["incident"]["id"] == again.json["incident"]["id"]
        assert "set-cookie" not in first.headers

    @pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/jsonx", "multipart/form-data", "x"])
    def test_fails_when_the_body_is_of_another_kind(self, call: Call, kind: str) -> None:
        found = call("POST", "/incidents", text(), {"Content-Type": kind})
        assert (found.status, found.problem) == (415, "unsupported-media-type")

    def test_fails_when_the_body_is_compressed_and_says_so(self, call: Call) -> None:
        bomb = gzip.compress(b" " * 50 * MEGABYTE)
        found = call("POST", "/incidents", bomb, {"Content-Encoding": "gzip"})
        assert (found.status, found.problem) == (400, "malformed-request")

    def test_when_headers_name_another_caller_then_they_are_ignored(self, call: Call) -> None:
        faked = {"X-Amzn-Iam-User-Arn": "arn:aws:iam::123456789012:user/eve", "X-HTTP-Method-Override": "DELETE"}
        found = call("POST", "/incidents", text(), faked)
        assert found.json["incident"]["opened_by"] == "arn:aws:iam::123456789012:root"


@pytest.mark.parametrize(
    ("method", "path", "problem"),
    [
        ("GET", "/", "no-such-resource"),
        ("GET", "/incidents/", "no-such-resource"),
        ("GET", "//incidents", "no-such-resource"),
        ("GET", "/incidents/../incidents", "no-such-resource"),
        ("GET", "/incidents/%2e%2e/incidents", "no-such-resource"),
        ("GET", f"/incidents%2F{INCIDENT}", "no-such-incident"),
        ("GET", f"/incidents/{INCIDENT}%2Fclose", "method-not-allowed"),
        ("GET", f"/incidents/{INCIDENT}%00", "no-such-resource"),
        ("GET", f"/incidents/{INCIDENT}%0A", "no-such-resource"),
        ("GET", f"/incidents/{INCIDENT.upper()}", "no-such-resource"),
        ("GET", f"/incidents/{INCIDENT};a=b", "no-such-resource"),
        ("GET", "/incidents/" + "9" * 5000, "no-such-resource"),
        ("GET", "/incidents/INCIDENT%23" + INCIDENT, "no-such-resource"),
        ("GET", "/%ff%fe", "no-such-resource"),
        ("GET", f"/$default/incidents/{INCIDENT}", "no-such-resource"),
        ("POST", f"/incidents/{INCIDENT}", "method-not-allowed"),
        ("PUT", "/incidents", "method-not-allowed"),
        ("PATCH", "/incidents", "method-not-allowed"),
        ("DELETE", f"/incidents/{INCIDENT}", "method-not-allowed"),
        ("OPTIONS", "/incidents", "method-not-allowed"),
        ("TRACE", "/incidents", "method-not-allowed"),
        ("FETCH", "/incidents", "method-not-allowed"),
        ("get", "/incidents", "method-not-allowed"),
    ],
)
def test_fails_when_the_path_does_not_exist(call: Call, method: str, path: str, problem: str) -> None:
    found = call(method, path)
    assert found.problem == problem
    assert found.status == (405 if problem == "method-not-allowed" else 404)
    assert ("allow" in found.headers) == (found.status == 405)


def test_fails_when_only_the_head_is_asked_for(call: Call) -> None:
    found = call("HEAD", "/incidents")
    assert (found.status, found.headers["allow"], found.body) == (405, "GET, POST", b"")


@pytest.mark.parametrize("path", ["/incidents", "/", "/nowhere"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "AWS4-HMAC-SHA256 x"}, {"Authorization": "Bearer x"}])
def test_fails_when_the_request_is_not_signed(call: Call, path: str, headers: dict[str, str]) -> None:
    found = call("GET", path, headers=headers, signed=False)
    assert (found.status, found.json) == (403, {"message": "Forbidden"})


class TestPages:
    @pytest.mark.parametrize(
        "query",
        [
            "limit=",
            "limit=1&limit=2",
            "limit=-1",
            "limit=1e1",
            "limit=0x10",
            "limit=%D9%A3",
            "limit=" + "9" * 4000,
            "state=open%00",
            "state=open&state=closed",
            "next=",
            "next=AAAA",
            "next=%2e%2e",
            "next=" + "A" * 128,
        ],
    )
    def test_fails_when_a_parameter_is_wrong(self, call: Call, query: str) -> None:
        found = call("GET", f"/incidents?{query}")
        assert (found.status, found.problem) == (400, "invalid-request")

    def test_when_a_token_is_of_another_deployment_then_it_names_a_place_in_time_and_no_more(self, call: Call) -> None:
        mine = call("POST", "/incidents", text()).json["incident"]["id"]
        foreign = token("2099-01-01T00:00:00Z", "inc-20990101T000000-00000000")
        listed = call("GET", f"/incidents?limit=100&next={foreign}")
        assert listed.status == 200
        assert mine in {incident["id"] for incident in listed.json["incidents"]}

    @pytest.mark.parametrize(
        ("opened_at", "incident_id"),
        [
            ("2099-01-01T00:00:00Z", "KEY#0"),
            ("2099-01-01T00:00:00Z", "inc-20990101T000000-00000000\n"),
            ("2099-01-01", "inc-20990101T000000-00000000"),
            ("9999999-01-01T00:00:00Z", "inc-20990101T000000-00000000"),
            ("2099-02-30T00:00:00Z", "inc-20990230T000000-00000000"),
        ],
    )
    def test_fails_when_a_token_is_made_up(self, call: Call, opened_at: str, incident_id: str) -> None:
        found = call("GET", f"/incidents?next={token(opened_at, incident_id)}")
        assert (found.status, found.json["errors"][0]["where"]) == (400, "next")


def token(opened_at: str, incident_id: str) -> str:
    return base64.urlsafe_b64encode(f"{opened_at}|{incident_id}".encode()).decode().rstrip("=")


@pytest.mark.parametrize(("method", "path"), [("GET", "/incidents"), ("POST", f"/incidents/{INCIDENT}/close")])
def test_fails_when_the_gateway_read_another_address(method: str, path: str) -> None:
    context = {
        "http": {"method": method},
        "authorizer": {"iam": {"userArn": "arn:aws:iam::123456789012:user/ann", "userId": "AIDAANN"}},
    }
    found = answer({"routeKey": "$default", "rawPath": path, "requestContext": context})
    assert found["statusCode"] == 404


def test_when_events_are_not_even_those_of_the_gateway_then_there_is_an_answer() -> None:
    events: list[dict[str, Any]] = [
        {},
        {"requestContext": {}},
        {"rawPath": "/incidents"},
        {"rawPath": None, "requestContext": {}},
    ]
    for event in events:
        assert 400 <= answer(event)["statusCode"] < 500
