"""Contains an instance."""

from __future__ import annotations

from tapstack.responder.containment import isolation
from tapstack.responder.handlers.serving import serve

handler = serve("containment", {"contain": lambda event: isolation.contain(event["incident_id"])})
