"""SNS of strictmoto: what leaves it, and what does not."""

from __future__ import annotations

import json
import socket

import pytest

from strictmoto.account import Account
from strictmoto.identity.principals import found_role


@pytest.fixture(scope="module")
def enforces_iam() -> bool:
    """Policies of queues are tried."""
    return True


@pytest.mark.parametrize("protocol", ["http", "https"])
def test_no_message_goes_to_a_web_server(aws_account: Account, protocol: str) -> None:
    sns = aws_account.client("sns")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.5)
        port = listening.getsockname()[1]
        sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=f"{protocol}://127.0.0.1:{port}/alarms")
        assert sns.publish(TopicArn=topic, Message="an instance is captured")["MessageId"]
        with pytest.raises(TimeoutError):
            listening.accept()


@pytest.mark.parametrize(("source", "heard"), [("alarms", 1), ("others", 0)])
def test_when_a_queue_of_another_account_subscribes_then_it_gets_what_its_policy_lets_in(
    aws_account: Account, source: str, heard: int
) -> None:
    there = "arn:aws:iam::777788889999:role/ingestion"
    found_role(there)
    sns, sqs = aws_account.client("sns"), aws_account.client("sqs", role_arn=there)
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    url = sqs.create_queue(QueueName="ingestion")["QueueUrl"]
    queue = "arn:aws:sqs:eu-central-1:777788889999:ingestion"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic.replace("alarms", source)}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)

    sns.publish(TopicArn=topic, Message="an instance is captured")

    messages = sqs.receive_message(QueueUrl=url).get("Messages", [])
    assert [json.loads(one["Body"])["Message"] for one in messages] == ["an instance is captured"] * heard
