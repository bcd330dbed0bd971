"""Server access logs of buckets: each request, also one that is refused, in an object of its own.

AWS collects them for hours; here they are there at once. The bucket that they go to must let S3 put them, by its policy
or, where it has ACLs, by those; it may encrypt with its own keys only, and have no default retention.

Sources: Amazon S3 User Guide, "Amazon S3 server access log format", "Logging requests with server access logging"
(object keys) and "Enabling Amazon S3 server access logging" (permissions, encryption, Object Lock).
"""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final, cast
from urllib.parse import quote

from strictmoto.identity.callers import Caller
from strictmoto.requests.calls import Call
from strictmoto.s3.deliveries import Delivery, NotDelivered, bucket_named, default_encryption

SERVICE: Final = "logging.s3.amazonaws.com"
_KEY_FORMAT: Final = "TargetObjectKeyFormat"
_WITH_ACLS: Final = ("BucketOwnerPreferred", "ObjectWriter")
"""What a bucket's ownership is where it has ACLs: a new one has none."""
_NOTHING: Final = "-"
_OF_PARTS: Final = {"uploadId": "UPLOAD", "uploads": "UPLOADS", "partNumber": "PART"}
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of S3 and its answer.

    Attributes:
        method: of HTTP.
        target: path and query, as sent.
        protocol: such as HTTP/1.1.
        headers: of the request, by lower-case name.
        address: of the client.
        status: of the answer.
        error: its code; empty where it is none.
        request_id: of the answer.
        size: of the body of the answer, in bytes.
        seconds: that it took.
    """

    method: str
    target: str
    protocol: str
    headers: Mapping[str, str]
    address: str
    status: int
    error: str
    request_id: str
    size: int
    seconds: float


@functools.cache
def install() -> None:
    """Let the S3 of this process's moto keep how buckets log, and log nothing itself. A second call changes nothing."""
    from moto.s3.models import FakeBucket, S3Backend

    bucket, backend = cast("Any", FakeBucket), cast("Any", S3Backend)
    granted = bucket._log_permissions_enabled_acl
    bucket.acl_lets_logs_in = staticmethod(granted)
    # Of a target without ACLs it is not looked at, when logs are enabled, whether its policy lets S3 put (inferred).
    bucket._log_permissions_enabled_acl = staticmethod(
        lambda target_bucket: not _has_acls(target_bucket) or bool(granted(target_bucket=target_bucket))
    )
    bucket._log_permissions_enabled_policy = staticmethod(
        functools.partial(_policy_lets_in, bucket._log_permissions_enabled_policy)
    )
    # It knows neither who asks nor what is answered.
    backend.log_incoming_request = lambda _self, _request, _bucket_name: None
    _keep_key_format()


def _policy_lets_in(allowed: Any, target_bucket: Any, target_prefix: str | None) -> bool:
    """Ask moto, which fails at a principal that is text, such as that of a statement about TLS."""
    found = json.loads(target_bucket.policy or b"{}").get("Statement", [])
    statements = found if isinstance(found, list) else [found]
    policy = {"Statement": [each for each in statements if isinstance(each.get("Principal"), dict)]}
    seen = SimpleNamespace(
        name=target_bucket.name, partition=target_bucket.partition, policy=json.dumps(policy).encode()
    )
    return bool(allowed(target_bucket=seen, target_prefix=target_prefix))


def _keep_key_format() -> None:
    """Answer what the keys of a bucket's logs are like, which moto keeps and leaves out.

    Source: Amazon S3 API Reference, GetBucketLogging and PutBucketLogging (TargetObjectKeyFormat, of which one member
    may be given; MalformedXML of two is inferred).
    """
    from moto.s3.exceptions import MalformedXML
    from moto.s3.responses import S3Response

    response: Any = S3Response
    get, read = response.get_bucket_logging, response._logging_from_body

    @functools.wraps(get)
    def get_bucket_logging(self: Any) -> Any:
        kept = self.backend.get_bucket_logging(self.bucket_name)
        if given := kept.get(_KEY_FORMAT):
            write = self.serialized

            def serialized(result: Any) -> Any:
                result.result["LoggingEnabled"][_KEY_FORMAT] = given
                return write(result)

            self.serialized = serialized
        return get(self)

    @functools.wraps(read)
    def logging_from_body(self: Any) -> Any:
        found = read(self)
        if (given := found.get(_KEY_FORMAT)) is not None:
            if not isinstance(given, dict) or len(given) != 1:
                raise MalformedXML
            # An element without content is read as nothing.
            found[_KEY_FORMAT] = {name: value or {} for name, value in given.items()}
        return found

    response.get_bucket_logging, response._logging_from_body = get_bucket_logging, logging_from_body


def write(call: Call, caller: Caller, exchange: Exchange) -> None:
    """Log a request, where the bucket that it names has logs; what cannot be put is lost, as on AWS."""
    bucket = bucket_named(str(call.parameters.get("Bucket") or ""))
    settings = getattr(bucket, "logging", None) or {}
    target = bucket_named(str(settings.get("TargetBucket") or ""))
    if target is None or not _may_hold(target):
        return
    now = datetime.now(UTC)
    line = " ".join(_fields(bucket, call, caller, exchange, now))
    try:
        delivery = Delivery(SERVICE, bucket.arn, target.name, by_acl=_is_granted(target))
        delivery.put(_key(bucket, settings, now), f"{line}\n".encode())
    except NotDelivered:
        return


def _may_hold(target: Any) -> bool:
    return not default_encryption(target)[0] and not getattr(target, "default_lock_mode", None)


def _is_granted(target: Any) -> bool:
    """Return whether the ACL of a bucket lets the group of log delivery in."""
    return _has_acls(target) and bool(target.acl_lets_logs_in(target_bucket=target))


def _has_acls(bucket: Any) -> bool:
    return any(name in str(bucket.ownership_rule) for name in _WITH_ACLS)


def _key(bucket: Any, settings: Mapping[str, Any], now: datetime) -> str:
    """Return the key of a log: by default its time, in folders of account, Region, bucket and day where asked for."""
    unique = secrets.token_hex(8).upper()
    prefix = settings.get("TargetPrefix") or ""
    parts = (settings.get(_KEY_FORMAT) or {}).get("PartitionedPrefix")
    if parts is None:
        return f"{prefix}{now:%Y-%m-%d-%H-%M-%S}-{unique}"
    day = f"{bucket.account_id}/{bucket.region_name}/{bucket.name}/{now:%Y/%m/%d}"
    # By the time of the event, a file is of the whole day.
    time = "00-00-00" if parts.get("PartitionDateSource") == "EventTime" else f"{now:%H-%M-%S}"
    return f"{prefix}{day}/{now:%Y-%m-%d}-{time}-{unique}"


def _fields(bucket: Any, call: Call, caller: Caller, exchange: Exchange, now: datetime) -> list[str]:
    key = str(call.parameters.get("Key") or "")
    taken = str(int(exchange.seconds * 1000))
    kind = next((name for part, name in _OF_PARTS.items() if part in exchange.target), "OBJECT" if key else "BUCKET")
    headers = exchange.headers
    return [
        str(bucket.account_id),
        bucket.name,
        f"[{now:%d}/{_MONTHS[now.month - 1]}/{now:%Y:%H:%M:%S} +0000]",
        exchange.address or _NOTHING,
        caller.user_arn or _NOTHING,
        exchange.request_id or _NOTHING,
        f"REST.{exchange.method}.{kind}",
        quote(key) or _NOTHING,
        _quoted(f"{exchange.method} {exchange.target} {exchange.protocol}"),
        str(exchange.status),
        exchange.error or _NOTHING,
        str(exchange.size) if exchange.size else _NOTHING,
        str(exchange.size) if key and exchange.size and exchange.method == "GET" else _NOTHING,
        taken,
        taken,
        _quoted(headers.get("referer", _NOTHING)),
        _quoted(headers.get("user-agent", _NOTHING)),
        str(call.parameters.get("VersionId") or _NOTHING),
        _NOTHING,
        "SigV4" if caller.access_key else _NOTHING,
        _NOTHING,
        "AuthHeader" if caller.access_key else _NOTHING,
        headers.get("host", _NOTHING),
        "TLSv1.3",
        _NOTHING,
        _NOTHING,
    ]


def _quoted(text: str) -> str:
    """Return a text that a client chose in quotes; it can end neither these nor the line."""
    return '"' + "".join(f"\\x{ord(one):02x}" if one in '"\\' or ord(one) < 32 else one for one in text) + '"'
