"""Addresses that functions and instances answer CloudFormation at: presigned, in a bucket of CloudFormation's own.

Source: CloudFormation User Guide, "How custom resources work" (ResponseURL) and "Create wait conditions" (the handle).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any, Final

import boto3
from botocore.config import Config
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.utilities.utils import get_partition

from strictmoto.identity.principals import assume
from strictmoto.running import running

_ACCOUNT: Final = "700000000007"
"""CloudFormation's own: no caller sees what it holds."""
_ROLE: Final = "CustomResourceResponses"
_HOURS: Final = 12 * 3600


def presign(region: str) -> tuple[str, str]:
    """Return a new address that takes answers with PUT, and the key that they have then."""
    partition = get_partition(region)
    bucket, key = _bucket(region), str(uuid.uuid4())
    credentials = assume(_role(partition), "cloudformation", region)
    client = boto3.client(
        "s3",
        region_name=region,
        endpoint_url=running().endpoint,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        **credentials.as_arguments(),
    )
    url: str = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=_HOURS)
    return url, key


def answers(region: str, key: str) -> Iterator[bytes]:
    """Yield what was put there, oldest first."""
    bucket = s3_backends[_ACCOUNT][get_partition(region)].get_bucket(_bucket(region))
    for version in bucket.keys.getlist(key, default=[]):
        yield version.value


def key_of(url: str) -> str:
    """Return the key that an address was made for."""
    return url.partition("?")[0].rpartition("/")[2]


def _bucket(region: str) -> str:
    partition = get_partition(region)
    backend: Any = s3_backends[_ACCOUNT][partition]
    name = f"cloudformation-custom-resource-response-{region.replace('-', '')}"
    if name not in backend.buckets:
        backend.create_bucket(name, region)
        # A wait condition counts what was put there.
        backend.put_bucket_versioning(name, "Enabled")
    return name


def _role(partition: str) -> str:
    backend: Any = iam_backends[_ACCOUNT][partition]
    arn = f"arn:{partition}:iam::{_ACCOUNT}:role/{_ROLE}"
    if all(role.arn != arn for role in backend.roles.values()):
        trusted = {
            "Effect": "Allow",
            "Principal": {"Service": "cloudformation.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        put = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
        backend.create_role(
            role_name=_ROLE,
            assume_role_policy_document=json.dumps({"Version": "2012-10-17", "Statement": [trusted]}),
            path="/",
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration=_HOURS,
        )
        backend.put_role_policy(_ROLE, "put", json.dumps({"Version": "2012-10-17", "Statement": [put]}))
    return arn
