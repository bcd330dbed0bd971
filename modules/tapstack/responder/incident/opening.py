"""Opens incidents: once for each request and each alert, and ensures that the execution runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace

from tapstack.domain.containment_settings import contain_command
from tapstack.domain.incidents import OpenRequest, Source
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.environment import environment
from tapstack.responder.errors import Conflict
from tapstack.responder.outbound import executions
from tapstack.responder.store import incidents
from tapstack.responder.store import opening as store
from tapstack.responder.store.incidents import Incident
from tapstack.responder.store.opening import Known, RequestKey
from tapstack.responder.store.retry import retried


class KeyReused(Exception):  # noqa: N818
    """The Idempotency-Key was sent before, with another request."""


class AlertTaken(Conflict):
    """The alert's incident does not match the request: it captures other interfaces, is closed, or has no containment.

    Attributes:
        incident: the incident of the alert.
    """

    def __init__(
        self, incident: Incident, why: str, do: str = "send this request with another alert_id, or without"
    ) -> None:
        super().__init__(f"alert_id {incident.alert_id} belongs to incident {incident.id}, which {why}: {do}")
        self.incident = incident


def open_incident(
    request: OpenRequest, *, source: Source, opened_by: str, idempotency_key: str | None = None
) -> Incident:
    """Open an incident, or return the one that the same key or alert opened; ensure that its execution runs.

    Args:
        request: what is requested.
        source: how it came in.
        opened_by: who requests it.
        idempotency_key: of the request; a caller that repeats the request sends it again.

    Raises:
        KeyReused: the key was sent before, with another request.
        AlertTaken: the alert's incident captures other interfaces, is closed or closing, or was opened without the
            requested containment.
        Conflict: containment is requested, and not configured, or not in this mode.
        TryAgain: the execution could not be started. The incident exists; the same request starts the execution.
    """
    if request.containment != "none":
        containment_requests.allowed(request.containment)
    keys = _keys(request, source, opened_by, idempotency_key)

    def attempt() -> Incident | None:
        known = {key: store.find(key) for key in keys}
        if (before := _before(request, known)) is not None:
            return before
        incident = _new(request, source, opened_by)
        named = {key: found.incident_id if found else None for key, found in known.items()}
        return incident if store.put(incident, named) else None

    return _running(retried(attempt, "others open the same incident"))


def _keys(request: OpenRequest, source: Source, opened_by: str, idempotency_key: str | None) -> list[RequestKey]:
    fingerprint = hashlib.sha256(json.dumps(asdict(request), sort_keys=True).encode()).hexdigest()
    keys = []
    if idempotency_key is not None:
        scope = store.caller_scope(opened_by)
        keys.append(RequestKey("idempotency-key", idempotency_key, scope, fingerprint))
    if request.alert_id is not None:
        scope = store.alert_scope(source, environment().home)
        keys.append(RequestKey("alert", request.alert_id, scope, fingerprint))
    return keys


def _before(request: OpenRequest, known: Mapping[RequestKey, Known | None]) -> Incident | None:
    """Return the incident of one of the keys; None where none has one, or it was deleted."""
    for key, found in known.items():
        if found is None or found.incident is None:
            continue
        if key.kind == "idempotency-key" and found.fingerprint != key.fingerprint:
            raise KeyReused(f"this Idempotency-Key opened {found.incident_id} with another request")
        if key.kind == "alert":
            _check_same(found.incident, request)
        return found.incident
    return None


def _check_same(incident: Incident, request: OpenRequest) -> None:
    """Refuse an alert whose incident does not match the request."""
    asked = request.instance_id, set(request.network_interface_ids)
    if asked != (incident.instance_id, set(incident.network_interface_ids)):
        captured = incident.instance_id or ", ".join(incident.network_interface_ids)
        raise AlertTaken(incident, f"captures {captured}")
    if incident.state in ("closing", "closed") or incident.close_requested:
        raise AlertTaken(incident, "is closed" if incident.state == "closed" else "is closing")
    if request.containment != "none" and not incident.containment:
        contain = contain_command(incident.id, request.containment)
        raise AlertTaken(incident, "was opened without containment", contain)


def _new(request: OpenRequest, source: Source, opened_by: str) -> Incident:
    incident = incidents.new(request, source=source, opened_by=opened_by)
    if request.containment == "none":
        return incident
    containment = containment_requests.record(request.containment, opened_by)
    return replace(incident, containment=containment, contain_runs=1)


def _running(incident: Incident) -> Incident:
    if not incident.execution_arns and incident.state == "opening":
        if incident.containment_state in ("pending", "containing"):
            executions.ensure(incident, "contain")
        executions.start(incident.id)
    return incident
