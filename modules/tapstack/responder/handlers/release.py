"""Restores what a containment changed, and what one that was overtaken changed late."""

from __future__ import annotations

from tapstack.responder.containment import releasing
from tapstack.responder.handlers.observing import serve

handler = serve(
    "release",
    {
        "release": lambda event: releasing.release(
            event["incident_id"],
            overwrite=bool(event.get("overwrite", False)),
            keep=bool(event.get("keep", False)),
            all_incidents=bool(event.get("all", False)),
        ),
        "put_back": lambda event: releasing.restore_again(event["incident_id"]),
    },
)
