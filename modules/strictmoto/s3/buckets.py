"""Policies around buckets are IAM's to evaluate: moto knows neither their conditions nor their principals.

A policy that lets in the public is refused where it is blocked. How a bucket logs is shown as it was given.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from strictmoto.iam.public import is_public
from strictmoto.identity.callers import CALLER

_KEY_FORMAT: Final = "TargetObjectKeyFormat"
_WITH_ACLS: Final = ("BucketOwnerPreferred", "ObjectWriter")
"""What a bucket's ownership is where it has ACLs: a new one has none."""


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
    _log_without_acls()
    _show_key_format()
    _untag_what_is_there()
    _block_public_policies()


def _log_without_acls() -> None:
    """Take a target of logs whose ACLs are off: that its policy lets S3 write is not looked at (inferred).

    Source: Amazon S3 User Guide, "Enabling Amazon S3 server access logging", permissions of log delivery.
    """
    from moto.s3.models import FakeBucket

    bucket: Any = FakeBucket
    granted = bucket._log_permissions_enabled_acl

    def log_permissions_enabled_acl(target_bucket: Any) -> bool:
        has_acls = any(name in str(target_bucket.ownership_rule) for name in _WITH_ACLS)
        return not has_acls or bool(granted(target_bucket=target_bucket))

    bucket._log_permissions_enabled_acl = staticmethod(log_permissions_enabled_acl)


def _show_key_format() -> None:
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
