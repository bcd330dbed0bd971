"""Queues as event sources."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.lambda_.functions import Lambda, until

WORK = """
import json, os, time
def handler(event, context):
    with open({notes!r}, "a") as notes:
        print(json.dumps(event["Records"]), file=notes)
    while {gate!r} and not os.path.exists({gate!r}):
        time.sleep(0.01)
    time.sleep({seconds})
    bodies = [record["body"] for record in event["Records"]]
    if "fail" in bodies:
        raise ValueError
    return {{"batchItemFailures": [
        {{"itemIdentifier": record["messageId"]}} for record in event["Records"] if record["body"] == "fail one"
    ]}}
"""


class Mapped:
    """A function that a queue is mapped to, and what it was given."""

    def __init__(self, functions: Lambda, notes: Path, seconds: float = 0, gate: str = "", **queue: str) -> None:
        self.functions, self.notes = functions, notes
        functions.allow("sqs:*")
        self.dead_url, dead = functions.queue("dead")
        redrive = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 2})
        self.url, self.arn = functions.queue("work", RedrivePolicy=redrive, **queue)
        functions.create(WORK.format(notes=str(notes), seconds=seconds, gate=gate), Timeout=30 if gate else 3)

    def map(self, **options: Any) -> str:
        made = self.functions.client.create_event_source_mapping(
            FunctionName="work", EventSourceArn=self.arn, **options
        )
        return str(made["UUID"])

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.functions.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def batches(self) -> list[list[dict[str, Any]]]:
        return [json.loads(line) for line in self.notes.read_text().splitlines()] if self.notes.exists() else []

    def bodies(self) -> list[list[str]]:
        return [[record["body"] for record in batch] for batch in self.batches()]

    def left(self) -> int:
        """Return about how many messages are left: one that is received between the two counts is in both."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.functions.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))


@pytest.fixture
def mapped(functions: Lambda, notes: Path) -> Mapped:
    return Mapped(functions, notes)


def test_when_a_message_is_sent_then_the_function_has_it_and_it_is_deleted(mapped: Mapped) -> None:
    mapped.map()
    attributes = {"kind": {"DataType": "String", "StringValue": "test"}}
    sent = mapped.functions.sqs.send_message(QueueUrl=mapped.url, MessageBody="one", MessageAttributes=attributes)
    [[record]] = until(mapped.batches)
    given = record.pop("attributes")
    assert record.pop("receiptHandle")
    assert record.pop("md5OfMessageAttributes") == sent["MD5OfMessageAttributes"]
    assert record == {
        "messageId": sent["MessageId"],
        "body": "one",
        "messageAttributes": {
            "kind": {"dataType": "String", "stringValue": "test", "stringListValues": [], "binaryListValues": []}
        },
        "md5OfBody": sent["MD5OfMessageBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": mapped.arn,
        "awsRegion": "eu-central-1",
    }
    assert set(given) == {
        "ApproximateReceiveCount",
        "SentTimestamp",
        "SenderId",
        "ApproximateFirstReceiveTimestamp",
    }
    assert given["ApproximateReceiveCount"] == "1"
    until(lambda: mapped.left() == 0)


def test_when_a_message_is_sent_then_the_sender_does_not_wait_for_the_function(
    functions: Lambda, notes: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    slow = Mapped(functions, notes, gate=str(gate))
    slow.map()
    slow.send("one")
    assert slow.left()
    # The function works until now.
    gate.touch()
    until(lambda: slow.left() == 0)
    assert slow.bodies() == [["one"]]


def test_when_messages_wait_then_they_come_in_batches(mapped: Mapped) -> None:
    mapped.send(*"abcde")
    mapped.map(BatchSize=3)
    until(lambda: len(mapped.batches()) == 2)
    assert sorted(map(len, mapped.bodies())) == [2, 3]


def test_when_there_is_a_window_then_a_batch_waits_for_more(mapped: Mapped) -> None:
    mapped.functions.account.waits.scale = 0.1
    mapped.map(BatchSize=100, MaximumBatchingWindowInSeconds=5)
    mapped.send("a")
    time.sleep(0.2)
    mapped.send("b")
    assert until(mapped.bodies) == [["a", "b"]]


def test_when_the_function_fails_then_the_batch_is_received_again_and_then_is_dead(mapped: Mapped) -> None:
    mapped.functions.account.waits.scale = 0.01
    mapped.send("fail", "with it")
    mapped.map()
    assert mapped.functions.receive(mapped.dead_url)["Body"] in ("fail", "with it")
    assert [[r["attributes"]["ApproximateReceiveCount"] for r in batch] for batch in mapped.batches()] == [
        ["1", "1"],
        ["2", "2"],
    ]
    until(lambda: mapped.left() == 0)


def test_when_the_function_fails_then_the_messages_are_hidden_for_the_visibility_timeout(
    mapped: Mapped, waited: list[tuple[float, float]]
) -> None:
    mapped.functions.account.waits.scale = 0.02
    mapped.send("fail")
    mapped.map()
    until(lambda: len(mapped.batches()) == 2)
    # The default of a queue.
    assert (30, 0.6) in waited


def test_when_the_function_works_longer_than_waits_last_then_no_message_comes_twice(
    functions: Lambda, notes: Path
) -> None:
    functions.account.waits.scale = 0.001
    slow = Mapped(functions, notes, seconds=0.5)
    slow.map()
    slow.send("one")
    until(lambda: slow.bodies() and slow.left() == 0)
    assert slow.bodies() == [["one"]]


def test_when_some_messages_fail_then_only_those_come_again(mapped: Mapped) -> None:
    mapped.functions.account.waits.scale = 0.01
    mapped.send("fine", "fail one")
    mapped.map(FunctionResponseTypes=["ReportBatchItemFailures"])
    assert mapped.functions.receive(mapped.dead_url)["Body"] == "fail one"
    assert mapped.bodies() == [["fine", "fail one"], ["fail one"]]


def test_when_a_mapping_does_not_ask_for_failures_then_none_are_seen(mapped: Mapped) -> None:
    mapped.map()
    mapped.send("fail one")
    until(lambda: mapped.bodies() and mapped.left() == 0)


def test_when_a_mapping_filters_then_other_messages_are_deleted(mapped: Mapped) -> None:
    pattern = json.dumps({"body": {"severity": [{"numeric": [">=", 7]}]}})
    mapped.send('{"severity": 8}', '{"severity": 3}', "no json")
    mapped.map(FilterCriteria={"Filters": [{"Pattern": pattern}]})
    until(lambda: mapped.left() == 0)
    assert mapped.bodies() == [['{"severity": 8}']]


def test_when_a_mapping_is_disabled_then_messages_wait_until_it_is_enabled(mapped: Mapped) -> None:
    uuid = mapped.map(Enabled=False)
    mapped.send("one")
    time.sleep(0.3)
    assert not mapped.batches()
    mapped.functions.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    until(mapped.batches)


def test_when_a_mapping_is_deleted_then_messages_stay(mapped: Mapped) -> None:
    mapped.functions.client.delete_event_source_mapping(UUID=mapped.map())
    time.sleep(0.2)
    mapped.send("one")
    time.sleep(0.3)
    assert (mapped.batches(), mapped.left()) == ([], 1)


def test_when_no_concurrency_is_reserved_then_messages_come_again_later(mapped: Mapped) -> None:
    mapped.functions.account.waits.scale = 0.01
    mapped.functions.client.put_function_concurrency(FunctionName="work", ReservedConcurrentExecutions=0)
    mapped.map()
    mapped.send("one")
    time.sleep(0.2)
    assert not mapped.batches()
    mapped.functions.client.delete_function_concurrency(FunctionName="work")
    until(mapped.batches)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"BatchSize": 11}, "Maximum batch window in seconds must be greater than 0"),
        ({"VisibilityTimeout": "2"}, "Queue visibility timeout: 2 seconds is less than Function timeout: 3 seconds"),
        ({"rights": False}, "execution role does not have permissions to call ReceiveMessage on SQS"),
    ],
)
def test_fails_when_a_mapping_could_not_work(
    functions: Lambda, notes: Path, options: dict[str, Any], message: str
) -> None:
    queue = {"VisibilityTimeout": options.pop("VisibilityTimeout", "30")}
    mapped = Mapped(functions, notes, **queue)
    if not options.pop("rights", True):
        functions.iam.delete_role_policy(RoleName="function", PolicyName="sqs")
    with pytest.raises(ClientError, match=message) as error:
        mapped.map(**options)
    assert error.value.response["Error"]["Code"] == "InvalidParameterValueException"
