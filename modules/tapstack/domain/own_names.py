"""Names that IAM, the constructs, the functions and the checks share: each is written here and nowhere else.

The tags of what incidents create are in `domain.incidents`, the names of the table in `domain.table_names`.
"""

from __future__ import annotations

from typing import Final, Literal

EVENT_SOURCE: Final = "tapstack"
"""Of all events; the functions' roles may put no others."""
EVENT_BUS: Final = "default"
METRICS_NAMESPACE: Final = "Tapstack"
METRICS_SERVICE: Final = "tapstack"
"""A dimension of all metrics, and the service in all logs."""
APPLIANCE_HOURS: Final = "ApplianceHours"
"""How long the launched appliance has been running; each sweep publishes it."""
CONTAINMENTS_FAILED: Final = "ContainmentsFailed"
RELEASES_BLOCKED: Final = "ReleasesBlocked"
"""Metrics of the workflow's steps where instances may be contained."""
NOTIFICATIONS_UNDELIVERED: Final = "NotificationsUndelivered"
"""That a topic did not take, or the event bus, each time that it is tried."""
ALERTS_KEPT: Final = "AlertsKept"
WEBHOOKS_REFUSED: Final = "WebhooksRefused"
"""Of sources of the deployment, which lose what they sent."""
WEBHOOKS_UNKNOWN: Final = "WebhooksUnknown"
"""To names that are no source with webhooks, and those that have not the headers of a signed webhook."""
ALERTS_UNMATCHED: Final = "AlertsUnmatched"
"""Metrics of alerts that other tools send."""
ALERTS_NOT_NOTIFIED: Final = "AlertsNotNotified"
"""Of alerts, GuardDuty's findings too, that operators were not notified of: there were too many within the hour."""

TAG_PURPOSE: Final = "tapstack:purpose"
"""On the security groups of containment: which of the two it is."""
Purpose = Literal["quarantine", "untrack"]

STACK_NAME_TAG: Final = "aws:cloudformation:stack-name"
STACK_ID_TAG: Final = "aws:cloudformation:stack-id"
"""CloudFormation gives these tags to the resources of its stacks."""


def metric_dimensions(deployment: str, site: str) -> dict[str, str]:
    """Return the dimensions of the metrics of a site, which alarms and the dashboard read."""
    return {"service": METRICS_SERVICE, "deployment": deployment, "site": site}
