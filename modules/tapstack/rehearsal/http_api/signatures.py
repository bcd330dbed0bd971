"""Signature Version 4 of a request to an HTTP API: whose it is, and whether it is true.

Source: IAM User Guide, "Create a signed AWS API request"; API Gateway Developer Guide, "Control access to HTTP APIs
with IAM authorization in API Gateway".
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from tapstack.rehearsal.http_api.exchange import Request

SKEW: Final = datetime.timedelta(minutes=5)
"""How far a request's clock may be from the account's, either way."""
ROOT_KEY: Final = "testing"
"""The access key of the root user, and its secret."""
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request\s*,"
    r"\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]{64})"
)


class Unsigned(Exception):  # noqa: N818 - what is wrong with a request
    """The request is not signed as it must be; the message says why."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose signature it is.

    Attributes:
        access_key: of the signature.
        account_id: whose key it is.
        user_id: the unique id; of a role, with the name of the session.
        user_arn: of the user, of the role's session, or of root.
        principal_arn: of the user or the role in IAM.
    """

    access_key: str
    account_id: str
    user_id: str
    user_arn: str
    principal_arn: str


class _AsSigned(SigV4Auth):  # type: ignore[misc]
    """Signs what the client signed, instead of what botocore would sign."""

    def headers_to_sign(self, request: Any) -> Any:
        return request.headers


def verify(request: Request, region: str) -> Caller:
    """Return whose signature a request bears.

    Args:
        request: as received.
        region: of the API.

    Raises:
        Unsigned: there is none, of nobody, too old, for something else, or wrong.
    """
    found = _AUTHORIZATION.match(request.headers.get("authorization", ""))
    if found is None:
        raise Unsigned("the request is not signed with Signature Version 4")
    access_key, day, signed_region, service, names, signature = found.groups()
    if (signed_region, service) != (region, "execute-api"):
        raise Unsigned(f"signed for {service} in {signed_region}, not for execute-api in {region}")
    caller, secret = _owner(access_key, request.headers.get("x-amz-security-token"))
    signed = {name: request.headers.get(name) for name in names.split(";")}
    missing = [name for name, value in signed.items() if value is None]
    if missing or "host" not in signed or "x-amz-date" not in signed:
        raise Unsigned(f"host and x-amz-date must be signed, and what is signed be sent: {missing or names}")
    timestamp = _check_date(str(signed["x-amz-date"]), day)
    digest = hashlib.sha256(request.body).hexdigest()
    if request.headers.get("x-amz-content-sha256", digest) != digest:
        raise Unsigned("x-amz-content-sha256 is not that of the body")
    if not hmac.compare_digest(signature, _sign(request, signed, digest, timestamp, secret, region)):
        raise Unsigned("the signature does not match")
    return caller


def _sign(
    request: Request, signed: dict[str, str | None], digest: str, timestamp: str, secret: str, region: str
) -> str:
    headers = HTTPHeaders()
    for name, value in signed.items():
        headers[name] = value
    signing = AWSRequest(request.method, f"http://{signed['host']}{request.signed_path}?{request.query}", headers)
    signing.context["timestamp"] = timestamp
    auth = _AsSigned(Credentials("key", secret), "execute-api", region)
    # Its last line is the digest of the body, which botocore would look for elsewhere.
    canonical = auth.canonical_request(signing).rpartition("\n")[0] + "\n" + digest
    return str(auth.signature(auth.string_to_sign(signing, canonical), signing))


def _check_date(timestamp: str, day: str) -> str:
    try:
        signed_at = datetime.datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise Unsigned(f"x-amz-date is no date: {timestamp}") from error
    if not timestamp.startswith(day):
        raise Unsigned(f"the credential is of {day}, the request of {timestamp}")
    if abs(datetime.datetime.now(datetime.UTC) - signed_at) > SKEW:
        raise Unsigned(f"signed at {timestamp}, more than 5 minutes from now")
    return timestamp


def _owner(access_key: str, token: str | None) -> tuple[Caller, str]:
    if access_key == ROOT_KEY:
        arn = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:root"
        return Caller(access_key, DEFAULT_ACCOUNT_ID, DEFAULT_ACCOUNT_ID, arn, arn), ROOT_KEY
    for account_id, roles in list(sts_backends.items()):
        for sessions in list(roles.values()):
            role: Any = sessions.get_assumed_role_from_access_key(access_key)
            if role is not None:
                if token != role.session_token:
                    raise Unsigned("the session token is not that of the access key")
                if role.expiration.replace(tzinfo=datetime.UTC) < datetime.datetime.now(datetime.UTC):
                    raise Unsigned("the session has expired")
                return Caller(access_key, account_id, role.user_id, role.arn, role.role_arn), role.secret_access_key
    for account_id, users in list(iam_backends.items()):
        for backend in list(users.values()):
            key = backend.access_keys.get(access_key)
            if key is not None and key.user_name and key.status == "Active":
                user = backend.get_user(key.user_name)
                return Caller(access_key, account_id, user.id, user.arn, user.arn), key.secret_access_key
    raise Unsigned(f"nobody has the access key {access_key}")
