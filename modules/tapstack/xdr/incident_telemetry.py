"""Events of incidents, for an XDR: from the bus by way of a queue to a function, which puts an object for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, aws, cdk, json_text
from tapstack.capture.scaffold import checks_arguments, located
from tapstack.domain.function_variables import TELEMETRY_BUCKET, TELEMETRY_OCSF
from tapstack.domain.iam_documents import Statement, document, secure_transport
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.incident_events import DETAIL_TYPE
from tapstack.domain.names import name_within
from tapstack.domain.own_names import EVENT_SOURCE
from tapstack.domain.retention import LOGS_KEPT_DAYS, LogRetentionDays
from tapstack.domain.telemetry import (
    INCIDENTS,
    INCIDENTS_OCSF,
    event_dead_letters_name,
    event_queue_name,
    landing_name,
)
from tapstack.domain.xdr_settings import IncidentTelemetrySettings
from tapstack.response.dead_letters import RETENTION_SECONDS, DeadLetters, deliveries, hidden_seconds
from tapstack.response.functions import FunctionDefaults, ResponderFunction
from tapstack.response.package import build_package
from tapstack.xdr.landing import TelemetryLanding
from tapstack.xdr.queue_alarms import watch_age, watch_dead_letters, watch_errors

TIMEOUT_SECONDS: Final = 60
_OLDEST_SECONDS: Final = 30 * 60
"""Age of an event in its queue from which an alarm lasts. What fails three times no longer counts: that is an error."""
_QUIET_MINUTES: Final = 5
"""Without an error after which its alarm ends: longer than it takes until what fails is tried again."""
_CONCURRENT: Final = 10
"""Functions at once: what they take of the account's concurrency, other functions lack."""
_EVENT_AGE_SECONDS: Final = 24 * 3600


class IncidentTelemetry(AwsConstruct):
    """Puts the events of a site's incidents into a landing: under `incidents/v1/`, one object each, of one line.

    The response of the same deployment and site emits them. What cannot be written for an hour ends in a queue of dead
    letters. Alarms watch these, how long events wait, and errors of the function.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        landing: where they are put.
        settings: in which forms.
        topic_arns: SNS topics that are notified when an alarm begins and ends; by default they are only shown.
        log_retention_days: how long the function's log is kept; a number of days that CloudWatch Logs accepts.
        provider: the AWS provider of its resources, of the landing's account and Region; by default the one of `scope`.

    Raises:
        RuleViolation: not the ARN of a topic.

    See "Using Lambda with Amazon SQS" in the AWS Lambda Developer Guide and "Amazon SQS queues as targets" in the
    Amazon EventBridge User Guide.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        landing: TelemetryLanding,
        settings: IncidentTelemetrySettings | None = None,
        topic_arns: Sequence[str] = (),
        log_retention_days: LogRetentionDays = LOGS_KEPT_DAYS,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the rule, the queues, the function and the alarms."""
        with located(scope, id_):
            for arn in topic_arns:
                check_identifier("sns topic", arn)
        super().__init__(scope, id_, provider=provider)
        self._landing, self._settings = landing, settings or IncidentTelemetrySettings()
        self._name = landing_name(landing.deployment, landing.site)
        rule_name = name_within(self._name, "incidents")
        self._rule_arn = landing.place.arn("events", f"rule/{rule_name}")
        self.dead_letters = DeadLetters(
            self,
            "DeadLetters",
            name=event_dead_letters_name(landing.deployment, landing.site),
            key=landing.key,
            rule_arns=[self._rule_arn],
            tags=landing.tags,
        )
        self.queue = self._queue()
        self.function = self._function(log_retention_days)
        self._deliver(rule_name)
        watch_dead_letters(
            self,
            name=f"{self._name}-incidents-dead-letters",
            queue=self.dead_letters.name,
            description=(
                "Events of incidents could not be written for an XDR: inspect the queue of dead letters and the log of "
                "the function, then have SQS move them to the queue of events (aws sqs start-message-move-task with "
                "--destination-arn: those that EventBridge could not deliver came from no queue)."
            ),
            topic_arns=topic_arns,
            tags=landing.tags,
        )
        watch_age(
            self,
            name=f"{self._name}-incidents-age",
            queue=str(self.queue.name),
            seconds=_OLDEST_SECONDS,
            description=(
                "Events of incidents have waited for more than half an hour to be written for an XDR: they come faster "
                "than the function writes them. Inspect Lambda's concurrency in this account and Region."
            ),
            topic_arns=topic_arns,
            tags=landing.tags,
        )
        watch_errors(
            self,
            name=f"{self._name}-incidents-errors",
            function=self.function.name,
            minutes=_QUIET_MINUTES,
            description=(
                "Events of incidents could not be written for an XDR, and are tried again for an hour: inspect the log "
                "of the function."
            ),
            topic_arns=topic_arns,
            tags=landing.tags,
        )

    def _queue(self) -> Any:
        queue: Any = aws.SqsQueue(
            self,
            "Queue",
            name=event_queue_name(self._landing.deployment, self._landing.site),
            kms_master_key_id=self._landing.key.arn,
            message_retention_seconds=RETENTION_SECONDS,
            visibility_timeout_seconds=hidden_seconds(TIMEOUT_SECONDS),
            redrive_policy=json_text(
                {"deadLetterTargetArn": self.dead_letters.arn, "maxReceiveCount": deliveries(TIMEOUT_SECONDS)},
            ),
            tags=self._landing.tags,
        )
        statement: Statement = {
            "Sid": "AllowRule",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": self._rule_arn}},
        }
        aws.SqsQueuePolicy(
            self,
            "QueuePolicy",
            queue_url=queue.url,
            policy=json_text(document([statement, secure_transport(queue.arn, ["sqs:*"])])),
        )
        return queue

    def _function(self, log_retention_days: int) -> ResponderFunction:
        landing, package = self._landing, build_package()
        environment = {
            TELEMETRY_BUCKET: landing.bucket_name,
            TELEMETRY_OCSF: "true" if self._settings.ocsf else "false",
        }
        return ResponderFunction(
            self,
            "Function",
            name="telemetry",
            defaults=FunctionDefaults(
                name=self._name,
                place=landing.place,
                key=landing.key,
                package=package,
                file=package.place(self, "Package"),
                environment=environment,
                log_retention_days=log_retention_days,
                tags=landing.tags,
            ),
            statements=self._statements(),
            description="writes events of incidents for an XDR",
            timeout_seconds=TIMEOUT_SECONDS,
        )

    def _statements(self) -> list[Statement]:
        """Return what the function may do besides writing its log, and using the landing's own key."""
        landing = self._landing
        prefixes = [INCIDENTS, *([INCIDENTS_OCSF] if self._settings.ocsf else [])]
        statements: list[Statement] = [
            {
                "Sid": "ReceiveEvents",
                "Effect": "Allow",
                "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
                "Resource": self.queue.arn,
            },
            {
                "Sid": "PutEvents",
                "Effect": "Allow",
                "Action": "s3:PutObject",
                "Resource": [f"{landing.bucket_arn}/{prefix}*" for prefix in prefixes],
            },
        ]
        if landing.bucket is None and landing.key_arn is not None:
            # S3 asks the key of an existing bucket on behalf of whoever puts an object.
            statements.append(
                {
                    "Sid": "UseKeyOfBucket",
                    "Effect": "Allow",
                    "Action": "kms:GenerateDataKey",
                    "Resource": landing.key_arn,
                    "Condition": landing.place.via_s3,
                }
            )
        return statements

    def _deliver(self, rule_name: str) -> None:
        """Have the rule put events into the queue, and Lambda take them from there."""
        landing = self._landing
        self.resource: Any = aws.CloudwatchEventRule(
            self,
            "Resource",
            name=rule_name,
            description="Tapstack: events of incidents, for an XDR",
            event_pattern=json_text(
                {
                    "source": [EVENT_SOURCE],
                    "detail-type": [DETAIL_TYPE],
                    "detail": {"deployment": [landing.deployment], "site": [landing.site]},
                }
            ),
            tags=landing.tags,
        )
        aws.CloudwatchEventTarget(
            self,
            "Target",
            rule=self.resource.name,
            target_id="telemetry",
            arn=self.queue.arn,
            dead_letter_config=aws.CloudwatchEventTargetDeadLetterConfig(arn=self.dead_letters.arn),
            retry_policy=aws.CloudwatchEventTargetRetryPolicy(
                maximum_event_age_in_seconds=_EVENT_AGE_SECONDS, maximum_retry_attempts=185
            ),
        )
        aws.LambdaEventSourceMapping(
            self,
            "Events",
            event_source_arn=self.queue.arn,
            function_name=self.function.name,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=aws.LambdaEventSourceMappingScalingConfig(maximum_concurrency=_CONCURRENT),
            tags=landing.tags,
        )
