"""Decides about alerts, by the deployment's policy: GuardDuty's findings, Security Hub's, and those of other tools."""

from __future__ import annotations

from typing import Any

from tapstack.domain.finding_documents import SECURITY_HUB_EVENT_SOURCE
from tapstack.domain.kept_alerts import kept_alert
from tapstack.responder.handlers.batches import take_each
from tapstack.responder.incident import alerts, findings
from tapstack.responder.observability import logger, observed


def handler(event: object, context: object) -> dict[str, Any]:
    """Receive a finding from EventBridge, and return what was done about it; or alerts from the queue (`take_each`)."""
    if isinstance(event, dict) and _is_batch(event.get("Records")):
        return take_each(event["Records"], _receive_kept)
    if isinstance(event, dict) and event.get("source") == SECURITY_HUB_EVENT_SOURCE:
        with observed("alerts.receive"):
            return _logged(alerts.receive_security_hub(event))
    with observed("findings.receive"):
        result = findings.receive(event)
        logger.info({"message": "finding received", **result})
    return result


def _is_batch(records: object) -> bool:
    """Return whether these are messages of a queue; SNS has records, too."""
    return isinstance(records, list) and all(
        isinstance(one, dict) and one.get("eventSource") == "aws:sqs" for one in records
    )


def _receive_kept(record: dict[str, Any]) -> None:
    with observed("alerts.receive"):
        _logged(alerts.receive_kept(kept_alert(record["body"])))


def _logged(result: dict[str, Any]) -> dict[str, Any]:
    logger.info({"message": "alert received", **result})
    return result
