"""What `tapstack xdr status` reads of a landing, and which queues it counts messages of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import MagicMock

import pytest

from tapstack.cli.xdr_webhooks import _arrival
from tapstack.settings.load import parse_deployment
from tapstack.workspace.xdr_status import Arrived, Refused, read_status
from tests.unit.settings.reading import USABLE

NAME = "tapstack-production"
READS = 'prefixes: [flow], own: {principals: ["arn:aws:iam::111122223333:role/lake"]}'


@pytest.mark.parametrize(
    ("more", "queues"),
    [
        ("    response: {}\n", ["response-dead-letters"]),
        ("    response: {}\n    xdr: {}\n", ["response-dead-letters", "xdr-incidents", "xdr-incidents-dead"]),
        (
            "    response: {alerts: {sources: {soc: {preset: generic}}}}\n    xdr: {}\n",
            [
                "response-alerts",
                "response-alerts-dead-letters",
                "response-dead-letters",
                "xdr-incidents",
                "xdr-incidents-dead",
            ],
        ),
        (
            "    xdr:\n      flow_logs: {}\n      readers:\n"
            f"        lake: {{queue: true, {READS}}}\n        polls: {{queue: false, {READS}}}\n",
            ["xdr-reader-lake", "xdr-reader-lake-dead-letters"],
        ),
    ],
)
def test_when_a_site_has_queues_then_all_of_them_are_counted(more: str, queues: list[str]) -> None:
    access: Any = MagicMock(account="111122223333")
    access.client("sqs").get_queue_attributes.return_value = {"Attributes": {"waiting": "2", "in flight": "1"}}

    status = read_status(parse_deployment(USABLE + more), "production", access)

    assert status.queues == {f"{NAME}-{queue}": 3 for queue in queues}


@pytest.mark.parametrize(
    ("webhook", "refused"),
    [
        ("true", Refused(5, datetime(2026, 11, 28, 3, 5, tzinfo=UTC))),
        ("false", None),
    ],
)
def test_when_sources_have_webhooks_then_those_that_were_refused_are_counted(
    webhook: str, refused: Refused | None
) -> None:
    pages = [
        {"MetricDataResults": [{"Timestamps": [datetime(2026, 11, 28, 3, 5, tzinfo=UTC)], "Values": [2.0]}]},
        {
            "MetricDataResults": [
                {
                    "Timestamps": [datetime(2026, 11, 28, 3, 10, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=UTC)],
                    "Values": [0.0, 3.0],
                }
            ]
        },
    ]
    access: Any = MagicMock(account="111122223333")
    access.client("cloudwatch").get_paginator.return_value.paginate.return_value = pages
    response = (
        f"    response: {{alerts: {{sources: {{soc: {{preset: generic, webhook: {webhook}}}}}}}}}\n    xdr: {{}}\n"
    )

    assert read_status(parse_deployment(USABLE + response), "production", access).refused == refused


class Landing:
    """A bucket with keys, each put a minute after the one before."""

    def __init__(self, *keys: str) -> None:
        begin = datetime(2026, 11, 28, tzinfo=UTC)
        self.keys = {key: begin + timedelta(minutes=minute) for minute, key in enumerate(keys)}

    def get_paginator(self, _: str) -> Landing:
        return self

    def paginate(self, Bucket: str, Prefix: str, Delimiter: str) -> list[dict[str, Any]]:  # noqa: N803
        assert (Bucket, Delimiter) == ("tapstack-production-xdr-111122223333", "/")
        below = {key: key[len(Prefix) :] for key in sorted(self.keys) if key.startswith(Prefix)}
        return [
            {
                "CommonPrefixes": [
                    {"Prefix": f"{Prefix}{name}/"}
                    for name in dict.fromkeys(rest.partition("/")[0] for rest in below.values() if "/" in rest)
                ],
                "Contents": [
                    {"Key": key, "LastModified": self.keys[key]} for key, rest in below.items() if "/" not in rest
                ],
            }
        ]

    def arrived(self, prefix: str) -> Arrived:
        access: Any = MagicMock(account="111122223333")
        access.client = lambda _: self
        arrived = read_status(parse_deployment(f"{USABLE}    xdr: {{}}\n"), "production", access).arrived
        [found] = [one for one in arrived if one.prefix == prefix]
        return found


@pytest.mark.parametrize(
    "name",
    [
        "{:%Y/%m/%d}",
        "{:%Y-%m-%d}",
        "{:%Y%m%d}",
        "dt={:%Y-%m-%d}",
        "{:%Y-%m}",
        "year={0:%Y}/month={0:%m}",
        "{:%Y%m%d%H}",
    ],
)
def test_when_folders_are_dates_of_any_form_then_the_last_of_very_many_is_read(name: str) -> None:
    days = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(500)]
    landing = Landing(*(f"feeds/edr/{name.format(day)}/{number}.gz" for number, day in enumerate(days)))
    found = landing.arrived("feeds/edr/")
    assert (found.last, found.left_out) == (max(landing.keys.values()), 0)


def test_when_a_landing_has_flow_logs_of_as_many_accounts_as_it_can_then_all_are_read() -> None:
    # The first by name is the one that delivered last.
    keys = [f"flow/AWSLogs/{number:012}/vpcflowlogs/eu-central-1/2026/11/28/a.gz" for number in range(101)]
    landing = Landing(*reversed(keys))
    assert landing.arrived("flow/") == Arrived("flow/", landing.keys[keys[0]], 1)


def test_when_there_are_more_folders_than_are_read_then_it_says_how_many_are_not() -> None:
    landing = Landing(*(f"feeds/edr/batch-{number:04}/a.gz" for number in range(300)))
    found = landing.arrived("feeds/edr/")
    assert (found.last, found.left_out) == (landing.keys["feeds/edr/batch-0299/a.gz"], 190)
    assert _arrival(found)[1] == "2026-11-28T04:59:00Z, without 190 folders of too many"


def test_when_there_are_more_sources_than_are_read_then_it_says_so() -> None:
    landing = Landing(*(f"unmatched/source-{number:03}/2026/11/28/a.json" for number in range(111)))
    assert landing.arrived("unmatched/") == Arrived("unmatched/", None, left_out=1)


def test_when_an_account_is_named_then_its_digits_are_no_date() -> None:
    landing = Landing("flow/AWSLogs/202612345678/b.gz", "flow/AWSLogs/202512345678/a.gz")
    assert landing.arrived("flow/").last == landing.keys["flow/AWSLogs/202512345678/a.gz"]
