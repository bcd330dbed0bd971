"""Messages that a key of KMS encrypts: who sends or receives one needs the key, by way of SQS or SNS."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.iam.conftest import HERE, ROOT, Enforcing, policy
from tests.strictmoto.lambda_.functions import zipped

REGION: Final = "eu-central-1"
OWNER: Final = {"Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
QUEUE: Final = f"arn:aws:sqs:{REGION}:{HERE}:incidents"
BY_SQS: Final = {"StringEquals": {"kms:ViaService": f"sqs.{REGION}.amazonaws.com"}}
BY_S3: Final = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
BOTH: Final = ("kms:GenerateDataKey", "kms:Decrypt")


class Encrypted:
    """A queue and a topic that a key encrypts."""

    def __init__(self, enforcing: Enforcing) -> None:
        self.enforcing = enforcing
        self.sqs, self.sns, self.kms = (enforcing.client(name) for name in ("sqs", "sns", "kms"))
        self.key: str = self.kms.create_key(Policy=policy(OWNER))["KeyMetadata"]["Arn"]
        attributes = {"KmsMasterKeyId": self.key, "VisibilityTimeout": "30"}
        self.url: str = self.sqs.create_queue(QueueName="incidents", Attributes=attributes)["QueueUrl"]
        self.topic: str = self.sns.create_topic(Name="notices", Attributes={"KmsMasterKeyId": self.key})["TopicArn"]

    def worker(self, service: str, *actions: str, **more: Any) -> Any:
        """Return a client of a role that may do anything in a service, and these actions with the key."""
        using = [{"Action": list(actions), "Resource": self.key, **more}] if actions else []
        return self.enforcing.worker(service, {"Action": f"{service}:*"}, *using)

    def refused(self, call: Any, code: str, action: str, **given: Any) -> None:
        with pytest.raises(ClientError) as raised:
            call(**given)
        error = raised.value.response["Error"]
        assert error["Code"] == code
        assert f"is not authorized to perform: {action} on resource: {self.key}" in error["Message"]


@pytest.fixture
def encrypted(enforcing: Enforcing) -> Encrypted:
    return Encrypted(enforcing)


DENIED: Final = "KMS.AccessDeniedException"


def test_fails_when_a_sender_may_not_encrypt(encrypted: Encrypted) -> None:
    given = {"QueueUrl": encrypted.url, "MessageBody": "one"}
    encrypted.refused(encrypted.worker("sqs").send_message, DENIED, "kms:GenerateDataKey", **given)
    half = encrypted.worker("sqs", "kms:GenerateDataKey")
    encrypted.refused(half.send_message, DENIED, "kms:Decrypt", **given)
    batch = {"QueueUrl": encrypted.url, "Entries": [{"Id": "1", "MessageBody": "two"}]}
    encrypted.refused(half.send_message_batch, DENIED, "kms:Decrypt", **batch)
    able = encrypted.worker("sqs", *BOTH)
    able.send_message(**given)
    assert len(able.send_message_batch(**batch)["Successful"]) == 1


@pytest.mark.parametrize(
    ("condition", "may"),
    [
        ({}, True),
        ({"Condition": BY_SQS}, True),
        ({"Condition": BY_S3}, False),
        ({"Condition": {"ArnEquals": {"kms:EncryptionContext:aws:sqs:arn": QUEUE}}}, True),
        ({"Condition": {"ArnEquals": {"kms:EncryptionContext:aws:sqs:arn": f"{QUEUE}-2"}}}, False),
    ],
)
def test_fails_when_a_receiver_may_not_decrypt_by_way_of_the_queue(
    encrypted: Encrypted, condition: dict[str, Any], may: bool
) -> None:
    encrypted.sqs.send_message(QueueUrl=encrypted.url, MessageBody="one")
    receiver = encrypted.worker("sqs", "kms:Decrypt", **condition)
    if not may:
        encrypted.refused(receiver.receive_message, DENIED, "kms:Decrypt", QueueUrl=encrypted.url)
        receiver = encrypted.worker("sqs", "kms:Decrypt")
    [message] = receiver.receive_message(QueueUrl=encrypted.url)["Messages"]
    # What moves no text needs no key.
    other = encrypted.worker("sqs")
    other.delete_message(QueueUrl=encrypted.url, ReceiptHandle=message["ReceiptHandle"])
    assert other.get_queue_attributes(QueueUrl=encrypted.url, AttributeNames=["QueueArn"])["Attributes"]


def test_fails_when_a_publisher_may_not_encrypt(encrypted: Encrypted) -> None:
    given = {"TopicArn": encrypted.topic, "Message": "one"}
    encrypted.refused(encrypted.worker("sns").publish, "KMSAccessDenied", "kms:GenerateDataKey", **given)
    assert encrypted.worker("sns", *BOTH).publish(**given)["MessageId"]


def test_when_a_queue_uses_the_keys_of_aws_then_nothing_more_is_needed(encrypted: Encrypted) -> None:
    for key in ("alias/aws/sqs", ""):
        encrypted.sqs.set_queue_attributes(QueueUrl=encrypted.url, Attributes={"KmsMasterKeyId": key})
        able = encrypted.worker("sqs")
        able.send_message(QueueUrl=encrypted.url, MessageBody="one")
        assert able.receive_message(QueueUrl=encrypted.url)["Messages"]


def test_when_the_role_of_a_function_may_decrypt_then_it_is_given_the_messages_of_the_queue(
    encrypted: Encrypted,
) -> None:
    enforcing = encrypted.enforcing
    receiving = {"Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]}
    role = enforcing.role("write", receiving, trust={"Service": "lambda.amazonaws.com"})
    functions = enforcing.client("lambda")
    code = {"ZipFile": zipped("def handler(event, context): ...")}
    functions.create_function(FunctionName="write", Role=role, Runtime="python3.12", Handler="app.handler", Code=code)
    functions.create_event_source_mapping(FunctionName="write", EventSourceArn=QUEUE)
    encrypted.sqs.send_message(QueueUrl=encrypted.url, MessageBody="one")

    def waiting() -> dict[str, str]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found: dict[str, str] = encrypted.sqs.get_queue_attributes(QueueUrl=encrypted.url, AttributeNames=names)[
            "Attributes"
        ]
        return found

    # Some polls long: it is not touched.
    time.sleep(0.3)
    assert set(waiting().values()) == {"1", "0"}
    decrypt = {"Action": "kms:Decrypt", "Resource": encrypted.key, "Condition": BY_SQS}
    enforcing.client("iam").put_role_policy(RoleName="write", PolicyName="key", PolicyDocument=policy(decrypt))
    until = time.monotonic() + 20
    while set(waiting().values()) != {"0"} and time.monotonic() < until:
        time.sleep(0.05)
    assert set(waiting().values()) == {"0"}
