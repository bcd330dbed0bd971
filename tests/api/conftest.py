"""The API as a responder reaches it: gateway, signature, and the function from its own zip."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from strictmoto.account import REGION, Account
from tests.iam_off import enforces_iam as enforces_iam
from tests.iam_off import iam as iam
from tests.response_by_hand import Deployed, deploy
from tests.strictmoto.signing import keys_of


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The kind of a refusal, which must be in the API's own form and say nothing of its inside."""
        assert self.headers["content-type"] == "application/problem+json", self
        found = self.json
        assert found["status"] == self.status
        assert b"Traceback" not in self.body
        return str(found["type"]).removeprefix("urn:tapstack:problem:")


@dataclass(frozen=True)
class Caller:
    """Sends requests as they are: no client's checks stand between a test and the API.

    Attributes:
        deployed: whose API.
        keys: what requests are signed with; those of the account's root user by default.
    """

    deployed: Deployed
    keys: Any = None

    def __call__(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, *, signed: bool = True
    ) -> Answer:
        address = urlsplit(self.deployed.endpoint)
        sent = {"Content-Type": "application/json", **(headers or {})}
        if signed:
            request = AWSRequest(method, self.deployed.endpoint + path, data=body)
            SigV4Auth(self.keys or keys_of(self.deployed.account), "execute-api", REGION).add_auth(request)
            sent |= dict(request.headers.items())
        connection = http.client.HTTPConnection(str(address.hostname), int(address.port or 80), timeout=30)
        try:
            connection.putrequest(method, address.path + path, skip_accept_encoding=True)
            for name, value in {**sent, "Content-Length": str(len(body))}.items():
                connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(body)
            found = connection.getresponse()
            named = {name.lower(): value for name, value in found.getheaders()}
            return Answer(found.status, named, found.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def call(aws_account_server: Account) -> Iterator[Callable[..., Answer]]:
    """One API for all tests of a module: none leaves anything that another one reads."""
    aws_account_server.reset()
    yield Caller(deploy(aws_account_server))
    aws_account_server.reset()
