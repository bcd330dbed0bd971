"""Rules and schedules of strictmoto, over HTTP."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from strictmoto.account import Account

ROLE = "arn:aws:iam::123456789012:role/events"
SERVICE = {"Service": "events.amazonaws.com"}


def policy(action: str) -> str:
    statement = {"Effect": "Allow", "Principal": SERVICE, "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass
class Events:
    """What a test does with events."""

    account: Account
    bus: Any
    sqs: Any

    def queue(self, name: str = "heard", *, open_to_events: bool = True, **attributes: str) -> tuple[str, str]:
        if open_to_events:
            attributes["Policy"] = policy("sqs:SendMessage")
        url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, found["Attributes"]["QueueArn"]

    def rule(self, *targets: dict[str, Any], pattern: Any = None, name: str = "rule", **options: Any) -> str:
        if "ScheduleExpression" not in options:
            options["EventPattern"] = json.dumps(pattern or {"source": ["northwind"]})
        arn = self.bus.put_rule(Name=name, **options)["RuleArn"]
        numbered = [{"Id": str(n), **target} for n, target in enumerate(targets)]
        bus = {"EventBusName": options["EventBusName"]} if "EventBusName" in options else {}
        self.bus.put_targets(Rule=name, Targets=numbered, **bus)
        return str(arn)

    def put(self, detail: Any = None, **entry: Any) -> Any:
        given = {"Source": "northwind", "DetailType": "opened", "Detail": json.dumps(detail or {}), **entry}
        return self.bus.put_events(Entries=[given])["Entries"][0]

    def messages(self, url: str, count: int = 1, seconds: int = 5) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < count:
            got = self.sqs.receive_message(
                QueueUrl=url, WaitTimeSeconds=seconds, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            ).get("Messages", [])
            assert got, f"{len(found)} of {count} messages came"
            for message in got:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found += got
        return found

    def heard(self, url: str, count: int = 1) -> list[Any]:
        return [json.loads(message["Body"]) for message in self.messages(url, count)]

    def silent(self, url: str, seconds: int = 1) -> bool:
        return not self.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=seconds).get("Messages")


# Making a client takes longer than most tests.
@functools.cache
def clients_of(account: Account) -> tuple[Any, Any]:
    return account.client("events"), account.client("sqs")


@pytest.fixture
def events(aws_account: Account) -> Iterator[Events]:
    aws_account.waits.scale = 0.001
    yield Events(aws_account, *clients_of(aws_account))
    # Nothing of it fires into the next test.
    aws_account.reset()
