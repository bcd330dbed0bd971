"""Addresses of objects in S3 that CloudFormation is given: of templates, of stack policies and of nested stacks.

An address has the bucket in its host or in its path. Besides those of AWS there are those of the account itself,
on this machine, which the AWS CLI and presigned URLs name.

Sources: CloudFormation API Reference, CreateStack (TemplateURL); CloudFormation User Guide, "Control CloudFormation
access with AWS Identity and Access Management"; Amazon S3 User Guide, "Methods for accessing a bucket", "Dual-stack
endpoints" and "Download and upload objects with presigned URLs".
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from moto.cloudformation.exceptions import ValidationError
from moto.core.exceptions import ServiceException
from moto.s3.models import s3_backends

from strictmoto import dns_suffixes
from strictmoto.front.denials import text_of_s3
from strictmoto.identity.behalf import BEHALF, Answer, Behalf
from strictmoto.identity.callers import CALLER, Caller
from strictmoto.identity.signatures import Received, Refused, read_signature, verify
from strictmoto.requests.calls import Call
from strictmoto.running import is_running, running

_REGION: Final = r"[a-z]{2,6}(?:-[a-z]+){1,3}-\d{1,2}"
_AWS_HOST: Final = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]*[a-z0-9])\.)?"
    rf"s3(?:-fips)?(?:\.dualstack)?(?:[.-](?:{_REGION}|external-1))?\.{dns_suffixes.PATTERN}"
)
_OWN_HOST: Final = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]*[a-z0-9])\.(?:s3\.)?)?(?:localhost|127\.0\.0\.1|\[?::1\]?)"
)
_LARGEST: Final = 1024 * 1024
_SIGNING: Final = frozenset({"X-Amz-Algorithm", "X-Amz-Signature", "AWSAccessKeyId", "Signature"})
"""What an address that is signed has, of any version."""
SERVICE: Final = "cloudformation.amazonaws.com"
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
    """Return the text of an object.

    It is read with the permissions of who calls CloudFormation, or of the stack's role where a stack names it; what is
    at a presigned address with those of who signed it. In another account's bucket both the bucket's policy and the
    reader's own must allow it. Where the account does not enforce IAM, the policies of other accounts' buckets decide
    alone. The reading is recorded as CloudFormation's.

    Args:
        url: its address.
        account_id: that it is read for.
        partition: of that account.

    Raises:
        ValidationError: no address of S3, nothing there, or nothing that may be read.
    """
    address = parse(url)
    if address is None:
        raise ValidationError(message="TemplateURL must be a supported URL.")
    if _has_expired(address):
        raise ValidationError(message=f"S3 error: Request has expired{_MORE}")
    signer = _signer_of(url) if is_running() and _SIGNING & set(address.query) else None
    owner_partition, owner = s3_backends.bucket_accounts.get(address.bucket, (partition, account_id))
    if owner_partition != partition:
        raise ValidationError(message=f"S3 error: The specified bucket does not exist{_MORE}")
    backend = s3_backends[owner][partition]
    try:
        bucket = backend.get_bucket(address.bucket)
        found = backend.get_object(address.bucket, address.key, version_id=address.version)
    except ServiceException as error:
        raise ValidationError(message=f"S3 error: {error.message}{_MORE}") from error
    status = _read(address, bucket.region_name, account_id, partition, signer, there=found is not None)
    if status == 403:
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
    query, now = address.query, datetime.datetime.now(datetime.UTC)
    try:
        if "Expires" in query:
            return now.timestamp() > int(query["Expires"][0])
        signed = datetime.datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%S%z")
        return now > signed + datetime.timedelta(seconds=int(query["X-Amz-Expires"][0]))
    except (KeyError, ValueError):
        # It says no such thing, or nothing that can be read: then its signature is none.
        return False


def _signer_of(url: str) -> Caller:
    """Return who signed an address.

    Raises:
        ValidationError: it is not signed, or not as it must be.
    """
    parts = urlsplit(url)
    request = Received("GET", parts.path, parts.query, {"host": parts.netloc}, b"")
    try:
        signature = read_signature(request)
        if signature.service != "s3":
            raise Refused(
                "incomplete query",
                f"Error parsing the X-Amz-Credential parameter; incorrect service {signature.service}",
            )
        return verify(request, signature, running().keys)
    except Refused as refused:
        raise ValidationError(message=f"S3 error: {text_of_s3(refused)}{_MORE}") from refused


def _read(address: Address, region: str, account_id: str, partition: str, signer: Caller | None, *, there: bool) -> int:
    """Return the status that S3 answers a reading with, as IAM and the policy of the bucket have it."""
    wanted = {"Bucket": address.bucket, "Key": address.key}
    wanted |= {"VersionId": address.version} if address.version else {}
    caller = signer or CALLER.get()

    def asked(by: Caller) -> Call:
        return Call("s3", "GetObject", region, by.access_key, wanted, "rest-xml", "s3")

    def answer() -> Answer:
        # What IAM does not decide, the bucket does, as it does for the root user.
        account = signer.account_id if signer else account_id
        root = f"arn:{partition}:iam::{account}:root"
        free = Behalf(Caller("", account, account, root, root), SERVICE, forwarded=signer is None)
        decided = is_running() and running().enforces_iam and caller is not None
        refused = None if decided else free.refusal_of(asked(free.caller))
        return 403 if refused else 200 if there else 404, {}, b""

    behalf = BEHALF.get() if signer is None else None
    behalf = behalf or (Behalf(caller, SERVICE, forwarded=signer is None) if caller else None)
    if behalf is None or not is_running():
        return answer()[0]
    return behalf.make(asked(behalf.caller), answer)[0]
