from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.credentials import Credentials

from strictmoto.account import Account
from tests.strictmoto.lambda_.functions import Lambda
from tests.strictmoto.signing import keys_of, signed

ECHO = "def handler(event, context):\n    return event\n"


@dataclass
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> tuple[int, str]:
        return self.status, self.json["message"]


@dataclass
class HttpApi:
    """An API in front of one function, and requests to it."""

    functions: Lambda
    id: str = ""
    endpoint: str = ""
    integration: str = ""
    function: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.account = self.functions.account
        self.client = self.account.client("apigatewayv2")
        made = self.client.create_api(Name="incidents", ProtocolType="HTTP")
        self.id, self.endpoint = made["ApiId"], made["ApiEndpoint"]

    def create(self, code: str = ECHO, *routes: str, permission: str | None = "*/*", **options: Any) -> None:
        """Give the API its function, routes and default stage."""
        self.function = self.functions.create(code, **options.pop("function", {}))
        uri = f"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/{self.function}/invocations"
        given = {"PayloadFormatVersion": "2.0", "IntegrationUri": uri, **options}
        self.integration = self.client.create_integration(ApiId=self.id, IntegrationType="AWS_PROXY", **given)[
            "IntegrationId"
        ]
        for key in routes or ("$default",):
            self.route(key)
        self.client.create_stage(ApiId=self.id, StageName="$default", AutoDeploy=True)
        if permission:
            self.functions.client.add_permission(
                FunctionName=self.function,
                StatementId="api",
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
                SourceArn=f"arn:aws:execute-api:eu-central-1:123456789012:{self.id}/{permission}",
            )

    def route(self, key: str, **options: Any) -> None:
        target = f"integrations/{self.integration}"
        self.client.create_route(ApiId=self.id, RouteKey=key, Target=target, **options)

    def request(self, method: str, path: str, body: bytes | None = None, /, **headers: str) -> Answer:
        """Send a request; underscores in names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return send(urllib.request.Request(self.endpoint + path, body, named, method=method))

    def signed(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        keys: tuple[str, str, str | None] | None = None,
        scope: tuple[str, str] = ("execute-api", "eu-central-1"),
    ) -> urllib.request.Request:
        """A signed request, not yet sent."""
        found = Credentials(*keys) if keys else keys_of(self.account)
        given = {"Content-Type": "application/json"}
        return signed(found, method, self.endpoint + path, body or None, given, service=scope[0], region=scope[1])


def send(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request) as found:
            return Answer(found.status, found.headers, found.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


@pytest.fixture
def api(aws_account: Account) -> HttpApi:
    return HttpApi(Lambda(aws_account))
