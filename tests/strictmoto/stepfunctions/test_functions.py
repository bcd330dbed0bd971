"""Workflows, rules and schedules of strictmoto that invoke functions.

Source: Step Functions Developer Guide, "Invoke an AWS Lambda function with Step Functions".
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import Any

import pytest

from tests.strictmoto.stepfunctions.conftest import ROLE, Workflows, machine, task
from tests.strictmoto.trusting import TRUST

INVOKE = "arn:aws:states:::lambda:invoke"
CODE = """
import json, time, boto3

def handler(event, context):
    time.sleep(event.get("sleep", 0))
    if event.get("fail"):
        raise ValueError("no such incident")
    if "token" in event:
        states = boto3.client("stepfunctions", region_name="eu-central-1")
        states.send_task_success(taskToken=event["token"], output=json.dumps({"approved": True}))
    if "queue" in event.get("detail", event):
        boto3.client("sqs", region_name="eu-central-1").send_message(
            QueueUrl=event.get("detail", event)["queue"], MessageBody=json.dumps(event))
    return {"got": event}
"""


def function(workflows: Workflows) -> str:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", CODE)
    iam = workflows.account.client("iam")
    role = iam.create_role(RoleName="function", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    made = workflows.account.client("lambda").create_function(
        FunctionName="step",
        Runtime="python3.11",
        Handler="app.handler",
        Role=role,
        Code={"ZipFile": code.getvalue()},
        Timeout=20,
    )
    return str(made["FunctionArn"])


def test_when_a_function_is_invoked_then_its_answer_is_the_payload(workflows: Workflows) -> None:
    arn = function(workflows)
    optimised = task(INVOKE, {"FunctionName": arn, "Payload": {"n.$": "$.n"}})
    assert workflows.output(machine(Invoke=optimised), {"n": 1})["Payload"] == {"got": {"n": 1}}
    legacy = workflows.create(machine(Invoke=task(arn)), "legacy")
    assert json.loads(workflows.end(workflows.start(legacy, {"n": 2}))["output"]) == {"got": {"n": 2}}


@pytest.mark.parametrize("legacy", [False, True])
def test_when_a_function_fails_then_the_error_is_its_exception(workflows: Workflows, legacy: bool) -> None:
    arn = function(workflows)
    state = task(arn) if legacy else task(INVOKE, {"FunctionName": arn, "Payload.$": "$"})
    ended = workflows.run(machine(Invoke=state), {"fail": True})
    assert ended["error"] == "ValueError"
    assert json.loads(ended["cause"])["errorMessage"] == "no such incident"


def test_when_a_function_is_missing_then_lambdas_own_error_is_returned(workflows: Workflows) -> None:
    ended = workflows.run(machine(Invoke=task(INVOKE, {"FunctionName": "absent", "Payload": {}})))
    assert ended["error"] == "Lambda.ResourceNotFoundException"


def test_when_a_function_gets_a_token_then_it_can_end_the_task(workflows: Workflows) -> None:
    payload = {"token.$": "$$.Task.Token"}
    state = task(INVOKE + ".waitForTaskToken", {"FunctionName": function(workflows), "Payload": payload})
    assert workflows.output(machine(Ask=state)) == {"approved": True}


def test_when_a_task_takes_longer_than_its_timeout_then_it_fails_and_says_no_more(
    workflows: Workflows, waited: list[tuple[float, float]]
) -> None:
    catch = [
        {"ErrorEquals": ["States.TaskFailed"], "Next": "Wrong"},
        {"ErrorEquals": ["States.Timeout"], "Next": "Late"},
    ]
    slow = task(INVOKE, {"FunctionName": function(workflows), "Payload.$": "$"}, TimeoutSeconds=1, Catch=catch)
    late = {"Type": "Wait", "Seconds": 200, "End": True}
    execution = workflows.start(workflows.create(machine(Slow=slow, Late=late, Wrong={"Type": "Fail"})), {"sleep": 2})
    assert workflows.end(execution)["status"] == "SUCCEEDED"
    # The timeout of the task is for work, and so is not scaled.
    assert waited == [(200, 2.0)]
    assert "TaskTimedOut" in workflows.types(execution)
    assert "TaskSucceeded" not in workflows.types(execution)


def test_when_an_execution_is_stopped_then_it_does_not_wait_for_its_function(workflows: Workflows) -> None:
    slow = task(INVOKE, {"FunctionName": function(workflows), "Payload.$": "$"})
    sqs = workflows.account.client("sqs")
    url = sqs.create_queue(QueueName="ended")["QueueUrl"]
    execution = workflows.start(workflows.create(machine(Slow=slow)), {"sleep": 15, "queue": url})
    workflows.until(execution, "TaskStarted")
    workflows.states.stop_execution(executionArn=execution)
    # What the function does last.
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    assert workflows.types(execution)[-2:] == ["TaskStateAborted", "ExecutionAborted"]


def test_when_a_rule_may_invoke_a_function_then_it_gets_the_event(workflows: Workflows) -> None:
    arn = function(workflows)
    account = workflows.account
    sqs, events = account.client("sqs"), account.client("events")
    url = sqs.create_queue(QueueName="said")["QueueUrl"]
    rule = events.put_rule(Name="rule", EventPattern='{"source": ["northwind"]}')["RuleArn"]
    account.client("lambda").add_permission(
        FunctionName="step",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    events.put_targets(Rule="rule", Targets=[{"Id": "1", "Arn": arn}])
    events.put_events(Entries=[{"Source": "northwind", "DetailType": "opened", "Detail": json.dumps({"queue": url})}])
    said = received(sqs, url)
    assert said["detail-type"] == "opened"


def test_when_a_schedule_invokes_a_function_then_it_gets_the_input(workflows: Workflows) -> None:
    arn = function(workflows)
    sqs = workflows.account.client("sqs")
    url = sqs.create_queue(QueueName="said")["QueueUrl"]
    workflows.account.client("scheduler").create_schedule(
        Name="release",
        ScheduleExpression="rate(1 day)",
        FlexibleTimeWindow={"Mode": "OFF"},
        StartDate=time.time() + 60,
        Target={"Arn": arn, "RoleArn": ROLE, "Input": json.dumps({"queue": url})},
    )
    assert received(sqs, url) == {"queue": url}


def received(sqs: Any, url: str) -> Any:
    found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=15).get("Messages", [])
    assert found
    return json.loads(found[0]["Body"])
