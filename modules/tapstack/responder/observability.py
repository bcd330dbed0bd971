"""What all functions observe: logs with the incident's id, metrics of each step, transient errors to retry.

Source: Powertools for AWS Lambda (Python), "Logger" and "Metrics".
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric

from tapstack.domain.own_names import METRICS_NAMESPACE, METRICS_SERVICE, metric_dimensions
from tapstack.responder.aws.clients import call_unanswered_again
from tapstack.responder.aws.errors import transient_as_try_again
from tapstack.responder.environment import environment

logger = Logger(service=METRICS_SERVICE)


@contextmanager
def observed(step: str, incident_id: str | None = None) -> Iterator[Metrics]:
    """Log and measure one step, which is all of an invocation; a transient error is raised as TryAgain.

    Args:
        step: such as `capture.start`; the dimension of the metrics.
        incident_id: is in every line that is logged meanwhile.
    """
    metrics = Metrics(namespace=METRICS_NAMESPACE, service=METRICS_SERVICE)
    metrics.add_dimension("step", step)
    logger.append_keys(step=step, incident_id=incident_id)
    # Lambda has one process serve many invocations.
    call_unanswered_again()
    began = time.perf_counter()
    outcome = "Failed"
    try:
        with transient_as_try_again():
            yield metrics
        outcome = "Succeeded"
    except Exception as error:
        logger.error("step failed", error=type(error).__name__, reason=str(error))
        raise
    finally:
        metrics.add_metric("Seconds", MetricUnit.Seconds, time.perf_counter() - began)
        metrics.add_metric(outcome, MetricUnit.Count, 1)
        metrics.flush_metrics()
        logger.remove_keys(["step", "incident_id"])


def count(name: str) -> None:
    """Add one to a metric of the deployment and site, which alarms and the dashboard read."""
    measure(name, MetricUnit.Count, 1)


def measure(name: str, unit: MetricUnit, value: float) -> None:
    """Publish a value of a metric of the deployment and site, which alarms and the dashboard read."""
    named = environment()
    with single_metric(name, unit, value, namespace=METRICS_NAMESPACE) as metric:
        for dimension, value_of in metric_dimensions(named.deployment, named.site).items():
            metric.add_dimension(dimension, value_of)
