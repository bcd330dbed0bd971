"""The handler of a function that performs steps of the workflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from aws_lambda_powertools.metrics import MetricUnit

from tapstack.responder.observability import observed

_COUNTED: Final = frozenset({"mirrored", "refused", "ended", "extended"})
"""Results of steps that are a number of interfaces."""
Event = dict[str, Any]
Steps = Mapping[str, Callable[[Event], Mapping[str, Any]]]


def serve(
    function: str, steps: Steps, *, then: Callable[[str], object] = lambda _: None
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
