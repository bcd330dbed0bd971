"""Log groups of a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapstack.bindings import Construct, aws
from tapstack.capture.scaffold import suppress_checkov
from tapstack.response.key import ResponseKey

_ENOUGH_FOR_CHECKOV = 365


def log_group(
    scope: Construct, id_: str, *, name: str, key: ResponseKey, retention_days: int, tags: Mapping[str, str] | None
) -> Any:
    """Return a new log group: encrypted, with a retention in days."""
    group: Any = aws.CloudwatchLogGroup(
        scope,
        id_,
        name=name,
        kms_key_id=key.arn,
        retention_in_days=retention_days,
        tags=dict(tags) if tags else None,
    )
    if retention_days < _ENOUGH_FOR_CHECKOV:
        reason = "How long logs are kept is the deployment's choice; the record of an incident is in the table."
        suppress_checkov(group, {"CKV_AWS_338": reason})
    return group
