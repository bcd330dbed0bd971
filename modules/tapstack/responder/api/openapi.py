"""The OpenAPI 3.1 document of the API, made from the schemas that requests are checked against."""

from __future__ import annotations

import json
from typing import Any, Final

from tapstack.responder.api import schemas
from tapstack.responder.api.problems import MEDIA_TYPE, TITLES

_GATEWAY: Final = {
    401: "No valid token",
    403: "Not signed, or not allowed",
    413: "The request is too large for the gateway",
    429: "Too many requests",
    431: "The address and the headers are too large for the gateway",
    500: "The function failed",
    503: "The function took too long",
}
"""What the gateway answers by itself, whatever the operation."""
_ANYWHERE: Final = frozenset({401, 413, 500, 503})
"""What the function refuses whatever the operation."""
_LINKS: Final = {
    "showIncident": "Look at it.",
    "extendIncident": "Capture for longer.",
    "closeIncident": "End it.",
}

_CONTAINMENT: Final = {
    "contain": ("containIncident", "Cut the instance off, now or on approval; 409 where a guard rail forbids it"),
    "approve": ("approveContainment", "Agree to a containment that waits for it"),
    "reject": ("rejectContainment", "Refuse a containment that waits for approval"),
    "release": ("releaseIncident", "Put everything back, whether the incident is open or closed"),
}


def render(version: str) -> str:
    """Return the document as text, as it is published."""
    return json.dumps(document(version), indent=2, ensure_ascii=True) + "\n"


def document(version: str) -> dict[str, Any]:
    """Return the document.

    Args:
        version: of Tapstack.
    """
    by_id = [_parameter("path", "id", schemas.INCIDENT_ID, required=True)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tapstack incidents",
            "version": version,
            "summary": "Packet capture on demand: open an incident, look at it, extend it, contain it, close it.",
            "description": "Requests are signed with AWS Signature Version 4 for `execute-api`, or bear a token, "
            "as the deployment says. Work goes on after the answer: 202 means that it has begun.",
        },
        "servers": [{"url": "/"}],
        "security": [{"sigv4": []}, {"jwt": []}],
        "paths": {
            "/incidents": {
                "post": _operation(
                    "openIncident",
                    "Open an incident",
                    {202: ("Opened, or the same as before", "Opened")},
                    (400, 409, 415, 422),
                    [_parameter("header", "Idempotency-Key", schemas.IDEMPOTENCY_KEY)],
                    "Open",
                    headers={
                        "Location": {
                            "required": True,
                            "schema": {"type": "string"},
                            "description": "The incident's path.",
                        }
                    },
                    links={
                        name: {
                            "operationId": name,
                            "parameters": {"id": "$response.body#/incident/id"},
                            "description": text,
                        }
                        for name, text in _LINKS.items()
                    },
                ),
                "get": _operation(
                    "listIncidents",
                    "List incidents, newest first; a failed one is open until it is closed",
                    {200: ("A page of incidents", "Listed")},
                    (400,),
                    [
                        _parameter("query", "state", schemas.STATE),
                        _parameter("query", "limit", schemas.LIMIT),
                        _parameter("query", "next", schemas.NEXT),
                    ],
                ),
            },
            "/incidents/{id}": {
                "get": _operation(
                    "showIncident",
                    "Show an incident with its timeline",
                    {200: ("The incident", "IncidentWithTimeline")},
                    (404,),
                    by_id,
                )
            },
            "/incidents/{id}/extend": {
                "post": _operation(
                    "extendIncident",
                    "Capture for longer",
                    {202: ("The incident, with its new time of expiry", "Incident")},
                    (400, 404, 409, 415),
                    by_id,
                    "Extend",
                )
            },
            "/incidents/{id}/close": {
                "post": _operation(
                    "closeIncident",
                    "Close an incident; a failed one is cleaned up. Saying so twice is fine",
                    {202: ("The incident, which closes", "Incident")},
                    (400, 404, 415),
                    by_id,
                    "Close",
                    body_required=False,
                )
            },
            **{
                f"/incidents/{{id}}/{name}": {
                    "post": _operation(
                        operation_id,
                        summary,
                        {
                            202: ("The incident; the work goes on", "Incident"),
                            200: ("What would change, for a dry run", "Plan"),
                        },
                        (400, 404, 409, 415),
                        by_id,
                        name.capitalize(),
                        body_required=False,
                    )
                }
                for name, (operation_id, summary) in _CONTAINMENT.items()
            },
        },
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


def _operation(
    operation_id: str,
    summary: str,
    answers: dict[int, tuple[str, str]],
    problems: tuple[int, ...],
    parameters: list[dict[str, Any]],
    body: str | None = None,
    *,
    body_required: bool = True,
    headers: dict[str, Any] | None = None,
    links: dict[str, Any] | None = None,
) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, (description, schema) in answers.items():
        responses[str(status)] = {
            "description": description,
            **({"headers": headers} if headers else {}),
            "content": {"application/json": {"schema": _reference(schema)}},
            **({"links": links} if links else {}),
        }
    for status in sorted({*problems, *_ANYWHERE, *_GATEWAY}):
        responses[str(status)] = _refusal(status, by_function=status in problems or status in _ANYWHERE)
    operation: dict[str, Any] = {
        "operationId": operation_id,
        "summary": summary,
        "parameters": parameters,
        "responses": responses,
    }
    if body is not None:
        operation["requestBody"] = {
            "required": body_required,
            "content": {"application/json": {"schema": _reference(body)}},
        }
    return operation


def _refusal(status: int, *, by_function: bool) -> dict[str, Any]:
    """Describe a refusal of the function, of the gateway before it, or of either."""
    titles = [title for its, title in TITLES.values() if its == status and by_function]
    content: dict[str, Any] = {}
    if by_function:
        content[MEDIA_TYPE] = {"schema": _reference("Problem")}
    if status in _GATEWAY:
        content["application/json"] = {"schema": _reference("GatewayProblem")}
    return {"description": "; ".join(filter(None, [*titles, _GATEWAY.get(status)])), "content": content}


def _parameter(where: str, name: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    described = {"description": schema["description"]} if "description" in schema else {}
    return {
        "name": name,
        "in": where,
        "required": required,
        **described,
        "schema": {key: value for key, value in schema.items() if key != "description"},
    }


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}
