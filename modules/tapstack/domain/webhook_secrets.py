"""The secrets that webhooks are signed with: what they are called, and for how long the one before is accepted.

Source: AWS Secrets Manager User Guide, "What's in a Secrets Manager secret?" (versions and their staging labels).
"""

from __future__ import annotations

from typing import Final

CURRENT: Final = "AWSCURRENT"
PREVIOUS: Final = "AWSPREVIOUS"
"""Staging labels: Secrets Manager moves them when a new value is put."""
OVERLAP_HOURS: Final = (0, 168)
"""For how long the secret before is accepted."""
DEFAULT_OVERLAP_HOURS: Final = 24
ALERT_QUEUE: Final = "TAPSTACK_ALERT_QUEUE_URL"
OVERLAP: Final = "TAPSTACK_OVERLAP_HOURS"
"""Variables of the function that takes alerts."""


def webhook_secret_name(deployment: str, site: str, source: str) -> str:
    """Return the name of the secret of a source.

    Args:
        deployment: name of the deployment.
        site: name of the site.
        source: name of the source.
    """
    return f"{deployment}-{site}-response/webhooks/{source}"
