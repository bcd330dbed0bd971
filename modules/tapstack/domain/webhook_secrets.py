"""How alerts of other tools come in: names of what they pass, and for how long a secret before is accepted.

Source: AWS Secrets Manager User Guide, "What's in a Secrets Manager secret?" (versions and their staging labels).
"""

from __future__ import annotations

from typing import Final

from tapstack.domain.names import QUEUE_NAME, name_within, response_name

CURRENT: Final = "AWSCURRENT"
PREVIOUS: Final = "AWSPREVIOUS"
"""Staging labels: Secrets Manager moves them when a new value is put."""
OVERLAP_HOURS: Final = (0, 168)
"""For how long the secret before is accepted."""
DEFAULT_OVERLAP_HOURS: Final = 24
SECRET_KEPT_SECONDS: Final = 300
"""So long a function keeps what it read of a secret."""
ASKED_AGAIN_SECONDS: Final = 10
"""How old that must be to be read again because a signature is wrong: the secret may be a new one. Whoever sends wrong
signatures has it read so often at most."""
SECRET_VARIABLE: Final = "TAPSTACK_WEBHOOK_SECRET"
"""Where `tapstack xdr send` finds a secret by default."""


def webhook_secret_name(deployment: str, site: str, source: str) -> str:
    """Return the name of the secret of a source.

    Args:
        deployment: name of the deployment.
        site: name of the site.
        source: name of the source.
    """
    return f"{response_name(deployment, site)}/webhooks/{source}"


def alert_function_name(deployment: str, site: str) -> str:
    """Return the name of the function that keeps alerts, which is that of its role, too."""
    return name_within(response_name(deployment, site), "alerts")


def alert_queue_name(deployment: str, site: str) -> str:
    """Return the name of the queue in which alerts wait."""
    return name_within(response_name(deployment, site), "alerts", QUEUE_NAME)


def alert_dead_letters_name(deployment: str, site: str) -> str:
    """Return the name of the queue of alerts that failed every time."""
    return name_within(response_name(deployment, site), "alerts-dead-letters", QUEUE_NAME)


def example_of_queue_url(region: str) -> str:
    """Return the longest URL that a queue of a Region can have."""
    return f"https://sqs.{region}.amazonaws.com.cn/{'1' * 12}/{'x' * QUEUE_NAME}"
