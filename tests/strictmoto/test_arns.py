"""ARNs of partitions, Regions and accounts that there are not: each call ends in an error of its service."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from strictmoto.account import REGION, Account
from strictmoto.requests.arns import is_somewhere

HERE: Final = "123456789012"
EVERYTHING: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
NOWHERE: Final = [
    "arn:aws-x:{0}:eu-central-1:123456789012:{1}",
    "arn:aws:{0}:mars-1:123456789012:{1}",
    "arn:aws:{0}:cn-north-1:123456789012:{1}",
    "arn:aws:{0}:eu-central-1:someone:{1}",
    "arn:aws:{0}::123456789012:{1}",
]
Client = Callable[[str], Any]


@pytest.fixture(scope="module")
def enforces_iam() -> bool:
    """IAM finds what an ARN names, too."""
    return True


@pytest.fixture
def user(aws_account: Account) -> Client:
    """What makes clients of a user who may do everything: IAM asks about root less."""
    iam = aws_account.client("iam")
    iam.create_user(UserName="worker")
    iam.put_user_policy(UserName="worker", PolicyName="all", PolicyDocument=EVERYTHING)
    keys = iam.create_access_key(UserName="worker")["AccessKey"]

    def client(service: str) -> Any:
        return boto3.client(
            service,
            REGION,
            endpoint_url=aws_account.endpoint,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )

    return client


def refused(call: Callable[..., Any], **given: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as raised:
        call(**given)
    answer: Any = raised.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


@pytest.mark.parametrize("form", NOWHERE)
@pytest.mark.parametrize(
    ("service", "resource", "call", "code"),
    [
        ("sns", "alarms", lambda sns, arn: sns.publish(TopicArn=arn, Message="x"), "NotFound"),
        ("kms", "key/1", lambda kms, arn: kms.describe_key(KeyId=arn), "NotFoundException"),
        ("kms", "key/1", lambda kms, arn: kms.list_grants(KeyId=arn), "NotFoundException"),
        (
            "secretsmanager",
            "secret:token-abcdef",
            lambda secrets, arn: secrets.get_secret_value(SecretId=arn),
            "ResourceNotFoundException",
        ),
        ("lambda", "function:answer", lambda functions, arn: functions.get_policy(FunctionName=arn), None),
        (
            "states",
            "stateMachine:capture",
            lambda states, arn: states.describe_state_machine(stateMachineArn=arn),
            None,
        ),
        ("kinesis", "stream/packets", lambda kinesis, arn: kinesis.describe_stream(StreamARN=arn), None),
        ("ecs", "x:y:z", lambda ecs, arn: ecs.describe_task_definition(taskDefinition=arn), None),
        (
            "events",
            "event-bus/other",
            lambda events, arn: events.describe_event_bus(Name=arn),
            "ResourceNotFoundException",
        ),
    ],
)
def test_fails_when_an_arn_is_nowhere(
    user: Client, form: str, service: str, resource: str, call: Callable[[Any, str], Any], code: str | None
) -> None:
    client = user({"states": "stepfunctions"}.get(service, service))
    status, said = refused(lambda: call(client, form.format(service, resource)))
    assert 400 <= status < 500
    assert code is None or said == code


@pytest.mark.parametrize("arn", ["arn:aws-x:iam::123456789012:role/worker", "arn:aws:iam::123456789012"])
def test_fails_when_a_role_is_nowhere(aws_account: Account, user: Client, arn: str) -> None:
    session = {"RoleArn": arn, "RoleSessionName": "next"}
    unsigned = boto3.client("sts", REGION, endpoint_url=aws_account.endpoint, config=Config(signature_version=UNSIGNED))
    invalid = (400, "ValidationError")
    assert refused(user("sts").assume_role, **session) == invalid
    assert (
        refused(unsigned.assume_role_with_web_identity, **session, WebIdentityToken="x.eyJpc3MiOiAieCJ9.x") == invalid
    )
    federated = {"Name": "next", "PolicyArns": [{"arn": arn}]}
    assert refused(user("sts").get_federation_token, **federated) == (400, "MalformedPolicyDocument")
    states = user("stepfunctions")
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    assert refused(states.create_state_machine, name="machine", definition=definition, roleArn=arn)[0] == 400
    code = {"ZipFile": b""}
    functions = user("lambda")
    made = {"FunctionName": "answer", "Runtime": "python3.12", "Handler": "a.b", "Code": code, "Role": arn}
    assert refused(functions.create_function, **made)[0] == 400


@pytest.mark.parametrize(
    "call", ["get_topic_attributes", "delete_topic", "list_subscriptions_by_topic", "list_tags_for_resource"]
)
def test_fails_when_an_arn_of_sns_is_none(user: Client, call: str) -> None:
    sns = user("sns")
    name = "ResourceArn" if "resource" in call else "TopicArn"
    with pytest.raises(ClientError) as raised:
        getattr(sns, call)(**{name: "arn:aws"})
    assert raised.value.response["Error"] == {
        "Code": "InvalidParameter",
        "Message": f"Invalid parameter: {name} Reason: An ARN must have at least 6 elements, not 2",
    }


def test_when_a_dead_letter_queue_is_nowhere_then_what_follows_is_delivered(aws_account: Account) -> None:
    """A rule whose target and dead-letter queue are nowhere must not end what delivers for others."""
    events, queues = aws_account.client("events"), aws_account.client("sqs")
    everyone = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everyone]})
    url = queues.create_queue(QueueName="last", Attributes={"Policy": policy})["QueueUrl"]
    pattern = json.dumps({"source": ["northwind"]})
    nowhere = f"arn:aws:sqs:mars-1:{HERE}:x"
    # Targets share a few threads.
    for number in range(40):
        arn = f"arn:aws:sqs:{REGION}:{HERE}:absent-{number}"
        events.put_rule(Name=f"rule-{number}", EventPattern=pattern)
        events.put_targets(
            Rule=f"rule-{number}", Targets=[{"Id": "1", "Arn": arn, "DeadLetterConfig": {"Arn": nowhere}}]
        )
    events.put_events(Entries=[{"Source": "northwind", "DetailType": "x", "Detail": "{}"}])
    events.put_rule(Name="last", EventPattern=json.dumps({"source": ["operator"]}))
    events.put_targets(Rule="last", Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{HERE}:last"}])
    events.put_events(Entries=[{"Source": "operator", "DetailType": "x", "Detail": "{}"}])
    assert queues.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages")


@pytest.mark.parametrize("form", [*NOWHERE[1:], "arn:"])
def test_fails_when_events_are_for_a_bus_that_is_nowhere(user: Client, form: str) -> None:
    bus = form.format("events", "event-bus/x")
    entry = {"Source": "northwind", "DetailType": "x", "Detail": "{}", "EventBusName": bus}
    assert user("events").put_events(Entries=[entry])["Entries"][0]["ErrorCode"] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("arn", "somewhere"),
    [
        ("arn:aws:sqs:eu-central-1:123456789012:queue", True),
        ("arn:aws-cn:sqs:cn-north-1:123456789012:queue", True),
        ("arn:aws:iam::123456789012:role/a", True),
        ("arn:aws:iam::aws:policy/ReadOnlyAccess", True),
        ("arn:aws:s3:::bucket/key:with:colons", True),
        ("arn:aws:ec2:eu-central-1::image/ami-1", True),
        ("arn:aws:sqs:eu-central-1:12345678901:queue", False),
        ("arn:aws:sqs:eu-central-1:123456789012", False),
        ("queue", False),
        *((form.format("sqs", "queue"), False) for form in NOWHERE),
    ],
)
def test_arns_are_somewhere(arn: str, somewhere: bool) -> None:
    assert is_somewhere(arn) is somewhere
