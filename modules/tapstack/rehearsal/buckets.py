"""Policies around buckets are IAM's to evaluate: moto knows neither their conditions nor their principals.

Where IAM is enforced, a bucket notifies queues and topics only where their policies let S3.

Source: Amazon S3 User Guide, "Granting permissions to publish event notification messages to a destination".
"""

from __future__ import annotations

import functools
from typing import Any

from tapstack.rehearsal.iam.access import service_may
from tapstack.rehearsal.running import running


@functools.cache
def install() -> None:
    """Leave the policies of moto's buckets to IAM, once a process."""
    from moto.iam.access_control import PermissionResult
    from moto.s3 import notifications, responses
    from moto.s3.models import FakeBucket

    bucket: Any = FakeBucket
    bucket.get_permission = lambda _self, _action, _resource: PermissionResult.NEUTRAL
    # The Region is that of the signature, and not what a key may look like.
    reading: Any = responses
    reading.parse_region_from_url = lambda _url, use_default_region=True: None
    module: Any = notifications
    module._send_sqs_message = _where_allowed(module._send_sqs_message, "sqs:SendMessage", "sqs")
    module._send_sns_message = _where_allowed(module._send_sns_message, "sns:Publish", "")


def _where_allowed(send: Any, action: str, service: str) -> Any:
    @functools.wraps(send)
    def send_where_allowed(account_id: str, event_body: Any, name: str, region_name: str) -> None:
        arn = f"arn:aws:{service}:{region_name}:{account_id}:{name}" if service else name
        source = event_body["Records"][0]["s3"]["bucket"]["arn"] if "Records" in event_body else ""
        if not running().enforces_iam or service_may("s3.amazonaws.com", action, arn, source):
            send(account_id, event_body, name, region_name)

    return send_where_allowed
