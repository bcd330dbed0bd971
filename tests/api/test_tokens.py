"""Callers with tokens: the gateway asks for the scopes of a route, and the function for those that a route adds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc import jwk, jwt

from strictmoto.account import Account
from tapstack.domain.alert_mappings import AlertSource
from tapstack.domain.kept_alerts import KeptAlert, kept_alert
from tapstack.domain.policy_rules import Rule
from tapstack.response.authorization import Authorization
from tests.api.conftest import Answer, Caller
from tests.response_by_hand import IMAGE, Deployed, deploy

ISSUER = "https://login.example.com/tenant"
RIGHTS = Authorization.jwt(
    ISSUER,
    audience=["tapstack"],
    scopes=["read"],
    scopes_of={
        "read": ["view"],
        "open": ["open"],
        "extend": ["extend"],
        "close": ["close"],
        "release": ["release"],
        "contain": ["contain"],
        "contain_now": ["now"],
        "decide": ["approve"],
        "override": ["lead"],
        "alert": ["send"],
    },
)
EVERY_SCOPE = frozenset({"read", *(scope for scopes in RIGHTS.scopes_of.values() for scope in scopes)})
KEY = jwk.RSAKey.generate_key(2048, {"kid": "one"})


@dataclass(frozen=True)
class Tokens:
    """An API that asks for tokens."""

    deployed: Deployed

    def post(self, path: str, scope: str, body: dict[str, Any], *, subject: str = "ana") -> Answer:
        return self.call("POST", path, scope, json.dumps(body).encode(), subject=subject)

    def call(self, method: str, path: str, scope: str, body: bytes = b"", *, subject: str = "ana") -> Answer:
        claims = {"iss": ISSUER, "sub": subject, "aud": "tapstack", "exp": int(time.time()) + 600, "scope": scope}
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, KEY)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        return Caller(self.deployed)(method, path, body, headers, signed=False)

    def kept(self) -> list[KeptAlert]:
        """The alerts that were kept, in order."""
        sent = self.deployed.account.recorder.records(service="sqs", action="SendMessage")
        return [kept_alert(record.call.parameters["MessageBody"]) for record in sent]

    def instance(self, **tags: str) -> str:
        named = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": tags[key]} for key in tags]}]
        made = self.deployed.ec2.run_instances(
            ImageId=IMAGE,
            MinCount=1,
            MaxCount=1,
            InstanceType="m5.large",
            SubnetId=self.deployed.subnet,
            **({"TagSpecifications": named} if tags else {}),
        )
        return str(made["Instances"][0]["InstanceId"])

    def open(self, path: str, scope: str, instance: str | None = None, **more: Any) -> Answer:
        return self.post(path, scope, {"instance_id": instance or self.instance(), "reason": "beacons"}, **more)


def but(scope: str) -> str:
    """All scopes but one."""
    return " ".join(sorted(EVERY_SCOPE - {scope}))


@pytest.fixture(scope="module")
def tokens(aws_account_server: Account) -> Iterator[Tokens]:
    aws_account_server.reset()
    aws_account_server.issuers.add(ISSUER, [KEY.as_dict(private=False)])
    yield Tokens(
        deploy(
            aws_account_server,
            containment={"modes": ["approval", "now"]},
            authorization=RIGHTS,
            alerts={"soar": AlertSource("generic")},
            policy=[Rule("all", "contain_on_approval")],
        )
    )
    aws_account_server.reset()


@pytest.mark.parametrize(
    ("path", "scope", "state"),
    [("/incidents/contain", "open contain", "pending"), ("/incidents/contain-now", "open now", "containing")],
)
def test_when_a_token_has_both_scopes_then_the_incident_is_opened_and_contained(
    tokens: Tokens, path: str, scope: str, state: str
) -> None:
    answer = tokens.open(path, scope)
    assert answer.status == 202, answer
    containment = answer.json["incident"]["containment"]
    assert (containment["state"], containment["asked_by"]) == (state, "ana")


@pytest.mark.parametrize(("path", "scope"), [("/incidents/contain", "contain"), ("/incidents/contain-now", "now")])
def test_fails_when_a_token_may_contain_and_not_open(tokens: Tokens, path: str, scope: str) -> None:
    """The gateway lets it in: of the scopes of a route it asks for one."""
    answer = tokens.open(path, f"{scope} read")
    assert (answer.status, answer.problem) == (403, "right-needed")
    assert answer.json["detail"] == "opening an incident needs one of the scopes open as well"


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/incidents/contain", "open read"),
        ("/incidents/contain-now", "open contain"),
        ("/incidents/contain", "open now"),
        ("/incidents", "contain now"),
    ],
)
def test_fails_when_a_token_has_none_of_the_scopes_of_a_route(tokens: Tokens, path: str, scope: str) -> None:
    answer = tokens.open(path, scope)
    assert (answer.status, answer.json) == (403, {"message": "Forbidden"})


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        ("view", "GET", "/incidents", b""),
        ("view", "GET", "/incidents/{id}", b""),
        ("extend", "POST", "/incidents/{id}/extend", b'{"minutes": 120}'),
        ("close", "POST", "/incidents/{id}/close", b"{}"),
        ("release", "POST", "/incidents/{id}/release", b"{}"),
    ],
)
def test_when_a_right_has_a_scope_then_a_token_needs_that_and_no_other(
    tokens: Tokens, scope: str, method: str, path: str, body: bytes
) -> None:
    incident = tokens.open("/incidents/contain-now", "open now").json["incident"]["id"]
    path = path.replace("{id}", incident)
    refused = tokens.call(method, path, but(scope), body)
    assert (refused.status, refused.json) == (403, {"message": "Forbidden"})
    answer = tokens.call(method, path, scope, body)
    # It is let in, also where the function refuses to release what is being contained.
    assert answer.status in (200, 202, 409), answer


def test_when_another_subject_approves_then_that_is_another_person(tokens: Tokens) -> None:
    incident = tokens.open("/incidents/contain", "open contain").json["incident"]["id"]
    refused = tokens.post(f"/incidents/{incident}/approve", "approve", {})
    assert (refused.status, refused.problem) == (403, "other-person-needed")
    approved = tokens.post(f"/incidents/{incident}/approve", "approve", {}, subject="ben")
    assert approved.json["containment"]["decided_by"] == "ben"


def test_when_a_protection_is_overridden_then_a_token_needs_that_right_and_another_subject_approves(
    tokens: Tokens,
) -> None:
    instance = tokens.instance(**{"tapstack-protected": "yes"})
    incident = tokens.open("/incidents", "open", instance).json["incident"]["id"]
    path, body = f"/incidents/{incident}/contain-protected", {"reason": "it tagged itself"}
    assert tokens.post(path, "open contain now approve", body).json == {"message": "Forbidden"}
    asked = tokens.post(path, "lead", body)
    assert asked.json["containment"]["overridden_tags"] == ["tapstack-protected=yes"]
    alone = tokens.post(f"/incidents/{incident}/override", "lead", body)
    assert (alone.status, alone.problem) == (403, "other-person-needed")
    approved = tokens.post(f"/incidents/{incident}/approve", "approve", {}, subject="ben")
    assert approved.json["containment"]["state"] == "containing"


def test_fails_when_a_token_without_the_scope_sends_an_alert(tokens: Tokens) -> None:
    before = tokens.kept()
    answer = tokens.post("/alerts/soar", but("send"), {"version": "1", "alert_id": "a-0"})
    assert (answer.status, answer.json) == (403, {"message": "Forbidden"})
    assert tokens.kept() == before


def test_when_a_token_has_the_scope_then_its_alert_is_kept_in_its_name_and_another_subject_approves(
    tokens: Tokens,
) -> None:
    instance = tokens.instance()
    document = {"version": "1", "alert_id": "a-1", "severity": "high", "target": {"instance_id": instance}}
    answer = tokens.post("/alerts/soar", "send", document, subject="tool")
    assert (answer.status, answer.json["kept"], answer.json["mapped"]) == (202, True, True)
    kept = tokens.kept()[-1]
    assert (kept.source, kept.caller, kept.person) == ("soar", "tool", f"token {ISSUER} tool")

    def asked() -> list[dict[str, Any]]:
        listed = tokens.call("GET", "/incidents?limit=100", "view").json["incidents"]
        return [one for one in listed if one["instance_id"] == instance]

    until = time.monotonic() + 30
    while not (found := asked()):
        assert time.monotonic() < until, "no incident was opened"
        time.sleep(0.1)
    [incident] = found
    assert incident["containment"]["asked_by"] == "policy:soar"
    approve = f"/incidents/{incident['id']}/approve"
    refused = tokens.post(approve, "approve", {}, subject="tool")
    assert (refused.status, refused.problem) == (403, "other-person-needed")
    assert tokens.post(approve, "approve", {}, subject="ben").json["containment"]["decided_by"] == "ben"
