"""Requests that are signed by hand, with the keys of an account's root user."""

from __future__ import annotations

from typing import Any
from urllib.request import Request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tapstack.rehearsal.account import REGION, Account


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
