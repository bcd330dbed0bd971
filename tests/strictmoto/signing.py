"""Requests that are signed by hand, with the keys of an account's root user."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.request import Request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from strictmoto.account import REGION, Account


def keys_of(account: Account) -> Any:
    """Return the keys as botocore signs with them."""
    return Credentials(account.credentials.access_key_id, account.credentials.secret_access_key)


def signed(
    keys: Any,
    method: str,
    url: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    *,
    service: str = "execute-api",
    region: str = REGION,
) -> Request:
    """Return a signed request, not yet sent."""
    signing = AWSRequest(method, url, headers or {}, body)
    SigV4Auth(keys, service, region).add_auth(signing)
    return Request(url, body, dict(signing.headers.items()), method=method)


def own_api(account: Account, method: str, path: str, body: object = None) -> tuple[int, object]:
    """Ask the account's own API, and return the status and the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = signed(keys_of(account), method, f"{account.endpoint}/strictmoto{path}", data)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
