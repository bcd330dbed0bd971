"""Queues and topics.

Sources: CloudFormation Template Reference, "AWS::SQS::Queue" and "AWS::SNS::Topic"; Amazon SQS API Reference,
SetQueueAttributes; Amazon SNS API Reference, SetTopicAttributes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from moto.utilities.utils import get_partition

from strictmoto.cloudformation.api_types import ApiResource, FailedError
from strictmoto.cloudformation.templates import text

_QUEUE_DEFAULTS: Final[Mapping[str, Any]] = {
    "DelaySeconds": 0,
    "MaximumMessageSize": 262_144,
    "MessageRetentionPeriod": 345_600,
    "ReceiveMessageWaitTimeSeconds": 0,
    "VisibilityTimeout": 30,
    "KmsDataKeyReusePeriodSeconds": 300,
    "ContentBasedDeduplication": False,
}
_TOPIC_DEFAULTS: Final[Mapping[str, Any]] = {
    "ContentBasedDeduplication": False,
    "SignatureVersion": 1,
    "TracingConfig": "PassThrough",
}
"""What an attribute is where a template no longer gives it; others are empty then."""
_FEEDBACK: Final[Mapping[str, str]] = {
    "http/s": "HTTP",
    "sqs": "SQS",
    "lambda": "Lambda",
    "firehose": "Firehose",
    "application": "Application",
}
_FIFO: Final = ".fifo"
_RANDOM: Final = 13


def _written(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else text(value)


class Queue(ApiResource):
    """A queue."""

    TYPE = "AWS::SQS::Queue"
    SERVICE = "sqs"
    NAME = "QueueName"

    def create(self) -> None:
        """Create it."""
        self.name = _name(self, "FifoQueue", 80)
        self.refuse_existing("get_queue_url", QueueName=self.name)
        given = {key: _written(value) for key, value in self.without("QueueName", "Tags").items()}
        if given.get("FifoQueue") == "false":
            # The API takes no other value than true.
            del given["FifoQueue"]
        self.ref = self.call("create_queue", QueueName=self.name, Attributes=given, tags=self.tags() or None)[
            "QueueUrl"
        ]
        arn = f"arn:{get_partition(self.region)}:sqs:{self.region}:{self.account_id}:{self.name}"
        self.attributes = {"Arn": arn, "QueueName": self.name, "QueueUrl": self.ref}

    def update(self, old: dict[str, Any]) -> None:
        """Change its attributes and tags."""
        names = ({*old, *self.properties}) - {"QueueName", "Tags"}
        changed = {
            name: _written(self.properties.get(name, _QUEUE_DEFAULTS.get(name, "")))
            for name in names
            if self.changed(old, name)
        }
        if changed:
            self.call("set_queue_attributes", QueueUrl=self.ref, Attributes=changed)
        if dropped := self.dropped_tags(old):
            self.call("untag_queue", QueueUrl=self.ref, TagKeys=dropped)
        if self.changed(old, "Tags") and self.tags():
            self.call("tag_queue", QueueUrl=self.ref, Tags=self.tags())

    def delete_it(self) -> None:
        """Delete it."""
        self.call("delete_queue", QueueUrl=self.ref)


class Topic(ApiResource):
    """A topic with its subscriptions."""

    TYPE = "AWS::SNS::Topic"
    SERVICE = "sns"
    NAME = "TopicName"
    _OTHERS = ("TopicName", "Tags", "Subscription", "DeliveryStatusLogging", "DataProtectionPolicy")

    def create(self) -> None:
        """Create it, and subscribe."""
        self.name = _name(self, "FifoTopic", 256)
        arn = f"arn:{get_partition(self.region)}:sns:{self.region}:{self.account_id}:{self.name}"
        self.refuse_existing("get_topic_attributes", TopicArn=arn)
        given = {key: _written(value) for key, value in self.without(*self._OTHERS).items()}
        made = self.call(
            "create_topic",
            Name=self.name,
            Attributes={**given, **_feedback(self.properties)},
            Tags=[{"Key": key, "Value": value} for key, value in self.tags().items()] or None,
        )
        self.ref, self.deleted_when_failed = made["TopicArn"], True
        self.attributes = {"TopicArn": self.ref, "TopicName": self.name}
        self._subscribe({})

    def update(self, old: dict[str, Any]) -> None:
        """Change its attributes, subscriptions and tags."""
        names = {*old, *self.properties} - {*self._OTHERS}
        before, after = (
            {**{name: some.get(name) for name in names}, **_feedback(some)} for some in (old, self.properties)
        )
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                value = after.get(name)
                value = _written(_TOPIC_DEFAULTS.get(name, "") if value is None else value)
                self.call("set_topic_attributes", TopicArn=self.ref, AttributeName=name, AttributeValue=value)
        self._subscribe(old)
        if dropped := self.dropped_tags(old):
            self.call("untag_resource", ResourceArn=self.ref, TagKeys=dropped)
        if self.changed(old, "Tags") and self.tags():
            tags = [{"Key": key, "Value": value} for key, value in self.tags().items()]
            self.call("tag_resource", ResourceArn=self.ref, Tags=tags)

    def delete_it(self) -> None:
        """Delete it with its subscriptions."""
        self.call("delete_topic", TopicArn=self.ref)

    def _subscribe(self, old: Mapping[str, Any]) -> None:
        before, after = (
            {(one["Protocol"], text(one["Endpoint"])) for one in some.get("Subscription") or ()}
            for some in (old, self.properties)
        )
        if before - after:
            for one in self.call("list_subscriptions_by_topic", TopicArn=self.ref)["Subscriptions"]:
                if (one["Protocol"], one["Endpoint"]) in before - after:
                    self.call("unsubscribe", SubscriptionArn=one["SubscriptionArn"])
        for protocol, endpoint in sorted(after - before):
            self.call("subscribe", TopicArn=self.ref, Protocol=protocol, Endpoint=endpoint)


def _name(resource: ApiResource, fifo: str, longest: int) -> str:
    """The name that it gets: CloudFormation makes one of its own fit, and ends it as FIFO needs it."""
    if resource.NAME in resource.properties:
        return resource.name
    end = _FIFO if text(resource.properties.get(fifo, False)) == "true" else ""
    # The letters at its end make it unique.
    end = resource.name[-_RANDOM:] + end
    return resource.name[:-_RANDOM][: longest - len(end)] + end


def _feedback(properties: Mapping[str, Any]) -> dict[str, str]:
    """The logging of deliveries as attributes of a topic, such as SQSFailureFeedbackRoleArn."""
    found: dict[str, str] = {}
    for one in properties.get("DeliveryStatusLogging") or ():
        protocol = _FEEDBACK.get(one["Protocol"])
        if protocol is None:
            raise FailedError(f"strictmoto does not make DeliveryStatusLogging of {one['Protocol']}")
        found |= {f"{protocol}{name}": text(value) for name, value in one.items() if name != "Protocol"}
    return found


def install() -> None:
    """Do nothing: the types are registered as they are defined."""
