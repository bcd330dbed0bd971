"""Refusals, as RFC 9457 (Problem Details for HTTP APIs) has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

MEDIA_TYPE: Final = "application/problem+json"
TITLES: Final[dict[str, tuple[int, str]]] = {
    "malformed-request": (400, "Malformed request"),
    "invalid-request": (400, "Invalid request"),
    "not-authenticated": (401, "Authentication required"),
    "right-needed": (403, "A separate permission is needed"),
    "other-person-needed": (403, "Another person must approve"),
    "no-such-incident": (404, "Incident not found"),
    "no-such-resource": (404, "Not found"),
    "method-not-allowed": (405, "Method not allowed"),
    "wrong-state": (409, "Conflict with the incident's state"),
    "too-large": (413, "Request too large"),
    "unsupported-media-type": (415, "Unsupported media type"),
    "idempotency-key-reused": (422, "Idempotency-Key was used for another request"),
    "internal-error": (500, "Internal error"),
    "try-again": (503, "Temporarily unavailable, retry the request"),
}
"""Status and title of every kind of refusal; the `type` of a problem is `urn:tapstack:problem:<kind>`."""


@dataclass
class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A refusal.

    Attributes:
        kind: key of `TITLES`.
        detail: what is wrong with this request.
        errors: each with where it is and what is wrong.
        headers: further ones of the response.
    """

    kind: str
    detail: str
    errors: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The status of HTTP."""
        return TITLES[self.kind][0]

    def as_dict(self, instance: str) -> dict[str, Any]:
        """Return the body of the answer.

        Args:
            instance: the path that was asked for.
        """
        status, title = TITLES[self.kind]
        body: dict[str, Any] = {
            "type": f"urn:tapstack:problem:{self.kind}",
            "title": title,
            "status": status,
            "detail": self.detail,
            "instance": instance,
        }
        return body | ({"errors": self.errors} if self.errors else {})
