"""The SNS topic for notifications of incidents and alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, aws, json_text
from tapstack.capture.place import Place
from tapstack.capture.scaffold import located
from tapstack.domain.contacts import check_email
from tapstack.domain.errors import RuleViolation
from tapstack.domain.iam_documents import document, secure_transport
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.tokens import is_token
from tapstack.response.key import ResponseKey

ACTIONS_OF_TOPICS: Final = tuple(
    f"sns:{action}"
    for action in (
        "AddPermission",
        "DeleteTopic",
        "GetTopicAttributes",
        "ListSubscriptionsByTopic",
        "Publish",
        "RemovePermission",
        "SetTopicAttributes",
        "Subscribe",
    )
)
"""All that the policy of a topic may name: SNS refuses `sns:*` there."""


class Notifications(AwsConstruct):
    """The encrypted SNS topic of a response, its subscriptions, and existing topics.

    The topic refuses plain HTTP.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of the topic.
        place: where it is deployed to.
        key: encrypts it.
        emails: each is asked by AWS to confirm, once.
        topic_arns: existing topics that get the same notifications. Where one is encrypted, the policy of its key must
            allow that to the roles of the functions, and to CloudWatch for alarms.
        tags: on the topic.

    Raises:
        RuleViolation: not an email address, or not the ARN of a topic.

    See "Configure Amazon SNS topics with server-side encryption" in the Amazon SNS Developer Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        place: Place,
        key: ResponseKey,
        emails: Sequence[str] = (),
        topic_arns: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the topic and its subscriptions."""
        with located(scope, id_):
            for email in emails:
                if is_token(email):
                    raise RuleViolation(f"an email address must be known at synthesis, got the token {email!r}")
                check_email(email)
            for arn in topic_arns:
                check_identifier("sns topic", arn)
        super().__init__(scope, id_)
        self.resource: Any = aws.SnsTopic(
            self, "Resource", name=name, kms_master_key_id=key.arn, tags=dict(tags) if tags else None
        )
        statement = {
            "Sid": "AllowAlarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": self.resource.arn,
            "Condition": {
                "ArnLike": {"aws:SourceArn": place.arn("cloudwatch", "alarm:*")},
                "StringEquals": {"aws:SourceAccount": place.account},
            },
        }
        aws.SnsTopicPolicy(
            self,
            "Policy",
            arn=self.resource.arn,
            policy=json_text(document([statement, secure_transport(self.resource.arn, list(ACTIONS_OF_TOPICS))])),
        )
        for email in dict.fromkeys(emails):
            aws.SnsTopicSubscription(
                self, f"Email-{email}", topic_arn=self.resource.arn, protocol="email", endpoint=email
            )
        self._existing = tuple(dict.fromkeys(topic_arns))

    @property
    def topic_arn(self) -> str:
        """The ARN of the response's topic, as a token."""
        return str(self.resource.arn)

    @property
    def topic_arns(self) -> tuple[str, ...]:
        """The ARNs of all topics, that of the response first."""
        return (self.topic_arn, *self._existing)
