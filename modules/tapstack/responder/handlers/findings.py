"""Decides about alerts, by the deployment's policy: GuardDuty's findings, Security Hub's, and those of other tools."""

from __future__ import annotations

from typing import Any

from tapstack.domain.finding_documents import SECURITY_HUB_EVENT_SOURCE
from tapstack.responder.handlers.observability import count, logger, observed
from tapstack.responder.incident import alerts, findings


def handler(event: object, context: object) -> dict[str, Any]:
    """Receive a finding from EventBridge; return what was done about it."""
    if isinstance(event, dict) and event.get("source") == SECURITY_HUB_EVENT_SOURCE:
        with observed("alerts.receive"):
            return _measured(alerts.receive_security_hub(event))
    with observed("findings.receive"):
        result = findings.receive(event)
        logger.info({"message": "finding received", **result})
    return result


def _measured(result: dict[str, Any]) -> dict[str, Any]:
    logger.info({"message": "alert received", **result})
    if result["unmatched"]:
        count("AlertsUnmatched")
    return result
