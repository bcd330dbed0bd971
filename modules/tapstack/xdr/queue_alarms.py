"""Alarms on queues, and on the functions that empty them: what is left in a queue needs a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tapstack.bindings import Construct, aws
from tapstack.response.alarms import of_queue


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
    metric = of_queue(queue, "ApproximateNumberOfMessagesVisible")
    return _alarm(scope, "Alarm", name, description, topic_arns, tags, **metric, threshold=0)


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
    three times or more no longer counts, so that one that always fails does not hide how long the others wait.
    Messages that fail are errors of what receives them: `watch_errors`.
    """
    metric = of_queue(queue, "ApproximateAgeOfOldestMessage")
    return _alarm(scope, "AgeAlarm", name, description, topic_arns, tags, **metric, threshold=seconds)


def watch_errors(
    scope: Construct,
    *,
    name: str,
    function: str,
    minutes: int,
    description: str,
    topic_arns: Sequence[str],
    tags: Mapping[str, str],
) -> Any:
    """Return a new alarm that begins when a function reports an error.

    Args:
        scope: the construct it belongs to.
        name: of the alarm.
        function: the name of the function.
        minutes: without an error after which it ends; what fails should be tried again earlier.
        description: what has happened, and what to do.
        topic_arns: SNS topics that are notified when it begins and ends; it is only shown where there are none.
        tags: on the alarm.
    """
    return _alarm(
        scope,
        "ErrorsAlarm",
        name,
        description,
        topic_arns,
        tags,
        namespace="AWS/Lambda",
        dimensions={"FunctionName": function},
        statistic="Sum",
        metric_name="Errors",
        period=60,
        threshold=0,
        minutes=minutes,
    )


def _alarm(
    scope: Construct,
    id_: str,
    name: str,
    description: str,
    topic_arns: Sequence[str],
    tags: Mapping[str, str],
    *,
    minutes: int = 1,
    **metric: Any,
) -> Any:
    topics = list(topic_arns) or None
    return aws.CloudwatchMetricAlarm(
        scope,
        id_,
        alarm_name=name,
        alarm_description=description,
        evaluation_periods=minutes,
        datapoints_to_alarm=1,
        comparison_operator="GreaterThanThreshold",
        # No data means that nothing happened.
        treat_missing_data="notBreaching",
        alarm_actions=topics,
        ok_actions=topics,
        tags=dict(tags),
        **metric,
    )
