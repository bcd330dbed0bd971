"""Alarms, and what they watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, aws
from tapstack.domain.counts import counted
from tapstack.domain.incidents import SWEEP_MINUTES
from tapstack.domain.own_names import (
    APPLIANCE_HOURS,
    CONTAINMENTS_FAILED,
    METRICS_NAMESPACE,
    NOTIFICATIONS_UNDELIVERED,
    RELEASES_BLOCKED,
    WEBHOOKS_REFUSED,
)

_SKIPPED: Final = ("NetworkSkipMirrorIn", "NetworkSkipMirrorOut")
_MINUTE: Final = 60
_TRIED_AGAIN_MINUTES: Final = 5
"""What fails is tried again within so many minutes: an alarm that lasts as long notifies once."""
_SWEPT_AGAIN_MINUTES: Final = 3 * SWEEP_MINUTES
"""Likewise where each sweep tries again."""
_REFUSED_MINUTES: Final = 60
"""Likewise where a tool goes on sending what is refused."""


@dataclass(frozen=True)
class Watched:
    """What the alarms of a response watch.

    Attributes:
        state_machine_arn: the workflow.
        dead_letters: name of the queue.
        functions: their names.
        api_id: the API.
        appliance_hours: how long a launched appliance may run; not watched when None.
        dimensions: of the functions' own metrics.
        contains: whether instances may be contained.
        alert_queue: name of the queue in which alerts wait; none where none come in.
        alert_dead_letters: likewise that of alerts that failed every time.
        webhooks: whether sources sign what they send.
    """

    state_machine_arn: str
    dead_letters: str
    functions: Sequence[str]
    api_id: str
    appliance_hours: int | None
    dimensions: Mapping[str, str]
    contains: bool = False
    alert_queue: str | None = None
    alert_dead_letters: str | None = None
    webhooks: bool = False


class ResponseAlarms(AwsConstruct):
    """CloudWatch alarms that notify by SNS when they begin, and those of a condition also when it is over.

    Failures are events, each counted in one minute only: that none followed in the next does not mean that what failed
    is mended, so no notification says OK of them.

    Failed, timed out and aborted executions; dead letters; alerts that wait too long, and webhooks of sources that are
    refused; failing and throttled functions; answers of the API that say 5xx; notifications that are not delivered;
    containments that fail and releases that are blocked; an appliance that runs longer than allowed; and packets that
    were not mirrored because production traffic went first.
    CloudWatch has that last number for each source instance, and sources change with every incident:
    the alarm queries the instances of the whole account and Region, those that others mirror included.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: begins the alarms' names.
        watched: what is watched.
        topic_arns: notified of alarms.
        tags: on the alarms.

    See "Monitoring Step Functions metrics", "Monitor mirrored traffic using Amazon CloudWatch" (VPC
    Traffic Mirroring guide) and "Create a CloudWatch alarm based on a Metrics Insights query".
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        watched: Watched,
        topic_arns: Sequence[str],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the alarms."""
        super().__init__(scope, id_)
        self._name = name
        self._topics = list(topic_arns)
        self._tags = dict(tags) if tags else None
        self.names: list[str] = []
        self._executions(watched.state_machine_arn)
        self._alarm(
            "dead-letters",
            "A finding or a sweep could not be delivered: inspect the dead-letter queue.",
            **of_queue(watched.dead_letters, "ApproximateNumberOfMessagesVisible"),
        )
        if watched.alert_dead_letters is not None:
            self._alarm(
                "alert-dead-letters",
                "An alert of another tool could not be decided about: inspect the log of the function findings, then "
                "move the alerts back (aws sqs start-message-move-task).",
                **of_queue(watched.alert_dead_letters, "ApproximateNumberOfMessagesVisible"),
            )
        if watched.alert_queue is not None:
            self._alarm(
                "alert-age",
                # SQS leaves out what was received three times: alerts that fail are errors of the function.
                "Alerts of other tools have waited for more than 10 minutes: they come faster than the function "
                "findings decides about them. `tapstack xdr status` shows the sources; inspect its log.",
                **of_queue(watched.alert_queue, "ApproximateAgeOfOldestMessage"),
                threshold=10 * _MINUTE,
            )
        if watched.webhooks:
            self._alarm(
                "webhooks-refused",
                "An alert that another tool sent as a webhook was refused and is lost, or someone else tried: the "
                "tool's secret may be wrong or expired (tapstack xdr rotate-secret), or its clock or the body wrong. "
                "The log of the function alerts has source and reason.",
                namespace=METRICS_NAMESPACE,
                metric_name=WEBHOOKS_REFUSED,
                dimensions=dict(watched.dimensions),
                statistic="Sum",
                period=_MINUTE,
                minutes=_REFUSED_MINUTES,
                event=True,
            )
        for metric, words in (
            ("Errors", "reported errors; the dashboard shows which: inspect its log."),
            (
                "Throttles",
                "was throttled; the dashboard shows which. Throttled calls write no log: inspect Lambda's concurrency "
                "in this account and Region, quota and ConcurrentExecutions.",
            ),
        ):
            self._sum_of_functions(metric, f"A Lambda function of this response {words}", watched)
        self._alarm(
            "api-faults",
            "The API answered 5xx: inspect its access log and the function's.",
            namespace="AWS/ApiGateway",
            metric_name="5xx",
            dimensions={"ApiId": watched.api_id},
            statistic="Sum",
            period=_MINUTE,
        )
        self._alarm(
            "notifications-undelivered",
            "A topic, or the event bus, does not take notifications: it was deleted, its policy or that of its key "
            "refuses the functions. Sweeps deliver them for 7 days; the log of the function sweeper says what fails.",
            namespace=METRICS_NAMESPACE,
            metric_name=NOTIFICATIONS_UNDELIVERED,
            dimensions=dict(watched.dimensions),
            statistic="Sum",
            period=_MINUTE,
            minutes=_SWEPT_AGAIN_MINUTES,
        )
        for metric in _SKIPPED:
            self._skipped(metric)
        if watched.contains:
            self._containment(watched)
        if watched.appliance_hours is not None:
            self._alarm(
                "appliance-hours",
                f"The launched appliance has been running for more than {counted(watched.appliance_hours, 'hour')}: "
                "close the incidents that use it, or raise max_hours.",
                namespace=METRICS_NAMESPACE,
                metric_name=APPLIANCE_HOURS,
                dimensions=dict(watched.dimensions),
                statistic="Maximum",
                period=15 * _MINUTE,
                threshold=watched.appliance_hours,
            )

    def _containment(self, watched: Watched) -> None:
        for what, metric, words in (
            ("containment-failed", CONTAINMENTS_FAILED, "A containment or a release failed"),
            (
                "release-blocked",
                RELEASES_BLOCKED,
                "A release is blocked: something was changed outside Tapstack, or AWS refuses to restore it",
            ),
        ):
            self._alarm(
                what,
                f"{words}. `tapstack incident show` says what to do.",
                namespace=METRICS_NAMESPACE,
                metric_name=metric,
                dimensions=dict(watched.dimensions),
                statistic="Sum",
                period=_MINUTE,
                event=True,
            )

    def _executions(self, state_machine_arn: str) -> None:
        for metric, words in (
            ("ExecutionsFailed", "failed"),
            ("ExecutionsTimedOut", "timed out"),
            ("ExecutionsAborted", "was aborted"),
        ):
            self._alarm(
                metric.removeprefix("Executions").lower() + "-executions",
                f"An execution of the workflow {words}: inspect it in Step Functions; its name has the incident's id.",
                namespace="AWS/States",
                metric_name=metric,
                dimensions={"StateMachineArn": state_machine_arn},
                statistic="Sum",
                period=_MINUTE,
                event=True,
            )

    def _sum_of_functions(self, metric: str, description: str, watched: Watched) -> None:
        queries = [
            aws.CloudwatchMetricAlarmMetricQuery(
                id=f"m{position}",
                metric=aws.CloudwatchMetricAlarmMetricQueryMetric(
                    namespace="AWS/Lambda",
                    metric_name=metric,
                    dimensions={"FunctionName": function},
                    stat="Sum",
                    period=_MINUTE,
                ),
            )
            for position, function in enumerate(watched.functions, 1)
        ]
        total = aws.CloudwatchMetricAlarmMetricQuery(
            id="total", expression="SUM(METRICS())", label=metric, return_data=True
        )
        self._alarm(
            f"function-{metric.lower()}",
            description,
            metric_query=[*queries, total],
            minutes=_TRIED_AGAIN_MINUTES,
        )

    def _skipped(self, metric: str) -> None:
        direction = metric.removeprefix("NetworkSkipMirror").lower()
        self._alarm(
            f"skipped-{direction}",
            f"{direction.capitalize()}bound packets of some instance of this account and Region were not mirrored: "
            "other traffic goes first. Whether a capture has gaps: see the dashboard, 'Bytes not mirrored, by source'.",
            metric_query=[
                aws.CloudwatchMetricAlarmMetricQuery(
                    id="skipped",
                    # One time series: the alarm says that packets were skipped, not on which instance.
                    expression=f'SELECT MAX({metric}) FROM SCHEMA("AWS/EC2", InstanceId)',
                    label=metric,
                    # Mirroring metrics come every 5 minutes, whatever the monitoring.
                    period=5 * _MINUTE,
                    return_data=True,
                )
            ],
        )

    def _alarm(
        self,
        what: str,
        description: str,
        *,
        threshold: float = 0,
        event: bool = False,
        minutes: int = 1,
        **metric: Any,
    ) -> None:
        """Make an alarm that begins with the first minute above the threshold.

        Args:
            what: ends its name.
            description: what has happened, and what to do.
            threshold: above which it begins.
            event: whether it notifies only when it begins.
            minutes: without another such minute after which it ends.
            **metric: what is watched, each minute where `minutes` is given.
        """
        name = f"{self._name}-{what}"
        alarm: Any = aws.CloudwatchMetricAlarm(
            self,
            what,
            alarm_name=name,
            alarm_description=description,
            comparison_operator="GreaterThanThreshold",
            threshold=threshold,
            evaluation_periods=minutes,
            datapoints_to_alarm=1,
            # No data means that nothing happened.
            treat_missing_data="notBreaching",
            alarm_actions=self._topics,
            ok_actions=None if event else self._topics,
            tags=self._tags,
            **metric,
        )
        self.names.append(str(alarm.alarm_name))


def of_queue(name: str, metric: str) -> dict[str, Any]:
    """Return what an alarm on a queue watches: the greatest value of each minute.

    Args:
        name: of the queue.
        metric: of SQS.
    """
    return {
        "namespace": "AWS/SQS",
        "metric_name": metric,
        "dimensions": {"QueueName": name},
        "statistic": "Maximum",
        "period": _MINUTE,
    }
