"""Releases an instance; restores again what an overtaken containment changed late."""

from __future__ import annotations

from tapstack.responder.containment import restoration
from tapstack.responder.handlers.serving import serve

handler = serve(
    "release",
    {
        "release": lambda event: restoration.release(
            event["incident_id"],
            overwrite=bool(event.get("overwrite", False)),
            keep=bool(event.get("keep", False)),
            all_incidents=bool(event.get("all", False)),
        ),
        "restore_again": lambda event: restoration.restore_again(event["incident_id"], event.get("waited", 0)),
        # Executions that an earlier version started use this name.
        "put_back": lambda event: restoration.restore_again(event["incident_id"]),
    },
)
