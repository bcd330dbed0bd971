"""The response at a glance: a CloudWatch dashboard."""

from __future__ import annotations

from typing import Any

from tapstack.bindings import AwsConstruct, Construct, aws, json_text
from tapstack.capture.place import Place
from tapstack.domain.own_names import (
    ALERTS_KEPT,
    ALERTS_NOT_NOTIFIED,
    ALERTS_UNMATCHED,
    APPLIANCE_HOURS,
    METRICS_NAMESPACE,
    WEBHOOKS_REFUSED,
    WEBHOOKS_UNKNOWN,
)
from tapstack.response.alarms import Watched

_WIDTH, _HEIGHT = 12, 6


class ResponseDashboard(AwsConstruct):
    """Executions, functions, the API, dead letters, and what was mirrored or skipped.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of the dashboard.
        place: where it is deployed to.
        watched: what it shows.

    See "Dashboard body structure and syntax" in the Amazon CloudWatch API Reference.
    """

    def __init__(self, scope: Construct, id_: str, *, name: str, place: Place, watched: Watched) -> None:
        """Create the dashboard."""
        super().__init__(scope, id_)
        self._place = place
        self.resource: Any = aws.CloudwatchDashboard(
            self, "Resource", dashboard_name=name, dashboard_body=json_text({"widgets": _widgets(place, watched)})
        )

    @property
    def url(self) -> str:
        """Its URL in the console of the partition, as a token."""
        region = self._place.region
        return (
            f"https://{region}.{self._place.console}/cloudwatch/home?region={region}"
            f"#dashboards/dashboard/{self.resource.dashboard_name}"
        )


def _widgets(place: Place, watched: Watched) -> list[dict[str, Any]]:
    machine = ["StateMachineArn", watched.state_machine_arn]
    api = ["ApiId", watched.api_id]
    own = [text for pair in watched.dimensions.items() for text in pair]
    found = "SEARCH('{{AWS/EC2,InstanceId}} MetricName=\"{}\"', 'Maximum', 300)"
    charts: list[tuple[str, str, list[list[Any]]]] = [
        (
            "Incidents: executions of the workflow",
            "Sum",
            [
                ["AWS/States", f"Executions{what}", *machine]
                for what in ("Started", "Succeeded", "Failed", "TimedOut", "Aborted")
            ],
        ),
        (
            "Dead letters",
            "Maximum",
            [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", watched.dead_letters]],
        ),
        (
            "Functions: errors and throttles",
            "Sum",
            [
                ["AWS/Lambda", metric, "FunctionName", function]
                for function in watched.functions
                for metric in ("Errors", "Throttles")
            ],
        ),
        (
            "Functions: duration (ms)",
            "p95",
            [["AWS/Lambda", "Duration", "FunctionName", function] for function in watched.functions],
        ),
        ("API: requests and faults", "Sum", [["AWS/ApiGateway", metric, *api] for metric in ("Count", "4xx", "5xx")]),
        ("API: latency (ms)", "p95", [["AWS/ApiGateway", "Latency", *api]]),
        (
            "Mirrored bytes, by source",
            "Maximum",
            [[{"expression": found.format(f"NetworkMirror{way}")}] for way in ("In", "Out")],
        ),
        (
            "Bytes not mirrored, by source",
            "Maximum",
            [[{"expression": found.format(f"NetworkSkipMirror{way}")}] for way in ("In", "Out")],
        ),
        (
            "Alerts that operators were not notified of",
            "Sum",
            [[METRICS_NAMESPACE, ALERTS_NOT_NOTIFIED, *own]],
        ),
        ("Launched appliance: hours", "Maximum", [[METRICS_NAMESPACE, APPLIANCE_HOURS, *own]]),
    ]
    if watched.alert_dead_letters is not None:
        names = (ALERTS_KEPT, ALERTS_UNMATCHED, WEBHOOKS_REFUSED, WEBHOOKS_UNKNOWN)
        charts.append(("Alerts of other tools", "Sum", [[METRICS_NAMESPACE, name, *own] for name in names]))
        queue = ["QueueName", watched.alert_dead_letters]
        charts.append(("Alerts: dead letters", "Maximum", [["AWS/SQS", "ApproximateNumberOfMessagesVisible", *queue]]))
    return [
        {
            "type": "metric",
            "x": _WIDTH * (position % 2),
            "y": _HEIGHT * (position // 2),
            "width": _WIDTH,
            "height": _HEIGHT,
            "properties": {
                "title": title,
                "region": place.region,
                "stat": statistic,
                "period": 300,
                "view": "timeSeries",
                "metrics": metrics,
            },
        }
        for position, (title, statistic, metrics) in enumerate(charts)
    ]
