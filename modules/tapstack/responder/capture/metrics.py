"""What CloudWatch counts of mirrored packets.

Sources: Amazon CloudWatch API Reference, GetMetricData (500 queries a call); VPC Traffic Mirroring guide, "Monitor
mirrored traffic using Amazon CloudWatch".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from tapstack.domain.packet_watch import PERIOD, period_of
from tapstack.responder.aws.clients import client

_METRICS: Final = ("NetworkMirrorIn", "NetworkMirrorOut")
_QUERIES: Final = 500


def counted(instances: Sequence[str], since: datetime, until: datetime) -> dict[str, list[datetime]]:
    """Return the beginnings of the periods in which CloudWatch counted mirrored packets, by instance, oldest first.

    Args:
        instances: ids; those without packets are left out of the answer.
        since: from the beginning of its period.
        until: the end.
    """
    found: dict[str, set[datetime]] = {}
    some = _QUERIES // len(_METRICS)
    # The end is exclusive, and that of the present period must be in it.
    end = period_of(until) + PERIOD
    pages = client("cloudwatch").get_paginator("get_metric_data")
    for start in range(0, len(instances), some):
        asked = {
            f"q{number}": (instance, metric)
            for number, (instance, metric) in enumerate(
                (instance, metric) for instance in instances[start : start + some] for metric in _METRICS
            )
        }
        queries = [_query(name, *about) for name, about in asked.items()]
        for page in pages.paginate(MetricDataQueries=queries, StartTime=period_of(since), EndTime=end):
            for result in page["MetricDataResults"]:
                times = {at for at, value in zip(result["Timestamps"], result["Values"], strict=True) if value > 0}
                if times:
                    found.setdefault(asked[result["Id"]][0], set()).update(times)
    return {instance: sorted(times) for instance, times in found.items()}


def _query(name: str, instance: str, metric: str) -> dict[str, Any]:
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/EC2",
                "MetricName": metric,
                "Dimensions": [{"Name": "InstanceId", "Value": instance}],
            },
            "Period": int(PERIOD.total_seconds()),
            "Stat": "Sum",
        },
    }
