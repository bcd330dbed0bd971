"""How alerts of other tools come in: the queue that they wait in, and the secrets that their senders sign with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, aws, json_text
from tapstack.capture.place import Place
from tapstack.capture.scaffold import suppress_checkov
from tapstack.domain.iam_documents import document, secure_transport
from tapstack.domain.webhook_secrets import alert_dead_letters_name, alert_queue_name, webhook_secret_name
from tapstack.response.dead_letters import RETENTION_SECONDS, DeadLetters, deliveries, hidden_seconds
from tapstack.response.functions import ResponderFunction
from tapstack.response.key import ResponseKey

BATCH: Final = 1
"""One alert has the time of a function for itself, and is hidden no longer than that takes."""
AT_ONCE: Final = 5
"""Functions that decide at the same time: what they take of the account's concurrency, other functions lack."""


class AlertIntake(AwsConstruct):
    """The queue in which alerts of other tools wait to be decided about, and a secret for each source with webhooks.

    The queue keeps them for 14 days. An alert that fails is tried again within two and a half minutes; after 24 times,
    over an hour, it is moved to a queue of dead letters, from where it can be moved back. Both refuse plain HTTP.
    Secrets are made without a value: it would stand in the state of Terraform. `tapstack xdr rotate-secret` sets it.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        deployment: name of the deployment.
        site: name of the site.
        place: where they are deployed.
        key: encrypts queues and secrets.
        webhooks: the sources that sign what they send.
        seconds: how long the function may run that decides.
        tags: on queues and secrets.

    See "Using Lambda with Amazon SQS" in the AWS Lambda Developer Guide and "Dead-letter queues" in the Amazon SQS
    Developer Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        deployment: str,
        site: str,
        place: Place,
        key: ResponseKey,
        webhooks: Sequence[str],
        seconds: int,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the queues and the secrets."""
        super().__init__(scope, id_)
        self._tags, name = dict(tags) if tags else None, alert_queue_name(deployment, site)
        self.dead_letters = DeadLetters(
            self, "DeadLetters", name=alert_dead_letters_name(deployment, site), key=key, tags=tags
        )
        self.resource: Any = aws.SqsQueue(
            self,
            "Resource",
            name=name,
            kms_master_key_id=key.arn,
            message_retention_seconds=RETENTION_SECONDS,
            visibility_timeout_seconds=hidden_seconds(seconds),
            redrive_policy=json_text(
                {"deadLetterTargetArn": self.dead_letters.arn, "maxReceiveCount": deliveries(seconds)}
            ),
            # With the queue, so that it is never without: a policy of its own takes Terraform 25 seconds more.
            policy=json_text(document([secure_transport(place.arn("sqs", name), ["sqs:*"])])),
            tags=self._tags,
        )
        self.secret_arns = tuple(
            self._secret(source, webhook_secret_name(deployment, site, source), key) for source in webhooks
        )

    @property
    def queue_arn(self) -> str:
        """The ARN of the queue, as a token."""
        return str(self.resource.arn)

    @property
    def queue_url(self) -> str:
        """The URL of the queue, as a token."""
        return str(self.resource.url)

    def feed(self, function: ResponderFunction) -> None:
        """Have a function decide about what waits; what it cannot decide about comes again."""
        aws.LambdaEventSourceMapping(
            self,
            "Mapping",
            event_source_arn=self.queue_arn,
            function_name=function.name,
            batch_size=BATCH,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=aws.LambdaEventSourceMappingScalingConfig(maximum_concurrency=AT_ONCE),
            tags=self._tags,
        )

    def _secret(self, source: str, name: str, key: ResponseKey) -> str:
        secret: Any = aws.SecretsmanagerSecret(
            self,
            f"Secret-{source}",
            name=name,
            description=f"Tapstack: what {source} signs its webhooks with",
            kms_key_id=key.arn,
            # A new value can be set at any time; a name that waits for its deletion could not be deployed again.
            recovery_window_in_days=0,
            tags=self._tags,
        )
        suppress_checkov(
            secret,
            {"CKV2_AWS_57": "Whoever sends has to get the new secret: tapstack xdr rotate-secret makes one."},
        )
        return str(secret.arn)
