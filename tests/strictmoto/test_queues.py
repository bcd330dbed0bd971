"""SQS of strictmoto over HTTP: dead letters, visibility, delays, many readers.

Source: Amazon SQS Developer Guide, "Using dead-letter queues in Amazon SQS" and "Amazon SQS visibility timeout".
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.sqs import models

from strictmoto.account import Account


class Clock:
    """The time of queues: it stands still until a test moves it on."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def unix_time(self) -> float:
        return self.seconds

    def unix_time_millis(self) -> float:
        return self.seconds * 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for name in ("unix_time", "unix_time_millis"):
        monkeypatch.setattr(models, name, getattr(made, name))
    return made


@pytest.fixture
def sqs(aws_account: Account) -> Any:
    aws_account.waits.scale = 0.001
    return aws_account.client("sqs")


def create(sqs: Any, name: str, **attributes: Any) -> tuple[str, str]:
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in attributes.items()}
    url = sqs.create_queue(QueueName=name, Attributes=texts)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def receive(sqs: Any, url: str, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sqs.receive_message(
        QueueUrl=url, AttributeNames=["All"], MessageAttributeNames=["All"], **options
    ).get("Messages", [])
    return found


def with_dead_letters(sqs: Any, times: int) -> tuple[str, str, str]:
    dead_url, dead_arn = create(sqs, "dead")
    url, arn = create(sqs, "work", RedrivePolicy={"deadLetterTargetArn": dead_arn, "maxReceiveCount": times})
    return url, arn, dead_url


def test_when_a_message_was_received_the_maximum_of_times_then_the_next_receive_moves_it(sqs: Any) -> None:
    url, _arn, dead_url = with_dead_letters(sqs, 2)
    sqs.send_message(QueueUrl=url, MessageBody="hard")
    for count in ("1", "2"):
        [message] = receive(sqs, url, VisibilityTimeout=0)
        assert message["Attributes"]["ApproximateReceiveCount"] == count
        assert receive(sqs, dead_url) == []
    assert receive(sqs, url) == []
    assert [message["Body"] for message in receive(sqs, dead_url)] == ["hard"]


def test_when_a_message_is_moved_then_it_keeps_its_id_attributes_time_and_count(sqs: Any) -> None:
    url, arn, dead_url = with_dead_letters(sqs, 1)
    attributes = {"kind": {"DataType": "String", "StringValue": "finding"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody="hard", MessageAttributes=attributes)
    [first] = receive(sqs, url, VisibilityTimeout=0)
    receive(sqs, url)
    [dead] = receive(sqs, dead_url)
    assert dead["MessageId"] == sent["MessageId"]
    assert dead["MessageAttributes"] == attributes
    assert dead["Attributes"]["SentTimestamp"] == first["Attributes"]["SentTimestamp"]
    assert dead["Attributes"]["ApproximateReceiveCount"] == "2"
    assert dead["Attributes"]["DeadLetterQueueSourceArn"] == arn


def test_when_a_message_is_deleted_in_time_then_it_never_becomes_a_dead_letter(sqs: Any) -> None:
    url, _arn, dead_url = with_dead_letters(sqs, 1)
    sqs.send_message(QueueUrl=url, MessageBody="easy")
    [message] = receive(sqs, url, VisibilityTimeout=0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert receive(sqs, url) == receive(sqs, dead_url) == []


def test_when_the_visibility_timeout_passes_then_the_message_is_seen_again(sqs: Any, clock: Clock) -> None:
    url, _arn = create(sqs, "work", VisibilityTimeout="3000")
    sqs.send_message(QueueUrl=url, MessageBody="again")
    assert len(receive(sqs, url)) == 1
    clock.seconds += 2.9
    assert receive(sqs, url) == []
    clock.seconds += 0.2
    assert len(receive(sqs, url)) == 1


def test_when_the_scale_is_small_then_a_message_stays_hidden_for_the_work_it_needs(sqs: Any, clock: Clock) -> None:
    url, _arn = create(sqs, "work", VisibilityTimeout="30")
    sqs.send_message(QueueUrl=url, MessageBody="once")
    assert len(receive(sqs, url)) == 1
    clock.seconds += 0.9
    assert receive(sqs, url) == []
    clock.seconds += 0.2
    assert len(receive(sqs, url)) == 1


def test_when_a_message_is_delayed_then_it_comes_later(sqs: Any, clock: Clock) -> None:
    url, _arn = create(sqs, "work")
    sqs.send_message(QueueUrl=url, MessageBody="later", DelaySeconds=200)
    clock.seconds += 0.19
    assert receive(sqs, url) == []
    clock.seconds += 0.02
    assert len(receive(sqs, url)) == 1


def test_when_a_reader_polls_long_then_a_message_ends_its_wait(
    sqs: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of the queue stands still: no poll ends because its time is over."""
    url, _arn = create(sqs, "work")
    polling = threading.Event()
    wait = models.Queue.wait_for_messages

    def wait_for_messages(queue: Any, timeout: Any) -> None:
        polling.set()
        wait(queue, timeout)

    monkeypatch.setattr(models.Queue, "wait_for_messages", wait_for_messages)
    with ThreadPoolExecutor(1) as readers:
        read = readers.submit(receive, sqs, url, WaitTimeSeconds=10)
        assert polling.wait(10)
        sqs.send_message(QueueUrl=url, MessageBody="now")
        assert [message["Body"] for message in read.result(10)] == ["now"]


def test_when_many_read_at_once_then_each_message_goes_to_one_of_them(sqs: Any) -> None:
    url, _arn = create(sqs, "work", VisibilityTimeout="43200")
    for batch in range(3):
        sqs.send_message_batch(
            QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": str(batch * 10 + n)} for n in range(10)]
        )

    def drain(_: int) -> list[str]:
        bodies = []
        while messages := receive(sqs, url, MaxNumberOfMessages=3):
            for message in messages:
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    with ThreadPoolExecutor(4) as readers:
        read = [body for bodies in readers.map(drain, range(4)) for body in bodies]
    assert sorted(map(int, read)) == list(range(30))


def test_fails_when_the_dead_letter_queue_denies_it(sqs: Any) -> None:
    _url, dead_arn = create(sqs, "dead", RedriveAllowPolicy={"redrivePermission": "denyAll"})
    with pytest.raises(ClientError, match="does not allow"):
        create(sqs, "work", RedrivePolicy={"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3})


def test_when_the_dead_letter_queue_names_its_sources_then_only_they_may_use_it(sqs: Any) -> None:
    dead_url, dead_arn = create(sqs, "dead")
    allow = {"redrivePermission": "byQueue", "sourceQueueArns": [dead_arn.replace("dead", "friend")]}
    sqs.set_queue_attributes(QueueUrl=dead_url, Attributes={"RedriveAllowPolicy": json.dumps(allow)})
    shown = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["All"])["Attributes"]
    assert shown["RedriveAllowPolicy"] == json.dumps(allow, separators=(",", ":"))
    redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3}
    create(sqs, "friend", RedrivePolicy=redrive)
    with pytest.raises(ClientError, match="does not allow"):
        create(sqs, "stranger", RedrivePolicy=redrive)


@pytest.mark.parametrize("times", [0, 1001])
def test_fails_when_the_maximum_of_receives_is_out_of_range(sqs: Any, times: int) -> None:
    _url, dead_arn = create(sqs, "dead")
    with pytest.raises(ClientError, match="maxReceiveCount"):
        create(sqs, "work", RedrivePolicy={"deadLetterTargetArn": dead_arn, "maxReceiveCount": times})


@pytest.mark.parametrize("count", [3, "3"])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_when_a_redrive_policy_is_read_then_it_has_no_blanks_and_a_number(
    sqs: Any, count: Any, separators: tuple[str, str]
) -> None:
    """Terraform compares its text; a policy that is refused changes nothing."""
    _url, dead_arn = create(sqs, "dead")

    def redrive(count: Any) -> str:
        return json.dumps({"maxReceiveCount": count, "deadLetterTargetArn": dead_arn}, separators=separators)

    url, _arn = create(sqs, "work", RedrivePolicy=redrive(count))
    with pytest.raises(ClientError, match="maxReceiveCount"):
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": redrive(1001)})
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"] == {
        "RedrivePolicy": f'{{"deadLetterTargetArn":"{dead_arn}","maxReceiveCount":3}}'
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})
    assert "RedrivePolicy" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def test_when_one_attribute_is_set_then_the_policy_stays_as_it_was_given(sqs: Any) -> None:
    letting = {"Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}
    statement = {"Sid": "bucket", "Effect": "Allow", **letting}
    given = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    url, _ = create(sqs, "arrived", Policy=given)

    def policy() -> str | None:
        found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return found.get("Policy")

    assert policy() == given
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})
    assert policy() == given
    sqs.add_permission(QueueUrl=url, Label="more", AWSAccountIds=["123456789012"], Actions=["SendMessage"])
    assert len(json.loads(policy() or "")["Statement"]) == 2
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "30"})
    assert len(json.loads(policy() or "")["Statement"]) == 2
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert policy() is None
