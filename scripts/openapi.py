"""The OpenAPI 3.1 document of the API, made from the schemas that requests are checked against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tapstack.domain.operations import ALERT_OPERATIONS, OPERATIONS, Operation
from tapstack.domain.webhook_signatures import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from tapstack.responder.api import schemas
from tapstack.responder.api.problems import MEDIA_TYPE, TITLES

_GATEWAY: Final = {
    401: "No valid token",
    403: "Not signed, or not allowed",
    413: "Request too large for the gateway",
    429: "Too many requests",
    431: "URL and headers too large for the gateway",
    500: "The function failed or timed out",
    503: "The function did not answer within 29 seconds",
}
"""What the gateway answers by itself, whatever the operation."""
_ANYWHERE: Final = frozenset({401, 413, 500, 503})
"""What the function refuses whatever the operation."""
_LINKS: Final = {
    "showIncident": "Show the incident.",
    "extendIncident": "Capture for longer.",
    "closeIncident": "Close the incident.",
}


@dataclass(frozen=True)
class _Details:
    """What the document says of an operation besides what `domain.operations` declares."""

    summary: str
    answers: dict[int, tuple[str, str]]
    problems: tuple[int, ...]
    parameters: tuple[dict[str, Any], ...] = ()
    body_required: bool = True
    headers: dict[str, Any] | None = None
    links: dict[str, Any] | None = None


def _containment(
    summary: str, answer: str = "Incident", *, refusals: tuple[int, ...] = (), body_required: bool = False
) -> _Details:
    answers = {
        202: ("The incident; the work has begun", answer),
        200: ("What would change, for a dry run", "Plan"),
    }
    return _Details(summary, answers, (400, *refusals, 404, 409, 415), body_required=body_required)


def _parameter(where: str, name: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    described = {"description": schema["description"]} if "description" in schema else {}
    return {
        "name": name,
        "in": where,
        "required": required,
        **described,
        "schema": {key: value for key, value in schema.items() if key != "description"},
    }


def _opening(summary: str) -> _Details:
    return _Details(
        summary,
        {202: ("Opened, joined, or the same as before", "Opened")},
        (400, 403, 409, 415, 422),
        (_parameter("header", "Idempotency-Key", schemas.PARAMETERS["Idempotency-Key"]),),
        headers={"Location": {"required": True, "schema": {"type": "string"}, "description": "The incident's path."}},
        links={
            name: {
                "operationId": name,
                "parameters": {"id": "$response.body#/incident/id"},
                "description": text,
            }
            for name, text in _LINKS.items()
        },
    )


_KEPT: Final = {202: ("Kept; the policy decides about it next, and the answer does not say how", "Kept")}
_SIGNATURE: Final = {
    ID_HEADER: (
        "Id of the delivery, without a full stop. Sent again with the same id it is the same alert.",
        schemas.WEBHOOK_ID,
    ),
    TIMESTAMP_HEADER: ("Seconds of the epoch when it is sent; five minutes from now at most.", schemas.TIMESTAMP),
    SIGNATURE_HEADER: (
        "Up to five signatures, separated by blanks: `v1,` and the base64 of HMAC-SHA256 over id, timestamp and body, "
        "with full stops between them, as Standard Webhooks has it.",
        schemas.SIGNATURE,
    ),
}


_DETAILS: Final = {
    "openIncident": _opening("Open an incident"),
    "openAndContain": _opening("Open an incident, and request the containment of its instance"),
    "openAndContainNow": _opening("Open an incident, and contain its instance at once"),
    "listIncidents": _Details(
        "List incidents, newest first; a failed one counts as open until it is closed",
        {200: ("A page of incidents", "Listed")},
        (400,),
        (
            _parameter("query", "state", schemas.PARAMETERS["state"]),
            _parameter("query", "limit", schemas.PARAMETERS["limit"]),
            _parameter("query", "next", schemas.PARAMETERS["next"]),
        ),
    ),
    "showIncident": _Details(
        "Show an incident with its timeline", {200: ("The incident", "IncidentWithTimeline")}, (404,)
    ),
    "extendIncident": _Details(
        "Capture for longer", {202: ("The incident, with its new time of expiry", "Incident")}, (400, 404, 409, 415)
    ),
    "closeIncident": _Details(
        "Close an incident; of a failed one, delete what remains. Idempotent",
        {202: ("The incident, which is being closed", "Incident")},
        (400, 404, 415),
        body_required=False,
    ),
    "containIncident": _containment(
        "Request the containment of the instance, which another person approves; 409 when refused", refusals=(403,)
    ),
    "containNow": _containment(
        "Contain the instance at once, which needs a separate permission; 409 when refused", refusals=(403,)
    ),
    "approveContainment": _containment(
        "Approve a containment that is pending; 403 for whoever requested it", refusals=(403,)
    ),
    "overrideApproval": _containment(
        "Approve a containment that is pending without another person, which needs a separate permission. 403 for "
        "whoever requested one that overrides a protection",
        refusals=(403,),
        body_required=True,
    ),
    "containProtected": _containment(
        "Request the containment of an instance that tags protect, with the right to override; another person approves "
        "it; 409 when refused",
        body_required=True,
    ),
    "rejectContainment": _containment("Reject a containment that is pending"),
    "releaseIncident": _containment(
        "Restore the prior state, whether the incident is open or closed; say what else wants the instance contained",
        "Released",
    ),
    "sendAlert": _Details(
        "Send an alert of a source, for the policy to decide about",
        _KEPT,
        (400, 404),
        (_parameter("header", "Idempotency-Key", schemas.WEBHOOK_ID),),
    ),
    "sendWebhook": _Details(
        "Send an alert of a source, signed as Standard Webhooks has it; every refusal says the same",
        _KEPT,
        (400,),
        tuple(
            _parameter("header", name, {**schema, "description": text}, required=True)
            for name, (text, schema) in _SIGNATURE.items()
        ),
    ),
}


def render(version: str) -> str:
    """Return the document as text, as it is published."""
    return json.dumps(document(version), indent=2, ensure_ascii=True) + "\n"


def document(version: str) -> dict[str, Any]:
    """Return the document.

    Args:
        version: of Tapstack.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in (*OPERATIONS, *ALERT_OPERATIONS):
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tapstack incidents",
            "version": version,
            "summary": "Packet capture on demand: open, show, extend and close incidents, contain and release "
            "their instances.",
            "description": "Requests are signed with AWS Signature Version 4 for `execute-api`, or bear a token, "
            "as the deployment says. 202 means that the work has begun; it continues after the response.",
        },
        "servers": [{"url": "/"}],
        "security": [{"sigv4": []}, {"jwt": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.COMPONENTS,
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "description": "AWS Signature Version 4.",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                },
                "jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    details = _DETAILS[operation.id]
    responses: dict[str, Any] = {}
    for status, (description, schema) in details.answers.items():
        responses[str(status)] = {
            "description": description,
            **({"headers": details.headers} if details.headers else {}),
            "content": {"application/json": {"schema": _reference(schema)}},
            **({"links": details.links} if details.links else {}),
        }
    # The gateway lets everybody send what the function verifies.
    gateway = _GATEWAY if operation.right is not None else {k: v for k, v in _GATEWAY.items() if k not in (401, 403)}
    for status in sorted({*details.problems, *_ANYWHERE, *gateway}):
        by_function = status in details.problems or status in _ANYWHERE
        responses[str(status)] = _refusal(status, gateway, by_function=by_function)
    by_id = [
        _parameter("path", name, schema, required=True)
        for name, schema in (("id", schemas.INCIDENT_ID), ("source", schemas.SOURCE))
        if f"{{{name}}}" in operation.path
    ]
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": details.summary,
        "parameters": [*by_id, *details.parameters],
        "responses": responses,
        **({} if operation.right is not None else {"security": []}),
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": details.body_required,
            "content": {"application/json": {"schema": _reference(operation.body)}},
        }
    return described


def _refusal(status: int, gateway: Mapping[int, str], *, by_function: bool) -> dict[str, Any]:
    """Describe a refusal of the function, of the gateway before it, or of either."""
    titles = [title for its, title in TITLES.values() if its == status and by_function]
    content: dict[str, Any] = {}
    if by_function:
        content[MEDIA_TYPE] = {"schema": _reference("Problem")}
    if status in gateway:
        content["application/json"] = {"schema": _reference("GatewayProblem")}
    return {"description": "; ".join(filter(None, [*titles, gateway.get(status)])), "content": content}


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
