"""Alarms on queues of dead letters: what arrives there needs a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tapstack.bindings import Construct, aws


def watch_dead_letters(
    scope: Construct,
    *,
    name: str,
    queue: str,
    description: str,
    topic_arns: Sequence[str],
    tags: Mapping[str, str],
) -> Any:
    """Return a new alarm that lasts as long as a queue has messages.

    Args:
        scope: the construct it belongs to.
        name: of the alarm.
        queue: the name of the queue.
        description: what has happened, and what to do.
        topic_arns: SNS topics that are notified when it begins and ends; it is only shown where there are none.
        tags: on the alarm.
    """
    topics = list(topic_arns) or None
    return aws.CloudwatchMetricAlarm(
        scope,
        "Alarm",
        alarm_name=name,
        alarm_description=description,
        namespace="AWS/SQS",
        metric_name="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": queue},
        statistic="Maximum",
        period=60,
        evaluation_periods=1,
        comparison_operator="GreaterThanThreshold",
        threshold=0,
        # No data means that nothing happened.
        treat_missing_data="notBreaching",
        alarm_actions=topics,
        ok_actions=topics,
        tags=dict(tags),
    )
