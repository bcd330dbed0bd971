"""Signature Version 4 of a request, in its headers or in its query: whose it is, and whether it is true.

Sources: IAM User Guide, "Create a signed AWS API request"; Amazon S3 API Reference, "Authenticating Requests (AWS
Signature Version 4)", "Authenticating Requests: Using Query Parameters", "Signature Calculations for the Authorization
Header: Transferring Payload in Multiple Chunks".
"""

from __future__ import annotations

import datetime
import email.utils
import functools
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from strictmoto.identity.callers import AccessKeys, Caller
from strictmoto.requests import chunked_payloads
from strictmoto.requests.chunked_payloads import Seed

Reason = Literal[
    "missing",
    "unsupported",
    "incomplete",
    "incomplete query",
    "no payload hash",
    "unknown key",
    "wrong token",
    "expired token",
    "not signed",
    "payload",
    "mismatch",
    "expired",
    "expired query",
    "not yet current",
    "wrong service",
    "wrong region",
    "two signatures",
]
"""Why a request is refused: it bears no signature, one of another version, or half of one, in its headers or its query;
it does not say the hash of its payload; the key is unknown; the session token is not the key's, or has expired; a
header is not signed; the payload is not what its hash says; the signature is another one; it was signed too long ago,
or in the future; the credential is scoped to what is no service, or to a Region where it is not;
it bears a signature in its headers and another in its query."""

SKEW: Final = datetime.timedelta(minutes=5)
"""How far a request's clock may be from the account's, either way."""
SKEW_OF_S3: Final = datetime.timedelta(minutes=15)
LONGEST: Final = 604_800
"""Seconds that a presigned request may be good for."""
UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_S3: Final = ("s3", "s3-object-lambda", "s3-outposts")
# What their models call v4-unsigned-body.
_UNSIGNED_BODIES: Final = (*_S3, "ebs", "lex", "mediastore", "omics")
_EMPTY: Final = hashlib.sha256().hexdigest()
_TIMESTAMP: Final = "%Y%m%dT%H%M%SZ"
_CREDENTIAL: Final = r"([A-Za-z0-9]{16,128})/(\d{8})/([a-z0-9-]+)/([A-Za-z0-9-]+)/aws4_request"
_AUTHORIZATION: Final = re.compile(
    rf"AWS4-HMAC-SHA256\s+Credential={_CREDENTIAL}\s*,\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]{{64}})"
)
_SCOPE: Final = re.compile(_CREDENTIAL)
_VALUE: Final = re.compile(r"[0-9a-f]{64}")
# A token proves itself, and a hash of the payload is signed as such.
_NEED_NOT_BE_SIGNED: Final = ("x-amz-security-token", "x-amz-content-sha256")


class Refused(Exception):  # noqa: N818 - what is wrong with a request
    """The request is not signed as it must be.

    Attributes:
        reason: which AWS has an error for.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        """Note what is wrong."""
        super().__init__(message)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Received:
    """A request, as it was received.

    Attributes:
        method: of HTTP.
        path: not decoded.
        query: not decoded, without the question mark.
        headers: by lower-case name.
        body: without the chunks of HTTP.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request says of its signature.

    Attributes:
        access_key: that it is made with.
        day: of the credential scope.
        region: of the credential scope.
        service: of the credential scope.
        names: of the signed headers, in their order.
        value: hexadecimal.
        timestamp: as `20260131T235959Z`.
        token: of the session; empty for a long-term key.
        expires: seconds for which a presigned request is good; 0 where the headers have the signature.
        query: the request's, without what signs it.
    """

    access_key: str
    day: str
    region: str
    service: str
    names: tuple[str, ...]
    value: str
    timestamp: str
    token: str
    expires: int
    query: str

    @property
    def scope(self) -> str:
        """The credential scope."""
        return f"{self.day}/{self.region}/{self.service}/aws4_request"

    @property
    def authorization(self) -> str:
        """The Authorization header that says the same."""
        names = ";".join(self.names)
        return (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{self.scope}, SignedHeaders={names}, Signature={self.value}"
        )


def read_signature(request: Received) -> Signature:
    """Return what a request says of its signature, which need not be true.

    Raises:
        Refused: there is none, or not of this version.
    """
    authorization = request.headers.get("authorization")
    if authorization is None:
        return _read_query(request)
    if "X-Amz-Algorithm=" in request.query:
        message = (
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
            "parameter or the Authorization header should be specified"
        )
        raise Refused("two signatures", message)
    found = _AUTHORIZATION.fullmatch(authorization)
    if found is None:
        if authorization.startswith("AWS4-HMAC-SHA256"):
            raise Refused("incomplete", f"not Credential, SignedHeaders and Signature: {authorization}")
        raise Refused("unsupported", "signed with something else than AWS4-HMAC-SHA256")
    access_key, day, region, service, names, value = found.groups()
    headers = request.headers
    timestamp = headers.get("x-amz-date") or _basic(headers.get("date", ""))
    if not timestamp:
        raise Refused("incomplete", "Authorization header requires existence of either 'X-Amz-Date' or a 'Date' header")
    token = headers.get("x-amz-security-token", "")
    signed = tuple(names.split(";"))
    return Signature(access_key, day, region, service, signed, value, timestamp, token, 0, request.query)


def verify(request: Received, signature: Signature, keys: AccessKeys) -> Caller:
    """Return whose signature a request bears.

    Args:
        request: as received.
        signature: what it says.
        keys: of the account.

    Raises:
        Refused: it is by an unknown key, too old, for something else, or wrong.
    """
    key = keys.find(signature.access_key, signature.region)
    if key is None:
        raise Refused("unknown key", f"there is no access key {signature.access_key}")
    if not hmac.compare_digest(signature.token.encode(), key.session_token.encode()):
        raise Refused("wrong token", "the session token is not that of the access key")
    now = datetime.datetime.now(datetime.UTC)
    if key.expires is not None and key.expires <= now:
        raise Refused("expired token", "the session has expired")
    _check_time(signature, now)
    signed = _signed_headers(request, signature)
    digest = _digest(request, signature)
    signing = AWSRequest(request.method, f"http://host{request.path}?{signature.query}", signed)
    signing_key = _signing_key(key.secret, signature.day, signature.region, signature.service)
    signing.context |= {"timestamp": signature.timestamp, "digest": digest, "key": signing_key}
    kind = _AsReceivedByS3 if signature.service in _S3 else _AsReceived
    auth = kind(Credentials(signature.access_key, key.secret), signature.service, signature.region)
    expected = auth.signature(auth.string_to_sign(signing, auth.canonical_request(signing)), signing)
    # What follows a # is part of no request.
    if "#" in request.path + request.query or not hmac.compare_digest(signature.value, expected):
        raise Refused("mismatch", "the signature does not match")
    if digest in chunked_payloads.KINDS:
        seed = Seed(signing_key, signature.timestamp, signature.scope, signature.value)
        try:
            chunked_payloads.check(request.body, digest, request.headers, seed)
        except ValueError as error:
            raise Refused("mismatch" if "signature" in str(error) else "payload", str(error)) from error
    return key.caller


class _AsReceived(SigV4Auth):  # type: ignore[misc]
    """Signs what was received, instead of what botocore would send, with a key that is derived once."""

    def headers_to_sign(self, request: Any) -> Any:
        return request.headers

    def payload(self, request: Any) -> str:
        return str(request.context["digest"])

    def signature(self, string_to_sign: str, request: Any) -> str:
        return str(self._sign(request.context["key"], string_to_sign, hex=True))


class _AsReceivedByS3(_AsReceived, S3SigV4Auth):  # type: ignore[misc]
    """Signs paths as they are, as S3 does."""


@functools.lru_cache(maxsize=4096)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """Return the key that everything of a day, Region and service is signed with."""
    derived = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        derived = hmac.new(derived, part.encode(), hashlib.sha256).digest()
    return derived


def _read_query(request: Received) -> Signature:
    """Return the signature of a presigned request."""
    pairs = [pair.partition("=") for pair in request.query.split("&")]
    given = {unquote(name): unquote(value) for name, _, value in pairs if name.startswith("X-Amz-")}
    if "X-Amz-Algorithm" not in given:
        if any(name in ("AWSAccessKeyId", "SignatureVersion") for name, _, _ in pairs):
            raise Refused("unsupported", "signed with Signature Version 2")
        raise Refused("missing", "the request is not signed")
    if given["X-Amz-Algorithm"] != "AWS4-HMAC-SHA256":
        raise Refused("unsupported", f"signed with {given['X-Amz-Algorithm']}")
    found = _SCOPE.fullmatch(given.get("X-Amz-Credential", ""))
    value, names = given.get("X-Amz-Signature", ""), given.get("X-Amz-SignedHeaders", "")
    expires = given.get("X-Amz-Expires", "")
    valid = re.fullmatch("[1-9][0-9]{0,5}", expires) and int(expires) <= LONGEST
    if found is None or not _VALUE.fullmatch(value) or not names or not valid or "X-Amz-Date" not in given:
        message = "X-Amz-Credential, Date, Expires (a week at most), SignedHeaders and Signature must be given"
        raise Refused("incomplete query", message)
    return Signature(
        found[1],
        found[2],
        found[3],
        found[4],
        tuple(names.split(";")),
        value,
        given["X-Amz-Date"],
        given.get("X-Amz-Security-Token", ""),
        int(expires),
        "&".join("".join(pair) for pair in pairs if pair[0] != "X-Amz-Signature"),
    )


def _check_time(signature: Signature, now: datetime.datetime) -> None:
    try:
        signed_at = datetime.datetime.strptime(signature.timestamp, _TIMESTAMP).replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise Refused("incomplete", f"no date in ISO 8601 basic format: {signature.timestamp}") from error
    if not signature.timestamp.startswith(signature.day):
        raise Refused("mismatch", f"the credential is of {signature.day}, the request of {signature.timestamp}")
    skew = SKEW_OF_S3 if signature.service in _S3 else SKEW
    good_for = datetime.timedelta(seconds=signature.expires) if signature.expires else skew
    written, wide = now.strftime(_TIMESTAMP), f"{int(skew.total_seconds()) // 60} min."
    if signed_at < now - good_for:
        if signature.expires:
            raise Refused("expired query", "Request has expired")
        earliest = (now - skew).strftime(_TIMESTAMP)
        message = f"Signature expired: {signature.timestamp} is now earlier than {earliest} ({written} - {wide})"
        raise Refused("expired", message)
    if signed_at > now + skew:
        latest = (now + skew).strftime(_TIMESTAMP)
        message = f"Signature not yet current: {signature.timestamp} is still later than {latest} ({written} + {wide})"
        raise Refused("not yet current", message)


def _signed_headers(request: Received, signature: Signature) -> HTTPHeaders:
    signed = HTTPHeaders()
    for name in signature.names:
        value = request.headers.get(name)
        if value is None:
            raise Refused("mismatch", f"the header {name} is signed, but was not sent")
        signed[name] = value
    unsigned = [
        name
        for name in request.headers
        if name.startswith("x-amz-") and name not in signature.names and name not in _NEED_NOT_BE_SIGNED
    ]
    if unsigned or "host" not in signature.names:
        raise Refused("not signed", f"these headers must be signed: {', '.join(unsigned or ['host'])}")
    return signed


def _digest(request: Received, signature: Signature) -> str:
    """Return what is signed of the payload, once that is found to be true."""
    said = request.headers.get("x-amz-content-sha256")
    if said is None and signature.expires:
        said = UNSIGNED if signature.service in _S3 else _in_query(signature.query, "X-Amz-Content-Sha256")
    if said is None and signature.service in _S3:
        raise Refused("no payload hash", "Missing required header for this request: x-amz-content-sha256")
    if said == UNSIGNED and signature.service in _UNSIGNED_BODIES:
        return said
    if said in chunked_payloads.KINDS and signature.service in _S3:
        return said
    digest = hashlib.sha256(request.body).hexdigest() if request.body else _EMPTY
    if said not in (None, digest):
        raise Refused("payload", "x-amz-content-sha256 is not that of the body")
    return digest


def _in_query(query: str, wanted: str) -> str | None:
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == wanted:
            return unquote(value)
    return None


def _basic(date: str) -> str:
    """Return the date of a Date header as the signature has it; empty where it is none."""
    if re.fullmatch(r"\d{8}T\d{6}Z", date):
        return date
    try:
        return email.utils.parsedate_to_datetime(date).astimezone(datetime.UTC).strftime(_TIMESTAMP)
    except (ValueError, OverflowError):
        return ""
