"""Puts back what a containment changed."""

from __future__ import annotations

from tapstack.responder import releasing
from tapstack.responder.observing import serve

handler = serve(
    "release",
    {
        "release": lambda event: releasing.release(
            event["incident_id"],
            overwrite=bool(event.get("overwrite", False)),
            keep=bool(event.get("keep", False)),
            everybody=bool(event.get("all", False)),
        )
    },
)
