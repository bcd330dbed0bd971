"""Launches and retires the appliance."""

from __future__ import annotations

from tapstack.responder import appliances
from tapstack.responder.observing import serve

handler = serve(
    "appliance",
    {
        "ensure": lambda event: appliances.ensure(event["incident_id"]),
        "release": lambda event: appliances.release(event["incident_id"]),
        "retire": lambda event: appliances.retire(event["incident_id"]),
    },
)
