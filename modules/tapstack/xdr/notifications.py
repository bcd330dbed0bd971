"""What notifies the queues of readers of new objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, aws, depend_on, json_text, rendered
from tapstack.capture.place import Place
from tapstack.capture.scaffold import distinct_id
from tapstack.domain.iam_documents import Statement, document, secure_transport
from tapstack.domain.names import Prefix, name_within
from tapstack.response.dead_letters import RETENTION_SECONDS
from tapstack.response.key import ResponseKey
from tapstack.response.notifications import ACTIONS_OF_TOPICS
from tapstack.xdr.buckets import Bucket, suppress_of_landing

VISIBLE_AFTER_SECONDS: Final = 600
"""How long a message is hidden that a reader received: Splunk asks for more than five minutes."""
RECEIVED_AT_MOST: Final = 5
_EVENTS: Final = ["s3:ObjectCreated:*"]


class ReaderQueue(AwsConstruct):
    """A queue of one reader, and one for messages that it received five times and did not delete.

    Both are encrypted with the key of SQS, which asks no permission of the reader, and refuse plain HTTP: a message
    names an object, and holds nothing of it.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of the queue.
        dead_letters: name of the other one.
        place: where it is deployed to.
        tags: on both.

    See "Using dead-letter queues in Amazon SQS" in the Amazon SQS Developer Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        dead_letters: str,
        place: Place,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the queues and their policies; nothing may send to them yet."""
        super().__init__(scope, id_)
        self.dead_letters = self._queue("DeadLetters", dead_letters, tags)
        self._policy("DeadLettersPolicy", self.dead_letters, [])
        redrive = {"deadLetterTargetArn": self.dead_letters.arn, "maxReceiveCount": RECEIVED_AT_MOST}
        self.resource = self._queue("Resource", name, tags, redrive_policy=json_text(redrive))
        self.policy = self._policy("Policy", self.resource, [])
        self._place = place

    @property
    def arn(self) -> str:
        """Its ARN, as a token."""
        return str(self.resource.arn)

    @property
    def url(self) -> str:
        """Its URL, as a token."""
        return str(self.resource.url)

    def accept(self, bucket_arn: str, topic_arns: Sequence[str]) -> None:
        """Let a bucket and topics send to it, in place of those before."""
        statements = [_from_bucket("AllowBucket", "sqs:SendMessage", self.arn, bucket_arn, self._place)]
        if topic_arns:
            statements.append(
                {
                    "Sid": "AllowTopics",
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": self.arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": list(topic_arns)}},
                }
            )
        self.policy.policy = rendered(_text(self.resource, statements))

    def _queue(self, id_: str, name: str, tags: Mapping[str, str] | None, **more: Any) -> Any:
        return aws.SqsQueue(
            self,
            id_,
            name=name,
            sqs_managed_sse_enabled=True,
            # A reader that stands still for a week has lost nothing.
            message_retention_seconds=RETENTION_SECONDS,
            visibility_timeout_seconds=VISIBLE_AFTER_SECONDS,
            tags=dict(tags) if tags else None,
            **more,
        )

    def _policy(self, id_: str, queue: Any, statements: list[Statement]) -> Any:
        return aws.SqsQueuePolicy(self, id_, queue_url=queue.url, policy=_text(queue, statements))


@dataclass(frozen=True)
class _Listener:
    name: str
    queue: ReaderQueue
    prefixes: tuple[str, ...]


class LandingNotifications(AwsConstruct):
    """The notifications of a landing's bucket: of new objects below a prefix, to the queue of whoever reads it.

    S3 takes one destination for each prefix. Where several queues wait for one, it is a topic that passes S3's own
    message on to each, unchanged. Queues and topics let the bucket send first: otherwise S3 refuses the notification.
    A topic has its subscriptions first, too, and each queue goes on taking what the bucket sends: while a topic takes
    the place of a queue, the reader that is there loses no message.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: what the names of topics begin with.
        place: where it is deployed to.
        bucket: whose objects are notified of.
        key: encrypts what topics hold.
        tags: on topics.

    See "Granting permissions to publish event notification messages to a destination" in the Amazon S3 User Guide,
    and "Fanout to Amazon SQS queues" in the Amazon SNS Developer Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: Prefix,
        place: Place,
        bucket: Bucket,
        key: ResponseKey,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the notifications, of nothing yet."""
        super().__init__(scope, id_)
        self._name, self._place, self._bucket, self._key, self._tags = name, place, bucket, key, tags
        self._listeners: list[_Listener] = []
        self._topics: dict[str, Any] = {}
        self._policies: dict[str, Any] = {}
        self._subscriptions: dict[tuple[str, str], Any] = {}
        self._subscription_ids: set[str] = set()
        self.resource: Any = aws.S3BucketNotification(self, "Resource", bucket=bucket.name)
        suppress_of_landing(bucket, notifies=True)

    def notify(self, name: str, queue: ReaderQueue, prefixes: Sequence[str]) -> None:
        """Have a queue be notified of new objects.

        Args:
            name: of the reader, which no other one has.
            queue: of the reader.
            prefixes: of the objects.
        """
        self._listeners.append(_Listener(name, queue, tuple(dict.fromkeys(prefixes))))
        prefixes_of_all = dict.fromkeys(prefix for each in self._listeners for prefix in each.prefixes)
        queues, topics, needed = [], [], []
        for prefix in prefixes_of_all:
            waiting = [each for each in self._listeners if prefix in each.prefixes]
            slug = prefix.strip("/").replace("/", "-")
            if len(waiting) == 1:
                arn = waiting[0].queue.arn
                queues.append(
                    aws.S3BucketNotificationQueue(id=slug, queue_arn=arn, events=_EVENTS, filter_prefix=prefix)
                )
                needed.append(waiting[0].queue.policy)
                continue
            topic = self._topic(prefix, slug)
            topics.append(
                aws.S3BucketNotificationTopic(id=slug, topic_arn=topic.arn, events=_EVENTS, filter_prefix=prefix)
            )
            needed += [self._policies[prefix], *(self._subscription(prefix, slug, each) for each in waiting)]
        self._accept_all()
        if queues:
            self.resource.put_queue(queues)
        else:
            self.resource.reset_queue()
        if topics:
            self.resource.put_topic(topics)
        depend_on(self.resource, list({id(each): each for each in needed}.values()))

    def _accept_all(self) -> None:
        for each in self._listeners:
            each.queue.accept(
                self._bucket.arn, [str(self._topics[prefix].arn) for prefix in each.prefixes if prefix in self._topics]
            )

    def _topic(self, prefix: str, slug: str) -> Any:
        """Return the topic of a prefix, which is made when a second queue waits for it."""
        if prefix in self._topics:
            return self._topics[prefix]
        if not self._topics:
            self._key.allow(
                _from_bucket(
                    "AllowNotifications", ["kms:Decrypt", "kms:GenerateDataKey*"], "*", self._bucket.arn, self._place
                )
            )
        topic: Any = aws.SnsTopic(
            self,
            f"Topic-{slug}",
            name=name_within(self._name, slug, 256),
            kms_master_key_id=self._key.arn,
            tags=dict(self._tags) if self._tags else None,
        )
        statements = [
            _from_bucket("AllowBucket", "sns:Publish", topic.arn, self._bucket.arn, self._place),
            secure_transport(topic.arn, list(ACTIONS_OF_TOPICS)),
        ]
        self._policies[prefix] = aws.SnsTopicPolicy(
            self, f"Policy-{slug}", arn=topic.arn, policy=json_text(document(statements))
        )
        self._topics[prefix] = topic
        return topic

    def _subscription(self, prefix: str, slug: str, listener: _Listener) -> Any:
        """Return the subscription of a reader's queue to the topic of a prefix."""
        of = prefix, listener.name
        if of not in self._subscriptions:
            # Slugs and names have hyphens: feeds-edr of eu-soc and feeds-edr-eu of soc have the same id.
            plain = f"Subscription-{slug}-{listener.name}"
            first = self.node.try_find_child(plain)
            self._subscriptions[of] = aws.SnsTopicSubscription(
                self,
                distinct_id("".join(of), plain, self._subscription_ids),
                topic_arn=self._topics[prefix].arn,
                protocol="sqs",
                endpoint=listener.queue.arn,
                # What arrives is what S3 itself sends to a queue.
                raw_message_delivery=True,
                # Another order of the readers exchanges the ids. AWS has one subscription of a queue to a topic: it is
                # deleted at the one address before it is created at the other.
                depends_on=[listener.queue.policy, *([first] if first is not None else [])],
            )
        return self._subscriptions[of]


def _text(queue: Any, statements: Sequence[Statement]) -> str:
    return json_text(document([*statements, secure_transport(queue.arn, ["sqs:*"])]))


def _from_bucket(sid: str, action: str | list[str], resource: str, bucket_arn: str, place: Place) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": action,
        "Resource": resource,
        "Condition": {
            "ArnLike": {"aws:SourceArn": bucket_arn},
            "StringEquals": {"aws:SourceAccount": place.account},
        },
    }
