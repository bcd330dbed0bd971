"""What each route does."""

from __future__ import annotations

import re
from typing import Any

from tapstack.domain.incidents import DEFAULT_LISTING, DEFAULT_PAGE, PAGE, check_minutes, read_request
from tapstack.domain.operations import BY_ID
from tapstack.responder.api import pages
from tapstack.responder.api.answers import Answer
from tapstack.responder.api.problems import Problem
from tapstack.responder.api.requests import Request, check, check_mode, read_json
from tapstack.responder.containment.other_requests import other_requests
from tapstack.responder.environment import environment
from tapstack.responder.incident import commands, opening
from tapstack.responder.incident.remains import still_exists
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident


def open_incident(request: Request) -> Answer:
    """POST /incidents, and /contain or /contain-now below it: open an incident, or find the one of the same request."""
    key = request.headers.get("idempotency-key")
    if key is not None:
        _check_parameter("Idempotency-Key", key)
    body = read_json(request)
    check_mode(request, body.get("containment"))
    if (mode := request.operation.mode) is not None:
        body["containment"] = mode
    limits = environment().capture
    asked = read_request(body, minutes=limits.minutes, max_minutes=limits.max_minutes)
    try:
        opened = opening.open_incident(asked, source="api", by=request.caller, idempotency_key=key)
    except opening.KeyReused as reused:
        raise Problem("idempotency-key-reused", str(reused)) from reused
    incident = opened.incident
    if incident is None:  # which only a report that opens none has
        raise Problem("internal-error", "the request opened no incident")
    linked = {"self": "showIncident", "close": "closeIncident", "extend": "extendIncident"}
    links = {name: BY_ID[id_].at(incident.id) for name, id_ in linked.items()}
    body = {"incident": incidents.shown(incident), "links": links, "joined": opened.how == "joined"}
    return 202, body, {"location": links["self"]}


def list_incidents(request: Request) -> Answer:
    """GET /incidents: a page of those that are open, or closed, newest first."""
    state = _check_parameter("state", request.query.get("state", DEFAULT_LISTING))
    given = request.query.get("limit", str(DEFAULT_PAGE))
    if not re.fullmatch(r"[1-9][0-9]{0,2}", given, re.ASCII):
        raise _wrong_parameter("limit", f"must be a whole number from {PAGE[0]} to {PAGE[1]}")
    limit = _check_parameter("limit", int(given))
    token = request.query.get("next")
    after = pages.read(_check_parameter("next", token)) if token is not None else None
    found, more = incidents.page(state, limit, after)
    body: dict[str, Any] = {"incidents": [incidents.shown(incident) for incident in found]}
    return 200, body | ({"next": pages.write(more)} if more else {}), {}


def show_incident(request: Request, incident_id: str) -> Answer:
    """GET /incidents/{id}: an incident with its timeline, what else wants its instance contained, what remains."""
    incident = incidents.get(incident_id)
    wanted_by = [one.as_dict() for one in other_requests(incident)] if _matters(incident) else []
    timeline = incidents.timeline(incident_id)
    more = {"timeline": timeline, "wanted_by": wanted_by, "still_exists": still_exists(incident)}
    return 200, {**incidents.shown(incident), **more}, {}


def _matters(incident: Incident) -> bool:
    """Return whether it matters what else wants its instance contained: it is to be released, or was."""
    return incident.containment_state in ("contained", "releasing", "blocked", "released")


def extend_incident(request: Request, incident_id: str) -> Answer:
    """POST /incidents/{id}/extend: capture for longer."""
    body = read_json(request)
    minutes = check_minutes(body["minutes"], most=environment().capture.max_minutes)
    return 202, incidents.shown(commands.extend(incident_id, minutes, by=request.caller.name)), {}


def close_incident(request: Request, incident_id: str) -> Answer:
    """POST /incidents/{id}/close: close it; idempotent."""
    body = read_json(request)
    return 202, incidents.shown(commands.close(incident_id, by=request.caller.name, reason=body.get("reason", ""))), {}


def _check_parameter(name: str, value: Any) -> Any:
    try:
        return check(name, value)
    except Problem as problem:
        raise _wrong_parameter(name, problem.errors[0]["problem"]) from problem


def _wrong_parameter(name: str, said: str) -> Problem:
    return Problem("invalid-request", f"{name} {said}", [{"where": name, "problem": said}])
