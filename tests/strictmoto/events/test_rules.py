"""Rules of strictmoto: what targets get, and what becomes of what they do not get.

Source: Amazon EventBridge User Guide and API Reference.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.faults import Fault
from tests.strictmoto.events.conftest import ROLE, Events, policy
from tests.strictmoto.signing import own_api


def test_when_an_event_is_put_then_a_queue_gets_it_whole(events: Events) -> None:
    url, arn = events.queue()
    events.rule({"Arn": arn})
    entry = events.put({"incident": 7}, Resources=["arn:aws:ec2:eu-central-1:123456789012:instance/i-1"])
    [heard] = events.heard(url)
    assert heard.pop("time").endswith("Z")
    assert heard == {
        "version": "0",
        "id": entry["EventId"],
        "detail-type": "opened",
        "source": "northwind",
        "account": "123456789012",
        "region": "eu-central-1",
        "resources": ["arn:aws:ec2:eu-central-1:123456789012:instance/i-1"],
        "detail": {"incident": 7},
    }


def test_when_a_service_puts_an_event_then_rules_hear_of_it(events: Events) -> None:
    url, arn = events.queue()
    events.rule({"Arn": arn}, pattern={"source": ["aws.guardduty"], "detail": {"severity": [{"numeric": [">=", 7]}]}})
    event = {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "resources": ["arn:aws:s3:::b"]}
    publish = events.account.service_events.publish
    ids = [publish({**event, "detail": {"severity": severity}}) for severity in (2, 8)]
    [heard] = events.heard(url)
    assert (heard["id"], heard["detail"], heard["resources"]) == (ids[1], {"severity": 8}, ["arn:aws:s3:::b"])
    assert (heard["source"], heard["detail-type"]) == ("aws.guardduty", "GuardDuty Finding")
    assert (heard["account"], heard["region"]) == ("123456789012", "eu-central-1")
    assert events.silent(url)


def test_when_another_process_asks_then_a_service_puts_an_event(events: Events) -> None:
    url, arn = events.queue()
    events.rule({"Arn": arn}, pattern={"source": ["aws.guardduty"]})
    event: dict[str, Any] = {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": {"severity": 8}}
    status, answer = own_api(events.account, "POST", "/events", {"event": event})
    assert status == 200
    assert isinstance(answer, dict)
    assert [heard["id"] for heard in events.heard(url)] == [answer["id"]]
    wrongs: tuple[Any, ...] = ({"event": {**event, "source": "northwind"}}, {"event": {}}, {"event": []}, {}, [])
    for wrong in wrongs:
        assert own_api(events.account, "POST", "/events", wrong)[0] == 400
    with pytest.raises(ValueError, match="an event has source, detail-type, detail: detail missing"):
        events.account.service_events.publish({**event, "detail": None})


def test_fails_when_a_caller_puts_an_event_of_a_service(events: Events) -> None:
    url, arn = events.queue()
    events.rule({"Arn": arn}, pattern={"detail-type": ["opened"]})
    good = {"Source": "aws-of-northwind", "DetailType": "opened", "Detail": "{}"}
    sources = ("aws.guardduty", "aws.ec2", "aws.", "aws.partner/northwind")
    answer = events.bus.put_events(Entries=[*({**good, "Source": source} for source in sources), good])
    assert answer["FailedEntryCount"] == len(sources)
    refused = {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    assert answer["Entries"][:-1] == [refused] * len(sources)
    assert [heard["source"] for heard in events.heard(url)] == ["aws-of-northwind"]
    assert events.silent(url)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"Input": '{"fixed": 1}'}, {"fixed": 1}),
        ({"InputPath": "$.detail.finding"}, {"id": "f-1", "score": 7.5}),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {
                        "id": "$.detail.finding.id",
                        "score": "$.detail.finding.score",
                        "all": "$.detail",
                    },
                    "InputTemplate": '{"id": <id>, "text": "<id> has <score>", "score": <score>, "detail": <all>}',
                }
            },
            {"id": "f-1", "text": "f-1 has 7.5", "score": 7.5, "detail": {"finding": {"id": "f-1", "score": 7.5}}},
        ),
        (
            {"InputTransformer": {"InputTemplate": '{"rule": <aws.events.rule-name>, "arn": "<aws.events.rule-arn>"}'}},
            {"rule": "rule", "arn": "arn:aws:events:eu-central-1:123456789012:rule/rule"},
        ),
        (
            {"InputTransformer": {"InputPathsMap": {"id": "$.detail.finding.id"}, "InputTemplate": '"finding <id>"'}},
            "finding f-1",
        ),
    ],
)
def test_when_a_target_has_an_input_then_it_gets_that(events: Events, target: Any, expected: Any) -> None:
    url, arn = events.queue()
    events.rule({"Arn": arn, **target})
    events.put({"finding": {"id": "f-1", "score": 7.5}})
    assert events.heard(url) == [expected]


def test_when_a_template_asks_for_the_event_then_with_and_without_its_detail(events: Events) -> None:
    url, arn = events.queue()
    template = '{"whole": <aws.events.event.json>, "rest": <aws.events.event>, "at": <aws.events.event.ingestion-time>}'
    events.rule({"Arn": arn, "InputTransformer": {"InputTemplate": template}})
    events.put({"a": 1})
    [heard] = events.heard(url)
    assert heard["whole"]["detail"] == {"a": 1}
    assert "detail" not in heard["rest"]
    assert heard["at"].endswith("Z")


def test_when_a_rule_is_disabled_then_it_hears_nothing(events: Events) -> None:
    url, arn = events.queue()
    events.rule({"Arn": arn}, State="DISABLED")
    events.put()
    assert events.silent(url)
    events.bus.enable_rule(Name="rule")
    events.put()
    assert events.heard(url)


def test_when_the_target_is_a_fifo_queue_then_its_group_is_used(events: Events) -> None:
    url, arn = events.queue("heard.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    events.rule({"Arn": arn, "SqsParameters": {"MessageGroupId": "incidents"}})
    for n in range(5):
        events.put({"n": n})
    assert [heard["detail"]["n"] for heard in events.heard(url, 5)] == list(range(5))


def test_when_the_target_is_a_topic_then_its_subscribers_hear_of_it(events: Events) -> None:
    url, queue = events.queue()
    sns = events.account.client("sns")
    topic = sns.create_topic(Name="incidents")["TopicArn"]
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy("sns:Publish"))
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    events.rule({"Arn": topic, "InputPath": "$.detail"})
    events.put({"n": 1})
    [heard] = events.heard(url)
    assert json.loads(heard["Message"]) == {"n": 1}


def test_when_the_target_is_a_state_machine_then_the_role_starts_it_with_the_event(events: Events) -> None:
    states = events.account.client("stepfunctions")
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    machine = states.create_state_machine(name="m", definition=json.dumps(definition), roleArn=ROLE)["stateMachineArn"]
    events.rule({"Arn": machine, "RoleArn": ROLE})
    events.put({"n": 1})
    deadline = time.monotonic() + 5
    while not (found := states.list_executions(stateMachineArn=machine)["executions"]):
        assert time.monotonic() < deadline
    shown = states.describe_execution(executionArn=found[0]["executionArn"])
    assert json.loads(shown["input"])["detail"] == {"n": 1}
    [record] = events.account.recorder.records(service="states", action="StartExecution")
    assert record.principal == ROLE


def test_when_an_execution_changes_then_eventbridge_hears_of_it(events: Events) -> None:
    url, arn = events.queue()
    events.rule({"Arn": arn}, pattern={"source": ["aws.states"]})
    states = events.account.client("stepfunctions")
    definition = {"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "E", "Cause": "C"}}}
    machine = states.create_state_machine(name="m", definition=json.dumps(definition), roleArn=ROLE)["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, input='{"n": 1}', name="one")["executionArn"]
    started, failed = events.heard(url, 2)
    assert started["detail-type"] == failed["detail-type"] == "Step Functions Execution Status Change"
    assert started["resources"] == [execution]
    assert (started["detail"]["status"], failed["detail"]["status"]) == ("RUNNING", "FAILED")
    assert started["detail"]["stopDate"] is None
    assert failed["detail"]["stopDate"] >= failed["detail"]["startDate"]
    assert json.loads(failed["detail"]["input"]) == {"n": 1}
    assert (failed["detail"]["error"], failed["detail"]["cause"]) == ("E", "C")


def test_when_the_target_is_a_log_group_then_it_has_the_event(events: Events) -> None:
    logs = events.account.client("logs")
    logs.create_log_group(logGroupName="/aws/events/heard")
    url, arn = events.queue()
    group = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/events/heard"
    events.rule({"Arn": group}, {"Arn": arn})
    events.put({"n": 1})
    events.heard(url)
    deadline = time.monotonic() + 5
    while not (found := logs.filter_log_events(logGroupName="/aws/events/heard")["events"]):
        assert time.monotonic() < deadline
    assert json.loads(found[0]["message"])["detail"] == {"n": 1}


def test_when_the_target_is_a_bus_of_another_region_then_its_rules_hear_of_it_unchanged(events: Events) -> None:
    url, arn = events.queue()
    far = events.account.client("events", region="eu-west-1")
    bus = far.create_event_bus(Name="central")["EventBusArn"]
    far.put_rule(Name="rule", EventBusName="central", EventPattern='{"source": ["northwind"]}')
    far.put_targets(Rule="rule", EventBusName="central", Targets=[{"Id": "1", "Arn": arn}])
    events.rule({"Arn": bus, "RoleArn": ROLE})
    entry = events.put({"n": 1})
    [heard] = events.heard(url)
    assert (heard["id"], heard["region"]) == (entry["EventId"], "eu-central-1")


def test_when_a_target_does_not_let_eventbridge_in_then_the_event_is_a_dead_letter(events: Events) -> None:
    url, arn = events.queue("closed", open_to_events=False)
    dead_url, dead_arn = events.queue("dead")
    rule = events.rule({"Arn": arn, "DeadLetterConfig": {"Arn": dead_arn}})
    events.put({"n": 1})
    [dead] = events.messages(dead_url)
    attributes = {name: value["StringValue"] for name, value in dead["MessageAttributes"].items()}
    assert attributes.pop("ERROR_MESSAGE")
    assert attributes == {"RULE_ARN": rule, "TARGET_ARN": arn, "ERROR_CODE": "NO_PERMISSIONS", "RETRY_ATTEMPTS": "0"}
    assert json.loads(dead["Body"])["detail"] == {"n": 1}
    assert events.silent(url)


def test_when_a_target_is_gone_then_the_event_is_a_dead_letter(events: Events) -> None:
    dead_url, dead_arn = events.queue("dead")
    for name, service in (
        ("queue", "sqs:eu-central-1:123456789012:gone"),
        ("function", "lambda:eu-central-1:123456789012:function:gone"),
    ):
        events.rule({"Arn": f"arn:aws:{service}", "DeadLetterConfig": {"Arn": dead_arn}}, name=name)
    events.put()
    codes = [dead["MessageAttributes"]["ERROR_CODE"]["StringValue"] for dead in events.messages(dead_url, 2)]
    assert codes == ["NO_RESOURCE", "NO_RESOURCE"]


def test_when_a_target_is_throttled_then_it_is_tried_again_until_the_policy_ends(events: Events) -> None:
    url, arn = events.queue()
    dead_url, dead_arn = events.queue("dead")
    target = {"Arn": arn, "RoleArn": ROLE, "DeadLetterConfig": {"Arn": dead_arn}}
    events.rule({**target, "RetryPolicy": {"MaximumRetryAttempts": 2}})
    events.account.faults.add(Fault("SendMessage", "throttled", call=1))
    events.put({"n": 1})
    assert len(events.heard(url)) == 1
    events.account.faults.clear()
    events.account.faults.add(Fault("SendMessage", "throttled", call=0))
    events.put({"n": 2})
    [dead] = events.messages(dead_url)
    attributes = {name: value["StringValue"] for name, value in dead["MessageAttributes"].items()}
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert (attributes["ERROR_CODE"], attributes["RETRY_ATTEMPTS"]) == ("THROTTLING", "2")


@pytest.mark.parametrize(
    ("entry", "code"),
    [({"Source": ""}, "InvalidArgument"), ({"Detail": "{"}, "MalformedDetail"), ({"Detail": "[]"}, "MalformedDetail")],
)
def test_when_one_entry_is_wrong_then_only_that_one_fails(events: Events, entry: Any, code: str) -> None:
    good = {"Source": "northwind", "DetailType": "opened", "Detail": "{}"}
    answer = events.bus.put_events(Entries=[{**good, **entry}, good])
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == code
    assert answer["Entries"][1]["EventId"]


def test_fails_when_there_are_too_many_entries_or_they_are_too_large(events: Events) -> None:
    good = {"Source": "northwind", "DetailType": "opened", "Detail": "{}"}
    with pytest.raises(ClientError, match="less than or equal to 10"):
        events.bus.put_events(Entries=[good] * 11)
    events.bus.put_events(Entries=[{**good, "Detail": json.dumps({"x": "y" * 1_000_000})}])
    with pytest.raises(ClientError, match="over the limit"):
        events.bus.put_events(Entries=[{**good, "Detail": json.dumps({"x": "y" * 1_048_576})}])


def test_when_a_rule_has_a_rate_then_its_targets_hear_of_it_again_and_again(events: Events) -> None:
    url, arn = events.queue()
    rule = events.rule({"Arn": arn}, ScheduleExpression="rate(5 minutes)")
    first, second, *_ = events.heard(url, 2)
    assert (first["source"], first["detail-type"], first["detail"]) == ("aws.events", "Scheduled Event", {})
    assert first["resources"] == [rule]
    assert first["time"] < second["time"]
    events.bus.disable_rule(Name="rule")
    time.sleep(0.3)
    events.sqs.purge_queue(QueueUrl=url)
    assert events.silent(url)


def test_when_a_rule_only_has_a_schedule_then_it_does_not_hear_of_events(events: Events) -> None:
    url, arn = events.queue()
    events.rule({"Arn": arn}, ScheduleExpression="rate(30 days)")
    events.put()
    assert events.silent(url)


@pytest.mark.parametrize(
    "expression", ["rate(1 minutes)", "rate(0 minutes)", "cron(* * * * * *)", "at(2030-01-01T00:00:00)"]
)
def test_fails_when_a_rule_s_schedule_is_none(events: Events, expression: str) -> None:
    with pytest.raises(ClientError, match="ScheduleExpression is not valid"):
        events.bus.put_rule(Name="rule", ScheduleExpression=expression)
