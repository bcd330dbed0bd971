"""Who may call a route: by IAM, and by a token."""

import dataclasses
import datetime
import http.server
import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from unittest import mock

import botocore.auth
import pytest
from joserfc import jwk, jwt

from tests.strictmoto.http_api.conftest import HttpApi, send
from tests.strictmoto.trusting import TRUST

CALLER = "def handler(event, context):\n    return event['requestContext'].get('authorizer')\n"
Keys = tuple[str, str, str | None]


@pytest.fixture
def guarded(api: HttpApi) -> HttpApi:
    """An API whose routes ask for IAM."""
    api.create(CALLER, "GET /open")
    api.route("ANY /incidents/{proxy+}", AuthorizationType="AWS_IAM")
    return api


def role(api: HttpApi, *resources: str) -> Keys:
    """Keys of a role that may call the given routes."""
    iam = api.account.client("iam")
    iam.create_role(RoleName="analyst", AssumeRolePolicyDocument=TRUST)
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": [routes(api, one) for one in resources]}
    if resources:
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName="analyst", PolicyName="api", PolicyDocument=document)
    return assumed(api, "analyst")


def routes(api: HttpApi, path: str) -> str:
    return f"arn:aws:execute-api:eu-central-1:123456789012:{api.id}/{path}"


def assumed(api: HttpApi, name: str, **more: Any) -> Keys:
    arn = f"arn:aws:iam::123456789012:role/{name}"
    found = api.account.client("sts").assume_role(RoleArn=arn, RoleSessionName="ada", **more)["Credentials"]
    return found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]


class TestIam:
    def test_when_a_route_is_open_then_no_signature_is_needed(self, guarded: HttpApi) -> None:
        assert guarded.request("GET", "/open").json is None

    def test_when_root_signs_then_the_function_knows_the_caller(self, guarded: HttpApi) -> None:
        answer = send(guarded.signed("GET", "/incidents/1"))
        assert answer.json == {
            "iam": {
                "accessKey": guarded.account.credentials.access_key_id,
                "accountId": "123456789012",
                "callerId": "123456789012",
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": "arn:aws:iam::123456789012:root",
                "userId": "123456789012",
            }
        }

    @pytest.mark.parametrize(
        "path",
        [
            "/incidents/a%20b",
            "/incidents/%C3%BC/x",
            "/incidents/1?b=2&a=1&a=0",
            "/incidents/a:b@c",
            "/incidents/1?q=a%2Fb",
        ],
    )
    def test_when_path_and_query_are_unusual_then_the_signature_still_fits(self, guarded: HttpApi, path: str) -> None:
        assert send(guarded.signed("POST", path, b'{"a": 1}')).status == 200

    def test_when_a_role_may_then_the_function_knows_its_session(self, guarded: HttpApi) -> None:
        keys = role(guarded, "*/GET/incidents/*")
        found = send(guarded.signed("GET", "/incidents/1", keys=keys)).json["iam"]
        assert found["userArn"] == "arn:aws:sts::123456789012:assumed-role/analyst/ada"
        assert found["userId"].endswith(":ada")

    def test_when_a_user_may_then_its_keys_do(self, guarded: HttpApi) -> None:
        iam = guarded.account.client("iam")
        iam.create_user(UserName="ada")
        key = iam.create_access_key(UserName="ada")["AccessKey"]
        keys = (key["AccessKeyId"], key["SecretAccessKey"], None)
        assert send(guarded.signed("GET", "/incidents/1", keys=keys)).message == (403, "Forbidden")
        statement = {"Effect": "Allow", "Action": "execute-api:*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": statement})
        iam.put_user_policy(UserName="ada", PolicyName="api", PolicyDocument=document)
        found = send(guarded.signed("GET", "/incidents/1", keys=keys))
        assert found.json["iam"]["userArn"] == "arn:aws:iam::123456789012:user/ada"

    def test_fails_when_the_policy_of_the_session_does_not_allow_it(self, guarded: HttpApi) -> None:
        role(guarded, "*/*/*")
        for action, status in (("s3:*", 403), ("execute-api:Invoke", 200)):
            statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
            document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            keys = assumed(guarded, "analyst", Policy=document)
            assert send(guarded.signed("GET", "/incidents/1", keys=keys)).status == status

    def test_fails_when_a_deny_names_the_session(self, guarded: HttpApi) -> None:
        keys = role(guarded, "*/*/*")
        deny = {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"StringLike": {"aws:userid": "*:ada"}},
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
        guarded.account.client("iam").put_role_policy(RoleName="analyst", PolicyName="no", PolicyDocument=document)
        assert send(guarded.signed("GET", "/incidents/1", keys=keys)).status == 403

    @pytest.mark.parametrize("allowed", [(), ("*/POST/incidents/*",), ("*/GET/incidents/2",), ("live/*",)])
    def test_fails_when_a_role_may_not(self, guarded: HttpApi, allowed: tuple[str, ...]) -> None:
        answer = send(guarded.signed("GET", "/incidents/1", keys=role(guarded, *allowed)))
        assert answer.message == (403, "Forbidden")

    def test_when_a_role_is_not_in_iam_then_it_is_let_through(self, guarded: HttpApi) -> None:
        assert send(guarded.signed("GET", "/incidents/1", keys=assumed(guarded, "unknown"))).status == 200

    def test_fails_when_the_request_is_not_signed(self, guarded: HttpApi) -> None:
        assert guarded.request("GET", "/incidents/1").message == (403, "Forbidden")

    @pytest.mark.parametrize("wrong", [{"access_key_id": "AKIAQAAAAAAANOBODYS2"}, {"secret_access_key": "wrong"}])
    def test_fails_when_the_key_or_its_secret_is_wrong(self, guarded: HttpApi, wrong: dict[str, str]) -> None:
        given = dataclasses.replace(guarded.account.credentials, **wrong)
        keys = (given.access_key_id, given.secret_access_key, None)
        assert send(guarded.signed("GET", "/incidents/1", keys=keys)).message == (403, "Forbidden")

    @pytest.mark.parametrize("token", [None, "another"])
    def test_fails_when_the_session_token_is_wrong(self, guarded: HttpApi, token: str | None) -> None:
        keys = (*assumed(guarded, "unknown")[:2], token)
        assert send(guarded.signed("GET", "/incidents/1", keys=keys)).message == (403, "Forbidden")

    @pytest.mark.parametrize("scope", [("execute-api", "us-east-1"), ("lambda", "eu-central-1")])
    def test_fails_when_it_is_signed_for_something_else(self, guarded: HttpApi, scope: tuple[str, str]) -> None:
        assert send(guarded.signed("GET", "/incidents/1", scope=scope)).message == (403, "Forbidden")

    @pytest.mark.parametrize(("minutes", "status"), [(-6, 403), (6, 403), (-4, 200), (4, 200)])
    def test_when_it_is_signed_at_another_time_then_five_minutes_are_allowed(
        self, guarded: HttpApi, minutes: int, status: int
    ) -> None:
        signed_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
        with mock.patch.object(botocore.auth, "get_current_datetime", return_value=signed_at):
            request = guarded.signed("GET", "/incidents/1")
        assert send(request).status == status

    def test_fails_when_what_was_signed_is_changed(self, guarded: HttpApi) -> None:
        signed = guarded.signed("POST", "/incidents/1", b'{"a": 1}')
        headers = dict(signed.header_items())
        for url, body in ((signed.full_url + "?x=1", b'{"a": 1}'), (signed.full_url, b'{"a": 2}')):
            request = urllib.request.Request(url, body, headers, method="POST")
            assert send(request).message == (403, "Forbidden")


class Issuer:
    """An issuer of tokens on this machine."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})

    def documents(self) -> dict[str, Any]:
        return {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": [self.key.as_dict(private=False)]},
        }

    def token(self, key: jwk.RSAKey | None = None, **claims: Any) -> str:
        now = int(time.time())
        given = {"iss": self.url, "aud": "northwind", "sub": "ada", "iat": now, "nbf": now, "exp": now + 60, **claims}
        kept = {name: value for name, value in given.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "one"}, kept, key or self.key)


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = json.dumps(made.documents()[self.path]).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Issuer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


class TestTokens:
    def api(self, api: HttpApi, issuer: Issuer, *scopes: str) -> HttpApi:
        api.create(CALLER, "GET /open")
        made = api.client.create_authorizer(
            ApiId=api.id,
            Name="company",
            AuthorizerType="JWT",
            IdentitySource=["$request.header.Authorization"],
            JwtConfiguration={"Issuer": issuer.url, "Audience": ["northwind"]},
        )
        api.route(
            "GET /incidents",
            AuthorizationType="JWT",
            AuthorizerId=made["AuthorizerId"],
            AuthorizationScopes=list(scopes),
        )
        return api

    def test_when_the_token_is_valid_then_the_function_has_its_claims(self, api: HttpApi, issuer: Issuer) -> None:
        token = issuer.token(groups=["a", "b"], admin=True, nbf=None)
        found = self.api(api, issuer).request("GET", "/incidents", Authorization=f"Bearer {token}").json
        claims = found["jwt"]["claims"]
        assert (claims["sub"], claims["groups"], claims["admin"]) == ("ada", "[a b]", "true")
        assert claims["exp"].isdigit()
        assert found["jwt"]["scopes"] is None

    def test_when_the_keys_are_registered_then_the_issuer_is_not_asked(self, api: HttpApi, issuer: Issuer) -> None:
        away = Issuer("https://identity.example")
        guarded = self.api(api, away)
        for registered, status in ((issuer, 401), (away, 200)):
            api.account.issuers.add(away.url, [registered.key.as_dict(private=False)])
            answer = guarded.request("GET", "/incidents", Authorization=f"Bearer {away.token()}")
            assert answer.status == status

    def test_when_the_audience_is_a_client_id_then_it_counts(self, api: HttpApi, issuer: Issuer) -> None:
        token = issuer.token(aud=None, client_id="northwind")
        assert self.api(api, issuer).request("GET", "/incidents", Authorization=f"Bearer {token}").status == 200

    def test_when_the_token_has_one_of_the_scopes_then_it_may(self, api: HttpApi, issuer: Issuer) -> None:
        token = issuer.token(scope="incidents.read incidents.write")
        guarded = self.api(api, issuer, "incidents.write", "admin")
        found = guarded.request("GET", "/incidents", Authorization=f"Bearer {token}").json
        assert found["jwt"]["scopes"] == ["incidents.read", "incidents.write"]
        without = guarded.request("GET", "/incidents", Authorization=f"Bearer {issuer.token()}")
        assert without.message == (403, "Forbidden")

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "http://127.0.0.1:1"},
            {"aud": "other"},
            {"aud": None},
            {"exp": 1},
            {"exp": None},
            {"nbf": 9_999_999_999},
            {"iat": 9_999_999_999},
        ],
    )
    def test_fails_when_a_claim_is_wrong(self, api: HttpApi, issuer: Issuer, claims: dict[str, Any]) -> None:
        token = issuer.token(**claims)
        answer = self.api(api, issuer).request("GET", "/incidents", Authorization=f"Bearer {token}")
        assert answer.message == (401, "Unauthorized")

    def test_fails_when_another_key_has_signed(self, api: HttpApi, issuer: Issuer) -> None:
        other = jwk.RSAKey.generate_key(2048, {"kid": "one"})
        answer = self.api(api, issuer).request("GET", "/incidents", Authorization=f"Bearer {issuer.token(other)}")
        assert answer.message == (401, "Unauthorized")

    @pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer nonsense"}])
    def test_fails_when_there_is_no_token(self, api: HttpApi, issuer: Issuer, given: dict[str, str]) -> None:
        assert self.api(api, issuer).request("GET", "/incidents", **given).message == (401, "Unauthorized")
