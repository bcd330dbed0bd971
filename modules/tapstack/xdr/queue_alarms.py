"""Alarms on queues: what is left in one needs a person."""

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
    metric = "ApproximateNumberOfMessagesVisible"
    return _alarm(scope, "Alarm", name, queue, description, topic_arns, tags, metric_name=metric, threshold=0)


def watch_age(
    scope: Construct,
    *,
    name: str,
    queue: str,
    seconds: int,
    description: str,
    topic_arns: Sequence[str],
    tags: Mapping[str, str],
) -> Any:
    """Return a new alarm that lasts as long as the oldest message of a queue is older than it should become.

    Args:
        scope: the construct it belongs to.
        name: of the alarm.
        queue: the name of the queue.
        seconds: how old a message may become.
        description: what has happened, and what to do.
        topic_arns: SNS topics that are notified when it begins and ends; it is only shown where there are none.
        tags: on the alarm.

    See "Available CloudWatch metrics for Amazon SQS" in the Amazon SQS Developer Guide: a message that was received
    more than three times no longer counts, so that one that always fails does not hide how long the others wait.
    """
    metric = "ApproximateAgeOfOldestMessage"
    return _alarm(scope, "AgeAlarm", name, queue, description, topic_arns, tags, metric_name=metric, threshold=seconds)


def _alarm(
    scope: Construct,
    id_: str,
    name: str,
    queue: str,
    description: str,
    topic_arns: Sequence[str],
    tags: Mapping[str, str],
    **metric: Any,
) -> Any:
    topics = list(topic_arns) or None
    return aws.CloudwatchMetricAlarm(
        scope,
        id_,
        alarm_name=name,
        alarm_description=description,
        namespace="AWS/SQS",
        dimensions={"QueueName": queue},
        statistic="Maximum",
        period=60,
        evaluation_periods=1,
        comparison_operator="GreaterThanThreshold",
        # No data means that nothing happened.
        treat_missing_data="notBreaching",
        alarm_actions=topics,
        ok_actions=topics,
        tags=dict(tags),
        **metric,
    )
