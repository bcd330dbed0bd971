"""The opaque token that says where the next page begins."""

from __future__ import annotations

import base64
import binascii

from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import as_time, check_incident_id
from tapstack.responder.api.problems import Problem


def write(after: tuple[str, str]) -> str:
    """Return the token for the page after an incident, given by opening time and id."""
    return base64.urlsafe_b64encode("|".join(after).encode()).decode().rstrip("=")


def read(token: str) -> tuple[str, str]:
    """Return opening time and id of the incident that a token names.

    Raises:
        Problem: the token is none of this API.
    """
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode("ascii")
        opened_at, _, incident_id = text.partition("|")
        as_time(opened_at)
        return opened_at, check_incident_id(incident_id)
    except (binascii.Error, ValueError, RuleViolation) as error:
        said = "must be what the page before returned"
        raise Problem("invalid-request", f"next {said}", [{"where": "next", "problem": said}]) from error
