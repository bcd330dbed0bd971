"""The queue for events that no function processed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, aws, json_text
from tapstack.domain.iam_documents import Statement, document, secure_transport
from tapstack.response.key import ResponseKey

RETENTION_SECONDS: Final = 14 * 24 * 3600
"""The maximum retention of SQS."""
_MARGIN_SECONDS: Final = 30
_TRIED_SECONDS: Final = 3600
"""How long what fails is tried again: a service may be out of reach for a while."""


class DeadLetters(AwsConstruct):
    """A queue for findings and schedules that could not be delivered, or failed every time.

    It refuses plain HTTP.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of the queue.
        key: encrypts it.
        rule_arns: the EventBridge rules that may put events into it; roles do so by policies of their own, and queues
            whose messages failed need none.
        tags: on the queue.

    See "Using dead-letter queues to process undelivered events" in the Amazon EventBridge User Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        key: ResponseKey,
        rule_arns: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the queue and its policy."""
        super().__init__(scope, id_)
        self.resource: Any = aws.SqsQueue(
            self,
            "Resource",
            name=name,
            kms_master_key_id=key.arn,
            message_retention_seconds=RETENTION_SECONDS,
            tags=dict(tags) if tags else None,
        )
        undelivered: Statement = {
            "Sid": "AllowUndeliveredEvents",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": self.resource.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arns[0] if len(rule_arns) == 1 else list(rule_arns)}},
        }
        aws.SqsQueuePolicy(
            self,
            "Policy",
            queue_url=self.resource.url,
            policy=json_text(
                document(
                    [
                        *([undelivered] if rule_arns else []),
                        secure_transport(self.resource.arn, ["sqs:*"]),
                    ]
                )
            ),
        )

    @property
    def arn(self) -> str:
        """Its ARN, as a token."""
        return str(self.resource.arn)

    @property
    def name(self) -> str:
        """Its name, as a token."""
        return str(self.resource.name)


def hidden_seconds(timeout_seconds: int) -> int:
    """Return how long a queue hides a message that it gave to a function: until that has ended, and a little longer.

    AWS advises six times the function's timeout, so that Lambda can wait for a function where there are too many. What
    fails is then tried again only after that time. Messages of Tapstack are idempotent: one that comes again while
    another function has it changes nothing.

    Args:
        timeout_seconds: how long the function may run.
    """
    return timeout_seconds + _MARGIN_SECONDS


def deliveries(timeout_seconds: int) -> int:
    """Return how often a message is tried, over an hour at least, before it is a dead letter."""
    return math.ceil(_TRIED_SECONDS / hidden_seconds(timeout_seconds))
