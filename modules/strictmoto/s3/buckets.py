"""Policies around buckets are IAM's to evaluate: moto knows neither their conditions nor their principals.

A policy that lets in the public is refused where it is blocked.
"""

from __future__ import annotations

import functools
from typing import Any

from strictmoto.iam.public import is_public
from strictmoto.identity.callers import CALLER


@functools.cache
def install() -> None:
    """Leave the policies of moto's buckets to IAM, once a process."""
    from moto.iam.access_control import PermissionResult
    from moto.s3 import responses
    from moto.s3.models import FakeBucket

    bucket: Any = FakeBucket
    bucket.get_permission = lambda _self, _action, _resource: PermissionResult.NEUTRAL
    # The Region is that of the signature, and not what a key may look like.
    reading: Any = responses
    reading.parse_region_from_url = lambda _url, use_default_region=True: None
    _untag_what_is_there()
    _block_public_policies()


def _untag_what_is_there() -> None:
    """Refuse to take tags off an object that is not there, at which moto fails."""
    from moto.s3.exceptions import MissingKey
    from moto.s3.models import S3Backend

    backend: Any = S3Backend
    delete = backend.delete_object_tagging

    @functools.wraps(delete)
    def delete_object_tagging(self: Any, bucket_name: str, key_name: str, version_id: str | None = None) -> None:
        if self.get_object(bucket_name, key_name, version_id=version_id) is None:
            raise MissingKey(key=key_name)
        delete(self, bucket_name, key_name, version_id)

    backend.delete_object_tagging = delete_object_tagging


def _block_public_policies() -> None:
    """Refuse a policy that lets in the public, where the bucket or its account blocks such policies.

    Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage", BlockPublicPolicy.
    """
    from moto.s3.exceptions import S3ClientError
    from moto.s3.models import S3Backend

    backend: Any = S3Backend
    put = backend.put_bucket_policy

    @functools.wraps(put)
    def put_bucket_policy(self: Any, bucket_name: str, policy: bytes) -> None:
        bucket = self.get_bucket(bucket_name)
        if _blocks(bucket, self) and is_public(policy.decode() if isinstance(policy, bytes) else policy):
            caller = CALLER.get()
            raise S3ClientError(
                "AccessDenied",
                f"User: {caller.principal_arn if caller else ''} is not authorized to perform: s3:PutBucketPolicy on "
                f'resource: "{bucket.arn}" because public policies are prevented by the BlockPublicPolicy setting in '
                "S3 Block Public Access.",
            )
        put(self, bucket_name, policy)

    backend.put_bucket_policy = put_bucket_policy


def _blocks(bucket: Any, backend: Any) -> bool:
    from moto.s3control.models import s3control_backends

    account: Any = s3control_backends[backend.account_id][backend.partition]
    settings = (bucket.public_access_block, account.public_access_block)
    return any(str(one.block_public_policy).lower() == "true" for one in settings if one is not None)
