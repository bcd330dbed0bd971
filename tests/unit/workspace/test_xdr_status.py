"""Which queues `tapstack xdr status` counts messages of."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import pytest

from tapstack.settings.load import parse_deployment
from tapstack.workspace.xdr_status import read_status
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
