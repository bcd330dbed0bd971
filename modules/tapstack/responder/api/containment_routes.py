"""What the routes of containment do."""

from __future__ import annotations

from tapstack.responder.api.answers import Answer
from tapstack.responder.api.problems import Problem
from tapstack.responder.api.requests import Request, check_mode, read_json
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.containment.other_requests import other_requests
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident


def contain_incident(request: Request, incident_id: str) -> Answer:
    """POST /incidents/{id}/contain and contain-now: contain the instance, or say what that would change."""
    body = read_json(request)
    check_mode(request, body.get("mode"))
    mode = request.operation.mode
    if body.get("dry_run"):
        containment_requests.allowed(mode)
        return 200, containment_requests.plan_to_contain(incidents.get(incident_id)), {}
    skip_wait = body.get("skip_wait", False)
    if skip_wait and mode != "now":
        raise Problem("invalid-request", "skip_wait is for contain-now only: leave it out, or send this there")
    return _accepted(containment_requests.contain(incident_id, mode, by=request.caller, skip_wait=skip_wait))


def approve_containment(request: Request, incident_id: str) -> Answer:
    """POST /incidents/{id}/approve: approve a pending containment."""
    if read_json(request).get("dry_run"):
        return 200, containment_requests.plan_to_approve(_waiting(incident_id), by=request.caller), {}
    return _accepted(containment_requests.decide(incident_id, "approved", by=request.caller))


def override_approval(request: Request, incident_id: str) -> Answer:
    """POST /incidents/{id}/override: approve a pending containment, also one that the caller requested."""
    body = read_json(request)
    if body.get("dry_run"):
        return 200, containment_requests.plan_to_override(_waiting(incident_id), by=request.caller), {}
    return _accepted(containment_requests.decide(incident_id, "overridden", by=request.caller, reason=body["reason"]))


def contain_protected(request: Request, incident_id: str) -> Answer:
    """POST /incidents/{id}/contain-protected: request the containment of an instance that tags protect."""
    body = read_json(request)
    if body.get("dry_run"):
        return 200, containment_requests.plan_to_contain_protected(incidents.get(incident_id)), {}
    return _accepted(containment_requests.contain_protected(incident_id, body["reason"], by=request.caller))


def reject_containment(request: Request, incident_id: str) -> Answer:
    """POST /incidents/{id}/reject: reject a pending containment."""
    body = read_json(request)
    if body.get("dry_run"):
        return 200, containment_requests.plan_nothing(_waiting(incident_id)), {}
    return _accepted(
        containment_requests.decide(incident_id, "rejected", by=request.caller, reason=body.get("reason", ""))
    )


def release_incident(request: Request, incident_id: str) -> Answer:
    """POST /incidents/{id}/release: restore the prior state; or say what that would change, and what others changed."""
    body = read_json(request)
    given = {"overwrite": body.get("overwrite", False), "keep": body.get("keep", False)}
    all_incidents = body.get("all", False)
    if body.get("dry_run"):
        incident = incidents.get(incident_id)
        containment_requests.check_flags(**given)
        containment_requests.check_can_be_released(incident)
        return 200, containment_requests.plan_to_release(incident, **given, all_incidents=all_incidents), {}
    released = containment_requests.release(incident_id, by=request.caller.name, **given, all_incidents=all_incidents)
    others = other_requests(released)
    wanted_by = [one.as_dict() for one in others if not (all_incidents and one.holds)]
    return 202, {**incidents.shown(released), "wanted_by": wanted_by}, {}


def _waiting(incident_id: str) -> Incident:
    incident = incidents.get(incident_id)
    containment_requests.check_waits(incident)
    return incident


def _accepted(incident: Incident) -> Answer:
    return 202, incidents.shown(incident), {}
