"""Topics hand messages to queues only where the queue's policy lets SNS, if IAM is enforced; to web servers never.

A subscription of HTTP or HTTPS gets no message before its endpoint has confirmed it. The account asks no endpoint to
confirm: nothing leaves this machine.

Sources: Amazon SNS Developer Guide, "Subscribing an Amazon SQS queue to an Amazon SNS topic" and "Subscribe an HTTP or
HTTPS endpoint to a topic".
"""

from __future__ import annotations

import functools
from typing import Any

from tapstack.rehearsal.iam.access import service_may
from tapstack.rehearsal.running import running


@functools.cache
def install() -> None:
    """Extend moto's SNS, once a process."""
    from moto.sns.models import Subscription

    subscription: Any = Subscription
    publish = subscription.publish

    @functools.wraps(publish)
    def publish_where_allowed(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.protocol in ("http", "https"):
            return
        guarded = self.protocol == "sqs" and running().enforces_iam
        # SNS tells nobody; what cannot be delivered is gone, or goes to the dead-letter queue of the subscription.
        if not guarded or service_may("sns.amazonaws.com", "sqs:SendMessage", self.endpoint, self.topic.arn):
            publish(self, *args, **kwargs)

    subscription.publish = publish_where_allowed
