"""Finds the network interfaces of an incident."""

from __future__ import annotations

from tapstack.responder.capture import interfaces
from tapstack.responder.handlers.serving import serve

handler = serve("prepare", {"prepare": lambda event: interfaces.prepare(event["incident_id"])})
