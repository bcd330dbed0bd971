"""Writes events of incidents into the bucket that an XDR reads."""

from __future__ import annotations

from typing import Any

from tapstack.responder.observability import logger, observed
from tapstack.responder.telemetry.writer import write


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Write the events of a batch of SQS messages; return which ones are to be delivered again."""
    failed = []
    for record in event["Records"]:
        try:
            with observed("telemetry.write"):
                logger.info({"message": "telemetry written", "keys": write(record["body"])})
        except Exception:  # which `observed` has logged; one message stops no other
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
