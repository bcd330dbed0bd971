"""What the role of a state machine must be allowed before there is one: to deliver logs, and to have rules managed."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.iam.conftest import HERE, Enforcing, policy

DELIVERY: Final = [
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
]
MANAGING: Final = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
TRUST: Final = {"Service": "states.amazonaws.com"}
LOGGED: Final = {
    "level": "ALL",
    "destinations": [
        {"cloudWatchLogsLogGroup": {"logGroupArn": f"arn:aws:logs:eu-central-1:{HERE}:log-group:/states/log:*"}}
    ],
}
RULES: Final = f"arn:aws:events:eu-central-1:{HERE}:rule"
NO_LOG: Final = "The state machine IAM Role is not authorized to access the Log Destination"


def machine(resource: str = "") -> str:
    """A definition of one state; a task inside of a map where a resource is given."""
    work: dict[str, Any] = {"Type": "Pass", "End": True}
    if resource:
        task = {"Type": "Task", "Resource": resource, "Parameters": {}, "End": True}
        inner = {"StartAt": "Task", "States": {"Task": task}}
        work = {"Type": "Map", "ItemProcessor": inner, "End": True}
    return json.dumps({"StartAt": "Work", "States": {"Work": work}})


def create(enforcing: Enforcing, role: str, definition: str = "", **more: Any) -> str:
    made = enforcing.client("stepfunctions").create_state_machine(
        name="machine", definition=definition or machine(), roleArn=role, **more
    )
    return str(made["stateMachineArn"])


def refused(call: Any, *args: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(*args, **given)
    answer = error.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (400, "AccessDeniedException")
    return str(answer["Error"]["Message"])


@pytest.mark.parametrize("region", ["", "eu-central-1."])
def test_when_a_role_trusts_step_functions_in_its_region_then_it_is_assumed(enforcing: Enforcing, region: str) -> None:
    role = enforcing.role("own", trust={"Service": f"states.{region}amazonaws.com"})
    states, made = enforcing.client("stepfunctions"), create(enforcing, role)
    states.update_state_machine(stateMachineArn=made, roleArn=role)
    assert states.start_execution(stateMachineArn=made)["executionArn"]


def test_fails_when_a_role_trusts_step_functions_in_another_region(enforcing: Enforcing) -> None:
    role = enforcing.role("own", trust={"Service": "states.us-east-1.amazonaws.com"})
    message = refused(create, enforcing, role)
    assert message.startswith("Neither the global service principal states.amazonaws.com, nor the regional one")


@pytest.mark.parametrize("without", DELIVERY)
def test_fails_when_the_role_may_not_deliver_logs(enforcing: Enforcing, without: str) -> None:
    others = [action for action in DELIVERY if action != without]
    role = enforcing.role("work", {"Action": others}, trust=TRUST)
    assert refused(create, enforcing, role, loggingConfiguration=LOGGED) == NO_LOG
    assert enforcing.client("stepfunctions").list_state_machines()["stateMachines"] == []


def test_when_the_role_may_deliver_logs_in_the_region_then_there_is_one(enforcing: Enforcing) -> None:
    here = {"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}
    role = enforcing.role("work", {"Action": DELIVERY, "Condition": here}, trust=TRUST)
    enforcing.client("logs").create_log_group(logGroupName="/states/log")
    assert create(enforcing, role, loggingConfiguration=LOGGED)


@pytest.mark.parametrize("logging", [None, {"level": "OFF"}, {**LOGGED, "level": "OFF"}])
def test_when_nothing_is_logged_then_the_role_needs_nothing(enforcing: Enforcing, logging: Any) -> None:
    role = enforcing.role("work", trust=TRUST)
    assert create(enforcing, role, **({"loggingConfiguration": logging} if logging else {}))


def test_fails_when_an_update_logs_and_the_role_may_not(enforcing: Enforcing) -> None:
    """As it was before is how it stays."""
    enforcing.client("logs").create_log_group(logGroupName="/states/log")
    states = enforcing.client("stepfunctions")
    arn = create(enforcing, enforcing.role("work", trust=TRUST))
    assert refused(states.update_state_machine, stateMachineArn=arn, loggingConfiguration=LOGGED) == NO_LOG
    able = enforcing.role("able", {"Action": DELIVERY}, trust=TRUST)
    states.update_state_machine(stateMachineArn=arn, roleArn=able, loggingConfiguration=LOGGED)
    unable = enforcing.role("unable", trust=TRUST)
    assert refused(states.update_state_machine, stateMachineArn=arn, roleArn=unable) == NO_LOG
    assert states.describe_state_machine(stateMachineArn=arn)["roleArn"] == able


SYNC: Final = [
    ("states:startExecution.sync", "StepFunctionsGetEventsForStepFunctionsExecutionRule"),
    ("states:startExecution.sync:2", "StepFunctionsGetEventsForStepFunctionsExecutionRule"),
    ("ecs:runTask.sync", "StepFunctionsGetEventsForECSTaskRule"),
]


@pytest.mark.parametrize("without", MANAGING)
@pytest.mark.parametrize(("integration", "rule"), SYNC)
def test_fails_when_a_task_waits_for_a_job_and_the_role_may_not_have_its_rule(
    enforcing: Enforcing, integration: str, rule: str, without: str
) -> None:
    definition = machine(f"arn:aws:states:::{integration}")
    others = [action for action in MANAGING if action != without]
    role = enforcing.role("work", {"Action": others, "Resource": f"{RULES}/{rule}"}, trust=TRUST)
    assert refused(create, enforcing, role, definition) == f"'{role}' is not authorized to create managed-rule."
    enforcing.client("iam").put_role_policy(
        RoleName="work", PolicyName="rule", PolicyDocument=policy({"Action": without, "Resource": f"{RULES}/{rule}"})
    )
    assert create(enforcing, role, definition)


@pytest.mark.parametrize("integration", ["states:startExecution", "ecs:runTask.waitForTaskToken", "lambda:invoke"])
def test_when_a_task_waits_for_no_job_then_the_role_needs_no_rule(enforcing: Enforcing, integration: str) -> None:
    assert create(enforcing, enforcing.role("work", trust=TRUST), machine(f"arn:aws:states:::{integration}"))


def test_when_iam_is_not_enforced_then_nothing_is_asked(enforcing: Enforcing) -> None:
    role = enforcing.role("work", trust=TRUST)
    enforcing.account.enforces_iam = False
    enforcing.client("logs").create_log_group(logGroupName="/states/log")
    assert create(enforcing, role, machine(f"arn:aws:states:::{SYNC[0][0]}"), loggingConfiguration=LOGGED)
