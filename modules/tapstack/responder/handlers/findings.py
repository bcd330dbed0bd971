"""Decides about a GuardDuty finding, by the deployment's policy."""

from __future__ import annotations

from typing import Any

from tapstack.responder.handlers.observability import logger, observed
from tapstack.responder.incident.findings import receive


def handler(event: object, context: object) -> dict[str, Any]:
    """Receive a finding from EventBridge; return what was done about it."""
    with observed("findings.receive"):
        result = receive(event)
        logger.info({"message": "finding received", **result})
    return result
