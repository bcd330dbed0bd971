"""Starts, extends and stops mirroring."""

from __future__ import annotations

from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.handlers.serving import serve

handler = serve(
    "capture",
    {
        "start": lambda event: capture_steps.start(event["incident_id"]),
        "extend": lambda event: capture_steps.extend(event["incident_id"]),
        "stop": lambda event: capture_steps.stop(event["incident_id"]),
    },
)
