"""Corrects what other functions missed, on a schedule."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from tapstack.domain.own_names import APPLIANCE_HOURS
from tapstack.responder.appliance.steps import running_hours
from tapstack.responder.observability import logger, measure, observed
from tapstack.responder.sweeper import Report, sweep


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Sweep; return how many corrections of each kind were made."""
    with observed("sweeper.sweep") as metrics:
        report = Report()
        try:
            sweep(report)
        finally:
            for name, count in report.counts().items():
                metrics.add_metric(name.title().replace("_", ""), MetricUnit.Count, count)
            logger.info({"message": "swept", **report.as_dict()})
            # Also after a defect: without it the alarm about what the appliance costs would be OK.
            measure(APPLIANCE_HOURS, MetricUnit.NoUnit, running_hours())
    return report.counts()
