"""What things cost: the bills add up, and what has no source is unknown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.costs import PRICES, Prices, read_prices, render_costs

RESPONSE: dict[str, Any] = {
    "resource": {
        "aws_kms_key": {"key": {}, "other": {}},
        "aws_cloudwatch_dashboard": {"board": {}},
        "aws_cloudwatch_metric_alarm": {
            "plain": {"metric_name": "Errors"},
            "sum": {"metric_query": [{"id": "all", "expression": "a+b"}, {"metric": {}}, {"metric": {}}]},
            "search": {"metric_query": [{"id": "all", "expression": "SEARCH(...)"}]},
        },
    }
}
TELEMETRY: dict[str, Any] = {
    "resource": {
        "aws_kms_key": {"key": {}},
        "aws_cloudwatch_metric_alarm": {"plain": {"metric_name": "Messages"}},
        "aws_lambda_event_source_mapping": {"events": {}},
    }
}


def prices(**changed: float | None) -> Prices:
    """The prices of the repository, some of them changed."""
    document = yaml.safe_load(PRICES.read_text(encoding="utf-8"))
    for name, value in changed.items():
        document["prices"][name]["value"] = value
    return Prices(document)


def test_when_a_capture_is_deployed_for_a_month_then_its_bill_adds_up() -> None:
    page = render_costs(
        RESPONSE, TELEMETRY, prices(m5_xlarge_hour=1.0, gp3_gb_month=1.0, mirror_session_hour=1.0, cross_zone_gb=1.0)
    )

    assert "| the appliance, an m5.xlarge | 730.00 |" in page
    assert "| 10 mirror sessions | 7,300.00 |" in page
    assert f"| **together** | **{730 + 100 + 7300 + 200:,.2f}** |" in page


def test_when_a_response_is_idle_then_its_keys_and_the_metrics_of_its_alarms_are_counted() -> None:
    page = render_costs(RESPONSE, TELEMETRY, prices(kms_key_month=1.0, alarm_metric_month=1.0))

    assert "| its key | 2.00 |" in page
    assert "| the 16 metrics that each sweep publishes | unknown |" in page
    assert "| its alarms, 4 metrics | 4.00 |" in page


def test_when_telemetry_lands_then_its_key_its_polled_queue_and_what_aws_delivers_are_in_a_bill() -> None:
    page = render_costs(RESPONSE, TELEMETRY, prices(kms_key_month=1.0, sqs_million=1.0, s3_gb_month=1.0))
    _, _, bill = page.partition("### Telemetry")

    assert "| Lambda's requests of its queue, 657,000 | 0.66 |" in bill
    assert "| the delivery of 100 GB of flow logs | unknown |" in bill
    assert f"| **together**, and 1 of unknown price | **{1 + 0.10 + 0.657 + 100:,.2f}** |" in bill


def test_when_a_response_takes_webhooks_then_its_secrets_and_its_polled_queue_are_counted() -> None:
    made = {**RESPONSE["resource"], "aws_secretsmanager_secret": {"a": {}, "b": {}}}
    alerts = {"resource": {**made, "aws_lambda_event_source_mapping": {"alerts": {}}}}
    page = render_costs(alerts, TELEMETRY, prices(secret_month=1.0, sqs_million=1.0))
    idle, _, _ = page.partition("### Telemetry")

    assert "| the secrets of its webhooks | 2.00 |" in idle
    assert "| Lambda's requests of its queue, 657,000 | 0.66 |" in idle
    assert "Secrets Manager" in page


def test_when_the_page_is_dated_then_by_its_sources_and_not_by_the_day_it_was_compiled() -> None:
    page = render_costs(RESPONSE, TELEMETRY, prices())

    assert page.startswith("List prices of us-east-1 in USD, without tax, from 2024-07-01 to 2024-11-15 ")


def test_when_a_load_balancer_is_the_target_then_its_hours_and_capacity_units_are_in_a_bill() -> None:
    page = render_costs(
        RESPONSE,
        TELEMETRY,
        prices(nlb_hour=1.0, nlb_capacity_unit_hour=2.0, mirror_session_hour=0.0, cross_zone_gb=0.0),
    )

    assert f"| **together** | **{730 + 2 * 730:,.2f}** |" in page


def test_when_a_price_has_no_source_then_it_is_unknown_and_the_sum_says_so() -> None:
    page = render_costs(RESPONSE, TELEMETRY, prices(kms_key_month=None, lambda_million_requests=None))

    assert "| its key | unknown |" in page
    assert "| customer managed key-month | unknown | no source was read |" in page
    assert "| **together**, and 4 of unknown price |" in page


@pytest.mark.parametrize("name", yaml.safe_load(PRICES.read_text(encoding="utf-8"))["prices"])
def test_every_price_has_a_source_and_its_date_or_no_value(name: str) -> None:
    price = yaml.safe_load(PRICES.read_text(encoding="utf-8"))["prices"][name]

    assert set(price) == (
        {"value", "unit", "source", "date"} if read_prices().value(name) is not None else {"value", "unit"}
    )


XDR_PAGE = Path(__file__).parents[2] / "docs/xdr.md"
NAMED = {
    "the key": ("kms_key_month", "kms_10000_requests"),
    "storage": ("s3_gb_month",),
    "putting objects": ("s3_put_1000",),
    "reading objects": ("s3_get_1000",),
    "queues": ("sqs_million",),
    "alarms": ("alarm_metric_month",),
}
"""Rows of the page about XDRs, and the prices that each names."""
FILES_OF_FLOWS = 12
"""In an hour, of each flow log at least."""


def test_when_the_page_about_xdrs_names_prices_then_they_are_those_that_the_bills_are_computed_from() -> None:
    page = XDR_PAGE.read_text(encoding="utf-8").partition("\n## What it costs\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page, re.M)
    priced = {what: [float(usd) for usd in re.findall(r"([\d.]+) USD", price)] for what, price, _ in rows}
    known = read_prices()
    assert {what: values for what, values in priced.items() if values} == {
        what: [known.value(name) for name in names] for what, names in NAMED.items()
    }
    comes_to = {what: text for what, _, text in rows}
    of_storage, of_putting = (known.value(name) or 0 for name in ("s3_gb_month", "s3_put_1000"))
    kept = 10 * (400 + 30)
    assert f"{kept / 1000:.1f} TB, {kept * of_storage:.0f} USD a month" in comes_to["storage"]
    put = FILES_OF_FLOWS * known.hours / 1000
    assert f": {put * of_putting:.2f} USD a month for each flow log" in comes_to["putting objects"]
    assert f"List prices of {known.region} in 2024" in page
    assert all(date.startswith("2024-") for date in known.dates(name for names in NAMED.values() for name in names))
