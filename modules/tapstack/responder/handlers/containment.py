"""Cuts an instance off."""

from __future__ import annotations

from tapstack.responder import containing
from tapstack.responder.observing import serve

handler = serve("containment", {"contain": lambda event: containing.contain(event["incident_id"])})
