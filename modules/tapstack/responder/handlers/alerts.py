"""Keeps alerts that other tools send over the HTTP API."""

from __future__ import annotations

from typing import Any

from tapstack.responder.api.alert_routes import answer
from tapstack.responder.aws import clients

# The gateway times out after 30 seconds.
clients.use_short_timeouts()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Keep one alert, payload format 2.0."""
    return answer(event)
