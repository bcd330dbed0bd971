"""What the role of a function must be allowed before Lambda takes a dead-letter queue or a destination.

Sources: Lambda Developer Guide, "Adding a dead-letter queue", "Capturing records of Lambda asynchronous invocations".
"""

from __future__ import annotations

from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.iam.conftest import HERE, Enforcing
from tests.strictmoto.lambda_.functions import zipped

TRUST: Final = {"Service": "lambda.amazonaws.com"}
REGION: Final = "eu-central-1"
QUEUE: Final = f"arn:aws:sqs:{REGION}:{HERE}:dead"
TOPIC: Final = f"arn:aws:sns:{REGION}:{HERE}:dead"
TARGETS: Final = {
    "sqs:SendMessage": QUEUE,
    "sns:Publish": TOPIC,
    "lambda:InvokeFunction": f"arn:aws:lambda:{REGION}:{HERE}:function:after",
    "events:PutEvents": f"arn:aws:events:{REGION}:{HERE}:event-bus/default",
    "s3:PutObject": "arn:aws:s3:::failures",
}


def create(enforcing: Enforcing, role: str, **more: Any) -> Any:
    return enforcing.client("lambda").create_function(
        FunctionName="work",
        Role=role,
        Runtime="python3.12",
        Handler="app.handler",
        Code={"ZipFile": zipped("def handler(event, context): ...")},
        **more,
    )


def refused(call: Any, *args: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(*args, **given)
    assert error.value.response["Error"]["Code"] == "InvalidParameterValueException"
    return str(error.value.response["Error"]["Message"])


@pytest.mark.parametrize(("action", "service"), [("sqs:SendMessage", "SQS"), ("sns:Publish", "SNS")])
def test_fails_when_the_role_may_not_send_to_the_dead_letter_queue(
    enforcing: Enforcing, action: str, service: str
) -> None:
    """Nothing is made, nothing is changed; with the permission, both is done."""
    config = {"TargetArn": TARGETS[action]}
    able = enforcing.role("able", {"Action": action, "Resource": TARGETS[action]}, trust=TRUST)
    unable = enforcing.role("unable", {"Action": action, "Resource": f"{TARGETS[action]}-other"}, trust=TRUST)
    functions = enforcing.client("lambda")
    message = f"The provided execution role does not have permissions to call {action.partition(':')[2]} on {service}"
    assert refused(create, enforcing, unable, DeadLetterConfig=config) == message
    assert functions.list_functions()["Functions"] == []
    create(enforcing, unable)
    update = functions.update_function_configuration
    assert refused(update, FunctionName="work", DeadLetterConfig=config) == message
    assert "DeadLetterConfig" not in functions.get_function_configuration(FunctionName="work")
    update(FunctionName="work", DeadLetterConfig=config, Role=able)
    assert refused(update, FunctionName="work", Role=unable) == message
    shown = functions.get_function_configuration(FunctionName="work")
    assert (shown["DeadLetterConfig"], shown["Role"]) == (config, able)
    update(FunctionName="work", DeadLetterConfig={"TargetArn": ""}, Role=unable)


@pytest.mark.parametrize(
    ("when", "action"),
    [
        (when, one)
        for one in TARGETS
        for when in ("OnSuccess", "OnFailure")
        if (when, one) != ("OnSuccess", "s3:PutObject")
    ],
)
def test_fails_when_the_role_may_not_send_to_a_destination(enforcing: Enforcing, action: str, when: str) -> None:
    target = TARGETS[action]
    resource = f"{target}/*" if action.startswith("s3:") else target
    able = enforcing.role("able", {"Action": action, "Resource": resource}, trust=TRUST)
    unable = enforcing.role("unable", trust=TRUST)
    create(enforcing, unable)
    functions = enforcing.client("lambda")
    config = {when: {"Destination": target}}
    message = f"The function's execution role does not have permissions to call {action.partition(':')[2]} on {target}"
    for put in (functions.put_function_event_invoke_config, functions.update_function_event_invoke_config):
        assert refused(put, FunctionName="work", DestinationConfig=config) == message
    functions.update_function_configuration(FunctionName="work", Role=able)
    functions.put_function_event_invoke_config(FunctionName="work", DestinationConfig=config)
    shown = functions.get_function_event_invoke_config(FunctionName="work")["DestinationConfig"]
    assert shown[when] == {"Destination": target}


DEAD_LETTERS: Final = ("sqs:SendMessage", "sns:Publish")
OTHERS: Final = (
    f"arn:aws:dynamodb:{REGION}:{HERE}:table/after",
    f"arn:aws:kinesis:{REGION}:{HERE}:stream/after",
    f"{QUEUE}.fifo",
    f"{TOPIC}.fifo",
)


@pytest.mark.parametrize("target", [*OTHERS, *(arn for action, arn in TARGETS.items() if action not in DEAD_LETTERS)])
def test_fails_when_a_dead_letter_queue_is_of_another_kind(enforcing: Enforcing, target: str) -> None:
    """Whatever the role may do."""
    role = enforcing.role("able", {"Action": "*"}, trust=TRUST)
    config = {"TargetArn": target}
    message = f"TargetArn of DeadLetterConfig is invalid: {target} is none of: standard SNS topic, standard SQS queue"
    assert refused(create, enforcing, role, DeadLetterConfig=config) == message
    create(enforcing, role)
    update = enforcing.client("lambda").update_function_configuration
    assert refused(update, FunctionName="work", DeadLetterConfig=config) == message


@pytest.mark.parametrize(
    ("when", "target"),
    [
        *((when, target) for target in OTHERS for when in ("OnSuccess", "OnFailure")),
        ("OnSuccess", TARGETS["s3:PutObject"]),
    ],
)
def test_fails_when_a_destination_is_of_another_kind(enforcing: Enforcing, when: str, target: str) -> None:
    create(enforcing, enforcing.role("able", {"Action": "*"}, trust=TRUST))
    functions, config = enforcing.client("lambda"), {when: {"Destination": target}}
    for put in (functions.put_function_event_invoke_config, functions.update_function_event_invoke_config):
        message = refused(put, FunctionName="work", DestinationConfig=config)
        assert message.startswith(f"Destination of {when} is invalid: {target} is none of: event bus, Lambda function")
    assert functions.list_function_event_invoke_configs(FunctionName="work")["FunctionEventInvokeConfigs"] == []
