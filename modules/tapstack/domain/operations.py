"""The operations of the incident API, each declared once: routing, the gateway's routes and OpenAPI follow it.

A right is a route, or several: IAM policies name method and path, and the scopes of a token are those of a route. What
stands in a body, neither can tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from tapstack.domain.containment_settings import Mode

Right = Literal["read", "open", "extend", "close", "contain", "contain_now", "decide", "override", "release", "alert"]
"""What a caller may be allowed by itself."""
RIGHTS: Final[tuple[Right, ...]] = get_args(Right)
Body = Literal[
    "Open", "Extend", "Close", "Contain", "Approve", "Override", "ContainProtected", "Reject", "Release", "Alert"
]
"""The schema of a body, by its name in OpenAPI."""


LARGEST_BODY: Final = 65_536
"""Bytes of a body; a hundred interfaces and a long reason take a tenth of it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    Attributes:
        id: OpenAPI's `operationId`.
        method: of HTTP.
        path: `{id}` stands for the id of an incident.
        right: that the caller needs; none where it is the signature of the request that counts.
        body: the schema of its body; none where it takes no body.
        of_containment: the gateway has a route to it only where instances may be contained.
        mode: in which its path contains; none where it does not contain.
        opens: it opens an incident besides, and needs the right to open as well.
    """

    id: str
    method: str
    path: str
    right: Right | None
    body: Body | None = None
    of_containment: bool = False
    mode: Mode | None = None
    opens: bool = False

    @property
    def route(self) -> str:
        """The route key of Amazon API Gateway: `POST /incidents`."""
        return f"{self.method} {self.path}"

    def at(self, incident_id: str) -> str:
        """Return its path for an incident."""
        return self.path.replace("{id}", incident_id)

    def at_source(self, source: str) -> str:
        """Return its path for a source of alerts."""
        return self.path.replace("{source}", source)


OPERATIONS: Final = (
    Operation("openIncident", "POST", "/incidents", "open", "Open"),
    Operation(
        "openAndContain",
        "POST",
        "/incidents/contain",
        "contain",
        "Open",
        of_containment=True,
        mode="approval",
        opens=True,
    ),
    Operation(
        "openAndContainNow",
        "POST",
        "/incidents/contain-now",
        "contain_now",
        "Open",
        of_containment=True,
        mode="now",
        opens=True,
    ),
    Operation("listIncidents", "GET", "/incidents", "read"),
    Operation("showIncident", "GET", "/incidents/{id}", "read"),
    Operation("extendIncident", "POST", "/incidents/{id}/extend", "extend", "Extend"),
    Operation("closeIncident", "POST", "/incidents/{id}/close", "close", "Close"),
    Operation(
        "containIncident", "POST", "/incidents/{id}/contain", "contain", "Contain", of_containment=True, mode="approval"
    ),
    Operation(
        "containNow", "POST", "/incidents/{id}/contain-now", "contain_now", "Contain", of_containment=True, mode="now"
    ),
    Operation("approveContainment", "POST", "/incidents/{id}/approve", "decide", "Approve", of_containment=True),
    Operation("overrideApproval", "POST", "/incidents/{id}/override", "override", "Override", of_containment=True),
    Operation(
        "containProtected",
        "POST",
        "/incidents/{id}/contain-protected",
        "override",
        "ContainProtected",
        of_containment=True,
    ),
    Operation("rejectContainment", "POST", "/incidents/{id}/reject", "decide", "Reject", of_containment=True),
    Operation("releaseIncident", "POST", "/incidents/{id}/release", "release", "Release", of_containment=True),
)


SEND_ALERT: Final = Operation("sendAlert", "POST", "/alerts/{source}", "alert", "Alert")
"""An alert of another tool, from a caller that the gateway knows. `{source}` stands for a name of the deployment."""
SEND_WEBHOOK: Final = Operation("sendWebhook", "POST", "/webhooks/{source}", None, "Alert")
"""The same from a sender that the gateway does not know: the function verifies its signature."""
ALERT_OPERATIONS: Final = (SEND_ALERT, SEND_WEBHOOK)
"""What a function of its own answers, which may do nothing but keep alerts."""


BY_ID: Final = {each.id: each for each in OPERATIONS}
"""The operations by their ids."""


def operation_that_contains(mode: Mode, *, opens: bool) -> Operation:
    """Return the operation that contains in a mode, and opens an incident besides or is of one."""
    return next(each for each in OPERATIONS if each.mode == mode and each.opens == opens)


CATCH_ALL: Final = "$default"
"""The gateway's route of whatever is no operation: the function refuses it in the API's own form, and only to those
who may call."""


def right_of(route: str) -> Right | None:
    """Return the right that a route of the gateway is; None for that of whatever is no operation."""
    return next((each.right for each in (*OPERATIONS, SEND_ALERT) if each.route == route), None)


def gateway_routes(*, contains: bool) -> tuple[str, ...]:
    """Return the route keys that the gateway needs to the function of incidents.

    Args:
        contains: instances may be contained.
    """
    return (*(each.route for each in OPERATIONS if contains or not each.of_containment), CATCH_ALL)
