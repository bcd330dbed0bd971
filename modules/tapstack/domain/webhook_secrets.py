"""How alerts of other tools come in: names of what they pass, and for how long a secret before is accepted.

Source: AWS Secrets Manager User Guide, "What's in a Secrets Manager secret?" (versions and their staging labels).
"""

from __future__ import annotations

from typing import Final

from tapstack.domain.names import name_within, response_name

CURRENT: Final = "AWSCURRENT"
PREVIOUS: Final = "AWSPREVIOUS"
"""Staging labels: Secrets Manager moves them when a new value is put."""
OVERLAP_HOURS: Final = (0, 168)
"""For how long the secret before is accepted."""
DEFAULT_OVERLAP_HOURS: Final = 24
_QUEUE: Final = 80
"""Characters of a queue's name at most. Source: Amazon SQS Developer Guide, "Amazon SQS standard queue quotas"."""
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
    return f"{response_name(deployment, site)}/webhooks/{source}"


def alert_queue_name(deployment: str, site: str) -> str:
    """Return the name of the queue in which alerts wait."""
    return name_within(response_name(deployment, site), "alerts", _QUEUE)


def alert_dead_letters_name(deployment: str, site: str) -> str:
    """Return the name of the queue of alerts that failed every time."""
    return name_within(response_name(deployment, site), "alerts-dead-letters", _QUEUE)


def example_of_queue_url(region: str) -> str:
    """Return the longest URL that a queue of a Region can have."""
    return f"https://sqs.{region}.amazonaws.com.cn/{'1' * 12}/{'x' * _QUEUE}"
