"""The operations of the incident API, each declared once: routing, the gateway's routes and OpenAPI follow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    Attributes:
        id: OpenAPI's `operationId`.
        method: of HTTP.
        path: `{id}` stands for the id of an incident.
        body: name of the schema of its body; none where it takes no body.
        of_containment: the gateway has a route to it only where instances may be contained.
    """

    id: str
    method: str
    path: str
    body: str | None = None
    of_containment: bool = False

    @property
    def route(self) -> str:
        """The route key of Amazon API Gateway: `POST /incidents`."""
        return f"{self.method} {self.path}"


OPERATIONS: Final = (
    Operation("openIncident", "POST", "/incidents", "OPEN"),
    Operation("listIncidents", "GET", "/incidents"),
    Operation("showIncident", "GET", "/incidents/{id}"),
    Operation("extendIncident", "POST", "/incidents/{id}/extend", "EXTEND"),
    Operation("closeIncident", "POST", "/incidents/{id}/close", "CLOSE"),
    Operation("containIncident", "POST", "/incidents/{id}/contain", "CONTAIN", of_containment=True),
    Operation("approveContainment", "POST", "/incidents/{id}/approve", "APPROVE", of_containment=True),
    Operation("overrideApproval", "POST", "/incidents/{id}/override", "OVERRIDE", of_containment=True),
    Operation("rejectContainment", "POST", "/incidents/{id}/reject", "REJECT", of_containment=True),
    Operation("releaseIncident", "POST", "/incidents/{id}/release", "RELEASE", of_containment=True),
)
CATCH_ALL: Final = "$default"
"""The gateway's route of whatever is no operation: the function refuses it in the API's own form, and only to those
who may call."""


def gateway_routes(*, contains: bool) -> tuple[str, ...]:
    """Return the route keys that the gateway needs.

    Args:
        contains: instances may be contained.
    """
    return (*(each.route for each in OPERATIONS if contains or not each.of_containment), CATCH_ALL)
