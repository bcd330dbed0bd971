"""Starts, extends and stops mirroring."""

from __future__ import annotations

from tapstack.responder import capturing
from tapstack.responder.observing import serve

handler = serve(
    "capture",
    {
        "start": lambda event: capturing.start(event["incident_id"]),
        "extend": lambda event: capturing.extend(event["incident_id"]),
        "stop": lambda event: capturing.stop(event["incident_id"]),
    },
)
