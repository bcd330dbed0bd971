"""Names of the environment variables of the functions: the constructs write them, the functions read them."""

from __future__ import annotations

from typing import Final

DEPLOYMENT: Final = "TAPSTACK_DEPLOYMENT"
SITE: Final = "TAPSTACK_SITE"
TABLE: Final = "TAPSTACK_TABLE"
STATE_MACHINE_ARN: Final = "TAPSTACK_STATE_MACHINE_ARN"
TOPIC_ARNS: Final = "TAPSTACK_TOPIC_ARN"
"""Several are separated by commas."""
EVENT_BUS_NAME: Final = "TAPSTACK_EVENT_BUS"
API_URL: Final = "TAPSTACK_API_URL"
SETTINGS: Final = "TAPSTACK_SETTINGS"
"""JSON."""
POLICY: Final = "TAPSTACK_POLICY"
"""JSON; only of the function that receives findings, as is the next one."""
LANDING_BUCKET: Final = "TAPSTACK_LANDING_BUCKET"
ALERT_QUEUE: Final = "TAPSTACK_ALERT_QUEUE_URL"
"""Only of the function that takes alerts, as is the next one."""
OVERLAP: Final = "TAPSTACK_OVERLAP_HOURS"
TELEMETRY_BUCKET: Final = "TAPSTACK_TELEMETRY_BUCKET"
"""Only of the function that writes events of incidents, as is the next one."""
TELEMETRY_OCSF: Final = "TAPSTACK_TELEMETRY_OCSF"
"""`true` or `false`."""
