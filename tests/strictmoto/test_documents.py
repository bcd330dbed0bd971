"""Documents of callers that are nested without end: each is refused, and the account answers on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import Account
from strictmoto.requests.documents import DEEPEST, TooDeepError, read_json

STATEMENT = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Condition": "HERE"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]}).replace('"HERE"', "%s")
PATTERN = '{"source": ["any"]}'
STACK = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})


def objects(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def validate(account: Account, body: str) -> Any:
    return account.client("cloudformation").validate_template(TemplateBody=body)


def create_policy(account: Account, document: str) -> None:
    account.client("iam").create_policy(PolicyName="policy", PolicyDocument=POLICY % document)


def put_rule(account: Account, document: str) -> None:
    account.client("events").put_rule(Name="rule", EventPattern=document)


def check_event(account: Account, document: str) -> None:
    account.client("events").test_event_pattern(EventPattern=PATTERN, Event=document)


def create_stack(account: Account, document: str) -> None:
    policy = POLICY % document
    account.client("cloudformation").create_stack(StackName="stack", TemplateBody=STACK, StackPolicyBody=policy)


def create_document(account: Account, document: str) -> None:
    account.client("ssm").create_document(Name="document", Content=document)


def subscribe(account: Account, document: str) -> None:
    sns = account.client("sns")
    topic = sns.create_topic(Name="topic")["TopicArn"]
    queue = "arn:aws:sqs:eu-central-1:123456789012:queue"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"FilterPolicy": document})


@pytest.mark.parametrize(
    "body",
    [
        "[" * 40_000,
        "[" * 25_000 + "]" * 25_000,
        "{a: " * 10_000 + "}" * 10_000,
        "- " * 25_000,
        "? " * 25_000,
        objects(8_000),
        "!Ref [" * 8_000,
        f"Resources: {objects(DEEPEST)}",
    ],
    ids=["open", "lists", "objects", "items", "keys", "JSON", "short forms", "one level too many"],
)
def test_fails_when_a_template_is_nested_too_deep(aws_account: Account, body: str) -> None:
    with pytest.raises(ClientError) as refused:
        validate(aws_account, body)
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    # It is there still.
    validate(aws_account, STACK)


def test_when_a_template_is_nested_as_deep_as_may_be_then_it_is_read(aws_account: Account) -> None:
    metadata = objects(DEEPEST - 1)
    for body in (f'{{"Metadata": {metadata}, {STACK[1:]}', f"Metadata: {metadata}\nResources: {STACK[14:-1]}"):
        validate(aws_account, body)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (create_policy, "MalformedPolicyDocument"),
        # Longer than a pattern may be, too, which is looked at before.
        (put_rule, "ValidationException"),
        (check_event, "ValidationException"),
        (create_stack, "ValidationError"),
        (create_document, "ValidationError"),
        (subscribe, "InvalidParameter"),
    ],
)
def test_fails_when_a_document_is_nested_too_deep(
    aws_account: Account, call: Callable[[Account, str], None], code: str
) -> None:
    with pytest.raises(ClientError) as refused:
        call(aws_account, objects(1_100))
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_when_a_state_machine_is_nested_too_deep_then_it_is_no_definition(aws_account: Account) -> None:
    answer = aws_account.client("stepfunctions").validate_state_machine_definition(definition=objects(1_100))
    assert [fault["code"] for fault in answer["diagnostics"]] == ["INVALID_JSON_DESCRIPTION"]


@pytest.mark.parametrize("levels", [DEEPEST + 1, 500, 100_000])
def test_fails_when_json_is_nested_too_deep(levels: int) -> None:
    for text in (objects(levels), "[" * levels + "]" * levels, objects(levels).encode()):
        with pytest.raises(TooDeepError):
            read_json(text)


def test_when_json_is_wide_and_flat_then_it_is_read() -> None:
    assert len(read_json(json.dumps([{"a": 1}] * 1000))) == 1000
    assert read_json(objects(DEEPEST))
