"""Corrects what other functions missed, on a schedule."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from tapstack.responder.appliance.steps import running_hours
from tapstack.responder.environment import environment
from tapstack.responder.handlers.observability import logger, observed
from tapstack.responder.sweeper import sweep


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Sweep; return how many corrections of each kind were made."""
    with observed("sweeper.sweep") as metrics:
        report = sweep()
        for name, count in report.counts().items():
            metrics.add_metric(name.title().replace("_", ""), MetricUnit.Count, count)
        logger.info({"message": "swept", **report.as_dict()})
        _measure_appliance()
    return report.counts()


def _measure_appliance() -> None:
    """Publish for how many hours the launched appliance has been running; an alarm watches that."""
    named = environment()
    dimensions = {"service": "tapstack", "deployment": named.deployment, "site": named.site}
    with single_metric("ApplianceHours", MetricUnit.NoUnit, running_hours(), namespace="Tapstack") as metric:
        for name, value in dimensions.items():
            metric.add_dimension(name, value)
