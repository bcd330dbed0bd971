"""The OpenAPI 3.1 document of the API, made from the schemas that requests are checked against."""

from __future__ import annotations

import json
from typing import Any, Final

from tapstack.responder.api import schemas
from tapstack.responder.api.problems import MEDIA_TYPE, TITLES

_GATEWAY: Final = {401: "No valid token", 403: "Not signed, or not allowed", 429: "Too many requests", 404: "", 503: ""}


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
            "summary": "Packet capture on demand: open an incident, look at it, extend it, close it.",
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
                    (400, 413, 415, 422, 500, 503),
                    [_parameter("header", "Idempotency-Key", schemas.IDEMPOTENCY_KEY)],
                    "Open",
                    headers={"Location": {"schema": {"type": "string"}, "description": "The incident's path."}},
                ),
                "get": _operation(
                    "listIncidents",
                    "List incidents, newest first; a failed one is open until it is closed",
                    {200: ("A page of incidents", "Listed")},
                    (400, 500, 503),
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
                    (404, 500, 503),
                    by_id,
                )
            },
            "/incidents/{id}/extend": {
                "post": _operation(
                    "extendIncident",
                    "Capture for longer",
                    {202: ("The incident, with its new time of expiry", "Incident")},
                    (400, 404, 409, 413, 415, 500, 503),
                    by_id,
                    "Extend",
                )
            },
            "/incidents/{id}/close": {
                "post": _operation(
                    "closeIncident",
                    "Close an incident; a failed one is cleaned up. Saying so twice is fine",
                    {202: ("The incident, which closes", "Incident")},
                    (400, 404, 413, 415, 500, 503),
                    by_id,
                    "Close",
                    body_required=False,
                )
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
) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, (description, schema) in answers.items():
        responses[str(status)] = {
            "description": description,
            **({"headers": headers} if headers else {}),
            "content": {"application/json": {"schema": _reference(schema)}},
        }
    for status in sorted({*problems, *_GATEWAY}):
        titles = [title for its, title in TITLES.values() if its == status and status in problems]
        described = "; ".join(filter(None, [*titles, _GATEWAY.get(status, "")])) or "There is nothing here"
        content: dict[str, Any] = {}
        if status in problems or status == 401:
            content[MEDIA_TYPE] = {"schema": _reference("Problem")}
        if status in _GATEWAY or status == 500:
            content["application/json"] = {"schema": _reference("GatewayProblem")}
        responses[str(status)] = {"description": described, "content": content}
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
