"""Finds the network interfaces of an incident."""

from __future__ import annotations

from tapstack.responder import interfaces
from tapstack.responder.observing import serve

handler = serve("prepare", {"prepare": lambda event: interfaces.prepare(event["incident_id"])})
