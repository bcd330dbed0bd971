"""Launches and retires the appliance."""

from __future__ import annotations

from tapstack.responder.appliance import steps as appliance_steps
from tapstack.responder.handlers.serving import serve

handler = serve(
    "appliance",
    {
        "ensure": lambda event: appliance_steps.ensure(event["incident_id"]),
        "release": lambda event: appliance_steps.release(event["incident_id"]),
        "retire": lambda event: appliance_steps.retire(event["incident_id"]),
    },
)
