"""The policies of docs/iam/responders, held against every route of the API in the rehearsal account."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from botocore.credentials import Credentials

from strictmoto.account import ACCOUNT_ID, Account
from tapstack.domain.alert_mappings import AlertSource
from tapstack.domain.operations import OPERATIONS, SEND_ALERT
from tests.response_by_hand import Deployed, deploy
from tests.strictmoto.signing import signed
from tests.strictmoto.trusting import TRUST

FOLDER = Path(__file__).resolve().parents[2] / "docs/iam/responders"
READ = {"GET /incidents", "GET /incidents/{id}"}
OPEN = {"POST /incidents", "POST /incidents/{id}/extend", "POST /incidents/{id}/close"}
LETS = {
    "read": READ,
    "respond": READ | OPEN,
    "contain": {"POST /incidents/{id}/contain"},
    "contain-now": {"POST /incidents/{id}/contain-now"},
    "open-contain": {"POST /incidents/contain"},
    "open-contain-now": {"POST /incidents/contain-now"},
    "approve": {"POST /incidents/{id}/approve", "POST /incidents/{id}/reject"},
    "override": {"POST /incidents/{id}/override", "POST /incidents/{id}/contain-protected"},
    "release": {"POST /incidents/{id}/release"},
    "alert": {SEND_ALERT.route},
}
ASKED = [*(each.route for each in OPERATIONS), SEND_ALERT.route, "DELETE /incidents/{id}", "GET /"]


@pytest.fixture(scope="module")
def deployed(aws_account_server: Account) -> Deployed:
    aws_account_server.reset()
    return deploy(aws_account_server, containment={}, alerts={"soc": AlertSource("generic")})


def keys_with(deployed: Deployed, policy: str) -> Credentials:
    """Keys of a role that has this policy of the page alone."""
    return keys_of_role(deployed, policy, (FOLDER / f"{policy}.json").read_text(encoding="utf-8"))


def keys_of_role(deployed: Deployed, policy: str, text: str) -> Credentials:
    api_id = deployed.endpoint.rstrip("/").rpartition("/")[2]
    text = text.replace("111122223333", ACCOUNT_ID).replace("API_ID", api_id)
    iam = deployed.account.client("iam")
    iam.create_role(RoleName=policy, AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName=policy, PolicyName="api", PolicyDocument=text)
    found = deployed.account.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT_ID}:role/{policy}", RoleSessionName="ana"
    )["Credentials"]
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def let_in(deployed: Deployed, keys: Credentials, route: str) -> bool:
    """Return whether the gateway passes a call on; the function then refuses it, because the id does not exist."""
    method, _, path = route.partition(" ")
    url = deployed.endpoint + path.replace("{id}", "inc-20260102T030405-k3v9x0ab").replace("{source}", "nowhere")
    request = signed(keys, method, url, b"{}" if method == "POST" else None, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return bool(json.load(error) != {"message": "Forbidden"})


def test_every_policy_is_held_against_the_routes() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(LETS)


@pytest.mark.parametrize("policy", LETS)
def test_when_a_responder_has_a_policy_then_the_gateway_lets_these_calls_in_only(
    deployed: Deployed, policy: str
) -> None:
    keys = keys_with(deployed, policy)

    assert {route for route in ASKED if let_in(deployed, keys, route)} == LETS[policy]


@pytest.mark.parametrize("route", sorted(OPEN))
def test_when_a_policy_names_one_route_of_respond_then_the_gateway_lets_that_in_only(
    deployed: Deployed, route: str
) -> None:
    whole = json.loads((FOLDER / "respond.json").read_text(encoding="utf-8"))
    [statement] = whole["Statement"]
    ending = f"/{route.replace(' ', '').replace('{id}', '*')}"
    statement["Resource"] = [arn for arn in statement["Resource"] if arn.endswith(ending)]
    keys = keys_of_role(deployed, f"one-{sorted(OPEN).index(route)}", json.dumps(whole))
    assert {asked for asked in ASKED if let_in(deployed, keys, asked)} == {route}
