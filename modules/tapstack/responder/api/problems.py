"""Refusals, as RFC 9457 (Problem Details for HTTP APIs) has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

MEDIA_TYPE: Final = "application/problem+json"
TITLES: Final[dict[str, tuple[int, str]]] = {
    "malformed-request": (400, "The request cannot be read"),
    "invalid-request": (400, "The request is not valid"),
    "not-authenticated": (401, "Nobody knows who asks"),
    "no-such-incident": (404, "There is no such incident"),
    "no-such-resource": (404, "There is nothing here"),
    "method-not-allowed": (405, "This cannot be done here"),
    "wrong-state": (409, "The incident is in another state"),
    "too-large": (413, "The request is too large"),
    "unsupported-media-type": (415, "The request is of a kind that is not taken"),
    "idempotency-key-reused": (422, "The Idempotency-Key stands for another request"),
    "internal-error": (500, "Something went wrong here"),
    "try-again": (503, "AWS does not answer well; the same request may be sent again"),
}
"""Status and title of every kind of refusal; the `type` of a problem is `urn:tapstack:problem:<kind>`."""


@dataclass
class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A refusal.

    Attributes:
        kind: key of `TITLES`.
        detail: what is wrong with this request.
        errors: what is wrong where.
        headers: that the answer has besides.
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
