"""What all functions have in common: logs with the incident's id, metrics of each step, transient errors to retry.

Source: Powertools for AWS Lambda (Python), "Logger" and "Metrics".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric

from tapstack.domain.own_names import METRICS_NAMESPACE, METRICS_SERVICE, metric_dimensions
from tapstack.responder.aws.errors import transient_as_try_again
from tapstack.responder.environment import environment

_COUNTED = frozenset({"mirrored", "refused", "ended", "extended"})
"""Results of steps that are a number of interfaces."""
logger = Logger(service=METRICS_SERVICE)
Event = dict[str, Any]
Step = Callable[[Event], Mapping[str, Any] | dict[str, Any]]


@contextmanager
def observed(step: str, incident_id: str | None = None) -> Iterator[Metrics]:
    """Log and measure one step; a transient error is raised as TryAgain.

    Args:
        step: such as `capture.start`; the dimension of the metrics.
        incident_id: is in every line that is logged meanwhile.
    """
    metrics = Metrics(namespace=METRICS_NAMESPACE, service=METRICS_SERVICE)
    metrics.add_dimension("step", step)
    logger.append_keys(step=step, incident_id=incident_id)
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
    """Add one to a metric of the deployment and site, which an alarm watches."""
    measure(name, MetricUnit.Count, 1)


def measure(name: str, unit: MetricUnit, value: float) -> None:
    """Publish a value of a metric of the deployment and site, which an alarm watches."""
    named = environment()
    with single_metric(name, unit, value, namespace=METRICS_NAMESPACE) as metric:
        for dimension, value_of in metric_dimensions(named.deployment, named.site).items():
            metric.add_dimension(dimension, value_of)


def serve(
    function: str, steps: Mapping[str, Step], *, then: Callable[[str], object] = lambda _: None
) -> Callable[[Event, object], dict[str, Any]]:
    """Return the handler of a function that performs the steps of the workflow.

    Args:
        function: the function's name.
        steps: the function of each `action` of the event; it gets the event, and returns the result for the workflow.
        then: is called with the incident's id after a step that succeeded.
    """

    def handler(event: Event, context: object) -> dict[str, Any]:
        """Perform one step."""
        action, incident_id = str(event["action"]), str(event["incident_id"])
        with observed(f"{function}.{action}", incident_id) as metrics:
            result = dict(steps[action](event))
            then(incident_id)
            for name in _COUNTED & set(result):
                metrics.add_metric(name.title(), MetricUnit.Count, result[name])
        return result

    return handler
