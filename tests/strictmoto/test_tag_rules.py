"""Tags that services refuse, each with its own error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from strictmoto.account import Account
from strictmoto.call_rules.tags import RULES
from tests.strictmoto.ec2.mirroring.network import refused

Tags = list[tuple[str, str]]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def pairs(tags: Tags, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in tags]


CREATIONS: dict[str, tuple[str, Callable[[Any, Tags], Any]]] = {
    "apigateway": ("apigatewayv2", lambda c, t: c.create_api(Name="a", ProtocolType="HTTP", Tags=dict(t))),
    "cloudformation": (
        "cloudformation",
        lambda c, t: c.create_stack(
            StackName="s", TemplateBody='{"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}', Tags=pairs(t)
        ),
    ),
    "dynamodb": (
        "dynamodb",
        lambda c, t: c.create_table(
            TableName="incidents",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            Tags=pairs(t),
        ),
    ),
    "ec2": (
        "ec2",
        lambda c, t: c.create_vpc(
            CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": pairs(t)}]
        ),
    ),
    "elasticloadbalancing": (
        "elbv2",
        lambda c, t: c.create_target_group(Name="t", Protocol="TCP", Port=80, TargetType="lambda", Tags=pairs(t)),
    ),
    "events": ("events", lambda c, t: c.create_event_bus(Name="bus", Tags=pairs(t))),
    "iam": ("iam", lambda c, t: c.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST, Tags=pairs(t))),
    "kms": ("kms", lambda c, t: c.create_key(Tags=pairs(t, "TagKey", "TagValue"))),
    "lambda": (
        "lambda",
        lambda c, t: c.tag_resource(Resource="arn:aws:lambda:eu-central-1:123456789012:function:f", Tags=dict(t)),
    ),
    "logs": ("logs", lambda c, t: c.create_log_group(logGroupName="g", tags=dict(t))),
    "monitoring": (
        "cloudwatch",
        lambda c, t: c.tag_resource(ResourceARN="arn:aws:cloudwatch:eu-central-1:123456789012:alarm:a", Tags=pairs(t)),
    ),
    "ram": ("ram", lambda c, t: c.create_resource_share(name="s", tags=pairs(t, "key", "value"))),
    "s3": ("s3", lambda c, t: c.put_bucket_tagging(Bucket="evidence", Tagging={"TagSet": pairs(t)})),
    "scheduler": ("scheduler", lambda c, t: c.create_schedule_group(Name="g", Tags=pairs(t))),
    "secretsmanager": ("secretsmanager", lambda c, t: c.create_secret(Name="s", SecretString="x", Tags=pairs(t))),
    "sns": ("sns", lambda c, t: c.create_topic(Name="t", Tags=pairs(t))),
    "sqs": ("sqs", lambda c, t: c.create_queue(QueueName="q", tags=dict(t))),
    "states": (
        "stepfunctions",
        lambda c, t: c.tag_resource(
            resourceArn="arn:aws:states:eu-central-1:123456789012:stateMachine:m", tags=pairs(t, "key", "value")
        ),
    ),
    "sts": ("sts", lambda c, t: c.get_federation_token(Name="bob", Tags=pairs(t))),
}

TAG_WHAT_EXISTS = {"elasticloadbalancing", "lambda", "monitoring", "s3", "states"}
"""Of these the creation would need more around it."""


def test_when_rules_are_counted_then_each_service_is_tried() -> None:
    assert sorted(CREATIONS) == sorted(RULES)


@pytest.mark.parametrize("service", CREATIONS)
def test_fails_when_a_service_does_not_take_a_tag(aws_account: Account, service: str) -> None:
    """Reserved, too long, too many, and what differs between services."""
    name, create = CREATIONS[service]
    client, rules = aws_account.client(name), RULES[service]
    wrong = [("aws:owner", "x"), ("AWS:owner", "x"), ("k" * 129, "x"), ("owner", "v" * 257)]
    if rules.plain:
        wrong += [("owner#", "x"), ("owner", "50 %")]
    for tag in wrong:
        with refused(rules.invalid):
            create(client, [("team", "sensors"), tag])
    with refused(rules.too_many or rules.invalid, "50"):
        create(client, [(f"k{number}", "v") for number in range(51)])
    if rules.any_case:
        with refused(rules.invalid, "Duplicate"):
            create(client, [("owner", "a"), ("Owner", "b")])


@pytest.mark.parametrize("service", sorted(set(CREATIONS) - TAG_WHAT_EXISTS))
def test_when_tags_are_as_long_and_as_many_as_they_may_be_then_they_are_taken(
    aws_account: Account, service: str
) -> None:
    """128 and 256 characters, 50 tags, letters of any script."""
    name, create = CREATIONS[service]
    longest = [("k" * 128, "v" * 256), ("Größe", "l'été"[2:] + " _.:/=+-@")]
    create(aws_account.client(name), longest + [(f"k{number}", "v") for number in range(48)])
