"""EventBridge Scheduler in strictmoto.

Source: EventBridge Scheduler User Guide and API Reference.
"""

from __future__ import annotations

import datetime
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.events import recurring
from tests.strictmoto.events.conftest import ROLE, Events

OFF = {"Mode": "OFF"}


def at(seconds: float) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.strftime("at(%Y-%m-%dT%H:%M:%S)")


@pytest.fixture
def scheduler(events: Events) -> Any:
    return events.account.client("scheduler")


def create(scheduler: Any, expression: str, target: dict[str, Any], name: str = "release", **options: Any) -> str:
    given = {"FlexibleTimeWindow": OFF, **options}
    arn = scheduler.create_schedule(
        Name=name, ScheduleExpression=expression, Target={"RoleArn": ROLE, **target}, **given
    )["ScheduleArn"]
    return str(arn)


def test_when_its_time_comes_then_a_schedule_sends_its_input_as_its_role(
    events: Events, scheduler: Any, waited: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Noon(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(2099, 1, 1, 12, tzinfo=tz)

    monkeypatch.setattr(recurring, "datetime", SimpleNamespace(datetime=Noon, UTC=datetime.UTC))
    url, arn = events.queue(open_to_events=False)
    create(scheduler, "at(2099-01-01T12:05:00)", {"Arn": arn, "Input": '{"release": 7}'})
    assert events.heard(url) == [{"release": 7}]
    assert (300, 0.3) in waited
    [record] = events.account.recorder.records(service="sqs", action="SendMessage")
    assert record.principal == ROLE
    assert scheduler.get_schedule(Name="release")["State"] == "ENABLED"


def test_when_a_schedule_shall_be_deleted_then_it_is_after_its_only_time(events: Events, scheduler: Any) -> None:
    url, arn = events.queue()
    create(scheduler, at(100), {"Arn": arn, "Input": "1"}, ActionAfterCompletion="DELETE")
    assert events.heard(url) == [1]
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name="release")


@pytest.mark.parametrize("expression", ["rate(5 minutes)", "rate(5 minute)", "cron(0/5 * * * ? *)"])
def test_when_a_schedule_recurs_then_it_fires_until_it_is_deleted(
    events: Events, scheduler: Any, expression: str
) -> None:
    url, arn = events.queue()
    create(scheduler, expression, {"Arn": arn, "Input": '"<aws.scheduler.scheduled-time>"'})
    times = events.heard(url, 3)
    assert times == sorted(set(times))
    scheduler.delete_schedule(Name="release")
    time.sleep(0.2)
    events.sqs.purge_queue(QueueUrl=url)
    assert events.silent(url)


def test_when_a_schedule_is_disabled_or_moved_then_the_old_time_is_forgotten(events: Events, scheduler: Any) -> None:
    url, arn = events.queue()
    create(scheduler, at(500), {"Arn": arn, "Input": '"old"'}, name="moved")
    create(scheduler, at(500), {"Arn": arn, "Input": '"off"'}, name="off")
    create(scheduler, at(500), {"Arn": arn, "Input": '"never"'}, name="never", State="DISABLED")
    target = {"Arn": arn, "RoleArn": ROLE, "Input": '"new"'}
    moved = {"ScheduleExpression": at(900), "FlexibleTimeWindow": OFF, "Target": target}
    scheduler.update_schedule(Name="moved", **moved)
    scheduler.update_schedule(Name="off", State="DISABLED", **moved)
    assert events.heard(url) == ["new"]
    assert events.silent(url)
    assert scheduler.get_schedule(Name="moved")["State"] == "ENABLED"


def test_when_a_schedule_calls_any_action_then_the_account_does_it(events: Events, scheduler: Any) -> None:
    parameters = {
        "TableName": "made",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    }
    create(
        scheduler, at(10), {"Arn": "arn:aws:scheduler:::aws-sdk:dynamodb:createTable", "Input": json.dumps(parameters)}
    )
    deadline = time.monotonic() + 5
    while "made" not in events.account.client("dynamodb").list_tables()["TableNames"]:
        assert time.monotonic() < deadline


def test_when_a_schedule_puts_an_event_then_rules_hear_of_it(events: Events, scheduler: Any) -> None:
    url, arn = events.queue()
    events.rule({"Arn": arn}, pattern={"source": ["northwind.clock"]})
    bus = "arn:aws:events:eu-central-1:123456789012:event-bus/default"
    parameters = {"Source": "northwind.clock", "DetailType": "tick"}
    create(scheduler, at(10), {"Arn": bus, "EventBridgeParameters": parameters, "Input": '{"n": 1}'})
    [heard] = events.heard(url)
    assert (heard["detail-type"], heard["detail"]) == ("tick", {"n": 1})


def test_when_a_schedule_starts_a_workflow_then_it_gets_the_input(events: Events, scheduler: Any) -> None:
    states = events.account.client("stepfunctions")
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    machine = states.create_state_machine(name="m", definition=json.dumps(definition), roleArn=ROLE)["stateMachineArn"]
    create(scheduler, at(10), {"Arn": machine, "Input": '{"incident": 7}'})
    deadline = time.monotonic() + 5
    while not (found := states.list_executions(stateMachineArn=machine)["executions"]):
        assert time.monotonic() < deadline
    assert states.describe_execution(executionArn=found[0]["executionArn"])["input"] == '{"incident": 7}'


def test_when_a_target_is_not_reached_then_a_dead_letter_has_the_error(events: Events, scheduler: Any) -> None:
    dead_url, dead_arn = events.queue("dead", open_to_events=False)
    target = {"Arn": "arn:aws:sqs:eu-central-1:123456789012:gone", "DeadLetterConfig": {"Arn": dead_arn}, "Input": "{}"}
    schedule = create(scheduler, at(10), {**target, "RetryPolicy": {"MaximumRetryAttempts": 0}})
    [dead] = events.messages(dead_url)
    attributes = {name: value["StringValue"] for name, value in dead["MessageAttributes"].items()}
    assert attributes["SCHEDULE_ARN"] == schedule
    assert attributes["TARGET_ARN"] == target["Arn"]
    assert "NonExistentQueue" in attributes["ERROR_CODE"] or "QueueDoesNotExist" in attributes["ERROR_CODE"]
    assert attributes["RETRY_ATTEMPTS"] == "0"
    assert {"EXECUTION_ID", "SCHEDULED_TIME", "ERROR_MESSAGE", "IS_PAYLOAD_TRUNCATED"} <= set(attributes)


def test_when_a_window_is_flexible_then_it_fires_within_it(events: Events, scheduler: Any) -> None:
    url, arn = events.queue()
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}
    create(scheduler, at(10), {"Arn": arn, "Input": "1"}, FlexibleTimeWindow=window)
    assert events.heard(url) == [1]


def test_when_a_schedule_has_an_end_then_it_fires_no_more(events: Events, scheduler: Any) -> None:
    url, arn = events.queue()
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=11)
    create(scheduler, "rate(5 minutes)", {"Arn": arn, "Input": "1"}, EndDate=end)
    assert events.heard(url, 2) == [1, 1]
    assert events.silent(url)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ScheduleExpression": "rate(0 minutes)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "FlexibleTimeWindow"),
        ({"GroupName": "absent"}, "absent does not exist"),
    ],
)
def test_fails_when_a_schedule_is_none(events: Events, scheduler: Any, change: dict[str, Any], reason: str) -> None:
    target = {"Arn": "arn:aws:sqs:eu-central-1:123456789012:q", "RoleArn": ROLE}
    given = {"ScheduleExpression": "rate(5 minutes)", "FlexibleTimeWindow": OFF, "Target": target, **change}
    with pytest.raises(ClientError, match=reason):
        scheduler.create_schedule(Name="release", **given)
