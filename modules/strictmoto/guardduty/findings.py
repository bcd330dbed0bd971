"""Findings of GuardDuty, made on demand: it watches nothing here, so that it would find nothing.

A finding goes to EventBridge, and to the detector's publishing destination. Archived ones go to neither.

Sources: Amazon GuardDuty User Guide, "Exporting generated GuardDuty findings to Amazon S3 buckets" and "Processing
GuardDuty findings with Amazon EventBridge"; Amazon GuardDuty API Reference, Finding and DescribePublishingDestination
(the status of a destination). The names of files are those that users show.
"""

from __future__ import annotations

import gzip
import json
import secrets
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID

if TYPE_CHECKING:
    from strictmoto.guardduty.publishing_destinations import Destination

_REQUIRED: Final = ("type", "severity", "resource")
_FAILED: Final = "UNABLE_TO_PUBLISH_FIX_DESTINATION_PROPERTY"
_WORKS: Final = "PUBLISHING"


class Findings:
    """What GuardDuty finds in an account."""

    def __init__(self, region: str) -> None:
        """Begin without a finding.

        Args:
            region: for findings of no other Region.
        """
        self._region = region

    def publish(
        self, finding: Mapping[str, Any], *, region: str = "", account: str = DEFAULT_ACCOUNT_ID
    ) -> tuple[str, ...]:
        """Let GuardDuty find something; return the exported files as bucket/key.

        A destination whose bucket or key does not let GuardDuty in gets the status
        UNABLE_TO_PUBLISH_FIX_DESTINATION_PROPERTY, and no file.

        Args:
            finding: as the detail of GuardDuty's events has it; its type, severity and resource at least. What else
                GuardDuty knows by itself is added, such as the id and the time.
            region: of the detector; the account's default Region by default.
            account: of the detector; that of whoever assumes no role by default.

        Raises:
            ValueError: the finding lacks something, or the account has no enabled detector in the Region.
        """
        if missing := [name for name in _REQUIRED if name not in finding]:
            raise ValueError(f"a finding has {', '.join(_REQUIRED)}: {', '.join(missing)} missing")
        where = region or self._region
        backend: Any = get_backend("guardduty")[account][where]
        detector = next((one for one in list(backend.detectors.values()) if one.enabled), None)
        if detector is None:
            raise ValueError(f"no enabled GuardDuty detector in account {account}, {where}")
        whole = _completed(finding, backend, detector)
        if whole["service"]["archived"]:
            return ()
        # Late: most accounts have no findings.
        from strictmoto.events import bus
        from strictmoto.guardduty.publishing_destinations import destinations_of

        bus.publish(account, where, source="aws.guardduty", detail_type="GuardDuty Finding", detail=whole, resources=[])
        exported = [_export(one, whole, backend, detector) for one in destinations_of(detector).values()]
        return tuple(name for name in exported if name)


def _completed(finding: Mapping[str, Any], backend: Any, detector: Any) -> dict[str, Any]:
    from strictmoto.guardduty.publishing_destinations import detector_arn

    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    identity = str(finding.get("id") or secrets.token_hex(16))
    of_service = {
        "serviceName": "guardduty",
        "detectorId": detector.id,
        "eventFirstSeen": now,
        "eventLastSeen": now,
        "archived": False,
        "count": 1,
    }
    return {
        "schemaVersion": "2.0",
        "accountId": backend.account_id,
        "region": backend.region_name,
        "partition": backend.partition,
        "id": identity,
        "arn": f"{detector_arn(backend, detector.id)}/finding/{identity}",
        "createdAt": now,
        "updatedAt": now,
        "title": str(finding["type"]),
        "description": str(finding["type"]),
        **finding,
        "service": {**of_service, **finding.get("service", {})},
    }


def _export(destination: Destination, finding: Mapping[str, Any], backend: Any, detector: Any) -> str:
    from strictmoto.guardduty.publishing_destinations import LOGS, detector_arn
    from strictmoto.s3.deliveries import NotDelivered

    folder = f"{destination.prefix}{LOGS}{backend.account_id}/GuardDuty/{backend.region_name}"
    key = f"{folder}/{datetime.now(UTC):%Y/%m/%d}/{uuid.uuid4()}.jsonl.gz"
    delivery = destination.delivery(detector_arn(backend, detector.id))
    try:
        delivery.put(key, gzip.compress(f"{json.dumps(finding, separators=(',', ':'))}\n".encode()))
    except NotDelivered:
        destination.status = _FAILED
        destination.failing_since = destination.failing_since or int(time.time() * 1000)
        return ""
    destination.status, destination.failing_since = _WORKS, None
    return f"{delivery.bucket}/{key}"
