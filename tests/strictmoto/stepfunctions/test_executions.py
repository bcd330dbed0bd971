"""The life of executions and state machines in strictmoto.

Source: Step Functions API Reference.
"""

from __future__ import annotations

import json
import re
import threading
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.stepfunctions import executions, publishing
from tests.strictmoto.stepfunctions.conftest import ROLE, Workflows, machine, task

LONG = machine(Wait={"Type": "Wait", "Seconds": 99999, "End": True})
SHORT = machine(Pass={"Type": "Pass", "End": True})


def code(refused: Any) -> str:
    return str(refused.value.response["Error"]["Code"])


def test_when_a_name_and_its_input_come_again_while_it_runs_then_it_is_the_same_execution(workflows: Workflows) -> None:
    arn = workflows.create(LONG)
    first = workflows.start(arn, {"a": 1}, name="one")
    assert workflows.start(arn, {"a": 1}, name="one") == first
    with pytest.raises(ClientError) as refused:
        workflows.start(arn, {"a": 2}, name="one")
    assert code(refused) == "ExecutionAlreadyExists"
    workflows.states.stop_execution(executionArn=first)
    with pytest.raises(ClientError) as refused:
        workflows.start(arn, {"a": 1}, name="one")
    assert code(refused) == "ExecutionAlreadyExists"


@pytest.mark.parametrize("name", ["has space", "a/b", "a:b", "a*b"])
def test_fails_when_a_name_has_characters_that_names_have_not(workflows: Workflows, name: str) -> None:
    arn = workflows.create(SHORT)
    with pytest.raises(ClientError) as refused:
        workflows.start(arn, name=name)
    assert code(refused) == "InvalidName"


def test_fails_when_the_input_is_no_json_or_too_large(workflows: Workflows) -> None:
    arn = workflows.create(SHORT)
    with pytest.raises(ClientError) as refused:
        workflows.states.start_execution(stateMachineArn=arn, input="{")
    assert code(refused) == "InvalidExecutionInput"
    workflows.end(workflows.start(arn, "x" * 200_000))
    with pytest.raises(ClientError) as refused:
        workflows.start(arn, "x" * 262_143)
    assert code(refused) == "ValidationException"


@pytest.mark.parametrize(
    "definition",
    [
        LONG,
        machine(Both={"Type": "Parallel", "Branches": [LONG], "End": True}),
        machine(Each={"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": LONG, "End": True}),
        machine(
            Try=task(
                "arn:aws:states:::dynamodb:getItem",
                {"TableName": "absent", "Key": {}},
                Retry=[{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 99999}],
            )
        ),
    ],
    ids=["wait", "parallel", "map", "retry"],
)
def test_when_an_execution_is_stopped_then_it_ends_at_once(workflows: Workflows, definition: Any) -> None:
    execution = workflows.start(workflows.create(definition), {"items": [1, 2]})
    time.sleep(0.2)
    workflows.states.stop_execution(executionArn=execution, error="Enough", cause="closed")
    found = workflows.states.describe_execution(executionArn=execution)
    assert (found["status"], found["error"], found["cause"]) == ("ABORTED", "Enough", "closed")
    assert found["stopDate"]
    assert workflows.types(execution)[-1] == "ExecutionAborted"
    for thread in threading.enumerate():
        if thread.name == "strictmoto-workflow":
            thread.join(10)
            assert not thread.is_alive()


def test_when_a_waiting_task_is_stopped_then_its_token_is_worth_nothing(workflows: Workflows) -> None:
    sqs = workflows.account.client("sqs")
    url = sqs.create_queue(QueueName="tasks")["QueueUrl"]
    ask = task(
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        {"QueueUrl": url, "MessageBody": {"token.$": "$$.Task.Token"}},
    )
    execution = workflows.start(workflows.create(machine(Ask=ask)))
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    workflows.states.stop_execution(executionArn=execution)
    with pytest.raises(workflows.states.exceptions.TaskTimedOut):
        workflows.states.send_task_success(taskToken=json.loads(message["Body"])["token"], output="{}")


def test_when_an_execution_ended_then_stopping_changes_nothing(workflows: Workflows) -> None:
    ended = workflows.run(SHORT)
    stopped = workflows.states.stop_execution(executionArn=ended["executionArn"], error="Late")
    assert stopped["stopDate"] == ended["stopDate"]
    assert workflows.end(ended["executionArn"])["status"] == "SUCCEEDED"


def test_when_executions_are_listed_then_by_status_newest_first_in_pages(workflows: Workflows) -> None:
    arn = workflows.create(
        machine(
            Ask={
                "Type": "Choice",
                "Choices": [{"Variable": "$.wait", "BooleanEquals": True, "Next": "Wait"}],
                "Default": "Done",
            },
            Wait={"Type": "Wait", "Seconds": 99999, "Next": "Done"},
            Done={"Type": "Succeed"},
        )
    )
    ended = [workflows.start(arn, {"wait": False}, name=f"short{n}") for n in range(3)]
    for execution in ended:
        workflows.end(execution)
    running = workflows.start(arn, {"wait": True}, name="long")
    listed = workflows.states.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]
    assert [each["executionArn"] for each in listed] == [running]
    first = workflows.states.list_executions(stateMachineArn=arn, maxResults=3)
    rest = workflows.states.list_executions(stateMachineArn=arn, maxResults=3, nextToken=first["nextToken"])
    names = [each["name"] for each in first["executions"] + rest["executions"]]
    assert names == ["long", "short2", "short1", "short0"]
    assert "nextToken" not in rest
    refused: dict[str, Any]
    for refused in ({"statusFilter": "ABORTED", "nextToken": first["nextToken"]}, {"nextToken": "3"}):
        with pytest.raises(ClientError) as answer:
            workflows.states.list_executions(stateMachineArn=arn, **refused)
        assert answer.value.response["Error"]["Code"] == "InvalidToken"


def test_when_the_history_is_asked_for_then_order_pages_and_data_are_as_asked(workflows: Workflows) -> None:
    execution = workflows.start(workflows.create(SHORT), {"secret": 1})
    workflows.end(execution)
    history = workflows.states.get_execution_history
    events = history(executionArn=execution)["events"]
    assert [(event["id"], event["previousEventId"], event["type"]) for event in events] == [
        (1, 0, "ExecutionStarted"),
        (2, 0, "PassStateEntered"),
        (3, 2, "PassStateExited"),
        (4, 3, "ExecutionSucceeded"),
    ]
    assert json.loads(events[0]["executionStartedEventDetails"]["input"]) == {"secret": 1}
    assert events[0]["executionStartedEventDetails"]["roleArn"] == ROLE
    page = history(executionArn=execution, reverseOrder=True, maxResults=3)
    assert [event["id"] for event in page["events"]] == [4, 3, 2]
    rest = history(executionArn=execution, reverseOrder=True, maxResults=3, nextToken=page["nextToken"])
    assert [event["id"] for event in rest["events"]] == [1]
    hidden = history(executionArn=execution, includeExecutionData=False)["events"]
    assert "secret" not in str(hidden)


def test_when_a_state_machine_changes_then_running_executions_do_not(workflows: Workflows) -> None:
    arn = workflows.create(machine(Wait={"Type": "Wait", "Seconds": 50, "Next": "Old"}, Old={"Type": "Succeed"}))
    execution = workflows.start(arn)
    updated = workflows.states.update_state_machine(stateMachineArn=arn, definition=json.dumps(SHORT))
    assert updated["revisionId"] == workflows.states.describe_state_machine(stateMachineArn=arn)["revisionId"]
    shown = workflows.states.describe_state_machine_for_execution(executionArn=execution)
    assert "Old" in shown["definition"]
    workflows.end(execution)
    assert "SucceedStateEntered" in workflows.types(execution)
    later = workflows.start(arn)
    workflows.end(later)
    assert "PassStateEntered" in workflows.types(later)


def test_when_a_state_machine_is_deleted_while_it_runs_then_it_is_deleting_until_the_next_transition(
    workflows: Workflows,
) -> None:
    arn = workflows.create(machine(Wait={"Type": "Wait", "Seconds": 100, "Next": "Done"}, Done={"Type": "Succeed"}))
    execution = workflows.start(arn)
    workflows.until(execution, "WaitStateEntered")
    workflows.states.delete_state_machine(stateMachineArn=arn)
    assert workflows.states.describe_state_machine(stateMachineArn=arn)["status"] == "DELETING"
    with pytest.raises(ClientError) as refused:
        workflows.start(arn)
    assert code(refused) == "StateMachineDeleting"
    assert workflows.end(execution)["status"] == "ABORTED"
    with pytest.raises(ClientError) as refused:
        workflows.states.describe_state_machine(stateMachineArn=arn)
    assert code(refused) == "StateMachineDoesNotExist"
    workflows.create(SHORT)


def test_when_a_version_is_published_then_it_can_be_listed_started_and_deleted(workflows: Workflows) -> None:
    arn = workflows.create(SHORT, publish=True)
    version = f"{arn}:1"
    workflows.states.update_state_machine(stateMachineArn=arn, definition=json.dumps(LONG))
    listed = workflows.states.list_state_machine_versions(stateMachineArn=arn)["stateMachineVersions"]
    assert [each["stateMachineVersionArn"] for each in listed] == [version]
    ended = workflows.end(workflows.start(version))
    assert (ended["status"], ended["stateMachineArn"], ended["stateMachineVersionArn"]) == ("SUCCEEDED", arn, version)
    workflows.states.delete_state_machine_version(stateMachineVersionArn=version)
    assert not workflows.states.list_state_machine_versions(stateMachineArn=arn)["stateMachineVersions"]


def test_when_a_state_machine_is_created_again_the_same_then_it_is_the_same(workflows: Workflows) -> None:
    assert workflows.create(SHORT) == workflows.create(SHORT)
    with pytest.raises(ClientError) as refused:
        workflows.create(LONG)
    assert code(refused) == "StateMachineAlreadyExists"


def test_when_a_state_machine_is_described_then_with_what_terraform_reads(workflows: Workflows) -> None:
    found = workflows.states.describe_state_machine(stateMachineArn=workflows.create(SHORT))
    assert found["loggingConfiguration"] == {"level": "OFF", "includeExecutionData": False}
    assert found["tracingConfiguration"] == {"enabled": False}
    assert found["encryptionConfiguration"] == {"type": "AWS_OWNED_KEY"}
    assert (found["type"], found["status"]) == ("STANDARD", "ACTIVE")


def test_when_fifty_executions_run_at_once_then_all_of_them_succeed(workflows: Workflows) -> None:
    definition = machine(
        Wait={"Type": "Wait", "Seconds": 10, "Next": "List"},
        List=task("arn:aws:states:::aws-sdk:ec2:describeVpcs", {}, Next="Both", ResultPath=None),
        Both={
            "Type": "Parallel",
            "Branches": [machine(A={"Type": "Pass", "End": True}), machine(B={"Type": "Pass", "End": True})],
            "End": True,
        },
    )
    arn = workflows.create(definition)
    started = [workflows.start(arn, {"n": n}) for n in range(50)]
    outputs = [json.loads(workflows.end(execution, 30)["output"]) for execution in started]
    assert outputs == [[{"n": n}, {"n": n}] for n in range(50)]


def test_when_the_account_is_reset_then_what_runs_ends(workflows: Workflows) -> None:
    arn = workflows.create(
        machine(Both={"Type": "Parallel", "Branches": [LONG, machine(X=LONG["States"]["Wait"])], "End": True})
    )
    for _ in range(5):
        workflows.start(arn)
    workflows.account.reset()
    assert not [thread.name for thread in threading.enumerate() if "workflow" in thread.name]


def test_when_the_account_is_reset_while_an_execution_starts_then_it_never_runs(
    workflows: Workflows, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = workflows.create(SHORT)
    started = []

    def reset_meanwhile(run: Any) -> None:
        started.append(run)
        run.drop()

    monkeypatch.setattr(publishing, "publish", reset_meanwhile)
    workflows.start(arn)
    [run] = started
    run.join(5)
    assert [event["type"] for event in run.history] == ["ExecutionStarted"]
    assert executions.running_of(arn) == []


def test_when_an_execution_is_logged_then_cloudwatch_logs_has_its_history(workflows: Workflows) -> None:
    logs = workflows.account.client("logs")
    logs.create_log_group(logGroupName="/states/log")
    group = "arn:aws:logs:eu-central-1:123456789012:log-group:/states/log:*"
    configuration = {
        "level": "ALL",
        "includeExecutionData": True,
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}],
    }
    workflows.end(workflows.start(workflows.create(SHORT, loggingConfiguration=configuration), {"n": 1}))
    events = logs.filter_log_events(logGroupName="/states/log")["events"]
    logged = [json.loads(event["message"]) for event in events]
    assert [each["type"] for each in logged] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert json.loads(logged[0]["details"]["input"]) == {"n": 1}


ARN = "arn:aws:logs:eu-central-1:123456789012:log-group:/states/log"


@pytest.mark.parametrize(
    ("arns", "reason"),
    [
        ([], "Must specify exactly one Log Destination."),
        ([f"{ARN}:*", f"{ARN}-2:*"], "Must specify exactly one Log Destination."),
        ([ARN], "Log Group ARN must be provided with '*' qualifier."),
        (["a:*"], "Log Group ARN must be provided with '*' qualifier."),
        ([f"{ARN}-2:*"], "The specified log group does not exist."),
        (["a:b:c:d:e:f:g:*"], "The specified log group does not exist."),
        ([f"{ARN.replace('eu-central-1', 'nowhere')}:*"], "The specified log group does not exist."),
        ([f"{ARN.replace(':logs:', ':s3:')}:*"], "The specified log group does not exist."),
    ],
)
def test_fails_when_logs_have_no_place(workflows: Workflows, arns: list[str], reason: str) -> None:
    """Source: Step Functions API Reference, LoggingConfiguration."""
    workflows.account.client("logs").create_log_group(logGroupName="/states/log")
    destinations = [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}} for arn in arns]
    states, wrong = workflows.states, {"level": "ERROR", **({"destinations": destinations} if arns else {})}
    with pytest.raises(states.exceptions.InvalidLoggingConfiguration, match=re.escape(reason)):
        workflows.create(SHORT, loggingConfiguration=wrong)
    assert states.list_state_machines()["stateMachines"] == []
    arn = workflows.create(SHORT)
    with pytest.raises(states.exceptions.InvalidLoggingConfiguration, match=re.escape(reason)):
        states.update_state_machine(stateMachineArn=arn, loggingConfiguration=wrong)
    assert states.describe_state_machine(stateMachineArn=arn)["loggingConfiguration"]["level"] == "OFF"
    states.update_state_machine(stateMachineArn=arn, loggingConfiguration={**wrong, "level": "OFF"})


def test_when_a_level_is_error_then_only_what_failed_is_logged(workflows: Workflows) -> None:
    logs = workflows.account.client("logs")
    logs.create_log_group(logGroupName="log")
    group = "arn:aws:logs:eu-central-1:123456789012:log-group:log:*"
    destinations = [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}]
    arn = workflows.create(
        machine(Pass={"Type": "Pass", "Next": "Fail"}, Fail={"Type": "Fail"}),
        loggingConfiguration={"level": "ERROR", "destinations": destinations},
    )
    workflows.end(workflows.start(arn))
    events = logs.filter_log_events(logGroupName="log")["events"]
    assert [json.loads(event["message"])["type"] for event in events] == ["FailStateEntered", "ExecutionFailed"]
