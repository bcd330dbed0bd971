"""Objects that are locked, buckets whose objects may be, and uploads that there are not.

moto takes a shorter lock, and fails at an upload that is not there.

Sources: Amazon S3 User Guide, "Locking objects with Object Lock" (compliance mode, governance mode); Amazon
S3 API Reference, PutBucketVersioning (InvalidBucketState) and CompleteMultipartUpload (NoSuchUpload).
"""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Any, Final

from moto.core.utils import utcnow
from moto.s3 import models, responses
from moto.s3.exceptions import AccessDeniedByLock, InvalidBucketState, NoSuchUpload

# moto has types, but none for what is replaced at run time.
FakeKey: Any = models.FakeKey
S3Backend: Any = models.S3Backend
S3Response: Any = responses.S3Response

_BYPASS: Final = "x-amz-bypass-governance-retention"
_COMPLIANCE: Final = "COMPLIANCE"
_GOVERNANCE: Final = "GOVERNANCE"


@functools.cache
def install() -> None:
    """Make the S3 of this process's moto refuse so. A second call changes nothing."""
    retain, complete = S3Response.put_object_retention, S3Backend.complete_multipart_upload
    version, locked = S3Backend.put_bucket_versioning, FakeKey.is_locked

    @functools.wraps(retain)
    def put_object_retention(self: Any) -> Any:
        key = self.backend.get_object(self.bucket_name, self.parse_key_name(), version_id=self._get_param("versionId"))
        if key is not None and key.lock_mode in (_COMPLIANCE, _GOVERNANCE) and key.lock_until:
            bypass = str(self.headers.get(_BYPASS, "")).lower() == "true"
            _check(key, *self._mode_until_from_body(), bypass=bypass)
        return retain(self)

    @functools.wraps(complete)
    def complete_multipart_upload(self: Any, bucket_name: str, multipart_id: str, body: Any) -> Any:
        if multipart_id not in self.get_bucket(bucket_name).multiparts:
            raise NoSuchUpload(upload_id=multipart_id)
        return complete(self, bucket_name, multipart_id, body)

    @functools.wraps(version)
    def put_bucket_versioning(self: Any, bucket_name: str, status: str) -> None:
        if status == "Suspended" and self.get_bucket(bucket_name).object_lock_enabled:
            raise InvalidBucketState(
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
            )
        version(self, bucket_name, status)

    def is_locked(self: Any, governance_bypass: Any) -> bool:
        # moto takes a header that says `false` for one that says `true`.
        return bool(locked(self, governance_bypass=str(governance_bypass).lower() == "true"))

    FakeKey.is_locked = is_locked
    S3Response.put_object_retention = put_object_retention
    S3Backend.complete_multipart_upload = complete_multipart_upload
    S3Backend.put_bucket_versioning = put_bucket_versioning


def _check(key: Any, mode: str | None, until: str | None, *, bypass: bool) -> None:
    """Refuse to weaken a lock that holds: another mode, or an earlier end."""
    ends = _time(key.lock_until)
    if ends <= utcnow() or (key.lock_mode == _GOVERNANCE and bypass):
        return
    weaker = until is None or _time(until) < ends
    if weaker or (key.lock_mode == _COMPLIANCE and mode != _COMPLIANCE):
        raise AccessDeniedByLock


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None)
