"""SNS of strictmoto: what leaves it, and what does not."""

from __future__ import annotations

import socket

import pytest

from strictmoto.account import Account


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
