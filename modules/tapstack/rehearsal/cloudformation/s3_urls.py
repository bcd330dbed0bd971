"""Addresses of objects in S3 that CloudFormation is given: of templates, of stack policies and of nested stacks.

An address has the bucket in its host or in its path. Besides those of AWS there are those of the account itself,
on this machine, which the AWS CLI and presigned URLs name.

Sources: CloudFormation API Reference, CreateStack (TemplateURL); Amazon S3 User Guide, "Methods for accessing a
bucket", "Dual-stack endpoints" and "Download and upload objects with presigned URLs".
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from moto.cloudformation.exceptions import ValidationError
from moto.core.exceptions import ServiceException
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import s3_backends

_REGION: Final = r"[a-z]{2,6}(?:-[a-z]+){1,3}-\d{1,2}"
_AWS_HOST: Final = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]*[a-z0-9])\.)?"
    rf"s3(?:-fips)?(?:\.dualstack)?(?:[.-](?:{_REGION}|external-1))?\.amazonaws\.com(?:\.cn)?"
)
_OWN_HOST: Final = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]*[a-z0-9])\.(?:s3\.)?)?(?:localhost|127\.0\.0\.1|\[?::1\]?)"
)
_LARGEST: Final = 1024 * 1024
_MORE: Final = "\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"


@dataclass(frozen=True, slots=True)
class Address:
    """Where an object is.

    Attributes:
        bucket: that holds it.
        key: of the object.
        version: of the object; the latest one by default.
        query: the rest of the address, which a presigned one has.
    """

    bucket: str
    key: str
    version: str | None
    query: Mapping[str, list[str]]


def parse(url: str) -> Address | None:
    """Read the address of an object in S3; None where it is none."""
    try:
        parts = urlsplit(url)
        name = parts.hostname or ""
        host = _AWS_HOST.fullmatch(name) if parts.scheme == "https" else None
        host = host or (_OWN_HOST.fullmatch(name) if parts.scheme in ("http", "https") else None)
    except ValueError:
        return None
    if host is None:
        return None
    path = unquote(parts.path).removeprefix("/")
    bucket, key = (host["bucket"], path) if host["bucket"] else path.partition("/")[::2]
    query = parse_qs(parts.query)
    return Address(bucket, key, query.get("versionId", [None])[0], query) if bucket and key else None


def fetch(url: str, account_id: str, partition: str) -> str:
    """Return the text of an object, for whoever calls from an account.

    Raises:
        ValidationError: no address of S3, nothing there, or nothing that the account may read.
    """
    address = parse(url)
    if address is None:
        raise ValidationError(message="TemplateURL must be a supported URL.")
    if _has_expired(address):
        raise ValidationError(message=f"S3 error: Request has expired{_MORE}")
    owner_partition, owner = s3_backends.bucket_accounts.get(address.bucket, (partition, account_id))
    if owner_partition != partition:
        raise ValidationError(message=f"S3 error: The specified bucket does not exist{_MORE}")
    backend = s3_backends[owner][partition]
    try:
        bucket = backend.get_bucket(address.bucket)
        found = backend.get_object(address.bucket, address.key, version_id=address.version)
    except ServiceException as error:
        raise ValidationError(message=f"S3 error: {error.message}{_MORE}") from error
    # A presigned address has the rights of whoever signed it.
    if owner != account_id and "X-Amz-Signature" not in address.query and not _is_open(bucket, address.key):
        raise ValidationError(message=f"S3 error: Access Denied{_MORE}")
    if found is None:
        raise ValidationError(message=f"S3 error: The specified key does not exist.{_MORE}")
    if len(found.value) > _LARGEST:
        raise ValidationError(message=f"Template may not exceed {_LARGEST} bytes in size.")
    text: str = found.value.decode("utf-8")
    return text


def fetch_policy(url: str, account_id: str, partition: str) -> str:
    """Return the stack policy at an address.

    Whatever keeps it from being read, CloudFormation says that access is denied (inferred: the API Reference of
    SetStackPolicy does not say, moto's own tests do).

    Raises:
        ValidationError: it cannot be read.
    """
    try:
        return fetch(url, account_id, partition)
    except ValidationError:
        raise ValidationError(message=f"S3 error: Access Denied{_MORE}") from None


def _has_expired(address: Address) -> bool:
    query = address.query
    if "Expires" in query:
        return datetime.datetime.now(datetime.UTC).timestamp() > int(query["Expires"][0])
    if "X-Amz-Date" not in query:
        return False
    signed = datetime.datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%S%z")
    return datetime.datetime.now(datetime.UTC) > signed + datetime.timedelta(seconds=int(query["X-Amz-Expires"][0]))


def _is_open(bucket: Any, key: str) -> bool:
    """Whether the bucket's policy lets another account read the object."""
    if bucket.policy is None:
        return False
    # Not by the bucket itself, which leaves its policy to IAM where the account enforces that.
    policy: Any = IAMPolicy(bucket.policy.decode())
    return bool(policy.is_action_permitted("s3:GetObject", f"{bucket.arn}/{key}") == PermissionResult.PERMITTED)
