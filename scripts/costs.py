"""What a capture, an idle response, telemetry and an incident cost, computed from list prices and the synthesized
example.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tapstack.domain.evidence_settings import ApplianceSnapshots
from tapstack.domain.function_environment import MEMORY_MEGABYTES
from tapstack.domain.incidents import SWEEP_MINUTES
from tapstack.responder.sweeper import Report

PRICES: Final = Path(__file__).resolve().parent.parent / "docs/prices.yaml"

SESSIONS: Final = 10
"""Of a capture deployed for a month; the example has three named sources, and as many more as its lookups find."""
VOLUME_GB: Final = 100
"""Of the appliance. The product's template is not public: its volumes are not known."""
SWEEPS_AN_HOUR: Final = 60 // SWEEP_MINUTES
SWEEP_SECONDS: Final = 1
SWEEPER_GB: Final = MEMORY_MEGABYTES / 1024
SWEEPER_METRICS: Final = len(Report().counts()) + 3
"""Custom metrics that each sweep publishes, zeros included: its counts, Seconds, Succeeded and ApplianceHours."""
INCIDENT_HOURS: Final = 24
SNAPSHOT_DAYS: Final = ApplianceSnapshots().keep_days
INCIDENT_SESSIONS: Final = 2
MIRRORED_GB: Final = 100
FLOW_LOG_GB: Final = 100
"""Delivered in a month, compressed. It grows with the connections of the VPC."""
POLLS_A_MINUTE: Final = 5 * 3
"""Of each queue whose messages a function is given: five pollers, which wait for 20 seconds each.

Source: AWS Lambda Developer Guide, "Configuring scaling behavior for SQS event source mappings" (five concurrent
batches at first); long polling of 20 seconds is the longest that SQS has.
"""


@dataclass(frozen=True)
class Work:
    """The calls and resources of one incident.

    Attributes:
        requests: of the API.
        invocations: of functions.
        gb_seconds: of functions.
        transitions: of the workflow.
        writes: of the table, in write request units.
        reads: of the table, in read request units.
    """

    requests: int
    invocations: int
    gb_seconds: float
    transitions: int
    writes: int
    reads: int


WORK: Final = Work(requests=50, invocations=20, gb_seconds=30.0, transitions=50, writes=200, reads=200)
"""Of one incident that is captured, contained on approval, released and closed.

Counted on 2026-11-26 in a rehearsal of the example (19 invocations, 60 reads of items, 39 queries, 48 updates, 20
transactions), and rounded up: transactions count twice, a function is taken as three seconds of 0.5 GB.
"""


@dataclass(frozen=True)
class Line:
    """A line of a bill; `price` is a key of the prices, and `amount` how many units."""

    what: str
    amount: float
    price: str


class Prices:
    """The list prices of docs/prices.yaml."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Take the parsed document."""
        self.region = str(document["region"])
        self.compiled = str(document["compiled"])
        self.hours = int(document["hours_a_month"])
        self._prices: Mapping[str, Mapping[str, Any]] = document["prices"]

    def value(self, name: str) -> float | None:
        """The price of a unit in USD; None where it has no source."""
        value = self._prices[name]["value"]
        return None if value is None else float(value)

    def dates(self, names: Iterable[str]) -> tuple[str, str]:
        """The oldest and the newest date of the sources of prices."""
        found = sorted(str(self._prices[name]["date"]) for name in names if self.value(name) is not None)
        return found[0], found[-1]

    def table(self, names: Iterable[str]) -> list[str]:
        """The rows that state prices with their source and its date."""
        rows = ["| unit | USD | source |", "|---|---:|---|"]
        for name in names:
            price = self._prices[name]
            known = price["value"] is not None
            shown = _plain(float(price["value"])) if known else "unknown"
            source = f"{price['source']}, {price['date']}" if known else "no source was read"
            rows.append(f"| {price['unit']} | {shown} | {source} |")
        return rows


def read_prices(path: Path = PRICES) -> Prices:
    """Read the prices."""
    return Prices(yaml.safe_load(path.read_text(encoding="utf-8")))


def render_costs(response: Mapping[str, Any], telemetry: Mapping[str, Any], prices: Prices, work: Work = WORK) -> str:
    """Return the tables of docs/costs.md.

    Args:
        response: the Terraform of the example's response.
        telemetry: the Terraform of the example's telemetry.
        prices: of the units.
        work: what an incident asks of AWS.
    """
    bills = {
        f"A capture deployed for a month: one appliance, {SESSIONS} sessions": _deployed(prices),
        "An idle response: deployed, no incident, a month": _idle(response, prices),
        f"Telemetry for an XDR, kept for a month, with {FLOW_LOG_GB} GB of flow logs": _telemetry(telemetry, prices),
        f"One incident: an appliance of its own and {INCIDENT_SESSIONS} sessions for {INCIDENT_HOURS} hours": _incident(
            prices, work
        ),
        f"A Network Load Balancer as target for a month, with {SESSIONS} sessions": _balanced(prices),
    }
    used = dict.fromkeys([*(line.price for bill in bills.values() for line in bill), "public_ipv4_hour"])
    oldest, newest = prices.dates(used)
    text: list[str] = [
        f"List prices of {prices.region} in USD, without tax, from {oldest} to {newest} (the table of prices has "
        f"each date); compiled on {prices.compiled}. Prices change: verify them.",
        "",
    ]
    for title, bill in bills.items():
        text += [f"### {title}", "", *_bill(bill, prices), ""]
    text += ["### The prices", "", *prices.table(used)]
    return "\n".join(text) + "\n"


def _deployed(prices: Prices) -> list[Line]:
    return [
        Line("the appliance, an m5.xlarge", prices.hours, "m5_xlarge_hour"),
        Line(f"its volumes, taken as {VOLUME_GB} GB of gp3", VOLUME_GB, "gp3_gb_month"),
        Line(f"{SESSIONS} mirror sessions", SESSIONS * prices.hours, "mirror_session_hour"),
        Line(f"{MIRRORED_GB} GB mirrored between zones, charged both ways", 2 * MIRRORED_GB, "cross_zone_gb"),
    ]


def _idle(response: Mapping[str, Any], prices: Prices) -> list[Line]:
    made: Mapping[str, Mapping[str, Any]] = response["resource"]
    metrics = sum(_metrics(alarm) for alarm in made["aws_cloudwatch_metric_alarm"].values())
    sweeps = SWEEPS_AN_HOUR * prices.hours
    return [
        Line("its key", len(made["aws_kms_key"]), "kms_key_month"),
        Line(f"its alarms, {metrics} metrics", metrics, "alarm_metric_month"),
        Line(f"the {SWEEPER_METRICS} metrics that each sweep publishes", SWEEPER_METRICS, "custom_metric_month"),
        Line("its dashboard", len(made["aws_cloudwatch_dashboard"]), "dashboard_month"),
        *_secrets(made),
        *_polled(made, prices),
        Line(
            f"the sweeper, {sweeps:,} times {SWEEP_SECONDS} s of {SWEEPER_GB} GB",
            sweeps * SWEEP_SECONDS * SWEEPER_GB,
            "lambda_gb_second",
        ),
        Line("the sweeper's requests", sweeps / 1e6, "lambda_million_requests"),
        Line("point-in-time recovery of the table, under 1 GB", 1, "dynamodb_recovery_gb_month"),
    ]


def _telemetry(telemetry: Mapping[str, Any], prices: Prices) -> list[Line]:
    made: Mapping[str, Mapping[str, Any]] = telemetry["resource"]
    metrics = sum(_metrics(alarm) for alarm in made["aws_cloudwatch_metric_alarm"].values())
    return [
        Line("its key", len(made["aws_kms_key"]), "kms_key_month"),
        Line(f"its alarms, {metrics} metrics", metrics, "alarm_metric_month"),
        *_polled(made, prices),
        Line(f"the delivery of {FLOW_LOG_GB} GB of flow logs", FLOW_LOG_GB, "vended_logs_gb"),
        Line(f"their storage, {FLOW_LOG_GB} GB", FLOW_LOG_GB, "s3_gb_month"),
    ]


def _secrets(made: Mapping[str, Mapping[str, Any]]) -> Iterable[Line]:
    if secrets := made.get("aws_secretsmanager_secret"):
        yield Line("the secrets of its webhooks", len(secrets), "secret_month")


def _polled(made: Mapping[str, Mapping[str, Any]], prices: Prices) -> Iterable[Line]:
    """Lambda asks for messages all the time, and SQS bills the empty answers, too."""
    if queues := len(made.get("aws_lambda_event_source_mapping", ())):
        polls = queues * POLLS_A_MINUTE * 60 * prices.hours
        yield Line(f"Lambda's requests of its queue, {polls:,}", polls / 1e6, "sqs_million")


def _metrics(alarm: Mapping[str, Any]) -> int:
    """CloudWatch bills an alarm by the metrics that it evaluates."""
    queries = alarm.get("metric_query") or ()
    return max(1, sum("metric" in query for query in queries))


def _incident(prices: Prices, work: Work) -> list[Line]:
    share = INCIDENT_HOURS / prices.hours
    return [
        Line("the appliance, an m5.xlarge", INCIDENT_HOURS, "m5_xlarge_hour"),
        Line(f"its volumes, taken as {VOLUME_GB} GB of gp3", VOLUME_GB * share, "gp3_gb_month"),
        Line(f"{INCIDENT_SESSIONS} mirror sessions", INCIDENT_SESSIONS * INCIDENT_HOURS, "mirror_session_hour"),
        Line(f"{MIRRORED_GB} GB mirrored between zones, charged both ways", 2 * MIRRORED_GB, "cross_zone_gb"),
        Line(f"the workflow, {work.transitions} transitions", work.transitions / 1e3, "transition_1000"),
        Line(f"the functions, {work.gb_seconds:.0f} GB-seconds", work.gb_seconds, "lambda_gb_second"),
        Line(f"{work.invocations} requests of functions", work.invocations / 1e6, "lambda_million_requests"),
        Line(f"the table, {work.writes} write units", work.writes / 1e6, "dynamodb_million_writes"),
        Line(f"the table, {work.reads} read units", work.reads / 1e6, "dynamodb_million_reads"),
        Line(f"{work.requests} requests of the API", work.requests / 1e6, "http_api_million"),
        Line("snapshots taken at containment, a GB-month", 1, "snapshot_gb_month"),
        Line(
            f"snapshots of the appliance, at most {VOLUME_GB} GB for {SNAPSHOT_DAYS} days",
            VOLUME_GB * SNAPSHOT_DAYS * 24 / prices.hours,
            "snapshot_gb_month",
        ),
    ]


def _balanced(prices: Prices) -> list[Line]:
    """The kind of the example's second site: its appliances exist, and are in no bill."""
    return [
        Line("the Network Load Balancer", prices.hours, "nlb_hour"),
        Line("its capacity units, taken as 1 NLCU at all times", prices.hours, "nlb_capacity_unit_hour"),
        Line(f"{SESSIONS} mirror sessions", SESSIONS * prices.hours, "mirror_session_hour"),
        Line(f"{MIRRORED_GB} GB mirrored between zones, charged both ways", 2 * MIRRORED_GB, "cross_zone_gb"),
    ]


def _bill(lines: Iterable[Line], prices: Prices) -> list[str]:
    rows = ["| what | USD |", "|---|---:|"]
    known, unknown = 0.0, 0
    for line in lines:
        price = prices.value(line.price)
        if price is None:
            unknown += 1
        else:
            known += price * line.amount
        rows.append(f"| {line.what} | {'unknown' if price is None else _money(price * line.amount)} |")
    beside = f", and {unknown} of unknown price" if unknown else ""
    return [*rows, f"| **together**{beside} | **{_money(known)}** |"]


def _money(usd: float) -> str:
    return f"{usd:,.2f}" if usd >= 0.005 else "under 0.01"


def _plain(usd: float) -> str:
    return f"{usd:.10f}".rstrip("0").rstrip(".")
