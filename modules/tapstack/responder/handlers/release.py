"""Restores what a containment changed, and what one that was overtaken changed late."""

from __future__ import annotations

from tapstack.responder.containment import restoration
from tapstack.responder.handlers.observability import serve

handler = serve(
    "release",
    {
        "release": lambda event: restoration.release(
            event["incident_id"],
            overwrite=bool(event.get("overwrite", False)),
            keep=bool(event.get("keep", False)),
            all_incidents=bool(event.get("all", False)),
        ),
        "restore_again": lambda event: restoration.restore_again(event["incident_id"]),
        # Executions that version 0.2.0 started call it so.
        "put_back": lambda event: restoration.restore_again(event["incident_id"]),
    },
)
