"""The key that encrypts what a stack of a site stores and sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapstack.bindings import AwsConstruct, Construct, aws, json_text, rendered
from tapstack.capture.place import Place
from tapstack.domain.iam_documents import Statement, document


class ResponseKey(AwsConstruct):
    """A KMS key of the deployment's own, rotated every year.

    It encrypts the table, the topic, the queue of dead letters, the schedule, the logs and the
    functions' environment. Whom IAM policies of the account allow may use it; besides, only the services
    that deliver encrypted things: CloudWatch Logs for the account's log groups, CloudWatch alarms
    to the topic, EventBridge to the queue, and those of what is added (`allow`).

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of its alias, without `alias/`.
        place: where it is deployed to.
        what: what its description calls the stack's purpose.
        tags: on the key.

    See "Key policies" in the AWS KMS Developer Guide and, for the services, "Encrypt log data" in
    the CloudWatch Logs, "Key management" in the SNS and in the SQS User Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        place: Place,
        what: str = "response",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the key and its alias."""
        super().__init__(scope, id_)
        self._statements = {each["Sid"]: each for each in _statements(place)}
        self.resource: Any = aws.KmsKey(
            self,
            "Resource",
            description=f"Tapstack {what} {name}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            policy=self._document(),
            tags=dict(tags) if tags else None,
        )
        aws.KmsAlias(self, "Alias", name=f"alias/{name}", target_key_id=self.resource.key_id)

    def allow(self, *statements: Statement) -> None:
        """Add statements to its policy, in place of those of the same Sid."""
        self._statements |= {each["Sid"]: each for each in statements}
        self.resource.policy = rendered(self._document())

    def _document(self) -> str:
        return json_text(document(list(self._statements.values())))

    @property
    def arn(self) -> str:
        """Its ARN, as a token."""
        return str(self.resource.arn)


def _statements(place: Place) -> list[Statement]:
    return [
        {
            "Sid": "EnableIamPolicies",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:{place.partition}:iam::{place.account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "AllowLogGroups",
            "Effect": "Allow",
            "Principal": {"Service": f"logs.{place.region}.amazonaws.com"},
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            "Resource": "*",
            "Condition": {
                "ArnLike": {"kms:EncryptionContext:aws:logs:arn": place.arn("logs", "log-group:*")},
            },
        },
        {
            "Sid": "AllowAlarmsAndEvents",
            "Effect": "Allow",
            "Principal": {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": place.account}},
        },
    ]
