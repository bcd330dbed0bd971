"""Writes events of incidents into the bucket that an XDR reads."""

from __future__ import annotations

from typing import Any

from tapstack.responder.handlers.batches import take_each
from tapstack.responder.observability import logger, observed
from tapstack.responder.telemetry.writer import write


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Write the events of a batch of SQS messages; return which ones are to be delivered again."""
    return take_each(event["Records"], _write)


def _write(record: dict[str, Any]) -> None:
    with observed("telemetry.write"):
        logger.info({"message": "telemetry written", "keys": write(record["body"])})
