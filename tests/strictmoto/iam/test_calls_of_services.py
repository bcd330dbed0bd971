"""Condition keys of what services do with a role, or as themselves: those of every request, as of a call from outside.

Source: IAM User Guide, "AWS global condition context keys".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.iam.conftest import HERE, THERE, Enforcing, policy
from tests.strictmoto.lambda_.functions import zipped

REGION: Final = "eu-central-1"
QUEUE: Final = f"arn:aws:sqs:{REGION}:{HERE}:work"
HOLDING: Final[tuple[dict[str, dict[str, str]], ...]] = (
    {"Bool": {"aws:SecureTransport": "true"}},
    {"StringEquals": {"aws:ResourceAccount": HERE}},
    {"StringEquals": {"aws:RequestedRegion": REGION}},
    {"Bool": {"aws:ViaAWSService": "false"}},
    {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
    {"NumericGreaterThan": {"aws:EpochTime": "1600000000"}},
)
FAILING: Final[tuple[dict[str, dict[str, str]], ...]] = (
    {"Bool": {"aws:SecureTransport": "false"}},
    {"StringEquals": {"aws:ResourceAccount": THERE}},
    {"StringEquals": {"aws:RequestedRegion": "us-east-1"}},
    {"Bool": {"aws:ViaAWSService": "true"}},
    {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
    # A service has an address, and the account does not know it.
    {"IpAddress": {"aws:SourceIp": "127.0.0.1"}},
)
Work = Callable[[Enforcing, dict[str, Any]], Any]


def function_with(enforcing: Enforcing, action: str | list[str], condition: dict[str, Any], **more: Any) -> Any:
    """Make a function whose role may do something under a condition; return a client of Lambda."""
    trust = {"Service": "lambda.amazonaws.com"}
    role = enforcing.role("work", {"Action": action, "Condition": condition}, trust=trust)
    functions = enforcing.client("lambda")
    code = {"ZipFile": zipped("def handler(event, context): ...")}
    functions.create_function(
        FunctionName="work", Role=role, Runtime="python3.12", Handler="app.handler", Code=code, **more
    )
    return functions


def dead_letters(enforcing: Enforcing, condition: dict[str, Any]) -> None:
    function_with(enforcing, "sqs:SendMessage", condition, DeadLetterConfig={"TargetArn": QUEUE})


def destination(enforcing: Enforcing, condition: dict[str, Any]) -> None:
    functions = function_with(enforcing, "sqs:SendMessage", condition)
    functions.put_function_event_invoke_config(
        FunctionName="work", DestinationConfig={"OnFailure": {"Destination": QUEUE}}
    )


def bucket(enforcing: Enforcing, condition: dict[str, Any]) -> None:
    """What is sent to a bucket is sent in the Region of the function: its ARN names none."""
    where = {"LocationConstraint": REGION}
    enforcing.client("s3").create_bucket(Bucket="failures", CreateBucketConfiguration=where)
    functions = function_with(enforcing, "s3:PutObject", condition)
    functions.put_function_event_invoke_config(
        FunctionName="work", DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::failures"}}
    )


def mapping(enforcing: Enforcing, condition: dict[str, Any]) -> None:
    enforcing.client("sqs").create_queue(QueueName="work")
    functions = function_with(enforcing, "sqs:*", condition)
    functions.create_event_source_mapping(FunctionName="work", EventSourceArn=QUEUE, Enabled=False)


def managed_rule(enforcing: Enforcing, condition: dict[str, Any]) -> None:
    statement = {"Action": ["events:PutTargets", "events:PutRule", "events:DescribeRule"], "Condition": condition}
    role = enforcing.role("work", statement, trust={"Service": "states.amazonaws.com"})
    task = {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "Parameters": {}, "End": True}
    definition = json.dumps({"StartAt": "Task", "States": {"Task": task}})
    enforcing.client("stepfunctions").create_state_machine(name="machine", definition=definition, roleArn=role)


def other_bus(enforcing: Enforcing, condition: dict[str, Any]) -> bool:
    """Return whether an event came to the bus that a rule passes it on to with a role."""
    events, queues = enforcing.client("events"), enforcing.client("sqs")
    bus = events.create_event_bus(Name="next")["EventBusArn"]
    role = enforcing.role(
        "work", {"Action": "events:PutEvents", "Condition": condition}, trust={"Service": "events.amazonaws.com"}
    )
    queue = queues.create_queue(QueueName="work")["QueueUrl"]
    allowed = {"Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": QUEUE}
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy(allowed)})
    pattern = json.dumps({"source": ["northwind"]})
    for name, target in (("default", {"Arn": bus, "RoleArn": role}), ("next", {"Arn": QUEUE})):
        events.put_rule(Name="all", EventBusName=name, EventPattern=pattern)
        events.put_targets(Rule="all", EventBusName=name, Targets=[{"Id": "1", **target}])
    events.put_events(Entries=[{"Source": "northwind", "DetailType": "opened", "Detail": "{}"}])
    return bool(queues.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"))


ASKED: Final = (dead_letters, destination, bucket, mapping, managed_rule)


@pytest.mark.parametrize("work", ASKED, ids=lambda work: work.__name__)
@pytest.mark.parametrize("condition", HOLDING, ids=json.dumps)
def test_when_a_condition_on_a_role_holds_for_a_service_then_it_is_allowed(
    enforcing: Enforcing, work: Work, condition: dict[str, Any]
) -> None:
    work(enforcing, condition)


@pytest.mark.parametrize("work", ASKED, ids=lambda work: work.__name__)
@pytest.mark.parametrize("condition", FAILING, ids=json.dumps)
def test_fails_when_a_condition_on_a_role_does_not_hold_for_a_service(
    enforcing: Enforcing, work: Work, condition: dict[str, Any]
) -> None:
    with pytest.raises(ClientError):
        work(enforcing, condition)


@pytest.mark.parametrize(("condition", "comes"), [(HOLDING[1], True), (HOLDING[0], True), (FAILING[1], False)])
def test_when_a_rule_passes_events_on_with_a_role_then_its_conditions_count(
    enforcing: Enforcing, condition: dict[str, Any], comes: bool
) -> None:
    assert other_bus(enforcing, condition) is comes


@pytest.mark.parametrize(
    ("conditions", "comes"), [(HOLDING, True), *(((one,), False) for one in FAILING[:-1])], ids=json.dumps
)
def test_when_a_service_calls_as_itself_then_it_has_these_keys_too(
    enforcing: Enforcing, conditions: tuple[dict[str, Any], ...], comes: bool
) -> None:
    """A topic that sends to a queue, whose policy has the conditions."""
    topics, queues = enforcing.client("sns"), enforcing.client("sqs")
    queue = queues.create_queue(QueueName="work")["QueueUrl"]
    principal = {"Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": QUEUE}
    together: dict[str, dict[str, str]] = {}
    for one in conditions:
        for operator, compared in one.items():
            together.setdefault(operator, {}).update(compared)
    statement = {**principal, "Condition": together}
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy(statement)})
    topic = topics.create_topic(Name="work")["TopicArn"]
    topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)
    topics.publish(TopicArn=topic, Message="one")
    assert bool(queues.receive_message(QueueUrl=queue, WaitTimeSeconds=0).get("Messages")) is comes


@pytest.mark.parametrize("owner", [HERE, THERE])
def test_when_a_role_is_assumed_then_its_account_is_that_of_the_resource(enforcing: Enforcing, owner: str) -> None:
    condition = {"StringEquals": {"aws:ResourceAccount": owner}}
    target = enforcing.role("target")
    worker = enforcing.worker("sts", {"Action": "sts:AssumeRole", "Resource": target, "Condition": condition})
    if owner == HERE:
        assert worker.assume_role(RoleArn=target, RoleSessionName="work")["Credentials"]
        return
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        worker.assume_role(RoleArn=target, RoleSessionName="work")
