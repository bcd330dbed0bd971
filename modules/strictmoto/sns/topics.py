"""Topics hand messages to queues only where the policies of queue and key let SNS, if IAM is enforced; to web servers
never.

A subscription of HTTP or HTTPS gets no message before its endpoint has confirmed it. The account asks no endpoint to
confirm: nothing leaves this machine. A queue of another account gets messages, too, and at once: AWS asks its owner to
confirm where the owner of the topic subscribes it. Topics show all the attributes that they were given.

Sources: Amazon SNS Developer Guide, "Subscribing an Amazon SQS queue to an Amazon SNS topic" and "Subscribe an HTTP or
HTTPS endpoint to a topic"; Amazon SNS API Reference, GetTopicAttributes.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

from strictmoto.kms.uses import service_may_send
from strictmoto.running import running


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
        # SNS reports no failure: what cannot be delivered is lost, or goes to the subscription's dead-letter queue.
        if not guarded or service_may_send("sns.amazonaws.com", "sqs:SendMessage", self.endpoint, self.topic.arn):
            publish(_to_its_account(self), *args, **kwargs)

    subscription.publish = publish_where_allowed
    _show_attributes()


def _to_its_account(subscription: Any) -> Any:
    """Return a subscription that finds its queue where it is: moto looks for it in the account of the topic."""
    if subscription.protocol != "sqs" or subscription.endpoint.split(":")[4] == subscription.account_id:
        return subscription
    there = copy.copy(subscription)
    there.account_id = subscription.endpoint.split(":")[4]
    return there


def _show_attributes() -> None:
    """Show the attributes that a topic was given: moto keeps them all, and shows a few."""
    from moto.sns.responses import SNSResponse

    response: Any = SNSResponse
    create, change, show = response.create_topic, response.set_topic_attributes, response.get_topic_attributes

    @functools.wraps(create)
    def create_topic(self: Any) -> Any:
        made = create(self)
        topic = self.backend.get_topic(made.result["TopicArn"])
        vars(topic).setdefault("given_attributes", dict(self._get_attributes() or {}))
        return made

    @functools.wraps(change)
    def set_topic_attributes(self: Any) -> Any:
        answer = change(self)
        topic = self.backend.get_topic(self._get_param("TopicArn"))
        given = vars(topic).setdefault("given_attributes", {})
        given[self._get_param("AttributeName")] = self._get_param("AttributeValue")
        return answer

    @functools.wraps(show)
    def get_topic_attributes(self: Any) -> Any:
        shown = show(self)
        topic = self.backend.get_topic(self._get_param("TopicArn"))
        attributes = shown.result["Attributes"]
        for name, value in vars(topic).get("given_attributes", {}).items():
            if value not in (None, ""):
                attributes.setdefault(name, value)
        return shown

    response.create_topic = create_topic
    response.set_topic_attributes = set_topic_attributes
    response.get_topic_attributes = get_topic_attributes
