"""How workflows of strictmoto call other services.

Source: Step Functions Developer Guide, "Integrating services with Step Functions".
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.faults import Fault
from tests.strictmoto.stepfunctions.conftest import ROLE, Workflows, machine, task

SEND = "arn:aws:states:::sqs:sendMessage"
SDK = "arn:aws:states:::aws-sdk:"


def queue(workflows: Workflows, name: str = "tasks") -> tuple[Any, str]:
    sqs = workflows.account.client("sqs")
    return sqs, sqs.create_queue(QueueName=name)["QueueUrl"]


def received(sqs: Any, url: str) -> Any:
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    return json.loads(message["Body"])


def test_when_a_task_calls_a_service_then_the_call_is_the_role_s(workflows: Workflows) -> None:
    workflows.output(machine(List=task(SDK + "ec2:describeInstances", {})))
    [record] = workflows.account.recorder.records(service="ec2")
    assert record.call.action == "DescribeInstances"
    assert record.principal == ROLE


@pytest.mark.parametrize(
    ("resource", "parameters", "error"),
    [
        ("ec2:describeInstances", {"InstanceIds": ["i-0123456789abcdef0"]}, "Ec2.Ec2Exception"),
        ("dynamodb:describeTable", {"TableName": "absent"}, "DynamoDb.ResourceNotFoundException"),
        ("sqs:getQueueUrl", {"QueueName": "absent"}, "Sqs.QueueDoesNotExistException"),
        ("cloudwatchlogs:deleteLogGroup", {"LogGroupName": "absent"}, "CloudWatchLogs.ResourceNotFoundException"),
    ],
)
def test_when_an_sdk_call_fails_then_the_error_is_named_as_the_java_sdk_names_it(
    workflows: Workflows, resource: str, parameters: Any, error: str
) -> None:
    ended = workflows.run(machine(Call=task(SDK + resource, parameters)))
    assert ended["error"] == error
    assert f"Service: {error.partition('.')[0]}, Status Code: 400" in ended["cause"]


def test_when_a_condition_fails_then_both_integrations_name_the_exception(workflows: Workflows) -> None:
    dynamodb = workflows.account.client("dynamodb")
    dynamodb.create_table(
        TableName="incidents",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    put = {
        "TableName": "incidents",
        "Item": {"id": {"S.$": "$.id"}},
        "ConditionExpression": "attribute_not_exists(id)",
    }
    first = workflows.create(machine(Put=task("arn:aws:states:::dynamodb:putItem", put)), "optimised")
    second = workflows.create(machine(Put=task(SDK + "dynamodb:putItem", put)), "sdk")
    assert workflows.end(workflows.start(first, {"id": "1"}))["status"] == "SUCCEEDED"
    optimised, sdk = (workflows.end(workflows.start(arn, {"id": "1"})) for arn in (first, second))
    assert optimised["error"] == "DynamoDB.ConditionalCheckFailedException"
    assert sdk["error"] == "DynamoDb.ConditionalCheckFailedException"


def test_when_an_answer_has_dates_and_small_letters_then_the_output_is_json_in_pascal_case(
    workflows: Workflows,
) -> None:
    output = workflows.output(machine(List=task(SDK + "sfn:listStateMachines", {"MaxResults": 1})))
    [listed] = output["StateMachines"]
    assert listed["Name"] == "workflow"
    assert listed["CreationDate"].endswith("Z")


def test_when_the_connection_is_lost_then_it_is_an_sdk_client_exception(workflows: Workflows) -> None:
    arn = workflows.create(machine(List=task(SDK + "ec2:describeInstances", {})))
    workflows.account.faults.add(Fault("DescribeInstances", "lost before"))
    assert workflows.end(workflows.start(arn))["error"] == "Ec2.SdkClientException"


def test_when_a_task_waits_for_its_token_then_the_output_given_ends_it(workflows: Workflows) -> None:
    sqs, url = queue(workflows)
    body = {"token.$": "$$.Task.Token", "ask": "may I?"}
    arn = workflows.create(machine(Ask=task(SEND + ".waitForTaskToken", {"QueueUrl": url, "MessageBody": body})))
    execution = workflows.start(arn)
    token = received(sqs, url)["token"]
    workflows.states.send_task_heartbeat(taskToken=token)
    workflows.states.send_task_success(taskToken=token, output='{"yes": true}')
    assert json.loads(workflows.end(execution)["output"]) == {"yes": True}
    calls: dict[str, dict[str, str]] = {
        "send_task_success": {"output": "{}"},
        "send_task_failure": {},
        "send_task_heartbeat": {},
    }
    for name, given in calls.items():
        with pytest.raises(ClientError, match="Provided task does not exist anymore") as refused:
            getattr(workflows.states, name)(taskToken=token, **given)
        assert refused.value.response["Error"]["Code"] == "TaskTimedOut"


def test_when_a_task_is_failed_by_its_token_then_a_retry_gets_another_token(workflows: Workflows) -> None:
    sqs, url = queue(workflows)
    retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    ask = task(
        SDK + "sqs:sendMessage.waitForTaskToken",
        {"QueueUrl": url, "MessageBody.$": "States.JsonToString($$.Task)"},
        Retry=retry,
    )
    execution = workflows.start(workflows.create(machine(Ask=ask)))
    first = received(sqs, url)["Token"]
    workflows.states.send_task_failure(taskToken=first, error="Busy", cause="later")
    second = received(sqs, url)["Token"]
    assert first != second
    workflows.states.send_task_failure(taskToken=second, error="Denied", cause="by the owner")
    ended = workflows.end(execution)
    assert (ended["error"], ended["cause"]) == ("Denied", "by the owner")


def test_fails_when_a_token_is_no_token_or_an_output_no_json(workflows: Workflows) -> None:
    with pytest.raises(workflows.states.exceptions.InvalidToken):
        workflows.states.send_task_success(taskToken="nonsense", output="{}")
    with pytest.raises(workflows.states.exceptions.TaskDoesNotExist):
        workflows.states.send_task_success(taskToken="AQ" + "x" * 160, output="{}")
    sqs, url = queue(workflows)
    body = {"token.$": "$$.Task.Token"}
    workflows.start(
        workflows.create(machine(Ask=task(SEND + ".waitForTaskToken", {"QueueUrl": url, "MessageBody": body})))
    )
    with pytest.raises(workflows.states.exceptions.InvalidOutput):
        workflows.states.send_task_success(taskToken=received(sqs, url)["token"], output="yes")


def test_when_no_answer_comes_then_the_token_times_out_in_scaled_time(workflows: Workflows) -> None:
    sqs, url = queue(workflows)
    body = {"token.$": "$$.Task.Token"}
    ask = task(SEND + ".waitForTaskToken", {"QueueUrl": url, "MessageBody": body}, TimeoutSeconds=60)
    ended = workflows.run(machine(Ask=ask))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert 0.5 < (ended["stopDate"] - ended["startDate"]).total_seconds() < 3
    with pytest.raises(workflows.states.exceptions.TaskTimedOut):
        workflows.states.send_task_success(taskToken=received(sqs, url)["token"], output="{}")


@pytest.mark.parametrize("error", ["States.HeartbeatTimeout", "States.Timeout"])
def test_when_heartbeats_stay_away_then_the_task_times_out(workflows: Workflows, error: str) -> None:
    sqs, url = queue(workflows)
    body = {"token.$": "$$.Task.Token"}
    catch = [{"ErrorEquals": [error], "Next": "Caught"}]
    ask = task(SEND + ".waitForTaskToken", {"QueueUrl": url, "MessageBody": body}, HeartbeatSeconds=60, Catch=catch)
    execution = workflows.start(workflows.create(machine(Ask=ask, Caught={"Type": "Succeed"})))
    token = received(sqs, url)["token"]
    for _ in range(3):
        time.sleep(0.3)
        workflows.states.send_task_heartbeat(taskToken=token)
    ended = workflows.end(execution)
    assert ended["status"] == "SUCCEEDED"
    assert (ended["stopDate"] - ended["startDate"]).total_seconds() > 1.2


def test_when_an_sns_message_or_an_event_carries_the_token_then_it_ends_the_task(workflows: Workflows) -> None:
    sqs, url = queue(workflows)
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns = workflows.account.client("sns")
    topic = sns.create_topic(Name="asks")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    ask = task(
        "arn:aws:states:::sns:publish.waitForTaskToken",
        {"TopicArn": topic, "Message": {"token.$": "$$.Task.Token"}},
    )
    execution = workflows.start(workflows.create(machine(Ask=ask)))
    workflows.states.send_task_success(taskToken=received(sqs, url)["token"], output="1")
    assert workflows.end(execution)["output"] == "1"


def test_when_a_workflow_puts_events_then_failed_entries_fail_it(workflows: Workflows) -> None:
    put = "arn:aws:states:::events:putEvents"
    entry = {"Source": "northwind", "DetailType": "opened", "Detail": {"incident.$": "$.id"}}
    good = workflows.create(machine(Put=task(put, {"Entries": [entry]})), "good")
    bad = workflows.create(machine(Put=task(put, {"Entries": [{**entry, "DetailType": ""}]})), "bad")
    assert workflows.end(workflows.start(good, {"id": 1}))["status"] == "SUCCEEDED"
    assert workflows.end(workflows.start(bad, {"id": 1}))["error"] == "EventBridge.FailedEntry"


def test_when_a_workflow_starts_another_then_it_can_wait_for_its_output(workflows: Workflows) -> None:
    inner = workflows.create(machine(Inner={"Type": "Pass", "Result": {"done": True}, "End": True}), "inner")
    start = task("arn:aws:states:::states:startExecution.sync:2", {"StateMachineArn": inner, "Input": {}})
    assert workflows.output(machine(Start=start))["Output"] == {"done": True}
