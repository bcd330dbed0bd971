"""What the gateway is answered, payload format 2.0: JSON, or a problem."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tapstack.responder.api.problems import MEDIA_TYPE, Problem

Answer = tuple[int, dict[str, Any], dict[str, str]]
"""Status, body and further headers."""


def answered(path: str, work: Callable[[], Answer]) -> dict[str, Any]:
    """Return the answer to a request, or its refusal.

    Args:
        path: that was asked for.
        work: returns the answer, or raises a Problem.
    """
    try:
        status, body, headers = work()
        media_type = "application/json"
    except Problem as problem:
        status, body, headers = problem.status, problem.as_dict(path), problem.headers
        media_type = MEDIA_TYPE
    return {
        "statusCode": status,
        "headers": {
            "content-type": media_type,
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            **headers,
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
