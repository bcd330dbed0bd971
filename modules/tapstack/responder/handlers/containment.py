"""Cuts an instance off."""

from __future__ import annotations

from tapstack.responder.containment import containing
from tapstack.responder.handlers.observing import serve

handler = serve("containment", {"contain": lambda event: containing.contain(event["incident_id"])})
