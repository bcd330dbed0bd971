"""Whom buckets and rules may notify: which configurations are refused, and what arrives."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.iam.conftest import HERE, ROOT, THERE, Enforcing, policy
from tests.strictmoto.lambda_.functions import zipped

REGION: Final = "eu-central-1"
QUEUE: Final = f"arn:aws:sqs:{REGION}:{HERE}:arrived"
BUCKET: Final = "landing"
FROM_HERE: Final = {
    "ArnLike": {"aws:SourceArn": f"arn:aws:s3:*:*:{BUCKET}"},
    "StringEquals": {"aws:SourceAccount": HERE},
}
OWNER: Final = {"Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
INVALID: Final = "Unable to validate the following destination configurations"
AMBIGUOUS: Final = (
    "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are "
    "overlapping for the same event type."
)
OVERLAP: Final = "Configurations overlap. Configurations on the same bucket cannot share a common event type."


@dataclass
class Landing:
    """A bucket, and a queue that it may notify."""

    enforcing: Enforcing

    def __post_init__(self) -> None:
        self.s3, self.sqs, self.kms = (self.enforcing.client(name) for name in ("s3", "sqs", "kms"))
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.url = self.sqs.create_queue(QueueName="arrived")["QueueUrl"]
        self.let()

    def let(self, service: str = "s3", condition: Any = None) -> None:
        """Let a service send to the queue."""
        self.set(
            Policy=policy(
                {
                    "Principal": {"Service": f"{service}.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": QUEUE,
                    "Condition": condition or FROM_HERE,
                }
            )
        )

    def set(self, **attributes: str) -> None:
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes=attributes)

    def encrypt(self, *statements: dict[str, Any]) -> str:
        """Encrypt the queue with a key that has this policy; return the key's id."""
        key: str = self.kms.create_key(Policy=policy(OWNER, *statements))["KeyMetadata"]["KeyId"]
        self.set(KmsMasterKeyId=key)
        return key

    def notify(self, *rules: dict[str, Any], **more: Any) -> None:
        given = [{"QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"], **rule} for rule in rules or ({},)]
        self.s3.put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": given}, **more
        )

    def refused(self, *rules: dict[str, Any]) -> tuple[str, str, str]:
        """Return message, argument and reason of the refusal, which changes nothing."""
        with pytest.raises(ClientError) as raised:
            self.notify(*rules)
        error = raised.value.response["Error"]
        assert error["Code"] == "InvalidArgument"
        assert "QueueConfigurations" not in self.s3.get_bucket_notification_configuration(Bucket=BUCKET)
        return error["Message"], error.get("ArgumentName", ""), error.get("ArgumentValue", "")

    def arrived(self) -> list[dict[str, Any]]:
        """Take all messages off the queue."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(one["Body"]) for one in messages]
            for one in messages:
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=one["ReceiptHandle"])
        return found


@pytest.fixture
def landing(enforcing: Enforcing) -> Landing:
    return Landing(enforcing)


def keys(prefix: str = "", suffix: str = "") -> dict[str, Any]:
    rules = [{"Name": name, "Value": value} for name, value in (("prefix", prefix), ("suffix", suffix)) if value]
    return {"Filter": {"Key": {"FilterRules": rules}}} if rules else {}


def test_when_a_queue_lets_the_bucket_of_its_account_then_a_test_message_comes_first(landing: Landing) -> None:
    landing.notify(keys("flow/", ".gz"))
    landing.s3.put_object(Bucket=BUCKET, Key="flow/one two.gz", Body=b"")
    landing.s3.put_object(Bucket=BUCKET, Key="flow/one.txt", Body=b"")
    first, second = landing.arrived()
    assert (first["Event"], first["Bucket"]) == ("s3:TestEvent", BUCKET)
    assert second["Records"][0]["s3"]["object"]["key"] == "flow/one+two.gz"


PUT: Final = {"Events": ["s3:ObjectCreated:Put"]}


@pytest.mark.parametrize(
    ("one", "two", "message"),
    [
        ({}, {}, OVERLAP),
        ({}, PUT, OVERLAP),
        (keys("a/"), {}, AMBIGUOUS),
        (keys("a/"), keys("a/b/"), AMBIGUOUS),
        (keys("a/b/"), {**keys("a/"), **PUT}, AMBIGUOUS),
        (keys("", ".gz"), keys("", ".log.gz"), AMBIGUOUS),
        (keys("a/", ".gz"), keys("a/"), AMBIGUOUS),
        (keys("a/"), keys("", ".gz"), AMBIGUOUS),
    ],
)
def test_fails_when_two_rules_could_match_one_event(landing: Landing, one: Any, two: Any, message: str) -> None:
    assert landing.refused(one, two)[0] == message
    assert landing.arrived() == []


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (keys("a/"), keys("b/")),
        (keys("a/", ".gz"), keys("a/", ".json")),
        (keys("a/"), {**keys("a/"), "Events": ["s3:ObjectRemoved:*"]}),
        ({**keys("a/"), "Events": ["s3:ObjectCreated:Copy"]}, {**keys("a/"), **PUT}),
    ],
)
def test_when_no_event_could_match_two_rules_then_both_are_taken(landing: Landing, one: Any, two: Any) -> None:
    landing.notify(one, two)
    shown = landing.s3.get_bucket_notification_configuration(Bucket=BUCKET)["QueueConfigurations"]
    assert [rule.get("Filter") for rule in shown] == [one.get("Filter"), two.get("Filter")]


@pytest.mark.parametrize(
    ("service", "condition"),
    [
        ("sns", None),
        ("s3", {"StringEquals": {"aws:SourceAccount": THERE}}),
        ("s3", {"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:other"}}),
    ],
)
def test_fails_when_the_policy_of_the_queue_does_not_let_the_bucket(
    landing: Landing, service: str, condition: Any
) -> None:
    landing.let(service, condition)
    reason = "Permissions on the destination queue do not allow S3 to publish notifications from this bucket"
    assert landing.refused() == (INVALID, QUEUE, reason)
    landing.notify(SkipDestinationValidation=True)
    landing.s3.put_object(Bucket=BUCKET, Key="one", Body=b"")
    assert landing.arrived() == []


def test_fails_when_the_destination_is_not_there_or_first_in_first_out(landing: Landing) -> None:
    absent = QUEUE.replace("arrived", "absent")
    assert landing.refused({"QueueArn": absent}) == (INVALID, absent, "The destination queue does not exist")
    landing.sqs.create_queue(QueueName="one.fifo", Attributes={"FifoQueue": "true"})
    first = f"arn:aws:sqs:{REGION}:{HERE}:one.fifo"
    assert landing.refused({"QueueArn": first})[:2] == (INVALID, first)


def test_fails_when_a_topic_or_a_function_does_not_let_the_bucket(landing: Landing) -> None:
    client = landing.enforcing.client
    topic = client("sns").create_topic(Name="fan")["TopicArn"]
    role = landing.enforcing.role("work", trust={"Service": "lambda.amazonaws.com"})
    code = {"ZipFile": zipped("def handler(event, context): ...")}
    function = client("lambda").create_function(
        FunctionName="work", Role=role, Runtime="python3.12", Handler="app.handler", Code=code
    )["FunctionArn"]
    of_topic = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]}
    of_function = {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": function, "Events": ["s3:ObjectRemoved:*"]}]}
    for given, named in ((of_topic, "topic"), (of_function, "Lambda function")):
        with pytest.raises(ClientError, match=INVALID) as raised:
            landing.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=given)
        assert f"Permissions on the destination {named} do not" in raised.value.response["Error"]["ArgumentValue"]
    letting = {"Principal": {"Service": "s3.amazonaws.com"}, "Action": "sns:Publish", "Resource": topic}
    client("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy(letting))
    client("lambda").add_permission(
        FunctionName="work",
        StatementId="bucket",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{BUCKET}",
        SourceAccount=HERE,
    )
    landing.s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={**of_topic, **of_function}
    )


SENDING: Final = {"Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*"}


def letting(service: str, **more: Any) -> dict[str, Any]:
    return {"Principal": {"Service": f"{service}.amazonaws.com"}, **SENDING, **more}


@pytest.mark.parametrize(
    "statement",
    [
        letting("events"),
        letting("s3", Action="kms:GenerateDataKey"),
        letting("s3", Condition={"StringEquals": {"aws:SourceAccount": THERE}}),
    ],
    ids=["another service", "not both actions", "another account"],
)
def test_fails_when_the_key_of_the_queue_does_not_let_the_bucket(landing: Landing, statement: dict[str, Any]) -> None:
    key = landing.encrypt(statement)
    assert landing.refused()[:2] == (INVALID, QUEUE)
    landing.kms.put_key_policy(
        KeyId=key, PolicyName="default", Policy=policy(OWNER, letting("s3", Condition=FROM_HERE))
    )
    landing.notify()
    landing.s3.put_object(Bucket=BUCKET, Key="one", Body=b"")
    assert len(landing.arrived()) == 2
    # The key may change later: what cannot be encrypted is lost.
    landing.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(OWNER))
    landing.s3.put_object(Bucket=BUCKET, Key="two", Body=b"")
    assert landing.arrived() == []


def test_fails_when_the_queue_is_encrypted_with_the_key_of_aws(landing: Landing) -> None:
    landing.set(KmsMasterKeyId="alias/aws/sqs")
    assert landing.refused()[:2] == (INVALID, QUEUE)


@pytest.mark.parametrize("may", [True, False])
def test_when_a_rule_or_a_topic_sends_to_an_encrypted_queue_then_its_key_must_let_them(
    landing: Landing, may: bool
) -> None:
    client = landing.enforcing.client
    both = {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}
    landing.encrypt(*([letting("", Principal=both)] if may else []))
    landing.set(Policy=policy({"Principal": both, "Action": "sqs:SendMessage", "Resource": QUEUE}))
    topic = client("sns").create_topic(Name="fan")["TopicArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)
    client("sns").publish(TopicArn=topic, Message="by the topic")
    client("events").put_rule(Name="all", EventPattern='{"source": ["tapped"]}')
    client("events").put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": QUEUE}])
    client("events").put_events(Entries=[{"Source": "tapped", "DetailType": "one", "Detail": "{}"}])
    received: list[Any] = []
    for _ in range(2 if may else 1):
        # Each comes by itself; where none may come, one second is enough to see that.
        answer = landing.sqs.receive_message(
            QueueUrl=landing.url, WaitTimeSeconds=5 if may else 1, MaxNumberOfMessages=1
        )
        received += answer.get("Messages", [])
    assert len(received) == (2 if may else 0)
